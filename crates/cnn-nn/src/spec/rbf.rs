//! Radial basis function units.

use super::described;
use crate::Init;
use serde::{Deserialize, Serialize};

/// Units that compute the squared distance of their input from a code, without the number of input features.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RbfSpec {
    /// The number of units.
    pub out_features: usize,
    /// Whether the codes are trained. Trained codes are a parameter, others a buffer.
    #[serde(default)]
    pub trainable: bool,
    /// The table of the initial codes; without one, `init` fills them.
    #[serde(default)]
    pub codes: Option<Codes>,
    /// Whether the outputs are the distances times -1, so that the largest is the answer, as a softmax, a
    /// cross-entropy and the trainer expect.
    #[serde(default)]
    pub negate: bool,
    /// The initialisation of codes without a table.
    #[serde(default)]
    pub init: Init,
}

/// A table of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codes {
    /// Pictures of the ten digits, 7 pixels wide and 12 high, as numbers -1 and 1: for 84 features and 10 units.
    Digits,
}

described!(RbfSpec => Rbf);

/// Units with codes that are not trained.
pub fn rbf(out_features: usize) -> RbfSpec {
    RbfSpec { out_features, trainable: false, codes: None, negate: false, init: Init::default() }
}

impl RbfSpec {
    /// Sets whether the codes are trained.
    #[must_use]
    pub fn trainable(self, trainable: bool) -> Self {
        Self { trainable, ..self }
    }

    /// Takes the codes from a table.
    #[must_use]
    pub fn codes(self, codes: Codes) -> Self {
        Self { codes: Some(codes), ..self }
    }

    /// Sets whether the outputs are multiplied by -1, so that they are larger for nearer inputs.
    #[must_use]
    pub fn negate(self, negate: bool) -> Self {
        Self { negate, ..self }
    }

    /// Sets the initialisation of codes without a table.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }
}
