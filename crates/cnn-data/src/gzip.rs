//! Files that may be compressed with gzip, which their first bytes tell, not their name.

use flate2::read::MultiGzDecoder;
use std::io::{self, Cursor, Read};

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The content of a source, and whether it had to be unpacked.
///
/// # Errors
/// The first bytes cannot be read.
pub fn unpacked<'a>(mut source: impl Read + 'a) -> io::Result<(Box<dyn Read + 'a>, bool)> {
    let mut start = Vec::new();
    source.by_ref().take(MAGIC.len() as u64).read_to_end(&mut start)?;
    let gzip = start == MAGIC;
    let whole = Cursor::new(start).chain(source);
    Ok((if gzip { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) }, gzip))
}
