//! The rows of docs/results.md.

use crate::root;
use std::path::PathBuf;

/// A row of the table, and the command that it is from.
pub struct Recipe {
    pub network: &'static str,
    pub data: &'static str,
    /// The data it needs: the name of a data set, or paths in datasets/.
    pub needs: &'static [&'static str],
    /// The command, with `datasets/...` for paths in that folder.
    pub command: &'static [&'static str],
    pub seeds: u64,
    pub measures: &'static [Measure],
}

/// A number that says how good a run is.
pub struct Measure {
    /// Its name in the table.
    pub name: &'static str,
    /// Where it is in the output of the command's `--json`.
    pub at: &'static str,
    /// Whether 1 is shown as 100 %.
    pub percent: bool,
}

/// That of classification, which has a table of its own.
pub const ACCURACY: Measure = Measure { name: "accuracy", at: "/test_accuracy", percent: true };

pub const RECIPES: &[Recipe] = &[
    Recipe {
        network: "LeNet-5",
        data: "MNIST",
        needs: &["mnist"],
        command: &["train-lenet"],
        seeds: 5,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "LeNet-5, distorted digits",
        data: "MNIST",
        needs: &["mnist"],
        command: &["train-lenet", "--augment", "distort", "--epochs", "40"],
        seeds: 3,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "LeNet-5, tanh and average pooling",
        data: "MNIST",
        needs: &["mnist"],
        command: &["train-lenet", "--variant", "tanh"],
        seeds: 5,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "LeNet-5 of 1998",
        data: "MNIST",
        needs: &["mnist"],
        command: &["train-lenet", "--variant", "1998"],
        seeds: 3,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "Dense 200-10",
        data: "MNIST",
        needs: &["mnist"],
        command: &["demo", "mlp"],
        seeds: 5,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "Linear classifier",
        data: "MNIST",
        needs: &["mnist"],
        command: &["demo", "linear"],
        seeds: 5,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "LeNet-5",
        data: "Fashion-MNIST",
        needs: &["fashion-mnist"],
        command: &["train-lenet", "--dataset", "fashion-mnist"],
        seeds: 5,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "cuda-convnet quick",
        data: "CIFAR-10",
        needs: &["cifar10"],
        command: &["train", "--model", "cuda-convnet-quick", "--dataset", "cifar10"],
        seeds: 1,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "airbench, small",
        data: "CIFAR-10",
        needs: &["cifar10"],
        command: &["train", "--model", "airbench-small", "--dataset", "cifar10"],
        seeds: 1,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "airbench94",
        data: "CIFAR-10",
        needs: &["cifar10"],
        command: &["train", "--model", "airbench94", "--dataset", "cifar10"],
        seeds: 1,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "AlexNet",
        data: "Tiny ImageNet, 20 classes",
        needs: &["datasets/tiny20"],
        command: &[
            "train",
            "--model",
            "alexnet",
            "--dataset",
            "datasets/tiny20",
            "--size",
            "112",
            "--batch-size",
            "64",
            "--optimizer",
            "adamw",
            "--lr",
            "0.0003",
            "--schedule",
            "one-cycle",
            "--epochs",
            "20",
        ],
        seeds: 1,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "AlexNet's published convolutions, new head",
        data: "ants and bees",
        needs: &["datasets/ants-and-bees.tar", "datasets/weights/alexnet_features.safetensors"],
        command: &[
            "train",
            "--model",
            "alexnet",
            "--dataset",
            "datasets/ants-and-bees.tar",
            "--weights",
            "datasets/weights/alexnet_features.safetensors",
            "--freeze",
            "features",
            "--new-head",
        ],
        seeds: 3,
        measures: &[ACCURACY],
    },
];

impl Recipe {
    /// The words after `cargo xtask`.
    pub fn words(&self) -> String {
        self.command.join(" ")
    }

    /// The first of the needed files and folders that is not there.
    pub fn missing(&self) -> Option<PathBuf> {
        let path = |need: &&str| match need.contains('/') {
            true => root().join(need),
            false => cnn_cli::dataset_folder(need),
        };
        self.needs.iter().map(path).find(|path| !path.exists())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_another_one() {
        let mut words: Vec<_> = RECIPES.iter().map(Recipe::words).collect();
        words.sort();
        words.dedup();
        assert_eq!(words.len(), RECIPES.len());
    }
}
