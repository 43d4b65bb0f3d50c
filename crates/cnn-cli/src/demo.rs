//! `cnn demo`: the lecture's experiments.

mod batch_norm;
mod dropout;
mod four_pixels;
mod imagenet_error;
mod imagenet_like;
mod kernels;
mod matrix;
mod multi_label;
mod pooling;
mod sizes;
mod slide;
mod softmax;
mod study;
mod transfer;

use crate::fault::Fault;
use crate::train;
use clap::Subcommand;

/// The lecture's experiments: each trains or computes in seconds and leaves pictures to look at.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    demo: Demo,
}

#[derive(Subcommand)]
enum Demo {
    FourPixels(four_pixels::Args),
    Softmax(softmax::Args),
    /// Train the linear classifier f(x, W) = W x + b on MNIST, or on CIFAR-10, and draw the weight templates of its classes.
    #[command(after_help = "Examples:
  cnn demo linear
  cnn demo linear --dataset cifar10 --out runs/templates")]
    Linear(train::Options),
    /// Train the dense net Dense(200, relu), Dense(10, softmax) on MNIST.
    #[command(after_help = "Example:\n  cnn demo mlp --epochs 5")]
    Mlp(train::Options),
    Slide(slide::Args),
    Kernels(kernels::Args),
    Sizes(sizes::Args),
    Pooling(pooling::Args),
    BatchNorm(batch_norm::Args),
    Dropout(dropout::Args),
    ImagenetLike(imagenet_like::Args),
    ImagenetError(imagenet_error::Args),
    MultiLabel(multi_label::Args),
    Transfer(transfer::Args),
}

pub fn run(args: Args) -> Result<(), Fault> {
    match args.demo {
        Demo::FourPixels(args) => four_pixels::run(args),
        Demo::Softmax(args) => softmax::run(args),
        Demo::Linear(options) => train::run(train::network("linear"), options),
        Demo::Mlp(options) => train::run(train::network("mlp"), options),
        Demo::Slide(args) => slide::run(args),
        Demo::Kernels(args) => kernels::run(args),
        Demo::Sizes(args) => sizes::run(args),
        Demo::Pooling(args) => pooling::run(args),
        Demo::BatchNorm(args) => batch_norm::run(args),
        Demo::Dropout(args) => dropout::run(args),
        Demo::ImagenetLike(args) => imagenet_like::run(args),
        Demo::ImagenetError(args) => imagenet_error::run(args),
        Demo::MultiLabel(args) => multi_label::run(args),
        Demo::Transfer(args) => transfer::run(args),
    }
}
