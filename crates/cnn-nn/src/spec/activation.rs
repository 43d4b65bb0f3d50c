//! Activations: a builder for each entry of `cnn-ops`' table, and layers that are more than a function of each element.

use super::{LayerSpec, described};
use cnn_ops::activation::Approximate;
use cnn_ops::{Activation, LogSoftmax, Softmax};
use serde::{Deserialize, Serialize};

/// The initial slope of PyTorch's `nn.PReLU`.
fn quarter() -> f32 {
    0.25
}

/// The builder of each activation.
macro_rules! builders {
    ($(
        $(#[$doc:meta])*
        $variant:ident: $name:ident($($argument:ident: $argument_ty:ty),*) {
            $(options { $($(#[$about:meta])* $option:ident: $ty:ty = $default:expr, tested at $tested:expr;)* })?
            output_suffices: $($_rest:tt)*
        }
    )*) => {
        $(
            $(#[$doc])*
            #[allow(unused_variables, reason = "an argument stands for the default of its option")]
            pub fn $name($($argument: $argument_ty),*) -> LayerSpec {
                let given = ($($argument,)*);
                $($(let $option: $ty = $default;)*)?
                let ($($argument,)*) = given;
                Activation::$variant $({ $($option),* })?.into()
            }
        )*
    };
}
cnn_ops::for_each_activation!(builders!);

/// [`gelu`] in its tanh approximation: PyTorch's `approximate="tanh"`.
pub fn gelu_tanh() -> LayerSpec {
    Activation::Gelu { approximate: Approximate::Tanh }.into()
}

impl From<Activation> for LayerSpec {
    fn from(activation: Activation) -> Self {
        Self::Activation(activation)
    }
}

/// Probabilities of the classes, axis 1.
pub fn softmax() -> LayerSpec {
    softmax_over(1)
}

/// Probabilities along axis `dim`, counted with the batch.
pub fn softmax_over(dim: usize) -> LayerSpec {
    LayerSpec::Softmax(Softmax::new(dim))
}

/// The logarithms of the probabilities of the classes, axis 1.
pub fn log_softmax() -> LayerSpec {
    log_softmax_over(1)
}

/// The logarithms of the probabilities along axis `dim`, counted with the batch.
pub fn log_softmax_over(dim: usize) -> LayerSpec {
    LayerSpec::LogSoftmax(LogSoftmax::new(dim))
}

/// The expected position of each map, `[n, c, h, w]` to `[n, 2 c]`: to the right and down from the middle, in units of width and
/// height. See [`cnn_ops::soft_argmax2d`].
pub fn soft_argmax2d() -> LayerSpec {
    LayerSpec::SoftArgmax2d
}

/// A rectifier with a learned slope: PyTorch's `nn.PReLU` without the number of channels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreluSpec {
    /// Whether each channel, axis 1, has its own slope.
    #[serde(default)]
    pub per_channel: bool,
    /// The initial slope.
    #[serde(default = "quarter")]
    pub init: f32,
}

described!(PreluSpec => Prelu);

/// `x` where `x > 0`, else a learned slope times `x`. There is one slope, initially 0.25.
pub fn prelu() -> PreluSpec {
    PreluSpec { per_channel: false, init: quarter() }
}

impl PreluSpec {
    /// Sets whether each channel has its own slope.
    #[must_use]
    pub fn per_channel(self, per_channel: bool) -> Self {
        Self { per_channel, ..self }
    }

    /// Sets the initial slope.
    #[must_use]
    pub fn init(self, init: f32) -> Self {
        Self { init, ..self }
    }
}
