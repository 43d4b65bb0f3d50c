//! `cargo xtask COMMAND`. This program has the commands `train` and `train-lenet`, so that a first training waits only for what
//! it needs. It hands all others to `xtask-all` (`all.rs`), which Cargo compiles when one of them is first called.
#![forbid(unsafe_code)]

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use cnn_train::fault::{self, Fault};
use cnn_train::{check_environment, home, train, train_lenet, with_examples_for};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    training: Training,
}

#[derive(Subcommand)]
enum Training {
    TrainLenet(train_lenet::Args),
    Train(train::Args),
}

fn main() -> ExitCode {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let here = arguments.first().is_some_and(|first| Training::has_subcommand(&first.to_string_lossy()));
    fault::exit(if here { train_here(&workspace) } else { hand_over(&workspace, &arguments) })
}

fn train_here(workspace: &Path) -> Result<(), Fault> {
    home::set(workspace.canonicalize()?);
    let matches = with_examples_for("cargo xtask", Cli::command()).get_matches();
    check_environment()?;
    match Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()).training {
        Training::TrainLenet(args) => train_lenet::run(args),
        Training::Train(args) => train::command(args),
    }
}

/// Runs `xtask-all`, which prints its own errors.
fn hand_over(workspace: &Path, arguments: &[OsString]) -> Result<(), Fault> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut all = Command::new(cargo);
    all.args(["run", "--release", "--package", "xtask", "--bin", "xtask-all", "--manifest-path"]);
    let status = all.arg(workspace.join("Cargo.toml")).arg("--").args(arguments).status()?;
    std::process::exit(status.code().unwrap_or(1))
}
