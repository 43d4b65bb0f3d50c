//! The IDX format: an array of bytes behind a header of big-endian numbers.
//!
//! ```text
//! byte 0   00 00       always
//! byte 2   08          the type of the elements: unsigned bytes
//! byte 3   NDIM        the number of dimensions
//! byte 4   d0 d1 ...   the dimensions, 4 bytes each, outermost first
//! then     d0*d1*...   elements, row-major, to the end of the file
//! ```
//!
//! A file may be compressed with gzip, which its first bytes tell, not its name. Nothing is believed before it is
//! read: memory grows with the bytes that are there, never by what a header promises, and unpacking stops at the first
//! byte beyond the promise.
//!
//! Source: Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits", 1998, section "File formats".

use crate::{DataError, gzip};
use cnn_tensor::sniff::{FileKind, START};
use std::fs::File;
use std::io::Read;
use std::path::Path;

const MAX_RANK: u8 = 4;

/// The content of an IDX file of unsigned bytes, of 1 to 4 dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxFile {
    /// The extents, outermost first.
    pub dims: Vec<usize>,
    /// The elements, row-major: as many as the product of `dims`.
    pub data: Vec<u8>,
}

impl IdxFile {
    /// The elements that [`IdxFile::read`] accepts in one file: 4 GiB of them, seventy times as many as MNIST has.
    pub const LIMIT: u64 = 1 << 32;

    /// Reads a file, plain or compressed with gzip.
    ///
    /// # Errors
    /// The file cannot be read, is not a sound IDX file of unsigned bytes, or holds more than [`IdxFile::LIMIT`] of them.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let io = |source| DataError::Io { path: path.into(), action: "open", source };
        Self::parse(path, File::open(path).map_err(io)?, Self::LIMIT)
    }

    /// Reads from any source, of which errors speak as `path`, and accepts at most `limit` elements.
    ///
    /// ```
    /// use cnn_data::IdxFile;
    /// let bytes: &[u8] = &[0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];
    /// let matrix = IdxFile::parse("matrix".as_ref(), bytes, 100)?;
    /// assert_eq!((matrix.dims, matrix.data), (vec![2, 3], vec![1, 2, 3, 4, 5, 6]));
    /// # Ok::<(), cnn_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// As [`IdxFile::read`].
    pub fn parse(path: &Path, source: impl Read, limit: u64) -> Result<Self, DataError> {
        let mut content = Content::open(path, source)?;
        let rank = content.rank()?;
        let dims = content.dims(rank, limit)?;
        let data = content.data(dims.iter().product())?;
        Ok(Self { dims: dims.into_iter().map(|dim| dim as usize).collect(), data })
    }
}

/// The unpacked bytes of a file and how far they have been read.
struct Content<'a> {
    path: &'a Path,
    bytes: Box<dyn Read + 'a>,
    gzip: bool,
    offset: u64,
}

impl<'a> Content<'a> {
    fn open(path: &'a Path, source: impl Read + 'a) -> Result<Self, DataError> {
        let io = |source| DataError::Io { path: path.into(), action: "read", source };
        let (bytes, gzip) = gzip::unpacked(source).map_err(io)?;
        Ok(Self { path, bytes, gzip, offset: 0 })
    }

    /// Reads and checks the magic number.
    fn rank(&mut self) -> Result<u8, DataError> {
        let magic = self.at_most(4)?;
        match magic[..] {
            [0, 0, 0x08, rank @ 1..=MAX_RANK] => Ok(rank),
            [0, 0, 0x08, rank] => Err(self.fault(3, "1 to 4 dimensions", rank)),
            [0, 0, kind, _] => Err(self.fault(
                2,
                "elements of type 0x08 (unsigned byte)",
                format!("type {}", type_name(kind)),
            )),
            [_, _, _, _] => {
                let got = self.kind(&magic)?;
                Err(self.fault(0, "an IDX magic number, 00 00 08 and the number of dimensions", got))
            }
            _ => Err(self.fault(self.offset, "an IDX magic number of 4 bytes", ended_after(magic.len()))),
        }
    }

    /// The kind of a file that begins with `magic` and is none of ours, for people to read.
    fn kind(&mut self, magic: &[u8]) -> Result<String, DataError> {
        let start = [magic, &self.at_most((START - magic.len()) as u64)?].concat();
        let kind = FileKind::of(self.path, &start).map(|kind| kind.to_string());
        Ok(kind.unwrap_or_else(|| hex(magic)))
    }

    /// Reads and checks the dimensions; the product of any of them is at most `limit`.
    fn dims(&mut self, rank: u8, limit: u64) -> Result<Vec<u64>, DataError> {
        let start = self.offset;
        let bytes = self.at_most(4 * u64::from(rank))?;
        if bytes.len() < 4 * usize::from(rank) {
            let expected = format!("{rank} dimensions of 4 bytes");
            return Err(self.fault(self.offset, expected, ended_after(bytes.len())));
        }
        let (words, _) = bytes.as_chunks::<4>();
        let dims: Vec<u64> = words.iter().map(|&word| u32::from_be_bytes(word).into()).collect();
        // At most four factors below 2^32: the product fits. A 0 among them does not excuse the others, so that a
        // later product of some of them cannot overflow.
        let promised: u128 = dims.iter().map(|&dim| u128::from(dim.max(1))).product();
        if promised > limit.into() {
            let expected = format!("dimensions of at most {limit} elements in all");
            return Err(self.fault(start, expected, format!("{dims:?}")));
        }
        Ok(dims)
    }

    /// Reads the elements; there must be `promised` of them and nothing after.
    fn data(&mut self, promised: u64) -> Result<Vec<u8>, DataError> {
        let start = self.offset;
        // One more than promised: it shows that there is more, without unpacking the rest, and makes gzip compare its checksum.
        let mut data = self.at_most(promised.saturating_add(1))?;
        let got = data.len() as u64;
        if got < promised {
            let expected = format!("{promised} bytes of data from byte {start} on");
            return Err(self.fault(self.offset, expected, ended_after(data.len())));
        }
        if got > promised {
            return Err(self.fault(start + promised, format!("{promised} bytes of data"), "more"));
        }
        data.shrink_to_fit();
        Ok(data)
    }

    /// The next `count` bytes, or fewer if the content ends before. Memory grows with what is there.
    fn at_most(&mut self, count: u64) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        let read = self.bytes.by_ref().take(count).read_to_end(&mut bytes);
        self.offset += bytes.len() as u64;
        match read {
            Ok(_) => Ok(bytes),
            // The decoder's own errors carry no code of the system.
            Err(fault) if self.gzip && fault.raw_os_error().is_none() => {
                Err(self.fault(self.offset, "sound gzip data", fault))
            }
            Err(source) => Err(DataError::Io { path: self.path.into(), action: "read", source }),
        }
    }

    fn fault(&self, offset: u64, expected: impl Into<String>, got: impl ToString) -> DataError {
        DataError::Format { path: self.path.into(), offset, expected: expected.into(), got: got.to_string() }
    }
}

fn ended_after(bytes: usize) -> String {
    format!("the end after {bytes}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn type_name(kind: u8) -> String {
    let name = match kind {
        0x09 => "signed byte",
        0x0b => "16-bit integer",
        0x0c => "32-bit integer",
        0x0d => "32-bit float",
        0x0e => "64-bit float",
        _ => "unknown",
    };
    format!("0x{kind:02x} ({name})")
}
