//! Locks, by which one process at a time uses a folder or a file.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// Locks `file` for this process until the file is closed, at the latest when the process ends in any way. `false`: another
/// process, or another handle of this one, holds the lock. On file systems without locks nothing is locked.
///
/// # Errors
/// The system refuses for another reason.
pub fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        // Some network file systems have no locks.
        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(true),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// The lock on a folder: its file `.lock`, which stays when the lock is free again.
///
/// ```
/// use cnn_tensor::files::FolderLock;
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let lock = FolderLock::take(folder)?.expect("no other process uses the folder");
/// assert!(FolderLock::take(folder)?.is_none());
/// drop(lock);
/// assert!(FolderLock::take(folder)?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FolderLock {
    /// The lock is that of the open file.
    _file: File,
}

impl FolderLock {
    /// The name of the file in the folder.
    pub const NAME: &str = ".lock";

    /// Takes the lock of a folder. `None`: another process has it.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub fn take(folder: &Path) -> io::Result<Option<Self>> {
        let file = File::options().create(true).truncate(false).write(true).open(folder.join(Self::NAME))?;
        Ok(try_lock(&file)?.then_some(Self { _file: file }))
    }
}
