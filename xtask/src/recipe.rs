//! How a network is trained on a data set unless the user says otherwise; docs/results.md has what each recipe reaches.

use crate::datasets::DatasetName;
use crate::networks::{ModelName, Size};
use clap::ValueEnum;
use cnn_data::MnistFamily;
use cnn_nn::{Adagrad, Adam, AdamW, Lion, OptimizerSpec, RmsProp, Schedule, Sgd};
use cnn_ops::CrossEntropy;

/// An optimizer by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OptimizerName {
    /// Stochastic gradient descent with momentum 0.9 and the recipe's weight decay.
    Sgd,
    /// Adam with its usual options.
    Adam,
    /// AdamW with its usual options, a weight decay of 0.01 among them.
    #[value(name = "adamw")]
    AdamW,
    /// RMSprop with its usual options.
    #[value(name = "rmsprop")]
    RmsProp,
    /// Adagrad with its usual options.
    Adagrad,
    /// Lion with its usual options, and a weight decay of 0.1.
    Lion,
}

/// What is trained for how long.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub epochs: usize,
    pub batch_size: usize,
    /// The highest learning rate of stochastic gradient descent, and its momentum and weight decay.
    pub rate: f32,
    pub momentum: f64,
    pub nesterov: bool,
    pub weight_decay: f64,
    pub schedule: Schedule,
    pub loss: CrossEntropy,
    /// A preset of `--augment`.
    pub augment: &'static str,
}

impl Recipe {
    /// The optimizer of that name with the learning rate that suits it.
    pub fn optimizer(&self, name: OptimizerName) -> (OptimizerSpec, f32) {
        match name {
            OptimizerName::Sgd => {
                let Self { momentum, nesterov, weight_decay, .. } = *self;
                let sgd = Sgd { momentum, nesterov, weight_decay, ..Sgd::default() };
                (OptimizerSpec::Sgd(sgd), self.rate)
            }
            OptimizerName::Adam => (OptimizerSpec::Adam(Adam::default()), 0.002),
            OptimizerName::AdamW => (OptimizerSpec::AdamW(AdamW::default()), 0.002),
            OptimizerName::RmsProp => (OptimizerSpec::RmsProp(RmsProp::default()), 0.002),
            OptimizerName::Adagrad => (OptimizerSpec::Adagrad(Adagrad::default()), 0.05),
            // A lower rate than AdamW's and a larger decay, as the authors advise.
            OptimizerName::Lion => {
                (OptimizerSpec::Lion(Lion { weight_decay: 0.1, ..Lion::default() }), 0.0005)
            }
        }
    }
}

/// The recipe that suits a network on a data set.
pub fn recipe(model: ModelName, dataset: &DatasetName) -> Recipe {
    let lenet = Recipe {
        epochs: 12,
        batch_size: 64,
        rate: 0.05,
        momentum: 0.9,
        nesterov: false,
        weight_decay: 5e-4,
        schedule: Schedule::OneCycle { warmup: 0.2 },
        loss: CrossEntropy::default(),
        augment: "none",
    };
    match (model.name, dataset) {
        // Strong decay, so that the templates show strokes rather than noise.
        ("linear", _) => Recipe { epochs: 10, rate: 0.01, weight_decay: 1e-2, ..lenet },
        ("mlp", _) => Recipe { epochs: 10, ..lenet },
        // Squared distances from 84-number codes are large, and so are their gradients.
        ("lenet-1998", _) => Recipe { rate: 0.003, weight_decay: 0.0, ..lenet },
        ("lenet-tanh", _) => Recipe { rate: 0.02, ..lenet },
        (_, DatasetName::Mnist(MnistFamily::Mnist)) if model.size == Size::Any => lenet,
        (_, DatasetName::Mnist(_)) if model.size == Size::Any => Recipe { epochs: 20, ..lenet },
        _ => Recipe { epochs: 30, rate: 0.02, ..lenet },
    }
}
