//! `cnn finetune`: the usual schedule of transfer learning, as two runs of `train`.

use crate::fault::{Fault, deliver, note};
use crate::home;
use crate::train::{self, Config, Options};
use cnn_nn::RunFolder;
use cnn_train::model_name::{self, ModelName};
use cnn_train::onnx::Preparation;
use cnn_zoo::OptimizerName;
use std::path::Path;

/// Fine-tune published weights on your own images: first a new head on frozen features, then the whole network at rates that
/// fall towards the input.
///
/// This is one word for two runs of train. The first puts a new linear layer in the place of the classifier, holds everything
/// else fixed (--new-head --freeze-trunk), and leaves its files in OUT/head. The second goes on with its weights at a tenth of the
/// rate, which falls from the last layer to the first (--lr-fall), so that the first layers, which fit all photos, change
/// least; batch normalisation keeps its statistics, which few images would only blur. Options of train apply to both. The
/// schedule is that of fastai's fine_tune, with lower rates. Source: J. Howard, S. Ruder, 2018.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn finetune --model mobilenet_v2 --weights mobilenet_v2.safetensors --dataset ants-and-bees.tar
  cnn finetune --model squeezenet1_0 --weights squeezenet.safetensors --dataset photos --epochs 5 --head-epochs 3
  cnn finetune --model theirs.onnx --preprocess imagenet --dataset photos")]
pub struct Args {
    #[arg(long, value_name = "NAME|FILE", value_parser = model_name::model, help = train::help_of_model())]
    model: ModelName,
    /// Epochs of the first part, in which only the head learns.
    #[arg(long, value_name = "N", default_value_t = 3)]
    head_epochs: usize,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    preparation: Preparation,
}

/// The highest learning rate of the head alone.
const RATE: f32 = 0.002;
/// How many times lower that of the whole network is. (fastai takes half. With few hundred images, trained features then get lost
/// sooner than they get better.)
const GENTLER: f32 = 10.0;
/// How many times lower the rate of the first layer is.
const FALL: f32 = 100.0;
/// Epochs of the second part.
const EPOCHS: usize = 4;

pub fn run(args: Args) -> Result<(), Fault> {
    let Args { model, head_epochs, options, preparation } = args;
    let model = model.prepared(&preparation);
    let Some(dataset) = &options.dataset else {
        return Err(Fault::usage("--dataset: expected the images to learn, none were named"));
    };
    if options.weights.is_none() && model.network().is_some() {
        let message = "--weights: expected a file of trained weights, none was named: to train from the start, use train";
        return Err(Fault::usage(message));
    }
    if options.new_head || options.freeze_trunk || !options.freeze.is_empty() || options.config.is_some() {
        let given =
            if options.config.is_some() { "--config" } else { "--new-head, --freeze-trunk and --freeze" };
        return Err(Fault::usage(format!(
            "{given}: finetune decides that itself; use train for a schedule of your own"
        )));
    }
    let default = || home::runs().join(format!("{model}-{}-finetuned", dataset.short()));
    let out = options.out.clone().unwrap_or_else(default);
    let head_folder = out.join("head");
    let rate = options.lr.unwrap_or(RATE);
    let whole = |options: &Options| Options {
        optimizer: Some(options.optimizer.unwrap_or(OptimizerName::AdamW)),
        schedule: Some(options.schedule.unwrap_or(train::ScheduleName::OneCycle)),
        ..options.clone()
    };
    let head = Options {
        new_head: true,
        freeze_trunk: true,
        epochs: Some(head_epochs),
        lr: Some(rate),
        lr_fall: None,
        out: Some(head_folder.clone()),
        ..whole(&options)
    };
    let rest = Options {
        weights: Some(head_folder.join("model.safetensors")),
        epochs: Some(options.epochs.unwrap_or(EPOCHS)),
        lr: Some(rate / GENTLER),
        lr_fall: Some(options.lr_fall.unwrap_or(FALL)),
        out: Some(out.clone()),
        ignore_surplus: false,
        rename: Vec::new(),
        ..whole(&options)
    };
    // Found now, not after the first part.
    for part in [&head, &rest] {
        Config::new(model.clone(), part)?.validate()?;
    }
    if !options.resume && !options.overwrite && out.exists() {
        train::holds_no_run(&RunFolder::open(&out)?)?;
    }
    if !(options.resume && is_finished(&head_folder)?) {
        note("1: the head alone");
        let resume = options.resume && has_run(&head_folder);
        let first = train::train(model.clone(), Options { resume, ..head })?;
        let accuracy = 100.0 * first.summary.test_accuracy;
        note(format!("the head alone: test accuracy {accuracy:.2} %"));
    }
    note("2: the whole network");
    let report = train::train(model, Options { resume: options.resume && has_run(&out), ..rest })?;
    deliver(&report.words, &report.summary, options.json)
}

/// Whether the folder holds a checkpoint.
fn has_run(folder: &Path) -> bool {
    folder.join("checkpoint.safetensors").exists()
}

/// Whether the folder holds a run that came to its end.
fn is_finished(folder: &Path) -> Result<bool, Fault> {
    if !has_run(folder) {
        return Ok(false);
    }
    let saved = RunFolder::open(folder)?.load::<Config>()?;
    Ok(saved.is_some_and(|(state, _)| state.progress.epoch >= state.config.training.epochs)
        && folder.join("model.safetensors").exists())
}
