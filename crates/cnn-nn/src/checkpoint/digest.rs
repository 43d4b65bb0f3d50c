//! A checksum over the contents of a file.

use crc32fast::Hasher;

/// CRC-32 over the description and, for each tensor, name, shape and elements. It detects every flipped bit, and every
/// damage within 32 consecutive bits.
pub(super) struct Digest(Hasher);

impl Digest {
    pub(super) fn new(description: &str) -> Self {
        let mut digest = Self(Hasher::new());
        digest.text(description);
        digest
    }

    pub(super) fn tensor(&mut self, name: &str, shape: &[usize], elements: &[u8]) {
        self.text(name);
        self.0.update(&(shape.len() as u64).to_le_bytes());
        shape.iter().for_each(|&extent| self.0.update(&(extent as u64).to_le_bytes()));
        self.0.update(elements);
    }

    /// The checksum as eight hexadecimal digits.
    pub(super) fn finish(self) -> String {
        format!("{:08x}", self.value())
    }

    /// The checksum.
    pub(super) fn value(self) -> u32 {
        self.0.finalize()
    }

    fn text(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }
}
