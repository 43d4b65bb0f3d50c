//! The commands of the program `cnn`, for that program and for others that offer them: `cargo xtask` does.
//!
//! Each file here is one command, or what several share:
//!
//! | shared | |
//! |---|---|
//! | [`home`] | where data sets and runs lie |
//! | [`busy`] | whether other programs use the processor while something is timed |
//! | [`fault`] | how a command fails, and how it prints |
//! | [`photos`] | photos made up for demos and measurements |
#![forbid(unsafe_code)]

mod augment;
pub mod busy;
mod caption;
mod datasets;
mod demo;
mod evaluate;
pub mod fault;
#[cfg(feature = "fetch")]
mod fetch;
#[cfg(not(feature = "fetch"))]
#[path = "fetch_elsewhere.rs"]
mod fetch;
mod fetch_args;
mod finetune;
pub mod home;
mod images_at;
mod index;
mod interrupt;
mod look;
mod nearest;
mod pack;
pub mod photos;
mod predict;
mod profile;
mod progress;
mod save;
mod search;
mod source;
mod summary;
#[cfg(test)]
mod testing;
pub mod threads;
mod train;
mod train_captions;
mod train_lenet;
mod visualize;
mod weights;

/// Where the files of the data set of that name are looked for.
pub fn dataset_folder(name: &str) -> std::path::PathBuf {
    datasets::folder(&name.into())
}

/// Whether [`Command::Fetch`] can download: the feature `fetch`. Without it, an HTTPS client need not be compiled.
pub const CAN_FETCH: bool = cfg!(feature = "fetch");

use clap::Subcommand;
use fault::Fault;

/// The commands; the arguments of each say what it does.
#[derive(Subcommand)]
#[allow(missing_docs)]
pub enum Command {
    TrainLenet(train_lenet::Args),
    Train(train::Args),
    Finetune(finetune::Args),
    Predict(predict::Args),
    Evaluate(evaluate::Args),
    Summary(summary::Args),
    Fetch(fetch::Args),
    Look(look::Args),
    Pack(pack::Args),
    Visualize(visualize::Args),
    Demo(demo::Args),
    Profile(profile::Args),
    Index(index::Args),
    TrainCaptions(train_captions::Args),
    Caption(caption::Args),
    Search(search::Args),
}

/// Runs a command.
///
/// # Errors
/// The command fails, or its arguments or the environment variables cannot be followed.
pub fn run(command: Command) -> Result<(), Fault> {
    check_environment()?;
    match command {
        Command::TrainLenet(args) => train_lenet::run(args),
        Command::Train(args) => train::command(args),
        Command::Finetune(args) => finetune::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Summary(args) => summary::run(args),
        Command::Fetch(args) => fetch::run(args),
        Command::Look(args) => look::run(args),
        Command::Pack(args) => pack::run(args),
        Command::Visualize(args) => visualize::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Profile(args) => profile::run(args),
        Command::Index(args) => index::run(args),
        Command::TrainCaptions(args) => train_captions::run(args),
        Command::Caption(args) => caption::run(args),
        Command::Search(args) => search::run(args),
    }
}

/// Checks the environment variables that choose kernels; also for programs with commands of their own.
///
/// # Errors
/// `CNN_SIMD` or `CNN_WINOGRAD` says something else than its choices, which the error names.
pub fn check_environment() -> Result<(), Fault> {
    cnn_tensor::simd::Level::from_env().map_err(Fault::usage)?;
    cnn_ops::conv2d::check_environment().map_err(Fault::usage)
}

/// The help of a program that offers [`Command`]s, with its own name in the examples, which are written for `cnn`.
pub fn with_examples_for(program: &str, command: clap::Command) -> clap::Command {
    let help = command.get_after_help().map(ToString::to_string);
    let command = match help {
        Some(help) => command.after_help(help.replace("cnn ", &format!("{program} "))),
        None => command,
    };
    command.mut_subcommands(|command| with_examples_for(program, command))
}
