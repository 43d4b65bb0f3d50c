//! `cnn demo transfer`: what trained features are worth, by the number of images of each class.

use super::study::{Steps, say};
use crate::datasets::ClassesArg;
use crate::fault::{Fault, note, print};
use crate::home;
use crate::nearest;
use crate::save::save;
use crate::threads::threads;
use crate::train::{self, Config, Material, Start};
use crate::weights;
use cnn_data::{Dataset, DatasetName, Loader, Normalize, Subset};
use cnn_nn::spec::linear;
use cnn_nn::{
    AdamW, Batch, Batches, Classify, Graph, Model, OptimizerSpec, ParameterGroup, Schedule, TrainSettings,
    Trainer, evaluate,
};
use cnn_report::{Chart, Line, X, Y, lines};
use cnn_tensor::Tensor;
use cnn_zoo::{Network, NetworkName};
use serde::Serialize;
use std::collections::BTreeMap;
use std::mem::replace;
use std::path::PathBuf;
use std::sync::Arc;

/// Train from scratch, on frozen features, and fine-tuned, with 10, 30, 100 and 300 images of each class, and draw the test
/// accuracies.
///
/// Frozen features are what the published network computes before its classifier; a new linear layer learns on them alone.
/// Fine-tuning goes on from there with all weights, at rates that fall towards the input; batch normalisation keeps its
/// statistics. From scratch, the same network begins with random weights and takes twice as many steps. Each is repeated with
/// several seeds, which choose the images as well: this takes minutes, and the bar says how many are left.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn demo transfer --model mobilenet_v2 --weights mobilenet_v2.safetensors --dataset ants-and-bees.tar --images 10,30,100
  cnn demo transfer --model squeezenet1_0 --weights squeezenet.safetensors --dataset photos --size 128 --json")]
pub struct Args {
    #[arg(long, value_name = "NAME", value_parser = nearest::network, help = format!("The network: {}", Network::names()))]
    model: NetworkName,
    /// Its published weights.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// A data set known by name, or a folder or archive of images.
    #[arg(long, value_name = "NAME|DIR")]
    dataset: DatasetName,
    /// The folder with the files of a data set that is known by name [default: datasets/NAME].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    classes_from: ClassesArg,
    /// Height and width of the images that the network takes [default: the network's own]; smaller is faster.
    #[arg(long, value_name = "N")]
    size: Option<usize>,
    /// Training images of each class. A class that has fewer gives all of them.
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [10, 30, 100, 300])]
    images: Vec<usize>,
    /// Repetitions, with the seeds 0 to N - 1.
    #[arg(long, value_name = "N", default_value_t = 3)]
    seeds: u64,
    /// Steps of fine-tuning, of 32 images each.
    #[arg(long, value_name = "N", default_value_t = 60)]
    steps: usize,
    /// The highest learning rate of fine-tuning, that of the last layer.
    #[arg(long, value_name = "RATE", default_value_t = 0.0002, allow_negative_numbers = true)]
    lr: f32,
    /// Threads; they change the time and nothing else [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// The picture to write [default: runs/transfer.png].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// Images per step, if there are as many.
const BATCH: usize = 32;
/// Steps of the linear layer on frozen features, each of all images.
const HEAD_STEPS: usize = 200;
/// Steps from scratch, for each step of fine-tuning.
const SCRATCH: usize = 2;
/// The highest learning rate from scratch.
const SCRATCH_RATE: f32 = 0.001;
/// How many times lower the rate of the first layer is than that of the last.
const FALL: f32 = 100.0;

const WAYS: [&str; 3] = ["from scratch", "frozen features", "fine-tuned"];

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    model: String,
    dataset: String,
    classes: usize,
    test_images: usize,
    rows: Vec<Row>,
}

/// The accuracies of one number of images.
#[derive(Serialize)]
struct Row {
    images_per_class: usize,
    /// For each way its name, and the test accuracy of each seed, 0 to 1.
    ways: Vec<(&'static str, Vec<f64>)>,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let (_, pool) = threads(args.threads)?;
    if args.seeds == 0 || args.steps == 0 || args.images.contains(&0) {
        return Err(Fault::usage("--seeds, --steps, --images: expected at least 1, got 0"));
    }
    if !(args.lr.is_finite() && args.lr > 0.0) {
        return Err(Fault::usage(format!("--lr: expected a number above 0, got {}", args.lr)));
    }
    let config = config(&args)?;
    let mut material = Material::gather(&config, None)?;
    let Start::Weights { network, weights, file } = replace(&mut material.start, Start::Fresh(args.model))
    else {
        return Err(Fault::usage("--weights: expected a file"));
    };
    let (published, _) = weights::begin(*weights, &file, &network, &material.spec, true, 0)?;
    let experiment =
        Experiment { args: &args, config: &config, material: &material, published: published.net };
    let most = *material.data.train.class_counts().iter().max().unwrap_or(&0);
    let (images, above): (Vec<usize>, Vec<usize>) = args.images.iter().partition(|count| **count <= most);
    if images.is_empty() {
        return Err(Fault::usage(format!(
            "--images: expected at most {most}, the images of the largest class, got {above:?}"
        )));
    }
    for count in &above {
        note(format!("left out: {count} images of each class, since the largest class has {most}"));
    }
    let rows = pool.run(|| experiment.rows(&images))?;
    let report = Report {
        model: config.model.to_string(),
        dataset: config.dataset.to_string(),
        classes: material.spec.classes.len(),
        test_images: material.data.test.len(),
        rows,
    };
    let out = args.out.clone().unwrap_or_else(|| home::runs().join("transfer.png"));
    save(&out, &picture(&config, &report)?)?;
    say(args.json, table(&report));
    say(args.json, out.display());
    if args.json {
        print(serde_json::to_string(&report)?);
    }
    Ok(())
}

/// The configuration of a training of the whole network on these images.
fn config(args: &Args) -> Result<Config, Fault> {
    let options = train::Options {
        dataset: Some(args.dataset.clone()),
        data_dir: args.data_dir.clone(),
        classes_from: args.classes_from,
        size: args.size,
        // A size changes the transforms, which `train` wants to be named then.
        augment: Some("alexnet".into()),
        weights: Some(args.weights.clone()),
        new_head: true,
        ..train::Options::default()
    };
    let config = Config::new(args.model, &options)?;
    config.validate()?;
    Ok(config)
}

struct Experiment<'a> {
    args: &'a Args,
    config: &'a Config,
    material: &'a Material,
    /// The network with its published weights and a new head.
    published: Graph,
}

impl Experiment<'_> {
    fn rows(&self, images: &[usize]) -> Result<Vec<Row>, Fault> {
        let (classes, seeds) = (self.material.spec.classes.len(), self.args.seeds);
        let mut steps = Steps::new(images.len() * seeds as usize * WAYS.len(), "trainings");
        let test = self.testing(self.material.data.test.clone())?;
        let test_features = features(&self.published, &test)?;
        let mut rows = Vec::new();
        for &count in images {
            let mut ways = WAYS.map(|way| (way, Vec::new()));
            for seed in 0..seeds {
                let chosen = of_each_class(&self.material.data.train, count, seed);
                let mut note = |way: usize, accuracy: f64| {
                    ways[way].1.push(accuracy);
                    steps.advance();
                };
                let scratch = Model::build(self.material.spec.clone(), seed)?.net;
                note(
                    0,
                    accuracy(&self.learn(scratch, &chosen, seed, SCRATCH * self.args.steps, false)?, &test)?,
                );

                let head =
                    learn_head(&features(&self.published, &self.testing(chosen.clone())?)?, classes, seed)?;
                note(1, accuracy(&head, &test_features)?);

                let whole = self.with_head(&head)?;
                note(2, accuracy(&self.learn(whole, &chosen, seed, self.args.steps, true)?, &test)?);
            }
            rows.push(Row { images_per_class: count, ways: ways.into() });
        }
        steps.finish();
        Ok(rows)
    }

    /// The published network with a head that has learned.
    fn with_head(&self, head: &Graph) -> Result<Graph, Fault> {
        let mut tensors: BTreeMap<String, Tensor> = self.published.tensors().into_iter().collect();
        tensors.extend(head.tensors());
        Ok(Model::from_tensors(self.material.spec.clone(), tensors)?.net)
    }

    fn normalized(&self, images: Arc<dyn Dataset>, batch: usize) -> Result<Loader, Fault> {
        let input = &self.material.spec.input;
        Ok(Loader::new(images, batch)?.normalize(Normalize::new(&input.mean, &input.std)?).workers(2))
    }

    /// Images as tests see them, in their order.
    fn testing(&self, images: Arc<dyn Dataset>) -> Result<Loader, Fault> {
        Ok(self.normalized(images, 2 * BATCH)?.transform(self.config.test.clone(), 0)?)
    }

    /// The network after so many steps on these images, from scratch or `tuned` with rates that fall towards the input.
    fn learn(
        &self,
        net: Graph,
        images: &Arc<dyn Dataset>,
        seed: u64,
        steps: usize,
        tuned: bool,
    ) -> Result<Graph, Fault> {
        let loader = self.normalized(images.clone(), BATCH.min(images.len()))?.drop_last();
        let loader = loader.shuffle(seed).transform(self.config.augment.clone(), seed)?;
        let mut settings = settings(if tuned { self.args.lr } else { SCRATCH_RATE }, seed);
        if tuned {
            let mut names = Vec::new();
            net.parameters(&mut |name, _| names.push(name.to_string()));
            settings.groups = ParameterGroup::falling(names.iter().map(String::as_str), FALL);
        }
        let mut trainer = Trainer::new(net, Classify::default(), settings)?;
        let mut left = steps;
        for epoch in 0.. {
            for batch in loader.epoch(epoch, 0).take(left) {
                trainer.step(&batch?, steps)?;
                left -= 1;
            }
            if left == 0 {
                break;
            }
        }
        Ok(trainer.into_net())
    }
}

/// `count` images of each class, or all that a class has.
fn of_each_class(images: &Arc<dyn Dataset>, count: usize, seed: u64) -> Arc<dyn Dataset> {
    // Not `count` times the number of classes: larger classes would make up for those that have fewer.
    let wanted = images.class_counts().iter().map(|has| count.min(*has)).sum();
    Arc::new(Subset::evenly(images.clone(), wanted, seed))
}

/// One cycle of AdamW over all steps, which are one epoch.
fn settings(learning_rate: f32, seed: u64) -> TrainSettings {
    TrainSettings {
        epochs: 1,
        learning_rate,
        schedule: Schedule::OneCycle { warmup: 0.2 },
        optimizer: OptimizerSpec::AdamW(AdamW::default()),
        seed,
        ..TrainSettings::default()
    }
}

/// What the layer before the head computes for each image, with the labels: one batch.
struct Features(Batch);

impl Batches for Features {
    fn examples(&self) -> usize {
        self.0.target.labels().len()
    }

    fn batches(&self) -> usize {
        1
    }

    fn epoch(&self, _: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch, cnn_nn::NnError>> + '_> {
        Box::new(std::iter::once(Ok(self.0.clone())).skip(skip))
    }
}

fn features(net: &Graph, images: &Loader) -> Result<Features, Fault> {
    let layer = net
        .before_classifier()
        .ok_or_else(|| Fault::usage("--model: expected a network with a layer before its classifier"))?;
    let (mut numbers, mut labels, mut width) = (Vec::new(), Vec::new(), 0);
    for batch in images.epoch(0, 0) {
        let batch = batch?;
        let features = net.infer_until(&batch.inputs[0], layer)?;
        width = features.shape().numel() / features.shape().batch().max(1);
        numbers.extend_from_slice(features.data());
        labels.extend_from_slice(batch.target.labels());
    }
    Ok(Features(Batch::new(Tensor::from_vec([labels.len(), width], numbers)?, labels)))
}

/// A linear layer that has learned from features.
fn learn_head(features: &Features, classes: usize, seed: u64) -> Result<Graph, Fault> {
    let width = features.0.inputs[0].shape().dims()[1];
    let head = Graph::build([linear(classes).named("head")], [width], seed)?;
    let mut trainer = Trainer::new(head, Classify::default(), settings(0.01, seed))?;
    for _ in 0..HEAD_STEPS {
        trainer.step(&features.0, HEAD_STEPS)?;
    }
    Ok(trainer.into_net())
}

fn accuracy(net: &Graph, test: &dyn Batches) -> Result<f64, Fault> {
    Ok(evaluate(net, &Classify::default(), test)?.get("accuracy").unwrap_or_default())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn table(report: &Report) -> String {
    let mut lines =
        vec![format!("{:>16}  {:>26}  {:>26}  {:>26}", "images per class", WAYS[0], WAYS[1], WAYS[2])];
    for row in &report.rows {
        let cells = row.ways.iter().map(|(_, values)| {
            let [least, most] =
                [f64::min, f64::max].map(|of| values.iter().copied().reduce(of).unwrap_or_default());
            let range =
                format!("{:.1} % ({:.1} to {:.1})", 100.0 * mean(values), 100.0 * least, 100.0 * most);
            format!("  {range:>26}")
        });
        lines.push(format!("{:>16}{}", row.images_per_class, cells.collect::<String>()));
    }
    lines.join("\n")
}

fn picture(config: &Config, report: &Report) -> Result<Vec<u8>, Fault> {
    let each = |way: usize| -> Vec<(f64, f64)> {
        report.rows.iter().map(|row| (row.images_per_class as f64, 100.0 * mean(&row.ways[way].1))).collect()
    };
    let lines_of = |way: usize| Line { name: WAYS[way].into(), color: way, pale: false, points: each(way) };
    let chart = Chart {
        heading: format!("Accuracy on {} test images, %", report.test_images),
        x: X::ImagesPerClass,
        y: Y::Percent,
        lines: (0..WAYS.len()).map(lines_of).collect(),
    };
    let title = format!("Transfer learning: {} on {}", config.model.title(), config.dataset.title());
    let seeds = report.rows.first().map_or(0, |row| row.ways[0].1.len());
    let note =
        format!("{} classes; the mean of {seeds} seeds, which choose the images as well", report.classes);
    Ok(lines(&title, &note, &[chart])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_data::InMemoryDataset;

    #[test]
    fn a_large_class_does_not_make_up_for_a_small_one() {
        let labels: Vec<u32> = [0; 20].into_iter().chain([1; 4]).collect();
        let classes = ["many", "few"].map(String::from).to_vec();
        let images = InMemoryDataset::new([24, 1, 1, 1], vec![0; 24], labels, classes).unwrap();
        let images: Arc<dyn Dataset> = Arc::new(images);
        assert_eq!(of_each_class(&images, 3, 0).class_counts(), [3, 3]);
        assert_eq!(of_each_class(&images, 8, 0).class_counts(), [8, 4]);
    }
}
