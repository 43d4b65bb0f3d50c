//! From a path that somebody typed to training and test images.

use crate::files::Files;
use crate::imagenet::{self, Synsets};
use crate::{DataError, Dataset, ImageFiles, PackedImages};
use std::fmt::{self, Debug};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The names of a folder of test images, the first that is there.
const TEST: [&str; 4] = ["val", "valid", "validation", "test"];

/// The parts of a data set of images.
#[derive(Clone)]
pub struct Opened {
    /// How the path was understood, for people to check.
    pub form: String,
    /// What a model learns from; everything, if the set is not divided ([`Subset::split`](crate::Subset::split) divides it).
    pub train: Arc<dyn Dataset>,
    /// What it is judged by; the classes are the same.
    pub test: Option<Arc<dyn Dataset>>,
}

impl Opened {
    fn new(form: impl Into<String>, train: impl Dataset + 'static, test: Option<ImageFiles>) -> Self {
        let test = test.map(|test| Arc::new(test) as Arc<dyn Dataset>);
        Self { form: form.into(), train: Arc::new(train), test }
    }
}

impl Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = (self.train.classes().len(), self.train.len(), self.test.as_ref().map(|test| test.len()));
        f.debug_struct("Opened").field("form", &self.form).field("classes, train, test", &sizes).finish()
    }
}

/// Opens the data set at `path`, which its content tells:
///
/// | path | understood as |
/// |---|---|
/// | a folder with `index.json`, or with such folders `train` and `val` | [`PackedImages`] |
/// | a folder with tar archives: one `*train*.tar`, one `*val*.tar` (or folders `train`, `val`), and, where the validation images are not sorted into folders, one `*val*ground*truth*.txt`, with `*synsets*.txt` if the order is not the sorted one | ILSVRC2012's form ([`imagenet`]) |
/// | a folder or tar archive with folders `train` and `val`, and in each a folder for each class | image folders |
/// | a folder or tar archive with a folder for each class | an image folder that is not divided |
/// | a folder or tar archive of images `SYNSET_name.jpg` | [`imagenet::by_name`], not divided |
///
/// `val` may also be called `valid`, `validation` or `test`; one folder around everything is passed through. Classes that are
/// synsets of ILSVRC2012 get their words for names.
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
/// assert_eq!(set.form, "image folders train and val");
/// assert_eq!((set.train.classes()[0].as_str(), set.train.len()), ("ants", 3));
/// assert_eq!(set.test.map(|test| test.label(0)), Some(1));
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// # Errors
/// Something cannot be read, is not sound, or is none of these forms; or it is not clear which of several files is meant.
pub fn open(path: impl AsRef<Path>) -> Result<Opened, DataError> {
    let path = path.as_ref();
    let io = |source| DataError::Io { path: path.into(), action: "open", source };
    if !fs::metadata(path).map_err(io)?.is_dir() {
        return arranged(Files::open(path)?.images());
    }
    if path.join(PackedImages::INDEX).exists() {
        return Ok(Opened::new("packed images, not divided", PackedImages::open(path)?, None));
    }
    if path.join("train").join(PackedImages::INDEX).exists() {
        return packed(path);
    }
    let candidates = Candidates::of(path)?;
    if !candidates.speak_of_ilsvrc() {
        return arranged(Files::open(path)?.images());
    }
    candidates.open(path)
}

/// Packed images in `train` and a folder of test images.
fn packed(path: &Path) -> Result<Opened, DataError> {
    let train = PackedImages::open(path.join("train"))?;
    let test = TEST.iter().map(|name| path.join(name)).find(|test| test.join(PackedImages::INDEX).exists());
    let test = test.map(|test| -> Result<_, DataError> {
        let images = PackedImages::open(&test)?;
        if images.classes() != train.classes() {
            let expected =
                format!("the {} classes of {}", train.classes().len(), path.join("train").display());
            return Err(DataError::layout(&test, expected, format!("{} others", images.classes().len())));
        }
        Ok(Arc::new(images) as Arc<dyn Dataset>)
    });
    Ok(Opened { form: "packed images".into(), train: Arc::new(train), test: test.transpose()? })
}

/// Folders of images, in a folder or in an archive.
fn arranged(mut listing: Files) -> Result<Opened, DataError> {
    // A folder around everything: the only thing there, with folders of its own in it.
    loop {
        let folders: Vec<&str> = listing.subfolders().into_iter().collect();
        let [only] = folders[..] else { break };
        let only = only.to_string();
        match listing.folder(&only) {
            Some(inner)
                if only != "train" && !listing.has_loose_items() && !inner.subfolders().is_empty() =>
            {
                listing = inner
            }
            _ => break,
        }
    }
    if let Some(train) = listing.folder("train") {
        let train = ImageFiles::of_folders(&train, None)?;
        let found = TEST.iter().find_map(|name| Some((*name, listing.folder(name)?)));
        let form = match &found {
            Some((name, _)) => format!("image folders train and {name}"),
            None => "an image folder train, and none for testing".into(),
        };
        let test = found.map(|(_, test)| ImageFiles::of_folders(&test, Some(train.classes()))).transpose()?;
        return Ok(Opened::new(form, in_words(train), test.map(in_words)));
    }
    if listing.subfolders().is_empty() {
        let flat = imagenet::by_name_of(&listing)?;
        return Ok(Opened::new("images named by synset, not divided", flat, None));
    }
    let images = in_words(ImageFiles::of_folders(&listing, None)?);
    Ok(Opened::new("an image folder, not divided", images, None))
}

/// The same images, their classes called by words if they are all synsets of ILSVRC2012.
fn in_words(images: ImageFiles) -> ImageFiles {
    let words: Option<Vec<String>> =
        images.classes().iter().map(|class| imagenet::words(class).map(String::from)).collect();
    match words {
        Some(words) => images.named(words),
        None => images,
    }
}

/// The files directly in a folder from which ILSVRC2012's form could be made.
struct Candidates {
    /// Whether there are folders beside them.
    folders: bool,
    tars: Vec<String>,
    truths: Vec<String>,
    lists: Vec<String>,
}

impl Candidates {
    fn of(folder: &Path) -> Result<Self, DataError> {
        let io = |action| move |source| DataError::Io { path: folder.into(), action, source };
        let (mut names, mut folders) = (Vec::new(), false);
        for entry in fs::read_dir(folder).map_err(io("open"))? {
            let entry = entry.map_err(io("read"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            match fs::metadata(entry.path()) {
                Ok(found) if found.is_file() && !name.starts_with('.') => names.push(name),
                Ok(found) if found.is_dir() && !name.starts_with('.') => folders = true,
                _ => {}
            }
        }
        names.sort_unstable();
        let matching = |ending: &str, parts: &[&str]| -> Vec<String> {
            let matches = |name: &&String| {
                let name = name.to_lowercase();
                name.ends_with(ending) && parts.iter().all(|part| name.contains(part))
            };
            names.iter().filter(matches).cloned().collect()
        };
        Ok(Self {
            folders,
            tars: matching(".tar", &[]),
            truths: matching(".txt", &["val", "ground", "truth"]),
            lists: matching(".txt", &["synsets"]),
        })
    }

    /// Whether the folder is to be understood as ILSVRC2012's form: for its names, or because nothing else is there.
    fn speak_of_ilsvrc(&self) -> bool {
        let part = |name: &String| ["train", "val"].iter().any(|part| name.to_lowercase().contains(part));
        !self.truths.is_empty() || self.tars.iter().any(part) || (!self.tars.is_empty() && !self.folders)
    }

    fn open(&self, folder: &Path) -> Result<Opened, DataError> {
        let named = |part: &str, unlike: &str| -> Vec<String> {
            let matches = |name: &&String| {
                let name = name.to_lowercase();
                name.contains(part) && (unlike.is_empty() || !name.contains(unlike))
            };
            self.tars.iter().filter(matches).cloned().collect()
        };
        let train = match one(folder, "*train*.tar", &named("train", ""))? {
            Some(train) => Some(train),
            None => existing(folder, &["train"]),
        };
        let val = match one(folder, "*val*.tar", &named("val", "train"))? {
            Some(val) => Some(val),
            None => existing(folder, &TEST),
        };
        let Some(train) = train else {
            let got = format!("{}: to use one archive alone, name the archive itself", self.tars.join(", "));
            return Err(DataError::layout(folder, "one archive *train*.tar or a folder train", got));
        };
        let truth = one(folder, "*val*ground*truth*.txt", &self.truths)?;
        let list = one(folder, "*synsets*.txt", &self.lists)?;
        let synsets = list.as_ref().map_or_else(|| Ok(Synsets::default()), Synsets::read)?;
        let test = match &val {
            Some(val) => Some(imagenet::validation(val, truth.as_deref(), &synsets)?),
            None => None,
        };
        let used = [Some(&train), val.as_ref(), truth.as_ref(), list.as_ref()];
        let used: Vec<_> = used.iter().flatten().filter_map(|path| path.file_name()?.to_str()).collect();
        let form = format!("ILSVRC2012's form: {}", used.join(", "));
        Ok(Opened::new(form, imagenet::train(&train, &synsets)?, test))
    }
}

/// The only file of its kind; an error if there are several.
fn one(folder: &Path, kind: &str, names: &[String]) -> Result<Option<PathBuf>, DataError> {
    match names {
        [] => Ok(None),
        [name] => Ok(Some(folder.join(name))),
        several => {
            let expected = format!("one file {kind}");
            Err(DataError::layout(folder, expected, format!("{}: {}", several.len(), several.join(", "))))
        }
    }
}

/// The first of those folders that is there.
fn existing(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| folder.join(name)).find(|path| path.is_dir())
}

#[cfg(test)]
mod tests;
