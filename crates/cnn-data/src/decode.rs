//! From the bytes of an image file to a [`Picture`].
//!
//! What a file is, its first bytes say, not its name: ImageNet has a PNG among its files `.JPEG`.
//!
//! | format | what is decoded |
//! |---|---|
//! | JPEG | gray, RGB, YCbCr of every subsampling, CMYK and YCCK by Adobe's convention (inverted); baseline and progressive, 8 bits |
//! | PNG | 1 to 16 bits, gray, colour or palette, with or without transparency |
//! | WebP | lossy and lossless; the first image of an animation |
//! | BMP | what the `image` package knows |
//! | PGM, PPM | binary, 8 bits |
//!
//! The result is gray or RGB, upright by the camera's note (EXIF orientation; a broken note is passed over), 16 bits
//! rounded to 8, transparent parts laid on white. CMYK becomes RGB as `R = C K / 255` of the inverted inks, which is what
//! Pillow computes; no colour profile is applied.
//!
//! # What a file cannot do
//!
//! - Ask for memory that it has no content for: sides are at most 16384, the decoded image at most 512 MB, and above a
//!   million pixels there must be a byte for every 8256 of them, the most that PNG's compression can pack (a blank page of
//!   1 bit).
//! - Pass as a whole image when it is cut off: a JPEG without its end is an error, as it is to Pillow.
//! - Panic. `zune-jpeg` and `image` have assertions of their own inside; a panic there is caught and becomes an error of
//!   this picture. (The panic's hook runs, so a line of it may be printed; in a program built with `panic = "abort"`
//!   nothing can be caught.)

mod jpeg;
mod pnm;

use crate::{DataError, Picture};
use cnn_tensor::sniff::FileKind;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use std::cell::Cell;
use std::fs::File;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// The longest side of an image.
const MAX_SIDE: u32 = 1 << 14;
/// The most memory that a decoded image, and the largest file of one, may take.
pub(crate) const MAX_BYTES: u64 = 512 << 20;
/// Images of no more pixels are decoded without a look at how many bytes they come from.
const HARMLESS_PIXELS: u64 = 1 << 20;
/// The most pixels that a byte can hold: deflate packs 1032 bytes into one, each of 8 pixels.
const MAX_PIXELS_PER_BYTE: u64 = 8 * 1032;

impl Picture<'static> {
    /// Decodes a JPEG, PNG, WebP or BMP, which the content tells: gray or RGB, upright, 8 bits, transparent parts on white.
    /// Errors call it `name`.
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
    /// The bytes are no sound image of these formats, or have more than 16384 pixels on a side, or take more than 512 MB
    /// when decoded.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self, DataError> {
        picture(bytes).map_err(|fault| DataError::Image { image: name.into(), fault })
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

/// The bytes of a file that is not too large for an image.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let io = |action| move |source| DataError::Io { path: path.into(), action, source };
    let file = File::open(path).map_err(io("open"))?;
    let size = file.metadata().map_err(io("open"))?.len();
    // Memory for the size that the system tells, and for what is there if that is more.
    let mut bytes = Vec::with_capacity(size.min(MAX_BYTES) as usize + 1);
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io("read"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large(path.display().to_string()));
    }
    Ok(bytes)
}

/// The error of a file that is too large for an image.
pub(crate) fn too_large(image: String) -> DataError {
    DataError::Image { image, fault: format!("expected an image of at most {MAX_BYTES} bytes, got more") }
}

thread_local! {
    /// The pixels of the last JPEG, whose memory the next one takes: asking the system for half a megabyte for each image and
    /// giving it back costs a third of the time of decoding.
    static PIXELS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}
/// The most that a thread keeps of [`PIXELS`].
const KEPT: usize = 16 << 20;

/// A picture, without a copy more than needed.
fn picture(bytes: &[u8]) -> Result<Picture<'static>, String> {
    if !matches!(image::guess_format(bytes), Ok(ImageFormat::Jpeg)) {
        return planes(image(bytes)?);
    }
    let mut pixels = PIXELS.take();
    let made = contained(ImageFormat::Jpeg, || {
        let frame = jpeg::decode(bytes, &mut pixels)?;
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

/// The decoded image, upright; or what was expected and what is there, in one line.
fn image(bytes: &[u8]) -> Result<DynamicImage, String> {
    if pnm::is(bytes) {
        return pnm::decode(bytes)
            .map_err(|fault| format!("expected a sound PGM or PPM image, got a fault: {fault}"));
    }
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => contained(ImageFormat::Jpeg, || {
            let mut pixels = Vec::new();
            upright(jpeg::decode(bytes, &mut pixels)?, pixels)
        }),
        Ok(format @ (ImageFormat::Png | ImageFormat::WebP | ImageFormat::Bmp)) => {
            contained(format, || other(bytes, format))
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

/// What a decoder gives, its panics as faults, and its faults as messages of one line.
fn contained<T>(format: ImageFormat, decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // What a panic leaves behind is at most a buffer of pixels, and that is cleared before it is used again.
    let decoded = catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err("the decoder gave up on an assertion of its own".into()));
    decoded.map_err(|fault| {
        // Some of the decoders' messages end in a line break.
        let fault = fault.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("expected a sound {} image, got a fault: {fault}", name(format))
    })
}

/// The pixels of a JPEG as an image that stands upright.
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

/// Every format but JPEG.
fn other(bytes: &[u8], format: ImageFormat) -> Result<DynamicImage, String> {
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
    limits.max_alloc = Some(MAX_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    check_size(bytes.len(), width, height, decoder.total_bytes())?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// That an image of `content` bytes may be decoded, which takes `memory` bytes.
fn check_size(content: usize, width: u32, height: u32, memory: u64) -> Result<(), String> {
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(format!("{width}x{height} pixels, the limit is {MAX_SIDE}x{MAX_SIDE}"));
    }
    if memory > MAX_BYTES {
        return Err(format!("{width}x{height} pixels take {memory} bytes, the limit is {MAX_BYTES}"));
    }
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
    fn what_is_transparent_is_white() {
        assert_eq!(
            [(0, 0), (0, 255), (200, 255), (0, 128), (255, 7)].map(|(v, a)| on_white(v, a)),
            [255, 0, 200, 127, 255]
        );
    }

    #[test]
    fn size_is_bounded_by_sides_memory_and_content() {
        let message =
            |content, width, height, memory| check_size(content, width, height, memory).unwrap_err();
        assert_eq!(message(0, 16385, 1, 0), "16385x1 pixels, the limit is 16384x16384");
        assert_eq!(
            message(0, 9000, 9000, 1 << 30),
            "9000x9000 pixels take 1073741824 bytes, the limit is 536870912"
        );
        assert_eq!(message(100, 2000, 2000, 0), "2000x2000 pixels in 100 bytes, the limit is 1874176 pixels");
        assert_eq!(check_size(1, 1024, 1024, 1 << 20), Ok(()));
    }
}
