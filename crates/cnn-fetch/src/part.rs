//! A file that is not complete yet.

use cnn_data::DataError;
use cnn_tensor::files::try_lock;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// `NAME.part`: open, and locked against other processes. Dropped while it is empty, it is removed.
pub(super) struct Part {
    path: PathBuf,
    /// `None` once it has been renamed.
    file: Option<File>,
}

impl Part {
    /// Opens the file that an earlier download left, or a new one, in a folder that is made if need be.
    pub(super) fn open(target: &Path) -> Result<Self, DataError> {
        let folder = target.parent().unwrap_or(Path::new("."));
        let io = |path: &Path, action, source| DataError::Io { path: path.into(), action, source };
        fs::create_dir_all(folder).map_err(|source| io(folder, "make this folder", source))?;
        let mut name = target.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        let options = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let file = options.map_err(|source| io(&path, "write", source))?;
        if !try_lock(&file).map_err(|source| io(&path, "lock", source))? {
            let source = io::Error::other("another process is downloading it");
            return Err(io(&path, "write", source));
        }
        Ok(Self { path, file: Some(file) })
    }

    fn file(&mut self) -> &mut File {
        self.file.as_mut().expect("finish consumes the part")
    }

    fn tried<T>(
        &mut self,
        action: &'static str,
        what: impl FnOnce(&mut File) -> io::Result<T>,
    ) -> Result<T, DataError> {
        what(self.file()).map_err(|source| DataError::Io { path: self.path.clone(), action, source })
    }

    /// The bytes that are there.
    pub(super) fn len(&mut self) -> Result<u64, DataError> {
        Ok(self.tried("read", |file| file.metadata())?.len())
    }

    /// Throws away the bytes that are there.
    pub(super) fn clear(&mut self) -> Result<(), DataError> {
        match self.len()? {
            0 => Ok(()),
            _ => self.tried("shorten", |file| file.set_len(0)),
        }
    }

    /// Adds to the bytes that are there.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.tried("write", |file| file.write_all(bytes))
    }

    /// The bytes that are there, from the first on.
    pub(super) fn read<T>(&mut self, read: impl FnOnce(&mut File) -> io::Result<T>) -> Result<T, DataError> {
        self.tried("read", |file| {
            file.seek(SeekFrom::Start(0))?;
            read(file)
        })
    }

    /// Gives the file its name, once its bytes are on the disk.
    pub(super) fn finish(mut self, target: &Path) -> Result<(), DataError> {
        self.tried("write", |file| file.sync_all())?;
        // Elsewhere than on Unix, an open file cannot be renamed.
        self.file = None;
        let io = |source| DataError::Io { path: target.into(), action: "write", source };
        fs::rename(&self.path, target).map_err(io)?;
        #[cfg(unix)]
        if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if file.metadata().is_ok_and(|found| found.is_file() && found.len() == 0) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
