//! Checks that files are the published ones.

use super::part::Part;
use super::{Content, PublishedFile};
use cnn_data::{DataError, gzip};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Whether the folder has a file, or what it unpacks to.
pub(super) fn is_there(folder: &Path, file: &PublishedFile) -> Result<bool, DataError> {
    let path = folder.join(&file.name);
    if matches(&path, file.bytes, &file.sha256)? {
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
        let there = |path: &str| matches(&folder.join(path), content.bytes, &content.sha256);
        Ok(there(&content.path)? || there(flat)?)
    };
    Ok(!file.content.is_empty() && all(file.content.iter().map(unpacked))?)
}

/// Whether what has arrived is right.
pub(super) fn is_right(part: &mut Part, file: &PublishedFile) -> Result<bool, DataError> {
    Ok(part.read(digest)? == (file.bytes, file.sha256.to_ascii_lowercase()))
}

/// Whether there is a file of that length and checksum.
fn matches(path: &Path, bytes: u64, sha256: &str) -> Result<bool, DataError> {
    let Some(mut source) = open(path)? else { return Ok(false) };
    let io = |source| DataError::Io { path: path.into(), action: "read", source };
    // Most wrong files have a wrong length, which costs nothing to see.
    if source.metadata().map_err(io)?.len() != bytes {
        return Ok(false);
    }
    Ok(digest(&mut source).map_err(io)? == (bytes, sha256.to_ascii_lowercase()))
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
