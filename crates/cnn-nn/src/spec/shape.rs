//! Layers that move numbers and compute nothing.

use super::LayerSpec;

/// `[n, c, h, w]` to `[n, c*h*w]`.
pub fn flatten() -> LayerSpec {
    LayerSpec::Flatten
}
