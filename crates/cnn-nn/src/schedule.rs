//! How the learning rate changes while a run goes on.

use crate::NnError;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The learning rate of each step, relative to a base rate.
///
/// A schedule is a pure function of the step, so a resumed run goes on with exactly the rates of an unbroken one.
///
/// In a description: `{"type": "step", "every": 5, "factor": 0.5}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Always the base rate.
    #[default]
    Constant,
    /// The base rate times `factor ^ (epoch / every)`, the quotient rounded down: PyTorch's `StepLR`.
    Step {
        /// Epochs between two changes; at least 1.
        every: usize,
        /// What the rate is multiplied by at each change; above 0.
        factor: f64,
    },
    /// From the base rate along half a cosine to 0 (Loshchilov and Hutter 2017, eq. 5, without restarts): PyTorch's
    /// `CosineAnnealingLR` with `eta_min = 0` and a step for each batch.
    Cosine,
    /// From 1/25 of the base rate up to the base rate in the first `warmup` of all steps, then down to 1/250000 of it
    /// (after Smith 2018, "A disciplined approach to neural network hyper-parameters", but along half cosines):
    /// PyTorch's `OneCycleLR`, the momentum left alone.
    OneCycle {
        /// The fraction of all steps in which the rate rises, 0 to 1; PyTorch's `pct_start`, there 0.3.
        warmup: f64,
    },
}

impl Schedule {
    /// That the options can be used.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        let fault = |what, rule, got: String| Err(NnError::Setting { what, rule, got });
        match *self {
            Self::Step { every: 0, .. } => fault("step schedule: every", "at least 1 epoch", "0".into()),
            Self::Step { factor, .. } if !(factor > 0.0 && factor.is_finite()) => {
                fault("step schedule: factor", "finite and above 0", factor.to_string())
            }
            Self::OneCycle { warmup } if !(0.0..=1.0).contains(&warmup) => {
                fault("one-cycle schedule: warmup", "between 0 and 1", warmup.to_string())
            }
            _ => Ok(()),
        }
    }

    /// The learning rate of step `step`, counted from 0 over the whole run of `total_steps`; a run that goes on
    /// after them keeps the rate to which an annealing schedule has come down.
    ///
    /// ```
    /// use cnn_nn::Schedule;
    /// let rate = |epoch: usize| Schedule::Step { every: 2, factor: 0.5 }.rate(0.8, epoch * 100, 500, 100);
    /// assert_eq!([0, 1, 2, 3, 4].map(rate), [0.8, 0.8, 0.4, 0.4, 0.2]);
    /// ```
    pub fn rate(&self, base: f32, step: usize, total_steps: usize, steps_per_epoch: usize) -> f32 {
        let base = f64::from(base);
        let rate = match *self {
            Self::Constant => base,
            Self::Step { every, factor } => {
                let changes = step / steps_per_epoch.max(1) / every.max(1);
                base * factor.powi(i32::try_from(changes).unwrap_or(i32::MAX))
            }
            Self::Cosine => anneal(base, 0.0, step as f64, total_steps as f64),
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
        };
        rate as f32
    }
}

/// `from` at step 0, `to` at step `steps` and later, half a cosine between.
fn anneal(from: f64, to: f64, step: f64, steps: f64) -> f64 {
    let fraction = if step < steps { step / steps } else { 1.0 };
    to + (from - to) / 2.0 * (1.0 + (PI * fraction).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_rates(schedule: Schedule, want: &[f64]) {
        schedule.validate().unwrap();
        for (step, &want) in want.iter().enumerate() {
            let got = f64::from(schedule.rate(0.5, step, 8, 2));
            assert!((got - want).abs() <= 1e-6 * want, "step {step} of {schedule:?}: {got}, not {want}");
        }
    }

    /// Rates of 8 steps of PyTorch 2.15 with a base rate of 0.5, from `optimizer.param_groups[0]["lr"]` before each
    /// step, `scheduler.step()` after it; the last number is a step after the end.
    #[test]
    fn rates_are_those_of_pytorch() {
        assert_rates(Schedule::Constant, &[0.5; 9]);
        // StepLR(optimizer, step_size=2 * 2, gamma=0.1), its step called after each batch of two an epoch.
        let step = Schedule::Step { every: 2, factor: 0.1 };
        assert_rates(step, &[0.5, 0.5, 0.5, 0.5, 0.05, 0.05, 0.05, 0.05, 0.005]);
        // CosineAnnealingLR(optimizer, T_max=8)
        let cosine =
            [0.5, 0.480_969_88, 0.426_776_7, 0.345_670_85, 0.25, 0.154_329_14, 0.073_223_3, 0.019_030_117];
        assert_rates(Schedule::Cosine, &cosine);
        assert_eq!([8, 9, usize::MAX].map(|step| Schedule::Cosine.rate(0.5, step, 8, 2)), [0.0; 3]);
        // OneCycleLR(optimizer, max_lr=0.5, total_steps=8, pct_start=warmup, cycle_momentum=False)
        let rates = [0.02, 0.26, 0.5, 0.452_254_44, 0.327_254_94, 0.172_747_06, 0.047_747_56, 2e-6, 2e-6];
        assert_rates(Schedule::OneCycle { warmup: 0.375 }, &rates);
        let rates =
            [0.02, 0.043_767_47, 0.110_362_45, 0.206_594_98, 0.313_405_02, 0.409_637_55, 0.476_232_53, 0.5];
        assert_rates(Schedule::OneCycle { warmup: 1.0 }, &rates);
    }

    #[test]
    fn the_shortest_runs_have_rates() {
        for warmup in [0.0, 0.5, 1.0] {
            assert_eq!(Schedule::OneCycle { warmup }.rate(0.5, 0, 1, 1), 0.5);
        }
        let schedules = [Schedule::Constant, Schedule::Step { every: 1, factor: 0.5 }, Schedule::Cosine];
        for schedule in schedules {
            assert_eq!(schedule.rate(0.5, 0, 1, 1), 0.5);
            assert!(schedule.rate(0.5, 3, 0, 0).is_finite());
        }
    }

    #[test]
    fn options_out_of_range_are_named() {
        let message = |schedule: Schedule| schedule.validate().unwrap_err().to_string();
        let step = |every, factor| message(Schedule::Step { every, factor });
        assert_eq!(step(0, 0.5), "step schedule: every must be at least 1 epoch, got 0");
        assert_eq!(step(1, 0.0), "step schedule: factor must be finite and above 0, got 0");
        assert_eq!(step(1, f64::NAN), "step schedule: factor must be finite and above 0, got NaN");
        let warmup = message(Schedule::OneCycle { warmup: 1.5 });
        assert_eq!(warmup, "one-cycle schedule: warmup must be between 0 and 1, got 1.5");
    }

    #[test]
    fn a_description_reads_like_its_name() {
        let all = [Schedule::Cosine, Schedule::Step { every: 5, factor: 0.5 }];
        let text = r#"[{"type":"cosine"},{"type":"step","every":5,"factor":0.5}]"#;
        assert_eq!(serde_json::to_string(&all).unwrap(), text);
        assert_eq!(serde_json::from_str::<[Schedule; 2]>(text).unwrap(), all);
        assert!(
            serde_json::from_str::<Schedule>(r#"{"type":"step","every":5,"factor":0.5,"gamma":1}"#).is_err()
        );
    }
}
