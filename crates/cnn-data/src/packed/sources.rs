//! The sources of a packing: a list of what was packed, and how, by which a later run knows whether it has changed.

use super::write::write_json;
use super::{PackOptions, SOURCES, parse};
use crate::files::shared::SharedFile;
use crate::{DataError, Dataset, Encoding, Stamp};
use cnn_tensor::parallel;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// The first field of the file.
const FORMAT: &str = "cnn-data sources of packed images, version 1";

/// The content of `sources.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sources {
    format: String,
    origin: Option<String>,
    encoding: Encoding,
    shard_bytes: u64,
    classes: Vec<String>,
    images: Vec<Image>,
}

/// The label, name, size and time of an image's file: nanoseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Image(u32, String, Option<u64>, Option<i64>);

/// The relation of another packing to this one.
#[derive(Debug, PartialEq)]
pub(super) enum Compared {
    /// Of the same images as they are.
    Same,
    /// Of the same images before a change, the first of which is named.
    Changed(String),
    /// Something else, in words.
    Other(String),
}

impl Sources {
    pub(super) fn of(examples: &dyn Dataset, options: &PackOptions) -> Self {
        let image = |i: usize| {
            let Stamp { name, bytes, modified } = examples.stamp(i);
            let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let nanoseconds = since.and_then(|since| i64::try_from(since.as_nanos()).ok());
            Image(examples.label(i), name, bytes, nanoseconds)
        };
        Self {
            format: FORMAT.into(),
            origin: options.origin.as_ref().map(|origin| origin.display().to_string()),
            encoding: options.encoding,
            shard_bytes: options.shard_bytes,
            classes: examples.classes().to_vec(),
            images: parallel::map(examples.len(), image).into_iter().collect(),
        }
    }

    /// The sources in a folder; `None` if it has none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, DataError> {
        let path = folder.join(SOURCES);
        if !path.exists() {
            return Ok(None);
        }
        let file = SharedFile::open(&path)?;
        let sources: Self = parse(&path, &file.read(0, file.len())?)?;
        if sources.format != FORMAT {
            let got = format!("{:?}", sources.format);
            return Err(DataError::layout(&path, format!("format {FORMAT:?}"), got));
        }
        Ok(Some(sources))
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), DataError> {
        write_json(&folder.join(SOURCES), self)
    }

    /// A checksum of all but the origin, since a set may have been moved.
    pub(super) fn plan(&self) -> u32 {
        let all = (&self.encoding, self.shard_bytes, &self.classes, &self.images);
        crc32fast::hash(&serde_json::to_vec(&all).expect("plain data"))
    }

    /// The relation of a packing of the sources `earlier` to one of these.
    pub(super) fn compared_to(&self, earlier: &Self) -> Compared {
        if self.encoding != earlier.encoding {
            return Compared::Other("one with another encoding".into());
        }
        if self.shard_bytes != earlier.shard_bytes {
            return Compared::Other(format!("one with archives of {} bytes", earlier.shard_bytes));
        }
        let Some(change) = self.first_change(earlier) else { return Compared::Same };
        match (&self.origin, &earlier.origin) {
            (Some(new), Some(old)) if new != old => Compared::Other(format!("one of {old}")),
            _ => Compared::Changed(change),
        }
    }

    /// The first change since `earlier`, in words.
    fn first_change(&self, earlier: &Self) -> Option<String> {
        if self.classes != earlier.classes {
            let both = self.classes.iter().zip(&earlier.classes);
            return Some(match both.into_iter().find(|(new, old)| new != old) {
                Some((new, old)) => format!("the class {new:?} is where {old:?} was"),
                None => {
                    format!("there are {} classes, and were {}", self.classes.len(), earlier.classes.len())
                }
            });
        }
        let (new, old) = (&self.images, &earlier.images);
        let names =
            |images: &[Image]| -> HashSet<String> { images.iter().map(|image| image.1.clone()).collect() };
        match new.iter().zip(old).find(|(new, old)| new != old) {
            Some((new, old)) if new.1 == old.1 => Some(new.change(old)),
            Some((new, old)) if names(&self.images).contains(&old.1) => {
                match names(&earlier.images).contains(&new.1) {
                    true => Some(format!("{} is in another place", new.1)),
                    false => Some(format!("{} is new", new.1)),
                }
            }
            Some((_, old)) => Some(format!("{} is gone", old.1)),
            None if new.len() > old.len() => Some(format!("{} is new", new[old.len()].1)),
            None if new.len() < old.len() => Some(format!("{} is gone", old[new.len()].1)),
            None => None,
        }
    }
}

impl Image {
    /// The change of an image since it was `old`, under the same name.
    fn change(&self, old: &Self) -> String {
        let Self(label, name, bytes, _) = self;
        if *label != old.0 {
            return format!("{name} has label {label}, and had {}", old.0);
        }
        match (bytes, old.2) {
            (Some(new), Some(old)) if *new != old => format!("{name} has {new} bytes, and had {old}"),
            _ => format!("{name} was written anew"),
        }
    }
}
