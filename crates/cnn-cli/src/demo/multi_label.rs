//! `cnn demo multi-label`: N binary classifiers, on pairs of digits.

use crate::fault::{Fault, note, print};
use crate::progress::{self, Lines, clock};
use crate::save::save;
use crate::threads::threads;
use crate::{datasets, home};
use cnn_data::{Dataset, DatasetName};
use cnn_nn::metrics::average_precision;
use cnn_nn::spec::{conv2d, flatten, linear, max_pool2d, relu};
use cnn_nn::{
    Batch, Batches, Graph, MultiLabel, NnError, Observer, Sgd, StepReport, TrainSettings, Trainer, layers,
};
use cnn_report::Outputs;
use cnn_tensor::{Random, Tensor};
use image::{Rgb, RgbImage};
use indicatif::ProgressBar;
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Train ten binary classifiers at once: which digits does an image of two digits show?
///
/// Two digits of MNIST stand side by side in an image of 28 x 56. A small convolutional network has ten outputs, each under a
/// sigmoid of its own, and learns by binary cross-entropy: several classes may be right, so a softmax would be wrong. Reported are
/// the average precision of each class over pairs of test digits, and their mean. It takes about a minute on two cores.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn demo multi-label
  cnn demo multi-label --pairs 5000 --epochs 2 --seed 3 --out pairs.png --json")]
pub struct Args {
    /// Pairs to train on.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pairs: u32,
    /// Pairs of test digits to test on.
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    test_pairs: u32,
    /// Passes over the pairs.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    epochs: u32,
    /// Which digits stand together, and the initial weights.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The folder with MNIST's files [default: datasets/mnist].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The picture to write [default: runs/multi-label.png].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Threads; they change no number [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// Pairs on the picture.
const DRAWN: usize = 12;
const BATCH: usize = 64;
const SIDE: usize = 28;

/// The output of `--json`.
#[derive(Serialize)]
struct Report {
    pairs: usize,
    test_pairs: usize,
    /// Of each class, 0 to 1; `null` for a class that no test pair has.
    average_precision: Vec<Option<f64>>,
    mean_average_precision: f64,
    /// The share of pairs that have the class: the average precision of guessing.
    share: Vec<f64>,
    /// The share of all yes-or-no answers that are right.
    accuracy: f64,
    /// The share of pairs of which all ten answers are right.
    exact: f64,
    seconds: f64,
    picture: String,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let (_, pool) = threads(args.threads)?;
    let mnist = DatasetName::from("mnist");
    let data = datasets::open(&mnist, args.data_dir.as_deref(), Default::default())?;
    let normal = (data.mean[0], data.std[0]);
    let train = Pairs::new(data.train, args.pairs as usize, args.seed, "train", normal);
    let test = Pairs::new(data.test, args.test_pairs as usize, args.seed, "test", normal);
    let classes = train.digits.classes().to_vec();
    let start = Instant::now();
    let (accuracy, exact, scores) = pool.run(|| learn(&args, &train, &test))?;
    let truth = |pair: usize, class: usize| test.labels(pair).contains(&class);
    let share = |class| (0..test.len()).filter(|&pair| truth(pair, class)).count() as f64 / test.len() as f64;
    let of_class = |class: usize| {
        let column: Vec<f32> = scores.iter().skip(class).step_by(classes.len()).copied().collect();
        let positive: Vec<bool> = (0..test.len()).map(|pair| truth(pair, class)).collect();
        average_precision(&column, &positive)
    };
    let precisions: Vec<Option<f64>> = (0..classes.len()).map(of_class).collect();
    let known: Vec<f64> = precisions.iter().flatten().copied().collect();
    let mean = known.iter().sum::<f64>() / known.len() as f64;

    let out = args.out.unwrap_or_else(|| home::runs().join("multi-label.png"));
    let drawn: Vec<Outputs> = (0..test.len().min(DRAWN))
        .map(|pair| Outputs {
            image: test.image(pair),
            probabilities: scores[pair * classes.len()..][..classes.len()]
                .iter()
                .map(|&y| sigmoid(y))
                .collect(),
            truth: (0..classes.len()).map(|class| truth(pair, class)).collect(),
        })
        .collect();
    let facts = format!(
        "ten sigmoids under binary cross-entropy, {} pairs of test digits: mean average precision {:.2} %",
        test.len(),
        100.0 * mean
    );
    save(&out, &cnn_report::outputs("Which digits are in the image?", &facts, &classes, &drawn)?)?;
    let report = Report {
        pairs: train.len(),
        test_pairs: test.len(),
        average_precision: precisions,
        mean_average_precision: mean,
        share: (0..classes.len()).map(share).collect(),
        accuracy,
        exact,
        seconds: start.elapsed().as_secs_f64(),
        picture: out.display().to_string(),
    };
    if args.json {
        print(serde_json::to_string(&report)?);
        return Ok(());
    }
    print("class  average precision  share of pairs");
    for ((class, precision), share) in classes.iter().zip(&report.average_precision).zip(&report.share) {
        let precision = precision.map_or("none".into(), |precision| format!("{:.2} %", 100.0 * precision));
        print(format!("{class:>5}  {precision:>17}  {:>12.2} %", 100.0 * share));
    }
    print(format!(" mean  {:>15.2} %", 100.0 * mean));
    print(format!(
        "right answers {:.2} %, pairs with all ten right {:.2} %",
        100.0 * accuracy,
        100.0 * exact
    ));
    print(&report.picture);
    Ok(())
}

fn sigmoid(y: f32) -> f32 {
    1.0 / (1.0 + (-y).exp())
}

/// Trains, and returns accuracy, exact matches and the outputs `[pairs, 10]` of the test.
fn learn(args: &Args, train: &Pairs, test: &Pairs) -> Result<(f64, f64, Vec<f32>), Fault> {
    let net = Graph::build(
        layers![
            conv2d(8, 5).named("conv1"),
            relu().named("relu1"),
            max_pool2d(2).named("pool1"),
            conv2d(16, 5).named("conv2"),
            relu().named("relu2"),
            max_pool2d(2).named("pool2"),
            flatten().named("flatten"),
            linear(train.digits.classes().len()).named("fc"),
        ],
        [1, SIDE, 2 * SIDE],
        args.seed,
    )?;
    let epochs = args.epochs as usize;
    let settings = TrainSettings {
        epochs,
        learning_rate: 0.05,
        optimizer: Sgd { momentum: 0.9, ..Sgd::default() }.into(),
        seed: args.seed,
        ..TrainSettings::default()
    };
    let mut trainer = Trainer::new(net, MultiLabel::default(), settings)?;
    let mut watch = Watch {
        bar: progress::bar(
            Some((epochs * train.len()) as u64),
            "{msg} [{bar:30}] {percent:>3} %  {remaining} left",
        ),
        lines: Lines::new(),
        start: Instant::now(),
    };
    trainer.fit(train, test, &mut watch)?;
    watch.bar.finish_and_clear();
    let Some(last) = trainer.progress().history.last() else {
        return Err(Fault::usage("--epochs: expected at least one"));
    };
    let metric = |name| last.test(name).unwrap_or(f64::NAN);
    let mut scores = Vec::with_capacity(test.len() * train.digits.classes().len());
    for batch in test.epoch(0, 0) {
        scores.extend_from_slice(trainer.evaluated().infer(&batch?.inputs[0])?.data());
    }
    Ok((metric("accuracy"), metric("exact"), scores))
}

/// Shows how far training is.
struct Watch {
    bar: ProgressBar,
    lines: Lines,
    start: Instant,
}

impl Observer<MultiLabel> for Watch {
    fn step(&mut self, _: &Trainer<MultiLabel>, _: &StepReport) -> Result<ControlFlow<()>, NnError> {
        self.bar.inc(BATCH as u64);
        let (bar, start) = (&self.bar, self.start);
        self.lines.note(bar, || {
            let all = bar.length().unwrap_or_default();
            format!("{}/{all} pairs, {}", bar.position(), clock(start.elapsed().as_secs()))
        });
        Ok(ControlFlow::Continue(()))
    }

    fn epoch(
        &mut self,
        _: &Trainer<MultiLabel>,
        report: &cnn_nn::EpochReport,
    ) -> Result<ControlFlow<()>, NnError> {
        let percent = |metric| 100.0 * report.test(metric).unwrap_or(f64::NAN);
        let (epoch, exact) = (report.epoch, percent("exact"));
        self.bar.suspend(|| {
            note(format!("epoch {epoch}: all ten answers right for {exact:.2} % of the test pairs"))
        });
        Ok(ControlFlow::Continue(()))
    }
}

/// Two digits side by side, drawn by a seed, and which digits they are.
struct Pairs {
    digits: Arc<dyn Dataset>,
    pairs: Vec<[usize; 2]>,
    seed: u64,
    /// Mean and standard deviation.
    normal: (f32, f32),
}

impl Pairs {
    fn new(digits: Arc<dyn Dataset>, count: usize, seed: u64, part: &str, normal: (f32, f32)) -> Self {
        let mut random = Random::new(seed, &["multi-label", part]);
        let pairs = (0..count).map(|_| [0, 1].map(|_| random.below(digits.len()))).collect();
        Self { digits, pairs, seed, normal }
    }

    fn len(&self) -> usize {
        self.pairs.len()
    }

    /// The classes of both digits.
    fn labels(&self, pair: usize) -> [usize; 2] {
        self.pairs[pair].map(|digit| self.digits.label(digit) as usize)
    }

    /// Appends the pixels of a pair, row by row.
    fn pixels(&self, pair: usize, pixels: &mut Vec<u8>) -> Result<(), NnError> {
        let fault = |fault: cnn_data::DataError| NnError::Data(Box::new(fault));
        let [left, right] = self.pairs[pair].map(|digit| self.digits.picture(digit));
        let (left, right) = (left.map_err(fault)?, right.map_err(fault)?);
        for (left, right) in left.plane(0).chunks_exact(SIDE).zip(right.plane(0).chunks_exact(SIDE)) {
            pixels.extend_from_slice(left);
            pixels.extend_from_slice(right);
        }
        Ok(())
    }

    /// As a screen shows it.
    fn image(&self, pair: usize) -> RgbImage {
        let mut pixels = Vec::new();
        // Digits in memory can always be read.
        let _ = self.pixels(pair, &mut pixels);
        RgbImage::from_fn(2 * SIDE as u32, SIDE as u32, |x, y| {
            Rgb([pixels.get(y as usize * 2 * SIDE + x as usize).copied().unwrap_or_default(); 3])
        })
    }

    fn batch(&self, pairs: &[usize]) -> Result<Batch<Tensor>, NnError> {
        let classes = self.digits.classes().len();
        let (mut pixels, mut target) = (Vec::new(), Tensor::zeros([pairs.len(), classes]));
        for (&pair, target) in pairs.iter().zip(target.data_mut().chunks_exact_mut(classes)) {
            self.pixels(pair, &mut pixels)?;
            self.labels(pair).into_iter().for_each(|label| target[label] = 1.0);
        }
        let (mean, std) = self.normal;
        let x = pixels.into_iter().map(|v| (f32::from(v) / 255.0 - mean) / std).collect();
        Ok(Batch::new(Tensor::from_vec([pairs.len(), 1, SIDE, 2 * SIDE], x)?, target))
    }
}

impl Batches<Tensor> for Pairs {
    fn examples(&self) -> usize {
        self.len()
    }

    fn batches(&self) -> usize {
        self.len().div_ceil(BATCH)
    }

    /// Epoch 0, which an evaluation asks for, keeps the order of the pairs.
    fn epoch(
        &self,
        epoch: usize,
        skip: usize,
    ) -> Box<dyn Iterator<Item = Result<Batch<Tensor>, NnError>> + '_> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        if epoch > 0 {
            Random::new(self.seed, &["multi-label", "epoch", &epoch.to_string()]).shuffle(&mut order);
        }
        let batches = (skip..self.batches())
            .map(move |i| self.batch(&order[i * BATCH..self.len().min((i + 1) * BATCH)]));
        Box::new(batches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_data::InMemoryDataset;

    #[test]
    fn a_pair_is_two_digits_side_by_side_and_has_the_labels_of_both() {
        let pixels = (0..3u8).flat_map(|digit| [50 * (digit + 1); SIDE * SIDE]).collect();
        let classes = ["a", "b", "c"].map(String::from).to_vec();
        let digits = InMemoryDataset::new([3, 1, SIDE, SIDE], pixels, vec![0, 1, 2], classes).unwrap();
        let pairs =
            Pairs { pairs: vec![[2, 0], [1, 1]], ..Pairs::new(Arc::new(digits), 0, 0, "test", (0.0, 1.0)) };
        let batch = pairs.epoch(0, 0).next().unwrap().unwrap();
        let x = &batch.inputs[0];
        assert_eq!(x.shape().dims(), [2, 1, SIDE, 2 * SIDE]);
        let bytes = [0, SIDE, 2 * SIDE * SIDE].map(|at| (x.data()[at] * 255.0).round());
        assert_eq!(bytes, [150.0, 50.0, 100.0], "left, right, and the next pair");
        assert_eq!(batch.target.data(), [1.0, 0.0, 1.0, 0.0, 1.0, 0.0], "the same digit twice is one label");
        assert_eq!(pairs.image(0).get_pixel(SIDE as u32, 27), &Rgb([50; 3]));
    }
}
