//! The options of a training run.

use super::validation::Validation;
use crate::augment;
use crate::datasets::{self, ClassesArg};
use cnn_data::DatasetName;
use cnn_zoo::{OPTIMIZERS, OptimizerName, Rename};
use std::path::PathBuf;

/// The options of a training run; those left out are the recipe's.
#[derive(clap::Args, Clone, Default)]
pub struct Options {
    #[arg(long, value_name = "NAME|DIR", help = format!("The data set: {}; or a folder or archive of images", datasets::names()))]
    pub dataset: Option<DatasetName>,
    /// The folder with the files of a data set that is known by name [default: datasets/NAME].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub classes_from: ClassesArg,
    /// Height and width of the images that the network takes [default: the data set's own; 224 for photos].
    #[arg(long, value_name = "N")]
    pub size: Option<usize>,
    /// Passes over the training images [default: the recipe's, 12 for LeNet-5 on MNIST].
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Images per step [default: the recipe's, 64 for LeNet-5].
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// The highest learning rate of the schedule [default: the recipe's, 0.05 for LeNet-5 with sgd].
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub lr: Option<f32>,
    #[arg(long, value_name = "NAME", help = optimizers())]
    pub optimizer: Option<OptimizerName>,
    /// Weight decay: the share of each weight, times the learning rate, that a step subtracts [default: the recipe's].
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub weight_decay: Option<f64>,
    /// The course of the learning rate [default: the recipe's, mostly one-cycle].
    #[arg(long, value_enum, value_name = "NAME")]
    pub schedule: Option<ScheduleName>,
    /// The share of each label that is spread over all classes [default: the recipe's, mostly 0].
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub label_smoothing: Option<f64>,
    #[arg(long, value_name = "NAME|FILE", help = augment::presets())]
    pub augment: Option<String>,
    /// Mix pairs of training images, and their labels, with this alpha: mixup:0.2 or cutmix:1.
    #[arg(long, value_name = "KIND:ALPHA")]
    pub mix: Option<String>,
    /// Average the answers for so many views of each test image: 2, itself and its mirror image; or 5 or 10 crops
    /// [default: the recipe's, mostly 1].
    #[arg(long, value_name = "N", value_parser = ["1", "2", "5", "10"])]
    pub crops: Option<String>,
    /// Keep back so many of the training images, or such a share of them (0.1), to judge each epoch by: then best.safetensors
    /// has the weights of the best one. Without it nothing is chosen, and each epoch is judged by the test images.
    #[arg(long, value_name = "N|SHARE", allow_negative_numbers = true)]
    pub validation: Option<Validation>,
    /// Begin with the weights in this file, which must fit the network: a model of this library, or published weights.
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// List tensors of --weights that the network has no place for, instead of stopping.
    #[arg(long, requires = "weights")]
    pub ignore_surplus: bool,
    /// Rename tensors of --weights: a regular expression and its replacement; may be given more than once.
    #[arg(long, value_name = "FROM=TO", requires = "weights")]
    pub rename: Vec<Rename>,
    /// Hold the parameters fixed whose names begin so, as features; may be given more than once.
    #[arg(long, value_name = "PREFIX")]
    pub freeze: Vec<String>,
    /// Put a single linear layer in the place of the network's classifier: for transfer learning.
    #[arg(long)]
    pub new_head: bool,
    /// With --new-head: hold everything but the head fixed, running statistics of batch normalisation included.
    #[arg(long)]
    pub freeze_trunk: bool,
    /// For fine-tuning: let the learning rate fall from the last layer to the first, where it is N times lower, and keep the
    /// running statistics of batch normalisation.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub lr_fall: Option<f32>,
    /// Fixes the initial weights and all that is drawn at random; the same seed gives the same weights, bit for bit.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Train on N images only, drawn evenly over the classes by the seed: for a quick look.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Leave a last batch that is not full out of each epoch.
    #[arg(long)]
    pub drop_last: bool,
    /// Pass over images that cannot be decoded, naming each once, instead of stopping.
    #[arg(long)]
    pub skip_bad_images: bool,
    /// Threads; they change the time a run takes and nothing else [default: all cores].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Threads that make batches ahead; they change no result either [default: 2 for images in files, else 0].
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// The folder for weights, metrics and pictures [default: runs/MODEL-DATASET].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Take the options from the config.json of an earlier run, to repeat it.
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub config: Option<PathBuf>,
    /// Go on with the interrupted run in --out, to the same weights as if it had never stopped.
    #[arg(long)]
    pub resume: bool,
    /// With --resume: go on although the images are not those that the run began with.
    #[arg(long, requires = "resume")]
    pub changed_data: bool,
    /// Start over although --out holds a run.
    #[arg(long, conflicts_with = "resume")]
    pub overwrite: bool,
    /// Print one JSON object on stdout at the end, and everything else on stderr.
    #[arg(long)]
    pub json: bool,
}

impl Options {
    /// Whether the run begins with trained features, and learns other classes.
    pub fn transfers(&self) -> bool {
        self.new_head || self.lr_fall.is_some()
    }
}

/// The help of `--optimizer`.
fn optimizers() -> String {
    let each = OPTIMIZERS.map(|(optimizer, line)| format!("{}: {line}", optimizer.name()));
    format!("The optimizer [default: sgd]. {}", each.join("; "))
}

/// A schedule by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ScheduleName {
    /// Up from near 0 in the first fifth of the run, then down to 0 as a cosine.
    OneCycle,
    /// Down to 0 as a cosine.
    Cosine,
    /// Divided by 10 whenever the test loss has not fallen for 3 epochs.
    Plateau,
    /// The same throughout.
    Constant,
}
