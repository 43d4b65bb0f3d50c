//! The commands of the program `cnn`, for that program and for others that offer them: `cargo xtask` does.
//!
//! Each file here is one command, or what several share. `train` and `train-lenet`, and the parts that they share with the others,
//! are in `cnn-train`.
//!
//! | shared | |
//! |---|---|
//! | [`busy`] | whether other programs use the processor while something is timed |
//! | [`photos`] | photos made up for demos and measurements |
#![forbid(unsafe_code)]

mod beam;
pub mod busy;
mod caption;
mod demo;
mod evaluate;
mod export;
mod fetch;
mod finetune;
mod games;
mod images_at;
mod index;
mod inspect;
mod look;
mod npy;
mod pack;
pub mod photos;
mod play;
mod pose;
mod predict;
mod profile;
mod run;
mod save;
mod search;
mod source;
mod summary;
#[cfg(test)]
mod testing;
mod train_captions;
mod train_dqn;
mod train_pose;
mod visualize;

use cnn_train::{augment, datasets, display, interrupt, nearest, progress, train, train_lenet, weights};
pub use cnn_train::{check_environment, fault, home, threads, with_examples_for};

/// Where the files of the data set of that name are looked for.
pub fn dataset_folder(name: &str) -> std::path::PathBuf {
    datasets::folder(&name.into())
}

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
    Inspect(inspect::Args),
    Export(export::Args),
    Run(run::Args),
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
    TrainDqn(train_dqn::Args),
    Play(play::Args),
    TrainPose(train_pose::Args),
    Pose(pose::Args),
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
        Command::Inspect(args) => inspect::run(args),
        Command::Export(args) => export::run(args),
        Command::Run(args) => run::run(args),
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
        Command::TrainDqn(args) => train_dqn::run(args),
        Command::Play(args) => play::run(args),
        Command::TrainPose(args) => train_pose::run(args),
        Command::Pose(args) => pose::run(args),
    }
}
