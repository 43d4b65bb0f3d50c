//! The images that a command line names: files, and all images in folders.

use crate::fault::{Fault, note};
use crate::progress;
use cnn_data::{Dataset, ImageFiles, Picture};
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};

/// The images at one path.
pub enum Found {
    File(PathBuf),
    Folder(ImageFiles),
}

/// One of the images.
pub enum Image<'a> {
    File(&'a Path),
    Member(&'a ImageFiles, usize),
}

/// The images at the paths. A file is not opened yet.
///
/// # Errors
/// A folder cannot be read or has no images.
pub fn find(paths: &[PathBuf]) -> Result<Vec<Found>, Fault> {
    let found = |path: &PathBuf| match path.is_dir() {
        true => Ok(Found::Folder(ImageFiles::unlabelled(path)?)),
        false => Ok(Found::File(path.clone())),
    };
    paths.iter().map(found).collect()
}

/// Images that were gone through.
#[derive(Default)]
pub struct Gone {
    /// How many there were.
    pub all: usize,
    faults: Vec<Fault>,
}

/// Goes through all images: `answer` gives an answer for each, and `take` takes it, with the bar for lines above it. An image
/// without an answer is passed over, and named if it is not the only one.
///
/// # Errors
/// Those of `take`.
pub fn go_through<T>(
    found: &[Found],
    mut answer: impl FnMut(&Image<'_>) -> Result<T, Fault>,
    mut take: impl FnMut(&Image<'_>, T, &ProgressBar) -> Result<(), Fault>,
) -> Result<Gone, Fault> {
    let mut gone = Gone { all: found.iter().map(Found::len).sum(), faults: Vec::new() };
    let bar = bar(gone.all);
    for image in found.iter().flat_map(Found::images) {
        let answer = answer(&image);
        bar.inc(1);
        match answer {
            Ok(answer) => take(&image, answer, &bar)?,
            Err(fault) => {
                // A single image's fault is the command's.
                if gone.all > 1 {
                    bar.suspend(|| note(format!("passed over: {}", fault.message)));
                }
                gone.faults.push(fault);
            }
        }
    }
    bar.finish_and_clear();
    Ok(gone)
}

impl Gone {
    /// The same, unless there was one image, with a fault, which is then the command's.
    ///
    /// # Errors
    /// That fault.
    pub fn unless_the_only_one(mut self) -> Result<Self, Fault> {
        match (self.faults.len(), self.all) {
            (1, 1) => Err(self.faults.remove(0)),
            _ => Ok(self),
        }
    }

    /// What the command ends with, if some images could not be `done`, such as answered.
    ///
    /// # Errors
    /// There are such images.
    pub fn end(self, done: &str) -> Result<(), Fault> {
        let Self { faults, all } = self.unless_the_only_one()?;
        match faults.len() {
            0 => Ok(()),
            bad => Err(Fault {
                status: 1,
                message: format!("{bad} of {all} images could not be {done}, named above"),
            }),
        }
    }
}

/// A bar over so many images; of a single one it would be a flicker.
pub fn bar(images: usize) -> ProgressBar {
    if images < 2 {
        return ProgressBar::hidden();
    }
    progress::bar(Some(images as u64), "{pos}/{len} images  [{bar:30}] {per_sec}  {remaining} left")
}

impl Found {
    pub fn len(&self) -> usize {
        match self {
            Self::File(_) => 1,
            Self::Folder(set) => set.len(),
        }
    }

    /// The images, the files of a folder in the order of their names.
    pub fn images(&self) -> impl Iterator<Item = Image<'_>> {
        (0..self.len()).map(|i| match self {
            Self::File(path) => Image::File(path),
            Self::Folder(set) => Image::Member(set, i),
        })
    }
}

impl Image<'_> {
    /// Its path, in which bytes that are not UTF-8 are replaced.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Member(set, i) => set.name(*i),
        }
    }

    /// Its pixels.
    ///
    /// # Errors
    /// It cannot be read or decoded.
    pub fn picture(&self) -> Result<Picture<'static>, Fault> {
        match self {
            Self::File(path) => Ok(Picture::read(path)?),
            Self::Member(set, i) => Ok(set.picture(*i)?.into_owned()),
        }
    }

    /// A network's answer for it, by its path or its pixels.
    ///
    /// # Errors
    /// It cannot be read, or the network cannot take it; the error names the image.
    pub fn answer<T>(
        &self,
        by_path: impl FnOnce(&Path) -> Result<T, cnn::Error>,
        by_picture: impl FnOnce(Picture<'static>) -> Result<T, cnn::Error>,
    ) -> Result<T, Fault> {
        match self {
            Self::File(path) => Ok(by_path(path)?),
            Self::Member(..) => by_picture(self.picture()?).map_err(|fault| {
                let message = format!("{}: {fault}", self.name());
                Fault { status: 1, message }
            }),
        }
    }
}
