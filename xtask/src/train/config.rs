//! What a run is made of: with it and the data, the run can be repeated bit for bit.

use super::Options;
use crate::fault::Fault;
use crate::models::{DatasetName, ModelName, OptimizerName, recipe};
use cnn_data::Normalize;
use cnn_nn::{OptimizerSpec, Schedule, TrainSettings};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The configuration of a run, as config.json holds it. Threads are no part of it: they change nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The version of this program.
    pub version: String,
    pub model: ModelName,
    pub dataset: DatasetName,
    pub data_dir: PathBuf,
    pub epochs: usize,
    pub batch_size: usize,
    pub lr: f32,
    pub schedule: Schedule,
    pub optimizer: OptimizerSpec,
    pub seed: u64,
    /// Train on this many images only.
    pub limit: Option<usize>,
}

impl Config {
    /// The options given, and the recipe for the others.
    pub fn new(model: ModelName, options: &Options) -> Self {
        let dataset = options.dataset.unwrap_or(DatasetName::Mnist);
        let recipe = recipe(model, dataset);
        let (optimizer, rate) = recipe.optimizer(options.optimizer.unwrap_or(OptimizerName::Sgd));
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            model,
            dataset,
            data_dir: options.data_dir.clone().unwrap_or_else(|| dataset.folder()),
            epochs: options.epochs.unwrap_or(recipe.epochs),
            batch_size: options.batch_size.unwrap_or(recipe.batch_size),
            lr: options.lr.unwrap_or(rate),
            schedule: recipe.schedule,
            optimizer,
            seed: options.seed.unwrap_or(0),
            limit: options.limit,
        }
    }

    /// The configuration in a file that an earlier run wrote.
    pub fn read(file: &Path) -> Result<Self, Fault> {
        let fault = |e: &dyn std::fmt::Display| Fault {
            status: 1,
            message: format!("{}: expected the config.json of a run: {e}", file.display()),
        };
        let text = std::fs::read_to_string(file).map_err(|e| fault(&e))?;
        serde_json::from_str(&text).map_err(|e| fault(&e))
    }

    /// The same, changed by the options that were given.
    pub fn with(mut self, model: ModelName, options: &Options) -> Result<Self, Fault> {
        if model != self.model {
            let (ours, wanted) = (self.model.title(), model.title());
            return Err(Fault::usage(format!("the run is one of {ours}, expected {wanted}")));
        }
        self.dataset = options.dataset.unwrap_or(self.dataset);
        if let Some(folder) = &options.data_dir {
            self.data_dir.clone_from(folder);
        } else if options.dataset.is_some() {
            self.data_dir = self.dataset.folder();
        }
        self.epochs = options.epochs.unwrap_or(self.epochs);
        self.batch_size = options.batch_size.unwrap_or(self.batch_size);
        if let Some(name) = options.optimizer {
            (self.optimizer, self.lr) = recipe(model, self.dataset).optimizer(name);
        }
        self.lr = options.lr.unwrap_or(self.lr);
        self.seed = options.seed.unwrap_or(self.seed);
        self.limit = options.limit.or(self.limit);
        Ok(self)
    }

    /// That every number can be used.
    pub fn validate(&self) -> Result<(), Fault> {
        for (option, value) in [("--epochs", self.epochs), ("--batch-size", self.batch_size)] {
            if value == 0 {
                return Err(Fault::usage(format!("{option}: expected at least 1, got 0")));
            }
        }
        if self.limit == Some(0) {
            return Err(Fault::usage("--limit: expected at least 1, got 0"));
        }
        if !(self.lr.is_finite() && self.lr > 0.0) {
            return Err(Fault::usage(format!("--lr: expected a number above 0, got {}", self.lr)));
        }
        Ok(())
    }

    /// How to train.
    pub fn settings(&self) -> TrainSettings {
        let Self { epochs, lr: rate, ref schedule, optimizer, seed, .. } = *self;
        TrainSettings {
            epochs,
            rate,
            schedule: schedule.clone(),
            optimizer,
            seed,
            ..TrainSettings::default()
        }
    }

    /// The normalisation of the network's input.
    pub fn normalize(&self) -> Result<Normalize, Fault> {
        let input = self.model.spec(self.dataset).input;
        Ok(Normalize::new(&input.mean, &input.deviation)?)
    }

    /// The folder of the run, unless the user names one.
    pub fn default_folder(&self) -> String {
        let model = serde_json::to_value(self.model).unwrap_or_default();
        format!("{}-{}", model.as_str().unwrap_or("model"), self.dataset.name())
    }

    /// The settings in which `other` differs, as `batch_size 64 instead of 32`.
    pub fn differences(&self, other: &Self) -> String {
        let (mine, others) = (serde_json::to_value(self), serde_json::to_value(other));
        let (Ok(serde_json::Value::Object(mine)), Ok(others)) = (mine, others) else { return String::new() };
        let differing = mine.iter().filter(|(key, value)| others.get(key) != Some(value));
        let described: Vec<_> =
            differing.map(|(key, value)| format!("{key} {value} instead of {}", others[key])).collect();
        described.join(", ")
    }
}
