//! 12. GoogLeNet trains with two auxiliary heads, which are removed afterwards.
//!
//! In a deep network, the gradient of the loss passes many layers before it reaches the first ones. C. Szegedy et al., "Going
//! Deeper with Convolutions" (CVPR 2015), section 5, attach two more classifiers at a third and at two thirds of the depth,
//! add their losses with weight 0.3, and remove them after training. Here that is a graph with three outputs, and a task for
//! each.
//!
//! `cargo run --release -p cnn-zoo --example 12_auxiliary_heads [EPOCHS]`
#![allow(clippy::print_stdout)]

mod failure;

use cnn_data::transform::{Resize, Size};
use cnn_data::{DataError, Dataset, Loader, MnistFamily, Split};
use cnn_nn::{
    Batches, Classify, EpochReport, Graph, Input, Layer, Model, OptimizerSpec, Schedule, Sgd, TrainSettings,
    Trainer, Weighted,
};
use cnn_tensor::Tensor;
use failure::Failure;
use std::error::Error;
use std::time::Instant;

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");
/// Digits are enlarged to this height and width; GoogLeNet's last maps are then 2 x 2.
const SIDE: usize = 64;
/// The weight of the losses of the heads.
const WEIGHT: f32 = 0.3;

/// The results of a run.
pub struct Trained {
    /// The report of each epoch.
    pub history: Vec<EpochReport>,
    /// The trained network, with its heads.
    pub with_heads: Graph,
    /// The same network without them.
    pub without: Model,
    /// Some digits from outside the training set.
    pub x: Tensor,
}

/// Trains on the given number of digits, and removes the heads.
pub fn train(epochs: usize, images: usize) -> Result<Trained, Box<dyn Error>> {
    let digits = MnistFamily::Mnist;
    let (train, test) = (digits.load(MNIST, Split::Train)?, digits.load(MNIST, Split::Test)?);
    let classes = train.classes().to_vec();
    let large = |loader: Loader| -> Result<Loader, DataError> {
        loader
            .transform(Resize::new(Size::Exact([SIDE, SIDE])), 0)
            .map(|loader| loader.normalize(digits.normalize()))
    };
    let train = large(Loader::new(train, 32)?.limit(images).shuffle(0))?;
    let test = large(Loader::new(test, 100)?.limit(100))?;

    // One task for each output, all with the digit as their target.
    let net = Graph::of(&cnn_zoo::googlenet_with_aux(classes.len()), [[1, SIDE, SIDE]], 0)?;
    let class = Classify::default;
    let task = Weighted::new(class()).with("aux1", WEIGHT, class()).with("aux2", WEIGHT, class());
    let settings = TrainSettings {
        epochs,
        learning_rate: 0.02,
        schedule: Schedule::Cosine,
        optimizer: OptimizerSpec::Sgd(Sgd { momentum: 0.9, ..Sgd::default() }),
        ..TrainSettings::default()
    };
    let mut trainer = Trainer::new(net, task, settings)?;
    trainer.fit(&train, &test, &mut ())?;
    let (history, with_heads) = (trainer.progress().history.clone(), trainer.into_net());

    // Parameters have the same names with and without the heads, so removing the heads means leaving out their tensors.
    let trunk = with_heads.tensors().into_iter().filter(|(name, _)| !name.starts_with("aux")).collect();
    let input = Input::gray(SIDE, SIDE, digits.mean(), digits.std());
    let without = Model::from_tensors(cnn_zoo::googlenet(input, classes), trunk)?;
    let x = test.epoch(0, 0).next().ok_or("no digits")??.inputs[0].slice_batch(0, 8);
    Ok(Trained { history, with_heads, without, x })
}

/// The training losses of an epoch: of the classifier itself, and of the two heads.
pub fn losses(report: &EpochReport) -> [f64; 3] {
    let [all, aux1, aux2] =
        ["loss", "aux1_loss", "aux2_loss"].map(|metric| report.train(metric).unwrap_or(f64::NAN));
    [all - f64::from(WEIGHT) * (aux1 + aux2), aux1, aux2]
}

fn main() -> Result<(), Failure> {
    let epochs = std::env::args_os().nth(1);
    let epochs =
        epochs.map_or(Some(6), |word| word.to_str()?.parse().ok()).ok_or("expected a number of EPOCHS")?;
    let start = Instant::now();
    let Trained { history, with_heads, without, x } = train(epochs, 1024)?;
    for report in &history {
        let [own, aux1, aux2] = losses(report);
        let accuracy = 100.0 * report.test("accuracy").unwrap_or(f64::NAN);
        let epoch = report.epoch;
        println!("epoch {epoch}: losses {own:.3}, {aux1:.3} and {aux2:.3}; test accuracy {accuracy:.1} %");
    }

    println!("{:.1} seconds", start.elapsed().as_secs_f64());

    let [before, after] = [with_heads.parameter_count(), without.net.parameter_count()];
    println!("{before} parameters with the heads, {after} without them.");
    let same = Layer::infer(&with_heads, (&x).into())?[0] == without.net.infer(&x)?;
    println!("The same logits as before: {}.", if same { "yes" } else { "no" });
    Ok(())
}
