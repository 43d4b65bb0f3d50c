//! The data sets that are known by name, and image folders, which are known by their paths.

use crate::named::{DatasetKind, NamedDataset};
use crate::{
    CifarFamily, ClassesFrom, DataError, Dataset, Emnist, MnistFamily, Opened, PassedOver, PathText, Split,
    Subset, imagenet,
};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt::{self, Debug, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// The data sets known by name, in the order in which messages list them.
static NAMED: [&dyn NamedDataset; 11] = [
    &MnistFamily::Mnist,
    &MnistFamily::FashionMnist,
    &MnistFamily::Kmnist,
    &MnistFamily::Emnist(Emnist::ByClass),
    &MnistFamily::Emnist(Emnist::ByMerge),
    &MnistFamily::Emnist(Emnist::Balanced),
    &MnistFamily::Emnist(Emnist::Letters),
    &MnistFamily::Emnist(Emnist::Digits),
    &CifarFamily::Cifar10,
    &CifarFamily::Cifar100,
    &CifarFamily::Cifar100Coarse,
];

/// A data set: one known by name, or images in files. Its text is the name, or else the path.
///
/// ```
/// use cnn_data::{DatasetKind, DatasetName};
/// let name: DatasetName = "emnist-letters".into();
/// assert_eq!((name.title(), name.side(), name.folder_name()), ("EMNIST Letters".into(), Some(28), Some("emnist")));
/// assert_eq!(name.kind(), Some(DatasetKind::MnistLike));
///
/// let photos: DatasetName = "photos/birds.tar".into();
/// assert_eq!((photos.to_string(), photos.short(), photos.side()), ("photos/birds.tar".into(), "birds".into(), None));
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "PathText", into = "PathText")]
pub enum DatasetName {
    /// A published data set.
    Named(&'static dyn NamedDataset),
    /// Images in a folder or archive, of any sizes.
    Images(PathBuf),
}

impl DatasetName {
    /// The names of all published data sets.
    ///
    /// ```
    /// let names = cnn_data::DatasetName::names();
    /// assert_eq!((names[0], names.len()), ("mnist", 11));
    /// ```
    pub fn names() -> Vec<&'static str> {
        NAMED.iter().map(|set| set.name()).collect()
    }

    /// The name as a title writes it; for images, [`DatasetName::short`].
    pub fn title(&self) -> String {
        match self {
            Self::Named(set) => set.title(),
            Self::Images(_) => self.short(),
        }
    }

    /// A name that can be part of a file's: the data set's, or that of the folder or archive without its ending.
    pub fn short(&self) -> String {
        match self {
            Self::Named(set) => set.name().into(),
            Self::Images(path) => {
                let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
                whole.file_stem().map_or_else(|| "images".into(), |stem| stem.to_string_lossy().into_owned())
            }
        }
    }

    /// Height and width of its images in pixels; `None` if they may have any size.
    pub fn side(&self) -> Option<usize> {
        match self {
            Self::Named(set) => Some(set.shape()[1]),
            Self::Images(_) => None,
        }
    }

    /// The kind of a published data set.
    pub fn kind(&self) -> Option<DatasetKind> {
        match self {
            Self::Named(set) => Some(set.kind()),
            Self::Images(_) => None,
        }
    }

    /// The name of the folder with the files of a published data set. Some sets share one: the parts of EMNIST, and the two
    /// labellings of CIFAR-100.
    pub fn folder_name(&self) -> Option<&'static str> {
        match self {
            Self::Named(set) => Some(set.folder_name()),
            Self::Images(_) => None,
        }
    }

    /// Opens the data set whose files lie at `folder`: the folder of a published one, or the folder or archive of images, which
    /// may have moved since it was named.
    ///
    /// ```
    /// use cnn_data::{Dataset, DatasetName};
    /// let mnist = DatasetName::from("mnist").open("../../datasets/mnist")?;
    /// assert_eq!((mnist.train.len(), mnist.test.len(), mnist.shape), (60_000, 10_000, Some([1, 28, 28])));
    /// assert_eq!((mnist.mean, mnist.std), (vec![0.1307], vec![0.3081]));
    /// # Ok::<(), cnn_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// A file is missing, cannot be read, or is not what it should be; see [`open`](crate::open) for the forms of images.
    pub fn open(&self, folder: impl AsRef<Path>) -> Result<Data, DataError> {
        self.open_with(folder, ClassesFrom::default())
    }

    /// [`DatasetName::open`], with a choice of the folders that are the classes of images.
    ///
    /// # Errors
    /// Those of [`DatasetName::open`].
    pub fn open_with(&self, folder: impl AsRef<Path>, classes: ClassesFrom) -> Result<Data, DataError> {
        let folder = folder.as_ref();
        match self {
            Self::Named(set) => {
                let load = |split| set.load(folder, split).map(Arc::new);
                let (mean, std) = set.statistics();
                Ok(Data {
                    train: load(Split::Train)?,
                    test: load(Split::Test)?,
                    undivided: None,
                    shape: Some(set.shape()),
                    mean,
                    std,
                    form: None,
                    passed_over: PassedOver::default(),
                })
            }
            Self::Images(_) => Data::of_images(crate::open_with(folder, classes)?),
        }
    }
}

/// An opened data set: images to learn from, images of the test, and how to normalise them.
#[derive(Clone)]
pub struct Data {
    /// The images to learn from.
    pub train: Arc<dyn Dataset>,
    /// The images of the test; the classes are the same.
    pub test: Arc<dyn Dataset>,
    /// All images, where the set is not divided. `test` is then a tenth of them, drawn by a fixed seed, and `train` the rest.
    pub undivided: Option<Arc<dyn Dataset>>,
    /// The extents of an image, `[c, h, w]`, if all are alike.
    pub shape: Option<[usize; 3]>,
    /// The mean of each channel, where black is 0 and white is 1. For images in files it is ImageNet's.
    pub mean: Vec<f32>,
    /// The standard deviation of each channel, likewise.
    pub std: Vec<f32>,
    /// How the path of images was understood, in a line for the user to check.
    pub form: Option<String>,
    /// The entries beside the images that were passed over, counted.
    pub passed_over: PassedOver,
}

impl Data {
    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        self.train.classes()
    }

    fn of_images(Opened { form, train, test, passed_over }: Opened) -> Result<Self, DataError> {
        let (train, test, undivided): (Arc<dyn Dataset>, Arc<dyn Dataset>, _) = match test {
            Some(test) => (train, test, None),
            None => {
                let (most, tenth) = Subset::split(train.clone(), 0.1, 0)?;
                (Arc::new(most), Arc::new(tenth), Some(train))
            }
        };
        let (mean, std) = (imagenet::MEAN.to_vec(), imagenet::STD.to_vec());
        Ok(Self { train, test, undivided, shape: None, mean, std, form: Some(form), passed_over })
    }
}

impl Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = (self.classes().len(), self.train.len(), self.test.len());
        f.debug_struct("Data").field("form", &self.form).field("classes, train, test", &sizes).finish()
    }
}

impl PartialEq for DatasetName {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Named(one), Self::Named(other)) => one.name() == other.name(),
            (Self::Images(one), Self::Images(other)) => one == other,
            _ => false,
        }
    }
}

impl Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(set) => f.write_str(set.name()),
            Self::Images(path) => write!(f, "{}", path.display()),
        }
    }
}

impl From<&str> for DatasetName {
    fn from(name: &str) -> Self {
        let known = NAMED.into_iter().find(|set| set.name() == name);
        known.map_or_else(|| Self::Images(name.into()), Self::Named)
    }
}

impl From<OsString> for DatasetName {
    fn from(name: OsString) -> Self {
        name.into_string().map_or_else(|path| Self::Images(path.into()), |name| name.as_str().into())
    }
}

impl From<PathText> for DatasetName {
    fn from(text: PathText) -> Self {
        PathBuf::from(text).into_os_string().into()
    }
}

impl From<DatasetName> for PathText {
    fn from(name: DatasetName) -> Self {
        match name {
            DatasetName::Named(set) => Self::Text(set.name().into()),
            DatasetName::Images(path) => path.into(),
        }
    }
}

impl FromStr for DatasetName {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(name.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{dot, write};
    use tempfile::TempDir;

    #[test]
    fn every_name_is_read_as_it_is_written_and_names_one_set() {
        for (i, name) in DatasetName::names().into_iter().enumerate() {
            let set: DatasetName = name.parse().unwrap();
            let DatasetName::Named(named) = set else { panic!("{name} is not known") };
            assert_eq!(named.name(), NAMED[i].name(), "two sets are called {name}");
            assert_eq!((set.to_string(), set.short()), (name.into(), name.into()));
            let json = serde_json::to_string(&set).unwrap();
            assert_eq!(json, format!("{name:?}"));
            assert_eq!(serde_json::from_str::<DatasetName>(&json).unwrap(), set);
            let ([c, h, w], (mean, std)) = (named.shape(), named.statistics());
            assert_eq!((h, mean.len(), std.len()), (w, c, c));
            assert!(mean.iter().chain(&std).all(|v| (0.0..1.0).contains(v)));
        }
    }

    #[test]
    fn titles_sides_kinds_and_folders() {
        let of = |name: &str| {
            let set = DatasetName::from(name);
            (set.title(), set.side().unwrap(), set.kind().unwrap(), set.folder_name().unwrap())
        };
        use DatasetKind::{Cifar, Mnist, MnistLike};
        assert_eq!(of("mnist"), ("MNIST".into(), 28, Mnist, "mnist"));
        assert_eq!(of("fashion-mnist"), ("Fashion-MNIST".into(), 28, MnistLike, "fashion-mnist"));
        assert_eq!(of("kmnist"), ("KMNIST".into(), 28, MnistLike, "kmnist"));
        assert_eq!(of("emnist-byclass"), ("EMNIST ByClass".into(), 28, MnistLike, "emnist"));
        assert_eq!(of("cifar10"), ("CIFAR-10".into(), 32, Cifar, "cifar10"));
        assert_eq!(of("cifar100-coarse"), ("CIFAR-100, coarse".into(), 32, Cifar, "cifar100"));
    }

    #[test]
    fn any_other_name_is_a_path() {
        let images: DatasetName = serde_json::from_str(r#""photos/mnist""#).unwrap();
        assert_eq!(images, DatasetName::Images("photos/mnist".into()));
        assert_eq!((images.short(), images.title(), images.kind()), ("mnist".into(), "mnist".into(), None));
        assert_ne!(images, "mnist".into());
        assert_eq!(serde_json::to_string(&images).unwrap(), r#""photos/mnist""#);
    }

    #[test]
    fn images_that_are_not_divided_lend_a_tenth_for_testing() {
        let folder = TempDir::new().unwrap();
        for i in 0..10 {
            write(
                folder.path(),
                &[(&format!("set/a/{i}.png"), &dot(i)), (&format!("set/b/{i}.png"), &dot(i))],
            );
        }
        let name = DatasetName::Images(folder.path().join("set"));
        let data = name.open(folder.path().join("set")).unwrap();
        assert_eq!((data.train.len(), data.test.len(), data.undivided.as_ref().unwrap().len()), (18, 2, 20));
        assert_eq!((data.classes(), data.shape), (&["a".to_string(), "b".into()][..], None));
        assert_eq!(data.mean, [0.485, 0.456, 0.406]);
        assert_eq!(data.std, [0.229, 0.224, 0.225]);
        assert_eq!(data.form.as_deref(), Some("an image folder, not divided"));
    }
}
