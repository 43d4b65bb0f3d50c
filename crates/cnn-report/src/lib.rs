//! Pictures of what a network does, as PNG bytes: pure functions of their data that touch no file.
//!
//! - [`contact()`]: samples of a data set, how many of each class, and what augmentation makes of them.
//! - [`curves()`]: loss and accuracy over the epochs.
//! - [`confusion()`]: which class is taken for which.
//! - [`filters()`]: the first layer's filters, and what they see in one image.
//! - [`mistakes()`]: the images that a classifier gets most wrong.
//! - [`templates()`]: the weights of a linear classifier, drawn as images.
//! - [`kernels()`]: an image under hand-made convolution kernels.
//!
//! All share one sheet ([`canvas`]), one palette ([`color`]) and two conventions: rows of numbers run downwards
//! and columns to the right, as in the tensor, and what is not a number is [`color::NOT_A_NUMBER`].

mod canvas;
mod color;
mod confusion;
mod contact;
mod curves;
mod filters;
mod kernels;
mod mistakes;
mod raster;
mod templates;

pub use confusion::confusion;
pub use contact::{Contact, Count, Sample, Variants, contact};
pub use curves::curves;
pub use filters::filters;
pub use kernels::{Filtered, Tone, kernels};
pub use mistakes::{Mistake, SHEET as MISTAKES, mistakes};
pub use templates::templates;

use plotters::prelude::{BitMapBackend, DrawingAreaErrorKind, DrawingBackend};

/// What can go wrong when a picture is made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The data do not have the shape that the picture shows.
    #[error("{picture}: expected {expected}, got {got}")]
    Data {
        /// The picture's name.
        picture: &'static str,
        /// What it needs.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// The plotting library could not draw a chart.
    #[error("picture: cannot draw a chart: {0}")]
    Chart(#[from] DrawingAreaErrorKind<<BitMapBackend<'static> as DrawingBackend>::ErrorType>),
    /// The pixels could not be encoded.
    #[error("picture: cannot encode PNG: {0}")]
    Encode(#[from] image::ImageError),
}

#[cfg(test)]
mod testing {
    use image::RgbImage;

    /// Decodes a picture, so that tests look at what a viewer would see.
    pub fn decode(png: &[u8]) -> RgbImage {
        image::load_from_memory_with_format(png, image::ImageFormat::Png).expect("a PNG").to_rgb8()
    }

    /// The number of pixels of exactly this colour.
    pub fn count(picture: &RgbImage, color: image::Rgb<u8>) -> usize {
        picture.pixels().filter(|&&pixel| pixel == color).count()
    }

    /// The centre of all pixels of exactly this colour.
    pub fn centre(picture: &RgbImage, color: image::Rgb<u8>) -> [f64; 2] {
        let mut sum = [0.0; 2];
        for (x, y, _) in picture.enumerate_pixels().filter(|&(_, _, &pixel)| pixel == color) {
            sum = [sum[0] + f64::from(x), sum[1] + f64::from(y)];
        }
        sum.map(|sum| sum / count(picture, color) as f64)
    }
}
