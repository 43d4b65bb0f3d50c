//! The options of a training run.

use std::path::PathBuf;

/// Train a cascade of networks that estimate the joints of a person, as DeepPose does.
///
/// People come as a table, TRAIN.csv, with their images beside it, in TRAIN.tar or in a folder TRAIN. Its first line names the
/// columns: image, width, height, and x, y and v for each of the 14 joints of Leeds Sports Pose, such as right_ankle_x; v is 1 for
/// a joint that can be seen. The first stage looks at the whole person; each further one begins with the weights of the one before
/// it, and looks again at the surroundings of every joint. At the end the scores stand beside those of the mean pose and of the
/// nearest neighbour, and the cascade is in pose.safetensors, which `cnn pose` takes. Ctrl-C saves and stops; --resume goes on, to
/// the same weights bit for bit.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn train-pose lspet-train.csv --test lspet-test.csv --weights mobilenet_v2.safetensors
  cnn train-pose lspet-train.csv --model deep-pose --stages 3
  cnn pose photo.jpg --weights runs/pose-lspet-train/pose.safetensors")]
pub struct Args {
    /// The table of the people to learn from.
    #[arg(value_name = "TRAIN.csv")]
    pub train: PathBuf,
    /// The table of the people to test by at the end [default: those of --validation].
    #[arg(long, value_name = "FILE")]
    pub test: Option<PathBuf>,
    #[arg(long, value_name = "NAME", default_value = "pose-mobilenet-v2", help = format!("The network of all stages: {}", super::config::names()))]
    pub model: String,
    /// Begin each stage with the trunk in this file: weights published for MobileNetV2 or AlexNet.
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Stages of the cascade.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub stages: usize,
    /// Passes over the people in the first stage [default: 60].
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Passes over the people in each further stage [default: a sixth of those of the first].
    #[arg(long, value_name = "N")]
    pub refine_epochs: Option<usize>,
    /// Height and width of the first stage's input [default: 128; 220 for deep-pose].
    #[arg(long, value_name = "N")]
    pub size: Option<usize>,
    /// Height and width of the further stages' inputs [default: 96; 220 for deep-pose].
    #[arg(long, value_name = "N")]
    pub refine_size: Option<usize>,
    /// People per step.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub batch_size: usize,
    /// The highest learning rate of the schedule.
    #[arg(long, value_name = "RATE", default_value_t = 0.001, allow_negative_numbers = true)]
    pub lr: f32,
    /// With --weights: hold so many of the trunk's first layers fixed.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub frozen: usize,
    /// The largest turn of a training picture to either side, in degrees.
    #[arg(long, value_name = "DEGREES", default_value_t = 45.0, allow_negative_numbers = true)]
    pub rotation: f32,
    /// The share of the people kept back, to judge each epoch by, and to learn how far a stage is off.
    #[arg(long, value_name = "SHARE", default_value_t = 0.08, allow_negative_numbers = true)]
    pub validation: f64,
    /// Learn from N people only: for a quick look.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Fixes all that is drawn at random; the same seed gives the same weights, bit for bit.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Threads; they change the time a run takes and nothing else [default: all cores].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Threads that make batches ahead; they change no result either.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub workers: usize,
    /// The folder for weights, scores and pictures [default: runs/pose-TRAIN].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the interrupted run in --out, to the same weights as if it had never stopped.
    #[arg(long)]
    pub resume: bool,
    /// Start over although --out holds a run.
    #[arg(long, conflicts_with = "resume")]
    pub overwrite: bool,
    /// Print one JSON object on stdout at the end, and everything else on stderr.
    #[arg(long)]
    pub json: bool,
}
