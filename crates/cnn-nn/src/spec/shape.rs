//! Layers that move numbers and compute little or nothing.

use super::{LayerSpec, Margins, Pair, described};
use cnn_ops::pad2d::PadMode;
use cnn_ops::pixel_shuffle::Order;
use cnn_ops::upsample2d::{Coordinates, Interpolation, Rounding};
use cnn_ops::{Crop2d, Pad2d, PixelShuffle, PixelUnshuffle, Reshape, Upsample2d};

/// `[n, c, h, w]` to `[n, c*h*w]`.
pub fn flatten() -> LayerSpec {
    LayerSpec::Flatten
}

/// `[n, ...]` to `[n, shape...]`; for an extent to be inferred, see [`Reshape`].
pub fn reshape<const N: usize>(shape: [usize; N]) -> LayerSpec {
    LayerSpec::Reshape(Reshape::new(shape))
}

/// A padding with its options: `pad2d(1).mode(PadMode::Reflect)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pad2dSpec(pub Pad2d);

/// A resampling with its options: `upsample2d(2.0).mode(Interpolation::Bilinear)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Upsample2dSpec(pub Upsample2d);

described!(Pad2dSpec => Pad2d, 0);
described!(Upsample2dSpec => Upsample2d, 0);

/// Rows and columns of zeros added: one number for all sides, `[rows, columns]`, or `[[top, bottom], [left, right]]`.
pub fn pad2d(padding: impl Margins) -> Pad2dSpec {
    Pad2dSpec(Pad2d::new(padding))
}

/// Rows and columns removed: one number for all sides, `[rows, columns]`, or `[[top, bottom], [left, right]]`.
pub fn crop2d(margins: impl Margins) -> LayerSpec {
    LayerSpec::Crop2d(Crop2d::new(margins))
}

/// Height and width times `scale`, one factor or a pair, nearest.
pub fn upsample2d(scale: impl Pair<f64>) -> Upsample2dSpec {
    Upsample2dSpec(Upsample2d::by_scale(scale))
}

/// To the given height and width, nearest.
pub fn upsample2d_to_size(size: impl Pair) -> Upsample2dSpec {
    Upsample2dSpec(Upsample2d::to_size(size))
}

impl Pad2dSpec {
    /// Sets the numbers that the padding holds.
    #[must_use]
    pub fn mode(self, mode: PadMode) -> Self {
        Self(self.0.mode(mode))
    }
}

impl Upsample2dSpec {
    /// Sets where an element of the output lies on the input: ONNX's `coordinate_transformation_mode`.
    #[must_use]
    pub fn coordinates(self, coordinates: Coordinates) -> Self {
        Self(self.0.coordinates(coordinates))
    }

    /// Sets how `nearest` rounds: ONNX's `nearest_mode`.
    #[must_use]
    pub fn rounding(self, rounding: Rounding) -> Self {
        Self(self.0.rounding(rounding))
    }

    /// Sets the interpolation.
    #[must_use]
    pub fn mode(self, mode: Interpolation) -> Self {
        Self(self.0.mode(mode))
    }

    /// Sets whether corners are aligned; for bilinear interpolation alone.
    #[must_use]
    pub fn align_corners(self, align_corners: bool) -> Self {
        Self(self.0.align_corners(align_corners))
    }
}

/// Channels to pixels with its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelShuffleSpec(pub PixelShuffle);

/// Pixels to channels with its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelUnshuffleSpec(pub PixelUnshuffle);

described!(PixelShuffleSpec => PixelShuffle, 0);
described!(PixelUnshuffleSpec => PixelUnshuffle, 0);

/// Channels to pixels, `[n, c r r, h, w]` to `[n, c, h r, w r]`: PyTorch's `nn.PixelShuffle`.
pub fn pixel_shuffle(factor: usize) -> PixelShuffleSpec {
    PixelShuffleSpec(PixelShuffle::new(factor))
}

/// Pixels to channels, the inverse of [`pixel_shuffle`]: PyTorch's `nn.PixelUnshuffle`.
pub fn pixel_unshuffle(factor: usize) -> PixelUnshuffleSpec {
    PixelUnshuffleSpec(PixelUnshuffle::new(factor))
}

impl PixelShuffleSpec {
    /// Sets the order of the small image's channels.
    #[must_use]
    pub fn order(self, order: Order) -> Self {
        Self(self.0.order(order))
    }
}

impl PixelUnshuffleSpec {
    /// Sets the order of the small image's channels.
    #[must_use]
    pub fn order(self, order: Order) -> Self {
        Self(self.0.order(order))
    }
}
