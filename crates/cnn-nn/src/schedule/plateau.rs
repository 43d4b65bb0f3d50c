//! A learning rate that falls when the test loss stops falling.

use super::{not_negative, require};
use crate::NnError;
use serde::{Deserialize, Serialize};

/// Multiplies the learning rate by `factor` after more than `patience` epochs in a row without a loss better than the best
/// before them: PyTorch's `ReduceLROnPlateau` with `mode = "min"`.
///
/// The loss is that of the test images. An epoch is better if its loss is below `best * (1 - threshold)`, or, with the
/// mode `abs`, below `best - threshold`. NaN is never better. After a reduction, bad epochs are not counted for `cooldown`
/// epochs.
///
/// ```
/// use cnn_nn::{Plateau, Schedule};
/// let text = r#"{"type": "reduce_on_plateau", "patience": 3}"#;
/// let plateau = Schedule::ReduceOnPlateau(Plateau { patience: 3, ..Plateau::default() });
/// assert_eq!(serde_json::from_str::<Schedule>(text)?, plateau);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plateau {
    /// The factor of each reduction; above 0 and below 1.
    pub factor: f64,
    /// The number of bad epochs in a row that are tolerated.
    pub patience: usize,
    /// The least improvement of the best loss that counts: at least 0, and below 1 with the mode `rel`.
    pub threshold: f64,
    /// The unit of the threshold.
    pub threshold_mode: ThresholdMode,
    /// The number of epochs after a reduction in which bad epochs are not counted.
    pub cooldown: usize,
    /// The lowest rate, not relative to the base rate; at least 0.
    pub min_lr: f64,
    /// The smallest change of the rate that is made; at least 0.
    pub eps: f64,
}

/// The unit of a threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdMode {
    /// The threshold is a fraction of the best loss.
    #[default]
    Rel,
    /// The threshold is a loss.
    Abs,
}

impl Default for Plateau {
    /// A tenth after 10 bad epochs, threshold 1e-4 relative, no cooldown, no lowest rate, `eps` 1e-8.
    fn default() -> Self {
        Self {
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            threshold_mode: ThresholdMode::Rel,
            cooldown: 0,
            min_lr: 0.0,
            eps: 1e-8,
        }
    }
}

impl Plateau {
    pub(super) fn validate(&self) -> Result<(), NnError> {
        let Self { factor, patience: _, threshold, threshold_mode, cooldown: _, min_lr, eps } = *self;
        let holds = factor > 0.0 && factor < 1.0;
        require(holds, "plateau schedule: factor", "above 0 and below 1", factor)?;
        let what = "plateau schedule: threshold";
        match threshold_mode {
            ThresholdMode::Rel => {
                require((0.0..1.0).contains(&threshold), what, "from 0 to below 1", threshold)?;
            }
            ThresholdMode::Abs => not_negative(what, threshold)?,
        }
        not_negative("plateau schedule: min_lr", min_lr)?;
        not_negative("plateau schedule: eps", eps)
    }

    /// The rate after epochs with these losses.
    pub(super) fn learning_rate(&self, base: f64, losses: impl Iterator<Item = f64>) -> f64 {
        let (mut learning_rate, mut best, mut bad, mut cooldown) = (base, f64::INFINITY, 0, 0);
        for loss in losses {
            let mark = match self.threshold_mode {
                ThresholdMode::Rel => best * (1.0 - self.threshold),
                ThresholdMode::Abs => best - self.threshold,
            };
            if loss < mark {
                best = loss;
                bad = 0;
            } else {
                bad += 1;
            }
            if cooldown > 0 {
                cooldown -= 1;
                bad = 0;
            }
            if bad > self.patience {
                let lower = (learning_rate * self.factor).max(self.min_lr);
                if learning_rate - lower > self.eps {
                    learning_rate = lower;
                }
                cooldown = self.cooldown;
                bad = 0;
            }
        }
        learning_rate
    }
}
