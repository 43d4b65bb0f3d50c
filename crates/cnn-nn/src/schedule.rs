//! Learning-rate schedules.

mod plateau;

pub use plateau::{Plateau, ThresholdMode};

use crate::{EpochReport, NnError};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The learning rate of each step, relative to a base rate.
///
/// A schedule is a pure function of the run's progress and of the metrics of its epochs. So a resumed run continues with
/// exactly the rates of an unbroken one.
///
/// In a description: `{"type": "step", "every": 5, "factor": 0.5}`. Options have PyTorch's names and defaults, but for
/// those of [`Schedule::Step`] and [`Schedule::OneCycle`].
///
/// ```
/// use cnn_nn::{Schedule, Span};
/// let text = r#"{"type": "warm_up", "length": {"epochs": 5}, "start_factor": 0.1, "schedule": {"type": "cosine"}}"#;
/// let warm_up = Schedule::WarmUp {
///     length: Span::Epochs(5.0),
///     start_factor: 0.1,
///     schedule: Box::new(Schedule::Cosine),
/// };
/// assert_eq!(serde_json::from_str::<Schedule>(text)?, warm_up);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// The base rate throughout.
    #[default]
    Constant,
    /// The base rate times `factor ^ (epoch / every)`, the quotient rounded down: PyTorch's `StepLR`.
    Step {
        /// Epochs between two changes; at least 1.
        every: usize,
        /// The factor of each change; above 0.
        factor: f64,
    },
    /// The base rate times `gamma` for each milestone that has been reached: PyTorch's `MultiStepLR`.
    MultiStep {
        /// Epochs, from 0, in ascending order.
        milestones: Vec<usize>,
        /// The factor at each milestone; above 0.
        #[serde(default = "tenth")]
        gamma: f64,
    },
    /// The base rate times `gamma ^ epoch`: PyTorch's `ExponentialLR` with a step for each epoch.
    Exponential {
        /// The factor from epoch to epoch; above 0.
        gamma: f64,
    },
    /// From the base rate along half a cosine to 0 (Loshchilov and Hutter 2017, eq. 5, without restarts): PyTorch's
    /// `CosineAnnealingLR` with `eta_min = 0` and a step for each batch.
    Cosine,
    /// From the base rate along half a cosine to `eta_min`, then again from the base rate (Loshchilov and Hutter 2017,
    /// "SGDR: Stochastic gradient descent with warm restarts", eq. 5): PyTorch's `CosineAnnealingWarmRestarts`, the epoch
    /// as a fraction for each batch.
    CosineWarmRestarts {
        /// Epochs to the first restart; at least 1.
        t_0: usize,
        /// The factor of that length from restart to restart; at least 1.
        #[serde(default = "one")]
        t_mult: usize,
        /// The lowest rate, not relative to the base rate; at least 0.
        #[serde(default)]
        eta_min: f64,
    },
    /// From 1/25 of the base rate up to the base rate in the first `warmup` of all steps, then down to 1/250000 of it
    /// (after Smith 2018, "A disciplined approach to neural network hyper-parameters", but along half cosines):
    /// PyTorch's `OneCycleLR`, the momentum left alone.
    OneCycle {
        /// The fraction of all steps in which the rate rises, 0 to 1; PyTorch's `pct_start`, there 0.3.
        warmup: f64,
    },
    /// The base rate times `(1 - step / total_steps) ^ power` (Chen et al. 2018, "DeepLab", section 4.1, there with 0.9):
    /// PyTorch's `PolynomialLR` with a step for each batch. With a power of 1 the rate falls along a line.
    Polynomial {
        /// The exponent; above 0.
        #[serde(default = "unit")]
        power: f64,
    },
    /// A lower rate whenever the test loss has stopped falling: PyTorch's `ReduceLROnPlateau`.
    ReduceOnPlateau(Plateau),
    /// From `start_factor` times the base rate along a line up to the base rate, then another schedule (Goyal et al. 2017,
    /// "Accurate, large minibatch SGD: training ImageNet in 1 hour", section 2.2): PyTorch's `SequentialLR` of a `LinearLR`
    /// and another.
    ///
    /// For the other schedule the run begins at the end of the warm-up, and is shorter by it. A plateau, however, is
    /// looked for in all epochs.
    WarmUp {
        /// The length of the rise.
        length: Span,
        /// The first rate, relative to the base rate; above 0, at most 1.
        #[serde(default = "third")]
        start_factor: f64,
        /// The schedule after the warm-up.
        schedule: Box<Schedule>,
    },
}

/// A part of a run.
///
/// In a description: `{"steps": 500}`, `{"epochs": 5}` or `{"fraction": 0.1}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// This number of steps.
    Steps(usize),
    /// This number of epochs, rounded to the nearest step; at least 0.
    Epochs(f64),
    /// This fraction of all steps, 0 to 1, rounded to the nearest step.
    Fraction(f64),
}

/// The point of a run for which a schedule gives the rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment<'a> {
    /// The number of steps taken, in all epochs.
    pub step: usize,
    /// The number of steps of the whole run.
    pub total_steps: usize,
    /// The number of steps of an epoch.
    pub steps_per_epoch: usize,
    /// The reports of the finished epochs.
    pub history: &'a [EpochReport],
}

impl Moment<'_> {
    /// The number of finished epochs, counted by steps.
    fn epoch(&self) -> usize {
        self.step / self.steps_per_epoch.max(1)
    }
}

fn tenth() -> f64 {
    0.1
}

fn third() -> f64 {
    1.0 / 3.0
}

fn unit() -> f64 {
    1.0
}

fn one() -> usize {
    1
}

impl Schedule {
    /// Checks the options.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        match *self {
            Self::Constant | Self::Cosine => Ok(()),
            Self::Step { every, factor } => {
                require(every >= 1, "step schedule: every", "at least 1 epoch", every)?;
                positive("step schedule: factor", factor)
            }
            Self::MultiStep { ref milestones, gamma } => {
                let (what, rule) = ("multi-step schedule: milestones", "epochs in ascending order");
                let ascend = milestones.is_sorted_by(|earlier, later| earlier < later);
                require(ascend, what, rule, format!("{milestones:?}"))?;
                positive("multi-step schedule: gamma", gamma)
            }
            Self::Exponential { gamma } => positive("exponential schedule: gamma", gamma),
            Self::CosineWarmRestarts { t_0, t_mult, eta_min } => {
                require(t_0 >= 1, "cosine schedule: t_0", "at least 1 epoch", t_0)?;
                require(t_mult >= 1, "cosine schedule: t_mult", "at least 1", t_mult)?;
                not_negative("cosine schedule: eta_min", eta_min)
            }
            Self::OneCycle { warmup } => require(
                (0.0..=1.0).contains(&warmup),
                "one-cycle schedule: warmup",
                "between 0 and 1",
                warmup,
            ),
            Self::Polynomial { power } => positive("polynomial schedule: power", power),
            Self::ReduceOnPlateau(ref plateau) => plateau.validate(),
            Self::WarmUp { length, start_factor, ref schedule } => {
                length.validate()?;
                let holds = start_factor > 0.0 && start_factor <= 1.0;
                require(holds, "warm-up: start_factor", "above 0 and at most 1", start_factor)?;
                schedule.validate()
            }
        }
    }

    /// The learning rate of the next step. A run that goes on after its last step keeps the rate at which an annealing
    /// schedule ended.
    ///
    /// ```
    /// use cnn_nn::{Moment, Schedule};
    /// let learning_rate = |epoch: usize| {
    ///     let at = Moment { step: epoch * 100, total_steps: 500, steps_per_epoch: 100, history: &[] };
    ///     Schedule::Step { every: 2, factor: 0.5 }.learning_rate(0.8, at)
    /// };
    /// assert_eq!([0, 1, 2, 3, 4].map(learning_rate), [0.8, 0.8, 0.4, 0.4, 0.2]);
    /// ```
    pub fn learning_rate(&self, base: f32, at: Moment<'_>) -> f32 {
        self.exact_rate(base.into(), at) as f32
    }

    fn exact_rate(&self, base: f64, at: Moment<'_>) -> f64 {
        let Moment { step, total_steps, history, .. } = at;
        match *self {
            Self::Constant => base,
            Self::Step { every, factor } => base * power(factor, at.epoch() / every.max(1)),
            Self::MultiStep { ref milestones, gamma } => {
                let epoch = at.epoch();
                base * power(gamma, milestones.iter().filter(|milestone| **milestone <= epoch).count())
            }
            Self::Exponential { gamma } => base * power(gamma, at.epoch()),
            Self::Cosine => anneal(base, 0.0, step as f64, total_steps as f64),
            Self::CosineWarmRestarts { t_0, t_mult, eta_min } => {
                let mut length = t_0.max(1).saturating_mul(at.steps_per_epoch.max(1));
                let mut since = step;
                if t_mult > 1 {
                    while since >= length {
                        since -= length;
                        length = length.saturating_mul(t_mult);
                    }
                }
                anneal(base, eta_min, (since % length) as f64, length as f64)
            }
            Self::OneCycle { warmup } => {
                const START: f64 = 1.0 / 25.0;
                const END: f64 = START / 1e4;
                let last = total_steps as f64 - 1.0;
                // The last step of the rise, as PyTorch places it.
                let top = (warmup * total_steps as f64 - 1.0).max(0.0);
                let step = step as f64;
                if step <= top {
                    anneal(base * START, base, step, top)
                } else {
                    anneal(base, base * END, step - top, last - top)
                }
            }
            Self::Polynomial { power } => {
                base * (1.0 - fraction(step as f64, total_steps as f64)).powf(power)
            }
            Self::ReduceOnPlateau(ref plateau) => plateau
                .learning_rate(base, history.iter().map(|report| report.test("loss").unwrap_or(f64::NAN))),
            Self::WarmUp { length, start_factor, ref schedule } => {
                let length = length.steps(at);
                match step.checked_sub(length) {
                    None => base * (start_factor + (1.0 - start_factor) * (step as f64 / length as f64)),
                    Some(step) => {
                        let total_steps = total_steps.saturating_sub(length);
                        schedule.exact_rate(base, Moment { step, total_steps, ..at })
                    }
                }
            }
        }
    }
}

impl Span {
    fn validate(self) -> Result<(), NnError> {
        match self {
            Self::Steps(_) => Ok(()),
            Self::Epochs(epochs) => not_negative("warm-up: epochs", epochs),
            Self::Fraction(fraction) => {
                require((0.0..=1.0).contains(&fraction), "warm-up: fraction", "between 0 and 1", fraction)
            }
        }
    }

    fn steps(self, at: Moment<'_>) -> usize {
        match self {
            Self::Steps(steps) => steps,
            Self::Epochs(epochs) => (epochs * at.steps_per_epoch as f64).round() as usize,
            Self::Fraction(fraction) => (fraction * at.total_steps as f64).round() as usize,
        }
    }
}

/// `factor ^ times`.
fn power(factor: f64, times: usize) -> f64 {
    factor.powi(i32::try_from(times).unwrap_or(i32::MAX))
}

/// The finished share of `steps`: 1 at the end and later.
fn fraction(step: f64, steps: f64) -> f64 {
    if step < steps { step / steps } else { 1.0 }
}

/// `from` at step 0, `to` at step `steps` and later, half a cosine between.
fn anneal(from: f64, to: f64, step: f64, steps: f64) -> f64 {
    to + (from - to) / 2.0 * (1.0 + (PI * fraction(step, steps)).cos())
}

fn require(holds: bool, what: &'static str, rule: &'static str, got: impl ToString) -> Result<(), NnError> {
    if holds { Ok(()) } else { Err(NnError::Setting { what, rule, got: got.to_string() }) }
}

fn positive(what: &'static str, value: f64) -> Result<(), NnError> {
    require(value > 0.0 && value.is_finite(), what, "finite and above 0", value)
}

fn not_negative(what: &'static str, value: f64) -> Result<(), NnError> {
    require(value >= 0.0 && value.is_finite(), what, "finite and at least 0", value)
}

#[cfg(test)]
mod tests;
