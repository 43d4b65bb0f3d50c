//! Fully connected layers.

use super::{described, yes};
use crate::Init;
use serde::{Deserialize, Serialize};

/// A fully connected layer: PyTorch's `nn.Linear` without the number of input features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearSpec {
    /// The number of output features.
    pub out_features: usize,
    /// Whether each output has a bias.
    #[serde(default = "yes")]
    pub bias: bool,
    /// The initialisation of the weights.
    #[serde(default)]
    pub init: Init,
    /// The initialisation of the biases.
    #[serde(default)]
    pub bias_init: Init,
    /// Whether each step of sequences `[n, t, features]` is mapped by itself, to `[n, t, out_features]`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub steps: bool,
}

described!(LinearSpec => Linear);

/// A fully connected layer with bias.
pub fn linear(out_features: usize) -> LinearSpec {
    LinearSpec { out_features, bias: true, init: Init::default(), bias_init: Init::default(), steps: false }
}

impl LinearSpec {
    /// Sets whether there are biases.
    #[must_use]
    pub fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// Sets the initialisation of the weights.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }

    /// Sets the initialisation of the biases.
    #[must_use]
    pub fn bias_init(self, bias_init: Init) -> Self {
        Self { bias_init, ..self }
    }

    /// Sets whether each step of a sequence is mapped by itself.
    ///
    /// ```
    /// use cnn_nn::{Graph, spec::{gru, linear}};
    /// let net = Graph::build([gru(8).into(), linear(3).steps(true).into()] as [cnn_nn::LayerSpec; 2], [7, 4], 0)?;
    /// assert_eq!(net.output_shape()?.dims(), [1, 7, 3]);
    /// # Ok::<(), cnn_nn::NnError>(())
    /// ```
    #[must_use]
    pub fn steps(self, steps: bool) -> Self {
        Self { steps, ..self }
    }
}
