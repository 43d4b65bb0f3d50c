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
}

described!(LinearSpec => Linear);

/// A fully connected layer with bias.
pub fn linear(out_features: usize) -> LinearSpec {
    LinearSpec { out_features, bias: true, init: Init::default(), bias_init: Init::default() }
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
}
