//! Training images kept back, by which the best epoch is chosen.

use crate::fault::Fault;
use cnn_data::{Dataset, Subset};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::Arc;

/// How many: a number of images, or a share of them below 1. Of each class the same share, by a fixed seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Validation(f64);

/// Images to learn from, and those kept back.
type Parts = (Arc<dyn Dataset>, Arc<dyn Dataset>);

impl Validation {
    /// A tenth of the training images.
    pub const TENTH: Self = Self(0.1);

    /// Divides the training images.
    pub fn split(self, train: &Arc<dyn Dataset>) -> Result<Parts, Fault> {
        let share = if self.0 < 1.0 { self.0 } else { self.0 / train.len().max(1) as f64 };
        if share >= 1.0 {
            let images = train.len();
            return Err(Fault::usage(format!(
                "--validation: expected fewer than the {images} training images, got {self}"
            )));
        }
        let (train, kept) = Subset::split(train.clone(), share, 0)?;
        Ok((Arc::new(train), Arc::new(kept)))
    }
}

impl Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<f64> for Validation {
    type Error = String;

    fn try_from(wanted: f64) -> Result<Self, String> {
        let sound = wanted > 0.0 && (wanted < 1.0 || wanted.fract() == 0.0) && wanted.is_finite();
        sound
            .then_some(Self(wanted))
            .ok_or_else(|| format!("expected a number of images, or a share between 0 and 1, got {wanted}"))
    }
}

impl From<Validation> for f64 {
    fn from(validation: Validation) -> Self {
        validation.0
    }
}

impl FromStr for Validation {
    type Err = String;

    fn from_str(wanted: &str) -> Result<Self, String> {
        let number: f64 = wanted
            .parse()
            .map_err(|_| format!("expected a number of images, or a share between 0 and 1, got {wanted}"))?;
        number.try_into()
    }
}
