//! The program `cnn`: train, test and use convolutional networks.
#![forbid(unsafe_code)]

use clap::Parser;
use cnn_cli::{Command, fault};
use std::process::ExitCode;

/// Train, test and use convolutional networks.
///
/// Data sets are looked for in ./datasets, then in the folder `cnn/datasets` for programs' data in your home; runs are written to
/// ./runs. CNN_HOME names another folder for both.
#[derive(Parser)]
#[command(name = "cnn", version, arg_required_else_help = true, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    fault::exit(cnn_cli::run(Cli::parse().command))
}
