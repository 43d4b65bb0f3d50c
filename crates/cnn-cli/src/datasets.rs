//! The data sets that commands know by name, and folders and archives of images.

use crate::fault::{Fault, note};
use crate::home;
use cnn_data::{CifarFamily, Dataset, Emnist, InMemoryDataset, MnistFamily, Split, Subset};
use cnn_nn::Input;
use cnn_zoo::Images;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// A data set: by name, or where it lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum DatasetName {
    /// Handwritten digits, or what shares their files' form.
    Mnist(MnistFamily),
    /// Small photos in ten or a hundred classes.
    Cifar(CifarFamily),
    /// Images in files: a folder or an archive.
    Images(PathBuf),
}

/// The names that stand for no path.
const NAMED: [DatasetName; 11] = [
    DatasetName::Mnist(MnistFamily::Mnist),
    DatasetName::Mnist(MnistFamily::FashionMnist),
    DatasetName::Mnist(MnistFamily::Kmnist),
    DatasetName::Mnist(MnistFamily::Emnist(Emnist::ByClass)),
    DatasetName::Mnist(MnistFamily::Emnist(Emnist::ByMerge)),
    DatasetName::Mnist(MnistFamily::Emnist(Emnist::Balanced)),
    DatasetName::Mnist(MnistFamily::Emnist(Emnist::Letters)),
    DatasetName::Mnist(MnistFamily::Emnist(Emnist::Digits)),
    DatasetName::Cifar(CifarFamily::Cifar10),
    DatasetName::Cifar(CifarFamily::Cifar100),
    DatasetName::Cifar(CifarFamily::Cifar100Coarse),
];

/// All names, for messages and help.
pub fn names() -> String {
    NAMED.map(|name| name.short()).join(", ")
}

/// A data set, opened.
pub struct Data {
    pub train: Arc<dyn Dataset>,
    pub test: Arc<dyn Dataset>,
    /// All images, where the set is not divided into images to learn from and to be judged by; a tenth of them, drawn by a
    /// fixed seed, is then `test`.
    pub undivided: Option<Arc<dyn Dataset>>,
    /// `[c, h, w]`, if all images are alike.
    pub shape: Option<[usize; 3]>,
    /// Of each channel, where white is 1.
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

impl Data {
    pub fn classes(&self) -> Vec<String> {
        self.train.classes().to_vec()
    }
}

impl DatasetName {
    /// As a title writes it.
    pub fn title(&self) -> String {
        match self {
            Self::Mnist(MnistFamily::Mnist) => "MNIST".into(),
            Self::Mnist(MnistFamily::FashionMnist) => "Fashion-MNIST".into(),
            Self::Mnist(MnistFamily::Kmnist) => "KMNIST".into(),
            Self::Mnist(MnistFamily::Emnist(emnist)) => format!("EMNIST {emnist:?}"),
            Self::Cifar(CifarFamily::Cifar10) => "CIFAR-10".into(),
            Self::Cifar(CifarFamily::Cifar100) => "CIFAR-100".into(),
            Self::Cifar(_) => "CIFAR-100, coarse".into(),
            Self::Images(_) => self.short(),
        }
    }

    /// The kind of its images, by which recipes go.
    pub fn images(&self) -> Images {
        match self {
            Self::Mnist(MnistFamily::Mnist) => Images::Digits,
            Self::Mnist(_) => Images::LikeDigits,
            Self::Cifar(_) => Images::Small,
            Self::Images(_) => Images::Photos,
        }
    }

    /// Height and width of its images; `None` if they are photos of any size.
    pub fn side(&self) -> Option<usize> {
        match self {
            Self::Mnist(_) => Some(28),
            Self::Cifar(_) => Some(32),
            Self::Images(_) => None,
        }
    }

    /// A name that can be part of a file's.
    pub fn short(&self) -> String {
        match self {
            Self::Mnist(family) => family.name().into(),
            Self::Cifar(family) => family.name().into(),
            Self::Images(path) => {
                let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
                whole.file_stem().map_or_else(|| "images".into(), |stem| stem.to_string_lossy().into_owned())
            }
        }
    }

    /// Where its files are looked for if the user names no other place: `datasets/NAME`, or where Debian's package puts
    /// Fashion-MNIST; images where they are.
    pub fn folder(&self) -> PathBuf {
        match self {
            Self::Images(path) => path.clone(),
            Self::Cifar(CifarFamily::Cifar100Coarse) => home::dataset("cifar100"),
            // The five parts come in one archive.
            Self::Mnist(MnistFamily::Emnist(_)) => home::dataset("emnist"),
            _ => {
                let folder = home::dataset(&self.short());
                let debian = Path::new("/usr/share/datasets/fashion-mnist");
                let packaged = *self == Self::Mnist(MnistFamily::FashionMnist);
                if packaged && !folder.exists() && debian.exists() { debian.into() } else { folder }
            }
        }
    }

    /// Opens the data set, whose files are in `folder`.
    pub fn open(&self, folder: &Path) -> Result<Data, Fault> {
        match self {
            Self::Mnist(family) => {
                let load = |split| family.load(folder, split);
                let (mean, std) = (vec![family.mean()], vec![family.std()]);
                Ok(in_memory(load(Split::Train)?, load(Split::Test)?, mean, std))
            }
            Self::Cifar(family) => {
                let load = |split| family.load(folder, split);
                let (mean, std) = (family.mean().to_vec(), family.std().to_vec());
                Ok(in_memory(load(Split::Train)?, load(Split::Test)?, mean, std))
            }
            Self::Images(path) => {
                let cnn_data::Opened { form, train, test } = cnn_data::open(path)?;
                note(format!("{}: {form}", path.display()));
                let (train, test, undivided) = match test {
                    Some(test) => (train, test, None),
                    None => {
                        let (most, tenth) = Subset::split(train.clone(), 0.1, 0)?;
                        (Arc::new(most) as Arc<dyn Dataset>, Arc::new(tenth) as Arc<dyn Dataset>, Some(train))
                    }
                };
                let Input { mean, std, .. } = cnn_zoo::imagenet_input();
                Ok(Data { train, test, undivided, shape: None, mean, std })
            }
        }
    }
}

fn in_memory(train: InMemoryDataset, test: InMemoryDataset, mean: Vec<f32>, std: Vec<f32>) -> Data {
    let [_, c, h, w] = train.shape();
    Data { train: Arc::new(train), test: Arc::new(test), undivided: None, shape: Some([c, h, w]), mean, std }
}

impl Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images(path) => path.display().fmt(f),
            _ => f.write_str(&self.short()),
        }
    }
}

impl From<DatasetName> for String {
    fn from(name: DatasetName) -> Self {
        name.to_string()
    }
}

impl From<String> for DatasetName {
    fn from(name: String) -> Self {
        let known = NAMED.into_iter().find(|known| known.short() == name);
        known.unwrap_or_else(|| Self::Images(name.into()))
    }
}

impl FromStr for DatasetName {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(name.to_string().into())
    }
}

/// The first of a class's names: ImageNet's classes have several, from a few letters to a line.
pub fn first_name(class: &str) -> &str {
    class.split(", ").next().unwrap_or(class)
}
