//! The networks and data sets that commands know by name, and the recipe that suits each pair.

use crate::fault::Fault;
use clap::ValueEnum;
use cnn_data::MnistFamily;
use cnn_nn::{Adagrad, Adam, AdamW, Input, Lion, ModelSpec, OptimizerSpec, RmsProp, Schedule, Sgd};
pub use cnn_zoo::IMAGENET;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A network of the zoo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelName {
    /// LeNet-5 with max pooling and ReLU.
    #[value(alias = "lenet5")]
    Lenet,
    /// LeNet-5 with average pooling and LeCun's scaled tanh, nearer to the paper.
    #[value(alias = "lenet5-tanh")]
    LenetTanh,
    /// LeNet-5 as the paper of 1998 has it, to the table of connections and the drawn codes.
    #[value(name = "lenet-1998", alias = "lenet5-1998")]
    #[serde(rename = "lenet-1998")]
    Lenet1998,
    /// Two dense layers: 200 units with ReLU, 10 outputs.
    Mlp,
    /// The linear classifier f(x, W) = W x + b.
    Linear,
}

impl ModelName {
    /// The description for the images of a data set.
    pub fn spec(self, dataset: DatasetName) -> ModelSpec {
        let family = dataset.family();
        let input = match self {
            Self::Lenet1998 => cnn_zoo::lenet::input_1998(),
            _ => Input::gray(28, 28, family.mean(), family.deviation()),
        };
        let classes = family.classes().map(String::from).to_vec();
        match self {
            Self::Lenet => cnn_zoo::lenet5(input, classes),
            Self::LenetTanh => cnn_zoo::lenet5_tanh(input, classes),
            Self::Lenet1998 => cnn_zoo::lenet5_1998(input, classes),
            Self::Mlp => cnn_zoo::mlp(input, classes),
            Self::Linear => cnn_zoo::linear(input, classes),
        }
    }

    /// As a title writes it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Lenet => "LeNet-5",
            Self::LenetTanh => "LeNet-5 (tanh)",
            Self::Lenet1998 => "LeNet-5 (1998)",
            Self::Mlp => "Dense 200-10",
            Self::Linear => "Linear classifier",
        }
    }
}

/// A data set of 28 x 28 gray images in ten classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetName {
    /// Handwritten digits; in the repository.
    Mnist,
    /// Pieces of clothing; see datasets/README.md for where to get it.
    FashionMnist,
}

impl DatasetName {
    /// What cnn-data knows of it.
    pub fn family(self) -> MnistFamily {
        match self {
            Self::Mnist => MnistFamily::Mnist,
            Self::FashionMnist => MnistFamily::FashionMnist,
        }
    }

    /// Its name in folders, files and `--dataset`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
        }
    }

    /// As a title writes it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Mnist => "MNIST",
            Self::FashionMnist => "Fashion-MNIST",
        }
    }

    /// The folder in which its files are looked for if the user names none: `datasets/NAME`, or where Debian's
    /// package puts Fashion-MNIST.
    pub fn folder(self) -> PathBuf {
        let folder = root().join("datasets").join(self.name());
        let debian = Path::new("/usr/share/datasets/fashion-mnist");
        if self == Self::FashionMnist && !folder.exists() && debian.exists() { debian.into() } else { folder }
    }
}

/// The workspace's folder.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).into()
}

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

/// What is trained for how long, unless the user says otherwise.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub epochs: usize,
    pub batch_size: usize,
    /// The highest learning rate of stochastic gradient descent, and its weight decay.
    pub rate: f32,
    pub weight_decay: f64,
    pub schedule: Schedule,
}

impl Recipe {
    /// The optimizer of that name with the learning rate that suits it.
    pub fn optimizer(&self, name: OptimizerName) -> (OptimizerSpec, f32) {
        match name {
            OptimizerName::Sgd => {
                let sgd = Sgd { momentum: 0.9, weight_decay: self.weight_decay, ..Sgd::default() };
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

/// The recipe that suits a network on a data set; docs/results.md has what each reaches.
pub fn recipe(model: ModelName, dataset: DatasetName) -> Recipe {
    let schedule = Schedule::OneCycle { warmup: 0.2 };
    let lenet = Recipe { epochs: 12, batch_size: 64, rate: 0.05, weight_decay: 5e-4, schedule };
    match (model, dataset) {
        // Strong decay, so that the templates show strokes rather than noise.
        (ModelName::Linear, _) => Recipe { epochs: 10, rate: 0.01, weight_decay: 1e-2, ..lenet },
        (ModelName::Mlp, _) => Recipe { epochs: 10, ..lenet },
        // Squared distances from 84-number codes are large, and so are their gradients.
        (ModelName::Lenet1998, _) => Recipe { rate: 0.003, weight_decay: 0.0, ..lenet },
        (ModelName::LenetTanh, _) => Recipe { rate: 0.02, ..lenet },
        (ModelName::Lenet, DatasetName::Mnist) => lenet,
        (ModelName::Lenet, DatasetName::FashionMnist) => Recipe { epochs: 20, ..lenet },
    }
}

/// A pool of as many threads as the user wants, or as the machine has.
pub fn threads(wanted: Option<usize>) -> Result<(usize, cnn_tensor::parallel::Threads), Fault> {
    let count = wanted.unwrap_or_else(cnn_tensor::parallel::available);
    let pool =
        cnn_tensor::parallel::Threads::new(count).map_err(|e| Fault::usage(format!("--threads: {e}")))?;
    Ok((count, pool))
}
