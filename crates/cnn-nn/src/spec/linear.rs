//! Fully connected layers.

use super::{described, yes};
use crate::Init;
use serde::{Deserialize, Serialize};

/// A fully connected layer: PyTorch's `nn.Linear` without the number of input features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearSpec {
    /// Features of the output.
    pub out_features: usize,
    /// Whether each output has a bias.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How weights begin.
    #[serde(default)]
    pub init: Init,
    /// How biases begin.
    #[serde(default)]
    pub bias_init: Init,
}

described!(LinearSpec => Linear);

/// A fully connected layer with bias.
pub fn linear(out_features: usize) -> LinearSpec {
    LinearSpec { out_features, bias: true, init: Init::default(), bias_init: Init::default() }
}

impl LinearSpec {
    /// The same with or without biases.
    #[must_use]
    pub fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// The same with other initial weights.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }

    /// The same with other initial biases.
    #[must_use]
    pub fn bias_init(self, bias_init: Init) -> Self {
        Self { bias_init, ..self }
    }
}
