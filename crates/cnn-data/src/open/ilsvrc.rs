//! ILSVRC2012's form, told by the names of the files in a folder.

use super::part::Part;
use super::{Opened, Parts, without_labels};
use crate::DataError;
use crate::files::{Listing, PassedOver};
use crate::imagenet::{self, Synsets};
use std::fs;
use std::path::{Path, PathBuf};

/// The files directly in a folder from which ILSVRC2012's form could be made.
pub(super) struct Candidates {
    folders: Vec<String>,
    tars: Vec<String>,
    truths: Vec<String>,
    lists: Vec<String>,
}

impl Candidates {
    pub(super) fn of(folder: &Path) -> Result<Self, DataError> {
        let io = |action| move |source| DataError::Io { path: folder.into(), action, source };
        let (mut names, mut folders) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(folder).map_err(io("open"))? {
            let entry = entry.map_err(io("read"))?;
            // A file of another name could not be spoken of.
            let Ok(name) = entry.file_name().into_string() else { continue };
            match fs::metadata(entry.path()) {
                Ok(found) if found.is_file() && !name.starts_with('.') => names.push(name),
                Ok(found) if found.is_dir() && !name.starts_with('.') => folders.push(name),
                _ => {}
            }
        }
        names.sort_unstable();
        folders.sort_unstable();
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
    pub(super) fn speak_of_ilsvrc(&self) -> bool {
        let part = |name: &String| matches!(part_of(name), Some(Part::Train | Part::Validation));
        !self.truths.is_empty()
            || self.tars.iter().any(part)
            || (!self.tars.is_empty() && self.folders.is_empty())
    }

    pub(super) fn open(&self, folder: &Path) -> Result<Opened, DataError> {
        let tars = |part: Part| -> Vec<String> {
            self.tars.iter().filter(|name| part_of(name) == Some(part)).cloned().collect()
        };
        let folders = Parts::of(folder, self.folders.iter().map(String::as_str))?;
        let train = match one(folder, "*train*.tar", &tars(Part::Train))? {
            Some(train) => Some(train),
            None => folders.train.map(|name| folder.join(name)),
        };
        let val = match one(folder, "*val*.tar", &tars(Part::Validation))? {
            Some(val) => Some(val),
            None => folders.test.map(|name| folder.join(name)),
        };
        let Some(train) = train else {
            let got = format!("{}: to use one archive alone, name the archive itself", self.tars.join(", "));
            return Err(DataError::layout(folder, "one archive *train*.tar or a folder train", got));
        };
        let truth = one(folder, "*val*ground*truth*.txt", &self.truths)?;
        let list = one(folder, "*synsets*.txt", &self.lists)?;
        let synsets = list.as_ref().map_or_else(|| Ok(Synsets::default()), Synsets::read)?;
        let mut remarks = String::new();
        let (test, test_path) = match val {
            Some(val) => {
                let listing = Listing::open(&val)?;
                (Some(imagenet::validation_of(&listing, truth.as_deref(), &synsets)?), Some(val))
            }
            // Only a test with labels is one: those of the challenge were never published.
            None => match one(folder, "*test*.tar", &tars(Part::Test))? {
                Some(test) => {
                    let listing = Listing::open(&test)?;
                    if listing.folders_with_images().is_empty() {
                        remarks = without_labels(&file_name(&test), listing.items.len());
                        (None, None)
                    } else {
                        (Some(imagenet::validation_of(&listing, None, &synsets)?), Some(test))
                    }
                }
                None => (None, None),
            },
        };
        let used = [Some(&train), test_path.as_ref(), truth.as_ref(), list.as_ref()];
        let used: Vec<_> = used.into_iter().flatten().map(|path| file_name(path)).collect();
        let form = format!("ILSVRC2012's form: {}{remarks}", used.join(", "));
        let train = imagenet::train(&train, &synsets)?;
        let mut passed_over = train.passed_over().clone();
        passed_over.extend(test.as_ref().map_or(&PassedOver::default(), |test| test.passed_over()));
        Ok(Opened { passed_over, ..Opened::new(form, train, test) })
    }
}

/// The part of which the name of an archive speaks. Letters beside the word do no harm: `imagenettrain.tar`.
fn part_of(name: &str) -> Option<Part> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let lower = stem.to_lowercase();
    Part::within(stem).or(match () {
        () if lower.contains("train") => Some(Part::Train),
        () if lower.contains("val") => Some(Part::Validation),
        () => None,
    })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
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
