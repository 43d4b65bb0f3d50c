//! `cnn demo`: the lecture's experiments.

mod imagenet_error;
mod imagenet_like;
mod kernels;
mod multi_label;

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
    /// Train the dense net Dense(200, relu), Dense(10, softmax) on MNIST.
    Mlp(train::Options),
    /// Train the linear classifier f(x, W) = W x + b on MNIST and draw its ten weight templates.
    Linear(train::Options),
    Kernels(kernels::Args),
    ImagenetLike(imagenet_like::Args),
    ImagenetError(imagenet_error::Args),
    MultiLabel(multi_label::Args),
}

pub fn run(args: Args) -> Result<(), Fault> {
    match args.demo {
        Demo::Mlp(options) => train::run(train::network("mlp"), options),
        Demo::Linear(options) => train::run(train::network("linear"), options),
        Demo::Kernels(args) => kernels::run(args),
        Demo::ImagenetLike(args) => imagenet_like::run(args),
        Demo::ImagenetError(args) => imagenet_error::run(args),
        Demo::MultiLabel(args) => multi_label::run(args),
    }
}
