//! Writing of packed folders.

use super::encode::encode;
use super::sources::{Compared, Sources};
use super::unfinished::{PREFIX, Unfinished};
use super::{FORMAT, Index, PackedImages, Shard, parse};
use crate::files::shared::SharedFile;
use crate::files::{holds_images, name};
use crate::{DataError, Dataset, OnFault};
use cnn_tensor::files::{FolderLock, write_atomically};
use cnn_tensor::{Recycled, parallel};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Images that the threads encode before any of them is written.
const GROUP: usize = 64;

/// The form that images get when they are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Encoding {
    /// The file as it is; [`Encoding::Raw`] for images that have none.
    #[default]
    Keep,
    /// A JPEG, scaled down until its shorter side is `short_side` if it is longer.
    Jpeg {
        /// The shorter side, in pixels.
        short_side: u32,
        /// From 1 to 100.
        quality: u8,
    },
    /// The pixels, as a PGM or PPM file: large, and no work to decode.
    Raw,
}

/// How a data set is packed.
#[derive(Clone, Debug)]
pub struct PackOptions {
    /// The form that images get.
    pub encoding: Encoding,
    /// An archive ends with the image that makes it at least so large.
    pub shard_bytes: u64,
    /// Whether an image that cannot be read ends the run.
    pub on_fault: OnFault,
    /// Where the images are from. A folder that holds other images from elsewhere is refused, not packed anew.
    pub origin: Option<PathBuf>,
}

impl Default for PackOptions {
    /// Files as they are, in archives of 512 MiB; a fault ends the run.
    fn default() -> Self {
        Self { encoding: Encoding::Keep, shard_bytes: 512 << 20, on_fault: OnFault::Fail, origin: None }
    }
}

/// A report of [`pack`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackEvent {
    /// The folder holds a complete packing of these images as they are; nothing is written.
    UpToDate,
    /// The folder holds a packing of these images as they were: it is removed, and they are packed anew.
    Anew {
        /// The first difference, in words.
        why: String,
    },
    /// About every 64th example, and every archive.
    Progress(PackProgress),
}

/// The progress of packing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackProgress {
    /// Examples that are packed, or passed over as faulty.
    pub examples: usize,
    /// Examples in all.
    pub total: usize,
    /// Archives that are complete.
    pub shards: usize,
    /// Bytes in them, and in the one that is written.
    pub bytes: u64,
}

/// The note beside a complete archive until all are complete.
#[derive(Serialize, Deserialize)]
struct Note {
    plan: u32,
    /// The first example that is not in this archive or one before it.
    next: usize,
    shard: Shard,
}

/// Packs a data set into `folder`, and opens it there.
///
/// The folder first gets `sources.json`, with the name, size and time of each image's file. If they, the classes or the
/// labels have changed since an earlier run, its packing is removed and made anew; `report` hears the first difference. If
/// nothing has changed, nothing is written.
///
/// An archive is written under another name, forced to disk and renamed when it is complete, and the index is written
/// last. So an interrupted run can be started again, and goes on behind the archives that are complete and whose checksums
/// agree; files that a killed run left unfinished are removed. The number of threads changes no byte.
///
/// ```
/// use cnn_data::{InMemoryDataset, Dataset, PackOptions, PackedImages, pack};
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let folder = folder.path();
/// let classes = ["dark", "light"].map(String::from).to_vec();
/// let set = InMemoryDataset::new([2, 1, 2, 2], vec![1, 2, 3, 4, 250, 251, 252, 253], vec![0, 1], classes)?;
/// pack(&set, folder, &PackOptions::default(), |_| {})?;
/// let packed = PackedImages::open(folder)?;
/// assert_eq!((packed.len(), packed.label(1)), (2, 1));
/// assert_eq!(packed.picture(1)?.data(), [250, 251, 252, 253]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// # Errors
/// An option is outside its range, an image cannot be read (unless the options say to pass over it), or the folder cannot
/// be written, or another process is writing to it. Or the folder holds something else: folders or images, a packing with
/// other options or from another origin, or one of an earlier version, which does not know its sources.
pub fn pack(
    examples: &dyn Dataset,
    folder: impl AsRef<Path>,
    options: &PackOptions,
    mut report: impl FnMut(PackEvent),
) -> Result<PackedImages, DataError> {
    let folder = folder.as_ref();
    options.validate()?;
    fs::create_dir_all(folder).map_err(|source| DataError::Io {
        path: folder.into(),
        action: "create",
        source,
    })?;
    // Held until the function returns.
    let _lock = prepare(folder)?;
    let sources = Sources::of(examples, options);
    let index = folder.join(PackedImages::INDEX);
    match Sources::read(folder)? {
        Some(earlier) => match sources.compared_to(&earlier) {
            Compared::Same => {}
            Compared::Changed(why) => {
                report(PackEvent::Anew { why });
                remove(folder, is_packing)?;
                sources.write(folder)?;
            }
            Compared::Other(got) => return Err(another(folder, &got)),
        },
        None if index.exists() || note_path(folder, 0).exists() => {
            return Err(another(folder, "one of an earlier version, which does not know its sources"));
        }
        None => sources.write(folder)?,
    }
    let plan = sources.plan();
    if index.exists() {
        return match Index::read(&index)?.plan == plan {
            true => {
                report(PackEvent::UpToDate);
                PackedImages::open(folder)
            }
            false => Err(another(folder, "one whose index and sources disagree")),
        };
    }
    let (mut shards, mut next) = complete(folder, plan, examples)?;
    let mut written: u64 = shards.iter().map(|shard| shard.bytes).sum();
    let mut progress = |progress| report(PackEvent::Progress(progress));
    let mut ready = Recycled::default().into_iter();
    while next < examples.len() {
        let file = format!("shard-{:06}.tar", shards.len());
        let mut archive = Unfinished::create(folder, file)?;
        while next < examples.len() && archive.bytes() < options.shard_bytes {
            if ready.len() == 0 {
                let count = GROUP.min(examples.len() - next);
                ready = parallel::map(count, |i| encode(examples, next + i, options.encoding)).into_iter();
                let (shards, bytes) = (shards.len(), written + archive.bytes());
                progress(PackProgress { examples: next, total: examples.len(), shards, bytes });
            }
            match (ready.next().expect("the group is not empty"), &options.on_fault) {
                (Ok((ending, bytes)), _) => archive.add(next, ending, &bytes, examples.label(next))?,
                (Err(fault), OnFault::Fail) => return Err(fault),
                (Err(fault), OnFault::Skip(report)) => report(&fault.to_string()),
            }
            next += 1;
        }
        let shard = archive.finish()?;
        written += shard.bytes;
        let note = Note { plan, next, shard };
        write_json(&note_path(folder, shards.len()), &note)?;
        shards.push(note.shard);
        progress(PackProgress {
            examples: next,
            total: examples.len(),
            shards: shards.len(),
            bytes: written,
        });
    }
    let notes = shards.len();
    let classes = examples.classes().to_vec();
    write_json(&index, &Index { format: FORMAT.into(), plan, classes, shards })?;
    for note in (0..notes).map(|i| note_path(folder, i)) {
        fs::remove_file(&note).map_err(|source| DataError::Io { path: note, action: "remove", source })?;
    }
    PackedImages::open(folder)
}

impl PackOptions {
    fn validate(&self) -> Result<(), DataError> {
        let setting = |what, rule: &str, got: u64| {
            Err(DataError::Setting { what, rule: rule.into(), got: got.to_string() })
        };
        match self.encoding {
            Encoding::Jpeg { short_side: 0, .. } => setting("the shorter side", "at least 1", 0),
            Encoding::Jpeg { quality, .. } if !(1..=100).contains(&quality) => {
                setting("the quality of JPEG", "from 1 to 100", quality.into())
            }
            _ if self.shard_bytes == 0 => setting("the bytes of an archive", "at least 1", 0),
            _ => Ok(()),
        }
    }
}

/// Refuses a folder that holds something else, in which a packing would hide it, and removes what a killed run left.
fn prepare(folder: &Path) -> Result<FolderLock, DataError> {
    if let Some(other) = holds_images(folder)? {
        let got = format!("{:?} in it", name::text(&other));
        return Err(DataError::layout(folder, "an empty folder, or one with an earlier packing", got));
    }
    let lock = FolderLock::take(folder);
    let lock = lock
        .map_err(|source| DataError::Io { path: folder.into(), action: "lock", source })?
        .ok_or_else(|| {
            DataError::layout(
                folder,
                "a folder that this run alone writes to",
                "another process that writes to it",
            )
        })?;
    remove(folder, |name| name.starts_with(PREFIX))?;
    Ok(lock)
}

/// Whether a file of that name is part of a packing. The index comes first, so that without all archives there is none.
fn is_packing(name: &str) -> bool {
    let shard = name.strip_prefix("shard-").and_then(|rest| rest.split_once('.'));
    let is_shard = |(number, ending): (&str, &str)| {
        number.len() >= 6
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && matches!(ending, "tar" | "json")
    };
    name == PackedImages::INDEX || shard.is_some_and(is_shard)
}

/// Removes the files in a folder of which `which` is true, in the order of their names.
fn remove(folder: &Path, which: impl Fn(&str) -> bool) -> Result<(), DataError> {
    let io = |action| move |source| DataError::Io { path: folder.into(), action, source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(io("open"))? {
        let entry = entry.map_err(io("read"))?;
        if entry.file_name().to_str().is_some_and(&which) {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    for path in paths {
        fs::remove_file(&path).map_err(|source| DataError::Io { path, action: "remove", source })?;
    }
    Ok(())
}

/// The archives of an earlier run that are complete and sound, and the first example that is in none of them.
fn complete(folder: &Path, plan: u32, examples: &dyn Dataset) -> Result<(Vec<Shard>, usize), DataError> {
    let (mut shards, mut next) = (Vec::new(), 0);
    loop {
        let path = note_path(folder, shards.len());
        if !path.exists() {
            return Ok((shards, next));
        }
        let file = SharedFile::open(&path)?;
        let note: Note = parse(&path, &file.read(0, file.len())?)?;
        if note.plan != plan || note.next > examples.len() || note.next < next {
            return Err(another(folder, "one whose archives and sources disagree"));
        }
        note.shard.check(&path, examples.classes().len())?;
        let sound = note.shard.open(folder).is_ok_and(|archive| {
            let entries = &note.shard.entries;
            parallel::map(entries.len(), |i| entries[i].read(&archive).is_ok()).into_iter().all(|sound| sound)
        });
        if !sound {
            return Ok((shards, next));
        }
        next = note.next;
        shards.push(note.shard);
    }
}

/// The error of a folder with `got` in it.
fn another(folder: &Path, got: &str) -> DataError {
    let expected = "the packing of the same images with the same options";
    DataError::layout(folder, expected, format!("{got}: name an empty folder, or delete this one"))
}

fn note_path(folder: &Path, shard: usize) -> PathBuf {
    folder.join(format!("shard-{shard:06}.json"))
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), DataError> {
    let json = serde_json::to_vec(value).expect("plain data");
    Ok(write_atomically(path, &json)?)
}
