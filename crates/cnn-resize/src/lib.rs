//! Images of another size, as Pillow scales them, for pixels of one byte and of four.
//!
//! The package `fast_image_resize` is generic: its kernels are compiled where they are called, in some hundred versions. Here
//! that happens once, beside the other crates, and not again for the tests of `cnn-data`, its only user. The package's untyped
//! call would compile it for pixels of ten more types.
//!
//! ```
//! use cnn_resize::{Filter, Resizer, Source};
//! let source = Source { pixels: &[0, 100, 200, 100], size: [2, 2], part: ([0, 0], [2, 2]) };
//! let mut target = [0];
//! Resizer::default().gray(source, (&mut target, [1, 1]), Filter::Bilinear).unwrap();
//! assert_eq!(target, [100]);
//! ```
#![forbid(unsafe_code)]

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x4};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions};
use std::fmt::{self, Display};

/// How the pixels under a new one are weighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// A triangle.
    Bilinear,
    /// All alike.
    Box,
    /// The cubic of Catmull and Rom, which is Pillow's bicubic.
    CatmullRom,
}

/// A part of an image.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The pixels of the image, row by row.
    pub pixels: &'a [u8],
    /// Height and width of the image.
    pub size: [usize; 2],
    /// Row and column of the part's upper left corner, and its height and width. Pixels outside have no influence.
    pub part: ([usize; 2], [usize; 2]),
}

/// An image that cannot be resized: an extent is 0 or not below 2^32, or the pixels are not as many as the size says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(String);

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// Resizes images, and keeps memory from one to the next.
#[derive(Debug, Default)]
pub struct Resizer(fast_image_resize::Resizer);

impl Resizer {
    /// A part of an image of one byte per pixel, at the size `[h, w]` of `target`.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn gray(
        &mut self,
        source: Source<'_>,
        target: (&mut [u8], [usize; 2]),
        filter: Filter,
    ) -> Result<(), Fault> {
        self.convolve::<U8>(source, target, filter)
    }

    /// The same for an image of four bytes per pixel, each of which is a channel by itself.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn four_channels(
        &mut self,
        source: Source<'_>,
        target: (&mut [u8], [usize; 2]),
        filter: Filter,
    ) -> Result<(), Fault> {
        self.convolve::<U8x4>(source, target, filter)
    }

    /// The bytes that are kept for the next image.
    pub fn kept(&self) -> usize {
        self.0.size_of_internal_buffers()
    }

    /// Gives them back.
    pub fn release(&mut self) {
        self.0.reset_internal_buffers();
    }

    fn convolve<P: PixelTrait>(
        &mut self,
        Source { pixels, size: [height, width], part: ([top, left], [h, w]) }: Source<'_>,
        (target, [target_h, target_w]): (&mut [u8], [usize; 2]),
        filter: Filter,
    ) -> Result<(), Fault> {
        let filter = match filter {
            Filter::Bilinear => FilterType::Bilinear,
            Filter::Box => FilterType::Box,
            Filter::CatmullRom => FilterType::CatmullRom,
        };
        // Of four channels none is opacity.
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
        let number = |extent: usize| u32::try_from(extent).map_err(fault);
        let source =
            TypedImageRef::<P>::from_buffer(number(width)?, number(height)?, pixels).map_err(fault)?;
        let part = TypedCroppedImage::new(source, number(left)?, number(top)?, number(w)?, number(h)?);
        let target = TypedImage::<P>::from_buffer(number(target_w)?, number(target_h)?, target);
        self.0.resize_typed(&part.map_err(fault)?, &mut target.map_err(fault)?, &options).map_err(fault)
    }
}

fn fault(fault: impl Display) -> Fault {
    Fault(fault.to_string())
}
