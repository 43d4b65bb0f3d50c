//! From the photo or drawing of a digit to the form of MNIST's images.
//!
//! 1. The picture, transparent parts on white and turned upright, becomes gray and at most 512 pixels long.
//! 2. The border shows the paper: a plane is fitted through the pixels there that are near their median, so that
//!    a shadow across the page does no harm. Pixels that differ from it by more than its grain are ink, dark or light.
//! 3. Specks are wiped away, and the ink's bounding box is scaled until its longer side is 20 pixels.
//! 4. It is placed on black, 28x28, with its centre of mass on the pixel (14, 14), as every image of MNIST has it.
//!
//! The digit must stand alone, and paper must fill most of the border. A picture that is in MNIST's form already stays as it
//! is.
//!
//! Source of the form: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
//! recognition", Proceedings of the IEEE, 1998, section III.A.

mod form;
mod paper;

use crate::{DataError, Picture};
use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageBuffer, Luma, RgbImage};
use paper::{element, paper};
use std::path::Path;

/// The longer side of a picture while it is worked on; the digit is 20 pixels in the end.
const WORKING_SIDE: u32 = 512;
/// The longer side of the ink in MNIST's images.
const INK_SIDE: u32 = 20;
/// The pixel, in both directions, on which the ink's centre of mass lies.
const CENTRE: f32 = 14.0;
/// Ink fainter than this part of the full stroke does not count for the bounding box.
const FAINT: f32 = 0.15;
/// A connected part with less than this part of the largest one's pixels is a speck.
const SPECK: f32 = 0.05;
/// The least contrast of a digit with its paper, where white is 1.
const CONTRAST: f32 = 16.0 / 255.0;

/// Gray, where white is 1; or ink, where a full stroke is 1.
type Gray = ImageBuffer<Luma<f32>, Vec<f32>>;

/// An image in the form of MNIST: 28x28, the digit light on black.
///
/// ```
/// use cnn_data::Digit;
/// // A "1" of dark gray on light paper.
/// let (width, height) = (40, 60);
/// let stroke = |i: usize| (18..22).contains(&(i % width)) && (10..50).contains(&(i / width));
/// let drawing: Vec<u8> = (0..width * height).map(|i| if stroke(i) { 60 } else { 230 }).collect();
/// let digit = Digit::from_luma(width, height, &drawing)?;
/// assert_eq!(digit.pixels()[14 * 28 + 14], 255);
/// assert_eq!(digit.pixels().iter().filter(|&&v| v > 0).count(), 2 * 20);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digit([u8; Digit::SIDE * Digit::SIDE]);

impl Digit {
    /// Height and width.
    pub const SIDE: usize = 28;

    /// Reads a PNG, JPEG, WebP or BMP of one digit: any size, dark on light or light on dark, or in MNIST's form already
    /// ([`Digit::from_picture`]).
    ///
    /// # Errors
    /// The file cannot be read or decoded ([`Picture::decode`]), or shows no digit.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let fault = |fault| DataError::Image { image: path.display().to_string(), fault };
        Self::from_any(&Picture::read(path)?).map_err(fault)
    }

    /// From gray pixels, row-major, where 0 is black, as [`Digit::from_picture`].
    ///
    /// # Errors
    /// `luma` are not `width * height` pixels, or show no digit.
    pub fn from_luma(width: usize, height: usize, luma: &[u8]) -> Result<Self, DataError> {
        let fault = |fault| DataError::Image { image: "digit".into(), fault };
        if width.checked_mul(height) != Some(luma.len()) {
            return Err(fault(format!("expected {width}x{height} pixels, got {}", luma.len())));
        }
        if luma.is_empty() {
            return Err(fault(format!("expected a digit, got an image of {width}x{height} pixels")));
        }
        Self::from_picture(&Picture::new([1, height, width], luma)?)
    }

    /// From a picture of one digit: dark on light or light on dark, of any size.
    ///
    /// A picture in MNIST's form stays as it is, byte for byte, so that an image of MNIST or Fashion-MNIST gives the same
    /// numbers from a file as from the data set. It is in that form if
    ///
    /// - it is 28x28 and gray, or its three channels are equal;
    /// - its brightest pixel is at least 240;
    /// - of the pixels at its border at least one in twelve is 0;
    /// - its centre of mass is at most one pixel from (14, 14), or its ink has margins that differ by at most two pixels,
    ///   left from right and top from bottom.
    ///
    /// All 70,000 images of MNIST and all 70,000 of Fashion-MNIST are.
    ///
    /// ```
    /// use cnn_data::{Digit, Picture};
    /// let mut stroke = Picture::filled([1, 28, 28], 0);
    /// (4..24).for_each(|y| stroke.data_mut()[28 * y + 13..][..3].fill(250));
    /// assert_eq!(Digit::from_picture(&stroke)?.pixels(), stroke.data());
    /// # Ok::<(), cnn_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// The picture has other than one or three channels, or shows no digit.
    pub fn from_picture(picture: &Picture<'_>) -> Result<Self, DataError> {
        Self::from_any(picture).map_err(|fault| DataError::Image { image: "digit".into(), fault })
    }

    /// The pixels, row-major: 0 is paper, 255 a full stroke.
    pub fn pixels(&self) -> &[u8; Self::SIDE * Self::SIDE] {
        &self.0
    }

    fn from_any(picture: &Picture<'_>) -> Result<Self, String> {
        if let Some(pixels) = form::of_mnist(picture) {
            return Ok(Self(pixels));
        }
        let mut ink = ink(&working_size(gray(picture)?)).ok_or("expected a digit, got a blank image")?;
        stretch(&mut ink);
        wipe_specks(&mut ink);
        let mut ink = fit(&ink);
        stretch(&mut ink);
        Ok(Self(centred(&ink)))
    }
}

/// The picture as one gray channel. The luma is the `image` package's, not [`Picture::to_gray`]'s.
fn gray(picture: &Picture<'_>) -> Result<GrayImage, String> {
    // Pictures whose sides do not fit into 32 bits do not fit into memory either.
    let [channels, height, width] = picture.shape().map(|extent| extent as u32);
    let gray = match channels {
        1 => GrayImage::from_raw(width, height, picture.data().to_vec()),
        3 => RgbImage::from_raw(width, height, picture.to_interleaved())
            .map(|image| DynamicImage::from(image).into_luma8()),
        _ => None,
    };
    gray.ok_or_else(|| format!("expected a picture of 1 or 3 channels, got {channels}"))
}

fn working_size(picture: GrayImage) -> Gray {
    let (width, height) = scaled_to(picture.dimensions(), WORKING_SIDE);
    let smaller = picture.width().max(picture.height()) > WORKING_SIDE;
    let picture =
        if smaller { imageops::resize(&picture, width, height, FilterType::Triangle) } else { picture };
    Gray::from_fn(picture.width(), picture.height(), |x, y| {
        Luma([f32::from(picture.get_pixel(x, y).0[0]) / 255.0])
    })
}

/// How much each pixel differs from the paper, in the direction of the ink; `None` if no pixel does.
fn ink(picture: &Gray) -> Option<Gray> {
    let (paper, grain) = paper(picture);
    let (width, height) = picture.dimensions();
    let darker = Gray::from_fn(width, height, |x, y| {
        let difference = paper.at(picture, x, y) - picture.get_pixel(x, y).0[0];
        Luma([difference.signum() * (difference.abs() - grain).max(0.0)])
    });
    let power = |sign: f32| darker.iter().map(|&v| (sign * v).max(0.0).powi(2)).sum::<f32>();
    let sign = if power(1.0) >= power(-1.0) { 1.0 } else { -1.0 };
    let ink = Gray::from_fn(width, height, |x, y| Luma([(sign * darker.get_pixel(x, y).0[0]).max(0.0)]));
    (peak(&ink) >= CONTRAST.max(grain)).then_some(ink)
}

/// Makes full strokes 1.
fn stretch(ink: &mut Gray) {
    let peak = peak(ink);
    ink.iter_mut().for_each(|v| *v = (*v / peak).min(1.0));
}

/// The strength of a full stroke: of the pixels of at least half the greatest, nine of ten are below it.
fn peak(ink: &Gray) -> f32 {
    let greatest = ink.iter().copied().fold(0.0, f32::max);
    let mut strong: Vec<f32> = ink.iter().copied().filter(|&v| 2.0 * v >= greatest).collect();
    *element(&mut strong, 0.9)
}

/// Wipes away the connected parts that are too small for a part of a digit.
fn wipe_specks(ink: &mut Gray) {
    let (width, height) = ink.dimensions();
    let mut seen = vec![false; ink.len()];
    let mut parts = Vec::new();
    for start in 0..width * height {
        let mut part = Vec::new();
        let mut visit = |x: u32, y: u32, part: &mut Vec<(u32, u32)>| {
            let seen = &mut seen[(y * width + x) as usize];
            if !*seen && ink.get_pixel(x, y).0[0] >= FAINT {
                *seen = true;
                part.push((x, y));
            }
        };
        visit(start % width, start / width, &mut part);
        let mut next = 0;
        while let Some(&(x, y)) = part.get(next) {
            next += 1;
            for y in y.saturating_sub(1)..(y + 2).min(height) {
                for x in x.saturating_sub(1)..(x + 2).min(width) {
                    visit(x, y, &mut part);
                }
            }
        }
        if !part.is_empty() {
            parts.push(part);
        }
    }
    let largest = parts.iter().map(Vec::len).max().unwrap_or(0);
    for part in parts.iter().filter(|part| (part.len() as f32) < SPECK * largest as f32) {
        part.iter().for_each(|&(x, y)| ink.put_pixel(x, y, Luma([0.0])));
    }
}

/// The ink's bounding box, scaled until its longer side is [`INK_SIDE`].
fn fit(ink: &Gray) -> Gray {
    let (mut left, mut right, mut top, mut bottom) = (u32::MAX, 0, u32::MAX, 0);
    for (x, y, _) in ink.enumerate_pixels().filter(|(_, _, v)| v.0[0] >= FAINT) {
        (left, right) = (left.min(x), right.max(x + 1));
        (top, bottom) = (top.min(y), bottom.max(y + 1));
    }
    let size = (right - left, bottom - top);
    let (width, height) = scaled_to(size, INK_SIDE);
    let digit = imageops::crop_imm(ink, left, top, size.0, size.1).to_image();
    imageops::resize(&digit, width, height, FilterType::Lanczos3)
}

/// The digit on black, its centre of mass at the nearest to [`CENTRE`] that whole pixels allow.
fn centred(ink: &Gray) -> [u8; Digit::SIDE * Digit::SIDE] {
    let mass: f32 = ink.iter().sum();
    let moment = |along: fn(u32, u32) -> u32| {
        ink.enumerate_pixels().map(|(x, y, v)| along(x, y) as f32 * v.0[0]).sum::<f32>()
    };
    let shift = |moment: f32| (CENTRE - moment / mass).round() as i64;
    let (right, down) = (shift(moment(|x, _| x)), shift(moment(|_, y| y)));
    let mut pixels = [0; Digit::SIDE * Digit::SIDE];
    for (x, y, v) in ink.enumerate_pixels() {
        let (x, y) = (i64::from(x) + right, i64::from(y) + down);
        let inside = 0..Digit::SIDE as i64;
        if inside.contains(&x) && inside.contains(&y) {
            pixels[y as usize * Digit::SIDE + x as usize] = (v.0[0] * 255.0).round() as u8;
        }
    }
    pixels
}

/// Width and height in the same proportion, the longer of them `side`.
fn scaled_to((width, height): (u32, u32), side: u32) -> (u32, u32) {
    let scale = f64::from(side) / f64::from(width.max(height));
    let scaled = |extent: u32| ((f64::from(extent) * scale).round() as u32).max(1);
    (scaled(width), scaled(height))
}
