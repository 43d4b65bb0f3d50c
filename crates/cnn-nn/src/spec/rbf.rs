//! Radial basis function units.

use super::described;
use crate::Init;
use serde::{Deserialize, Serialize};

/// Units that give the squared distance of their input from a code, without the number of input features.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RbfSpec {
    /// How many units there are.
    pub out_features: usize,
    /// Whether the codes are trained. They are a parameter then, and else a buffer.
    #[serde(default)]
    pub trainable: bool,
    /// Codes from a table; without, they begin as `init` says.
    #[serde(default)]
    pub codes: Option<Codes>,
    /// Whether the outputs are the distances times -1, so that the largest is the answer: what a softmax, a
    /// cross-entropy and the trainer take it to be.
    #[serde(default)]
    pub negate: bool,
    /// How codes that are in no table begin.
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
    /// The same with codes that are trained or not.
    #[must_use]
    pub fn trainable(self, trainable: bool) -> Self {
        Self { trainable, ..self }
    }

    /// The same with codes from a table.
    #[must_use]
    pub fn codes(self, codes: Codes) -> Self {
        Self { codes: Some(codes), ..self }
    }

    /// The same with outputs times -1, which are the larger the nearer the input is, or not.
    #[must_use]
    pub fn negate(self, negate: bool) -> Self {
        Self { negate, ..self }
    }

    /// The same with other initial codes.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }
}
