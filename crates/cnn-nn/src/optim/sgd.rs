//! Stochastic gradient descent with momentum.

use super::check::{fraction, not_negative, require};
use super::method::Method;
use crate::NnError;
use cnn_ops::update::{self, UpdateRule};
use serde::{Deserialize, Serialize};

/// Stochastic gradient descent: PyTorch's `optim.SGD`.
///
/// ```text
/// g = gradient + weight_decay * value
/// v = momentum * v + (1 - dampening) * g                 in the first step v = g, undampened
/// value -= rate * v                                      or, with nesterov, rate * (g + momentum * v)
/// ```
///
/// The learning rate is applied after the momentum, so that a change of the rate acts at once. (Sutskever et al. 2013, "On the
/// importance of initialization and momentum in deep learning", eq. 1 to 4, apply it before.)
///
/// ```
/// let sgd = cnn_nn::Sgd { momentum: 0.9, nesterov: true, ..Default::default() };
/// assert!(sgd.validate().is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// The share of the last change that is kept, from 0 to below 1. Without momentum there is no state.
    pub momentum: f64,
    /// The share of the gradient that is not added to the momentum, from 0 to 1.
    pub dampening: f64,
    /// Whether to look ahead by one more step of momentum. Requires momentum, and no dampening.
    pub nesterov: bool,
    /// The L2 penalty added to the gradient; at least 0.
    pub weight_decay: f64,
}

impl Sgd {
    /// Checks the options.
    ///
    /// # Errors
    /// An option is outside its range, or `nesterov` is set without momentum or with dampening.
    pub fn validate(&self) -> Result<(), NnError> {
        let Self { momentum, dampening, nesterov, weight_decay } = *self;
        fraction("sgd: momentum", momentum)?;
        require(!nesterov || momentum > 0.0, "sgd: momentum", "above 0 with nesterov", momentum)?;
        require((0.0..=1.0).contains(&dampening), "sgd: dampening", "from 0 to 1", dampening)?;
        require(!nesterov || dampening == 0.0, "sgd: dampening", "0 with nesterov", dampening)?;
        not_negative("sgd: weight_decay", weight_decay)
    }

    fn rule(&self, t: u64, rate: f32) -> update::Sgd {
        update::Sgd {
            rate,
            momentum: self.momentum as f32,
            add: if t <= 1 { 1.0 } else { (1.0 - self.dampening) as f32 },
            nesterov: self.nesterov,
            weight_decay: self.weight_decay as f32,
        }
    }
}

/// Without momentum.
impl Method<0> for Sgd {
    const MEMORY: [&'static str; 0] = [];

    fn with_weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    fn step(self, t: u64, rate: f32) -> impl UpdateRule<0> {
        self.rule(t, rate)
    }
}

/// With momentum.
impl Method<1> for Sgd {
    const MEMORY: [&'static str; 1] = ["momentum"];

    fn with_weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    fn step(self, t: u64, rate: f32) -> impl UpdateRule<1> {
        self.rule(t, rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OptimizerSpec;
    use crate::optim::stepper::tests::{assert_five_steps, assert_follows};

    const PLAIN: Sgd = Sgd { momentum: 0.0, dampening: 0.0, nesterov: false, weight_decay: 0.0 };
    const HEAVY: Sgd = Sgd { momentum: 0.9, weight_decay: 0.01, ..PLAIN };
    const ALL: [Sgd; 7] = [
        PLAIN,
        Sgd { weight_decay: 0.01, ..PLAIN },
        Sgd { momentum: 0.9, ..PLAIN },
        HEAVY,
        Sgd { nesterov: true, ..HEAVY },
        Sgd { dampening: 0.3, ..HEAVY },
        Sgd { dampening: 1.0, ..HEAVY },
    ];

    /// The definition for one number: its value after the steps.
    fn oracle(sgd: Sgd, rate: f64, mut value: f64, gradients: &[f64]) -> f64 {
        let mut v = None;
        for gradient in gradients {
            let g = gradient + sgd.weight_decay * value;
            let v = v.insert(v.map_or(g, |v| sgd.momentum * v + (1.0 - sgd.dampening) * g));
            value -= rate * if sgd.nesterov { g + sgd.momentum * *v } else { *v };
        }
        value
    }

    #[test]
    fn a_hundred_steps_follow_the_definition() {
        for sgd in ALL {
            assert_follows(OptimizerSpec::Sgd(sgd), |rate, value, gradients| {
                oracle(sgd, rate, value, gradients)
            });
        }
    }

    /// From PyTorch 2.15:
    /// `w = torch.tensor([1., -2., 3.], requires_grad=True); o = torch.optim.SGD([w], lr=0.1, ...)`,
    /// five times `w.grad = w.detach() * torch.tensor([0.5, 1., -2.]) + t; o.step()` for `t` from 0.
    #[test]
    fn five_steps_are_those_of_pytorch() {
        let want = [
            [-0.177_456_54, -2.085_880_04, 6.244_159_7],
            [-0.180_570_29, -2.078_430_89, 6.214_318_75],
            [-1.342_506_53, -1.608_880_04, 12.985_158_9],
            [-1.350_824_95, -1.591_758_85, 12.900_859_8],
            [-2.111_768_25, -1.967_752_22, 20.465_646_7],
        ];
        for (sgd, want) in ALL.into_iter().zip(want) {
            assert_five_steps(OptimizerSpec::Sgd(sgd), want);
        }
    }

    #[test]
    fn options_out_of_range_are_named() {
        let message = |sgd: Sgd| OptimizerSpec::Sgd(sgd).build().err().map(|error| error.to_string());
        let say = |text: &str| Some(text.to_string());
        assert_eq!(
            message(Sgd { momentum: 1.0, ..PLAIN }),
            say("sgd: momentum must be from 0 to below 1, got 1")
        );
        assert_eq!(
            message(Sgd { momentum: f64::NAN, ..PLAIN }),
            say("sgd: momentum must be from 0 to below 1, got NaN")
        );
        assert_eq!(
            message(Sgd { nesterov: true, ..PLAIN }),
            say("sgd: momentum must be above 0 with nesterov, got 0")
        );
        assert_eq!(
            message(Sgd { dampening: 1.5, ..PLAIN }),
            say("sgd: dampening must be from 0 to 1, got 1.5")
        );
        assert_eq!(
            message(Sgd { nesterov: true, dampening: 0.5, ..HEAVY }),
            say("sgd: dampening must be 0 with nesterov, got 0.5")
        );
        assert_eq!(
            message(Sgd { weight_decay: -0.1, ..PLAIN }),
            say("sgd: weight_decay must be finite and at least 0, got -0.1")
        );
        assert_eq!(ALL.map(message), [const { None }; 7]);
    }
}
