//! `cnn train-lenet`: the main job.

use crate::fault::Fault;
use crate::train;

/// Train LeNet-5 on MNIST or Fashion-MNIST, to weights, metrics and pictures.
///
/// Without options: MNIST, 12 epochs, all cores, above 99 % of the test images right. The folder runs/lenet-mnist then
/// holds model.safetensors (the weights after the last epoch), metrics.csv, config.json, and pictures of the learning
/// curves, the confusion matrix, the first layer's filters and the worst mistakes. Ctrl-C saves and stops; --resume goes
/// on, to the same weights bit for bit.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn train-lenet
  cnn train-lenet --epochs 3 --limit 10000 --out /tmp/quick
  cnn train-lenet --dataset fashion-mnist --data-dir /usr/share/datasets/fashion-mnist
  cnn train-lenet --resume
  cnn train-lenet --json --seed 4 | jq .test_accuracy")]
pub struct Args {
    /// Which LeNet-5: with ReLU and max pooling; with tanh and average pooling; or the paper's own.
    #[arg(long, value_enum, default_value_t = Variant::Relu)]
    variant: Variant,
    #[command(flatten)]
    options: train::Options,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Variant {
    Relu,
    Tanh,
    #[value(name = "1998")]
    Paper,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let model = match args.variant {
        Variant::Relu => "lenet",
        Variant::Tanh => "lenet-tanh",
        Variant::Paper => "lenet-1998",
    };
    train::run(train::network(model), args.options)
}
