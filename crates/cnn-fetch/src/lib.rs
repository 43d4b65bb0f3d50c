//! Downloading of published files, such as data sets and weights, so that nothing incomplete or wrong is ever taken for them.
//!
//! A file arrives as `NAME.part`, where an interrupted download goes on; it gets its name when its length and SHA-256
//! are right, and not before: as far as they are published, since of some files only a rounded length and the first digits of
//! the SHA-256 are. Bytes that turn out wrong are removed. What is there already and right is not fetched
//! again, whether it is packed as published, packed otherwise, or unpacked.
//!
//! ```no_run
//! use cnn_fetch::{Downloader, Event, PublishedSet};
//! let set = PublishedSet::named("cifar10").expect("one of PublishedSet::NAMES");
//! Downloader::default().fetch(&set, "datasets/cifar10".as_ref(), |event| {
//!     if let Event::Progress { name, done, bytes, .. } = event {
//!         eprintln!("{name}: {done} of {bytes} bytes");
//!     }
//! })?;
//! # Ok::<(), cnn_data::DataError>(())
//! ```
#![forbid(unsafe_code)]

mod catalogue;
mod part;
mod transfer;
mod verify;

use cnn_data::DataError;
use part::Part;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;
use transfer::{Failure, Transfer};

/// Files that are published together, such as a data set, and where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedSet {
    /// The name by which commands know it.
    pub name: String,
    /// The beginnings of its URLs, to the last slash; the first is asked first.
    pub mirrors: Vec<String>,
    /// Its files.
    pub files: Vec<PublishedFile>,
}

/// A file as published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedFile {
    /// The name, which is also the end of its URLs.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// By how many bytes the length may differ: 0 where it is published exactly.
    pub tolerance: u64,
    /// Its SHA-256, 64 hexadecimal digits; or at least the first 8 of them, where no more are published.
    pub sha256: String,
    /// The files that it unpacks to, as far as they are known: one compressed otherwise, or not at all, is as good.
    pub content: Vec<Content>,
}

impl PublishedFile {
    /// The lengths that it may have.
    fn lengths(&self) -> RangeInclusive<u64> {
        self.bytes.saturating_sub(self.tolerance)..=self.bytes.saturating_add(self.tolerance)
    }
}

/// A file that a published one unpacks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The path relative to the folder, with slashes.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

/// A report of a download.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The file is there and right; nothing is fetched.
    Present {
        /// The file.
        name: &'a str,
    },
    /// There is a file of that name that is neither complete nor right; it will be replaced.
    Wrong {
        /// The file.
        path: &'a Path,
    },
    /// A transfer begins.
    Start {
        /// From where.
        url: &'a str,
        /// How many bytes are there already.
        from: u64,
        /// How many it will be, or at most.
        bytes: u64,
    },
    /// Bytes arrived.
    Progress {
        /// The file.
        name: &'a str,
        /// How many are there.
        done: u64,
        /// How many it will be, or at most.
        bytes: u64,
        /// Bytes per second since the transfer began.
        rate: f64,
    },
    /// A transfer failed, and another try follows.
    Fault {
        /// From where.
        url: &'a str,
        /// The fault, in one line.
        message: &'a str,
        /// How long until the next try.
        wait: Duration,
    },
    /// The file has arrived, whole and right.
    Done {
        /// The file.
        path: &'a Path,
    },
}

/// The way downloads are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downloader {
    /// After how long without an answer, or with hardly a byte, a transfer counts as broken.
    pub timeout: Duration,
    /// How often a mirror is asked for a file without getting ahead by a hundredth of it, until the next one is.
    pub attempts: u32,
    /// The pause after the first failure; each further one doubles it, up to a minute.
    pub pause: Duration,
}

impl Default for Downloader {
    /// Thirty seconds, four attempts, with pauses of 1, 2 and 4 seconds between them.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), attempts: 4, pause: Duration::from_secs(1) }
    }
}

/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(60);

impl Downloader {
    /// Brings the files of a set into `folder`, which is made if need be, and returns how many of them had to be
    /// fetched.
    ///
    /// # Errors
    /// No mirror gives a file: the error names the fault of each, and the files to get by hand. Or the folder cannot be
    /// written to, or its disk is full; or another process is downloading the same file. Or the name or the SHA-256 of a
    /// file cannot be one.
    pub fn fetch(
        &self,
        set: &PublishedSet,
        folder: &Path,
        mut observe: impl FnMut(Event<'_>),
    ) -> Result<usize, DataError> {
        let mut fetched = 0;
        for (i, file) in set.files.iter().enumerate() {
            check_sha256(&file.sha256)?;
            let path = target(folder, &file.name)?;
            if verify::is_there(folder, file)? {
                observe(Event::Present { name: &file.name });
                continue;
            }
            if path.exists() {
                observe(Event::Wrong { path: &path });
            }
            let url = |mirror: &String, name: &str| format!("{mirror}{name}");
            let urls: Vec<String> = set.mirrors.iter().map(|mirror| url(mirror, &file.name)).collect();
            let faults = self.file(file, &path, &urls, &mut observe)?;
            if let Err(faults) = faults {
                let first = |file: &PublishedFile| set.mirrors.first().map(|mirror| url(mirror, &file.name));
                // Those after it are likely to fail for the same reason.
                let wanted = set.files[i..].iter().filter_map(first).collect();
                return Err(DataError::Download { path, faults, wanted });
            }
            observe(Event::Done { path: &path });
            fetched += 1;
        }
        Ok(fetched)
    }

    /// Asks one mirror after the other; the inner error has the fault of each.
    fn file(
        &self,
        file: &PublishedFile,
        path: &Path,
        urls: &[String],
        observe: &mut impl FnMut(Event<'_>),
    ) -> Result<Result<(), Vec<String>>, DataError> {
        let mut part = Part::open(path)?;
        let mut faults = Vec::new();
        for url in urls {
            match self.mirror(file, &mut part, url, observe) {
                Ok(()) => return part.finish(path).map(Ok),
                Err(Failure::Disk(fault)) => return Err(fault),
                Err(Failure::Mirror(message) | Failure::Connection { message, .. }) => {
                    faults.push(format!("{url}: {message}"));
                }
            }
        }
        Ok(Err(faults))
    }

    /// Asks one mirror until it has given the file, or does not get ahead.
    fn mirror(
        &self,
        file: &PublishedFile,
        part: &mut Part,
        url: &str,
        observe: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        let step = (file.bytes / 100).max(1);
        let mut mark = part.len()?;
        let mut failures = 0;
        loop {
            // The bytes that an earlier download left may belong to another file.
            let resumed = part.len()? > 0;
            let fault = match Transfer::new(self, file, url).run(part, observe) {
                Ok(()) => match verify::fault(part, file)? {
                    None => return Ok(()),
                    Some(message) => {
                        part.clear()?;
                        if !resumed {
                            return Err(Failure::Mirror(message));
                        }
                        Failure::Connection { message: format!("{message}; starting over"), wait: None }
                    }
                },
                Err(fault) => fault,
            };
            let Failure::Connection { message, wait } = fault else { return Err(fault) };
            // A server that starts over has to get further than it was.
            let len = part.len()?;
            if len >= mark.saturating_add(step) {
                (mark, failures) = (len, 0);
            }
            failures += 1;
            if failures >= self.attempts {
                return Err(Failure::Connection { message, wait });
            }
            let doubled = self.pause.saturating_mul(1 << (failures - 1).min(16));
            let pause = wait.map_or(doubled, |wait| wait.max(doubled)).min(MAX_PAUSE);
            observe(Event::Fault { url, message: &message, wait: pause });
            sleep(pause);
        }
    }
}

fn check_sha256(digits: &str) -> Result<(), DataError> {
    // Fewer would say nothing.
    if (8..=64).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(());
    }
    let rule = "8 to 64 hexadecimal digits".into();
    Err(DataError::Setting { what: "the SHA-256 of a published file", rule, got: digits.into() })
}

/// Where a file belongs.
fn target(folder: &Path, name: &str) -> Result<PathBuf, DataError> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
        let rule = "a name without slashes that does not begin with a dot".into();
        return Err(DataError::Setting { what: "the name of a published file", rule, got: name.into() });
    }
    Ok(folder.join(name))
}
