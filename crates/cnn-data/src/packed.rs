//! Data sets packed for fast epochs: images in a few large files, in order, with an index.
//!
//! A packed folder holds tar archives in WebDataset's form, for each example its image and its label under one number
//! (`000123.jpg`, `000123.cls`), and `index.json`: the classes, and for each image its archive, place, length and checksum
//! (CRC-32). [`pack`] writes such folders, [`PackedImages`] reads them.
//!
//! # Why tar archives, and why positional reads
//!
//! A million small files cost a look-up each, on a network file system a slow one, and are copied and deleted slowly. A
//! format of our own would do as well as tar, but nothing else could read it: `tar` lists these, and WebDataset's loaders
//! stream them. The index is what tar lacks for reading in random order.
//!
//! Images are read by position (`pread`), one call each, from one handle for each archive that all threads share. Mapping
//! the archives into memory would save that call, a few microseconds beside the milliseconds of decoding, but needs `unsafe`,
//! and a mapped file that is cut short by another program ends this one with SIGBUS, where a read returns an error.

mod encode;
mod sources;
mod unfinished;
mod write;

#[cfg(test)]
mod tests;

pub use write::{Encoding, PackEvent, PackOptions, PackProgress, pack};

use crate::files::shared::SharedFile;
use crate::{DataError, Dataset, Picture, Stamp};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The first field of an index.
const FORMAT: &str = "cnn-data packed images, version 1";

/// The file with the sources of the images, which is written first.
const SOURCES: &str = "sources.json";

/// How both files begin.
const MARK: [u8; 20] = *b"{\"format\":\"cnn-data ";

/// The content of `index.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Index {
    format: String,
    /// A checksum of the sources and options, by which a second run knows the first.
    plan: u32,
    classes: Vec<String>,
    shards: Vec<Shard>,
}

/// An archive, and what is in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Shard {
    file: String,
    bytes: u64,
    entries: Vec<Entry>,
}

/// An image: its name in the archive, where it starts, its length, its CRC-32 and its class.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry(String, u64, u64, u32, u32);

/// A folder that [`pack`] wrote.
#[derive(Clone, Debug)]
pub struct PackedImages {
    shards: Arc<[SharedFile]>,
    /// The shard and the entry of each image.
    images: Arc<[(u32, Entry)]>,
    classes: Arc<[String]>,
}

impl PackedImages {
    /// The name of the index in a packed folder.
    pub const INDEX: &str = "index.json";

    /// Whether there is a packed folder, or the beginnings of one.
    pub(crate) fn is_at(folder: &Path) -> bool {
        let is_ours = |name: &&str| {
            let mut start = [0; MARK.len()];
            let read = File::open(folder.join(name)).and_then(|mut file| file.read_exact(&mut start));
            read.is_ok() && start == MARK
        };
        [Self::INDEX, SOURCES].iter().any(is_ours)
    }

    /// Opens a packed folder. Images are read, and their checksums compared, when they are asked for.
    ///
    /// # Errors
    /// The index cannot be read or is not a sound one; or an archive is missing or has another size than the index says.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, DataError> {
        let folder = folder.as_ref();
        if !folder.join(Self::INDEX).exists() && folder.join(SOURCES).exists() {
            let got = "one that was interrupted: run pack again, which goes on with it";
            return Err(DataError::layout(folder, "a complete packing", got));
        }
        let index = Index::read(&folder.join(Self::INDEX))?;
        let shards: Vec<SharedFile> =
            index.shards.iter().map(|shard| shard.open(folder)).collect::<Result<_, _>>()?;
        let entries = index
            .shards
            .into_iter()
            .zip(0..)
            .flat_map(|(shard, i)| shard.entries.into_iter().map(move |e| (i, e)));
        Ok(Self { shards: shards.into(), images: entries.collect(), classes: index.classes.into() })
    }
}

impl Index {
    /// Reads an index and checks all that can be checked without the archives.
    fn read(path: &Path) -> Result<Self, DataError> {
        let file = SharedFile::open(path)?;
        let index: Self = parse(path, &file.read(0, file.len())?)?;
        if index.format != FORMAT {
            return Err(DataError::layout(path, format!("format {FORMAT:?}"), format!("{:?}", index.format)));
        }
        for shard in &index.shards {
            shard.check(path, index.classes.len())?;
        }
        Ok(index)
    }
}

/// The content of a JSON file.
fn parse<T: for<'a> Deserialize<'a>>(path: &Path, json: &[u8]) -> Result<T, DataError> {
    serde_json::from_slice(json)
        .map_err(|fault| DataError::layout(path, "an index of packed images", fault.to_string()))
}

impl Shard {
    /// Checks that the entries lie within the archive and have classes.
    fn check(&self, index: &Path, classes: usize) -> Result<(), DataError> {
        if Path::new(&self.file).file_name().and_then(|name| name.to_str()) != Some(&self.file) {
            return Err(DataError::layout(index, "names of archives beside it", format!("{:?}", self.file)));
        }
        for Entry(name, start, length, _, label) in &self.entries {
            let fault = |expected: String, got: String| {
                let got = format!("{got} for entry {name} of {}", self.file);
                Err(DataError::layout(index, expected, got))
            };
            if start.checked_add(*length).is_none_or(|end| end > self.bytes) {
                return fault(
                    format!("entries within the {} bytes of an archive", self.bytes),
                    format!("{length} bytes from {start} on"),
                );
            }
            if *label as usize >= classes {
                return fault(format!("labels below {classes}, the number of classes"), label.to_string());
            }
        }
        Ok(())
    }

    /// The archive, of the size that the index says.
    fn open(&self, folder: &Path) -> Result<SharedFile, DataError> {
        let path: PathBuf = folder.join(&self.file);
        let file = SharedFile::open(&path)?;
        if file.len() != self.bytes {
            let expected = format!("{} bytes, as the index says", self.bytes);
            return Err(DataError::layout(&path, expected, file.len().to_string()));
        }
        Ok(file)
    }
}

impl Entry {
    /// The bytes of the image, which have the checksum of the index.
    fn read(&self, shard: &SharedFile) -> Result<Vec<u8>, DataError> {
        let Self(name, start, length, checksum, _) = self;
        let bytes = shard.read(*start, *length)?;
        let got = crc32fast::hash(&bytes);
        if got != *checksum {
            return Err(DataError::Format {
                path: shard.path().into(),
                offset: *start,
                expected: format!("entry {name} with checksum {checksum:08x}"),
                got: format!("{got:08x}"),
            });
        }
        Ok(bytes)
    }
}

impl Dataset for PackedImages {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, i: usize) -> u32 {
        self.images[i].1.4
    }

    fn picture(&self, i: usize) -> Result<Picture<'_>, DataError> {
        let (shard, entry) = &self.images[i];
        let bytes = entry.read(&self.shards[*shard as usize])?;
        Picture::decode(&self.name(i), &bytes)
    }

    fn name(&self, i: usize) -> String {
        let (shard, entry) = &self.images[i];
        format!("{}: {}", self.shards[*shard as usize].path().display(), entry.0)
    }

    fn encoded(&self, i: usize) -> Result<Option<Vec<u8>>, DataError> {
        let (shard, entry) = &self.images[i];
        entry.read(&self.shards[*shard as usize]).map(Some)
    }

    fn stamp(&self, i: usize) -> Stamp {
        let (shard, Entry(name, _, bytes, ..)) = &self.images[i];
        let modified = self.shards[*shard as usize].modified();
        Stamp { name: name.clone(), bytes: Some(*bytes), modified }
    }
}
