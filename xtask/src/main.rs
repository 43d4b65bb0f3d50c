//! The workspace's commands: `cargo xtask COMMAND`. Each file here is one command, or what several share.
#![forbid(unsafe_code)]

mod augment;
mod bench;
mod ci;
mod datasets;
mod demo;
mod evaluate;
mod fault;
mod fetch;
mod look;
mod networks;
mod pack;
mod photos;
mod pictures;
mod predict;
mod profile;
mod progress;
mod recipe;
mod results;
mod summary;
mod threads;
mod train;
mod train_lenet;
mod weights;

use clap::{Parser, Subcommand};
use fault::Fault;
use std::process::ExitCode;

/// Train, use and measure convolutional networks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
#[command(arg_required_else_help = true, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    TrainLenet(train_lenet::Args),
    Train(train::Args),
    Predict(predict::Args),
    Evaluate(evaluate::Args),
    Summary(summary::Args),
    Fetch(fetch::Args),
    Look(look::Args),
    Pack(pack::Args),
    Demo(demo::Args),
    Profile(profile::Args),
    Bench(bench::Args),
    Results(results::Args),
    /// Run what continuous integration runs: tests, formatting, lints, documentation.
    Ci,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::TrainLenet(args) => train_lenet::run(args),
        Command::Train(args) => train::command(args),
        Command::Predict(args) => predict::run(args),
        Command::Summary(args) => summary::run(args),
        Command::Fetch(args) => fetch::run(args),
        Command::Look(args) => look::run(args),
        Command::Pack(args) => pack::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Profile(args) => profile::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Results(args) => results::run(args),
        Command::Ci => ci::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Fault { status, message }) => {
            fault::note(format!("error: {message}"));
            ExitCode::from(status)
        }
    }
}
