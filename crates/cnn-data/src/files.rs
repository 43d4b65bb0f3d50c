//! Labelled image files, in folders and in tar archives.
//!
//! Only names are read at the beginning; a file is read and decoded when its picture is asked for, so a faulty one is an
//! error of that picture alone. An archive is read where it lies: one handle for it, and no thread waits for another.

mod archive;
mod entry;
mod listing;
pub(crate) mod name;
mod passed;
pub(crate) mod shared;
mod source;

#[cfg(test)]
mod entry_tests;
#[cfg(test)]
mod tests;

use crate::{DataError, Dataset, Picture, Stamp};
pub(crate) use listing::{Listing, holds_images, split};
pub use passed::{PassedOver, Reason};
use source::{Item, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The longest name of a class, in bytes: as long as systems let the name of a folder be.
const LONGEST_CLASS: usize = 255;

/// Labelled images in the files of a folder or tar archive.
///
/// ```
/// use cnn_data::{Dataset, ImageFiles};
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let folder = folder.path();
/// # for (class, name) in [("ants", "a.png"), ("bees", "b.png"), ("bees", "c.png")] {
/// #     std::fs::create_dir_all(folder.join(class)).expect("a folder");
/// #     image::GrayImage::new(3, 2).save(folder.join(class).join(name)).expect("a file");
/// # }
/// // ants/a.png, bees/b.png, bees/c.png
/// let set = ImageFiles::by_folder(folder)?;
/// assert_eq!((set.classes(), set.class_counts()), (&["ants".into(), "bees".into()][..], vec![1, 2]));
/// assert_eq!(set.picture(0)?.shape(), [1, 2, 3]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageFiles {
    source: Arc<Source>,
    items: Arc<[Item]>,
    labels: Arc<[u32]>,
    classes: Arc<[String]>,
    passed: Arc<PassedOver>,
}

impl ImageFiles {
    /// A class for each folder in a folder or tar archive, in the order of their names; images may lie in further folders
    /// within. Images are told by the endings of their names (`.jpg .jpeg .jpe .jfif .png .webp .bmp .pgm .ppm` and others
    /// like them), or by their content if the ending is another or none. All else is passed over and counted
    /// ([`ImageFiles::passed_over`]): hidden files, leftovers of other programs, links that lead nowhere, folders without
    /// images, and images beside the folders.
    ///
    /// # Errors
    /// The folder, or one in it, or the archive cannot be read; it is not a sound archive; or no folder in it holds images.
    pub fn by_folder(path: impl AsRef<Path>) -> Result<Self, DataError> {
        Self::of_folders(&Listing::open(path.as_ref())?, None)
    }

    /// All images in a folder or tar archive, at any depth, in the order of their paths. None has a class: all have label 0, of one
    /// class without a name. Other entries are passed over as by [`ImageFiles::by_folder`].
    ///
    /// # Errors
    /// The folder, or one in it, or the archive cannot be read; it is not a sound archive; or it has no images.
    pub fn unlabelled(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let listing = Listing::open(path.as_ref())?;
        if listing.items.is_empty() {
            return Err(DataError::layout(&listing.place(), "images", listing.without("none")));
        }
        let labels = vec![0; listing.items.len()];
        Ok(Self::new(&listing, listing.items.clone(), labels, vec![String::new()]))
    }

    /// A class for each folder of the listing; or those classes, of which it may lack some.
    pub(crate) fn of_folders(listing: &Listing, classes: Option<&[String]>) -> Result<Self, DataError> {
        let mut passed = listing.passed.clone();
        let found = classes_by_folder(listing)?;
        for empty in listing.subfolders().into_iter().filter(|name| !found.contains_key(name)) {
            passed.add(Reason::NoImages, empty);
        }
        if found.is_empty() {
            let got = match listing.items.len() {
                0 => "no images".into(),
                1 => "1 image and no folders with images".into(),
                images => format!("{images} images and no folders with images"),
            };
            let expected = "a folder of images for each class";
            return Err(DataError::layout(&listing.place(), expected, listing.without(&got)));
        }
        let classes = classes.map_or_else(|| found.values().cloned().collect(), <[_]>::to_vec);
        let indices: BTreeMap<&str, u32> = classes.iter().map(String::as_str).zip(0..).collect();
        if let Some(unknown) = found.values().find(|name| !indices.contains_key(name.as_str())) {
            let expected = match classes.len() {
                1 => "a folder for the 1 class".into(),
                n => format!("a folder for each of the {n} classes"),
            };
            let got = format!("{unknown:?}, which is not one of them");
            return Err(DataError::layout(&listing.place(), expected, got));
        }
        let (mut items, mut labels) = (Vec::new(), Vec::new());
        for item in &listing.items {
            match split(listing.below(item)) {
                Some((class, _)) => {
                    labels.push(indices[found[class].as_str()]);
                    items.push(item.clone());
                }
                None => passed.add(Reason::NoClass, &item.path),
            }
        }
        Ok(Self { passed: passed.into(), ..Self::new(listing, items, labels, classes) })
    }

    pub(crate) fn new(listing: &Listing, items: Vec<Item>, labels: Vec<u32>, classes: Vec<String>) -> Self {
        Self {
            source: Arc::clone(&listing.source),
            items: items.into(),
            labels: labels.into(),
            classes: classes.into(),
            passed: Arc::new(listing.passed.clone()),
        }
    }

    /// The same, the classes under other names.
    pub(crate) fn named(self, names: Vec<String>) -> Self {
        assert_eq!(names.len(), self.classes.len());
        Self { classes: names.into(), ..self }
    }

    /// The folder or archive.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// The name of example `i` without folders.
    pub(crate) fn file_name(&self, i: usize) -> String {
        let path = name::text(&self.items[i].path);
        path.rsplit('/').next().unwrap_or_default().to_string()
    }

    /// The entries of the folder or archive that were passed over, counted.
    pub fn passed_over(&self) -> &PassedOver {
        &self.passed
    }
}

impl Dataset for ImageFiles {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, i: usize) -> u32 {
        self.labels[i]
    }

    fn picture(&self, i: usize) -> Result<Picture<'_>, DataError> {
        let item = &self.items[i];
        Picture::decode(&self.source.name(item), &self.source.read(item)?)
    }

    fn name(&self, i: usize) -> String {
        self.source.name(&self.items[i])
    }

    fn encoded(&self, i: usize) -> Result<Option<Vec<u8>>, DataError> {
        self.source.read(&self.items[i]).map(Some)
    }

    fn stamp(&self, i: usize) -> Stamp {
        self.source.stamp(&self.items[i])
    }
}

/// The names of the classes by their folders, which are in the order of the names.
fn classes_by_folder(listing: &Listing) -> Result<BTreeMap<&[u8], String>, DataError> {
    let found: BTreeMap<&[u8], String> =
        listing.folders_with_images().into_iter().map(|folder| (folder, name::text(folder))).collect();
    let refuse = |expected: String, got: String| Err(DataError::layout(&listing.place(), expected, got));
    if let Some(long) = found.values().find(|name| name.len() > LONGEST_CLASS) {
        let start: String = long.chars().take(40).collect();
        let expected = format!("names of classes of at most {LONGEST_CLASS} bytes");
        return refuse(expected, format!("{start:?} and {} bytes in all", long.len()));
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = found.values().find(|name| !names.insert(name.as_str())) {
        return refuse("another name for each class".into(), format!("two folders shown as {twice:?}"));
    }
    Ok(found)
}
