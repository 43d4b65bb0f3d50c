//! A training run from command line to report: what `train-lenet` and the demos share.

mod config;
mod console;
mod folder;
mod report;

pub use config::Config;

use crate::fault::Fault;
use crate::models::{self, DatasetName, ModelName, OptimizerName};
use cnn_data::{Dataset, Examples, Loader, Split};
use cnn_nn::{Batches, Model, Outcome, Trainer};
use console::Console;
use folder::{Folder, RunState};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// The options of a training run; those left out are the recipe's.
#[derive(clap::Args, Clone)]
pub struct Options {
    /// The data set.
    #[arg(long, value_enum, value_name = "NAME")]
    dataset: Option<DatasetName>,
    /// The folder with its four IDX files [default: datasets/NAME].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Passes over the training images [default: the recipe's, 12 for LeNet-5 on MNIST].
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Images per step [default: 64].
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// The highest learning rate of the one-cycle schedule [default: the recipe's, 0.05 for LeNet-5 with sgd].
    #[arg(long, value_name = "RATE")]
    lr: Option<f32>,
    /// The optimizer [default: sgd].
    #[arg(long, value_enum, value_name = "NAME")]
    optimizer: Option<OptimizerName>,
    /// Fixes the initial weights and the order of images; the same seed gives the same weights, bit for bit.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Train on the first N images only: for a quick look.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Threads; they change the time a run takes and nothing else [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// The folder for weights, metrics and pictures [default: runs/MODEL-DATASET].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Take the options from the config.json of an earlier run, to repeat it.
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// Go on with the interrupted run in --out, to the same weights as if it had never stopped.
    #[arg(long)]
    resume: bool,
    /// Start over although --out holds an unfinished run.
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Print one JSON object on stdout at the end, and everything else on stderr.
    #[arg(long)]
    json: bool,
}

/// Set by Ctrl-C; the run stops after the step under way.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Trains the network `model` as the options say.
pub fn run(model: ModelName, options: Options) -> Result<(), Fault> {
    let (threads, pool) = models::threads(options.threads)?;
    let (config, resumed, folder) = prepare(model, &options)?;
    let (train, test) = load(&config)?;
    let model = Model::build(config.model.spec(config.dataset), config.seed)?;
    let train = loader(&train, &config)?.shuffle(config.seed).limit(config.limit.unwrap_or(usize::MAX));
    let test_loader = loader(&test, &config)?;

    let mut trainer = Trainer::new(model.net, config.settings())?;

    // Only now, when everything has been found good, does the new run take the place of an earlier one.
    if resumed.is_none() {
        folder.clear()?;
    }
    folder.write_config(&config)?;
    let mut console = Console::new(&config, &folder, train.examples());
    if let Some((state, tensors)) = resumed {
        trainer.restore(state.progress.clone(), tensors).map_err(|e| folder.checkpoint_fault(e))?;
        console.resume(state);
    }
    let parameters = trainer.net().parameter_count();
    console.start(&format!(
        "{} on {}: {} training and {} test images, {parameters} parameters, {threads} {}, seed {}",
        config.model.title(),
        config.dataset.title(),
        train.examples(),
        test.len(),
        if threads == 1 { "thread" } else { "threads" },
        config.seed,
    ));
    stop_on_interrupt();
    let outcome = pool.run(|| trainer.fit(&train, &test_loader, &mut console))?;
    if outcome == Outcome::Stopped {
        let Config { epochs, .. } = config;
        let progress = trainer.progress();
        return Err(Fault::interrupted(format!(
            "interrupted in epoch {} of {epochs}, after {} steps; everything is saved in {}, add --resume to go on",
            progress.epoch + 1,
            progress.step,
            folder.path().display()
        )));
    }
    let times = console.finish();
    pool.run(|| {
        report::write(report::Run {
            config: &config,
            folder: &folder,
            trainer: &trainer,
            test: &test,
            test_loader: &test_loader,
            threads,
            train_images: train.examples(),
            times,
            json: options.json,
        })
    })
}

/// The configuration, the state to go on from, and the folder.
type Prepared = (Config, Option<(RunState, folder::Tensors)>, Folder);

fn prepare(model: ModelName, options: &Options) -> Result<Prepared, Fault> {
    let config = match &options.config {
        Some(file) => Config::read(file)?.with(model, options)?,
        None => Config::new(model, options),
    };
    config.validate()?;
    let default = || models::root().join("runs").join(config.default_folder());
    let folder = Folder::new(options.out.clone().unwrap_or_else(default));
    if options.resume {
        let (state, tensors) = folder.load_checkpoint()?;
        let config = state.config.clone().with(model, options)?;
        if config != state.config {
            return Err(Fault::usage(format!(
                "--resume: the run in {} was started with {}; leave those options out, or start a new run",
                folder.path().display(),
                state.config.differences(&config)
            )));
        }
        folder.create()?;
        return Ok((config, Some((state, tensors)), folder));
    }
    if let Some(progress) = folder.unfinished().filter(|_| !options.overwrite) {
        return Err(Fault::usage(format!(
            "{} holds a run that was interrupted in epoch {} of {}: add --resume to go on, --overwrite to start over, \
             or name another folder with --out",
            folder.path().display(),
            progress.progress.epoch + 1,
            progress.config.epochs
        )));
    }
    folder.create()?;
    Ok((config, None, folder))
}

fn load(config: &Config) -> Result<(Dataset, Dataset), Fault> {
    let family = config.dataset.family();
    let train = family.load(&config.data_dir, Split::Train)?;
    let test = family.load(&config.data_dir, Split::Test)?;
    Ok((train, test))
}

fn loader(dataset: &Dataset, config: &Config) -> Result<Loader, Fault> {
    Ok(Loader::new(dataset.clone(), config.batch_size)?.normalize(config.normalize()?))
}

/// From now on the first Ctrl-C (or SIGTERM) asks the run to stop, and a second one ends the process.
fn stop_on_interrupt() {
    // If no handler can be set, Ctrl-C ends the process; the last checkpoint then serves as well.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
}
