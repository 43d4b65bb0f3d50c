//! PGM and PPM, binary, of 8 bits: a line of text, then the pixels. Packing writes decoded images so.
//!
//! Source: Netpbm's manual pages pgm(5) and ppm(5).

use super::DecodeLimits;
use image::{DynamicImage, GrayImage, RgbImage};

/// Whether the bytes start as those of such a file.
pub(super) fn is(bytes: &[u8]) -> bool {
    matches!(bytes, [b'P', b'5' | b'6', b'\n' | b' ' | b'\t' | b'\r', ..])
}

pub(super) fn decode(bytes: &[u8], limits: DecodeLimits) -> Result<DynamicImage, String> {
    let mut rest = &bytes[2..];
    let width = number(&mut rest, "width")?;
    let height = number(&mut rest, "height")?;
    let white = number(&mut rest, "value of white")?;
    if white != 255 {
        return Err(format!("white is {white}, the only one known is 255"));
    }
    if width == 0 || height == 0 {
        return Err(format!("no pixels, the size is {width}x{height}"));
    }
    // One space, then the pixels.
    let pixels = rest.get(1..).unwrap_or_default();
    let channels = if bytes[1] == b'6' { 3 } else { 1 };
    let wanted = (u64::from(width) * u64::from(height)).saturating_mul(channels);
    if pixels.len() as u64 != wanted {
        return Err(format!("{width}x{height} pixels take {wanted} bytes, and {} are there", pixels.len()));
    }
    limits.check(width, height, wanted)?;
    let image = match channels {
        1 => GrayImage::from_raw(width, height, pixels.to_vec()).map(DynamicImage::from),
        _ => RgbImage::from_raw(width, height, pixels.to_vec()).map(DynamicImage::from),
    };
    image.ok_or_else(|| "another number of pixels than its size says".into())
}

/// The next number, behind spaces and lines of comment.
fn number(rest: &mut &[u8], what: &str) -> Result<u32, String> {
    loop {
        *rest = rest.trim_ascii_start();
        match rest.first() {
            Some(b'#') => {
                let line = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
                *rest = &rest[line..];
            }
            _ => break,
        }
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, tail) = rest.split_at(digits);
    *rest = tail;
    let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("no {what} in its first line"))
}
