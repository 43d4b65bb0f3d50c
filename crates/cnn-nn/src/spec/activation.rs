//! Activations.

use super::{LayerSpec, described};
use cnn_ops::activation::Approximate;
use serde::{Deserialize, Serialize};

/// PyTorch's slope of a leaky rectifier.
pub(super) fn slope() -> f32 {
    0.01
}

/// PyTorch's scale of an exponential linear unit.
pub(super) fn alpha() -> f32 {
    1.0
}

/// PyTorch's sharpness of a smooth rectifier.
pub(super) fn beta() -> f32 {
    1.0
}

/// Where PyTorch's smooth rectifier is straight.
pub(super) fn threshold() -> f32 {
    20.0
}

/// The slope with which PyTorch's `nn.PReLU` begins.
fn quarter() -> f32 {
    0.25
}

/// `max(x, 0)`.
pub fn relu() -> LayerSpec {
    LayerSpec::Relu
}

/// `min(max(x, 0), 6)`.
pub fn relu6() -> LayerSpec {
    LayerSpec::Relu6
}

/// `x` where `x > 0`, else `slope x`; PyTorch's default is 0.01.
pub fn leaky_relu(slope: f32) -> LayerSpec {
    LayerSpec::LeakyRelu { slope }
}

/// `x` where `x > 0`, else `alpha (e^x - 1)`; PyTorch's default is 1.
pub fn elu(alpha: f32) -> LayerSpec {
    LayerSpec::Elu { alpha }
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

/// `ln(1 + e^x)`.
pub fn softplus() -> LayerSpec {
    LayerSpec::Softplus { beta: beta(), threshold: threshold() }
}

/// `x` times the probability that a standard normal number is below `x`.
pub fn gelu() -> LayerSpec {
    LayerSpec::Gelu { approximate: Approximate::None }
}

/// [`gelu`] by the tangent that approximates it.
pub fn gelu_tanh() -> LayerSpec {
    LayerSpec::Gelu { approximate: Approximate::Tanh }
}

/// `x / (1 + e^-x)`.
pub fn silu() -> LayerSpec {
    LayerSpec::Silu
}

/// `min(max(x + 3, 0), 6) / 6`.
pub fn hard_sigmoid() -> LayerSpec {
    LayerSpec::HardSigmoid
}

/// `x min(max(x + 3, 0), 6) / 6`.
pub fn hard_swish() -> LayerSpec {
    LayerSpec::HardSwish
}

/// Probabilities of the classes, axis 1.
pub fn softmax() -> LayerSpec {
    LayerSpec::Softmax
}

/// The logarithms of the probabilities of the classes, axis 1.
pub fn log_softmax() -> LayerSpec {
    LayerSpec::LogSoftmax
}

/// A rectifier with a learnt slope: PyTorch's `nn.PReLU` without the number of channels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreluSpec {
    /// Whether each channel, axis 1, has a slope of its own.
    #[serde(default)]
    pub per_channel: bool,
    /// What the slopes begin as.
    #[serde(default = "quarter")]
    pub init: f32,
}

described!(PreluSpec => Prelu);

/// `x` where `x > 0`, else a learnt slope times `x`: one slope, which begins as 0.25.
pub fn prelu() -> PreluSpec {
    PreluSpec { per_channel: false, init: quarter() }
}

impl PreluSpec {
    /// The same with a slope for each channel.
    #[must_use]
    pub fn per_channel(self) -> Self {
        Self { per_channel: true, ..self }
    }

    /// The same with slopes that begin otherwise.
    #[must_use]
    pub fn init(self, init: f32) -> Self {
        Self { init, ..self }
    }
}
