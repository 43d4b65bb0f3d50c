//! RMSprop: steps scaled by a running average of the squared gradient.

use super::check::{divisor, fraction, not_negative};
use super::method::Method;
use crate::NnError;
use cnn_ops::update::{self, UpdateRule};
use serde::{Deserialize, Serialize};

/// Gradients divided by their root mean square (Tieleman and Hinton 2012, "Neural networks for machine learning",
/// lecture 6e): PyTorch's `optim.RMSprop`.
///
/// ```text
/// g = gradient + weight_decay * value
/// s = alpha * s + (1 - alpha) * g^2                      all are 0 before the first step
/// a = alpha * a + (1 - alpha) * g
/// q = g / (sqrt(s) + eps)                                or, if centered, g / (sqrt(s - a^2) + eps)
/// b = momentum * b + q                                   with eps_in_root, sqrt(... + eps) for sqrt(...) + eps
/// value -= rate * b
/// ```
///
/// The form of DQN (Mnih et al. 2015, extended data table 1) is centered, with `eps` 0.01 in the root and no momentum. The
/// paper's "gradient momentum" of 0.95 is `alpha` of the mean `a`.
///
/// The centered form divides by the estimated standard deviation (Graves 2013, "Generating sequences with recurrent
/// neural networks", eq. 38 to 45). In place of `s` it stores the variance `s - a^2`, updated as
/// `alpha * (variance + (1 - alpha) * (g - a)^2)` with the `a` of the previous step. Where `g` hardly changes, the
/// difference of `s` and `a^2` would consist of rounding errors, sometimes below 0.
///
/// A saved state has PyTorch's names `square_avg`, `grad_avg` and `momentum_buffer`, as far as they are used, and
/// `variance`.
///
/// ```
/// let rmsprop = cnn_nn::RmsProp { momentum: 0.9, centered: true, ..Default::default() };
/// assert!(rmsprop.validate().is_ok());
/// assert_eq!(rmsprop.alpha, 0.99);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsProp {
    /// The share of the averages that is kept in each step, from 0 to below 1.
    pub alpha: f64,
    /// Added to the denominator; above 0, and large enough for a float.
    pub eps: f64,
    /// Whether `eps` is added below the root and not to it, as in TensorFlow. PyTorch has no such form.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub eps_in_root: bool,
    /// The share of the last change that is kept, from 0 to below 1.
    pub momentum: f64,
    /// Whether to divide by the standard deviation rather than the root mean square.
    pub centered: bool,
    /// The L2 penalty added to the gradient; at least 0.
    pub weight_decay: f64,
}

impl Default for RmsProp {
    /// `alpha` 0.99, `eps` 1e-8 outside the root, no momentum, not centered, no weight decay.
    fn default() -> Self {
        Self { alpha: 0.99, eps: 1e-8, eps_in_root: false, momentum: 0.0, centered: false, weight_decay: 0.0 }
    }
}

impl RmsProp {
    /// Checks the options.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        let Self { alpha, eps, eps_in_root: _, momentum, centered: _, weight_decay } = *self;
        fraction("rmsprop: alpha", alpha)?;
        divisor("rmsprop: eps", eps)?;
        fraction("rmsprop: momentum", momentum)?;
        not_negative("rmsprop: weight_decay", weight_decay)
    }

    fn rule(&self, rate: f32) -> update::RmsProp {
        update::RmsProp {
            rate,
            keep: self.alpha as f32,
            add: (1.0 - self.alpha) as f32,
            below: if self.eps_in_root { self.eps as f32 } else { 0.0 },
            beside: if self.eps_in_root { 0.0 } else { self.eps as f32 },
            momentum: self.momentum as f32,
            weight_decay: self.weight_decay as f32,
        }
    }
}

/// The form that divides by the root mean square.
#[derive(Clone, Copy)]
pub(super) struct Plain(pub(super) RmsProp);

/// The form that divides by the standard deviation.
#[derive(Clone, Copy)]
pub(super) struct Centered(pub(super) RmsProp);

/// Implements [`Method`] for a form, with its rule and its state.
macro_rules! method {
    ($form:ident, $rule:expr, $memory:expr) => {
        impl Method<{ $memory.len() }> for $form {
            const MEMORY: [&'static str; $memory.len()] = $memory;

            fn with_weight_decay(self, weight_decay: f64) -> Self {
                Self(RmsProp { weight_decay, ..self.0 })
            }

            fn step(self, _t: u64, rate: f32) -> impl UpdateRule<{ $memory.len() }> {
                $rule(self.0.rule(rate))
            }
        }
    };
}

method!(Plain, std::convert::identity, ["square_avg"]);
method!(Plain, std::convert::identity, ["square_avg", "momentum_buffer"]);
method!(Centered, update::CenteredRmsProp, ["variance", "grad_avg"]);
method!(Centered, update::CenteredRmsProp, ["variance", "grad_avg", "momentum_buffer"]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OptimizerSpec;
    use crate::optim::stepper::tests::assert_follows;

    const PLAIN: RmsProp = RmsProp {
        alpha: 0.9,
        eps: 1e-3,
        eps_in_root: false,
        momentum: 0.0,
        centered: false,
        weight_decay: 0.01,
    };
    const CENTERED: RmsProp = RmsProp { centered: true, ..PLAIN };

    /// The definition for one number: its value after the steps.
    fn oracle(rmsprop: RmsProp, rate: f64, mut value: f64, gradients: &[f64]) -> f64 {
        let RmsProp { alpha, eps, eps_in_root, momentum, centered, weight_decay } = rmsprop;
        let (mut s, mut a, mut b) = (0.0, 0.0, 0.0);
        for gradient in gradients {
            let g: f64 = gradient + weight_decay * value;
            s = alpha * s + (1.0 - alpha) * g * g;
            a = alpha * a + (1.0 - alpha) * g;
            let square = if centered { s - a * a } else { s };
            b = momentum * b + g / if eps_in_root { (square + eps).sqrt() } else { square.sqrt() + eps };
            value -= rate * b;
        }
        value
    }

    #[test]
    fn a_hundred_steps_follow_the_definition() {
        let heavy = |rmsprop| RmsProp { momentum: 0.5, ..rmsprop };
        let in_root = |rmsprop| RmsProp { eps_in_root: true, ..rmsprop };
        let outside = [RmsProp::default(), PLAIN, heavy(PLAIN), CENTERED, heavy(CENTERED)];
        for rmsprop in outside.into_iter().chain(outside.map(in_root)) {
            assert_follows(OptimizerSpec::RmsProp(rmsprop), |rate, value, gradients| {
                oracle(rmsprop, rate, value, gradients)
            });
        }
    }

    #[test]
    fn options_out_of_range_are_named() {
        let message = |rmsprop: RmsProp| OptimizerSpec::RmsProp(rmsprop).build().err().unwrap().to_string();
        assert_eq!(
            message(RmsProp { alpha: 1.0, ..PLAIN }),
            "rmsprop: alpha must be from 0 to below 1, got 1"
        );
        assert_eq!(
            message(RmsProp { momentum: -0.5, ..PLAIN }),
            "rmsprop: momentum must be from 0 to below 1, got -0.5"
        );
        assert_eq!(
            message(RmsProp { eps: 1e-60, ..PLAIN }),
            "rmsprop: eps must be a float above 0, got 0.000000000000000000000000000000000000000000000000000000000001"
        );
        assert_eq!(
            message(RmsProp { weight_decay: -1.0, ..PLAIN }),
            "rmsprop: weight_decay must be finite and at least 0, got -1"
        );
    }
}
