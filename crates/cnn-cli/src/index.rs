//! `cnn index`: the features of many images, for `cnn search`.

use crate::datasets::{self, ClassesArg};
use crate::fault::{Fault, note, print};
use crate::home;
use crate::progress::{self, Lines};
use crate::save::make_folder_of;
use crate::source::{self, Part, Source};
use crate::threads::threads;
use crate::weights;
use cnn::{Features, Indexed};
use cnn_data::{Dataset, DatasetName};
use cnn_search::{Index, Metric, Origin};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// Write an index of images: for each, the outputs of a hidden layer of a network.
///
/// `cnn search` finds in it the images that look most alike to the network (Krizhevsky et al. 2012, figure 4). Without
/// --layer, the features are those that the network's classifier reads. An image that cannot be read is named and left out, and
/// the command ends with status 1. A folder of images without folders for classes makes an index without classes.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn index mnist --weights runs/lenet-mnist/model.safetensors
  cnn index path/to/photos --model squeezenet1_0 --weights squeezenet_v1.0.safetensors --out photos.index
  cnn index cifar10 --part test --weights runs/quick/model.safetensors --layer pool3 --metric euclidean")]
pub struct Args {
    #[arg(value_name = "DIR|NAME", help = format!("A folder or archive of images, or {}", datasets::names()))]
    dataset: DatasetName,
    #[command(flatten)]
    weights: weights::Args,
    /// The layer, by its name in `cnn summary` [default: the last before the classifier].
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// Take maps whole instead of the mean of each.
    #[arg(long)]
    whole_maps: bool,
    /// The distance that searches use by default.
    #[arg(long, value_name = "cosine|euclidean", hide_possible_values = true, default_value_t = Metric::Cosine)]
    metric: Metric,
    /// The part of a divided data set: train, test or all [default: train; a set that is not divided is always taken whole].
    #[arg(long, value_name = "PART", value_parser = source::part_name)]
    part: Option<Part>,
    /// Take N images only, drawn evenly over the classes.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// The folder with the files of a data set that is known by name [default: datasets/NAME].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    classes_from: ClassesArg,
    /// The index to write [default: runs/index/NAME.index].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Threads; they change no number [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Report {
    index: String,
    images: usize,
    unreadable: usize,
    model: String,
    layer: String,
    /// The numbers for each image.
    length: usize,
    classes: usize,
    bytes: u64,
    seconds: f64,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let (_, pool) = threads(args.threads)?;
    let model = weights::load(&args.weights)?;
    let features = match &args.layer {
        Some(layer) => Features::of_pixels(&model)?.layer(layer)?,
        None => Features::of(&model)?,
    };
    let features = features.whole_maps(args.whole_maps);
    let source = Source::open(&args.dataset, args.data_dir.as_deref(), args.classes_from)?;
    let (part, set) = source.part(args.part, args.limit)?;
    let origin = Origin { source: source::written(&args.dataset), part, ..features.origin()? };
    let start = Instant::now();
    let (index, unreadable) = pool.run(|| make(&features, &*set, origin, args.metric))?;
    let out = args
        .out
        .unwrap_or_else(|| home::runs().join("index").join(format!("{}.index", args.dataset.short())));
    make_folder_of(&out)?;
    index.save(&out)?;
    let report = Report {
        index: out.display().to_string(),
        images: index.len(),
        unreadable,
        model: model.spec.name.clone(),
        layer: features.layer_name().into(),
        length: index.length(),
        classes: index.classes().len(),
        bytes: std::fs::metadata(&out)?.len(),
        seconds: start.elapsed().as_secs_f64(),
    };
    if args.json {
        print(serde_json::to_string(&report)?);
    } else {
        print(format!(
            "{} images of {}, {}: {} numbers each, from layer {} of {}",
            index.len(),
            args.dataset.title(),
            index.origin().part,
            index.length(),
            report.layer,
            report.model
        ));
        print(&report.index);
    }
    match unreadable {
        0 => Ok(()),
        bad => {
            let all = index.len() + bad;
            Err(Fault { status: 1, message: format!("{bad} of {all} images could not be read, named above") })
        }
    }
}

/// The index, and how many images could not be read; shows how far it is.
pub fn make(
    features: &Features<'_>,
    set: &dyn Dataset,
    origin: Origin,
    metric: Metric,
) -> Result<(Index, usize), Fault> {
    let bar =
        progress::bar(Some(set.len() as u64), "{pos}/{len} images  [{bar:30}] {per_sec}  {remaining} left");
    let (mut lines, mut unreadable) = (Lines::new(), 0);
    let index = features.index_with(set, origin, metric, &mut |event| {
        match event {
            Indexed::Images(count) => bar.inc(count as u64),
            Indexed::Unreadable(fault) => {
                unreadable += 1;
                bar.inc(1);
                bar.suspend(|| note(format!("passed over: {fault}")));
            }
        }
        lines.note(&bar, || format!("{}/{} images", bar.position(), set.len()));
        Ok(())
    });
    bar.finish_and_clear();
    Ok((index?, unreadable))
}
