//! The cost that decoding an image may have.

use crate::DataError;
use std::sync::OnceLock;

/// The most that an image file may ask for. Each format has besides a bound of its own where its files must hold something
/// for each pixel.
///
/// ```
/// use cnn_data::{DecodeLimits, Picture};
/// let dots = b"P5 2 1 255\n\x05\x06";
/// assert!(Picture::decode_within("dots", dots, DecodeLimits { memory: 2 }).is_ok());
/// let error = Picture::decode_within("dots", dots, DecodeLimits { memory: 1 }).unwrap_err().to_string();
/// assert!(error.ends_with("2x1 pixels take 2 bytes, the limit is 1 (CNN_MAX_IMAGE_BYTES)"), "{error}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes of the decoded image, with the coefficients that a progressive JPEG is collected in. By default 1 GiB, which
    /// holds the largest image that WebP can describe, 16383x16383 pixels with transparency. A file may have no more bytes.
    ///
    /// Making a [`Picture`](crate::Picture) of it takes up to twice as much again.
    pub memory: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { memory: 1 << 30 }
    }
}

impl DecodeLimits {
    /// The variable of the environment that sets [`DecodeLimits::memory`] for [`Picture::decode`](crate::Picture::decode)
    /// and for all data sets: a number of bytes.
    pub const VARIABLE: &str = "CNN_MAX_IMAGE_BYTES";

    /// The limits of this process: from the environment, which is read once, or the default ones.
    ///
    /// # Errors
    /// The variable is not a number of bytes.
    pub fn from_environment() -> Result<Self, DataError> {
        static MEMORY: OnceLock<Result<u64, String>> = OnceLock::new();
        let memory = MEMORY.get_or_init(|| match std::env::var_os(Self::VARIABLE) {
            None => Ok(Self::default().memory),
            Some(text) => parse(&text.to_string_lossy()),
        });
        match memory {
            Ok(memory) => Ok(Self { memory: *memory }),
            Err(got) => Err(DataError::Setting {
                what: Self::VARIABLE,
                rule: "a number of bytes, at least 1".into(),
                got: got.clone(),
            }),
        }
    }

    /// Checks that an image of `memory` bytes may be decoded.
    pub(super) fn check(self, width: u32, height: u32, memory: u64) -> Result<(), String> {
        if memory <= self.memory {
            return Ok(());
        }
        let (limit, variable) = (self.memory, Self::VARIABLE);
        Err(format!("{width}x{height} pixels take {memory} bytes, the limit is {limit} ({variable})"))
    }
}

/// A number of bytes, or the text that is none.
fn parse(text: &str) -> Result<u64, String> {
    text.trim().parse().ok().filter(|&bytes| bytes > 0).ok_or_else(|| text.escape_debug().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_holds_the_largest_webp() {
        assert_eq!(DecodeLimits::default().check(16383, 16383, 16383 * 16383 * 4), Ok(()));
    }

    #[test]
    fn the_variable_is_a_number_of_bytes() {
        assert_eq!(parse(" 4096\n"), Ok(4096));
        for text in ["", "0", "-1", "1G"] {
            assert_eq!(parse(text), Err(text.into()));
        }
    }
}
