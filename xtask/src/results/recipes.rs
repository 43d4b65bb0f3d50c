//! The rows of docs/results.md.

use crate::root;
use std::path::PathBuf;

/// A row of the table, and the command that it is from.
pub struct Recipe {
    pub network: &'static str,
    pub data: &'static str,
    /// The data it needs: the name of a data set, or paths in datasets/.
    pub needs: &'static [&'static str],
    /// The words after `cargo xtask`, with `datasets/...` for paths in that folder, which have no spaces.
    pub command: &'static str,
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
        command: "train-lenet",
        seeds: 5,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "LeNet-5, distorted digits",
        data: "MNIST",
        needs: &["mnist"],
        command: "train-lenet --augment distort --epochs 40",
        seeds: 3,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "LeNet-5, tanh and average pooling",
        data: "MNIST",
        needs: &["mnist"],
        command: "train-lenet --variant tanh",
        seeds: 5,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "LeNet-5 of 1998",
        data: "MNIST",
        needs: &["mnist"],
        command: "train-lenet --variant 1998",
        seeds: 3,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "Dense 200-10",
        data: "MNIST",
        needs: &["mnist"],
        command: "demo mlp",
        seeds: 5,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "Linear classifier",
        data: "MNIST",
        needs: &["mnist"],
        command: "demo linear",
        seeds: 5,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "LeNet-5",
        data: "Fashion-MNIST",
        needs: &["fashion-mnist"],
        command: "train-lenet --dataset fashion-mnist",
        seeds: 5,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "cuda-convnet quick",
        data: "CIFAR-10",
        needs: &["cifar10"],
        command: "train --model cuda-convnet-quick --dataset cifar10",
        seeds: 1,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "airbench, small",
        data: "CIFAR-10",
        needs: &["cifar10"],
        command: "train --model airbench-small --dataset cifar10",
        seeds: 1,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "airbench94",
        data: "CIFAR-10",
        needs: &["cifar10"],
        command: "train --model airbench94 --dataset cifar10",
        seeds: 1,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "AlexNet",
        data: "Tiny ImageNet, 20 classes",
        needs: &["datasets/tiny20"],
        command: "train --model alexnet --dataset datasets/tiny20 --size 112 --batch-size 64 --optimizer adamw --lr 0.0003 --schedule one-cycle --epochs 20",
        seeds: 1,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "AlexNet's published convolutions, new head",
        data: "ants and bees",
        needs: &["datasets/ants-and-bees.tar", "datasets/weights/alexnet_features.safetensors"],
        command: "train --model alexnet --dataset datasets/ants-and-bees.tar --weights datasets/weights/alexnet_features.safetensors --freeze features --new-head",
        seeds: 3,
        measures: &[ACCURACY],
    },
    Recipe {
        network: "MobileNetV2 and a cascade",
        data: "poses of LSP extended, 3,155 people",
        needs: &[
            "datasets/pose/lspet-train.csv",
            "datasets/pose/lspet-test.csv",
            "datasets/weights/mobilenet_v2-b0353104.safetensors",
        ],
        command: "train-pose datasets/pose/lspet-train.csv --test datasets/pose/lspet-test.csv --weights datasets/weights/mobilenet_v2-b0353104.safetensors",
        seeds: 1,
        measures: &[
            Measure { name: "PCP", at: "/scores/3/pcp", percent: true },
            Measure { name: "PCK", at: "/scores/3/pck", percent: true },
            Measure { name: "error in torso lengths", at: "/scores/3/error", percent: false },
            Measure { name: "first stage", at: "/scores/2/error", percent: false },
            Measure { name: "nearest neighbour", at: "/scores/1/error", percent: false },
            Measure { name: "mean pose", at: "/scores/0/error", percent: false },
        ],
    },
    Recipe {
        network: "Show and Tell on MobileNetV2",
        data: "Flickr8k, 2,611 photos",
        needs: &[
            "datasets/captions/flickr8k-train.tar",
            "datasets/captions/Flickr8k.token.txt",
            "datasets/weights/mobilenet_v2-b0353104.safetensors",
        ],
        command: "train-captions --images datasets/captions/flickr8k-train.tar datasets/captions/flickr8k-dev.tar datasets/captions/flickr8k-test.tar --tokens datasets/captions/Flickr8k.token.txt --train datasets/captions/flickr8k.trainImages.txt --dev datasets/captions/flickr8k.devImages.txt --test datasets/captions/flickr8k.testImages.txt --model mobilenet_v2 --weights datasets/weights/mobilenet_v2-b0353104.safetensors",
        seeds: 1,
        measures: &[
            Measure { name: "BLEU-1", at: "/bleu/0/bleu/0", percent: false },
            Measure { name: "BLEU-4", at: "/bleu/0/bleu/3", percent: false },
            Measure { name: "nearest photo's caption: BLEU-1", at: "/bleu/3/bleu/0", percent: false },
            Measure { name: "BLEU-4", at: "/bleu/3/bleu/3", percent: false },
            Measure { name: "other photos' features: BLEU-1", at: "/bleu/2/bleu/0", percent: false },
            Measure { name: "BLEU-4", at: "/bleu/2/bleu/3", percent: false },
            Measure {
                name: "one sentence for all, best by BLEU-4: BLEU-1",
                at: "/bleu/5/bleu/0",
                percent: false,
            },
            Measure { name: "BLEU-4", at: "/bleu/5/bleu/3", percent: false },
        ],
    },
    dqn("Catch", "train-dqn catch"),
    dqn("Pong, our own", "train-dqn pong"),
    dqn("Breakout, our own", "train-dqn breakout"),
];

/// Learning to play a game of our own.
const fn dqn(data: &'static str, command: &'static str) -> Recipe {
    const MEASURES: &[Measure] = &[
        Measure { name: "score of 30 games", at: "/evaluation/mean", percent: false },
        Measure { name: "of a random player", at: "/random/mean", percent: false },
        Measure { name: "of the last 100 in training", at: "/mean_of_last_100", percent: false },
    ];
    Recipe { network: "DQN", data, needs: &[], command, seeds: 3, measures: MEASURES }
}

impl Recipe {
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
        let mut words: Vec<_> = RECIPES.iter().map(|recipe| recipe.command).collect();
        words.sort();
        words.dedup();
        assert_eq!(words.len(), RECIPES.len());
    }
}
