//! A file of a folder or of an archive, and its bytes.

use super::name;
use super::shared::SharedFile;
use crate::{DataError, Stamp, decode};
use std::path::{Path, PathBuf};

/// Where files are.
#[derive(Debug)]
pub(crate) enum Source {
    Folder(PathBuf),
    Archive(SharedFile),
}

impl Source {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Folder(path) => path,
            Self::Archive(file) => file.path(),
        }
    }

    /// The name of an item in messages.
    pub(crate) fn name(&self, item: &Item) -> String {
        match self {
            Self::Folder(folder) => folder.join(name::text(&item.path)).display().to_string(),
            Self::Archive(file) => format!("{}: {}", file.path().display(), name::text(&item.path)),
        }
    }

    /// The bytes of an item.
    pub(crate) fn read(&self, item: &Item) -> Result<Vec<u8>, DataError> {
        match self {
            Self::Folder(folder) => decode::read(&folder.join(name::path(&item.path))),
            Self::Archive(_) if item.size > decode::max_bytes() => Err(decode::too_large(self.name(item))),
            Self::Archive(file) => file.read(item.start, item.size),
        }
    }

    /// The stamp of an item; its name is the path below the folder, or in the archive.
    pub(crate) fn stamp(&self, item: &Item) -> Stamp {
        let name = name::text(&item.path);
        match self {
            Self::Folder(folder) => match folder.join(name::path(&item.path)).metadata() {
                Ok(found) => Stamp { name, bytes: Some(found.len()), modified: found.modified().ok() },
                Err(_) => Stamp { name, bytes: None, modified: None },
            },
            Self::Archive(file) => Stamp { name, bytes: Some(item.size), modified: file.modified() },
        }
    }
}

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its path below the folder or in the archive, with `/` between the parts. The bytes are as the system or the archive
    /// has them, since not all names are UTF-8.
    pub(crate) path: Box<[u8]>,
    /// Where it starts in the archive.
    pub(crate) start: u64,
    /// Its size in the archive.
    pub(crate) size: u64,
}
