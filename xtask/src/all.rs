//! All commands of the workspace, `cargo xtask COMMAND`: those of the program `cnn`, and those that only the project needs.
#![forbid(unsafe_code)]

mod bench;
mod ci;
#[cfg(test)]
mod documents;
mod lecture;
mod results;
mod torture;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use cnn_cli::fault::{self, Fault};
use std::path::{Path, PathBuf};
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
    #[command(flatten)]
    Cnn(Box<cnn_cli::Command>),
    Bench(bench::Args),
    Results(results::Args),
    Torture(torture::Args),
    Lecture(lecture::Args),
    /// Run what continuous integration runs: tests, formatting, lints, documentation.
    Ci,
}

fn main() -> ExitCode {
    cnn_cli::home::set(root());
    let matches = cnn_cli::with_examples_for("cargo xtask", Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    fault::exit(run(cli.command))
}

fn run(command: Command) -> Result<(), Fault> {
    cnn_cli::check_environment()?;
    match command {
        Command::Cnn(command) => cnn_cli::run(*command),
        Command::Bench(args) => bench::run(args),
        Command::Results(args) => results::run(args),
        Command::Torture(args) => torture::run(args),
        Command::Lecture(args) => lecture::run(args),
        Command::Ci => ci::run(),
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).into()
}
