//! How a network is trained on a data set unless the user says otherwise; docs/results.md has what each recipe reaches.

use crate::datasets::DatasetName;
use crate::networks::ModelName;
use crate::train::config::{self, ScheduleName};
use clap::ValueEnum;
use cnn_data::MnistFamily;
use cnn_nn::{Adagrad, Adam, AdamW, Lion, OptimizerSpec, ParameterGroup, RmsProp, Schedule, Sgd};
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
    pub learning_rate: f32,
    pub momentum: f64,
    pub nesterov: bool,
    pub weight_decay: f64,
    pub schedule: Schedule,
    pub loss: CrossEntropy,
    pub groups: Vec<ParameterGroup>,
    /// A preset of `--augment`.
    pub augment: &'static str,
    /// The views of a test image, as `--crops` has them.
    pub crops: &'static str,
}

impl Recipe {
    /// The optimizer of that name with the learning rate that suits it.
    pub fn optimizer(&self, name: OptimizerName) -> (OptimizerSpec, f32) {
        match name {
            OptimizerName::Sgd => {
                let Self { momentum, nesterov, weight_decay, .. } = *self;
                let sgd = Sgd { momentum, nesterov, weight_decay, ..Sgd::default() };
                (OptimizerSpec::Sgd(sgd), self.learning_rate)
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

/// The recipe that suits a new linear layer on features that are trained: few epochs at a low rate.
pub fn transfer() -> Recipe {
    Recipe {
        epochs: 15,
        batch_size: 32,
        learning_rate: 0.001,
        momentum: 0.9,
        nesterov: false,
        weight_decay: 1e-3,
        schedule: Schedule::Cosine,
        loss: CrossEntropy::default(),
        groups: Vec::new(),
        augment: "alexnet",
        crops: "1",
    }
}

/// The recipe that suits a network on a data set.
pub fn recipe(model: ModelName, dataset: &DatasetName) -> Recipe {
    let lenet = Recipe {
        epochs: 12,
        batch_size: 64,
        learning_rate: 0.05,
        momentum: 0.9,
        nesterov: false,
        weight_decay: 5e-4,
        schedule: Schedule::OneCycle { warmup: 0.2 },
        loss: CrossEntropy::default(),
        groups: Vec::new(),
        augment: "none",
        crops: "1",
    };
    let smoothed = CrossEntropy { label_smoothing: 0.2, ..CrossEntropy::default() };
    // Jordan 2024, section 3: his rates are for the sum of the losses, these for their mean.
    let airbench = Recipe {
        epochs: 10,
        batch_size: 512,
        learning_rate: 0.75,
        momentum: 0.85,
        nesterov: true,
        weight_decay: AIRBENCH_DECAY,
        schedule: Schedule::OneCycle { warmup: 0.23 },
        loss: smoothed,
        groups: cnn_zoo::airbench_groups(AIRBENCH_DECAY),
        augment: "shift-flip",
        crops: "2",
    };
    // Krizhevsky et al. 2012, section 5.
    let alexnet = Recipe {
        epochs: 90,
        batch_size: 128,
        learning_rate: 0.01,
        schedule: config::schedule(ScheduleName::Plateau),
        augment: "alexnet",
        ..lenet.clone()
    };
    match (model.name, dataset) {
        // Strong decay, so that the templates show strokes rather than noise.
        ("linear", _) => Recipe { epochs: 10, learning_rate: 0.01, weight_decay: 1e-2, ..lenet },
        ("mlp", _) => Recipe { epochs: 10, ..lenet },
        // Squared distances from 84-number codes are large, and so are their gradients.
        ("lenet-1998", _) => Recipe { learning_rate: 0.003, weight_decay: 0.0, ..lenet },
        ("lenet-tanh", _) => Recipe { learning_rate: 0.02, ..lenet },
        ("cuda-convnet-quick", _) => Recipe {
            epochs: 12,
            batch_size: 100,
            learning_rate: 0.01,
            weight_decay: 4e-3,
            augment: "flip",
            ..lenet
        },
        ("airbench-small", _) => airbench,
        // His 10 epochs want tricks that are not here: alternating flips, an average of weights, six views of a test image.
        ("airbench94", _) => Recipe { epochs: 16, batch_size: 1024, learning_rate: 1.5, ..airbench },
        ("alexnet" | "alexnet_2012", _) => alexnet,
        (_, DatasetName::Mnist(MnistFamily::Mnist)) => lenet,
        (_, DatasetName::Mnist(_)) => Recipe { epochs: 20, ..lenet },
        (_, DatasetName::Cifar(_)) => Recipe { epochs: 30, augment: "crop-flip", ..lenet },
        _ => Recipe {
            epochs: 90,
            learning_rate: 0.1,
            batch_size: 128,
            weight_decay: 1e-4,
            augment: "imagenet",
            ..lenet
        },
    }
}

/// The paper's decay of 0.0153 over its rate of 11.5.
const AIRBENCH_DECAY: f64 = 0.0153 / 11.5;
