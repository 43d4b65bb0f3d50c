//! A file of a folder or of an archive, and its bytes.

use super::shared::SharedFile;
use crate::{DataError, decode};
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

    /// What people call an item.
    pub(crate) fn name(&self, item: &Item) -> String {
        match self {
            Self::Folder(folder) => folder.join(&*item.path).display().to_string(),
            Self::Archive(file) => format!("{}: {}", file.path().display(), item.path),
        }
    }

    /// The size of an item in bytes, if the system can tell.
    pub(crate) fn size(&self, item: &Item) -> Option<u64> {
        match self {
            Self::Folder(folder) => Some(folder.join(&*item.path).metadata().ok()?.len()),
            Self::Archive(_) => Some(item.size),
        }
    }

    /// The bytes of an item.
    pub(crate) fn read(&self, item: &Item) -> Result<Vec<u8>, DataError> {
        match self {
            Self::Folder(folder) => decode::read(&folder.join(&*item.path)),
            Self::Archive(_) if item.size > decode::MAX_BYTES => Err(decode::too_large(self.name(item))),
            Self::Archive(file) => file.read(item.start, item.size),
        }
    }
}

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its path below the folder or in the archive, with `/` between the parts.
    pub(crate) path: Box<str>,
    /// Where it starts in the archive.
    pub(crate) start: u64,
    /// Its size in the archive.
    pub(crate) size: u64,
}

/// Whether some part of the path starts with a dot.
pub(super) fn is_hidden(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.'))
}
