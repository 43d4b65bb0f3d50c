//! What a tar archive holds, without unpacking it.
//!
//! One pass reads the headers, and images are read where they lie. Nothing is ever written under an entry's name, so no
//! name can lead out of anywhere; those that try (absolute, or with `..`) are refused all the same, as are links, entries
//! that reach beyond the end of the archive, two entries of one name, and an archive without its end.

use super::shared::{SharedFile, Window};
use super::source::{Item, is_hidden};
use crate::DataError;
use std::collections::BTreeSet;
use std::path::Path;
use tar::{Archive, EntryType};

/// The unit of which archives consist.
const BLOCK: u64 = 512;

/// The files of an archive in the order of their paths, and its folders.
pub(super) struct Contents {
    pub file: SharedFile,
    pub items: Vec<Item>,
    pub folders: BTreeSet<String>,
}

/// Lists the files and folders of an archive.
pub(super) fn list(path: &Path) -> Result<Contents, DataError> {
    let file = SharedFile::open(path)?;
    let start = file.read(0, file.len().min(3))?;
    if start.starts_with(&[0x1f, 0x8b]) || start.starts_with(b"BZh") || start.starts_with(&[0xfd, b'7', b'z'])
    {
        let got = "a compressed file: unpack it to a plain .tar first, since images are read where they lie";
        return Err(fault(&file, 0, "a tar archive", got));
    }
    let mut walk = Walk::default();
    walk.archive(&file, 0, file.len(), "")?;
    let Walk { mut items, folders } = walk;
    items.sort_unstable_by(|a, b| a.path.cmp(&b.path).then(a.start.cmp(&b.start)));
    if let Some([_, second]) = items.array_windows().find(|[a, b]| a.path == b.path) {
        let got = format!("a second {:?}", second.path);
        return Err(fault(&file, second.start - BLOCK, "one entry of each name", got));
    }
    Ok(Contents { file, items, folders })
}

#[derive(Default)]
struct Walk {
    items: Vec<Item>,
    folders: BTreeSet<String>,
}

impl Walk {
    /// The entries of the archive in `size` bytes of `file` from `start` on; those of an archive within an archive are in
    /// the folder `within`.
    fn archive(&mut self, file: &SharedFile, start: u64, size: u64, within: &str) -> Result<(), DataError> {
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
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let refuse = |expected: &str, got: String| fault(file, start + header, expected, got);
            let bytes = match entry.header().entry_type() {
                EntryType::XGlobalHeader => entry.size(),
                EntryType::Directory => 0,
                EntryType::Regular | EntryType::Continuous => entry.size(),
                kind => {
                    let kind = kind_name(kind);
                    return Err(refuse("files and folders only", format!("{kind} {name:?}")));
                }
            };
            end = content
                .checked_add(bytes)
                .and_then(|end| end.checked_next_multiple_of(BLOCK))
                .filter(|_| content + bytes <= size)
                .ok_or_else(|| {
                    let room = size.saturating_sub(content);
                    refuse(
                        "an entry within the archive",
                        format!("{bytes} bytes of {name:?} where {room} are left"),
                    )
                })?;
            if entry.header().entry_type() == EntryType::XGlobalHeader {
                continue;
            }
            let Some(path) = plain(&name) else {
                return Err(refuse("a name below the archive's folder", format!("{name:?}")));
            };
            let path = if within.is_empty() { path } else { format!("{within}/{path}") };
            if is_hidden(&path) || path.is_empty() {
                continue;
            }
            if entry.header().entry_type() == EntryType::Directory {
                self.folders.insert(path);
                continue;
            }
            match path.strip_suffix(".tar") {
                // ILSVRC2012's training archive holds one archive for each class; deeper than that nobody goes.
                Some(class) if within.is_empty() => inner.push((class.to_string(), content, bytes)),
                _ => self.items.push(Item { path: path.into(), start: start + content, size: bytes }),
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
}

/// The name without `./` and doubled slashes; nothing if it would lead out of the archive.
fn plain(name: &str) -> Option<String> {
    if name.starts_with(['/', '\\']) || name.as_bytes().get(1) == Some(&b':') || name.contains('\0') {
        return None;
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let leads_out = parts.iter().any(|part| part.split('\\').any(|part| part == ".."));
    (!leads_out).then(|| parts.join("/"))
}

fn kind_name(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Link => "the link",
        EntryType::Symlink => "the symbolic link",
        EntryType::Char | EntryType::Block | EntryType::Fifo => "the device",
        EntryType::GNUSparse => "the sparse file",
        _ => "the entry of unknown kind",
    }
}

fn fault(file: &SharedFile, offset: u64, expected: &str, got: impl Into<String>) -> DataError {
    DataError::Format { path: file.path().into(), offset, expected: expected.into(), got: got.into() }
}
