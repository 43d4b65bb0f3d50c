//! An archive while it is written.

use super::{Entry, Shard};
use crate::DataError;
use cnn_tensor::files::force_to_disk;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tar::{Builder, Header};

/// How the name of an archive begins until it is complete; that of a file that is written atomically, too.
pub(super) const PREFIX: &str = ".unfinished-";
/// The header of an entry, which stands before its content.
const HEADER: u64 = 512;

/// An archive that is not complete.
pub(super) struct Unfinished {
    folder: PathBuf,
    file: String,
    path: PathBuf,
    builder: Builder<Counting>,
    entries: Vec<Entry>,
}

/// A file that knows how much was written to it.
struct Counting {
    file: BufWriter<File>,
    bytes: u64,
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Unfinished {
    pub(super) fn create(folder: &Path, file: String) -> Result<Self, DataError> {
        let path = folder.join(format!("{PREFIX}{file}"));
        let created = File::create(&path).map_err(|source| DataError::Io {
            path: path.clone(),
            action: "create",
            source,
        })?;
        let builder = Builder::new(Counting { file: BufWriter::with_capacity(1 << 20, created), bytes: 0 });
        Ok(Self { folder: folder.into(), file, path, builder, entries: Vec::new() })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.builder.get_ref().bytes
    }

    /// Adds an image and its label.
    pub(super) fn add(
        &mut self,
        number: usize,
        ending: &str,
        image: &[u8],
        label: u32,
    ) -> Result<(), DataError> {
        let name = format!("{number:06}.{ending}");
        let start = self.bytes() + HEADER;
        self.append(&name, image)?;
        self.append(&format!("{number:06}.cls"), label.to_string().as_bytes())?;
        self.entries.push(Entry(name, start, image.len() as u64, crc32fast::hash(image), label));
        Ok(())
    }

    fn append(&mut self, name: &str, content: &[u8]) -> Result<(), DataError> {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let appended = self.builder.append_data(&mut header, name, content);
        appended.map_err(|source| DataError::Io { path: self.path.clone(), action: "write", source })
    }

    /// Forces the archive to disk and gives it its name.
    pub(super) fn finish(self) -> Result<Shard, DataError> {
        let Self { folder, file, path, builder, entries } = self;
        let finish = || -> io::Result<u64> {
            let Counting { file: buffered, bytes } = builder.into_inner()?;
            buffered.into_inner()?.sync_all()?;
            fs::rename(&path, folder.join(&file))?;
            force_to_disk(&folder)?;
            Ok(bytes)
        };
        let bytes =
            finish().map_err(|source| DataError::Io { path: path.clone(), action: "write", source })?;
        Ok(Shard { file, bytes, entries })
    }
}
