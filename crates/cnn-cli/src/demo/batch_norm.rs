//! `cnn demo batch-norm`: what initialisation and batch normalisation do to a deep network.

use super::study::{Options, Steps, Study, diverged, say};
use crate::fault::{Fault, print};
use crate::home;
use crate::save::save;
use cnn_nn::spec::{NamedSpec, batch_norm1d, flatten, linear, tanh};
use cnn_nn::{At, Batches, Classify, Graph, GraphSpec, Init, Kept, Layer, NnError, Trainer};
use cnn_report::{self as pictures, Chart, Histogram, HistogramRow, Line, X, Y};
use cnn_tensor::Tensor;
use serde::Serialize;
use std::path::PathBuf;

/// Histograms of the activations in a deep network, layer by layer, and the learning rates at which it trains: with small, large
/// and Xavier's initial weights, each with and without batch normalisation.
///
/// The network has ten layers of 100 units with tanh, and a layer of scores. Weights that are too small let the activations
/// shrink to 0 from layer to layer; weights that are too large drive them to -1 and 1, where tanh has no slope. Either way hardly
/// any gradient comes through. Takes half a minute on two cores.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn demo batch-norm
  cnn demo batch-norm --dataset fashion-mnist --images 5000 --epochs 3 --out fashion")]
pub struct Args {
    #[command(flatten)]
    options: Options,
    /// Training images of each of the short trainings.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    images: usize,
    /// Passes over them.
    #[arg(long, value_name = "N", default_value_t = 2)]
    epochs: usize,
    /// The folder for the pictures [default: runs/batch-norm].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const LAYERS: usize = 10;
const UNITS: usize = 100;
/// Images whose activations are counted.
const SEEN: usize = 500;
/// Test images of the short trainings.
const TESTED: usize = 1000;
const BATCH: usize = 50;
const RATES: [f32; 8] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0];
/// Bars of a histogram.
const BARS: usize = 32;

/// The initial weights of the layers.
const STARTS: [(&str, Init); 3] = [
    ("small weights, normal of deviation 0.01", Init::Normal(0.01)),
    ("Xavier's weights", Init::XavierNormal),
    ("large weights, normal of deviation 1", Init::Normal(1.0)),
];

/// The output of `--json`.
#[derive(Serialize)]
struct Report {
    dataset: String,
    seed: u64,
    networks: Vec<Network>,
    pictures: [PathBuf; 2],
}

/// One of the networks.
#[derive(Serialize)]
struct Network {
    weights: &'static str,
    batch_norm: bool,
    /// Before training.
    layers: Vec<Activations>,
    trainings: Vec<Training>,
}

/// The activations of a layer for some images.
#[derive(Serialize)]
struct Activations {
    mean: f64,
    deviation: f64,
    /// The share of those beyond 0.99 either way.
    saturated: f64,
    /// The number of activations in equal parts of -1 to 1.
    counts: Vec<u64>,
}

/// A short training.
#[derive(Clone, Serialize)]
struct Training {
    learning_rate: f32,
    /// 0 to 1; `null` if the loss became infinite.
    test_accuracy: Option<f64>,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let study = Study::open(&args.options)?;
    if args.epochs == 0 {
        return Err(Fault::usage("--epochs: expected at least 1, got 0"));
    }
    let networks = study.pool.run(|| networks(&study, &args))?;
    let json = args.options.json;
    table(json, &networks);
    let out = args.out.unwrap_or_else(|| home::runs().join("batch-norm"));
    let [activations, rates] = ["activations.png", "learning-rates.png"].map(|name| out.join(name));
    save(&activations, &draw_activations(&networks, &study.title)?)?;
    let trained = format!(
        "accuracy on {TESTED} test images of {} after {} epochs on {} images, by gradient descent with momentum 0.9",
        study.title, args.epochs, args.images
    );
    save(&rates, &draw_rates(&networks, &trained)?)?;
    if json {
        let (dataset, seed) = (study.title, study.seed);
        let report = Report { dataset, seed, networks, pictures: [activations, rates] };
        print(serde_json::to_string(&report)?);
    } else {
        print(format!("{}\n{}", activations.display(), rates.display()));
    }
    Ok(())
}

/// The six networks, looked at and trained.
fn networks(study: &Study, args: &Args) -> Result<Vec<Network>, Fault> {
    let train = study.some(&study.data.train, "--images", args.images)?;
    let tested = TESTED.min(study.data.test.len());
    let test = study.loader(study.some(&study.data.test, "test images", tested)?, 250)?;
    let train = study.loader(train, BATCH)?.shuffle(study.seed);
    let seen = study.some(&study.data.train, "training images", SEEN.min(study.data.train.len()))?;
    let seen = study.loader(seen, SEEN)?.epoch(0, 0).next().transpose()?.map(|batch| batch.inputs[0].clone());
    let seen = seen.unwrap_or_default();

    let classes = study.data.classes().len();
    let mut steps = Steps::new(2 * STARTS.len() * RATES.len(), "trainings");
    let mut networks = Vec::new();
    for (weights, init) in STARTS {
        for batch_norm in [false, true] {
            let described = layers(init, batch_norm, classes);
            let layers = activations(described.clone(), study, &seen)?;
            let mut trainings = Vec::new();
            for learning_rate in RATES {
                let settings = study.settings(args.epochs, learning_rate);
                let net = Graph::build(described.clone(), study.shape, study.seed)?;
                let mut trainer = Trainer::new(net, Classify::default(), settings)?;
                let test_accuracy = match trainer.fit(&train, &test, &mut ()) {
                    Ok(_) => trainer.progress().history.last().and_then(|epoch| epoch.test("accuracy")),
                    Err(fault) if diverged(&fault) => None,
                    Err(fault) => return Err(fault.into()),
                };
                trainings.push(Training { learning_rate, test_accuracy });
                steps.advance();
            }
            networks.push(Network { weights, batch_norm, layers, trainings });
        }
    }
    steps.finish();
    Ok(networks)
}

/// Layers with tanh, and scores.
fn layers(init: Init, batch_norm: bool, classes: usize) -> Vec<NamedSpec> {
    let mut layers = vec![flatten().named("flatten")];
    for i in 1..=LAYERS {
        layers.push(linear(UNITS).init(init).bias_init(Init::Zeros).named(&format!("fc{i}")));
        if batch_norm {
            layers.push(batch_norm1d().named(&format!("norm{i}")));
        }
        layers.push(tanh().named(&format!("tanh{i}")));
    }
    layers.push(linear(classes).init(Init::XavierNormal).bias_init(Init::Zeros).named("scores"));
    layers
}

/// The activations of each layer as in the first step of training, in which batch normalisation uses the statistics of the batch:
/// the outputs of the same network with an output behind every tanh.
fn activations(layers: Vec<NamedSpec>, study: &Study, images: &Tensor) -> Result<Vec<Activations>, NnError> {
    let names: Vec<String> = (1..=LAYERS).map(|i| format!("tanh{i}")).collect();
    let spec = GraphSpec::chain(layers).outputs(names.iter().map(String::as_str));
    let net = Graph::of(&spec, [study.shape], study.seed)?;
    let outputs = net.forward(images.clone().into(), At::default(), &mut Kept::default())?;
    Ok(outputs.iter().map(|activations| Activations::of(activations.data())).collect())
}

impl Activations {
    fn of(values: &[f32]) -> Self {
        let all = || values.iter().map(|&value| f64::from(value));
        let count = values.len().max(1) as f64;
        let mean = all().sum::<f64>() / count;
        let deviation = (all().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        let saturated = all().filter(|value| value.abs() > 0.99).count() as f64 / count;
        let mut counts = vec![0; BARS];
        for value in all() {
            counts[(((value + 1.0) / 2.0 * BARS as f64) as usize).min(BARS - 1)] += 1;
        }
        Self { mean, deviation, saturated, counts }
    }
}

impl Network {
    fn title(&self) -> String {
        format!("{}{}", self.weights, if self.batch_norm { ", batch normalisation" } else { "" })
    }
}

/// The standard deviations of the activations, and the accuracies.
fn table(json: bool, networks: &[Network]) {
    let width = networks.iter().map(|network| network.title().len()).max().unwrap_or(0);
    say(json, "standard deviation of the activations, layers 1 to 10, before training:");
    for network in networks {
        let cells = network.layers.iter().map(|layer| format!("{:6.3}", layer.deviation));
        say(json, format!("  {:width$}{}", network.title(), cells.collect::<String>()));
    }
    say(json, "test accuracy, %, by learning rate (x: the loss became infinite):");
    say(json, format!("  {:width$}{}", "", RATES.map(|rate| format!("{rate:>7}")).concat()));
    for network in networks {
        let cells = network.trainings.iter().map(|training| match training.test_accuracy {
            Some(accuracy) => format!("{:7.1}", 100.0 * accuracy),
            None => format!("{:>7}", "x"),
        });
        say(json, format!("  {:width$}{}", network.title(), cells.collect::<String>()));
    }
}

fn draw_activations(networks: &[Network], dataset: &str) -> Result<Vec<u8>, Fault> {
    let row = |network: &Network| HistogramRow {
        heading: network.title(),
        histograms: network
            .layers
            .iter()
            .enumerate()
            .map(|(i, layer)| Histogram {
                counts: layer.counts.clone(),
                caption: format!("layer {}: std {:.2}", i + 1, layer.deviation),
            })
            .collect(),
    };
    // The two bad beginnings, as they should be, and the bad ones repaired.
    let rows: Vec<HistogramRow> = [0, 4, 2, 1, 5].iter().filter_map(|&i| networks.get(i)).map(row).collect();
    let note = format!(
        "activations of ten layers of {UNITS} units with tanh, before training, for {SEEN} images of {dataset}; \
         std: their standard deviation"
    );
    Ok(pictures::histograms("Activations, layer by layer", &note, [-1.0, 1.0], &rows)?)
}

fn draw_rates(networks: &[Network], note: &str) -> Result<Vec<u8>, Fault> {
    let line = |network: &Network| Line {
        name: if network.batch_norm { "with batch normalisation" } else { "without" }.into(),
        color: usize::from(!network.batch_norm),
        pale: false,
        points: network
            .trainings
            .iter()
            .filter_map(|training| Some((f64::from(training.learning_rate), 100.0 * training.test_accuracy?)))
            .collect(),
    };
    let chart = |pair: &[Network]| Chart {
        heading: pair.first().map_or(String::new(), |network| {
            network.weights.split(',').next().unwrap_or_default().to_string()
        }),
        x: X::LearningRates,
        y: Y::WholePercent,
        lines: pair.iter().map(line).collect(),
    };
    let charts: Vec<Chart> = networks.chunks(2).map(chart).collect();
    Ok(pictures::lines("Learning rates at which a network of ten layers trains", note, &charts)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_are_counted() {
        let Activations { mean, deviation, saturated, counts } = Activations::of(&[-1.0, 1.0, 0.5, -0.5]);
        assert_eq!((mean, saturated), (0.0, 0.5));
        assert!((deviation - 0.625f64.sqrt()).abs() < 1e-12);
        assert_eq!((counts.iter().sum::<u64>(), counts[0], counts[BARS - 1]), (4, 1, 1));
        assert_eq!(counts[BARS * 3 / 4], 1);
        assert_eq!(Activations::of(&[]).counts, [0; BARS]);
    }
}
