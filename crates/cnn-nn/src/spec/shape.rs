//! Layers that move numbers and compute little or nothing.

use super::{LayerSpec, Margins};
use cnn_ops::pad2d::PadMode;
use cnn_ops::upsample2d::Interpolation;
use cnn_ops::{Crop2d, Pad2d, Reshape, Upsample2d};

/// `[n, c, h, w]` to `[n, c*h*w]`.
pub fn flatten() -> LayerSpec {
    LayerSpec::Flatten
}

/// `[n, ...]` to `[n, shape...]`; for an extent to be inferred, see [`Reshape`].
pub fn reshape<const N: usize>(shape: [usize; N]) -> LayerSpec {
    LayerSpec::Reshape(Reshape::new(shape))
}

/// Rows and columns added: one number for all sides, `[rows, columns]`, or `[[top, bottom], [left, right]]`.
pub fn pad2d(padding: impl Margins, mode: PadMode) -> LayerSpec {
    LayerSpec::Pad2d(Pad2d { padding: padding.margins(), mode })
}

/// Rows and columns removed: one number for all sides, `[rows, columns]`, or `[[top, bottom], [left, right]]`.
pub fn crop2d(margins: impl Margins) -> LayerSpec {
    LayerSpec::Crop2d(Crop2d { margins: margins.margins() })
}

/// Height and width times `scale`; for other targets and corners, see [`Upsample2d`].
pub fn upsample2d(scale: f64, mode: Interpolation) -> LayerSpec {
    LayerSpec::Upsample2d(Upsample2d::by_scale([scale, scale]).with_mode(mode))
}
