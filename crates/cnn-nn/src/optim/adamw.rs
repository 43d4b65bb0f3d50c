//! AdamW: Adam with decoupled weight decay.

use super::check::{divisor, fraction, not_negative};
use super::method::{Method, shrink};
use crate::{Adam, NnError};
use cnn_ops::update::{self, UpdateRule};
use serde::{Deserialize, Serialize};

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2):
/// PyTorch's `optim.AdamW`.
///
/// In step `t`, from 1:
///
/// ```text
/// value -= rate * weight_decay * value
/// m = beta1 * m + (1 - beta1) * gradient                 both are 0 before the first step
/// v = beta2 * v + (1 - beta2) * gradient^2
/// value -= rate * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
/// ```
///
/// In [`Adam`] the penalty is divided by the root of `v` like the rest of the gradient, so that weights with large
/// gradients decay less. Here all weights decay alike. With `amsgrad`, the last line has the largest `v` of all steps. A
/// saved state has the same names as Adam's.
///
/// ```
/// use cnn_nn::AdamW;
/// assert_eq!(AdamW::default().weight_decay, 0.01);
/// assert!(AdamW { weight_decay: -1.0, ..AdamW::default() }.validate().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// The shares of the averages of the gradient and its square that are kept in each step, from 0 to below 1.
    pub betas: [f64; 2],
    /// Added to the denominator; above 0, and large enough for a float.
    pub eps: f64,
    /// The share of the value, times the learning rate, that each step subtracts; at least 0.
    pub weight_decay: f64,
    /// Whether to divide by the largest `v` so far.
    pub amsgrad: bool,
}

impl Default for AdamW {
    /// `betas` 0.9 and 0.999, `eps` 1e-8, a weight decay of 0.01, no `amsgrad`.
    fn default() -> Self {
        Self { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.01, amsgrad: false }
    }
}

impl AdamW {
    /// Checks the options.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        let Self { betas, eps, weight_decay, amsgrad: _ } = *self;
        betas.into_iter().try_for_each(|beta| fraction("adamw: betas", beta))?;
        divisor("adamw: eps", eps)?;
        not_negative("adamw: weight_decay", weight_decay)
    }

    fn rule(&self, t: u64, rate: f32) -> update::AdamW {
        let Self { betas, eps, weight_decay, amsgrad } = *self;
        let adam = Adam { betas, eps, weight_decay: 0.0, amsgrad };
        update::AdamW { adam: adam.rule(t, rate), shrink: shrink(rate, weight_decay) }
    }
}

impl Method<2> for AdamW {
    const MEMORY: [&'static str; 2] = <Adam as Method<2>>::MEMORY;

    fn with_weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    fn step(self, t: u64, rate: f32) -> impl UpdateRule<2> {
        self.rule(t, rate)
    }
}

/// With `amsgrad`.
impl Method<3> for AdamW {
    const MEMORY: [&'static str; 3] = <Adam as Method<3>>::MEMORY;

    fn with_weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    fn step(self, t: u64, rate: f32) -> impl UpdateRule<3> {
        self.rule(t, rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OptimizerSpec;
    use crate::optim::stepper::tests::assert_follows;

    const STRONG: AdamW = AdamW { betas: [0.8, 0.99], eps: 1e-3, weight_decay: 0.5, amsgrad: false };
    const AMSGRAD: AdamW = AdamW { betas: [0.8, 0.5], amsgrad: true, ..STRONG };

    /// The definition for one number: its value after the steps.
    fn oracle(adamw: AdamW, rate: f64, mut value: f64, gradients: &[f64]) -> f64 {
        let ([beta1, beta2], mut m, mut v, mut top) = (adamw.betas, 0.0, 0.0, 0.0f64);
        for (t, g) in (1..).zip(gradients) {
            value -= rate * adamw.weight_decay * value;
            m = beta1 * m + (1.0 - beta1) * g;
            v = beta2 * v + (1.0 - beta2) * g * g;
            top = if adamw.amsgrad { top.max(v) } else { v };
            value -= rate * m / (1.0 - beta1.powi(t)) / ((top / (1.0 - beta2.powi(t))).sqrt() + adamw.eps);
        }
        value
    }

    #[test]
    fn a_hundred_steps_follow_the_definition() {
        for adamw in [AdamW::default(), STRONG, AMSGRAD] {
            assert_follows(OptimizerSpec::AdamW(adamw), |rate, value, gradients| {
                oracle(adamw, rate, value, gradients)
            });
        }
    }

    #[test]
    fn options_out_of_range_are_named() {
        let message = |adamw: AdamW| OptimizerSpec::AdamW(adamw).build().err().unwrap().to_string();
        assert_eq!(
            message(AdamW { betas: [-0.1, 0.9], ..STRONG }),
            "adamw: betas must be from 0 to below 1, got -0.1"
        );
        assert_eq!(message(AdamW { eps: -1.0, ..STRONG }), "adamw: eps must be a float above 0, got -1");
        assert_eq!(
            message(AdamW { weight_decay: f64::NAN, ..STRONG }),
            "adamw: weight_decay must be finite and at least 0, got NaN"
        );
    }
}
