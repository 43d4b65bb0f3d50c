//! Checks that files are the published ones.

use super::part::Part;
use super::{Content, PublishedFile};
use cnn_data::{DataError, gzip};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::RangeInclusive;
use std::path::Path;

/// Whether the folder has a file, or what it unpacks to.
pub(super) fn is_there(folder: &Path, file: &PublishedFile) -> Result<bool, DataError> {
    let path = folder.join(&file.name);
    if matches(&path, &file.lengths(), &file.sha256)? {
        return Ok(true);
    }
    // One file, compressed otherwise.
    if let [content] = &file.content[..]
        && unpacks_to(&path, content)?
    {
        return Ok(true);
    }
    let unpacked = |content: &Content| {
        // As the archive has it, or all in one folder.
        let flat = content.path.rsplit('/').next().unwrap_or(&content.path);
        let lengths = content.bytes..=content.bytes;
        let there = |path: &str| matches(&folder.join(path), &lengths, &content.sha256);
        Ok(there(&content.path)? || there(flat)?)
    };
    Ok(!file.content.is_empty() && all(file.content.iter().map(unpacked))?)
}

/// The difference between the bytes that have arrived and the published ones, in one line; `None` if they are the same.
pub(super) fn fault(part: &mut Part, file: &PublishedFile) -> Result<Option<String>, DataError> {
    let found = part.read(digest)?;
    if is_published(&found, &file.lengths(), &file.sha256) {
        return Ok(None);
    }
    let rule = if file.sha256.len() < 64 { "a SHA-256 that begins with" } else { "SHA-256" };
    Ok(Some(format!("expected {rule} {}, got {}", file.sha256, found.1)))
}

/// Whether there is a file of such a length and with a checksum that begins so.
fn matches(path: &Path, lengths: &RangeInclusive<u64>, sha256: &str) -> Result<bool, DataError> {
    let Some(mut source) = open(path)? else { return Ok(false) };
    let io = |source| DataError::Io { path: path.into(), action: "read", source };
    // Most wrong files have a wrong length, which costs nothing to see.
    if !lengths.contains(&source.metadata().map_err(io)?.len()) {
        return Ok(false);
    }
    Ok(is_published(&digest(&mut source).map_err(io)?, lengths, sha256))
}

fn is_published((bytes, digits): &(u64, String), lengths: &RangeInclusive<u64>, sha256: &str) -> bool {
    lengths.contains(bytes) && digits.starts_with(&sha256.to_ascii_lowercase())
}

/// Whether a file, compressed or not, has that content; not more than one byte beyond its length is unpacked.
fn unpacks_to(path: &Path, content: &Content) -> Result<bool, DataError> {
    let Some(source) = open(path)? else { return Ok(false) };
    let limit = content.bytes.saturating_add(1);
    match gzip::unpacked(source).and_then(|(bytes, _)| digest(&mut bytes.take(limit))) {
        Ok(found) => Ok(found == (content.bytes, content.sha256.to_ascii_lowercase())),
        // The decoder's own errors carry no code of the system.
        Err(fault) if fault.raw_os_error().is_none() => Ok(false),
        Err(source) => Err(DataError::Io { path: path.into(), action: "read", source }),
    }
}

fn open(path: &Path) -> Result<Option<File>, DataError> {
    let io = |source| DataError::Io { path: path.into(), action: "open", source };
    match path.metadata() {
        Ok(found) if found.is_file() => File::open(path).map(Some).map_err(io),
        Ok(_) => Ok(None),
        Err(fault) if matches!(fault.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(fault) => Err(io(fault)),
    }
}

/// The length and the SHA-256 of what is read.
fn digest(source: &mut impl Read) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
            Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok((bytes, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

fn all(mut each: impl Iterator<Item = Result<bool, DataError>>) -> Result<bool, DataError> {
    each.try_fold(true, |all, one| Ok(all && one?))
}
