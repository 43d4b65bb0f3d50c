//! The file of an index.
//!
//! All numbers are little-endian.
//!
//! | bytes | |
//! |---|---|
//! | 8 | the word `cnnindex` |
//! | 4 | the version, 1 |
//! | 4 | CRC-32 of all bytes that follow |
//! | 8 | the number of vectors, `n` |
//! | 8 | the numbers in a vector, `d` |
//! | 8 | the bytes of the words, `w` |
//! | `w` | the words: model, fingerprint (4), layer, form (1: 0 means, 1 whole maps), source, part, metric (1: 0 cosine, 1 Euclidean), the number of classes (4) and their names; then for each vector its name, label (4; 2^32 - 1 for none) and position (8). A text is its number of bytes (4), then UTF-8 |
//! | 4 n d | the vectors, f32 |
//!
//! The three sizes must add up to the file's own before anything is allocated.

use crate::metric::square;
use crate::{Index, Item, Metric, Origin, SearchError};
use cnn_tensor::files::write_atomically;
use cnn_tensor::parallel;
use cnn_tensor::sniff::FileKind;
use crc32fast::Hasher;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

const WORD: &[u8; 8] = b"cnnindex";
const VERSION: u32 = 1;
const HEADER: usize = 40;
/// The bytes that the checksum does not cover: it and those before it.
const UNCHECKED: usize = 16;
const NO_LABEL: u32 = u32::MAX;

impl Index {
    /// Writes the index to a file. An existing file at `path` stays intact until the new one is complete.
    ///
    /// # Errors
    /// The file cannot be written, or a name has 4 GiB or more.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SearchError> {
        Ok(write_atomically(path.as_ref(), &self.to_bytes()?)?)
    }

    /// The contents of the file that [`Index::save`] writes.
    ///
    /// # Errors
    /// A name has 4 GiB or more.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SearchError> {
        let words = self.words()?;
        let mut bytes = Vec::with_capacity(HEADER + words.len() + 4 * self.vectors.len());
        bytes.extend_from_slice(WORD);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for size in [self.len(), self.length, words.len()] {
            bytes.extend_from_slice(&(size as u64).to_le_bytes());
        }
        bytes.extend_from_slice(&words);
        self.vectors.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        let checksum = crc32fast::hash(&bytes[UNCHECKED..]);
        bytes[UNCHECKED - 4..UNCHECKED].copy_from_slice(&checksum.to_le_bytes());
        Ok(bytes)
    }

    fn words(&self) -> Result<Vec<u8>, SearchError> {
        let mut words = Vec::new();
        let Origin { model, fingerprint, layer, whole_maps, source, part } = &self.origin;
        put_text(&mut words, model)?;
        words.extend_from_slice(&fingerprint.to_le_bytes());
        put_text(&mut words, layer)?;
        words.push((*whole_maps).into());
        put_text(&mut words, source)?;
        put_text(&mut words, part)?;
        words.push(match self.metric {
            Metric::Cosine => 0,
            Metric::Euclidean => 1,
        });
        words.extend_from_slice(&count(self.classes.len())?.to_le_bytes());
        self.classes.iter().try_for_each(|class| put_text(&mut words, class))?;
        for Item { name, label, position } in &self.items {
            put_text(&mut words, name)?;
            words.extend_from_slice(&label.unwrap_or(NO_LABEL).to_le_bytes());
            words.extend_from_slice(&position.to_le_bytes());
        }
        Ok(words)
    }

    /// Reads a file that [`Index::save`] wrote.
    ///
    /// # Errors
    /// The file cannot be read, is not an index, is of another version, is truncated, or its checksum does not match.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, SearchError> {
        let path = path.as_ref();
        let io = |action| move |source| SearchError::Io { path: path.into(), action, source };
        let file = File::open(path).map_err(io("open"))?;
        let size = file.metadata().map_err(io("open"))?.len();
        read(file, size, path)
    }

    /// [`Index::load`] from memory. Errors name the file `path`.
    ///
    /// # Errors
    /// Those of [`Index::load`].
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, SearchError> {
        read(bytes, bytes.len() as u64, path)
    }
}

fn count(number: usize) -> Result<u32, SearchError> {
    let fault = |_| SearchError::setting("a count in an index file", "below 2^32", number);
    u32::try_from(number).map_err(fault)
}

fn put_text(bytes: &mut Vec<u8>, text: &str) -> Result<(), SearchError> {
    bytes.extend_from_slice(&count(text.len())?.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Reads an index of `size` bytes.
fn read(mut file: impl Read, size: u64, path: &Path) -> Result<Index, SearchError> {
    let io = |source| SearchError::Io { path: path.into(), action: "read", source };
    let fault = |offset: usize, expected: &str, got: String| SearchError::File {
        path: path.into(),
        offset: offset as u64,
        expected: expected.into(),
        got,
    };
    let mut header = [0; HEADER];
    let begun = fill(&mut file, &mut header).map_err(io)?;
    if !header.starts_with(WORD) {
        let kind = FileKind::of(path, &header[..begun]).map(|kind| kind.to_string());
        let got = kind.unwrap_or_else(|| "another kind of file".into());
        return Err(fault(0, "an index, as cnn index and Index::save write it", got));
    }
    let truncated = |size: u64| format!("a truncated file of {size} bytes");
    if begun < HEADER {
        return Err(fault(begun, "the header of an index, 40 bytes", truncated(size)));
    }
    let [version, checksum] = [8, 12].map(|at| u32_at(&header, at));
    if version != VERSION {
        let remedy = if version > VERSION { ": a later version of this library wrote it" } else { "" };
        return Err(fault(8, "version 1 of the format", format!("version {version}{remedy}")));
    }
    let [n, d, w] = [16, 24, 32].map(|at| u64_at(&header, at));
    let numbers = n.checked_mul(d);
    let expected =
        numbers.and_then(|numbers| numbers.checked_mul(4)?.checked_add(w)?.checked_add(HEADER as u64));
    if d == 0 || expected != Some(size) {
        let rule = format!(
            "a file of the size that the header says: {n} vectors of {d} numbers and {w} bytes of words"
        );
        let got = match expected {
            Some(expected) if size < expected => format!("{} of {expected}", truncated(size)),
            _ => format!("{size} bytes"),
        };
        return Err(fault(16, &rule, got));
    }
    let too_large = || fault(16, "an index that memory has addresses for", format!("{size} bytes"));
    let [n, d, w, numbers] = [n, d, w, numbers.unwrap_or_default()].map(usize::try_from);
    let (Ok(n), Ok(d), Ok(w), Ok(numbers)) = (n, d, w, numbers) else { return Err(too_large()) };

    let mut hasher = Hasher::new();
    hasher.update(&header[UNCHECKED..]);
    // The sizes are those of the file, so that no allocation exceeds it. A file that shrinks meanwhile ends early.
    let mut words = vec![0; w];
    let mut vectors = Vec::new();
    let got = fill(&mut file, &mut words).map_err(io)?;
    hasher.update(&words[..got]);
    if got == w {
        vectors.reserve_exact(numbers);
        let mut piece = vec![0; (1 << 20).min(4 * numbers)];
        while vectors.len() < numbers {
            let wanted = piece.len().min(4 * (numbers - vectors.len()));
            let got = fill(&mut file, &mut piece[..wanted]).map_err(io)?;
            hasher.update(&piece[..got]);
            vectors.extend(piece[..got].as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
            if got < wanted {
                break;
            }
        }
    }
    if vectors.len() < numbers {
        return Err(fault(HEADER, "the words and vectors that the header announces", truncated(size)));
    }
    let found = hasher.finalize();
    if found != checksum {
        let got = format!("{found:08x}: the file is damaged, make the index again");
        return Err(fault(12, &format!("contents with the checksum {checksum:08x}"), got));
    }
    let mut words = Words { bytes: &words, at: 0, path };
    let mut index = words.index(n, d)?;
    if let Some(at) = vectors.iter().position(|number| !number.is_finite()) {
        return Err(fault(HEADER + w + 4 * at, "a finite number", vectors[at].to_string()));
    }
    index.squares = parallel::map(n, |i| square(&vectors[i * d..(i + 1) * d])).to_vec();
    index.vectors = vectors;
    Ok(index)
}

/// Reads until `buffer` is full or the file ends. Returns the number of bytes.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(filled)
}

fn u32_at(bytes: &[u8; HEADER], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8; HEADER], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

/// The words, from which one value after the other is taken.
struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
    path: &'a Path,
}

impl<'a> Words<'a> {
    /// The index without its vectors.
    fn index(&mut self, n: usize, length: usize) -> Result<Index, SearchError> {
        let (model, fingerprint, layer) = (self.text()?, self.u32()?, self.text()?);
        let whole_maps = self.one_of([false, true])?;
        let (source, part) = (self.text()?, self.text()?);
        let metric = self.one_of(Metric::ALL)?;
        let count = self.u32()?;
        // The bytes that are left bound the number of texts: each takes at least four.
        self.room(count as usize, 4)?;
        let classes: Vec<String> = (0..count).map(|_| self.text()).collect::<Result<_, _>>()?;
        self.room(n, 16)?;
        let items = (0..n).map(|_| self.item(classes.len())).collect::<Result<_, _>>()?;
        if self.at < self.bytes.len() {
            let got = format!("{} bytes more", self.bytes.len() - self.at);
            return Err(self.fault(self.at, "the end of the words", got));
        }
        let origin = Origin { model, fingerprint, layer, whole_maps, source, part };
        Ok(Index { origin, metric, classes, items, length, vectors: Vec::new(), squares: Vec::new() })
    }

    fn item(&mut self, classes: usize) -> Result<Item, SearchError> {
        let name = self.text()?;
        let at = self.at;
        let label = Some(self.u32()?).filter(|&label| label != NO_LABEL);
        if let Some(label) = label.filter(|&label| label as usize >= classes) {
            return Err(self.fault(at, &format!("a label below {classes}"), label.to_string()));
        }
        let position = u64::from_le_bytes(self.array()?);
        Ok(Item { name, label, position })
    }

    fn one_of<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> Result<T, SearchError> {
        let at = self.at;
        let [byte] = self.array()?;
        let fault = || self.fault(at, &format!("a byte below {N}"), byte.to_string());
        choices.get(usize::from(byte)).copied().ok_or_else(fault)
    }

    fn u32(&mut self) -> Result<u32, SearchError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<String, SearchError> {
        let length = self.u32()? as usize;
        let at = self.at;
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes);
        text.map(String::from).map_err(|_| self.fault(at, "a text in UTF-8", "other bytes".into()))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SearchError> {
        let bytes = self.take(N)?;
        Ok(std::array::from_fn(|i| bytes[i]))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], SearchError> {
        self.room(count, 1)?;
        let bytes = &self.bytes[self.at..self.at + count];
        self.at += count;
        Ok(bytes)
    }

    /// Whether so many values of at least `each` bytes can follow.
    fn room(&self, count: usize, each: usize) -> Result<(), SearchError> {
        let left = self.bytes.len() - self.at;
        if count <= left / each {
            return Ok(());
        }
        let expected = format!("at least {each} bytes for each of {count}");
        Err(self.fault(self.at, &expected, format!("the end of the words after {left} bytes")))
    }

    fn fault(&self, at: usize, expected: &str, got: String) -> SearchError {
        let offset = (HEADER + at) as u64;
        SearchError::File { path: self.path.into(), offset, expected: expected.into(), got }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn small() -> Index {
        let origin = Origin {
            model: "lenet5".into(),
            fingerprint: 0xdead_beef,
            layer: "fc2".into(),
            whole_maps: true,
            source: "mnist".into(),
            part: "test".into(),
        };
        let mut index = Index::new(origin, Metric::Euclidean, vec!["0".into(), "één".into()], 3).unwrap();
        let item = |name: &str, label, position| Item { name: name.into(), label, position };
        index.push(item("a.png", Some(1), 0), &[1.0, -2.5, 1e-40]).unwrap();
        index.push(item("", None, 7), &[0.0, -0.0, f32::MAX]).unwrap();
        index
    }

    fn refusal(bytes: &[u8]) -> String {
        let message = Index::from_bytes(bytes, Path::new("x.index")).unwrap_err().to_string();
        assert!(!message.contains(char::is_control), "{message:?}");
        message.strip_prefix("x.index: ").expect("the file's name first").into()
    }

    /// `bytes` with the right checksum.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let checksum = crc32fast::hash(&bytes[UNCHECKED..]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    #[test]
    fn an_index_comes_back_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("small.index");
        small().save(&path).unwrap();
        let again = Index::load(&path).unwrap();
        assert_eq!(again, small());
        assert_eq!(again.to_bytes().unwrap(), std::fs::read(&path).unwrap());
        let empty = Index::new(Origin::default(), Metric::Cosine, vec![], 5).unwrap();
        assert_eq!(Index::from_bytes(&empty.to_bytes().unwrap(), &path).unwrap(), empty);
        let missing = Index::load(folder.path().join("none")).unwrap_err().to_string();
        assert!(missing.contains("none: cannot open: "), "{missing}");
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_noticed() {
        let whole = small().to_bytes().unwrap();
        for length in 0..whole.len() {
            refusal(&whole[..length]);
        }
        for bit in 0..8 * whole.len() {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            refusal(&damaged);
        }
        let mut longer = whole;
        longer.push(0);
        assert!(refusal(&longer).contains("at byte 16: expected a file of the size that the header says"));
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let whole = small().to_bytes().unwrap();
        assert_eq!(
            refusal(b"\x89PNG\r\n\x1a\n and more"),
            "at byte 0: expected an index, as cnn index and Index::save write it, got a PNG image"
        );
        assert_eq!(
            refusal(&whole[..20]),
            "at byte 20: expected the header of an index, 40 bytes, got a truncated file of 20 bytes"
        );
        assert!(refusal(&whole[..whole.len() - 1]).contains("got a truncated file of"));
        let with = |at: usize, byte: u8| {
            let mut changed = whole.clone();
            changed[at] = byte;
            changed
        };
        assert_eq!(
            refusal(&with(8, 2)),
            "at byte 8: expected version 1 of the format, got version 2: a later version of this library wrote it"
        );
        let last = whole.len() - 2;
        assert!(refusal(&with(last, 0)).contains("the file is damaged"));
        // The last number, 0x7f7fffff, becomes NaN.
        assert!(refusal(&sealed(with(last, 0x80))).contains("expected a finite number, got NaN"));
        // Lengths and counts that lie, under a right checksum.
        let mut huge = whole.clone();
        huge[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(refusal(&sealed(huge)).contains("18446744073709551615 vectors"));
        let mut text = whole;
        text[HEADER..HEADER + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(
            refusal(&sealed(text)).contains("at byte 44: expected at least 1 bytes for each of 4294967295")
        );
    }

    proptest! {
        /// Words of any bytes under a right checksum: an error or an index, and no panic.
        #[test]
        fn any_words_are_an_error_or_an_index(changes in prop::collection::vec((HEADER..120usize, any::<u8>()), 1..6)) {
            let mut bytes = small().to_bytes().unwrap();
            for (at, byte) in changes {
                let at = at.min(bytes.len() - 1);
                bytes[at] = byte;
            }
            if let Ok(index) = Index::from_bytes(&sealed(bytes), Path::new("x")) {
                prop_assert_eq!(index.len(), 2);
                index.nearest(&[1.0, 2.0, 3.0], 2, index.metric()).unwrap();
            }
        }
    }
}
