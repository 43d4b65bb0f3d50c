//! The data sets that commands know by name, and folders and archives of images.

use crate::fault::Fault;
use cnn_data::{Dataset, Examples, MnistFamily, Split};
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
    /// Images in files: a folder or an archive.
    Images(PathBuf),
}

/// The names that stand for no path.
const FAMILIES: [MnistFamily; 2] = [MnistFamily::Mnist, MnistFamily::FashionMnist];

/// All names, for messages and help.
pub fn names() -> String {
    FAMILIES.map(MnistFamily::name).join(", ")
}

/// A data set, opened.
pub struct Data {
    pub train: Arc<dyn Examples>,
    pub test: Arc<dyn Examples>,
    /// `[c, h, w]`, if all images are alike.
    pub shape: Option<[usize; 3]>,
    /// Of each channel, where white is 1.
    pub mean: Vec<f32>,
    pub deviation: Vec<f32>,
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
            Self::Images(_) => self.short(),
        }
    }

    /// A name that can be part of a file's.
    pub fn short(&self) -> String {
        match self {
            Self::Mnist(family) => family.name().into(),
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
            Self::Mnist(family) => {
                let folder = root().join("datasets").join(family.name());
                let debian = Path::new("/usr/share/datasets/fashion-mnist");
                let packaged = *family == MnistFamily::FashionMnist && !folder.exists() && debian.exists();
                if packaged { debian.into() } else { folder }
            }
        }
    }

    /// Opens the data set, whose files are in `folder`.
    pub fn open(&self, folder: &Path) -> Result<Data, Fault> {
        match self {
            Self::Mnist(family) => {
                let load = |split| family.load(folder, split);
                let (mean, deviation) = (vec![family.mean()], vec![family.deviation()]);
                Ok(in_memory(load(Split::Train)?, load(Split::Test)?, mean, deviation))
            }
            Self::Images(path) => Err(Fault::usage(format!("{}: folders are to come", path.display()))),
        }
    }
}

fn in_memory(train: Dataset, test: Dataset, mean: Vec<f32>, deviation: Vec<f32>) -> Data {
    let [_, c, h, w] = train.shape();
    Data { train: Arc::new(train), test: Arc::new(test), shape: Some([c, h, w]), mean, deviation }
}

impl Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mnist(family) => f.write_str(family.name()),
            Self::Images(path) => path.display().fmt(f),
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
        match FAMILIES.into_iter().find(|family| family.name() == name) {
            Some(family) => Self::Mnist(family),
            None => Self::Images(name.into()),
        }
    }
}

impl FromStr for DatasetName {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(name.to_string().into())
    }
}

/// The workspace's folder.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).into()
}
