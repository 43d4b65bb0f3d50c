//! `cnn train`, and the training run from command line to report that `train-lenet` and the demos share with it.

pub mod check;
pub mod config;
mod console;
mod material;
mod options;
mod report;
mod tested;
mod validation;

pub use check::holds_no_run;
pub use config::{Config, differences};
pub use material::{Material, Start};
pub use options::{Options, ScheduleName};
pub use report::Report;

use crate::datasets;
use crate::fault::{Fault, deliver};
use crate::home;
use crate::interrupt;
use crate::model_name::{self, ModelName};
use crate::onnx::Preparation;
use crate::threads::threads;
use crate::weights;
use cnn_data::{Data, Dataset, Loader, Normalize, OnFault};
use cnn_nn::{Batches, Best, Classify, Keeper, Model, ModelSpec, Outcome, RunFolder, RunState, Trainer};
use cnn_tensor::Tensor;
use cnn_tensor::files::write_atomically;
use cnn_zoo::{Network, NetworkName, Prepare};
use console::Console;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Train a network of the zoo or of a file on a data set, or on your own images, to weights, metrics and pictures.
///
/// A data set is a name, or a folder or archive of images: a folder for each class (train/CLASS/IMAGE and val/CLASS/IMAGE,
/// or CLASS/IMAGE alone, of which a tenth is kept for testing), a tar of such folders, or the files of ILSVRC2012 as they
/// are published. What the options do not say is the recipe's, and ends up in config.json. Ctrl-C saves and stops; --resume
/// goes on, to the same weights bit for bit.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn train --model lenet --dataset mnist --augment distort
  cnn train --model alexnet --dataset path/to/imagenet --crops 10
  cnn train --model alexnet --dataset ants-and-bees.tar --weights alexnet.safetensors --freeze features --new-head
  cnn train --model theirs.onnx --preprocess imagenet --dataset photos --new-head
  cnn train --model resnet18 --dataset cifar10 --size 64 --epochs 10 --out runs/try")]
pub struct Args {
    #[arg(long, value_name = "NAME|FILE", value_parser = model_name::model, help = help_of_model())]
    model: ModelName,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    preparation: Preparation,
}

/// The help of `--model`.
pub fn help_of_model() -> String {
    format!(
        "The network: {}; or a model's file, to go on from its weights: ONNX, or one that training wrote",
        Network::names()
    )
}

/// `cnn train`.
pub fn command(args: Args) -> Result<(), Fault> {
    if args.options.dataset.is_none() && args.options.config.is_none() && !args.options.resume {
        let names = datasets::names();
        return Err(Fault::usage(format!("--dataset: expected {names}, or a folder or archive of images")));
    }
    run(args.model.prepared(&args.preparation), args.options)
}

/// The network of a name that the table has.
pub fn network(name: &str) -> NetworkName {
    Network::find(name).expect("a network of the table").into()
}

/// Trains the network `model` as the options say, and prints the report.
pub fn run(model: impl Into<ModelName>, options: Options) -> Result<(), Fault> {
    let json = options.json;
    let report = train(model, options)?;
    deliver(&report.words, &report.summary, json)
}

/// Trains the network `model` as the options say.
pub fn train(model: impl Into<ModelName>, options: Options) -> Result<Report, Fault> {
    let model = model.into();
    let (threads, pool) = threads(options.threads)?;
    let (config, resumed, folder) = prepare(&model, &options)?;
    let earlier = resumed.as_ref().filter(|_| !options.changed_data).map(|(state, _)| &state.data);
    let Material { data, fingerprints, start, spec, training, kept } = Material::gather(&config, earlier)?;
    let (net, origin) = match &resumed {
        // The checkpoint has all weights.
        Some(_) => (Model::build(spec.clone(), config.training.seed)?, String::new()),
        None => first_weights(&config, &spec, start, training.clone())?,
    };
    check::before_training(&config, training.as_ref(), &net)?;
    let Loaders { train, validation, test } =
        loaders(&config, &data, &spec, training, kept, options.workers)?;

    check::frozen(&options.freeze, &net)?;
    let settings = config.settings_for(&net.net);
    let mut trainer = Trainer::new(net.net, Classify { loss: config.loss.clone() }, settings)?;

    // Only now, when everything has been found good, does the new run take the place of an earlier one.
    if resumed.is_none() {
        folder.clear()?;
    }
    write_config(&folder, &config)?;
    let mut keeper = Keeper::new(&folder, config.clone()).data(fingerprints).model(&spec);
    keeper = keeper.held_out(config.held_out()).stop_on(interrupt::flag());
    if config.validation.is_some() {
        keeper = keeper.best(best());
    }
    let progress = resumed.as_ref().map(|(state, _)| state.progress.clone());
    if let Some((state, tensors)) = resumed {
        keeper.resume(state, tensors, &mut trainer)?;
    }
    let mut console = Console::new(&config, &spec, keeper, train.examples());
    if let Some(progress) = progress {
        console.resume(&progress);
    }
    let parameters = trainer.net().parameter_count();
    console.start(&format!(
        "{} on {}: {} training{} and {} test images, {parameters} parameters{origin}, {threads} {}, seed {}",
        config.model.title(),
        config.dataset.title(),
        train.examples(),
        validation.as_ref().map_or(String::new(), |kept| format!(", {} validation", kept.examples())),
        test.examples(),
        if threads == 1 { "thread" } else { "threads" },
        config.training.seed,
    ));
    interrupt::listen();
    let outcome = pool.run(|| trainer.fit(&train, validation.as_ref().unwrap_or(&test), &mut console))?;
    if outcome == Outcome::Stopped {
        let epochs = config.training.epochs;
        let progress = trainer.progress();
        return Err(Fault::interrupted(format!(
            "interrupted in epoch {} of {epochs}, after {} steps; everything is saved in {}, add --resume to go on",
            progress.epoch + 1,
            progress.step,
            folder.path().display()
        )));
    }
    let (times, tested) = console.finish();
    pool.run(|| {
        report::write(report::Run {
            config: &config,
            spec: &spec,
            folder: &folder,
            trainer: &trainer,
            train: &train,
            validation: validation.as_ref(),
            test: &test,
            threads,
            tested,
            times,
        })
    })
}

/// The epoch whose weights best.safetensors has.
fn best() -> Best {
    Best::highest("accuracy")
}

fn write_config(folder: &RunFolder, config: &Config) -> Result<(), Fault> {
    let json = serde_json::to_string_pretty(config)?;
    Ok(write_atomically(&folder.file("config.json"), (json + "\n").as_bytes())?)
}

/// The network to train, and where its first weights are from, in words.
fn first_weights(
    config: &Config,
    spec: &ModelSpec,
    start: Start,
    training: Arc<dyn Dataset>,
) -> Result<(Model, String), Fault> {
    let seed = config.training.seed;
    let (model, taken, file) = match start {
        Start::Fresh(_) => {
            let mut model = Model::build(spec.clone(), seed)?;
            let recipe = config::recipe(&config.model, &config.dataset, config.new_head);
            if let Some(prepare) = recipe.prepare {
                prepare_by(prepare, &mut model, config, training)?;
            }
            return Ok((model, String::new()));
        }
        Start::Weights { network, weights, file } => {
            let (model, origin) = weights::begin(*weights, &file, &network, spec, config.new_head, seed)?;
            (model, origin.taken.len(), file)
        }
        Start::Model { model, file } if config.new_head => {
            let model = model.with_head(spec.classes.clone(), seed)?;
            let fresh = |(name, _): &(String, Tensor)| name.starts_with("head.");
            let taken = model.net.tensors().iter().filter(|tensor| !fresh(tensor)).count();
            (model, taken, file)
        }
        Start::Model { model, file } => {
            let taken = model.net.tensors().len();
            (*model, taken, file)
        }
    };
    let all = model.net.tensors().len();
    Ok((model, format!(" ({taken} of {all} tensors from {})", file.display())))
}

/// Changes the fresh model by some of the training images, as its recipe says.
fn prepare_by(
    prepare: Prepare,
    model: &mut Model,
    config: &Config,
    training: Arc<dyn Dataset>,
) -> Result<(), Fault> {
    let normalize = Normalize::new(&model.spec.input.mean, &model.spec.input.std)?;
    let loader = Loader::new(training, prepare.images)?.normalize(normalize);
    let loader = loader.transform(config.test.clone(), 0)?;
    match loader.epoch(0, 0).next() {
        Some(images) => Ok((prepare.apply)(model, &images?.inputs[0])?),
        None => Err(Fault::usage(format!("{}: expected training images, got none", config.dataset))),
    }
}

/// The batches to learn from, to judge each epoch by if images are kept back for that, and to test by at the end.
struct Loaders {
    train: Loader,
    validation: Option<Loader>,
    test: Loader,
}

fn loaders(
    config: &Config,
    data: &Data,
    spec: &ModelSpec,
    training: Arc<dyn Dataset>,
    kept: Option<Arc<dyn Dataset>>,
    workers: Option<usize>,
) -> Result<Loaders, Fault> {
    let seed = config.training.seed;
    // Images in files are worth threads of their own; images in memory are copied faster than handed over.
    let workers = workers.unwrap_or(if data.shape.is_none() { 2 } else { 0 });
    let loader = |examples: Arc<dyn Dataset>| -> Result<Loader, Fault> {
        let normalize = Normalize::new(&spec.input.mean, &spec.input.std)?;
        let loader = Loader::new(examples, config.batch_size)?.normalize(normalize).workers(workers);
        Ok(match config.skip_bad_images {
            true => loader.on_fault(OnFault::skip(|line| crate::fault::note(format!("passed over: {line}")))),
            false => loader,
        })
    };
    let testing = |examples| -> Result<Loader, Fault> {
        let test = loader(examples)?.transform(config.test.clone(), seed)?;
        Ok(match config.crops {
            Some(crops) => test.crops(crops),
            None => test,
        })
    };
    let mut train = loader(training)?.shuffle(seed).transform(config.augment.clone(), seed)?;
    if config.drop_last {
        train = train.drop_last();
    }
    if let Some(mix) = config.mix {
        train = train.mix(mix)?;
    }
    Ok(Loaders { train, validation: kept.map(testing).transpose()?, test: testing(data.test.clone())? })
}

/// Where a run goes on.
type Resumed = (RunState<Config>, BTreeMap<String, Tensor>);

/// The configuration, where the run goes on if it is to, and the folder.
fn prepare(model: &ModelName, options: &Options) -> Result<(Config, Option<Resumed>, RunFolder), Fault> {
    let config = match &options.config {
        Some(file) => Config::read(file)?.with(model, options)?,
        None => Config::new(model.clone(), options)?,
    };
    config.validate()?;
    let default = || home::runs().join(config.default_folder());
    let folder = RunFolder::open(options.out.clone().unwrap_or_else(default))?;
    let path = folder.path().display();
    if !options.resume {
        if !options.overwrite {
            check::holds_no_run(&folder)?;
        }
        return Ok((config, None, folder));
    }
    let Some((state, tensors)) = folder.load::<Config>()? else {
        let message =
            format!("--resume: expected {} of an earlier run, found none", folder.checkpoint().display());
        return Err(Fault { status: 1, message });
    };
    // The options may be those of the first command, or only some of them.
    let config = Config { version: state.config.version.clone(), ..config };
    let changed = state.config.clone().with(model, options);
    let same = |config: &&Config| **config == state.config.with_paths_of(config);
    if let Some(config) = changed.as_ref().ok().filter(same).or(Some(&config).filter(same)) {
        return Ok((config.clone(), Some((state, tensors)), folder));
    }
    let config = changed.unwrap_or(config);
    Err(Fault::usage(format!(
        "--resume: the run in {path} was started with {}; leave those options out, or start a new run",
        differences(&state.config.with_paths_of(&config), &config)
    )))
}
