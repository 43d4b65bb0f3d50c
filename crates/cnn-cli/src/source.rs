//! The images of an index: the part of a data set that they were taken from.

use crate::datasets::{self, ClassesArg};
use crate::fault::Fault;
use cnn_data::{Data, DataError, Dataset, DatasetName, ImageFiles, Picture, Stamp, Subset};
use std::fmt::{self, Display};
use std::path::Path;
use std::sync::Arc;

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Train,
    Test,
    All,
}

const PARTS: [(Part, &str); 3] = [(Part::Train, "train"), (Part::Test, "test"), (Part::All, "all")];

/// A part by its name, for a command line.
pub fn part_name(name: &str) -> Result<Part, String> {
    let found = PARTS.into_iter().find(|(_, known)| *known == name);
    found.map(|(part, _)| part).ok_or_else(|| format!("expected train, test or all, got {name}"))
}

impl Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PARTS.iter().find(|(part, _)| part == self).map_or(Ok(()), |(_, name)| f.write_str(name))
    }
}

/// An open data set.
pub enum Source {
    /// With classes, and perhaps divided.
    Labelled(Data),
    /// Images alone.
    Unlabelled(Arc<dyn Dataset>),
}

impl Source {
    /// Opens a data set, or a folder of images without classes.
    pub fn open(name: &DatasetName, data_dir: Option<&Path>, classes: ClassesArg) -> Result<Self, Fault> {
        let fault = match datasets::open(name, data_dir, classes.choice().unwrap_or_default()) {
            Ok(data) => return Ok(Self::Labelled(data)),
            Err(fault) => fault,
        };
        // A folder without folders: its images have no classes.
        if let DatasetName::Images(path) = name
            && path.is_dir()
            && let Ok(set) = ImageFiles::unlabelled(path)
            && (0..set.len()).all(|i| Path::new(&set.name(i)).parent() == Some(path))
        {
            return Ok(Self::Unlabelled(Arc::new(set)));
        }
        Err(fault)
    }

    /// A part, or `limit` of its images, and its name, by which [`Source::reopen`] finds the same images.
    pub fn part(
        &self,
        part: Option<Part>,
        limit: Option<usize>,
    ) -> Result<(String, Arc<dyn Dataset>), Fault> {
        let (part, set): (Part, Arc<dyn Dataset>) = match (self, part) {
            (Self::Unlabelled(set), None | Some(Part::All)) => (Part::All, set.clone()),
            (Self::Unlabelled(_), Some(part)) => {
                return Err(Fault::usage(format!(
                    "--part: expected all, as these images are not divided, got {part}"
                )));
            }
            (Self::Labelled(Data { undivided: Some(all), .. }), None | Some(Part::All)) => {
                (Part::All, all.clone())
            }
            (Self::Labelled(data), None | Some(Part::Train)) => (Part::Train, data.train.clone()),
            (Self::Labelled(data), Some(Part::Test)) => (Part::Test, data.test.clone()),
            (Self::Labelled(data), Some(Part::All)) => {
                (Part::All, Arc::new(Both(data.train.clone(), data.test.clone())))
            }
        };
        Ok(match limit {
            Some(limit) => (format!("{part}, {limit} evenly"), Arc::new(Subset::evenly(set, limit, 0))),
            None => (part.to_string(), set),
        })
    }

    /// The images of a part by the name that [`Source::part`] gave; `None` if it is not such a name.
    pub fn reopen(&self, name: &str) -> Option<Arc<dyn Dataset>> {
        let (part, limit) = match name.split_once(", ") {
            Some((part, limit)) => (part, Some(limit.strip_suffix(" evenly")?.parse().ok()?)),
            None => (name, None),
        };
        Some(self.part(Some(part_name(part).ok()?), limit).ok()?.1)
    }
}

/// A data set as an index names it: a name, or a path from the root, so that it is found from everywhere.
pub fn written(name: &DatasetName) -> String {
    match name {
        DatasetName::Named(_) => name.to_string(),
        DatasetName::Images(path) => {
            path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string()
        }
    }
}

/// One set after the other; both have the same classes.
struct Both(Arc<dyn Dataset>, Arc<dyn Dataset>);

impl Both {
    /// The set that has example `i`, and its number there.
    fn find(&self, i: usize) -> (&dyn Dataset, usize) {
        if i < self.0.len() { (&*self.0, i) } else { (&*self.1, i - self.0.len()) }
    }
}

impl Dataset for Both {
    fn len(&self) -> usize {
        self.0.len() + self.1.len()
    }

    fn classes(&self) -> &[String] {
        self.0.classes()
    }

    fn label(&self, i: usize) -> u32 {
        let (set, i) = self.find(i);
        set.label(i)
    }

    fn picture(&self, i: usize) -> Result<Picture<'_>, DataError> {
        let (set, i) = self.find(i);
        set.picture(i)
    }

    fn name(&self, i: usize) -> String {
        let (set, i) = self.find(i);
        set.name(i)
    }

    fn stamp(&self, i: usize) -> Stamp {
        let (set, i) = self.find(i);
        set.stamp(i)
    }

    fn shape(&self) -> Option<[usize; 3]> {
        self.0.shape().filter(|shape| self.1.shape() == Some(*shape))
    }
}
