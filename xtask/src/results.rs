//! `cargo xtask results`: trains by every recipe, and writes the accuracies to docs/results.md.

pub mod stamp;

use crate::root;
use cnn_cli::fault::{Fault, note, print};
use cnn_tensor::files::write_atomically;
use cnn_tensor::simd::Level;
use serde::{Deserialize, Serialize};
use stamp::Stamp;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Train by the recipes with several seeds, and write their test accuracies to docs/results.md.
///
/// Each row carries the date and the commit of its measurement. Rows that are not run again are kept, with the help of
/// docs/results.json. Data sets that are not in the repository are looked for in datasets/; rows without their data are
/// left out with a note.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask results                      everything: hours, where all data is there
  cargo xtask results train-lenet          the rows whose command contains this
  cargo xtask results airbench94 --seeds 1
  cargo xtask results --check              which rows are older than the kernels")]
pub struct Args {
    /// Run only the rows whose command contains this.
    filter: Option<String>,
    /// Seeds 0 to N - 1 [default: each row's own].
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The file to write, with a .json beside it [default: docs/results.md].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Train nothing: say which rows of docs/results.md and docs/performance.md are older than the last change of a
    /// kernel.
    #[arg(long, conflicts_with_all = ["filter", "seeds", "out"])]
    check: bool,
}

/// A row of the table.
struct Recipe {
    network: &'static str,
    data: &'static str,
    /// The data it needs: the name of a data set, or paths in datasets/.
    needs: &'static [&'static str],
    /// The command, with `datasets/...` for paths in that folder.
    command: &'static [&'static str],
    seeds: u64,
}

const RECIPES: &[Recipe] = &[
    Recipe { network: "LeNet-5", data: "MNIST", needs: &["mnist"], command: &["train-lenet"], seeds: 5 },
    Recipe {
        network: "LeNet-5, distorted digits",
        data: "MNIST",
        needs: &["mnist"],
        command: &["train-lenet", "--augment", "distort", "--epochs", "40"],
        seeds: 3,
    },
    Recipe {
        network: "LeNet-5, tanh and average pooling",
        data: "MNIST",
        needs: &["mnist"],
        command: &["train-lenet", "--variant", "tanh"],
        seeds: 5,
    },
    Recipe {
        network: "LeNet-5 of 1998",
        data: "MNIST",
        needs: &["mnist"],
        command: &["train-lenet", "--variant", "1998"],
        seeds: 3,
    },
    Recipe { network: "Dense 200-10", data: "MNIST", needs: &["mnist"], command: &["demo", "mlp"], seeds: 5 },
    Recipe {
        network: "Linear classifier",
        data: "MNIST",
        needs: &["mnist"],
        command: &["demo", "linear"],
        seeds: 5,
    },
    Recipe {
        network: "LeNet-5",
        data: "Fashion-MNIST",
        needs: &["fashion-mnist"],
        command: &["train-lenet", "--dataset", "fashion-mnist"],
        seeds: 5,
    },
    Recipe {
        network: "cuda-convnet quick",
        data: "CIFAR-10",
        needs: &["cifar10"],
        command: &["train", "--model", "cuda-convnet-quick", "--dataset", "cifar10"],
        seeds: 1,
    },
    Recipe {
        network: "airbench, small",
        data: "CIFAR-10",
        needs: &["cifar10"],
        command: &["train", "--model", "airbench-small", "--dataset", "cifar10"],
        seeds: 1,
    },
    Recipe {
        network: "airbench94",
        data: "CIFAR-10",
        needs: &["cifar10"],
        command: &["train", "--model", "airbench94", "--dataset", "cifar10"],
        seeds: 1,
    },
    Recipe {
        network: "AlexNet",
        data: "Tiny ImageNet, 20 classes",
        needs: &["datasets/tiny20"],
        command: &[
            "train",
            "--model",
            "alexnet",
            "--dataset",
            "datasets/tiny20",
            "--size",
            "112",
            "--batch-size",
            "64",
            "--optimizer",
            "adamw",
            "--lr",
            "0.0003",
            "--schedule",
            "one-cycle",
            "--epochs",
            "20",
        ],
        seeds: 1,
    },
    Recipe {
        network: "AlexNet's published convolutions, new head",
        data: "ants and bees",
        needs: &["datasets/ants-and-bees.tar", "datasets/weights/alexnet_features.safetensors"],
        command: &[
            "train",
            "--model",
            "alexnet",
            "--dataset",
            "datasets/ants-and-bees.tar",
            "--weights",
            "datasets/weights/alexnet_features.safetensors",
            "--freeze",
            "features",
            "--new-head",
        ],
        seeds: 3,
    },
];

/// The part of a command's `--json` that the table needs.
#[derive(Deserialize)]
struct Run {
    epochs: usize,
    threads: usize,
    test_accuracy: f64,
    seconds: f64,
    parameters: u64,
}

/// A row of docs/results.json.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    network: String,
    data: String,
    command: String,
    parameters: u64,
    epochs: usize,
    /// Of each seed, from 0 on.
    test_accuracy: Vec<f64>,
    seconds: Vec<f64>,
    threads: usize,
    simd: String,
    measured: Stamp,
}

pub fn run(args: Args) -> Result<(), Fault> {
    if args.check {
        print(stamp::report()?);
        return Ok(());
    }
    if args.seeds == Some(0) {
        return Err(Fault::usage("--seeds: expected at least 1, got 0"));
    }
    let out = args.out.unwrap_or_else(|| root().join("docs/results.md"));
    let store = out.with_extension("json");
    let mut rows = read(&store)?;
    let filter = args.filter.unwrap_or_default();
    let chosen: Vec<_> = RECIPES.iter().filter(|recipe| recipe.words().contains(&filter)).collect();
    if chosen.is_empty() {
        let commands: Vec<_> = RECIPES.iter().map(Recipe::words).collect();
        return Err(Fault::usage(format!(
            "expected a part of one of these: {}; got {filter}",
            commands.join("; ")
        )));
    }
    let folder = root().join("runs/results");
    for recipe in chosen {
        if let Some(missing) = recipe.missing() {
            note(format!("{} on {}: left out, no {}", recipe.network, recipe.data, missing.display()));
            continue;
        }
        let seeds = 0..args.seeds.unwrap_or(recipe.seeds);
        let runs = seeds.map(|seed| train(recipe, seed, &folder)).collect::<Result<Vec<_>, _>>()?;
        rows.retain(|row| row.command != recipe.words());
        rows.push(recipe.row(&runs));
        // After each row, so that an hour's work is not lost with the next one.
        let place = |row: &Row| RECIPES.iter().position(|recipe| recipe.words() == row.command);
        rows.sort_by_key(|row| place(row).unwrap_or(usize::MAX));
        write_atomically(&store, (serde_json::to_string_pretty(&rows)? + "\n").as_bytes())?;
        write_atomically(&out, document(&rows).as_bytes())?;
    }
    print(format!("{}\nwritten to {}", document(&rows), out.display()));
    Ok(())
}

fn read(store: &Path) -> Result<Vec<Row>, Fault> {
    let fault = |e: &dyn std::fmt::Display| Fault {
        status: 1,
        message: format!("{}: expected the rows of earlier results: {e}", store.display()),
    };
    if !store.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(store).map_err(|e| fault(&e))?;
    serde_json::from_str(&text).map_err(|e| fault(&e))
}

impl Recipe {
    /// The words after `cargo xtask`.
    fn words(&self) -> String {
        self.command.join(" ")
    }

    /// The first of the needed files and folders that is not there.
    fn missing(&self) -> Option<PathBuf> {
        let path = |need: &&str| match need.contains('/') {
            true => root().join(need),
            false => cnn_cli::dataset_folder(need),
        };
        self.needs.iter().map(path).find(|path| !path.exists())
    }

    fn row(&self, runs: &[Run]) -> Row {
        Row {
            network: self.network.into(),
            data: self.data.into(),
            command: self.words(),
            parameters: runs[0].parameters,
            epochs: runs[0].epochs,
            test_accuracy: runs.iter().map(|run| run.test_accuracy).collect(),
            seconds: runs.iter().map(|run| run.seconds).collect(),
            threads: runs[0].threads,
            simd: Level::current().name().into(),
            measured: Stamp::now(),
        }
    }
}

/// One run in a process of its own, exactly as a user starts it.
fn train(recipe: &Recipe, seed: u64, folder: &Path) -> Result<Run, Fault> {
    let mut process = Command::new(std::env::current_exe()?);
    process
        .args(recipe.command)
        .args(["--json", "--overwrite", "--seed", &seed.to_string(), "--out"])
        .arg(folder);
    let output = process.current_dir(root()).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        let message = format!("{} with seed {seed} failed: {}", recipe.words(), output.status);
        return Err(Fault { status: 1, message });
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn document(rows: &[Row]) -> String {
    let lines: Vec<String> = rows.iter().map(line).collect();
    format!(
        "# Results\n\n\
         Written by `cargo xtask results`. The accuracy is that of the test set after the last epoch; no epoch is selected.\n\
         Seeds are 0, 1, 2 and so on, and the time is the median of the runs. The same seed gives the same accuracy on the\n\
         same SIMD level, for any number of threads. `measured` is the date and the commit of the measurement; `cargo xtask\n\
         results --check` says which rows are older than the last change of a kernel.\n\n\
         | network | data | parameters | epochs | seeds | mean accuracy | lowest to highest | time | measured | command |\n\
         |---|---|---|---|---|---|---|---|---|---|\n{}\n",
        lines.join("\n")
    )
}

fn line(row: &Row) -> String {
    let accuracies: Vec<f64> = row.test_accuracy.iter().map(|accuracy| 100.0 * accuracy).collect();
    let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
    let lowest = accuracies.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = accuracies.iter().copied().fold(0.0, f64::max);
    let mut seconds = row.seconds.clone();
    seconds.sort_by(f64::total_cmp);
    let Row { network, data, parameters, epochs, threads, simd, measured, command, .. } = row;
    let time = match seconds[seconds.len() / 2] {
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds => format!("{:.1} min", seconds / 60.0),
    };
    format!(
        "| {network} | {data} | {parameters} | {epochs} | {} | {mean:.2} % | {lowest:.2} to {highest:.2} % | {time}, \
         {threads} threads, {simd} | {measured} | `cargo xtask {command}` |",
        accuracies.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_was_reached() {
        let row = Row {
            network: "LeNet-5".into(),
            data: "MNIST".into(),
            command: "train-lenet".into(),
            parameters: 61_706,
            epochs: 12,
            test_accuracy: vec![0.99, 0.98, 0.985],
            seconds: vec![150.0, 20.0, 130.0],
            threads: 2,
            simd: "avx512".into(),
            measured: Stamp { date: "2026-01-31".into(), commit: "0123abc".into() },
        };
        assert_eq!(
            line(&row),
            "| LeNet-5 | MNIST | 61706 | 12 | 3 | 98.50 % | 98.00 to 99.00 % | 2.2 min, 2 threads, avx512 | \
             2026-01-31 0123abc | `cargo xtask train-lenet` |"
        );
    }

    #[test]
    fn every_command_is_another_one() {
        let mut words: Vec<_> = RECIPES.iter().map(Recipe::words).collect();
        words.sort();
        words.dedup();
        assert_eq!(words.len(), RECIPES.len());
    }
}
