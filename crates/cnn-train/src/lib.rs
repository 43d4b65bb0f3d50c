//! The commands `train` and `train-lenet`, and the parts that the other commands of the program `cnn` share with them.
//!
//! They are a crate of their own so that a first `cargo xtask train-lenet` does not wait for the other commands to compile.
//!
//! | command | |
//! |---|---|
//! | [`train`] | from options to a trained network and its report |
//! | [`train_lenet`] | the same for LeNet-5 |
//!
//! | shared | |
//! |---|---|
//! | [`home`] | where data sets and runs lie |
//! | [`datasets`] | data sets by name |
//! | [`model_name`] | the network that a command works with: a name, or a file |
//! | [`weights`] | weights files |
//! | [`onnx`] | ONNX files |
//! | [`augment`] | augmentation by name |
//! | [`nearest`] | hints for misspelt names |
//! | [`threads`] | how many threads compute |
//! | [`progress`] | progress bars |
//! | [`interrupt`] | Ctrl-C |
//! | [`display`] | the bar and the lines of a run |
//! | [`fault`] | how a command fails, and how it prints |
#![forbid(unsafe_code)]
#![allow(missing_docs)] // Parts of a program, not a library.

pub mod augment;
pub mod datasets;
pub mod display;
pub mod fault;
pub mod home;
pub mod interrupt;
pub mod model_name;
pub mod nearest;
pub mod onnx;
pub mod progress;
pub mod threads;
pub mod train;
pub mod train_lenet;
pub mod weights;

use fault::Fault;

/// Checks the environment variables that choose kernels.
///
/// # Errors
/// `CNN_SIMD` or `CNN_WINOGRAD` says something else than its choices, which the error names.
pub fn check_environment() -> Result<(), Fault> {
    cnn_tensor::simd::Level::from_env().map_err(Fault::usage)?;
    cnn_ops::conv2d::check_environment().map_err(Fault::usage)
}

/// The help of a program that offers commands of `cnn`, with its own name in the examples, which are written for `cnn`.
pub fn with_examples_for(program: &str, command: clap::Command) -> clap::Command {
    let help = command.get_after_help().map(ToString::to_string);
    let command = match help {
        Some(help) => command.after_help(help.replace("cnn ", &format!("{program} "))),
        None => command,
    };
    command.mut_subcommands(|command| with_examples_for(program, command))
}
