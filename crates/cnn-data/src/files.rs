//! Labelled image files, in folders and in tar archives.
//!
//! Only names are read at the beginning; a file is read and decoded when its picture is asked for, so a faulty one is an
//! error of that picture alone. An archive is read where it lies: one handle for it, and no thread waits for another.

mod archive;
mod listing;
pub(crate) mod shared;
mod source;

#[cfg(test)]
mod tests;

use crate::{DataError, Dataset, Identity, Picture};
pub(crate) use listing::Listing as Files;
use listing::Listing;
use source::{Item, Source};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

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
}

impl ImageFiles {
    /// A class for each folder in a folder or tar archive, in the order of their names; images may lie in further folders
    /// within. What is hidden, has no name of an image (`.jpg .jpeg .png .webp .bmp`) or lies beside the classes is passed
    /// over.
    ///
    /// # Errors
    /// The folder or archive cannot be read or is no sound archive, holds no classes, or one of them holds no image.
    pub fn by_folder(path: impl AsRef<Path>) -> Result<Self, DataError> {
        Self::of_folders(&Listing::open(path.as_ref())?.images(), None)
    }

    /// A class for each folder of the listing; or those classes, of which it may lack some.
    pub(crate) fn of_folders(listing: &Listing, classes: Option<&[String]>) -> Result<Self, DataError> {
        let found: BTreeSet<&str> = listing.subfolders();
        if found.is_empty() {
            let got = match listing.items.len() {
                0 => "no images".into(),
                images => format!("{images} images and no folders"),
            };
            return Err(DataError::layout(&listing.place(), "a folder of images for each class", got));
        }
        let classes =
            classes.map_or_else(|| found.iter().map(|name| name.to_string()).collect(), <[_]>::to_vec);
        let indices: HashMap<&str, u32> = classes.iter().map(String::as_str).zip(0..).collect();
        if let Some(unknown) = found.iter().find(|&&name| !indices.contains_key(name)) {
            let expected = format!("a folder for each of the {} classes", classes.len());
            return Err(DataError::layout(
                &listing.place(),
                expected,
                format!("{unknown:?}, which is none of them"),
            ));
        }
        let mut counts = vec![0usize; classes.len()];
        let (mut items, mut labels) = (Vec::new(), Vec::new());
        for item in &listing.items {
            if let Some((class, _)) = listing.below(item).split_once('/') {
                let label = indices[class];
                counts[label as usize] += 1;
                labels.push(label);
                items.push(item.clone());
            }
        }
        if let Some(empty) = found.iter().find(|&&name| counts[indices[name] as usize] == 0) {
            let folder = listing.place().join(empty);
            return Err(DataError::layout(
                &folder,
                "at least one image (.jpg .jpeg .png .webp .bmp)",
                "none",
            ));
        }
        Ok(Self::new(listing, items, labels, classes))
    }

    pub(crate) fn new(listing: &Listing, items: Vec<Item>, labels: Vec<u32>, classes: Vec<String>) -> Self {
        Self {
            source: Arc::clone(&listing.source),
            items: items.into(),
            labels: labels.into(),
            classes: classes.into(),
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

    fn identity(&self, i: usize) -> Identity<'_> {
        let item = &self.items[i];
        Identity::File { path: item.path.to_string(), size: self.source.size(item) }
    }

    fn encoded(&self, i: usize) -> Result<Option<Vec<u8>>, DataError> {
        self.source.read(&self.items[i]).map(Some)
    }
}
