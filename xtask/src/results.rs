//! `cargo xtask results`: what every recipe reaches, written to docs/results.md.

use crate::datasets::{DatasetName, root};
use crate::fault::{Fault, note, print};
use cnn_data::MnistFamily;
use cnn_nn::checkpoint::write_atomically;
use cnn_tensor::simd::Level;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Train every network by its recipe with several seeds, and write what they reach to docs/results.md.
#[derive(clap::Args)]
#[command(
    after_help = "Takes some minutes on two cores. Fashion-MNIST is left out where its files are not found."
)]
pub struct Args {
    /// Seeds 0 to N - 1.
    #[arg(long, value_name = "N", default_value_t = 5)]
    seeds: u64,
    /// The file to write [default: docs/results.md].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What is trained: its name in the table, and its command.
const RECIPES: [(&str, MnistFamily, &[&str]); 5] = [
    ("LeNet-5", MnistFamily::Mnist, &["train-lenet"]),
    ("LeNet-5, tanh and average pooling", MnistFamily::Mnist, &["train-lenet", "--variant", "tanh"]),
    ("Dense 200-10", MnistFamily::Mnist, &["demo", "mlp"]),
    ("Linear classifier", MnistFamily::Mnist, &["demo", "linear"]),
    ("LeNet-5", MnistFamily::FashionMnist, &["train-lenet", "--dataset", "fashion-mnist"]),
];

/// What `--json` prints, as far as the table needs it.
#[derive(Deserialize)]
struct Run {
    epochs: usize,
    threads: usize,
    test_accuracy: f64,
    seconds: f64,
    parameters: u64,
}

pub fn run(args: Args) -> Result<(), Fault> {
    if args.seeds == 0 {
        return Err(Fault::usage("--seeds: expected at least 1, got 0"));
    }
    let folder = root().join("runs/results");
    let mut rows = Vec::new();
    let mut threads = 0;
    for (name, dataset, command) in RECIPES {
        let dataset = DatasetName::Mnist(dataset);
        if !dataset.folder().exists() {
            let folder = dataset.folder();
            note(format!("{name} on {}: left out, no data in {}", dataset.title(), folder.display()));
            continue;
        }
        let runs =
            (0..args.seeds).map(|seed| train(command, seed, &folder)).collect::<Result<Vec<_>, _>>()?;
        threads = runs[0].threads;
        rows.push(row(name, &dataset, command, &runs));
    }
    let text = document(&rows, args.seeds, threads);
    let out = args.out.unwrap_or_else(|| root().join("docs/results.md"));
    write_atomically(&out, text.as_bytes())?;
    print(format!("{text}\nwritten to {}", out.display()));
    Ok(())
}

/// One run in a process of its own, exactly as a user starts it.
fn train(command: &[&str], seed: u64, folder: &Path) -> Result<Run, Fault> {
    let mut process = Command::new(std::env::current_exe()?);
    process.args(command).args(["--json", "--overwrite", "--seed", &seed.to_string(), "--out"]).arg(folder);
    let output = process.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        let message = format!("{} with seed {seed} failed: {}", command.join(" "), output.status);
        return Err(Fault { status: 1, message });
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn row(name: &str, dataset: &DatasetName, command: &[&str], runs: &[Run]) -> String {
    let accuracies: Vec<f64> = runs.iter().map(|run| 100.0 * run.test_accuracy).collect();
    let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
    let lowest = accuracies.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = accuracies.iter().copied().fold(0.0, f64::max);
    let mut seconds: Vec<f64> = runs.iter().map(|run| run.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let Run { epochs, parameters, .. } = runs[0];
    format!(
        "| {name} | {} | {parameters} | {epochs} | {mean:.2} % | {lowest:.2} to {highest:.2} % | {:.0} s | `cargo xtask {}` |",
        dataset.title(),
        seconds[seconds.len() / 2],
        command.join(" ")
    )
}

fn document(rows: &[String], seeds: u64, threads: usize) -> String {
    format!(
        "# Results\n\n\
         Written by `cargo xtask results`; the accuracy is that of the test set after the last epoch, never that of the\n\
         best one. Seeds 0 to {}, {threads} threads, SIMD level {}, time the median of the runs. The same seed gives the\n\
         same accuracy on the same SIMD level, whatever the number of threads.\n\n\
         | network | data | parameters | epochs | mean accuracy | lowest to highest | time | command |\n\
         |---|---|---|---|---|---|---|---|\n{}\n",
        seeds - 1,
        Level::current().name(),
        rows.join("\n")
    )
}
