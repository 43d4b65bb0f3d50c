//! The MNIST family: data sets in the four files, and the form, of MNIST.
//!
//! EMNIST stores its images transposed: rows where the others have columns. They are turned here, so that a letter of EMNIST
//! stands as a digit of MNIST does. Its letters are numbered from 1; labels here are from 0, as everywhere.
//!
//! Kuzushiji-49 is not here: it is published as NumPy arrays alone.

use crate::named::{DatasetKind, NamedDataset, first_file, owned};
use crate::{DataError, IdxFile, InMemoryDataset, Normalize};
use std::path::{Path, PathBuf};

const SIDE: usize = 28;

/// The classes of EMNIST by class: digits, capitals, small letters. The first 36 are those without small letters.
const CHARACTERS: [&str; 62] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K",
    "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", "a", "b", "c", "d", "e", "f",
    "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z",
];
/// Those of EMNIST where small letters that look like their capitals are one class with them.
const MERGED: [&str; 47] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K",
    "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", "a", "b", "d", "e", "f", "g",
    "h", "n", "q", "r", "t",
];

/// Data sets of gray images, 28x28, in IDX files. MNIST, Fashion-MNIST and KMNIST have 60,000 for training, 10,000 for
/// testing and ten classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MnistFamily {
    /// Handwritten digits: LeCun, Cortes and Burges 1998.
    Mnist,
    /// Articles of clothing: Xiao, Rasul and Vollgraf 2017.
    FashionMnist,
    /// Cursive Japanese characters: Clanuwat, Bober-Irizar, Kitamoto, Lamb, Yamamoto and Ha 2018.
    Kmnist,
    /// Handwritten letters and digits: Cohen, Afshar, Tapson and van Schaik 2017.
    Emnist(Emnist),
}

/// The divisions of EMNIST, each a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Emnist {
    /// 62 classes: digits, capitals and small letters, as often as they were written.
    ByClass,
    /// 47 classes: where a small letter looks like its capital, both are one.
    ByMerge,
    /// The 47 classes, each as often as the others.
    Balanced,
    /// 26 classes: letters, capital and small.
    Letters,
    /// Ten digits.
    Digits,
}

impl Emnist {
    /// The name in the names of its files.
    fn name(self) -> &'static str {
        match self {
            Self::ByClass => "emnist-byclass",
            Self::ByMerge => "emnist-bymerge",
            Self::Balanced => "emnist-balanced",
            Self::Letters => "emnist-letters",
            Self::Digits => "emnist-digits",
        }
    }
}

/// A part of a published data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// The images to learn from.
    Train,
    /// The images of the test.
    Test,
}

impl MnistFamily {
    /// The name by which commands know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Kmnist => "kmnist",
            Self::Emnist(division) => division.name(),
        }
    }

    /// The names of the classes.
    pub fn classes(self) -> &'static [&'static str] {
        match self {
            Self::Mnist | Self::Emnist(Emnist::Digits) => &CHARACTERS[..10],
            Self::FashionMnist => &[
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ],
            Self::Kmnist => &["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
            Self::Emnist(Emnist::ByClass) => &CHARACTERS,
            Self::Emnist(Emnist::ByMerge | Emnist::Balanced) => &MERGED,
            Self::Emnist(Emnist::Letters) => &CHARACTERS[10..36],
        }
    }

    /// The label in the files of the first class.
    fn first_label(self) -> u8 {
        if self == Self::Emnist(Emnist::Letters) { 1 } else { 0 }
    }

    /// The mean of the training pixels, where black is 0 and white is 1: as published for MNIST and Fashion-MNIST, as commonly
    /// used for the others.
    pub fn mean(self) -> f32 {
        self.mean_and_std()[0]
    }

    /// The standard deviation of the training pixels, from the same sources as [`MnistFamily::mean`].
    pub fn std(self) -> f32 {
        self.mean_and_std()[1]
    }

    fn mean_and_std(self) -> [f32; 2] {
        match self {
            Self::Mnist => [0.1307, 0.3081],
            Self::FashionMnist => [0.2860, 0.3530],
            Self::Kmnist => [0.192, 0.348],
            Self::Emnist(Emnist::ByClass | Emnist::ByMerge) => [0.174, 0.332],
            Self::Emnist(Emnist::Balanced) => [0.175, 0.333],
            Self::Emnist(Emnist::Letters) => [0.172, 0.331],
            Self::Emnist(Emnist::Digits) => [0.173, 0.332],
        }
    }

    /// From bytes to numbers of mean 0 and deviation 1.
    pub fn normalize(self) -> Normalize {
        Normalize::gray(self.mean(), self.std())
    }

    /// Loads a split from a folder that holds its two IDX files, compressed or not, under their published names
    /// (`train-images-idx3-ubyte.gz`, `emnist-letters-train-images-idx3-ubyte.gz`) or with a dot (`train-images.idx3-ubyte`).
    ///
    /// # Errors
    /// A file is missing, cannot be read, is not a sound IDX file, or holds something other than 28x28 images or labels
    /// of the classes; or there are more of one than of the other.
    pub fn load(self, folder: impl AsRef<Path>, split: Split) -> Result<InMemoryDataset, DataError> {
        let images_path = self.find(folder.as_ref(), split, "images", 3)?;
        let labels_path = self.find(folder.as_ref(), split, "labels", 1)?;
        let (n, mut images) = images(&images_path)?;
        let labels = self.labels(&labels_path)?;
        if labels.len() != n {
            return Err(DataError::Count { images_path, images: n, labels_path, labels: labels.len() });
        }
        if let Self::Emnist(_) = self {
            images.chunks_exact_mut(SIDE * SIDE).for_each(transpose);
        }
        InMemoryDataset::new([n, 1, SIDE, SIDE], images, labels, owned(self.classes()))
    }

    /// The file of `what` under the first of its names that `folder` has.
    fn find(self, folder: &Path, split: Split, what: &str, rank: u8) -> Result<PathBuf, DataError> {
        let split = match (self, split) {
            (Self::Emnist(division), Split::Train) => format!("{}-train", division.name()),
            (Self::Emnist(division), Split::Test) => format!("{}-test", division.name()),
            (_, Split::Train) => "train".into(),
            (_, Split::Test) => "t10k".into(),
        };
        let names: Vec<String> = [("-", ".gz"), ("-", ""), (".", ".gz"), (".", "")]
            .map(|(mark, ending)| format!("{split}-{what}{mark}idx{rank}-ubyte{ending}"))
            .to_vec();
        let found = first_file(names.iter().map(|name| folder.join(name)))?;
        found.ok_or_else(|| DataError::Missing { folder: folder.into(), names, advice: self.advice() })
    }

    /// The labels of a file, from 0 on.
    fn labels(self, path: &Path) -> Result<Vec<u32>, DataError> {
        let file = IdxFile::read(path)?;
        if file.dims.len() != 1 {
            return Err(DataError::format(path, 3, "1 dimension: labels", file.dims.len()));
        }
        let (first, classes) = (self.first_label(), self.classes().len());
        let index = |label: u8| label.checked_sub(first).filter(|&label| usize::from(label) < classes);
        if let Some(i) = file.data.iter().position(|&label| index(label).is_none()) {
            const HEADER: u64 = 8;
            let expected = match first {
                0 => format!("a label below {classes}"),
                first => format!("a label from {first} to {}", usize::from(first) + classes - 1),
            };
            return Err(DataError::format(path, HEADER + i as u64, expected, file.data[i]));
        }
        Ok(file.data.into_iter().map(|label| u32::from(label - first)).collect())
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Mnist => {
                "get them by `cnn fetch mnist`, or name their folder with --data-dir: the project's repository has them in datasets/mnist"
            }
            Self::FashionMnist => {
                "install the Debian package dataset-fashion-mnist, or name their folder with --data-dir"
            }
            Self::Kmnist => {
                "get them from the project KMNIST of ROIS-CODH, and name their folder with --data-dir"
            }
            Self::Emnist(_) => {
                "unpack EMNIST's gzip.zip as NIST publishes it, and name its folder with --data-dir"
            }
        }
    }
}

impl NamedDataset for MnistFamily {
    fn name(&self) -> &'static str {
        Self::name(*self)
    }

    fn title(&self) -> String {
        match self {
            Self::Mnist => "MNIST".into(),
            Self::FashionMnist => "Fashion-MNIST".into(),
            Self::Kmnist => "KMNIST".into(),
            Self::Emnist(division) => format!("EMNIST {division:?}"),
        }
    }

    fn folder_name(&self) -> &'static str {
        match self {
            // The five parts come in one archive.
            Self::Emnist(_) => "emnist",
            other => other.name(),
        }
    }

    fn kind(&self) -> DatasetKind {
        match self {
            Self::Mnist => DatasetKind::Mnist,
            _ => DatasetKind::MnistLike,
        }
    }

    fn shape(&self) -> [usize; 3] {
        [1, SIDE, SIDE]
    }

    /// Kana fill their images to the border.
    fn is_in_mnists_form(&self) -> bool {
        *self != Self::Kmnist
    }

    fn statistics(&self) -> (Vec<f32>, Vec<f32>) {
        (vec![self.mean()], vec![self.std()])
    }

    fn load(&self, folder: &Path, split: Split) -> Result<InMemoryDataset, DataError> {
        Self::load(*self, folder, split)
    }
}

/// The images of a file: how many, and their bytes.
fn images(path: &Path) -> Result<(usize, Vec<u8>), DataError> {
    let file = IdxFile::read(path)?;
    match file.dims[..] {
        [0, _, _] => Err(DataError::format(path, 4, "at least 1 image", "0")),
        [n, SIDE, SIDE] => Ok((n, file.data)),
        [_, h, w] => Err(DataError::format(path, 8, "images of 28x28 pixels", format!("{h}x{w}"))),
        _ => Err(DataError::format(path, 3, "3 dimensions: images, rows, columns", file.dims.len())),
    }
}

/// Turns rows of an image into columns.
fn transpose(image: &mut [u8]) {
    for row in 0..SIDE {
        (0..row).for_each(|column| image.swap(row * SIDE + column, column * SIDE + row));
    }
}
