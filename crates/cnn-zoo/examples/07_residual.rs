//! 7. A small residual network of your own: blocks that learn what to add to their input.
//!
//! `cargo run --release -p cnn-zoo --example 07_residual`
#![allow(clippy::print_stdout)]

mod failure;

use cnn_data::{Dataset, Loader, MnistFamily, Split};
use cnn_nn::spec::{
    ResidualSpec, adaptive_avg_pool2d, batch_norm2d, conv2d, flatten, linear, relu, residual, sequential,
};
use cnn_nn::{Classify, Input, Model, ModelSpec, OptimizerSpec, Schedule, Sgd, TrainSettings, Trainer};
use failure::Failure;
use std::time::Instant;

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");

/// Two convolutions, each normalised over the batch, and the input added to their output. Where they change its shape, a
/// 1 x 1 convolution gives the input the same shape: the block of K. He et al., "Deep Residual Learning" (2016).
fn block(channels: usize, stride: usize) -> ResidualSpec {
    let block = residual([
        conv2d(channels, 3).stride(stride).padding(1).bias(false).named("conv1"),
        batch_norm2d().named("bn1"),
        relu().named("relu1"),
        conv2d(channels, 3).padding(1).bias(false).named("conv2"),
        batch_norm2d().named("bn2"),
    ])
    .after([relu().named("relu2")]);
    if stride == 1 {
        return block;
    }
    let downsample =
        [conv2d(channels, 1).stride(stride).bias(false).named("conv"), batch_norm2d().named("bn")];
    block.shortcut(sequential(downsample).named("downsample"))
}

fn main() -> Result<(), Failure> {
    let digits = MnistFamily::Mnist;
    let (train, test) = (digits.load(MNIST, Split::Train)?, digits.load(MNIST, Split::Test)?);
    let spec = ModelSpec {
        name: "small_resnet".into(),
        input: Input::gray(28, 28, digits.mean(), digits.std()),
        classes: train.classes().to_vec(),
        layers: vec![
            conv2d(8, 3).stride(2).padding(1).bias(false).named("conv"),
            batch_norm2d().named("bn"),
            relu().named("relu"),
            block(8, 1).named("block1"),
            block(16, 2).named("block2"),
            block(32, 2).named("block3"),
            adaptive_avg_pool2d(1).named("mean"), // of each channel: works for any size of image
            flatten().named("flatten"),
            linear(train.classes().len()).named("fc"),
        ],
    };
    let model = Model::build(spec, 0)?;
    println!("{}", model.summary());

    let train = Loader::new(train, 64)?.shuffle(0).normalize(digits.normalize());
    let test = Loader::new(test, 1000)?.normalize(digits.normalize());
    let optimizer = OptimizerSpec::Sgd(Sgd { momentum: 0.9, weight_decay: 5e-4, ..Sgd::default() });
    let schedule = Schedule::OneCycle { warmup: 0.2 };
    let settings =
        TrainSettings { epochs: 1, learning_rate: 0.1, schedule, optimizer, ..TrainSettings::default() };
    let mut trainer = Trainer::new(model.net, Classify::default(), settings)?;
    let start = Instant::now();
    trainer.fit(&train, &test, &mut ())?;
    let epoch = &trainer.progress().history[0];
    let (loss, accuracy) =
        (epoch.train("loss").unwrap_or(0.0), 100.0 * epoch.test("accuracy").unwrap_or(0.0));
    println!("training loss {loss:.4}, test accuracy {accuracy:.2} %");
    println!("{:.1} seconds", start.elapsed().as_secs_f64());
    Ok(())
}
