//! The workspace's commands, `cargo xtask COMMAND`: those of the program `cnn`, and what only the project needs.
#![forbid(unsafe_code)]

mod bench;
mod ci;
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
        Command::Cnn(command) if matches!(*command, cnn_cli::Command::Fetch(_)) && !cnn_cli::CAN_FETCH => {
            fetch()
        }
        Command::Cnn(command) => cnn_cli::run(*command),
        Command::Bench(args) => bench::run(args),
        Command::Results(args) => results::run(args),
        Command::Torture(args) => torture::run(args),
        Command::Lecture(args) => lecture::run(args),
        Command::Ci => ci::run(),
    }
}

/// Runs `fetch` of the program `cnn`, which has the HTTPS client. Nothing else needs it, so a first training does not wait for
/// its compilation.
fn fetch() -> Result<(), Fault> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut process = std::process::Command::new(cargo);
    process
        .args(["run", "--release", "--package", "cnn-cli", "--manifest-path"])
        .arg(root().join("Cargo.toml"));
    let status =
        process.arg("--").args(std::env::args_os().skip(1)).env(cnn_cli::home::VARIABLE, root()).status()?;
    match status.code() {
        Some(0) => Ok(()),
        // It has printed the error.
        code => std::process::exit(code.unwrap_or(1)),
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).into()
}
