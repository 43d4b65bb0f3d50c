//! 15. Blocks that branch and join: DenseNet's, and squeeze and excitation, as graphs within a chain of layers.
//!
//! `cargo run --release -p cnn-zoo --example 15_blocks`
//!
//! G. Huang, Z. Liu, L. van der Maaten and K. Weinberger, "Densely Connected Convolutional Networks", CVPR 2017, equation 2;
//! J. Hu, L. Shen and G. Sun, "Squeeze-and-Excitation Networks", CVPR 2018, figure 2.
#![allow(clippy::print_stdout)]

mod failure;

use cnn_data::{Loader, MnistFamily, Split};
use cnn_nn::spec::{
    NamedSpec, add, avg_pool2d, batch_norm2d, cat, conv2d, flatten, global_avg_pool2d, graph, linear,
    max_pool2d, mul, relu, sequential, sigmoid,
};
use cnn_nn::{Classify, EpochReport, Graph, GraphSpec, OptimizerSpec, Schedule, Sgd, TrainSettings, Trainer};
use failure::Failure;
use std::error::Error;

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");

/// Each layer reads the outputs of all layers before it, and adds `growth` channels of its own.
pub fn dense_block(layers: usize, growth: usize) -> GraphSpec {
    let mut block = graph(["x"]);
    let mut all = vec!["x".to_string()];
    for i in 1..=layers {
        let (layer, joined) = (format!("denselayer{i}"), format!("join{i}"));
        let compute = sequential([
            batch_norm2d().named("norm"),
            relu().named("relu"),
            conv2d(growth, 3).padding(1).bias(false).named("conv"),
        ]);
        let reads = all.last().cloned().unwrap_or_default();
        block = block.node(&layer, compute, [reads.as_str()]);
        block = block.node(&joined, cat(1), [reads.as_str(), &layer]);
        all.push(joined);
    }
    let last = all.last().cloned().unwrap_or_default();
    block.outputs([last.as_str()])
}

/// A residual block that multiplies each channel by a weight. The weights come from the whole image: each channel is averaged to
/// one number ("squeeze"), and two small layers compute the weights ("excitation").
pub fn squeeze_and_excite(channels: usize, reduction: usize) -> GraphSpec {
    graph(["x"])
        .node("conv", conv2d(channels, 3).padding(1), ["x"])
        .node("squeeze", global_avg_pool2d(), ["conv"]) // [n, c, 1, 1]
        .node("fc1", conv2d(channels / reduction, 1), ["squeeze"])
        .node("relu", relu(), ["fc1"])
        .node("fc2", conv2d(channels, 1), ["relu"])
        .node("weights", sigmoid(), ["fc2"])
        .node("scale", mul(), ["conv", "weights"]) // [n, c, h, w] times [n, c, 1, 1]
        .node("sum", add(), ["scale", "x"])
        .outputs(["sum"])
}

fn densenet() -> Vec<NamedSpec> {
    vec![
        conv2d(8, 3).padding(1).named("conv0"),
        max_pool2d(2).named("pool0"),
        dense_block(3, 8).named("denseblock1"),
        sequential([conv2d(16, 1).named("conv"), avg_pool2d(2).named("pool")]).named("transition1"),
        dense_block(3, 8).named("denseblock2"),
        sequential([batch_norm2d().named("norm"), relu().named("relu")]).named("last"),
        global_avg_pool2d().named("avgpool"),
        flatten().named("flatten"),
        linear(10).named("classifier"),
    ]
}

fn senet() -> Vec<NamedSpec> {
    vec![
        sequential([conv2d(16, 5).stride(2).named("conv"), relu().named("relu")]).named("stem"),
        squeeze_and_excite(16, 4).named("block1"),
        relu().named("relu1"),
        max_pool2d(2).named("pool1"),
        squeeze_and_excite(16, 4).named("block2"),
        relu().named("relu2"),
        flatten().named("flatten"),
        linear(10).named("fc"),
    ]
}

/// A trained network: its name, the network, and the report of its last epoch.
pub type Trained = (&'static str, Graph, EpochReport);

/// Trains both on the first `images` digits.
pub fn train(images: usize, epochs: usize) -> Result<Vec<Trained>, Box<dyn Error>> {
    let digits = MnistFamily::Mnist;
    let load = |split| -> Result<Loader, Box<dyn Error>> {
        Ok(Loader::new(digits.load(MNIST, split)?, 64)?.normalize(digits.normalize()))
    };
    let (train, test) = (load(Split::Train)?.limit(images).shuffle(0), load(Split::Test)?.limit(2000));
    let mut trained = Vec::new();
    for (name, layers) in [("DenseNet", densenet()), ("SE-Net", senet())] {
        let settings = TrainSettings {
            epochs,
            learning_rate: 0.1,
            schedule: Schedule::OneCycle { warmup: 0.2 },
            optimizer: OptimizerSpec::Sgd(Sgd { momentum: 0.9, ..Sgd::default() }),
            ..TrainSettings::default()
        };
        let net = Graph::build(layers, [1, 28, 28], 0)?;
        let mut trainer = Trainer::new(net, Classify::default(), settings)?;
        trainer.fit(&train, &test, &mut ())?;
        let report = trainer.progress().history.last().cloned().unwrap_or_default();
        trained.push((name, trainer.into_net(), report));
    }
    Ok(trained)
}

fn main() -> Result<(), Failure> {
    let start = std::time::Instant::now();
    for (name, net, report) in train(10_000, 3)? {
        let accuracy = 100.0 * report.test("accuracy").unwrap_or(f64::NAN);
        println!(
            "{name}: {accuracy:.2} % of 2,000 test digits after {} epochs\n\n{}",
            report.epoch,
            net.summary()
        );
    }
    println!("{:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}
