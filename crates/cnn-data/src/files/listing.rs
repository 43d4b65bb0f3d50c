//! The image files of a folder or of an archive: what comes before labels.

use super::archive;
use super::entry::{Named, is_hidden, is_leftover, named};
use super::name;
use super::passed::{PassedOver, Reason};
use super::source::{Item, Source};
use crate::{DataError, PackedImages};
use cnn_tensor::sniff::FileKind;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Image files of a source whose paths start with `prefix`, in the order of their paths.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) source: Arc<Source>,
    /// Empty, or ends in `/`.
    pub(crate) prefix: Vec<u8>,
    pub(crate) items: Vec<Item>,
    /// The folders that are known to be there, empty ones among them.
    pub(crate) folders: BTreeSet<Vec<u8>>,
    /// The entries of the whole source that were passed over.
    pub(crate) passed: PassedOver,
}

/// Whether a file of that content is an image that can be read.
pub(super) fn is_image(path: &[u8], start: &[u8]) -> bool {
    use FileKind::{Bmp, Jpeg, Png, Pnm, WebP};
    let kind = FileKind::of(Path::new(&name::text(path)), start);
    matches!(kind, Some(Jpeg | Png | WebP | Bmp | Pnm))
}

/// The reason to pass over any entry of that name.
pub(super) fn unwanted(name: &[u8]) -> Option<Reason> {
    if is_hidden(name) {
        return Some(Reason::Hidden);
    }
    is_leftover(name).then_some(Reason::Leftover)
}

impl Listing {
    /// The images of a folder or archive.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let io = |source| DataError::Io { path: path.into(), action: "open", source };
        if !fs::metadata(path).map_err(io)?.is_dir() {
            let archive::Contents { file, items, folders, passed } = archive::list(path)?;
            let (source, prefix) = (Arc::new(Source::Archive(file)), Vec::new());
            return Ok(Self { source, prefix, items, folders, passed });
        }
        let mut listing = Self {
            source: Arc::new(Source::Folder(path.into())),
            prefix: Vec::new(),
            items: Vec::new(),
            folders: BTreeSet::new(),
            passed: PassedOver::default(),
        };
        let mut ancestors = vec![path.canonicalize().map_err(io)?];
        listing.walk(path, b"", &mut ancestors)?;
        Ok(listing)
    }

    /// Adds the images of a folder and of those in it. Links are followed, but not in circles. An entry that cannot be used
    /// is counted; only a folder that cannot be read is an error, since it may hold a whole class.
    fn walk(&mut self, folder: &Path, within: &[u8], ancestors: &mut Vec<PathBuf>) -> Result<(), DataError> {
        let io = |action| move |source| DataError::Io { path: folder.into(), action, source };
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder).map_err(io("open"))? {
            let entry = entry.map_err(io("read"))?;
            match name::bytes(&entry.file_name()) {
                Some(name) => entries.push((name, entry)),
                None => self.passed.add(Reason::Name, entry.file_name().to_string_lossy().as_bytes()),
            }
        }
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (name, entry) in entries {
            let path = if within.is_empty() { name.clone() } else { [within, b"/", &name].concat() };
            if let Some(reason) = unwanted(&name) {
                self.passed.add(reason, &path);
                continue;
            }
            let mut kind = entry.file_type().map_err(io("read"))?;
            if kind.is_symlink() {
                let Ok(target) = fs::metadata(entry.path()) else {
                    self.passed.add(Reason::DeadLink, &path);
                    continue;
                };
                kind = target.file_type();
            }
            if kind.is_dir() {
                self.enter(&entry.path(), path, ancestors)?;
            } else if let Some(reason) = passed_over(&entry.path(), &name, kind) {
                self.passed.add(reason, &path);
            } else {
                self.items.push(Item { path: path.into(), start: 0, size: 0 });
            }
        }
        Ok(())
    }

    /// [`Listing::walk`] of a folder found on the way.
    fn enter(&mut self, folder: &Path, path: Vec<u8>, ancestors: &mut Vec<PathBuf>) -> Result<(), DataError> {
        if PackedImages::is_at(folder) {
            self.passed.add(Reason::Packed, &path);
            return Ok(());
        }
        let io = |source| DataError::Io { path: folder.into(), action: "open", source };
        let real = folder.canonicalize().map_err(io)?;
        if ancestors.contains(&real) {
            self.passed.add(Reason::Circle, &path);
            return Ok(());
        }
        ancestors.push(real);
        self.folders.insert(path.clone());
        self.walk(folder, &path, ancestors)?;
        ancestors.pop();
        Ok(())
    }

    /// The part of the listing in a folder of it; `None` if it has no such folder.
    pub(crate) fn folder(&self, name: &[u8]) -> Option<Self> {
        let prefix = [&self.prefix, name, b"/"].concat();
        let items: Vec<Item> =
            self.items.iter().filter(|item| item.path.starts_with(&prefix)).cloned().collect();
        let known = self.folders.contains(&prefix[..prefix.len() - 1]);
        let folders = self.folders.iter().filter(|path| path.starts_with(&prefix)).cloned().collect();
        (known || !items.is_empty()).then(|| Self {
            source: Arc::clone(&self.source),
            prefix,
            items,
            folders,
            passed: self.passed.clone(),
        })
    }

    /// The names of the folders directly in this one.
    pub(crate) fn subfolders(&self) -> BTreeSet<&[u8]> {
        let of_items = self.items.iter().filter_map(|item| Some(split(self.below(item))?.0));
        let of_folders = self.folders.iter().map(|path| {
            let path = &path[self.prefix.len()..];
            split(path).map_or(path, |(first, _)| first)
        });
        of_items.chain(of_folders).filter(|name| !name.is_empty()).collect()
    }

    /// The names of the folders directly in this one that have images, however deep.
    pub(crate) fn folders_with_images(&self) -> BTreeSet<&[u8]> {
        self.items.iter().filter_map(|item| Some(split(self.below(item))?.0)).collect()
    }

    /// Whether there are items directly in this folder.
    pub(crate) fn has_loose_items(&self) -> bool {
        self.items.iter().any(|item| split(self.below(item)).is_none())
    }

    /// The part of an item's path below this listing's folder.
    pub(crate) fn below<'a>(&self, item: &'a Item) -> &'a [u8] {
        &item.path[self.prefix.len()..]
    }

    /// Where the listing is, for messages.
    pub(crate) fn place(&self) -> PathBuf {
        let within = name::text(&self.prefix);
        match &*self.source {
            // Joining nothing would add a slash.
            Source::Folder(folder) if within.is_empty() => folder.clone(),
            Source::Folder(folder) => folder.join(within.trim_end_matches('/')),
            Source::Archive(file) if within.is_empty() => file.path().into(),
            Source::Archive(file) => format!("{}: {within}", file.path().display()).into(),
        }
    }

    /// `none`, a phrase for missing images, with a list of the entries that were passed over.
    pub(crate) fn without(&self, none: &str) -> String {
        match self.passed.is_empty() {
            true => none.into(),
            false => format!("{none}; passed over: {}", self.passed),
        }
    }
}

/// The first part of a path and the rest; nothing if it has one part.
pub(crate) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = path.iter().position(|byte| *byte == b'/')?;
    Some((&path[..at], &path[at + 1..]))
}

/// The reason to pass over a file; `None` if it is an image.
fn passed_over(path: &Path, name: &[u8], kind: fs::FileType) -> Option<Reason> {
    if !kind.is_file() {
        return Some(Reason::NoFile);
    }
    match named(name) {
        Named::Image => None,
        Named::Other => Some(Reason::OtherKind),
        Named::Unknown => match start(path) {
            Ok(start) => (!is_image(name, &start)).then_some(Reason::OtherKind),
            Err(_) => Some(Reason::Unreadable),
        },
    }
}

/// The first bytes of a file.
fn start(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut start = Vec::new();
    fs::File::open(path)?.take(cnn_tensor::sniff::START as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// The name of a folder or image in `folder`, if there is one; leftovers and hidden ones are not looked at.
pub(crate) fn holds_images(folder: &Path) -> Result<Option<Vec<u8>>, DataError> {
    let io = |action| move |source| DataError::Io { path: folder.into(), action, source };
    for entry in fs::read_dir(folder).map_err(io("open"))? {
        let entry = entry.map_err(io("read"))?;
        let Some(name) = name::bytes(&entry.file_name()) else { continue };
        if unwanted(&name).is_none() && (named(&name) == Named::Image || entry.path().is_dir()) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
