//! Pooling.

use super::{LayerSpec, Pair};
use cnn_ops::{AvgPool2d, MaxPool2d};

/// Max pooling over windows that do not overlap.
pub fn max_pool2d(kernel: impl Pair) -> LayerSpec {
    LayerSpec::MaxPool2d(MaxPool2d::new(kernel.pair()))
}

/// Average pooling over windows that do not overlap.
pub fn avg_pool2d(kernel: impl Pair) -> LayerSpec {
    LayerSpec::AvgPool2d(AvgPool2d::new(kernel.pair()))
}
