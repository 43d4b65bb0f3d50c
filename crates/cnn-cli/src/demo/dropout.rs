//! `cnn demo dropout`: what dropout does to a network that has few images to learn from.

mod aliens;
mod ensemble;

use super::study::{Options, Steps, Study, say};
use crate::fault::{Fault, print};
use crate::home;
use crate::save::save;
use cnn_data::{DatasetName, Loader};
use cnn_nn::spec::{NamedSpec, dropout, flatten, linear, relu};
use cnn_nn::{
    Classify, EpochReport, Graph, Init, NnError, Observer, Schedule, TrainSettings, Trainer, evaluate,
};
use cnn_report::{self as pictures, Chart, Line, X, Y};
use ensemble::Ensemble;
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Train a network on few images with dropout and without, and use dropout as an ensemble.
///
/// The network has two layers of 256 units with ReLU. Without dropout it knows its few training images by heart, and the loss on
/// test images rises again. With dropout in use as well, each pass is that of another network: the mean of many passes can be
/// compared with one pass without dropout, and their spread says how sure the network is, on images that it classifies right or
/// wrong, and on alien ones that show none of its classes. Takes less than a minute on two cores.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn demo dropout
  cnn demo dropout --images 300 --drop 0.3 --passes 200
  cnn demo dropout --alien fashion-mnist")]
pub struct Args {
    #[command(flatten)]
    options: Options,
    /// Training images.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    images: usize,
    /// Passes over the training images.
    #[arg(long, value_name = "N", default_value_t = 60)]
    epochs: usize,
    /// The probability with which dropout sets a unit to 0.
    #[arg(long, value_name = "P", default_value_t = 0.5)]
    drop: f64,
    /// The learning rate, which falls to 0 as a cosine.
    #[arg(long, value_name = "RATE", default_value_t = 0.01, allow_negative_numbers = true)]
    lr: f32,
    /// Random passes of the ensemble.
    #[arg(long, value_name = "N", default_value_t = 50)]
    passes: usize,
    /// Another data set of images of the same size, as alien ones beside those that need no files.
    #[arg(long, value_name = "NAME")]
    alien: Option<DatasetName>,
    /// The folder with its files [default: datasets/NAME].
    #[arg(long, value_name = "DIR", requires = "alien")]
    alien_dir: Option<PathBuf>,
    /// The folder for the pictures [default: runs/dropout].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const UNITS: usize = 256;
const BATCH: usize = 50;
/// Test images that judge the epochs and the ensemble.
const TESTED: usize = 2000;
/// The most passes and epochs: a mistyped number must not take days.
const MOST: usize = 10_000;

/// The output of `--json`.
#[derive(Serialize)]
struct Report {
    dataset: String,
    training_images: usize,
    test_images: usize,
    seed: u64,
    drop: f64,
    without: Curve,
    with: Curve,
    /// The network with dropout.
    ensemble: Ensemble,
    pictures: [PathBuf; 3],
}

/// A training, judged after each epoch without dropout.
#[derive(Clone, Default, Serialize)]
struct Curve {
    train_loss: Vec<f64>,
    train_accuracy: Vec<f64>,
    test_loss: Vec<f64>,
    test_accuracy: Vec<f64>,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let study = Study::open(&args.options)?;
    for (option, count) in [("--epochs", args.epochs), ("--passes", args.passes)] {
        if !(1..=MOST).contains(&count) {
            return Err(Fault::usage(format!("{option}: expected 1 to {MOST}, got {count}")));
        }
    }
    if !(args.drop > 0.0 && args.drop < 1.0) {
        return Err(Fault::usage(format!("--drop: expected a number between 0 and 1, got {}", args.drop)));
    }
    let tested = TESTED.min(study.data.test.len());
    let aliens = aliens::all(&study, args.alien.as_ref(), args.alien_dir.as_deref())?;
    let train = study.some(&study.data.train, "--images", args.images)?;
    let test = study.loader(study.some(&study.data.test, "test images", tested)?, 250)?;

    let mut steps = Steps::new(2 * args.epochs + args.passes * (1 + aliens.len()), "steps");
    let (without, with, ensemble) = study.pool.run(|| -> Result<_, Fault> {
        let loader = |shuffle: bool| -> Result<Loader, Fault> {
            let loader = study.loader(train.clone(), BATCH)?;
            Ok(if shuffle { loader.shuffle(study.seed) } else { loader })
        };
        let mut fit = |drop: Option<f64>| -> Result<(Curve, Graph), Fault> {
            let net = Graph::build(layers(drop, study.data.classes().len()), study.shape, study.seed)?;
            let settings =
                TrainSettings { schedule: Schedule::Cosine, ..study.settings(args.epochs, args.lr) };
            let mut trainer = Trainer::new(net, Classify::default(), settings)?;
            let mut judge = Judge { train: loader(false)?, curve: Curve::default(), steps: &mut steps };
            trainer.fit(&loader(true)?, &test, &mut judge)?;
            Ok((judge.curve, trainer.net().copy()?))
        };
        let (without, _) = fit(None)?;
        let (with, net) = fit(Some(args.drop))?;
        let ensemble = ensemble::judge(&net, &study, &test, &aliens, args.passes, &mut steps)?;
        Ok((without, with, ensemble))
    })?;
    steps.finish();

    let json = args.options.json;
    let last = |values: &[f64]| values.last().copied().unwrap_or_default();
    for (name, curve) in [("without dropout", &without), ("with dropout", &with)] {
        let lowest = curve.test_loss.iter().copied().fold(f64::INFINITY, f64::min);
        say(
            json,
            format!(
                "{name:15}  training {:6.2} % (loss {:.3})  test {:5.2} % (loss {:.3}, lowest {lowest:.3})",
                100.0 * last(&curve.train_accuracy),
                last(&curve.train_loss),
                100.0 * last(&curve.test_accuracy),
                last(&curve.test_loss),
            ),
        );
    }
    ensemble.say(json);

    let out = args.out.unwrap_or_else(|| home::runs().join("dropout"));
    let files = ["curves.png", "ensemble.png", "uncertainty.png"].map(|name| out.join(name));
    let note = format!(
        "a network of two layers of {UNITS} units on {} images of {}; both judged without dropout, on {tested} test images",
        args.images, study.title
    );
    save(&files[0], &draw_curves(&note, &without, &with)?)?;
    save(&files[1], &ensemble.draw_passes()?)?;
    save(&files[2], &ensemble.draw_spread()?)?;
    if !json {
        files.iter().for_each(|file| print(file.display()));
        return Ok(());
    }
    print(serde_json::to_string(&Report {
        dataset: study.title,
        training_images: args.images,
        test_images: tested,
        seed: study.seed,
        drop: args.drop,
        without,
        with,
        ensemble,
        pictures: files,
    })?);
    Ok(())
}

fn layers(drop: Option<f64>, classes: usize) -> Vec<NamedSpec> {
    let mut layers = vec![flatten().named("flatten")];
    for i in 1..=2 {
        layers.push(linear(UNITS).init(Init::KaimingUniform).bias_init(Init::Zeros).named(&format!("fc{i}")));
        layers.push(relu().named(&format!("relu{i}")));
        layers.extend(drop.map(|p| dropout(p).named(&format!("drop{i}"))));
    }
    layers.push(linear(classes).init(Init::LecunUniform).bias_init(Init::Zeros).named("scores"));
    layers
}

/// Judges the network after each epoch on the images that it was trained on, too: while training, dropout is in the way.
struct Judge<'a> {
    train: Loader,
    curve: Curve,
    steps: &'a mut Steps,
}

impl Observer for Judge<'_> {
    fn epoch(&mut self, trainer: &Trainer, report: &EpochReport) -> Result<ControlFlow<()>, NnError> {
        let trained = evaluate(trainer.evaluated(), trainer.task(), &self.train)?;
        let curve = &mut self.curve;
        for (values, value) in [
            (&mut curve.train_loss, trained.get("loss")),
            (&mut curve.train_accuracy, trained.get("accuracy")),
            (&mut curve.test_loss, report.test("loss")),
            (&mut curve.test_accuracy, report.test("accuracy")),
        ] {
            values.push(value.unwrap_or_default());
        }
        self.steps.advance();
        Ok(ControlFlow::Continue(()))
    }
}

fn draw_curves(note: &str, without: &Curve, with: &Curve) -> Result<Vec<u8>, Fault> {
    let lines = |of: fn(&Curve) -> [&Vec<f64>; 2], factor: f64| {
        let mut lines = Vec::new();
        for (color, name, curve) in [(1, "without", without), (0, "with dropout", with)] {
            for (pale, part, values) in [(true, "train", of(curve)[0]), (false, "test", of(curve)[1])] {
                let points =
                    values.iter().zip(1u32..).map(|(value, epoch)| (f64::from(epoch), factor * value));
                lines.push(Line { name: format!("{part}, {name}"), color, pale, points: points.collect() });
            }
        }
        lines
    };
    let chart =
        |heading: &str, y: Y, lines: Vec<Line>| Chart { heading: heading.into(), x: X::Epochs, y, lines };
    let charts = [
        chart("Loss", Y::EvenLoss, lines(|curve| [&curve.train_loss, &curve.test_loss], 1.0)),
        chart("Accuracy, %", Y::Percent, lines(|curve| [&curve.train_accuracy, &curve.test_accuracy], 100.0)),
    ];
    Ok(pictures::lines("Few training images, with dropout and without", note, &charts)?)
}
