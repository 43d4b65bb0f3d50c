//! From the bytes of an image file to a [`Picture`].
//!
//! The first bytes of a file tell its format, not its name: ImageNet has a PNG among its files `.JPEG`.
//!
//! | format | kinds |
//! |---|---|
//! | JPEG | gray, RGB, YCbCr of every whole ratio of subsampling, CMYK and YCCK by Adobe's convention (inverted); baseline and progressive, 8 bits; the standard Huffman tables where a file has none |
//! | PNG | 1 to 16 bits, gray, colour or palette, with or without transparency |
//! | WebP | lossy and lossless; the first image of an animation |
//! | BMP | all that the `image` package knows |
//! | PGM, PPM | binary, 8 bits |
//!
//! The result is gray or RGB, upright by the camera's note (EXIF orientation; a broken note is passed over), 16 bits
//! rounded to 8, transparent parts laid on white. CMYK becomes RGB as `R = C K / 255` of the inverted inks, which is Pillow's
//! formula; no colour profile is applied. Components of a JPEG are YCbCr or RGB by libjpeg's rule: JFIF's segment counts
//! before Adobe's, and Adobe's before the names of the components.
//!
//! # Damage
//!
//! A damaged image is an error, not a picture with gray parts: a JPEG without its end, or with a scan that stops before
//! the last of its pixels, or a PNG with a wrong checksum. Two kinds of damage pass, both of progressive JPEGs: an end behind one of the
//! scans (some files are made so, to be smaller), and a cut within the code of a run of blocks without new coefficients.
//!
//! # Bounds
//!
//! - The decoded image takes at most 1 GiB ([`DecodeLimits`]).
//! - Where a format must spend bytes on each pixel, a file must have them: a JPEG a bit for each block of 8x8 samples; a PNG
//!   above a million pixels a byte for every 8256 of them, the most that deflate can pack (a blank page of 1 bit); PGM and
//!   PPM all of them. A blank WebP or a run-length coded BMP needs none, so only their memory is bounded.
//! - No panic. `zune-jpeg` and `image` have assertions of their own inside; a panic there is caught and becomes an error of
//!   this picture. (The panic's hook runs, so a line of it may be printed; in a program built with `panic = "abort"`
//!   nothing can be caught.)

mod jpeg;
mod limits;
mod pnm;

pub use limits::DecodeLimits;

use crate::{DataError, Picture};
use cnn_tensor::sniff::FileKind;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use std::cell::Cell;
use std::fs::File;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// A PNG of no more pixels is decoded without a look at how many bytes it has.
const HARMLESS_PIXELS: u64 = 1 << 20;
/// The most pixels that a byte of a PNG can hold: deflate packs 1032 bytes into one, each of 8 pixels.
const MAX_PIXELS_PER_BYTE: u64 = 8 * 1032;

impl Picture<'static> {
    /// Decodes a JPEG, PNG, WebP or BMP, told apart by content: gray or RGB, upright, 8 bits, transparent parts on white.
    /// Errors call it `name`. The limits are those of the environment ([`DecodeLimits::from_environment`]).
    ///
    /// ```
    /// use cnn_data::Picture;
    /// // A BMP of one pixel: blue, green, red, and a byte that fills the row.
    /// let mut bmp = b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0".to_vec();
    /// bmp.extend([0; 24]);
    /// bmp.extend([30, 20, 10, 0]);
    /// assert_eq!(Picture::decode("dot.bmp", &bmp)?, Picture::new([3, 1, 1], vec![10, 20, 30])?);
    /// let error = Picture::decode("dot.bmp", b"GIF89a").unwrap_err();
    /// let expected = "a JPEG, PNG, WebP or BMP image, got a GIF image";
    /// assert_eq!(error.to_string(), format!("dot.bmp: expected {expected}"));
    /// # Ok::<(), cnn_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// The bytes are not a sound image of these formats, or ask for more than the limits allow.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self, DataError> {
        Self::decode_within(name, bytes, DecodeLimits::from_environment()?)
    }

    /// [`Picture::decode`] with limits of its own.
    ///
    /// # Errors
    /// The bytes are not a sound image of these formats, or ask for more than `limits` allow.
    pub fn decode_within(name: &str, bytes: &[u8], limits: DecodeLimits) -> Result<Self, DataError> {
        picture(bytes, limits).map_err(|fault| DataError::Image { image: name.into(), fault })
    }

    /// Reads and decodes a file, as [`Picture::decode`].
    ///
    /// # Errors
    /// The file cannot be read, or those of [`Picture::decode`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        Self::decode(&path.display().to_string(), &read(path)?)
    }
}

/// The most bytes that the file of an image may have.
pub(crate) fn max_bytes() -> u64 {
    // Where the variable is wrong, the first image to be decoded says so.
    DecodeLimits::from_environment().unwrap_or_default().memory
}

/// The bytes of a file that is not too large for an image.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let io = |action| move |source| DataError::Io { path: path.into(), action, source };
    let file = File::open(path).map_err(io("open"))?;
    let size = file.metadata().map_err(io("open"))?.len();
    // Memory for the size that the system tells, and for more bytes if there are any.
    let most = max_bytes();
    let mut bytes = Vec::with_capacity(size.min(most) as usize + 1);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(io("read"))?;
    if bytes.len() as u64 > most {
        return Err(too_large(path.display().to_string()));
    }
    Ok(bytes)
}

/// The error of a file that is too large for an image.
pub(crate) fn too_large(image: String) -> DataError {
    let (most, variable) = (max_bytes(), DecodeLimits::VARIABLE);
    DataError::Image {
        image,
        fault: format!("expected an image of at most {most} bytes ({variable}), got more"),
    }
}

thread_local! {
    /// The pixels of the last JPEG, whose memory the next one takes: asking the system for half a megabyte for each image and
    /// giving it back costs a third of the time of decoding.
    static PIXELS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}
/// The most that a thread keeps of [`PIXELS`].
const KEPT: usize = 16 << 20;

/// A picture, without a copy more than needed.
fn picture(bytes: &[u8], limits: DecodeLimits) -> Result<Picture<'static>, String> {
    if !matches!(image::guess_format(bytes), Ok(ImageFormat::Jpeg)) {
        return planes(image(bytes, limits)?);
    }
    let mut pixels = PIXELS.take();
    let made = contained(ImageFormat::Jpeg, || {
        let frame = jpeg::decode(bytes, limits, &mut pixels)?;
        if frame.orientation != Orientation::NoTransforms {
            return planes(upright(frame, pixels.clone())?);
        }
        let shape = [frame.channels, frame.height as usize, frame.width as usize];
        Picture::from_interleaved(shape, &pixels).map_err(|error| error.to_string())
    });
    if pixels.capacity() <= KEPT {
        PIXELS.set(pixels);
    }
    made
}

/// The decoded image of any format but JPEG, upright; or a fault in one line.
fn image(bytes: &[u8], limits: DecodeLimits) -> Result<DynamicImage, String> {
    if pnm::is(bytes) {
        return pnm::decode(bytes, limits)
            .map_err(|fault| format!("expected a sound PGM or PPM image, got a fault: {fault}"));
    }
    match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::WebP | ImageFormat::Bmp)) => {
            contained(format, || other(bytes, format, limits))
        }
        _ => {
            let start = match FileKind::of(Path::new(""), bytes) {
                Some(kind) => kind.to_string(),
                None => {
                    let bytes = bytes[..bytes.len().min(8)].iter().map(|byte| format!(" {byte:02x}"));
                    format!("the bytes{}", bytes.collect::<String>())
                }
            };
            Err(format!("expected a JPEG, PNG, WebP or BMP image, got {start}"))
        }
    }
}

/// The result of a decoder, its panics as faults, and its faults as messages of one line.
fn contained<T>(format: ImageFormat, decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // A panic leaves behind at most a buffer of pixels, which is cleared before it is used again.
    let decoded = catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err("the decoder gave up on an assertion of its own".into()));
    decoded.map_err(|fault| {
        // Some of the decoders' messages end in a line break.
        let fault = fault.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("expected a sound {} image, got a fault: {fault}", name(format))
    })
}

/// The pixels of a JPEG as an upright image.
fn upright(frame: jpeg::Frame, pixels: Vec<u8>) -> Result<DynamicImage, String> {
    let image = match frame.channels {
        1 => GrayImage::from_raw(frame.width, frame.height, pixels).map(DynamicImage::from),
        _ => RgbImage::from_raw(frame.width, frame.height, pixels).map(DynamicImage::from),
    };
    let mut image = image.ok_or("another number of pixels than its size says")?;
    image.apply_orientation(frame.orientation);
    Ok(image)
}

fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        _ => "BMP",
    }
}

/// PNG, WebP and BMP.
fn other(bytes: &[u8], format: ImageFormat, limits: DecodeLimits) -> Result<DynamicImage, String> {
    let mut bounds = Limits::no_limits();
    bounds.max_alloc = Some(limits.memory);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(bounds);
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    limits.check(width, height, decoder.total_bytes())?;
    if format == ImageFormat::Png {
        check_deflated(bytes.len(), width, height)?;
    }
    let exif = decoder.exif_metadata().ok().flatten();
    let turn = exif.and_then(|exif| orientation(&exif)).unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    image.apply_orientation(turn);
    Ok(image)
}

/// The camera's note in EXIF's data. JPEG has a prefix before them, which some programs write into other formats as well.
fn orientation(mut exif: &[u8]) -> Option<Orientation> {
    while let Some(rest) = exif.strip_prefix(b"Exif\0\0") {
        exif = rest;
    }
    Orientation::from_exif_chunk(exif)
}

/// Checks that so many pixels may be in a PNG of `content` bytes.
fn check_deflated(content: usize, width: u32, height: u32) -> Result<(), String> {
    let pixels = u64::from(width) * u64::from(height);
    let limit = HARMLESS_PIXELS + MAX_PIXELS_PER_BYTE * content as u64;
    if pixels > limit {
        return Err(format!("{width}x{height} pixels in {content} bytes, the limit is {limit} pixels"));
    }
    Ok(())
}

/// The image as planes: gray or RGB, its transparent parts laid on white.
fn planes(image: DynamicImage) -> Result<Picture<'static>, String> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let color = image.color();
    let made = match (color.has_color(), color.has_alpha()) {
        (false, false) => Picture::new([1, height, width], image.into_luma8().into_raw()),
        (true, false) => Picture::from_interleaved([3, height, width], image.into_rgb8().as_raw()),
        (false, true) => {
            let pixels = image.into_luma_alpha8().into_raw();
            let (pixels, _) = pixels.as_chunks::<2>();
            let gray: Vec<u8> = pixels.iter().map(|&[luma, alpha]| on_white(luma, alpha)).collect();
            Picture::new([1, height, width], gray)
        }
        (true, true) => {
            let pixels = image.into_rgba8().into_raw();
            let (pixels, _) = pixels.as_chunks::<4>();
            let opaque: Vec<u8> =
                pixels.iter().flat_map(|&[r, g, b, alpha]| [r, g, b].map(|v| on_white(v, alpha))).collect();
            Picture::from_interleaved([3, height, width], &opaque)
        }
    };
    made.map_err(|_| format!("expected at least one pixel, got {width}x{height}"))
}

/// `value` on white, where `alpha` of 255 is opaque.
fn on_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_decoder_is_a_fault_of_the_image() {
        let made = contained::<()>(ImageFormat::WebP, || panic!("an assertion"));
        let fault =
            "expected a sound WebP image, got a fault: the decoder gave up on an assertion of its own";
        assert_eq!(made.unwrap_err(), fault);
    }

    #[test]
    fn transparent_parts_are_white() {
        assert_eq!(
            [(0, 0), (0, 255), (200, 255), (0, 128), (255, 7)].map(|(v, a)| on_white(v, a)),
            [255, 0, 200, 127, 255]
        );
    }

    #[test]
    fn pixels_of_a_png_are_bounded_by_its_bytes() {
        let message = check_deflated(100, 2000, 2000).unwrap_err();
        assert_eq!(message, "2000x2000 pixels in 100 bytes, the limit is 1874176 pixels");
        assert_eq!(check_deflated(1, 1024, 1024), Ok(()));
    }
}
