//! A checksum over all that a file says.

use crc32fast::Hasher;

/// CRC-32 over the description and, tensor by tensor, name, shape and elements. It finds every flipped bit, and every damage
/// of up to 32 bits in a row.
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

    /// Eight hexadecimal digits.
    pub(super) fn finish(self) -> String {
        format!("{:08x}", self.0.finalize())
    }

    fn text(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }
}
