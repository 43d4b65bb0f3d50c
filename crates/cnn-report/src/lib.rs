//! Pictures of a network's data, training and mistakes, as PNG bytes. The functions depend on their arguments alone and
//! write no files.
//!
//! - [`contact()`]: samples of a data set, the size of each class, and samples after augmentation.
//! - [`curves()`]: loss and accuracy over the epochs.
//! - [`confusion()`]: the confusion matrix.
//! - [`filters()`]: the first layer's filters, and their feature maps of one image.
//! - [`mistakes()`]: the images that a classifier gets wrong with the highest probability.
//! - [`panels()`], [`groups()`], [`patches()`]: sheets of what explains a network, of images that [`views`] makes of its maps.
//! - [`templates()`]: the weights of a linear classifier, drawn as images.
//! - [`predictions()`]: images with the likeliest classes of each.
//! - [`captioned()`]: photos with the sentences that a network says about them.
//! - [`outputs()`]: images of several labels, with the probability of each label.
//! - [`retrieval()`]: images, each with those of an index that are nearest to it.
//! - [`figure()`], [`figures()`]: people with their joints.
//! - [`bars()`]: numbers side by side.
//! - [`kernels()`]: an image under hand-made convolution kernels.
//! - [`slide()`], [`slide_animation()`]: a kernel that slides over a small image, window by window.
//! - [`pooling()`]: a max pooling of a few numbers.
//! - [`linear_scores()`], [`softmax()`]: the scores of a linear classifier of a few pixels, and the way from scores to a loss.
//! - [`lines()`]: charts of lines over epochs or learning rates.
//! - [`histograms()`]: rows of histograms.
//! - [`scores()`]: the scores of a run that learns to play. [`gameplay()`], [`gameplay_animation()`]: a game, with the value of each
//!   action beside the frame.
//!
//! All draw on the same sheet (`canvas.rs`) with the same palette (`color.rs`). Rows of a tensor run downwards and
//! columns to the right. A value that is not a number is drawn in magenta, a colour of no scale.
//!
//! ```
//! let counts = [9, 1, 0, 10]; // of ten images of each class, one dog was taken for a cat
//! let png = cnn_report::confusion("Pets", &["dog", "cat"], &counts)?;
//! assert!(png.starts_with(b"\x89PNG"));
//! # Ok::<(), cnn_report::PictureError>(())
//! ```

mod animation;
mod bars;
mod canvas;
mod captioned;
mod chart;
mod color;
mod confusion;
mod contact;
mod curves;
mod figures;
mod filters;
mod gameplay;
mod grid;
mod histograms;
mod kernels;
mod linear_scores;
mod lines;
mod mistakes;
mod outputs;
mod panels;
mod pooling;
mod predictions;
mod raster;
mod retrieval;
mod scores;
mod slide;
mod softmax;
mod templates;
pub mod views;

pub use bars::{Bar, bars};
pub use captioned::{CaptionColumn, Captioned, captioned};
pub use confusion::confusion;
pub use contact::{Contact, Count, Sample, Variants, contact};
pub use curves::curves;
pub use figures::{BodySide, Bone, Figure, FigureRow, figure, figures};
pub use filters::filters;
pub use gameplay::{GameStep, Gameplay, gameplay, gameplay_animation};
pub use histograms::{Histogram, HistogramRow, histograms};
pub use kernels::{Filtered, Tone, kernels};
pub use linear_scores::{LinearScores, linear_scores};
pub use lines::{Chart, Line, X, Y, lines};
pub use mistakes::{Mistake, SHEET as MISTAKES, mistakes};
pub use outputs::{Outputs, outputs};
pub use panels::{Group, Panel, Patches, groups, panels, patches};
pub use pooling::{Pooled, pooling};
pub use predictions::{Predicted, predictions};
pub use retrieval::{Retrieval, Retrieved, retrieval};
pub use scores::{Scores, scores};
pub use slide::{Slide, slide, slide_animation};
pub use softmax::{SoftmaxStep, SoftmaxSteps, softmax};
pub use templates::templates;

use plotters::prelude::{BitMapBackend, DrawingAreaErrorKind, DrawingBackend};

/// An error of drawing a picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The data do not have the shape that the picture shows.
    #[error("{picture}: expected {expected}, got {got}")]
    Data {
        /// The name of the function, such as `confusion`.
        picture: &'static str,
        /// The shape that it draws.
        expected: String,
        /// The shape that it got.
        got: String,
    },
    /// The plotting library could not draw a chart.
    #[error("picture: cannot draw a chart: {0}")]
    Chart(#[from] DrawingAreaErrorKind<<BitMapBackend<'static> as DrawingBackend>::ErrorType>),
    /// The pixels could not be encoded.
    #[error("picture: cannot encode PNG: {0}")]
    Encode(#[from] image::ImageError),
    /// The pictures of an animation could not be encoded.
    #[error("picture: cannot encode an animated PNG: {0}")]
    Animate(#[from] png::EncodingError),
}

#[cfg(test)]
mod testing {
    use image::RgbImage;

    /// Decodes a picture, so that tests see its pixels as a viewer does.
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
