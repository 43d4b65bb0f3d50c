//! `cnn train-captions`: a network learns to describe photos.

mod config;
mod console;
mod evaluation;
mod features;
mod material;
mod report;

use crate::beam;
use crate::fault::{Fault, deliver};
use crate::home;
use crate::interrupt;
use crate::threads::threads;
use crate::train::check::no_run_in;
use crate::weights;
use cnn_nn::{Best, Graph, Keeper, Outcome, RunFolder, RunState, Sequence, Trainer};
use cnn_tensor::Tensor;
use cnn_tensor::files::write_atomically;
use cnn_zoo::ShowAndTell;
use config::Config;
use console::Console;
use material::Material;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Train Show and Tell on photos with captions, and test it by BLEU beside three baselines.
///
/// The photos go through a trained network once, as they are and mirrored; its features are kept on disk. A linear layer makes them
/// the first word of an LSTM, which learns to tell the captions (Vinyals et al. 2015). The weights of the epoch with the lowest loss
/// on the dev list are kept; the test list is only looked at in the end. The layout is Flickr8k's: see `--tokens` and `--train`.
/// Ctrl-C saves and stops; --resume goes on, to the same weights bit for bit.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn train-captions --images flickr8k/images --tokens Flickr8k.token.txt --train Flickr_8k.trainImages.txt
      --dev Flickr_8k.devImages.txt --test Flickr_8k.testImages.txt --model mobilenet_v2 --weights mobilenet_v2.safetensors
  cnn train-captions --images train.tar dev.tar test.tar --tokens tokens.txt --train train.txt --dev dev.txt --test test.txt
      --weights runs/cifar10/model.safetensors --epochs 5 --out runs/quick --json")]
pub struct Args {
    /// The photos: folders or tar archives.
    #[arg(long, required = true, num_args = 1.., value_name = "DIR|TAR")]
    images: Vec<PathBuf>,
    /// The captions: a text file with lines of NAME#NUMBER, a tab and a sentence.
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// The names of the photos to learn from, a line each.
    #[arg(long, value_name = "FILE")]
    train: PathBuf,
    /// Those by which the epoch is chosen.
    #[arg(long, value_name = "FILE")]
    dev: PathBuf,
    /// Those of the test.
    #[arg(long, value_name = "FILE")]
    test: PathBuf,
    #[command(flatten)]
    weights: weights::Args,
    #[command(flatten)]
    options: config::Options,
    #[command(flatten)]
    beam: beam::Search,
    /// The folder for features of photos, which later runs use again [default: runs/features].
    #[arg(long, value_name = "DIR")]
    features: Option<PathBuf>,
    /// The folder of the run [default: runs/captions].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the interrupted run in --out, to the same weights as if it had never stopped.
    #[arg(long, conflicts_with = "overwrite")]
    resume: bool,
    /// Replace an earlier run in --out.
    #[arg(long)]
    overwrite: bool,
    /// Threads; they change no number [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// Where a run goes on.
type Resumed = (RunState<Config>, BTreeMap<String, Tensor>);

pub fn run(args: Args) -> Result<(), Fault> {
    let beam = args.beam.beam()?;
    let (threads, pool) = threads(args.threads)?;
    let (config, resumed, folder) = prepare(&args)?;
    let material = pool.run(|| Material::gather(&args, &config))?;
    if let Some((state, _)) = &resumed {
        material.check_against(&state.data)?;
    }
    let sizes = config.sizes(material.length, material.vocabulary.words().len());
    let (train, dev) = material.batches(&config)?;
    let net = sizes.build(config.training.seed)?;
    let parameters = net.parameter_count();
    let mut trainer = Trainer::new(net, Sequence, config.training.clone())?;

    // Only now, when everything has been found good, does the new run take the place of an earlier one.
    if resumed.is_none() {
        folder.clear()?;
        folder.remove(BEST)?;
    }
    let json = serde_json::to_string_pretty(&config)?;
    write_atomically(&folder.file("config.json"), (json + "\n").as_bytes())?;
    let mut keeper = Keeper::new(&folder, config.clone()).data(material.fingerprints.clone()).held_out("dev");
    keeper = keeper.best(best()).stop_on(interrupt::flag());
    let progress = resumed.as_ref().map(|(state, _)| state.progress.clone());
    if let Some((state, tensors)) = resumed {
        keeper.resume(state, tensors, &mut trainer)?;
    }
    let mut console = Console::new(config.training.epochs, keeper, cnn_nn::Batches::examples(&train));
    if let Some(progress) = progress {
        console.resume(&progress);
    }
    console.start(&format!(
        "Show and Tell on {} photos with {} captions, {} words, {parameters} parameters, {threads} {}, seed {}",
        material.train.len(),
        cnn_nn::Batches::examples(&train),
        sizes.words,
        if threads == 1 { "thread" } else { "threads" },
        config.training.seed,
    ));
    interrupt::listen();
    let outcome = pool.run(|| trainer.fit(&train, &dev, &mut console))?;
    if outcome == Outcome::Stopped {
        let progress = trainer.progress();
        return Err(Fault::interrupted(format!(
            "interrupted in epoch {} of {}, after {} steps; everything is saved in {}, add --resume to go on",
            progress.epoch + 1,
            config.training.epochs,
            progress.step,
            folder.path().display()
        )));
    }
    let times = console.finish();
    let net = Graph::load(folder.file(BEST))?;
    let run =
        report::Run { args: &args, config: &config, folder: &folder, trainer: &trainer, threads, times };
    let report = pool.run(|| run.finish(&material, sizes, &net, &beam))?;
    deliver(&report.words, &report.summary, args.json)
}

/// The file in which the [`Keeper`] keeps the network of the best epoch.
const BEST: &str = "best.safetensors";

/// The rule for the best epoch.
fn best() -> Best {
    Best::lowest("loss")
}

/// The configuration, where the run goes on if it is to, and the folder.
fn prepare(args: &Args) -> Result<(Config, Option<Resumed>, RunFolder), Fault> {
    let config = Config::default().with(&args.options)?;
    let folder = RunFolder::open(args.out.clone().unwrap_or_else(|| home::runs().join("captions")))?;
    if !args.resume {
        if !args.overwrite {
            no_run_in::<Config>(&folder, |config| config.training.epochs)?;
        }
        return Ok((config, None, folder));
    }
    let Some((state, tensors)) = folder.load::<Config>()? else {
        let path = folder.checkpoint();
        let message = format!("--resume: expected {} of an earlier run, found none", path.display());
        return Err(Fault { status: 1, message });
    };
    // The options may be those of the first command, or only some of them.
    let config = state.config.clone().with(&args.options)?;
    if config != state.config {
        return Err(Fault::usage(format!(
            "--resume: the run in {} was started with {}; leave those options out, or start a new run",
            folder.path().display(),
            crate::train::differences(&state.config, &config)
        )));
    }
    Ok((config, Some((state, tensors)), folder))
}

impl Config {
    /// The network for so many features and words.
    fn sizes(&self, features: usize, words: usize) -> ShowAndTell {
        ShowAndTell { features, words, embedding: self.embedding, hidden: self.hidden, dropout: self.dropout }
    }
}
