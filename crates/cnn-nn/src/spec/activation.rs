//! Activations.

use super::LayerSpec;

/// `max(x, 0)`.
pub fn relu() -> LayerSpec {
    LayerSpec::Relu
}

/// `tanh(x)`.
pub fn tanh() -> LayerSpec {
    LayerSpec::Tanh
}

/// LeCun's `1.7159 tanh(2x/3)`.
pub fn scaled_tanh() -> LayerSpec {
    LayerSpec::ScaledTanh
}

/// `1 / (1 + e^-x)`.
pub fn sigmoid() -> LayerSpec {
    LayerSpec::Sigmoid
}
