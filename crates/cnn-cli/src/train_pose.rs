//! `cnn train-pose`: the cascade of DeepPose, from tables of joints to a file and a table of scores.

mod config;
mod console;
mod options;
mod report;
mod stage;

use crate::fault::{Fault, deliver, note};
use crate::home;
use crate::progress;
use crate::threads::threads;
use cnn::pose::{Look, Pose, PoseModel, PoseStage, errors};
use cnn_data::pose::{LSP, PoseSet};
use cnn_nn::RunFolder;
use cnn_tensor::Random;
use cnn_tensor::files::write_atomically;
use config::Config;
pub use options::Args;
use std::path::Path;

pub fn run(args: Args) -> Result<(), Fault> {
    let (threads, pool) = threads(args.threads)?;
    let config = Config::new(&args)?;
    let out = args.out.clone().unwrap_or_else(|| home::runs().join(config.default_folder()));
    let data = People::open(&config)?;
    let folder = RunFolder::open(&out)?;
    // Faults that would end the run later are found before its first step.
    for stage in 0..config.stages.len() {
        stage::check_last_batch(stage, &config, data.train.len())?;
        stage::check_folder(&folder, stage, &config, &args)?;
    }
    // Only now does the new run take the place of an earlier one, all of whose stages give way: their files would be taken for
    // this run's.
    if !args.resume {
        folder.remove(CASCADE)?;
        (0..config.stages.len()).try_for_each(|stage| stage::clear(&folder, stage))?;
    }
    note(format!(
        "{} on {}: {} training, {} validation and {} test people, {threads} {}, seed {}",
        config.network.title,
        config.short_name(),
        data.train.len(),
        data.validation.len(),
        data.test.as_ref().map_or(0, PoseSet::len),
        if threads == 1 { "thread" } else { "threads" },
        config.seed,
    ));
    crate::interrupt::listen();
    let report = pool.run(|| train(&config, &args, &data, &folder))?;
    write_atomically(
        &folder.file("report.json"),
        (serde_json::to_string_pretty(&report)? + "\n").as_bytes(),
    )?;
    deliver(&report.words(), &report, args.json)
}

/// The file with all stages.
const CASCADE: &str = "pose.safetensors";

/// Trains stage after stage, writes the cascade, and scores it.
fn train(config: &Config, args: &Args, data: &People, folder: &RunFolder) -> Result<report::Report, Fault> {
    let mut stages: Vec<PoseStage> = Vec::new();
    for (i, of_stage) in config.stages.iter().enumerate() {
        // A later stage learns from the errors that the stages before it make on people they were not trained on.
        let expected = match of_stage.look {
            Look::Person { .. } => Vec::new(),
            Look::Joint { .. } => {
                let cascade = PoseModel::new(stages, &LSP)?;
                let poses = predict(&cascade, &data.validation, "validation people")?;
                stages = cascade.into_stages();
                errors(&data.validation, &poses, config.zoom())
            }
        };
        let before = stages.last().map(|stage| &stage.model);
        let model = stage::train(i, before, &expected, config, args, data, folder)?;
        stages.push(PoseStage { model, look: of_stage.look });
    }
    let cascade = PoseModel::new(stages, &LSP)?;
    cascade.save(folder.file(CASCADE))?;
    report::of(config, data, &cascade, folder)
}

/// The poses that a cascade estimates, under a bar.
fn predict(cascade: &PoseModel, set: &PoseSet, what: &str) -> Result<Vec<Pose>, Fault> {
    let bar = progress::bar(Some(set.len() as u64), "{pos}/{len} people  [{bar:30}]  {remaining} left");
    let mut lines = progress::Lines::new();
    let poses = cascade.predict_set(set, &mut |done| {
        bar.set_position(done as u64);
        lines.note(&bar, || format!("{done}/{} {what}", set.len()));
    })?;
    bar.finish_and_clear();
    Ok(poses)
}

/// The people to learn from, to judge each epoch by, and to test by at the end.
pub struct People {
    pub train: PoseSet,
    pub validation: PoseSet,
    pub test: Option<PoseSet>,
}

impl People {
    fn open(config: &Config) -> Result<Self, Fault> {
        let open = |table: &Path| PoseSet::beside(table, &LSP);
        let all = open(&config.train())?;
        let mut order: Vec<usize> = (0..all.len()).collect();
        Random::new(config.seed, &["validation"]).shuffle(&mut order);
        let kept = (config.validation * all.len() as f64).round() as usize;
        if kept == 0 || kept >= all.len() {
            return Err(Fault::usage(format!(
                "--validation: expected a share that keeps back at least one of the {} people and leaves one, got {}",
                all.len(),
                config.validation
            )));
        }
        let (validation, train) = order.split_at_mut(kept);
        let train = &mut train[..config.limit.unwrap_or(usize::MAX).min(all.len() - kept)];
        // In the order of the table, so that files are read from front to back.
        validation.sort_unstable();
        train.sort_unstable();
        let test = config.test().map(|table| open(&table)).transpose()?;
        Ok(Self { train: all.subset(train), validation: all.subset(validation), test })
    }

    /// The people whose scores are reported, and their name.
    pub fn tested(&self) -> (&PoseSet, &'static str) {
        match &self.test {
            Some(test) => (test, "test"),
            None => (&self.validation, "validation"),
        }
    }
}
