//! The published `.tar.gz`, read once from front to back, without unpacking it to disk.

use super::{Batch, CifarFamily, Images};
use crate::{DataError, InMemoryDataset, Split, gzip};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;
use tar::{Archive, EntryType};

/// Room for the rest of an archive beside the records: the texts, and the headers of the entries.
const EXTRAS: u64 = 1 << 20;

/// Reads the files of a split, which may be in any order in the archive.
///
/// Entries that describe the next one (long names, times as fractions) are passed over as others are: the names that
/// matter are short, and such entries cannot redirect. Everything is read to the end, so that gzip compares its
/// checksum.
pub(super) fn read(
    family: CifarFamily,
    path: &Path,
    source: impl Read,
    split: Split,
) -> Result<InMemoryDataset, DataError> {
    let (content, _) = gzip::unpacked(source).map_err(|fault| io_fault(path, fault))?;
    let limit = limit(family);
    // One more than the limit shows that it was passed.
    let content = Counted { content: content.take(limit + 1), count: Rc::default() };
    let count = content.count.clone();
    let sound = |fault: io::Error| match count.get() {
        passed if passed > limit => too_long(path, limit),
        _ if fault.raw_os_error().is_some() => io_fault(path, fault),
        offset => DataError::format(path, offset, "a sound tar archive, compressed with gzip or not", fault),
    };

    let mut archive = Archive::new(content);
    let mut images = Images::new(family);
    let batches = family.batches(split);
    // Files that came before one that precedes them.
    let mut early = BTreeMap::new();
    let mut next = 0;
    for entry in archive.entries().map_err(sound)?.raw(true) {
        let mut entry = entry.map_err(sound)?;
        let Some(i) = position(batches, &entry.path_bytes(), entry.header().entry_type()) else { continue };
        let name = path.join(batches[i].name);
        if i < next || early.contains_key(&i) {
            let expected = format!("{} once", batches[i].name);
            return Err(DataError::format(path, entry.raw_header_position(), expected, "it again"));
        }
        let bytes = match family.content(&name, &mut entry, batches[i].records) {
            // The archive is to blame, not the file in it.
            Err(DataError::Io { source, .. }) => return Err(sound(source)),
            other => other?,
        };
        early.insert(i, bytes);
        while let Some(bytes) = early.remove(&next) {
            images.push(&path.join(batches[next].name), &bytes)?;
            next += 1;
        }
    }
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(sound)?;
    if count.get() > limit {
        return Err(too_long(path, limit));
    }
    match batches.get(next) {
        Some(batch) => Err(family.missing(path, batch)),
        None => images.finish(),
    }
}

/// The bytes that a sound archive can unpack to: all files of both splits, and a little.
fn limit(family: CifarFamily) -> u64 {
    let records = |split| family.batches(split).iter().map(|batch| batch.records).sum::<usize>();
    ((records(Split::Train) + records(Split::Test)) * family.record()) as u64 + EXTRAS
}

/// The number of the file of a split that an entry is, in any folder.
fn position(batches: &[Batch], path: &[u8], kind: EntryType) -> Option<usize> {
    let name = path.rsplit(|&byte| byte == b'/').next()?;
    batches.iter().position(|batch| batch.name.as_bytes() == name).filter(|_| kind.is_file())
}

fn io_fault(path: &Path, source: io::Error) -> DataError {
    DataError::Io { path: path.into(), action: "read", source }
}

fn too_long(path: &Path, limit: u64) -> DataError {
    DataError::format(path, limit, format!("the end, after at most {limit} bytes unpacked"), "more")
}

/// Counts the bytes that pass.
struct Counted<R> {
    content: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}
