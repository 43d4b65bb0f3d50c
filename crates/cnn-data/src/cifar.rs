//! The CIFAR family, in its "binary version": records of fixed length, one after the other, without a header.
//!
//! ```text
//! CIFAR-10:   label                 (0 to 9)    3072 bytes: 1024 red, 1024 green, 1024 blue, each 32 rows of 32
//! CIFAR-100:  coarse label, label   (0 to 19, 0 to 99)      likewise
//! ```
//!
//! There is no header that could be wrong, but a length can be: a file must consist of whole records, and of no more than
//! the published one has. That bounds the memory that a compressed archive can take.
//!
//! Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009;
//! <https://www.cs.toronto.edu/~kriz/cifar.html>.

mod archive;
mod classes;

use crate::named::{DatasetKind, NamedDataset, first_file, owned};
use crate::{DataError, InMemoryDataset, Normalize, Split};
use cnn_tensor::sniff::{FileKind, START};
use std::fs::File;
use std::io::Read;
use std::path::Path;

const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];

/// A data set of 50,000 training and 10,000 test images, in colour, 32x32: Krizhevsky 2009.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CifarFamily {
    /// Ten classes.
    Cifar10,
    /// A hundred classes: the fine labels of CIFAR-100.
    Cifar100,
    /// The images of CIFAR-100 with its coarse labels: twenty superclasses of five classes each.
    Cifar100Coarse,
}

/// One file of a data set.
#[derive(Clone, Copy)]
struct Batch {
    name: &'static str,
    /// How many records the published file has.
    records: usize,
}

impl CifarFamily {
    /// The name by which commands know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::Cifar100Coarse => "cifar100-coarse",
        }
    }

    /// The names of the classes, as the published files spell them.
    pub fn classes(self) -> &'static [&'static str] {
        match self {
            Self::Cifar10 => &classes::CIFAR10,
            Self::Cifar100 => &classes::FINE,
            Self::Cifar100Coarse => &classes::COARSE,
        }
    }

    /// The means of the training pixels' red, green and blue, as published, where black is 0 and white is 1.
    pub fn mean(self) -> [f32; 3] {
        match self {
            Self::Cifar10 => [0.4914, 0.4822, 0.4465],
            Self::Cifar100 | Self::Cifar100Coarse => [0.5071, 0.4867, 0.4408],
        }
    }

    /// The standard deviations of the training pixels' red, green and blue, as published, where black is 0 and white is
    /// 1.
    pub fn std(self) -> [f32; 3] {
        match self {
            Self::Cifar10 => [0.2470, 0.2435, 0.2616],
            Self::Cifar100 | Self::Cifar100Coarse => [0.2675, 0.2565, 0.2761],
        }
    }

    /// From bytes to numbers of mean 0 and deviation 1.
    pub fn normalize(self) -> Normalize {
        Normalize::new(&self.mean(), &self.std()).expect("three means and three positive deviations")
    }

    /// Loads a split from a folder with the files of the binary version (`data_batch_1.bin` to `data_batch_5.bin` and
    /// `test_batch.bin`; `train.bin` and `test.bin`), in it or in the published archive's own folder in it
    /// (`cifar-10-batches-bin`; `cifar-100-binary`), or with the published archive itself (`cifar-10-binary.tar.gz`;
    /// `cifar-100-binary.tar.gz`), which is read as it is. `path` may also name the archive.
    ///
    /// The images come in the order of the files, the training batches by number.
    ///
    /// # Errors
    /// A file is missing, cannot be read, does not consist of whole records, holds more of them than the published one,
    /// or a label that no class has; the archive is damaged or unpacks to more than the published one.
    pub fn load(self, path: impl AsRef<Path>, split: Split) -> Result<InMemoryDataset, DataError> {
        let path = path.as_ref();
        if path.is_file() {
            return self.parse_archive(path, open(path)?, split);
        }
        for folder in [path.to_path_buf(), path.join(self.folder())] {
            if first_file(self.batches(split).iter().map(|batch| folder.join(batch.name)))?.is_some() {
                return self.load_batches(&folder, split);
            }
        }
        if let Some(archive) = first_file(self.archives().map(|name| path.join(name)))? {
            return self.parse_archive(&archive, open(&archive)?, split);
        }
        let first = self.batches(split)[0].name;
        let [packed, plain] = self.archives();
        let names = vec![first.into(), format!("{}/{first}", self.folder()), packed.into(), plain.into()];
        Err(DataError::Missing { folder: path.into(), names, advice: self.advice() })
    }

    /// Reads the records of one file from any source, of which errors speak as `path`.
    ///
    /// ```
    /// use cnn_data::{CifarFamily, Dataset};
    /// let frog = [&[6][..], &[200; 1024], &[100; 1024], &[50; 1024]].concat();
    /// let set = CifarFamily::Cifar10.parse("frog.bin".as_ref(), &frog[..])?;
    /// assert_eq!((set.shape(), CifarFamily::Cifar10.classes()[set.label(0) as usize]), ([1, 3, 32, 32], "frog"));
    /// let error = CifarFamily::Cifar10.parse("frog.bin".as_ref(), &frog[..3000]).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "frog.bin: at byte 0 of the content: expected whole records of 3073 bytes, got the end 3000 bytes into record 0"
    /// );
    /// # Ok::<(), cnn_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// The source cannot be read, does not consist of whole records, of at least one and at most as many as the largest
    /// published file has, or holds a label that no class has.
    pub fn parse(self, path: &Path, source: impl Read) -> Result<InMemoryDataset, DataError> {
        let records = self.batches(Split::Train)[0].records;
        let mut images = Images::new(self);
        images.push(path, &self.content(path, source, records)?)?;
        images.finish()
    }

    /// Reads a split from the published archive, compressed or not, of which errors speak as `path`.
    ///
    /// # Errors
    /// As [`CifarFamily::load`].
    pub fn parse_archive(
        self,
        path: &Path,
        source: impl Read,
        split: Split,
    ) -> Result<InMemoryDataset, DataError> {
        archive::read(self, path, source, split)
    }

    fn load_batches(self, folder: &Path, split: Split) -> Result<InMemoryDataset, DataError> {
        let mut images = Images::new(self);
        for batch in self.batches(split) {
            let path = folder.join(batch.name);
            if first_file([path.clone()])?.is_none() {
                return Err(self.missing(folder, batch));
            }
            images.push(&path, &self.content(&path, open(&path)?, batch.records)?)?;
        }
        images.finish()
    }

    /// The bytes of a file of at most `records` records. Memory grows with what is there.
    fn content(self, path: &Path, source: impl Read, records: usize) -> Result<Vec<u8>, DataError> {
        let limit = records * self.record();
        let mut bytes = Vec::new();
        let read = source.take(limit as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|source| DataError::Io { path: path.into(), action: "read", source })?;
        if bytes.len() > limit {
            let expected = format!("the end, after {records} records of {} bytes", self.record());
            return Err(DataError::format(path, limit as u64, expected, "more"));
        }
        Ok(bytes)
    }

    /// The files of a split, in order.
    fn batches(self, split: Split) -> &'static [Batch] {
        const fn batch(name: &'static str, records: usize) -> Batch {
            Batch { name, records }
        }
        match (self, split) {
            (Self::Cifar10, Split::Train) => {
                const {
                    &[
                        batch("data_batch_1.bin", 10_000),
                        batch("data_batch_2.bin", 10_000),
                        batch("data_batch_3.bin", 10_000),
                        batch("data_batch_4.bin", 10_000),
                        batch("data_batch_5.bin", 10_000),
                    ]
                }
            }
            (Self::Cifar10, Split::Test) => const { &[batch("test_batch.bin", 10_000)] },
            (_, Split::Train) => const { &[batch("train.bin", 50_000)] },
            (_, Split::Test) => const { &[batch("test.bin", 10_000)] },
        }
    }

    /// The bytes before the pixels of a record: one below each of these.
    fn label_limits(self) -> &'static [usize] {
        match self {
            Self::Cifar10 => const { &[classes::CIFAR10.len()] },
            Self::Cifar100 | Self::Cifar100Coarse => const { &[classes::COARSE.len(), classes::FINE.len()] },
        }
    }

    /// Which of a record's first bytes is the label.
    fn label_index(self) -> usize {
        match self {
            Self::Cifar10 | Self::Cifar100Coarse => 0,
            Self::Cifar100 => 1,
        }
    }

    /// The bytes of a record.
    fn record(self) -> usize {
        self.label_limits().len() + PIXELS
    }

    /// The folder in the published archive.
    fn folder(self) -> &'static str {
        match self {
            Self::Cifar10 => "cifar-10-batches-bin",
            Self::Cifar100 | Self::Cifar100Coarse => "cifar-100-binary",
        }
    }

    /// The published archive, and what becomes of it where the browser unpacks.
    fn archives(self) -> [&'static str; 2] {
        match self {
            Self::Cifar10 => ["cifar-10-binary.tar.gz", "cifar-10-binary.tar"],
            Self::Cifar100 | Self::Cifar100Coarse => ["cifar-100-binary.tar.gz", "cifar-100-binary.tar"],
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Cifar10 => {
                "get the binary version from https://www.cs.toronto.edu/~kriz/cifar.html \
                 (`cnn fetch cifar10`), or name its folder with --data-dir"
            }
            Self::Cifar100 | Self::Cifar100Coarse => {
                "get the binary version from https://www.cs.toronto.edu/~kriz/cifar.html \
                 (`cnn fetch cifar100`), or name its folder with --data-dir"
            }
        }
    }

    fn missing(self, place: &Path, batch: &Batch) -> DataError {
        DataError::Missing { folder: place.into(), names: vec![batch.name.into()], advice: self.advice() }
    }
}

impl NamedDataset for CifarFamily {
    fn name(&self) -> &'static str {
        Self::name(*self)
    }

    fn title(&self) -> String {
        match self {
            Self::Cifar10 => "CIFAR-10".into(),
            Self::Cifar100 => "CIFAR-100".into(),
            Self::Cifar100Coarse => "CIFAR-100, coarse".into(),
        }
    }

    fn folder_name(&self) -> &'static str {
        match self {
            Self::Cifar10 => "cifar10",
            Self::Cifar100 | Self::Cifar100Coarse => "cifar100",
        }
    }

    fn kind(&self) -> DatasetKind {
        DatasetKind::Cifar
    }

    fn shape(&self) -> [usize; 3] {
        SHAPE
    }

    fn statistics(&self) -> (Vec<f32>, Vec<f32>) {
        (self.mean().to_vec(), self.std().to_vec())
    }

    fn load(&self, folder: &Path, split: Split) -> Result<InMemoryDataset, DataError> {
        Self::load(*self, folder, split)
    }
}

/// The images and labels of the records so far.
struct Images {
    family: CifarFamily,
    pixels: Vec<u8>,
    labels: Vec<u32>,
}

impl Images {
    fn new(family: CifarFamily) -> Self {
        Self { family, pixels: Vec::new(), labels: Vec::new() }
    }

    /// Takes the records of a file.
    fn push(&mut self, path: &Path, bytes: &[u8]) -> Result<(), DataError> {
        self.take_records(path, bytes).map_err(|fault| {
            match FileKind::of(path, &bytes[..bytes.len().min(START)]) {
                Some(kind) => {
                    let expected = format!("records of {} bytes", self.family.record());
                    DataError::format(path, 0, expected, kind)
                }
                None => fault,
            }
        })
    }

    fn take_records(&mut self, path: &Path, bytes: &[u8]) -> Result<(), DataError> {
        let record = self.family.record();
        let limits = self.family.label_limits();
        let records = bytes.chunks_exact(record);
        if bytes.is_empty() {
            return Err(DataError::format(path, 0, "at least 1 record", FileKind::Empty));
        }
        let rest = records.remainder().len();
        if rest > 0 {
            let whole = bytes.len() / record;
            let got = format!("the end {rest} bytes into record {whole}");
            let expected = format!("whole records of {record} bytes");
            return Err(DataError::format(path, (whole * record) as u64, expected, got));
        }
        for (i, bytes) in records.enumerate() {
            let (labels, pixels) = bytes.split_at(limits.len());
            let wrong = labels.iter().zip(limits).position(|(&label, &limit)| usize::from(label) >= limit);
            if let Some(j) = wrong {
                let expected = format!("a label below {} in record {i}", limits[j]);
                return Err(DataError::format(path, (i * record + j) as u64, expected, labels[j]));
            }
            self.pixels.extend_from_slice(pixels);
            self.labels.push(labels[self.family.label_index()].into());
        }
        Ok(())
    }

    fn finish(mut self) -> Result<InMemoryDataset, DataError> {
        self.pixels.shrink_to_fit();
        let [c, h, w] = SHAPE;
        InMemoryDataset::new(
            [self.labels.len(), c, h, w],
            self.pixels,
            self.labels,
            owned(self.family.classes()),
        )
    }
}

fn open(path: &Path) -> Result<File, DataError> {
    File::open(path).map_err(|source| DataError::Io { path: path.into(), action: "open", source })
}

#[cfg(test)]
mod tests;
