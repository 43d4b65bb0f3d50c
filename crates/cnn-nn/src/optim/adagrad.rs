//! Adagrad: steps scaled by the sum of all squared gradients so far.

use super::check::{divisor, not_negative};
use super::method::Method;
use crate::NnError;
use cnn_ops::update::{self, UpdateRule};
use serde::{Deserialize, Serialize};

/// Adaptive subgradient descent (Duchi, Hazan and Singer 2011, "Adaptive subgradient methods for online learning and
/// stochastic optimization", the diagonal form of figure 1): PyTorch's `optim.Adagrad`.
///
/// In step `t`, from 1:
///
/// ```text
/// g = gradient + weight_decay * value
/// sum = sum + g^2                                        initial_accumulator_value before the first step
/// value -= rate / (1 + (t - 1) * lr_decay) * g / (sqrt(sum) + eps)
/// ```
///
/// The sum only grows, so steps become ever smaller. A saved state calls it `sum`, as PyTorch does.
///
/// ```
/// assert_eq!(cnn_nn::Adagrad::default().eps, 1e-10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adagrad {
    /// The decay of the learning rate; at least 0.
    pub lr_decay: f64,
    /// The L2 penalty added to the gradient; at least 0.
    pub weight_decay: f64,
    /// The initial value of the sum; at least 0.
    pub initial_accumulator_value: f64,
    /// Added to the denominator; above 0, and large enough for a float.
    pub eps: f64,
}

impl Default for Adagrad {
    /// `eps` 1e-10, all others 0.
    fn default() -> Self {
        Self { lr_decay: 0.0, weight_decay: 0.0, initial_accumulator_value: 0.0, eps: 1e-10 }
    }
}

impl Adagrad {
    /// Checks the options.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        let Self { lr_decay, weight_decay, initial_accumulator_value, eps } = *self;
        not_negative("adagrad: lr_decay", lr_decay)?;
        not_negative("adagrad: weight_decay", weight_decay)?;
        not_negative("adagrad: initial_accumulator_value", initial_accumulator_value)?;
        divisor("adagrad: eps", eps)
    }
}

impl Method<1> for Adagrad {
    const MEMORY: [&'static str; 1] = ["sum"];

    fn start(&self) -> [f32; 1] {
        [self.initial_accumulator_value as f32]
    }

    fn with_weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    fn step(self, t: u64, rate: f32) -> impl UpdateRule<1> {
        update::Adagrad {
            rate: (f64::from(rate) / (1.0 + t.saturating_sub(1) as f64 * self.lr_decay)) as f32,
            eps: self.eps as f32,
            weight_decay: self.weight_decay as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OptimizerSpec;
    use crate::optim::stepper::tests::assert_follows;

    const ALL_SET: Adagrad =
        Adagrad { lr_decay: 0.1, weight_decay: 0.01, initial_accumulator_value: 0.5, eps: 1e-3 };

    /// The definition for one number: its value after the steps.
    fn oracle(adagrad: Adagrad, rate: f64, mut value: f64, gradients: &[f64]) -> f64 {
        let mut sum = adagrad.initial_accumulator_value;
        for (t, gradient) in gradients.iter().enumerate() {
            let g = gradient + adagrad.weight_decay * value;
            sum += g * g;
            value -= rate / (1.0 + t as f64 * adagrad.lr_decay) * g / (sum.sqrt() + adagrad.eps);
        }
        value
    }

    #[test]
    fn a_hundred_steps_follow_the_definition() {
        for adagrad in [Adagrad::default(), ALL_SET] {
            assert_follows(OptimizerSpec::Adagrad(adagrad), |rate, value, gradients| {
                oracle(adagrad, rate, value, gradients)
            });
        }
    }

    #[test]
    fn options_out_of_range_are_named() {
        let message = |adagrad: Adagrad| OptimizerSpec::Adagrad(adagrad).build().err().unwrap().to_string();
        let rule = "must be finite and at least 0, got -1";
        assert_eq!(message(Adagrad { lr_decay: -1.0, ..ALL_SET }), format!("adagrad: lr_decay {rule}"));
        assert_eq!(
            message(Adagrad { weight_decay: -1.0, ..ALL_SET }),
            format!("adagrad: weight_decay {rule}")
        );
        assert_eq!(
            message(Adagrad { initial_accumulator_value: -1.0, ..ALL_SET }),
            format!("adagrad: initial_accumulator_value {rule}")
        );
        assert_eq!(message(Adagrad { eps: 0.0, ..ALL_SET }), "adagrad: eps must be a float above 0, got 0");
    }
}
