//! From a path to training and test images.

mod folders;
mod ilsvrc;
mod part;

use crate::files::Listing;
use crate::{DataError, Dataset, ImageFiles, PackedImages, PassedOver};
use part::Part;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The parts of a data set of images.
#[derive(Clone)]
pub struct Opened {
    /// How the path was understood, in a line for the user to check.
    pub form: String,
    /// The images to learn from; all, if the set is not divided ([`Subset::split`](crate::Subset::split) divides it).
    pub train: Arc<dyn Dataset>,
    /// The images of the test; the classes are the same.
    pub test: Option<Arc<dyn Dataset>>,
    /// The entries that were passed over, counted.
    pub passed_over: PassedOver,
}

impl Opened {
    fn new(form: impl Into<String>, train: ImageFiles, test: Option<ImageFiles>) -> Self {
        let passed_over = train.passed_over().clone();
        let test = test.map(|test| Arc::new(test) as Arc<dyn Dataset>);
        Self { form: form.into(), train: Arc::new(train), test, passed_over }
    }
}

impl Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = (self.train.classes().len(), self.train.len(), self.test.as_ref().map(|test| test.len()));
        f.debug_struct("Opened").field("form", &self.form).field("classes, train, test", &sizes).finish()
    }
}

/// Which folders are the classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClassesFrom {
    /// Those of the form that [`open`] finds.
    #[default]
    Form,
    /// The folders directly in the data set's, even if their names look like parts of a set: `train` may be a vehicle.
    Folders,
}

/// Opens the data set at `path`, which its content tells:
///
/// | path | understood as |
/// |---|---|
/// | a folder with `index.json`, or with such folders for training and for the test | [`PackedImages`] |
/// | a folder with tar archives: one `*train*.tar`, one `*val*.tar` (or folders `train`, `val`), and, where the validation images are not sorted into folders, one `*val*ground*truth*.txt`, with `*synsets*.txt` if the order is not the sorted one | ILSVRC2012's form ([`imagenet`](crate::imagenet)) |
/// | a folder or tar archive with folders `train` and `val`, and in each a folder for each class | image folders |
/// | a folder or tar archive with a folder for each class | an image folder that is not divided |
/// | a folder or tar archive of images `SYNSET_name.jpg` | [`imagenet::by_name`](crate::imagenet::by_name), not divided |
///
/// The folders of the parts may be called in any usual way: `train`, `Training`, `training_set`, `seg_train`, `tr`; `val`,
/// `valid`, `validation`, `dev`; `test`, `Testing`, `test-set`, `seg_test`, `eval`. A validation part is preferred to a test
/// part, since published tests often have no labels. A test part without a folder for each class has no labels, and is as if
/// it were not there. [`Opened::form`] says which folders were taken as which part, and which were not used. Two folders that
/// look like parts are never classes, unless [`ClassesFrom::Folders`] says so to [`open_with`].
///
/// One folder around everything, or around everything of a part, is passed through. Classes that are synsets of ILSVRC2012
/// get their words for names.
///
/// ```
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let folder = folder.path();
/// # for name in ["train/ants/a.png", "train/bees/b.png", "train/bees/c.png", "val/bees/d.png"] {
/// #     let path = folder.join(name);
/// #     std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
/// #     image::GrayImage::new(3, 2).save(path).expect("a file");
/// # }
/// // train/ants/a.png, train/bees/b.png, train/bees/c.png, val/bees/d.png
/// let set = cnn_data::open(folder)?;
/// assert_eq!(set.form, "image folders; taken as training set: train, as test set: val");
/// assert_eq!((set.train.classes()[0].as_str(), set.train.len()), ("ants", 3));
/// assert_eq!(set.test.map(|test| test.label(0)), Some(1));
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// # Errors
/// Something cannot be read, is not sound, or has none of these forms; or it is not clear which of several files is meant.
pub fn open(path: impl AsRef<Path>) -> Result<Opened, DataError> {
    open_with(path, ClassesFrom::default())
}

/// [`open`], with a choice of the folders that are classes.
///
/// ```
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let folder = folder.path();
/// # for name in ["bus/a.png", "test/b.png", "train/c.png"] {
/// #     let path = folder.join(name);
/// #     std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
/// #     image::GrayImage::new(3, 2).save(path).expect("a file");
/// # }
/// use cnn_data::{ClassesFrom, open, open_with};
/// // bus/a.png, test/b.png, train/c.png
/// assert!(open(folder).is_err());
/// let set = open_with(folder, ClassesFrom::Folders)?;
/// assert_eq!(set.train.classes(), ["bus", "test", "train"]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// # Errors
/// Those of [`open`].
pub fn open_with(path: impl AsRef<Path>, classes: ClassesFrom) -> Result<Opened, DataError> {
    let path = path.as_ref();
    let io = |source| DataError::Io { path: path.into(), action: "open", source };
    if classes == ClassesFrom::Folders {
        return folders::each_folder_a_class(&Listing::open(path)?);
    }
    if !fs::metadata(path).map_err(io)?.is_dir() {
        return folders::arranged(Listing::open(path)?);
    }
    if PackedImages::is_at(path) {
        let train = Arc::new(PackedImages::open(path)?);
        let form = "packed images, not divided".into();
        return Ok(Opened { form, train, test: None, passed_over: PassedOver::default() });
    }
    if let Some(packed) = packed(path)? {
        return Ok(packed);
    }
    match ilsvrc::Candidates::of(path)? {
        candidates if candidates.speak_of_ilsvrc() => candidates.open(path),
        _ => folders::arranged(Listing::open(path)?),
    }
}

/// Packed images in a folder for training, and perhaps one for the test.
fn packed(path: &Path) -> Result<Option<Opened>, DataError> {
    let packed: Vec<PathBuf> =
        folders_in(path)?.into_iter().filter(|folder| PackedImages::is_at(folder)).collect();
    let parts = Parts::of(path, packed.iter().filter_map(|folder| folder.file_name()?.to_str()))?;
    let Some(train) = parts.train else { return Ok(None) };
    let form = parts.form("packed images");
    let train_path = path.join(train);
    let train = PackedImages::open(&train_path)?;
    let test = parts.test.map(|test| -> Result<_, DataError> {
        let test = path.join(test);
        let images = PackedImages::open(&test)?;
        if images.classes() != train.classes() {
            let expected = format!("the {} classes of {}", train.classes().len(), train_path.display());
            return Err(DataError::layout(&test, expected, format!("{} others", images.classes().len())));
        }
        Ok(Arc::new(images) as Arc<dyn Dataset>)
    });
    let passed_over = PassedOver::default();
    Ok(Some(Opened { form, train: Arc::new(train), test: test.transpose()?, passed_over }))
}

/// A part that is not used for want of labels, in words.
fn without_labels(name: &str, images: usize) -> String {
    let noun = if images == 1 { "image has" } else { "images have" };
    format!("; not used: {name}, whose {images} {noun} no labels")
}

/// The folders in a folder.
fn folders_in(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let io = |action| move |source| DataError::Io { path: folder.into(), action, source };
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).map_err(io("open"))? {
        let path = entry.map_err(io("read"))?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort_unstable();
    Ok(folders)
}

/// Names in the roles of a data set's parts.
#[derive(Debug, Default)]
struct Parts<'a> {
    train: Option<&'a str>,
    /// The validation part, or else the test part.
    test: Option<&'a str>,
    /// A test part beside a validation part.
    spare: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// The parts among folders of those names in `place`.
    fn of(place: &Path, names: impl Iterator<Item = &'a str>) -> Result<Self, DataError> {
        let mut named: Vec<(Part, &str)> = names.filter_map(|name| Some((Part::of(name)?, name))).collect();
        named.sort_unstable();
        if let Some([(part, first), (_, second)]) = named.array_windows().find(|[a, b]| a.0 == b.0) {
            let got = format!("{first} and {second}; {}", folders::ADVICE);
            return Err(DataError::layout(place, format!("one folder for the {part}"), got));
        }
        let find = |part| named.iter().find(|(other, _)| *other == part).map(|(_, name)| *name);
        let (validation, test) = (find(Part::Validation), find(Part::Test));
        let spare = validation.and(test);
        Ok(Self { train: find(Part::Train), test: validation.or(test), spare })
    }

    /// The roles in words.
    fn form(&self, kind: &str) -> String {
        let train = self.train.unwrap_or("none");
        let test = match self.test {
            Some(test) => format!("as test set: {test}"),
            None => "no test set".into(),
        };
        let spare = self.spare.map_or(String::new(), |spare| format!("; not used: {spare}"));
        format!("{kind}; taken as training set: {train}, {test}{spare}")
    }
}

#[cfg(test)]
mod part_tests;
#[cfg(test)]
mod tests;
