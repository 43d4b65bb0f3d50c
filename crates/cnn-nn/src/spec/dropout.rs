//! Dropout.

use super::LayerSpec;

/// PyTorch's probability.
pub(super) fn half() -> f64 {
    0.5
}

/// Dropout of elements with probability `p`, in training.
pub fn dropout(p: f64) -> LayerSpec {
    LayerSpec::Dropout { p }
}

/// Dropout of whole channels of images with probability `p`, in training.
pub fn dropout2d(p: f64) -> LayerSpec {
    LayerSpec::Dropout2d { p }
}
