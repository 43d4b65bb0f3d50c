//! `cnn evaluate`: how often a network is right.

use crate::datasets::{self, ClassesArg};
use crate::fault::{Fault, note, print};
use crate::progress::clock;
use crate::progress::{self, Lines};
use crate::threads::threads;
use crate::weights;
use cnn_data::DatasetName;
use cnn_data::{Dataset, Loader, OnFault, Subset, ToInput};
use cnn_nn::{Batch, Batches, Classify, Input, NnError, evaluate};
use indicatif::ProgressBar;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Test a network on a data set: how often the right class is its first choice, and among its first five.
///
/// Photos are scaled until the shorter side is a little more than the network takes (256 pixels for 224 or 227), and the
/// middle is cut out; with --crops 10, the corners and the middle, each also mirrored, and their answers are averaged
/// (Krizhevsky et al. 2012).
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn evaluate --weights runs/lenet-mnist/model.safetensors --dataset mnist
  cnn evaluate --model model.onnx --preprocess bytes --dataset cifar10
  cnn evaluate --model squeezenet1_0 --weights squeezenet_v1.0.safetensors --dataset photos.tar
  cnn evaluate --weights runs/alexnet-imagenet/best.safetensors --dataset path/to/imagenet --crops 10 --json")]
pub struct Args {
    #[command(flatten)]
    weights: weights::Args,
    #[arg(long, value_name = "NAME|DIR", help = format!("{}, or a folder or archive of images", datasets::names()))]
    dataset: DatasetName,
    /// The folder with the files of a data set that is known by name [default: datasets/NAME].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    classes_from: ClassesArg,
    /// Test with the training images too. A set that is not divided is always tested whole.
    #[arg(long)]
    all: bool,
    /// Average the answers for so many views of each image: 2, itself and its mirror image; or 5 or 10 crops.
    #[arg(long, value_name = "N", value_parser = ["1", "2", "5", "10"], default_value = "1")]
    crops: String,
    /// Images at a time.
    #[arg(long, value_name = "N", default_value_t = 64)]
    batch_size: usize,
    /// Test with N images only, drawn evenly over the classes.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Pass over images that cannot be decoded, naming each once, instead of stopping.
    #[arg(long)]
    skip_bad_images: bool,
    /// Threads [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Report {
    model: String,
    dataset: String,
    images: usize,
    /// 0 to 1.
    top1: f64,
    top5: f64,
    loss: f64,
    crops: usize,
    bad_images: usize,
    seconds: f64,
    threads: usize,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let (count, pool) = threads(args.threads)?;
    let model = weights::load(&args.weights)?;
    let data = datasets::open(
        &args.dataset,
        args.data_dir.as_deref(),
        args.classes_from.choice().unwrap_or_default(),
    )?;
    let input = &model.spec.input;
    let [_, h, w] = input.shape;
    let parts = match (&data.undivided, args.all) {
        (Some(all), _) => vec![all],
        (None, true) => vec![&data.train, &data.test],
        (None, false) => vec![&data.test],
    };
    let loaders = parts.into_iter().map(|part| {
        let part = datasets::matched(part.clone(), &model.spec.classes, &args.dataset)?;
        loader(&args, part, input)
    });
    let loaders = loaders.collect::<Result<Vec<_>, Fault>>()?;
    let everything = Watched::new(loaders);
    note(format!(
        "{} on {}: {} images of {h} x {w}, {} of each, {count} {}",
        model.spec.name,
        args.dataset.title(),
        everything.examples(),
        if args.crops == "1" { "one view".into() } else { format!("{} views", args.crops) },
        if count == 1 { "thread" } else { "threads" },
    ));
    let start = Instant::now();
    let evaluation = pool.run(|| evaluate(&model.net, &Classify::default(), &everything))?;
    let of = |metric: &str| evaluation.get(metric).unwrap_or_default();
    everything.bar.finish_and_clear();
    let bad_images = everything.loaders.iter().map(|loader| loader.faults().len()).sum::<usize>();
    let report = Report {
        model: model.spec.name.clone(),
        dataset: args.dataset.to_string(),
        images: everything.examples() - bad_images,
        top1: of("accuracy"),
        top5: of("top5"),
        loss: of("loss"),
        crops: args.crops.parse().unwrap_or(1),
        bad_images,
        seconds: start.elapsed().as_secs_f64(),
        threads: count,
    };
    if args.json {
        print(serde_json::to_string(&report)?);
        return Ok(());
    }
    let of_all = |share: f64| {
        let images = report.images as f64;
        format!("{:6.2} %  {:.0} of {}", 100.0 * share, share * images, report.images)
    };
    print(format!("right as first choice       {}", of_all(report.top1)));
    print(format!("right among the first five  {}", of_all(report.top5)));
    print(format!("mean loss                   {:.4}", report.loss));
    let rate = report.images as f64 / report.seconds;
    print(format!(
        "time                        {}, {rate:.0} images/s",
        clock(report.seconds.round() as u64)
    ));
    if bad_images > 0 {
        print(format!("{bad_images} images could not be read and were passed over"));
    }
    Ok(())
}

fn loader(args: &Args, examples: Arc<dyn Dataset>, input: &Input) -> Result<Loader, Fault> {
    let examples = match args.limit {
        Some(limit) => Arc::new(Subset::evenly(examples, limit, 0)),
        None => examples,
    };
    let to_input = ToInput::with_views(input, args.crops.parse().unwrap_or(1))?;
    let mut loader = to_input.loader(examples, args.batch_size)?;
    if args.skip_bad_images {
        loader = loader.on_fault(OnFault::skip(|line| note(format!("passed over: {line}"))));
    }
    Ok(loader)
}

/// Loaders one after the other, with a progress bar over what they yield.
struct Watched {
    loaders: Vec<Loader>,
    bar: ProgressBar,
}

impl Watched {
    fn new(loaders: Vec<Loader>) -> Self {
        let images = loaders.iter().map(Batches::examples).sum::<usize>();
        let bar = progress::bar(Some(images as u64), "{pos}/{len} images  [{bar:30}] {per_sec}  {eta} left");
        Self { loaders, bar }
    }
}

impl Batches for Watched {
    fn examples(&self) -> usize {
        self.loaders.iter().map(Batches::examples).sum()
    }

    fn batches(&self) -> usize {
        self.loaders.iter().map(Batches::batches).sum()
    }

    fn epoch(&self, epoch: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
        let (start, mut lines, mut done) = (Instant::now(), Lines::new(), 0);
        let batches = self.loaders.iter().flat_map(move |loader| loader.epoch(epoch, 0)).skip(skip);
        Box::new(batches.inspect(move |batch| {
            let images = batch.as_ref().map_or(0, |batch| batch.labels().len());
            done += images;
            self.bar.inc(images as u64);
            lines.note(&self.bar, || {
                let rate = done as f64 / start.elapsed().as_secs_f64();
                let left = (self.examples().saturating_sub(done)) as f64 / rate.max(1e-9);
                format!("{done}/{} images  {rate:.0} images/s  {} left", self.examples(), clock(left as u64))
            });
        }))
    }
}
