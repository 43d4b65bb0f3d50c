//! A published data set as the registry sees it, and what the files of such sets share.

use crate::{DataError, InMemoryDataset, Split};
use std::fmt::Debug;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A published data set of images of one size, which fits into memory.
///
/// A new one is a file with an implementation of this trait, and a line in the registry. [`MnistFamily`](crate::MnistFamily)
/// and [`CifarFamily`](crate::CifarFamily) are the examples.
pub trait NamedDataset: Debug + Send + Sync {
    /// The name by which commands and saved configurations know it: small letters, digits and `-`.
    fn name(&self) -> &'static str;

    /// The name as a title writes it.
    fn title(&self) -> String;

    /// The name of the folder with its files: its own name, unless it shares its files with another set.
    fn folder_name(&self) -> &'static str {
        self.name()
    }

    /// The kind, by which training recipes choose.
    fn kind(&self) -> DatasetKind;

    /// The extents of an image, `[c, h, w]`.
    fn shape(&self) -> [usize; 3];

    /// Whether its images are in the form of MNIST's, into which [`Digit`](crate::Digit) brings a picture.
    fn is_in_mnists_form(&self) -> bool {
        false
    }

    /// The mean and the standard deviation of each channel of the training images, where black is 0 and white is 1.
    fn statistics(&self) -> (Vec<f32>, Vec<f32>);

    /// Loads a split from the folder with its files.
    ///
    /// # Errors
    /// A file is missing, cannot be read, or is not what it should be.
    fn load(&self, folder: &Path, split: Split) -> Result<InMemoryDataset, DataError>;
}

/// The kinds of published data sets that are trained alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DatasetKind {
    /// MNIST itself.
    Mnist,
    /// Gray images in MNIST's form, harder to tell apart than its digits.
    MnistLike,
    /// Small photos in colour, as CIFAR-10 has them.
    Cifar,
}

/// The first of the paths that is a file, or is at least not a folder.
///
/// # Errors
/// The system refuses to say.
pub(crate) fn first_file(paths: impl IntoIterator<Item = PathBuf>) -> Result<Option<PathBuf>, DataError> {
    for path in paths {
        match path.metadata() {
            // Some archives wrap each file in a folder of the same name.
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Ok(Some(path)),
            Err(fault) if matches!(fault.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(source) => return Err(DataError::Io { path, action: "open", source }),
        }
    }
    Ok(None)
}

/// The names of classes as data sets hold them.
pub(crate) fn owned(classes: &[&str]) -> Vec<String> {
    classes.iter().map(|class| class.to_string()).collect()
}
