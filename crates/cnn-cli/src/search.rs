//! `cnn search`: the images of an index that are nearest to others.

mod evaluation;
mod sheet;

use crate::datasets::ClassesArg;
use crate::fault::{Fault, print};
use crate::images_at::{self, Gone, Image};
use crate::nearest;
use crate::source::Source;
use crate::threads::threads;
use crate::weights;
use cnn::Features;
use cnn_data::{Dataset, DatasetName, Picture};
use cnn_nn::Model;
use cnn_search::{Hit, Index, Metric};
use cnn_tensor::Random;
use cnn_tensor::text::one_line;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// Find the images of an index that look most like given ones to a network.
///
/// The index is one that `cnn index` wrote with the same weights. Of equal distances, the image with the lower number comes
/// first. With --evaluate, the classes of the index tell how good the rankings are: each image of the index is a query that is
/// left out of its own ranking (`own`), or the images of the data set's test part are (`test`). An untrained network of the same
/// layers and the raw pixels are ranked for comparison.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn search seven.png --index runs/index/mnist.index --weights runs/lenet-mnist/model.safetensors
  cnn search --samples 6 --index runs/index/mnist.index --weights runs/lenet-mnist/model.safetensors --picture alike.png
  cnn search --evaluate test --index runs/index/mnist.index --weights runs/lenet-mnist/model.safetensors --json")]
pub struct Args {
    /// The images to compare, or folders of them.
    #[arg(value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// The index.
    #[arg(long, value_name = "FILE")]
    index: PathBuf,
    #[command(flatten)]
    weights: weights::Args,
    /// How many of the nearest to find [default: 8; with --evaluate, 10].
    #[arg(short, long, value_name = "N")]
    k: Option<usize>,
    /// The distance: cosine or euclidean [default: the index's].
    #[arg(long, value_name = "NAME")]
    metric: Option<Metric>,
    /// Take N test images of the index's data set as queries, or of its own images if there is no test part.
    #[arg(long, value_name = "N", conflicts_with = "images")]
    samples: Option<usize>,
    /// Measure precision at k and mean average precision, with the index's own images as queries, or the test images.
    #[arg(long, value_name = "own|test", value_enum, hide_possible_values = true, conflicts_with_all = ["images", "samples", "picture"])]
    evaluate: Option<evaluation::Asked>,
    /// Draw each query with its nearest beside it.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Where the images of the index are now, if they were moved: a folder, an archive or a name.
    #[arg(long, value_name = "NAME|DIR")]
    dataset: Option<DatasetName>,
    /// The folder with the files of a data set that is known by name [default: datasets/NAME].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    classes_from: ClassesArg,
    /// Which samples, and the weights of the untrained network.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Threads; they change no number [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print JSON: an array with an object for each query, or one object with --evaluate.
    #[arg(long)]
    json: bool,
}

/// An image to compare.
struct Query {
    name: String,
    class: Option<String>,
    picture: Picture<'static>,
    features: Vec<f32>,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Answer<'a> {
    image: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
    nearest: Vec<Near<'a>>,
}

#[derive(Serialize)]
struct Near<'a> {
    /// The number in the index.
    number: usize,
    image: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
    distance: f64,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let (_, pool) = threads(args.threads)?;
    if args.images.is_empty() && args.samples.is_none() && args.evaluate.is_none() {
        return Err(Fault::usage("search: expected images, --samples or --evaluate"));
    }
    let index = Index::load(&args.index)?;
    let model = weights::load(&args.weights)?;
    let within = |fault: cnn::Error| {
        let fault = fault.to_string();
        let fault = fault.strip_prefix("the index: ").unwrap_or(&fault);
        Fault { status: 1, message: format!("{}: {fault}", args.index.display()) }
    };
    let features = Features::of_index(&model, &index).map_err(within)?;
    let metric = args.metric.unwrap_or(index.metric());
    let k = args.k.unwrap_or(if args.evaluate.is_some() { 10 } else { 8.min(index.len()) });
    pool.run(|| match args.evaluate {
        Some(asked) => evaluation::run(&args, asked, &index, &model, metric, k),
        None => answer(&args, &index, &model, &features, metric, k),
    })
}

/// The data set that the index was made of.
fn source_of(args: &Args, index: &Index) -> Result<Source, Fault> {
    let name = match &args.dataset {
        Some(name) => name.clone(),
        None => index.origin().source.as_str().into(),
    };
    nearest::check_dataset(&name)?;
    Source::open(&name, args.data_dir.as_deref(), args.classes_from).map_err(|fault| Fault {
        message: format!("{}; name the place of the index's images with --dataset", fault.message),
        ..fault
    })
}

fn answer(
    args: &Args,
    index: &Index,
    model: &Model,
    features: &Features<'_>,
    metric: Metric,
    k: usize,
) -> Result<(), Fault> {
    let (queries, gone) = match args.samples {
        Some(count) => (samples(args, index, features, count)?, Gone::default()),
        None => read(args, features)?,
    };
    let vectors: Vec<f32> = queries.iter().flat_map(|query| &query.features).copied().collect();
    let found = index.search(&vectors, k, metric)?;
    if args.json {
        let answers: Vec<Answer<'_>> =
            queries.iter().zip(&found).map(|(query, hits)| Answer::new(query, hits, index)).collect();
        print(serde_json::to_string(&answers)?);
    } else {
        queries.iter().zip(&found).for_each(|(query, hits)| print_hits(query, hits, index));
    }
    if let Some(file) = &args.picture {
        let title = format!("The nearest by layer {} of {}", index.origin().layer, model.spec.name);
        sheet::write(file, &title, metric, (index, source_of(args, index)), &queries, &found)?;
        if !args.json {
            print(file.display());
        }
    }
    gone.end("answered")
}

/// The images of the command line, as far as they can be read.
fn read(args: &Args, features: &Features<'_>) -> Result<(Vec<Query>, Gone), Fault> {
    let mut queries = Vec::new();
    let found = images_at::find(&args.images)?;
    let answer = |image: &Image<'_>| {
        let features = image.answer(|path| features.read(path), |picture| features.of_picture(picture))?;
        Ok((features, image.picture()?))
    };
    let gone = images_at::go_through(&found, answer, |image, (features, picture), _| {
        queries.push(Query { name: image.name(), class: None, picture, features });
        Ok(())
    })?;
    Ok((queries, gone.unless_the_only_one()?))
}

/// Images of the data set as queries.
fn samples(args: &Args, index: &Index, features: &Features<'_>, count: usize) -> Result<Vec<Query>, Fault> {
    let source = source_of(args, index)?;
    let set: Arc<dyn Dataset> = match &source {
        Source::Labelled(data) if index.origin().part.starts_with("train") => data.test.clone(),
        Source::Labelled(data) if index.origin().part.starts_with("test") => data.train.clone(),
        // The images themselves; each then finds itself first.
        _ => match source.reopen(&index.origin().part) {
            Some(set) => set,
            None => {
                return Err(Fault::usage(format!("the index has an unknown part, {}", index.origin().part)));
            }
        },
    };
    if count == 0 || count > set.len() {
        return Err(Fault::usage(format!("--samples: expected 1 to {}, got {count}", set.len())));
    }
    let mut order: Vec<usize> = (0..set.len()).collect();
    Random::new(args.seed, &["search", "samples"]).shuffle(&mut order);
    let queries = order[..count].iter().map(|&i| {
        let picture = set.picture(i)?.into_owned();
        let class = set.classes().get(set.label(i) as usize).filter(|class| !class.is_empty()).cloned();
        let features = features.of_example(&*set, i)?;
        Ok(Query { name: set.name(i), class, picture, features })
    });
    queries.collect()
}

impl<'a> Answer<'a> {
    fn new(query: &'a Query, hits: &[Hit], index: &'a Index) -> Self {
        let near = |hit: &Hit| Near {
            number: hit.number,
            image: &index.item(hit.number).name,
            class: index.class(hit.number),
            distance: hit.distance,
        };
        Self { image: &query.name, class: query.class.as_deref(), nearest: hits.iter().map(near).collect() }
    }
}

fn print_hits(query: &Query, hits: &[Hit], index: &Index) {
    let class =
        query.class.as_ref().map(|class| format!(", of class {}", one_line(class))).unwrap_or_default();
    print(format!("{}{class}", one_line(&query.name)));
    let longest =
        hits.iter().filter_map(|hit| index.class(hit.number)).map(|class| one_line(class).chars().count());
    let longest = longest.max().unwrap_or(0);
    for hit in hits {
        let class = one_line(index.class(hit.number).unwrap_or_default());
        let name = one_line(&index.item(hit.number).name);
        print(format!("  {:8.4}  {class:longest$}  {name}", hit.distance));
    }
}
