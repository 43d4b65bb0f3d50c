//! Activations: a builder for each entry of `cnn-ops`' table, and those that are more than a function of each element.

use super::{LayerSpec, described};
use cnn_ops::Activation;
use cnn_ops::activation::Approximate;
use serde::{Deserialize, Serialize};

/// The slope with which PyTorch's `nn.PReLU` begins.
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

/// [`gelu`] by the tangent that approximates it.
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
    /// The same with a slope for each channel, or one for all.
    #[must_use]
    pub fn per_channel(self, per_channel: bool) -> Self {
        Self { per_channel, ..self }
    }

    /// The same with another initial slope.
    #[must_use]
    pub fn init(self, init: f32) -> Self {
        Self { init, ..self }
    }
}
