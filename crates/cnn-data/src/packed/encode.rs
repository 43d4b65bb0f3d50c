//! The file that an example becomes.

use super::Encoding;
use crate::transform::{Interpolation, resize};
use crate::{DataError, Dataset, Picture};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageFormat};

/// The ending and the bytes of the file that an example becomes.
pub(super) fn encode(
    examples: &dyn Dataset,
    i: usize,
    encoding: Encoding,
) -> Result<(&'static str, Vec<u8>), DataError> {
    match encoding {
        Encoding::Keep => match examples.encoded(i)? {
            Some(file) => {
                let ending = match image::guess_format(&file) {
                    Ok(ImageFormat::Png) => "png",
                    Ok(ImageFormat::WebP) => "webp",
                    Ok(ImageFormat::Bmp) => "bmp",
                    _ if file.starts_with(b"P5") => "pgm",
                    _ if file.starts_with(b"P6") => "ppm",
                    _ => "jpg",
                };
                Ok((ending, file))
            }
            None => raw(examples, i),
        },
        Encoding::Raw => raw(examples, i),
        Encoding::Jpeg { short_side, quality } => {
            let fault = |fault: String| DataError::Image { image: examples.name(i), fault };
            let pixels = scaled(&examples.picture(i)?, short_side).map_err(fault)?;
            let color = if pixels.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
            let mut jpeg = Vec::new();
            JpegEncoder::new_with_quality(&mut jpeg, quality)
                .encode(&pixels.bytes, pixels.width, pixels.height, color)
                .map_err(|error| {
                    fault(format!("expected an image that JPEG can hold, got a fault: {error}"))
                })?;
            Ok(("jpg", jpeg))
        }
    }
}

/// The pixels as a PGM or PPM file.
fn raw(examples: &dyn Dataset, i: usize) -> Result<(&'static str, Vec<u8>), DataError> {
    let picture = examples.picture(i)?;
    let (ending, magic) = match picture.channels() {
        1 => ("pgm", "P5"),
        3 => ("ppm", "P6"),
        channels => {
            return Err(DataError::Image { image: examples.name(i), fault: channels_fault(channels) });
        }
    };
    let mut file = format!("{magic}\n{} {}\n255\n", picture.width(), picture.height()).into_bytes();
    file.extend(picture.to_interleaved());
    Ok((ending, file))
}

/// The channels of a pixel side by side, as encoders want them.
struct Pixels {
    width: u32,
    height: u32,
    channels: usize,
    bytes: Vec<u8>,
}

impl Pixels {
    fn of(picture: &Picture<'_>) -> Self {
        let [channels, h, w] = picture.shape();
        // No format has sides of 2^32 pixels.
        Self { width: w as u32, height: h as u32, channels, bytes: picture.to_interleaved() }
    }
}

/// The image, scaled down to a shorter side of `short_side` if it is longer.
fn scaled(picture: &Picture<'_>, short_side: u32) -> Result<Pixels, String> {
    let [channels, h, w] = picture.shape();
    if !matches!(channels, 1 | 3) {
        return Err(channels_fault(channels));
    }
    let (short, wanted) = (h.min(w), short_side as usize);
    if short <= wanted {
        return Ok(Pixels::of(picture));
    }
    let target = [h, w].map(|side| (side as u64 * u64::from(short_side) / short as u64) as usize);
    let smaller = resize(picture, ([0, 0], [h, w]), target, Interpolation::Bilinear);
    Ok(Pixels::of(
        &smaller.map_err(|error| format!("expected an image that can be scaled, got a fault: {error}"))?,
    ))
}

fn channels_fault(channels: usize) -> String {
    format!("expected 1 or 3 channels, got {channels}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The checksums are those of the pixels that the resizer's untyped call made of the same images.
    #[test]
    fn scaled_pixels_stay_the_same_for_all_time() {
        for (channels, checksum) in [(1, 0xbd7d_f38d), (3, 0xc679_ca66)] {
            let data: Vec<u8> = (0..channels * 48 * 37).map(|i| (i * i % 251) as u8).collect();
            let pixels = scaled(&Picture::new([channels, 48, 37], data).unwrap(), 11).unwrap();
            assert_eq!((pixels.width, pixels.height, pixels.channels), (11, 14, channels));
            assert_eq!(crc32fast::hash(&pixels.bytes), checksum);
        }
    }
}
