//! Lion: steps of one size, in the direction of a sign.

use super::check::{fraction, not_negative};
use super::method::{Method, shrink};
use crate::NnError;
use cnn_ops::update::{self, UpdateRule};
use serde::{Deserialize, Serialize};

/// Evolved sign momentum (Chen et al. 2023, "Symbolic discovery of optimization algorithms", algorithm 2).
///
/// ```text
/// c = beta1 * m + (1 - beta1) * gradient                 m is 0 before the first step
/// value -= rate * (sign(c) + weight_decay * value)       sign(0) = 0
/// m = beta2 * m + (1 - beta2) * gradient
/// ```
///
/// Every number moves by the whole learning rate. So use a learning rate 3 to 10 times smaller than Adam's, and a weight
/// decay, which is decoupled as in [`AdamW`](crate::AdamW), larger by the same factor. In a saved state, `m` is `exp_avg`.
///
/// ```
/// assert_eq!(cnn_nn::Lion::default().betas, [0.9, 0.99]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lion {
    /// The share of `m` in the direction, and the share of `m` that is kept in each step; from 0 to below 1.
    pub betas: [f64; 2],
    /// The share of the value, times the learning rate, that each step subtracts; at least 0.
    pub weight_decay: f64,
}

impl Default for Lion {
    /// `betas` 0.9 and 0.99, no weight decay.
    fn default() -> Self {
        Self { betas: [0.9, 0.99], weight_decay: 0.0 }
    }
}

impl Lion {
    /// Checks the options.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        self.betas.into_iter().try_for_each(|beta| fraction("lion: betas", beta))?;
        not_negative("lion: weight_decay", self.weight_decay)
    }
}

impl Method<1> for Lion {
    const MEMORY: [&'static str; 1] = ["exp_avg"];

    fn with_weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    fn step(self, _t: u64, rate: f32) -> impl UpdateRule<1> {
        let Self { betas, weight_decay } = self;
        update::Lion { add: betas.map(|beta| (1.0 - beta) as f32), rate, shrink: shrink(rate, weight_decay) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OptimizerSpec;
    use crate::optim::stepper::tests::assert_follows;

    const DECAYING: Lion = Lion { betas: [0.5, 0.75], weight_decay: 0.5 };

    /// The definition for one number: its value after the steps, or NaN where the sign depends on a rounding error.
    fn oracle(lion: Lion, rate: f64, mut value: f64, gradients: &[f64]) -> f64 {
        let ([beta1, beta2], mut m) = (lion.betas, 0.0);
        for g in gradients {
            let c: f64 = beta1 * m + (1.0 - beta1) * g;
            if c.abs() < 1e-6 {
                return f64::NAN;
            }
            value -= rate * (c.signum() + lion.weight_decay * value);
            m = beta2 * m + (1.0 - beta2) * g;
        }
        value
    }

    #[test]
    fn a_hundred_steps_follow_the_definition() {
        for lion in [Lion::default(), DECAYING] {
            assert_follows(OptimizerSpec::Lion(lion), |rate, value, gradients| {
                oracle(lion, rate, value, gradients)
            });
        }
    }

    #[test]
    fn options_out_of_range_are_named() {
        let message = |lion: Lion| OptimizerSpec::Lion(lion).build().err().unwrap().to_string();
        assert_eq!(
            message(Lion { betas: [0.9, 1.0], ..DECAYING }),
            "lion: betas must be from 0 to below 1, got 1"
        );
        assert_eq!(
            message(Lion { weight_decay: -0.5, ..DECAYING }),
            "lion: weight_decay must be finite and at least 0, got -0.5"
        );
    }
}
