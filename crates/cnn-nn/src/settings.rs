//! The settings of a training run.

use crate::{Average, Clip, LearnSettings, NnError, OptimizerSpec, ParameterGroup, Penalty, Schedule};
use serde::{Deserialize, Serialize};

/// The settings of a training run.
///
/// In a description every field may be left out, so that descriptions of earlier versions can be read. In code, write
/// the fields that matter and `..TrainSettings::default()`.
///
/// ```
/// use cnn_nn::TrainSettings;
/// let settings: TrainSettings = serde_json::from_str(r#"{"epochs": 3, "learning_rate": 0.1, "clip": {"type": "norm", "max_norm": 1}}"#)?;
/// assert_eq!(settings.epochs, 3);
/// assert_eq!(TrainSettings { clip: None, ..settings }, TrainSettings { epochs: 3, learning_rate: 0.1, ..TrainSettings::default() });
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSettings {
    /// The number of passes over the training set.
    pub epochs: usize,
    /// The learning rate that the schedule scales; above 0.
    #[serde(alias = "rate")]
    pub learning_rate: f32,
    /// The course of the learning rate.
    pub schedule: Schedule,
    /// The optimizer.
    pub optimizer: OptimizerSpec,
    /// Groups of parameters that train differently. A parameter belongs to the first group that takes it.
    pub groups: Vec<ParameterGroup>,
    /// Gradient clipping.
    pub clip: Option<Clip>,
    /// An average of the weights, evaluated and saved in their place.
    pub average: Option<Average>,
    /// A penalty on large weights.
    pub penalty: Penalty,
    /// The number of batches whose gradients are accumulated for each step; at least 1. Where no layer couples the images, the
    /// bits are those of single batches that many times as large. The exception is mixed images: their proportions differ between
    /// batches.
    pub accumulate: usize,
    /// The seed of the random numbers drawn in training. It affects neither the initial weights, which are drawn when the network
    /// is built, nor the order of the images, which the [`Batches`](crate::Batches) decide.
    pub seed: u64,
}

impl Default for TrainSettings {
    /// Ten epochs of plain SGD at a learning rate of 0.01, with seed 0 and nothing else.
    fn default() -> Self {
        Self {
            epochs: 10,
            learning_rate: 0.01,
            schedule: Schedule::default(),
            optimizer: OptimizerSpec::default(),
            groups: Vec::new(),
            clip: None,
            average: None,
            penalty: Penalty::default(),
            accumulate: 1,
            seed: 0,
        }
    }
}

impl TrainSettings {
    /// Checks the settings as far as they do not depend on the network.
    ///
    /// # Errors
    /// A setting is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        self.schedule.validate()?;
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            let (what, rule) = ("the learning rate", "a number above 0");
            return Err(NnError::Setting { what, rule, got: self.learning_rate.to_string() });
        }
        if self.accumulate == 0 {
            let (what, rule) = ("the number of batches of a step", "at least 1");
            return Err(NnError::Setting { what, rule, got: "0".into() });
        }
        self.learning().validate()
    }

    /// The part of the settings that a [`Learner`](crate::Learner) needs.
    pub fn learning(&self) -> LearnSettings {
        LearnSettings {
            optimizer: self.optimizer,
            groups: self.groups.clone(),
            clip: self.clip,
            penalty: self.penalty,
            average: self.average,
            seed: self.seed,
        }
    }
}
