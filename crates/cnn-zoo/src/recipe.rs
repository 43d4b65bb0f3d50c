//! Default training settings of a network on a data set.
//!
//! A recipe of a single network stands in that network's file; `docs/results.md` has the accuracies that recipes reach.

use cnn_nn::{
    Adagrad, Adam, AdamW, Lion, Model, NnError, OptimizerSpec, ParameterGroup, RmsProp, Schedule, Sgd,
};
use cnn_ops::CrossEntropy;
use cnn_tensor::Tensor;
use std::str::FromStr;

/// The kind of training images, on which recipes depend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Images {
    /// MNIST.
    Digits,
    /// Data sets of MNIST's form that are harder: Fashion-MNIST, KMNIST, EMNIST.
    LikeDigits,
    /// Small photos: CIFAR.
    Small,
    /// Photos of any size.
    Photos,
}

/// The settings of a training run, without the data.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Passes over the training set.
    pub epochs: usize,
    /// Images per step.
    pub batch_size: usize,
    /// The highest learning rate of stochastic gradient descent.
    pub learning_rate: f32,
    /// The momentum of stochastic gradient descent.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// The weight decay of stochastic gradient descent.
    pub weight_decay: f64,
    /// The course of the learning rate.
    pub schedule: Schedule,
    /// The cross-entropy and its options.
    pub loss: CrossEntropy,
    /// Parameters that train differently.
    pub groups: Vec<ParameterGroup>,
    /// A preset of augmentation, by name.
    pub augment: &'static str,
    /// Views of a test image: 1, 2, 5 or 10.
    pub crops: &'static str,
    /// The preparation of the model by training images, before the first step.
    pub prepare: Option<Prepare>,
}

/// A change of a fresh model that depends on some of its training images.
#[derive(Clone, Copy, Debug)]
pub struct Prepare {
    /// The number of images.
    pub images: usize,
    /// Called with the model and a batch `[n, c, h, w]` of at most that many images, normalised as the network's input.
    pub apply: fn(&mut Model, &Tensor) -> Result<(), NnError>,
}

/// The names that [`Recipe::optimizer`] knows, each with a line for help.
pub const OPTIMIZERS: [(OptimizerName, &str); 6] = [
    (OptimizerName::Sgd, "stochastic gradient descent with the recipe's momentum and weight decay"),
    (OptimizerName::Adam, "Adam with its usual options"),
    (OptimizerName::AdamW, "AdamW with its usual options, a weight decay of 0.01 among them"),
    (OptimizerName::RmsProp, "RMSprop with its usual options"),
    (OptimizerName::Adagrad, "Adagrad with its usual options"),
    (OptimizerName::Lion, "Lion with its usual options and a weight decay of 0.1"),
];

/// An optimizer by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum OptimizerName {
    Sgd,
    Adam,
    AdamW,
    RmsProp,
    Adagrad,
    Lion,
}

impl OptimizerName {
    /// The name that commands use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::Adam => "adam",
            Self::AdamW => "adamw",
            Self::RmsProp => "rmsprop",
            Self::Adagrad => "adagrad",
            Self::Lion => "lion",
        }
    }
}

impl FromStr for OptimizerName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let all = OPTIMIZERS.map(|(known, _)| known);
        all.into_iter().find(|known| known.name() == name.to_lowercase()).ok_or_else(|| {
            let names = all.map(OptimizerName::name).join(", ");
            format!("expected one of {names}, got {name}")
        })
    }
}

impl Recipe {
    /// The recipe for such images, the same for every network.
    pub fn usual(images: Images) -> Self {
        let digits = Self {
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
            prepare: None,
        };
        match images {
            Images::Digits => digits,
            Images::LikeDigits => Self { epochs: 20, ..digits },
            Images::Small => Self { epochs: 30, augment: "crop-flip", ..digits },
            Images::Photos => Self {
                epochs: 90,
                learning_rate: 0.1,
                batch_size: 128,
                weight_decay: 1e-4,
                augment: "imagenet",
                ..digits
            },
        }
    }

    /// The recipe for a new linear layer on trained features: few epochs at a low learning rate.
    pub fn transfer() -> Self {
        Self {
            epochs: 15,
            batch_size: 32,
            learning_rate: 0.001,
            weight_decay: 1e-3,
            schedule: Schedule::Cosine,
            augment: "alexnet",
            ..Self::usual(Images::Digits)
        }
    }

    /// The optimizer of that name, and the learning rate that suits it.
    ///
    /// ```
    /// use cnn_zoo::{Images, OptimizerName, Recipe};
    /// let recipe = Recipe::usual(Images::Digits);
    /// assert_eq!(recipe.optimizer(OptimizerName::Sgd).1, 0.05);
    /// assert_eq!(recipe.optimizer("adam".parse()?).1, 0.002);
    /// # Ok::<(), String>(())
    /// ```
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
