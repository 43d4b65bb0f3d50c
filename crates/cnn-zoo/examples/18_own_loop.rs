//! 18. A training loop of your own: each step, the learning rate and the end of the run are decided in this file.
//!
//! You learn what `Trainer` does for you, and how to do it another way. `Learner` keeps the part that is the same in every
//! loop: forward, backward, and the optimizer's step, on all cores. It does not know what a label is. A closure gets the
//! outputs and returns the gradients, so any loss will do.
//!
//! This loop halves the learning rate when the accuracy on 6,000 images, kept back from training, does not rise, and ends
//! the run after three such epochs. The test images are used once, at the end.
//!
//! `cargo run --release -p cnn-zoo --example 18_own_loop [EPOCHS]`, where `EPOCHS` is the most epochs
#![allow(clippy::print_stdout)]

mod failure;

use cnn_data::{Dataset, Loader, MnistFamily, Split, Subset};
use cnn_nn::{Batches, Graph, Input, LearnSettings, Learner, Model, NnError, Sgd, metrics::argmax};
use cnn_ops::{CrossEntropy, Loss};
use failure::Failure;
use std::error::Error;

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");

/// The validation accuracy of each epoch, and the test accuracy at the end. Each epoch takes `images` training images.
pub fn train(epochs: usize, images: usize) -> Result<(Vec<f64>, f64), Box<dyn Error>> {
    let digits = MnistFamily::Mnist;
    let all = digits.load(MNIST, Split::Train)?;
    let input = Input::gray(28, 28, digits.mean(), digits.std());
    let net = Model::build(cnn_zoo::lenet5(input, all.classes().to_vec()), 0)?.net;

    // A tenth is kept back. Training images come in a new order in each epoch, 64 at a time.
    let (train, validation) = Subset::split(all, 0.1, 0)?;
    let train = Loader::new(train, 64)?.limit(images).shuffle(0).normalize(digits.normalize());
    let validation = Loader::new(validation, 1000)?.normalize(digits.normalize());

    let optimizer = Sgd { momentum: 0.9, weight_decay: 5e-4, ..Sgd::default() }.into();
    let mut learner = Learner::new(net, LearnSettings { optimizer, ..LearnSettings::default() })?;
    let mut learning_rate = 0.02;
    let mut history: Vec<f64> = Vec::new();
    let mut without_progress = 0;

    for epoch in 0..epochs {
        let mut sum = 0.0;
        for batch in train.epoch(epoch, 0) {
            let batch = batch?;
            let labels = batch.labels();

            // The step cuts the batch into pieces for the threads, and calls the closure for each: with the numbers of the
            // piece's images in the batch, and the outputs `y` for them. The loss of the step is the mean over the whole
            // batch, so gradients are divided by its size, not by that of the piece.
            let step = learner.step(&batch.inputs[0], learning_rate, |images, y| {
                let (loss, saved) = CrossEntropy::default().forward(&y[0], &labels[images])?;
                Ok((loss, saved.backward(1.0 / labels.len() as f32).into()))
            })?;
            sum += step.score;
        }
        let loss = sum / train.examples() as f64;
        if !loss.is_finite() {
            return Err("the loss is not finite; try a lower learning rate".into());
        }

        let accuracy = accuracy(learner.net(), &validation)?;
        println!(
            "epoch {}: learning rate {learning_rate:.4}, training loss {loss:.4}, validation accuracy {:.2} %",
            epoch + 1,
            100.0 * accuracy
        );
        if history.iter().any(|&before| before >= accuracy) {
            learning_rate /= 2.0;
            without_progress += 1;
        }
        history.push(accuracy);
        if without_progress == 3 {
            break;
        }
    }

    let test = Loader::new(digits.load(MNIST, Split::Test)?, 1000)?.normalize(digits.normalize());
    Ok((history, accuracy(learner.net(), &test)?))
}

/// The share of images whose largest output is that of their class.
fn accuracy(net: &Graph, batches: &Loader) -> Result<f64, NnError> {
    let mut right = 0;
    for batch in batches.epoch(0, 0) {
        let batch = batch?;
        let answers = argmax(&net.infer(&batch.inputs[0])?);
        right += answers.iter().zip(batch.labels()).filter(|(answer, label)| answer == label).count();
    }
    Ok(right as f64 / batches.examples() as f64)
}

fn main() -> Result<(), Failure> {
    let epochs = std::env::args_os().nth(1);
    let epochs =
        epochs.map_or(Some(12), |word| word.to_str()?.parse().ok()).ok_or("expected a number of EPOCHS")?;
    let (_, test) = train(epochs, 54_000)?;
    println!("test accuracy {:.2} %", 100.0 * test);
    Ok(())
}
