//! The settings of a run: with them, the data and the trunk, the run can be repeated bit for bit.

use crate::fault::Fault;
use cnn_nn::{AdamW, Clip, OptimizerSpec, Schedule, TrainSettings};
use serde::{Deserialize, Serialize};

/// The options that choose settings; those left out are the recipe's, or those of the run that goes on.
#[derive(clap::Args, Clone, Default)]
pub struct Options {
    /// Passes over the captions [default: 20].
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Captions in a step [default: 64].
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// The highest learning rate [default: 0.002].
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    lr: Option<f32>,
    /// Weight decay: the share of each weight, times the learning rate, that a step subtracts [default: 0.01].
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    weight_decay: Option<f64>,
    /// The probability of dropout, of the embeddings and of the LSTM's outputs [default: 0.5].
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    dropout: Option<f64>,
    /// The size of the embeddings of photos and words [default: 256].
    #[arg(long, value_name = "N")]
    embedding: Option<usize>,
    /// The size of the LSTM's state [default: 512].
    #[arg(long, value_name = "N")]
    hidden: Option<usize>,
    /// How often a word must occur in the captions of training to be learned [default: 3].
    #[arg(long, value_name = "N")]
    least: Option<usize>,
    /// The seed of the first weights, the order of the captions and dropout [default: 0].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// The configuration of a run, as config.json holds it. Threads and paths are no part of it: they change nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The version of this program.
    pub version: String,
    /// How often a word must occur.
    pub least: usize,
    pub embedding: usize,
    pub hidden: usize,
    pub dropout: f64,
    pub batch_size: usize,
    pub training: TrainSettings,
}

impl Default for Config {
    /// The recipe for a third of Flickr8k.
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            least: 3,
            embedding: 256,
            hidden: 512,
            dropout: 0.5,
            batch_size: 64,
            training: TrainSettings {
                epochs: 20,
                learning_rate: 2e-3,
                schedule: Schedule::OneCycle { warmup: 0.1 },
                optimizer: OptimizerSpec::AdamW(AdamW { weight_decay: 0.01, ..AdamW::default() }),
                clip: Some(Clip::Norm { max_norm: 5.0 }),
                ..TrainSettings::default()
            },
        }
    }
}

impl Config {
    /// The same with the options that are given.
    pub fn with(mut self, options: &Options) -> Result<Self, Fault> {
        let Options { epochs, batch_size, lr, weight_decay, dropout, embedding, hidden, least, seed } =
            options;
        set(&mut self.training.epochs, *epochs);
        set(&mut self.batch_size, *batch_size);
        set(&mut self.training.learning_rate, *lr);
        set(&mut self.dropout, *dropout);
        set(&mut self.embedding, *embedding);
        set(&mut self.hidden, *hidden);
        set(&mut self.least, *least);
        set(&mut self.training.seed, *seed);
        if let (Some(decay), OptimizerSpec::AdamW(adam)) = (weight_decay, &mut self.training.optimizer) {
            adam.weight_decay = *decay;
        }
        let counts = [
            ("--epochs", self.training.epochs),
            ("--batch-size", self.batch_size),
            ("--embedding", self.embedding),
            ("--hidden", self.hidden),
        ];
        if let Some((option, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(Fault::usage(format!("{option}: expected at least 1, got 0")));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Fault::usage(format!("--dropout: expected 0 to below 1, got {}", self.dropout)));
        }
        self.training.validate().map_err(Fault::usage)?;
        Ok(self)
    }
}

fn set<T>(value: &mut T, wanted: Option<T>) {
    if let Some(wanted) = wanted {
        *value = wanted;
    }
}
