//! Adam: steps scaled by running averages of the gradient and its square.

use super::check::{divisor, fraction, not_negative};
use super::method::Method;
use crate::NnError;
use cnn_ops::update::{self, UpdateRule};
use serde::{Deserialize, Serialize};

/// Adaptive moment estimation (Kingma and Ba 2015, algorithm 1): PyTorch's `optim.Adam`.
///
/// In step `t`, from 1:
///
/// ```text
/// g = gradient + weight_decay * value
/// m = beta1 * m + (1 - beta1) * g                        both are 0 before the first step
/// v = beta2 * v + (1 - beta2) * g^2
/// value -= rate * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
/// ```
///
/// With `amsgrad`, the last line has the largest `v` of all steps (Reddi, Kale and Kumar 2018, "On the convergence
/// of Adam and beyond", algorithm 2).
///
/// The weight decay is part of the gradient, not decoupled from it as in [`AdamW`](crate::AdamW). In a saved state,
/// `m`, `v` and the largest `v` have PyTorch's names, `exp_avg`, `exp_avg_sq` and `max_exp_avg_sq`.
///
/// ```
/// assert_eq!(cnn_nn::Adam::default().betas, [0.9, 0.999]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// The shares of the averages of `g` and `g^2` that are kept in each step, from 0 to below 1.
    pub betas: [f64; 2],
    /// Added to the denominator; above 0, and large enough for a float.
    pub eps: f64,
    /// The L2 penalty added to the gradient; at least 0.
    pub weight_decay: f64,
    /// Whether to divide by the largest `v` so far.
    pub amsgrad: bool,
}

impl Default for Adam {
    /// `betas` 0.9 and 0.999, `eps` 1e-8, no weight decay, no `amsgrad`.
    fn default() -> Self {
        Self { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, amsgrad: false }
    }
}

impl Adam {
    /// Checks the options.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        let Self { betas, eps, weight_decay, amsgrad: _ } = *self;
        betas.into_iter().try_for_each(|beta| fraction("adam: betas", beta))?;
        divisor("adam: eps", eps)?;
        not_negative("adam: weight_decay", weight_decay)
    }

    /// The coefficients of step number `t`, from 1.
    pub(super) fn rule(&self, t: u64, rate: f32) -> update::Adam {
        // In f64, because `1 - beta` loses digits in f32.
        let [correction1, correction2] = self.betas.map(|beta| 1.0 - beta.powf(t as f64));
        update::Adam {
            keep: self.betas[1] as f32,
            add: self.betas.map(|beta| (1.0 - beta) as f32),
            rate: (f64::from(rate) / correction1) as f32,
            scale: correction2.sqrt().recip() as f32,
            eps: self.eps as f32,
            weight_decay: self.weight_decay as f32,
        }
    }
}

impl Method<2> for Adam {
    const MEMORY: [&'static str; 2] = ["exp_avg", "exp_avg_sq"];

    fn with_weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    fn step(self, t: u64, rate: f32) -> impl UpdateRule<2> {
        self.rule(t, rate)
    }
}

/// With `amsgrad`.
impl Method<3> for Adam {
    const MEMORY: [&'static str; 3] = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"];

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
    use crate::optim::stepper::tests::{assert_five_steps, assert_follows};

    const CAREFUL: Adam = Adam { betas: [0.8, 0.99], eps: 1e-3, weight_decay: 0.01, amsgrad: false };
    /// Betas so low that `v` falls often.
    const AMSGRAD: Adam = Adam { betas: [0.8, 0.5], amsgrad: true, ..CAREFUL };

    /// The definition for one number: its value after the steps.
    fn oracle(adam: Adam, rate: f64, mut value: f64, gradients: &[f64]) -> f64 {
        let ([beta1, beta2], mut m, mut v, mut top) = (adam.betas, 0.0, 0.0, 0.0f64);
        for (t, gradient) in (1..).zip(gradients) {
            let g = gradient + adam.weight_decay * value;
            m = beta1 * m + (1.0 - beta1) * g;
            v = beta2 * v + (1.0 - beta2) * g * g;
            top = if adam.amsgrad { top.max(v) } else { v };
            value -= rate * m / (1.0 - beta1.powi(t)) / ((top / (1.0 - beta2.powi(t))).sqrt() + adam.eps);
        }
        value
    }

    #[test]
    fn a_hundred_steps_follow_the_definition() {
        for adam in [Adam::default(), CAREFUL, AMSGRAD] {
            assert_follows(OptimizerSpec::Adam(adam), |rate, value, gradients| {
                oracle(adam, rate, value, gradients)
            });
        }
    }

    /// From PyTorch 2.15:
    /// `w = torch.tensor([1., -2., 3.], requires_grad=True); o = torch.optim.Adam([w], lr=0.1, ...)`,
    /// five times `w.grad = w.detach() * torch.tensor([0.5, 1., -2.]) + t; o.step()` for `t` from 0.
    #[test]
    fn five_steps_are_those_of_pytorch() {
        let default = OptimizerSpec::Adam(Adam::default());
        assert_five_steps(default, [0.528_048_575, -1.751_472_95, 3.486_840_01]);
        assert_five_steps(OptimizerSpec::Adam(CAREFUL), [0.508_447_826, -1.783_936_38, 3.479_075_43]);
    }

    #[test]
    fn late_steps_need_no_correction() {
        for t in [1 << 40, u64::MAX] {
            let update::Adam { rate, scale, .. } = Adam::default().rule(t, 0.5);
            assert_eq!((rate, scale), (0.5, 1.0));
        }
    }

    #[test]
    fn options_out_of_range_are_named() {
        let message = |adam: Adam| OptimizerSpec::Adam(adam).build().err().map(|error| error.to_string());
        let say = |text: &str| Some(text.to_string());
        let default = Adam::default();
        assert_eq!(
            message(Adam { betas: [0.9, 1.0], ..default }),
            say("adam: betas must be from 0 to below 1, got 1")
        );
        assert_eq!(message(Adam { eps: 0.0, ..default }), say("adam: eps must be a float above 0, got 0"));
        assert!(message(Adam { eps: 1e-60, ..default }).is_some(), "0 as a float");
        assert_eq!(
            message(Adam { weight_decay: f64::INFINITY, ..default }),
            say("adam: weight_decay must be finite and at least 0, got inf")
        );
        assert_eq!(message(CAREFUL), None);
    }
}
