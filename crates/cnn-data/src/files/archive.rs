//! The content of a tar archive, without unpacking it.
//!
//! One pass reads the headers, and images are read where they lie. Nothing is ever written under an entry's name, so no
//! name can lead out of anywhere; those that try (absolute, or with `..`) are refused all the same, as are entries that
//! reach beyond the end of the archive, and an archive without its end. Links stand for the files that they lead to within
//! the archive. Of two entries of one name the later one counts, as it does to `tar`.

use super::entry::{Named, named};
use super::listing::{is_image, unwanted};
use super::name;
use super::passed::{PassedOver, Reason};
use super::shared::{SharedFile, Window};
use super::source::Item;
use crate::DataError;
use cnn_tensor::sniff::{FileKind, START};
use std::collections::BTreeSet;
use std::path::Path;
use tar::{Archive, EntryType};

/// The unit of which archives consist.
const BLOCK: u64 = 512;

/// The images of an archive in the order of their paths, and its folders.
pub(super) struct Contents {
    pub file: SharedFile,
    pub items: Vec<Item>,
    pub folders: BTreeSet<Vec<u8>>,
    pub passed: PassedOver,
}

/// Lists the images and folders of an archive.
pub(super) fn list(path: &Path) -> Result<Contents, DataError> {
    let file = SharedFile::open(path)?;
    let mut walk = Walk::default();
    if let Err(error) = walk.archive(&file, 0, file.len(), b"") {
        return Err(other_kind(&file).unwrap_or(error));
    }
    walk.follow_links();
    let Walk { items, folders, mut passed, .. } = walk;
    let items = newest(items, &mut passed);
    Ok(Contents { file, items, folders, passed })
}

/// The error of a file that is not an archive at all.
fn other_kind(file: &SharedFile) -> Option<DataError> {
    let start = file.read(0, file.len().min(START as u64)).ok()?;
    let kind = FileKind::of(file.path(), &start).filter(|kind| *kind != FileKind::Tar)?;
    let expected = "a folder of images, or a plain tar archive of them";
    Some(DataError::layout(file.path(), expected, kind.to_string()))
}

/// The items in the order of their paths, the last entry of each path.
fn newest(mut items: Vec<Item>, passed: &mut PassedOver) -> Vec<Item> {
    items.sort_unstable_by(|a, b| a.path.cmp(&b.path).then(b.start.cmp(&a.start)));
    items.dedup_by(|older, newer| {
        let same = older.path == newer.path;
        if same {
            passed.add(Reason::Replaced, &older.path);
        }
        same
    });
    items
}

#[derive(Default)]
struct Walk {
    items: Vec<Item>,
    folders: BTreeSet<Vec<u8>>,
    /// Links, and the paths that they lead to.
    links: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    passed: PassedOver,
    /// Folders that were passed over, each of which counts once.
    unwanted: BTreeSet<Vec<u8>>,
}

impl Walk {
    /// The entries of the archive in `size` bytes of `file` from `start` on; those of an archive within an archive are in
    /// the folder `within`.
    fn archive(&mut self, file: &SharedFile, start: u64, size: u64, within: &[u8]) -> Result<(), DataError> {
        let mut archive = Archive::new(Window::new(file, start, size));
        let broken = |offset: u64, error: std::io::Error| {
            if error.raw_os_error().is_some() {
                return DataError::Io { path: file.path().into(), action: "read", source: error };
            }
            let error = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            fault(file, start + offset, "a sound entry of a tar archive", error)
        };
        // Where the last entry ended.
        let mut end = 0;
        let mut inner = Vec::new();
        for entry in archive.entries_with_seek().map_err(|error| broken(0, error))? {
            let entry = entry.map_err(|error| broken(end, error))?;
            let (header, content) = (entry.raw_header_position(), entry.raw_file_position());
            let name = entry.path_bytes();
            let kind = entry.header().entry_type();
            let refuse = |expected: &str, got: String| fault(file, start + header, expected, got);
            let bytes = match kind {
                EntryType::XGlobalHeader | EntryType::Regular | EntryType::Continuous => entry.size(),
                EntryType::GNUSparse => entry.header().entry_size().unwrap_or_default(),
                _ => 0,
            };
            end = content
                .checked_add(bytes)
                .and_then(|end| end.checked_next_multiple_of(BLOCK))
                .filter(|_| content + bytes <= size)
                .ok_or_else(|| {
                    let room = size.saturating_sub(content);
                    let name = name::text(&name);
                    refuse(
                        "an entry within the archive",
                        format!("{bytes} bytes of {name:?} where {room} are left"),
                    )
                })?;
            if kind == EntryType::XGlobalHeader {
                continue;
            }
            let Some(path) = plain(&name) else {
                return Err(refuse("a name below the archive's folder", format!("{:?}", name::text(&name))));
            };
            let path = join(within, path);
            if path.is_empty() || self.is_unwanted(&path) {
                continue;
            }
            let item = Item { path: path.clone().into(), start: start + content, size: bytes };
            match kind {
                EntryType::Directory => drop(self.folders.insert(path)),
                EntryType::Link => {
                    let target = link(&entry).and_then(|target| plain(&target));
                    self.links.push((path, target.map(|target| join(within, target))));
                }
                EntryType::Symlink => {
                    let target = link(&entry).and_then(|target| relative(&path, &target));
                    self.links.push((path, target));
                }
                EntryType::Regular | EntryType::Continuous => match path.strip_suffix(b".tar") {
                    // ILSVRC2012's training archive holds one archive for each class, and no archives within those.
                    Some(class) if within.is_empty() => inner.push((class.to_vec(), content, bytes)),
                    _ => self.file(file, item)?,
                },
                _ => self.passed.add(Reason::NoFile, &path),
            }
        }
        if end.saturating_add(BLOCK) > size {
            let got = "the end of the file: it may have been cut off";
            return Err(fault(
                file,
                start + end.min(size),
                "the block of zeros that ends a tar archive",
                got,
            ));
        }
        for (class, content, bytes) in inner {
            self.folders.insert(class.clone());
            self.archive(file, content, bytes, &class)?;
        }
        Ok(())
    }

    /// Takes a file if it is an image by its name, or by its content if its name does not say what it is.
    fn file(&mut self, file: &SharedFile, item: Item) -> Result<(), DataError> {
        let image = match named(&item.path) {
            Named::Image => true,
            Named::Other => false,
            Named::Unknown => is_image(&item.path, &file.read(item.start, item.size.min(START as u64))?),
        };
        match image {
            true => self.items.push(item),
            false => self.passed.add(Reason::OtherKind, &item.path),
        }
        Ok(())
    }

    /// Whether some part of the path is hidden or a leftover; counts the part, once for all that is in it.
    fn is_unwanted(&mut self, path: &[u8]) -> bool {
        let ends = (0..=path.len()).filter(|&i| path.get(i).is_none_or(|byte| *byte == b'/'));
        let mut start = 0;
        for end in ends {
            if let Some(reason) = unwanted(&path[start..end]) {
                if self.unwanted.insert(path[..end].to_vec()) {
                    self.passed.add(reason, &path[..end]);
                }
                return true;
            }
            start = end + 1;
        }
        false
    }

    /// Puts the files that links lead to in the links' places. A link to a link or to a folder leads nowhere.
    fn follow_links(&mut self) {
        if self.links.is_empty() {
            return;
        }
        let by_path: std::collections::HashMap<&[u8], &Item> =
            self.items.iter().map(|item| (&*item.path, item)).collect();
        let mut found = Vec::new();
        for (path, target) in &self.links {
            match target.as_ref().and_then(|target| by_path.get(target.as_slice())) {
                Some(item) => found.push(Item { path: path.clone().into(), ..(*item).clone() }),
                None => self.passed.add(Reason::DeadLink, path),
            }
        }
        self.items.extend(found);
    }
}

/// The path of what is at `path` in the folder `within`.
fn join(within: &[u8], path: Vec<u8>) -> Vec<u8> {
    if within.is_empty() { path } else { [within, b"/", &path].concat() }
}

/// The path that a link leads to, as it is written.
fn link<R: std::io::Read>(entry: &tar::Entry<'_, R>) -> Option<Vec<u8>> {
    entry.link_name_bytes().map(|name| name.into_owned())
}

/// The path of the file that a symbolic link at `path` leads to; nothing if it leads out of the archive.
fn relative(path: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    if target.starts_with(b"/") {
        return None;
    }
    let mut parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    parts.pop();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

/// The name without `./` and doubled slashes; nothing if it would lead out of the archive.
fn plain(name: &[u8]) -> Option<Vec<u8>> {
    if name.starts_with(b"/") || name.starts_with(b"\\") || name.get(1) == Some(&b':') || name.contains(&0) {
        return None;
    }
    let parts: Vec<&[u8]> =
        name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    let leads_out = parts.iter().any(|part| part.split(|byte| *byte == b'\\').any(|part| part == b".."));
    (!leads_out).then(|| parts.join(&b'/'))
}

fn fault(file: &SharedFile, offset: u64, expected: &str, got: impl Into<String>) -> DataError {
    DataError::Format { path: file.path().into(), offset, expected: expected.into(), got: got.into() }
}
