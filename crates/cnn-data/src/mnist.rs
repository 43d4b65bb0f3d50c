//! The MNIST family: data sets in the four files, and the form, of MNIST.

use crate::{DataError, Dataset, IdxFile, Normalize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const SIDE: usize = 28;
const CLASSES: usize = 10;

/// A data set of 60,000 training and 10,000 test images, gray, 28x28, of ten classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MnistFamily {
    /// Handwritten digits: LeCun, Cortes and Burges 1998.
    Mnist,
    /// Articles of clothing: Xiao, Rasul and Vollgraf 2017.
    FashionMnist,
}

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// What a model learns from.
    Train,
    /// What it is judged by.
    Test,
}

impl MnistFamily {
    /// The name by which commands know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
        }
    }

    /// The names of the classes.
    pub fn classes(self) -> [&'static str; CLASSES] {
        match self {
            Self::Mnist => ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
            Self::FashionMnist => [
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
        }
    }

    /// The mean of the training pixels, as published, where black is 0 and white is 1.
    pub fn mean(self) -> f32 {
        match self {
            Self::Mnist => 0.1307,
            Self::FashionMnist => 0.2860,
        }
    }

    /// The standard deviation of the training pixels, as published, where black is 0 and white is 1.
    pub fn deviation(self) -> f32 {
        match self {
            Self::Mnist => 0.3081,
            Self::FashionMnist => 0.3530,
        }
    }

    /// From bytes to numbers of mean 0 and deviation 1.
    pub fn normalize(self) -> Normalize {
        Normalize::gray(self.mean(), self.deviation())
    }

    /// Loads a split from a folder that holds its two IDX files, compressed or not, under their published names
    /// (`train-images-idx3-ubyte.gz`) or with a dot (`train-images.idx3-ubyte`).
    ///
    /// # Errors
    /// A file is missing, cannot be read, is no sound IDX file, or holds something else than 28x28 images or labels
    /// below 10; or there are more of one than of the other.
    pub fn load(self, folder: impl AsRef<Path>, split: Split) -> Result<Dataset, DataError> {
        let images_path = self.find(folder.as_ref(), split, "images", 3)?;
        let labels_path = self.find(folder.as_ref(), split, "labels", 1)?;
        let (n, images) = images(&images_path)?;
        let labels = labels(&labels_path)?;
        if labels.len() != n {
            return Err(DataError::Count { images_path, images: n, labels_path, labels: labels.len() });
        }
        Dataset::new([n, 1, SIDE, SIDE], images, labels, self.classes().map(String::from).to_vec())
    }

    /// The file of `what` under the first of its names that `folder` has.
    fn find(self, folder: &Path, split: Split, what: &str, rank: u8) -> Result<PathBuf, DataError> {
        let split = match split {
            Split::Train => "train",
            Split::Test => "t10k",
        };
        let names: Vec<String> = [("-", ".gz"), ("-", ""), (".", ".gz"), (".", "")]
            .map(|(mark, ending)| format!("{split}-{what}{mark}idx{rank}-ubyte{ending}"))
            .to_vec();
        for path in names.iter().map(|name| folder.join(name)) {
            match path.metadata() {
                // Some archives wrap each file in a folder of the same name.
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Ok(path),
                Err(fault) if matches!(fault.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(source) => return Err(DataError::Io { path, action: "open", source }),
            }
        }
        Err(DataError::Missing { folder: folder.into(), names, advice: self.advice() })
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Mnist => {
                "the project's repository has them in datasets/mnist; name their folder with --data-dir"
            }
            Self::FashionMnist => {
                "install the Debian package dataset-fashion-mnist, or name their folder with --data-dir"
            }
        }
    }
}

/// The images of a file: how many, and their bytes.
fn images(path: &Path) -> Result<(usize, Vec<u8>), DataError> {
    let file = IdxFile::read(path)?;
    match file.dims[..] {
        [0, _, _] => Err(fault(path, 4, "at least 1 image", "0")),
        [n, SIDE, SIDE] => Ok((n, file.data)),
        [_, h, w] => Err(fault(path, 8, "images of 28x28 pixels", format!("{h}x{w}"))),
        _ => Err(fault(path, 3, "3 dimensions: images, rows, columns", file.dims.len())),
    }
}

fn labels(path: &Path) -> Result<Vec<u32>, DataError> {
    let file = IdxFile::read(path)?;
    if file.dims.len() != 1 {
        return Err(fault(path, 3, "1 dimension: labels", file.dims.len()));
    }
    if let Some(i) = file.data.iter().position(|&label| usize::from(label) >= CLASSES) {
        const HEADER: u64 = 8;
        return Err(fault(path, HEADER + i as u64, "a label below 10", file.data[i]));
    }
    Ok(file.data.into_iter().map(u32::from).collect())
}

fn fault(path: &Path, offset: u64, expected: &str, got: impl ToString) -> DataError {
    DataError::Format { path: path.into(), offset, expected: expected.into(), got: got.to_string() }
}
