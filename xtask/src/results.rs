//! `cargo xtask results`: trains by every recipe, and writes the results to docs/results.md.

mod recipes;
pub mod stamp;
mod table;

use crate::root;
use cnn_cli::fault::{Fault, note, print};
use cnn_tensor::files::write_atomically;
use cnn_tensor::parallel;
use cnn_tensor::simd::Level;
use recipes::{Measure, RECIPES, Recipe};
use serde_json::Value;
use stamp::Stamp;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use table::{Measured, Row};

/// Train by the recipes with several seeds, and write their results to docs/results.md.
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
    let mut rows = table::read(&store)?;
    let filter = args.filter.unwrap_or_default();
    let chosen: Vec<_> = RECIPES.iter().filter(|recipe| recipe.command.contains(&filter)).collect();
    if chosen.is_empty() {
        let commands: Vec<_> = RECIPES.iter().map(|recipe| recipe.command).collect();
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
        rows.retain(|row| row.command != recipe.command);
        rows.push(row(recipe, &runs)?);
        // After each row, so that an hour's work is not lost with the next one.
        let place = |row: &Row| RECIPES.iter().position(|recipe| recipe.command == row.command);
        rows.sort_by_key(|row| place(row).unwrap_or(usize::MAX));
        write_atomically(&store, (serde_json::to_string_pretty(&rows)? + "\n").as_bytes())?;
        write_atomically(&out, table::document(&rows).as_bytes())?;
    }
    print(format!("{}\nwritten to {}", table::document(&rows), out.display()));
    Ok(())
}

/// The row of these runs of the recipe.
fn row(recipe: &Recipe, runs: &[Value]) -> Result<Row, Fault> {
    let absent = |what: &str| Fault {
        status: 1,
        message: format!("{}: expected {what} in the output of --json, got none", recipe.command),
    };
    let number = |run: &Value, at: &str| run.pointer(at).and_then(Value::as_f64).ok_or_else(|| absent(at));
    let measures = recipe.measures.iter().map(|&Measure { name, at, percent }| {
        let values = runs.iter().map(|run| number(run, at)).collect::<Result<Vec<_>, _>>()?;
        Ok(Measured { name: name.into(), percent, values })
    });
    let first = &runs[0];
    let length =
        ["epochs", "steps"].into_iter().find_map(|unit| Some(format!("{} {unit}", first.get(unit)?)));
    Ok(Row {
        network: recipe.network.into(),
        data: recipe.data.into(),
        command: recipe.command.into(),
        parameters: number(first, "/parameters")? as u64,
        length: length.ok_or_else(|| absent("epochs or steps"))?,
        measures: measures.collect::<Result<Vec<_>, Fault>>()?,
        seconds: runs.iter().map(|run| number(run, "/seconds")).collect::<Result<Vec<_>, _>>()?,
        threads: number(first, "/threads")? as usize,
        simd: Level::current().name().into(),
        measured: Stamp::now(),
    })
}

/// One run in a process of its own, exactly as a user starts it.
fn train(recipe: &Recipe, seed: u64, folder: &Path) -> Result<Value, Fault> {
    let mut process = Command::new(std::env::current_exe()?);
    process
        .args(recipe.command.split(' '))
        .args(["--json", "--overwrite", "--seed", &seed.to_string(), "--out"])
        .arg(folder);
    let start = Instant::now();
    let output = process.current_dir(root()).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    let seconds = start.elapsed().as_secs_f64();
    if !output.status.success() {
        let message = format!("{} with seed {seed} failed: {}", recipe.command, output.status);
        return Err(Fault { status: 1, message });
    }
    let mut run: Value = serde_json::from_slice(&output.stdout)?;
    // Commands that do not time themselves.
    for (key, value) in [("seconds", seconds.into()), ("threads", parallel::available().into())] {
        if let Some(run) = run.as_object_mut() {
            run.entry(key).or_insert(value);
        }
    }
    Ok(run)
}
