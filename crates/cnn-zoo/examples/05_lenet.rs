//! 5. LeNet-5 learns to read digits.
//!
//! `cargo run --release -p cnn-zoo --example 05_lenet [EPOCHS]`
#![allow(clippy::print_stdout)]

mod failure;

use cnn_data::{Dataset, Loader, MnistFamily, Split};
use cnn_nn::{
    Classify, ConfusionMatrix, EpochReport, Input, Model, NnError, Observer, OptimizerSpec, Schedule, Sgd,
    StepReport, TrainSettings, Trainer, evaluate_with, metrics::argmax,
};
use failure::Failure;
use std::ops::ControlFlow;
use std::time::Instant;

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");

/// Is called during the run; prints a line every 100 steps and after each epoch.
struct Console;

impl Observer for Console {
    fn step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<ControlFlow<()>, NnError> {
        let step = trainer.progress().step;
        if step % 100 == 1 {
            let StepReport { examples, loss, score, learning_rate, .. } = report;
            let [correct, _] = score.metric(0);
            println!(
                "  step {step:3}: loss {loss:.4}, {correct:2} of {examples} right, learning rate {learning_rate:.4}"
            );
        }
        Ok(ControlFlow::Continue(()))
    }

    fn epoch(&mut self, _: &Trainer, report: &EpochReport) -> Result<ControlFlow<()>, NnError> {
        let [loss, accuracy] = ["loss", "accuracy"].map(|metric| report.test(metric).unwrap_or(0.0));
        println!("epoch {}: test loss {loss:.4}, test accuracy {:.2} %", report.epoch, 100.0 * accuracy);
        Ok(ControlFlow::Continue(()))
    }
}

fn main() -> Result<(), Failure> {
    let epochs = std::env::args_os().nth(1);
    let epochs =
        epochs.map_or(Some(1), |word| word.to_str()?.parse().ok()).ok_or("expected a number of EPOCHS")?;
    let digits = MnistFamily::Mnist;
    let (train, test) = (digits.load(MNIST, Split::Train)?, digits.load(MNIST, Split::Test)?);

    // Convolution and pooling, twice, then three dense layers. Only the shape of the input is given.
    let input = Input::gray(28, 28, digits.mean(), digits.std());
    let lenet = Model::build(cnn_zoo::lenet5(input, train.classes().to_vec()), 0)?;
    println!("{}", lenet.summary());

    // The images in a new order each epoch, 64 at a time, with mean 0 and standard deviation 1.
    let batches = Loader::new(train, 64)?.shuffle(0).normalize(digits.normalize());
    let test = Loader::new(test, 1000)?.normalize(digits.normalize());

    // Gradient descent with momentum; the learning rate rises for a fifth of the run and then falls to nothing.
    let optimizer =
        OptimizerSpec::Sgd(Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4, ..Sgd::default() });
    let schedule = Schedule::OneCycle { warmup: 0.2 };
    let mut trainer = Trainer::new(
        lenet.net,
        Classify::default(),
        TrainSettings { epochs, learning_rate: 0.05, schedule, optimizer, ..TrainSettings::default() },
    )?;

    let start = Instant::now();
    trainer.fit(&batches, &test, &mut Console)?;
    println!("{:.1} seconds", start.elapsed().as_secs_f64());

    println!("\nRows are the true digits, columns the predicted ones:");
    let mut confusion = ConfusionMatrix::new(10);
    evaluate_with(trainer.net(), trainer.task(), &test, &mut |batch, first, logits| {
        let labels = batch.labels()[first..].iter();
        labels.zip(argmax(&logits[0])).try_for_each(|(&label, digit)| confusion.add(label, digit))
    })?;
    for (digit, row) in confusion.rows().iter().enumerate() {
        println!("  {digit} {}", row.iter().map(|count| format!("{count:5}")).collect::<String>());
    }
    Ok(())
}
