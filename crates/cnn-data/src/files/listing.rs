//! The image files of a folder or of an archive: what comes before labels.

use super::archive;
use super::source::{Item, Source, is_hidden};
use crate::DataError;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Endings of names that are taken for images, in lower case.
const IMAGES: [&str; 7] = ["jpg", "jpeg", "png", "webp", "bmp", "pgm", "ppm"];

/// Files of a source whose paths start with `prefix`, in the order of their paths. Hidden ones are left out.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) source: Arc<Source>,
    /// Empty, or ends in `/`.
    pub(crate) prefix: String,
    pub(crate) items: Vec<Item>,
    /// The folders that are known to be there, empty ones among them.
    pub(crate) folders: BTreeSet<String>,
}

impl Listing {
    /// The files of a folder or archive.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let io = |source| DataError::Io { path: path.into(), action: "open", source };
        if !fs::metadata(path).map_err(io)?.is_dir() {
            let archive::Contents { file, items, folders } = archive::list(path)?;
            let (source, prefix) = (Arc::new(Source::Archive(file)), String::new());
            return Ok(Self { source, prefix, items, folders });
        }
        let mut listing = Self {
            source: Arc::new(Source::Folder(path.into())),
            prefix: String::new(),
            items: Vec::new(),
            folders: BTreeSet::new(),
        };
        let mut ancestors = Vec::new();
        listing.walk(path, "", &mut ancestors)?;
        Ok(listing)
    }

    /// Adds the files of a folder and of those in it. Links are followed, but not in circles.
    fn walk(&mut self, folder: &Path, within: &str, ancestors: &mut Vec<PathBuf>) -> Result<(), DataError> {
        let io = |action| move |source| DataError::Io { path: folder.into(), action, source };
        let real = folder.canonicalize().map_err(io("open"))?;
        if ancestors.contains(&real) {
            return Err(DataError::layout(folder, "a folder", "a link to a folder that it is in"));
        }
        ancestors.push(real);
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder).map_err(io("open"))? {
            let entry = entry.map_err(io("read"))?;
            let name = entry.file_name().into_string();
            let name = name.map_err(|_| DataError::layout(&entry.path(), "a name in UTF-8", "another"))?;
            if !is_hidden(&name) {
                entries.push((name, entry));
            }
        }
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (name, entry) in entries {
            let path = if within.is_empty() { name } else { format!("{within}/{name}") };
            let mut kind = entry.file_type().map_err(io("read"))?;
            if kind.is_symlink() {
                let target = entry.path();
                let io = |source| DataError::Io { path: target.clone(), action: "open", source };
                kind = fs::metadata(&target).map_err(io)?.file_type();
            }
            if kind.is_dir() {
                self.folders.insert(path.clone());
                self.walk(&entry.path(), &path, ancestors)?;
            } else if kind.is_file() {
                self.items.push(Item { path: path.into(), start: 0, size: 0 });
            }
        }
        ancestors.pop();
        Ok(())
    }

    /// The part of the listing in a folder of it; nothing if there is no such folder.
    pub(crate) fn folder(&self, name: &str) -> Option<Self> {
        let prefix = format!("{}{name}/", self.prefix);
        let items: Vec<Item> =
            self.items.iter().filter(|item| item.path.starts_with(&prefix)).cloned().collect();
        let known = self.folders.contains(&prefix[..prefix.len() - 1]);
        let folders = self.folders.iter().filter(|path| path.starts_with(&prefix)).cloned().collect();
        (known || !items.is_empty()).then(|| Self {
            source: Arc::clone(&self.source),
            prefix,
            items,
            folders,
        })
    }

    /// The names of the folders directly in this one.
    pub(crate) fn subfolders(&self) -> BTreeSet<&str> {
        let below = |path: &str| path[self.prefix.len()..].split_once('/').map(|(first, _)| first.len());
        let of_items = self.items.iter().filter_map(|item| {
            below(&item.path).map(|length| &item.path[self.prefix.len()..self.prefix.len() + length])
        });
        let of_folders = self.folders.iter().map(|path| {
            let path = &path[self.prefix.len()..];
            path.split_once('/').map_or(path, |(first, _)| first)
        });
        of_items.chain(of_folders).filter(|name| !name.is_empty()).collect()
    }

    /// Whether there are items directly in this folder.
    pub(crate) fn has_loose_items(&self) -> bool {
        self.items.iter().any(|item| !self.below(item).contains('/'))
    }

    /// The part of an item's path below this listing's folder.
    pub(crate) fn below<'a>(&self, item: &'a Item) -> &'a str {
        &item.path[self.prefix.len()..]
    }

    /// The listing without files that are no images by their names.
    pub(crate) fn images(mut self) -> Self {
        self.items.retain(|item| is_image(&item.path));
        self
    }

    /// Where the listing is, for messages.
    pub(crate) fn place(&self) -> PathBuf {
        match &*self.source {
            // Joining nothing would add a slash.
            Source::Folder(folder) if self.prefix.is_empty() => folder.clone(),
            Source::Folder(folder) => folder.join(self.prefix.trim_end_matches('/')),
            Source::Archive(file) if self.prefix.is_empty() => file.path().into(),
            Source::Archive(file) => format!("{}: {}", file.path().display(), self.prefix).into(),
        }
    }
}

/// Whether the name ends as those of images do.
pub(crate) fn is_image(path: &str) -> bool {
    let ending = path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| IMAGES.contains(&ending.as_str()))
}
