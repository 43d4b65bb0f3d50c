//! What a run is: its options with all that they leave open.

use super::Args;
use crate::fault::Fault;
use cnn::pose::Look;
use cnn_data::PathText;
use cnn_data::pose::PoseAugment;
use cnn_data::transform::ColorJitter;
use cnn_nn::{AdamW, Graph, ParameterGroup, Schedule, TrainSettings};
use cnn_tensor::text::hint;
use cnn_zoo::{Network, POSE_NETWORKS};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A run. A checkpoint holds it, and a resumed run must have the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub version: String,
    train: PathText,
    test: Option<PathText>,
    pub network: PoseNetwork,
    weights: Option<PathText>,
    pub validation: f64,
    pub limit: Option<usize>,
    /// The difference from which the loss is straight, in sides of a stage's square.
    pub beta: f64,
    pub stages: Vec<StageConfig>,
    pub seed: u64,
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// Height and width of the input.
    pub side: usize,
    pub look: Look,
    /// Joints of each person in an epoch, in all stages but the first.
    pub each: usize,
    pub batch_size: usize,
    /// The layers of the trunk that are held fixed.
    pub frozen: usize,
    /// How many times lower the learning rate of the first layer is, where the trunk is published.
    pub lr_fall: f32,
    pub augment: PoseAugment,
    pub training: TrainSettings,
}

/// A network for poses by its name.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PoseNetwork(&'static Network);

impl std::ops::Deref for PoseNetwork {
    type Target = Network;

    fn deref(&self) -> &Network {
        self.0
    }
}

impl PartialEq for PoseNetwork {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl TryFrom<String> for PoseNetwork {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let plain = |name: &str| name.to_lowercase().replace('_', "-");
        let found = POSE_NETWORKS.iter().find(|network| plain(network.name) == plain(&name));
        found.map(Self).ok_or_else(|| {
            let near = hint(&name, POSE_NETWORKS.iter().map(|network| network.name));
            format!("expected one of {}, got {name}{near}", names())
        })
    }
}

impl From<PoseNetwork> for String {
    fn from(network: PoseNetwork) -> Self {
        network.name.into()
    }
}

/// The names of the networks.
pub fn names() -> String {
    POSE_NETWORKS.iter().map(|network| network.name).collect::<Vec<_>>().join(", ")
}

/// The side of the first stage's square, in longer sides of the person's box.
const ZOOM: f64 = 0.9;
/// The side of the later stages' squares, in sides of the first.
const SIZE: f64 = 0.5;
/// Joints of each person in an epoch of the later stages.
const EACH: usize = 3;

impl Config {
    pub fn new(args: &Args) -> Result<Self, Fault> {
        let network = PoseNetwork::try_from(args.model.clone())
            .map_err(|fault| Fault::usage(format!("--model: {fault}")))?;
        if args.stages == 0 {
            return Err(Fault::usage("--stages: expected at least 1, got 0"));
        }
        let own = network.input().map_or(220, |input| input.shape[1]);
        let is_paper = network.name == "deep-pose";
        let epochs = args.epochs.unwrap_or(60);
        let stage = |i: usize| {
            let first = i == 0;
            let default = match (is_paper, first) {
                (true, _) => own,
                (false, true) => 128,
                (false, false) => 96,
            };
            let jitter = [0.7, 1.3];
            StageConfig {
                side: if first { args.size } else { args.refine_size }.unwrap_or(default),
                look: if first { Look::Person { zoom: ZOOM } } else { Look::Joint { size: SIZE } },
                each: if first { 1 } else { EACH },
                batch_size: args.batch_size,
                frozen: if args.weights.is_some() { args.frozen } else { 0 },
                lr_fall: if args.weights.is_some() { 10.0 } else { 1.0 },
                augment: PoseAugment {
                    rotation: args.rotation,
                    scale: [0.8, 1.2],
                    // A later stage's square is moved by the errors it is trained on.
                    shift: if first { 0.05 } else { 0.0 },
                    flip: 0.5,
                    colors: ColorJitter {
                        brightness: jitter,
                        contrast: jitter,
                        saturation: jitter,
                        ..ColorJitter::default()
                    },
                },
                training: TrainSettings {
                    epochs: if first { epochs } else { args.refine_epochs.unwrap_or(epochs.div_ceil(6)) },
                    learning_rate: args.lr,
                    schedule: Schedule::OneCycle { warmup: 0.1 },
                    optimizer: AdamW::default().into(),
                    seed: args.seed,
                    ..TrainSettings::default()
                },
            }
        };
        let config = Self {
            version: env!("CARGO_PKG_VERSION").into(),
            train: args.train.clone().into(),
            test: args.test.clone().map(PathText::from),
            network,
            weights: args.weights.clone().map(PathText::from),
            validation: args.validation,
            limit: args.limit,
            beta: 0.02,
            stages: (0..args.stages).map(stage).collect(),
            seed: args.seed,
        };
        config.validate()?;
        Ok(config)
    }

    /// Checks that every number can be used.
    fn validate(&self) -> Result<(), Fault> {
        let refuse = |option: &str, rule: &str, got: &dyn std::fmt::Display| {
            Err(Fault::usage(format!("{option}: expected {rule}, got {got}")))
        };
        if !(self.validation > 0.0 && self.validation < 1.0) {
            return refuse("--validation", "a share between 0 and 1", &self.validation);
        }
        if self.limit == Some(0) {
            return refuse("--limit", "at least 1", &0);
        }
        for (i, stage) in self.stages.iter().enumerate() {
            let options = if i == 0 { ["--epochs", "--size"] } else { ["--refine-epochs", "--refine-size"] };
            let counts = [(options[0], stage.training.epochs), (options[1], stage.side)];
            for (option, count) in counts.into_iter().chain([("--batch-size", stage.batch_size)]) {
                if count == 0 {
                    return refuse(option, "at least 1", &0);
                }
            }
            let rate = stage.training.learning_rate;
            if !(rate.is_finite() && rate > 0.0) {
                return refuse("--lr", "a number above 0", &rate);
            }
            if !(0.0..=180.0).contains(&stage.augment.rotation) {
                return refuse("--rotation", "0 to 180 degrees", &stage.augment.rotation);
            }
        }
        Ok(())
    }

    pub fn train(&self) -> PathBuf {
        self.train.clone().into()
    }

    pub fn test(&self) -> Option<PathBuf> {
        self.test.clone().map(PathBuf::from)
    }

    pub fn weights(&self) -> Option<PathBuf> {
        self.weights.clone().map(PathBuf::from)
    }

    /// The zoom of the first stage.
    pub fn zoom(&self) -> f64 {
        match self.stages.first().map(|stage| stage.look) {
            Some(Look::Person { zoom }) => zoom,
            _ => ZOOM,
        }
    }

    /// The name of the training table.
    pub fn short_name(&self) -> String {
        let train = self.train();
        Path::new(train.file_stem().unwrap_or_default()).display().to_string()
    }

    pub fn default_folder(&self) -> String {
        format!("pose-{}", self.short_name())
    }

    /// The same run where its files lie now: paths are no part of what a run is.
    pub fn with_paths_of(&self, other: &Self) -> Self {
        Self {
            train: other.train.clone(),
            test: other.test.clone(),
            weights: other.weights.clone(),
            ..self.clone()
        }
    }
}

impl StageConfig {
    /// The settings of training for this network: rates that fall towards the input, the first layers held fixed, and the statistics
    /// of batch normalisation kept, where the trunk is published.
    pub fn settings(&self, net: &Graph, published: bool) -> TrainSettings {
        let mut settings = self.training.clone();
        if published {
            let mut names = Vec::new();
            net.parameters(&mut |name, _| names.push(name.to_string()));
            settings.groups = ParameterGroup::falling(names.iter().map(String::as_str), self.lr_fall);
            settings.groups.iter_mut().take(self.frozen).for_each(|group| group.lr_mult = 0.0);
        }
        settings
    }
}
