//! A file that many threads read at once, each where it likes.

use crate::DataError;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// An open file without a position of its own, so that one handle serves all threads.
#[derive(Debug)]
pub(crate) struct SharedFile {
    path: PathBuf,
    bytes: u64,
    modified: Option<SystemTime>,
    handle: Handle,
}

#[cfg(unix)]
type Handle = File;
#[cfg(not(unix))]
type Handle = std::sync::Mutex<File>;

impl SharedFile {
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let io = |source| DataError::Io { path: path.into(), action: "open", source };
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(DataError::layout(path, "a file", "a folder or device"));
        }
        let (bytes, modified) = (metadata.len(), metadata.modified().ok());
        Ok(Self { path: path.into(), bytes, modified, handle: Handle::from(file) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The size that the file had when it was opened.
    pub(crate) fn len(&self) -> u64 {
        self.bytes
    }

    /// When the file as it was opened was last written to, where the system knows.
    pub(crate) fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// The `size` bytes from `start` on. A range beyond the end of the file as it was opened takes no memory.
    pub(crate) fn read(&self, start: u64, size: u64) -> Result<Vec<u8>, DataError> {
        let end = start.checked_add(size).filter(|&end| end <= self.bytes);
        let size = end.and_then(|_| usize::try_from(size).ok());
        let mut bytes = vec![0; size.ok_or_else(|| self.ended(start))?];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.read_at(&mut bytes[filled..], start + filled as u64) {
                // It is shorter now than when it was opened.
                Ok(0) => return Err(self.ended(start)),
                Ok(read) => filled += read,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(DataError::Io { path: self.path.clone(), action: "read", source }),
            }
        }
        Ok(bytes)
    }

    fn ended(&self, start: u64) -> DataError {
        DataError::Format {
            path: self.path.clone(),
            offset: start,
            expected: "an entry".into(),
            got: "the end of the file within it".into(),
        }
    }

    #[cfg(unix)]
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.handle, bytes, at)
    }

    #[cfg(not(unix))]
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let mut file = self.handle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        file.read(bytes)
    }
}

/// Part of a shared file as a file of its own.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    file: &'a SharedFile,
    start: u64,
    bytes: u64,
    at: u64,
}

impl<'a> Window<'a> {
    /// The `bytes` from `start` on, which the file must have.
    pub(crate) fn new(file: &'a SharedFile, start: u64, bytes: u64) -> Self {
        Self { file, start, bytes, at: 0 }
    }
}

impl Read for Window<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let rest = self.bytes.saturating_sub(self.at).min(bytes.len() as u64) as usize;
        let read = self.file.read_at(&mut bytes[..rest], self.start + self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by),
        };
        self.at = at.filter(|at| self.start.checked_add(*at).is_some()).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
