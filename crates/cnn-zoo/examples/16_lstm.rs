//! 16. An LSTM reads a digit row by row, from top to bottom, and classifies it.
//!
//! There is no convolution. At each of the 28 steps the network sees one row of 28 pixels and changes its state of 64 numbers;
//! the classifier gets only the last state. Sources: S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory" (1997), and for
//! the forget gate F. Gers, J. Schmidhuber and F. Cummins, "Learning to Forget" (2000).
//!
//! `cargo run --release -p cnn-zoo --example 16_lstm [EPOCHS]`
#![allow(clippy::print_stdout)]

mod failure;

use cnn_data::{Loader, MnistFamily, Split};
use cnn_nn::spec::{graph, linear, lstm, reshape};
use cnn_nn::{
    Adam, Classify, Clip, EpochReport, Graph, NnError, OptimizerSpec, Schedule, TrainSettings, Trainer,
};
use failure::Failure;
use std::error::Error;
use std::time::Instant;

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");

/// 28 rows, one a step, and a classifier of the last state.
pub fn network() -> Result<Graph, NnError> {
    let spec = graph(["image"])
        .node("rows", reshape([28, 28]), ["image"])
        .node("lstm", lstm(64), ["rows"])
        // An LSTM has three outputs: the hidden states of all steps, and the two parts of the last state.
        .node("fc", linear(10), ["lstm:1"])
        .outputs(["fc"]);
    Graph::of(&spec, [[1, 28, 28]], 0)
}

/// The report of each epoch, with `images` of the 60,000 training images and `tested` of the 10,000 test images.
pub fn learn(epochs: usize, images: usize, tested: usize) -> Result<Vec<EpochReport>, Box<dyn Error>> {
    let digits = MnistFamily::Mnist;
    let (train, test) = (digits.load(MNIST, Split::Train)?, digits.load(MNIST, Split::Test)?);
    let train = Loader::new(train, 64)?.limit(images).shuffle(0).normalize(digits.normalize());
    let test = Loader::new(test, 1000)?.limit(tested).normalize(digits.normalize());

    // Through 28 steps gradients can grow, so their norm is clipped to 1.
    let settings = TrainSettings {
        epochs,
        learning_rate: 4e-3,
        schedule: Schedule::OneCycle { warmup: 0.2 },
        optimizer: OptimizerSpec::Adam(Adam::default()),
        clip: Some(Clip::Norm { max_norm: 1.0 }),
        ..TrainSettings::default()
    };
    let mut trainer = Trainer::new(network()?, Classify::default(), settings)?;
    trainer.fit(&train, &test, &mut ())?;
    Ok(trainer.progress().history.clone())
}

fn main() -> Result<(), Failure> {
    let epochs = std::env::args_os().nth(1);
    let epochs =
        epochs.map_or(Some(4), |word| word.to_str()?.parse().ok()).ok_or("expected a number of EPOCHS")?;
    println!("{}", network()?.summary());
    let start = Instant::now();
    for report in learn(epochs, 60_000, 10_000)? {
        let [loss, accuracy] = ["loss", "accuracy"].map(|metric| report.test(metric).unwrap_or(f64::NAN));
        println!("epoch {}: test loss {loss:.4}, test accuracy {:.2} %", report.epoch, 100.0 * accuracy);
    }
    println!("{:.1} seconds", start.elapsed().as_secs_f64());
    Ok(())
}
