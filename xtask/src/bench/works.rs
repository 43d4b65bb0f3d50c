//! The work that can be measured, by name.

use super::data;
use crate::fault::Fault;
use crate::networks::ModelName;
use cnn_data::MnistFamily;
use cnn_nn::{Batch, Input, Layer, Model, ModelSpec, OptimizerSpec, Sgd, Summary, TrainSettings, Trainer};
use cnn_ops::{Conv2d, Padding};
use cnn_tensor::{MatMut, MatRef, Random, Shape, Tensor, gemm};
use std::fmt;
use tempfile::TempDir;

/// A piece of work, at any batch size.
#[derive(Debug)]
pub struct Work {
    pub name: &'static str,
    /// Images per batch unless the user says otherwise; none where the work is not on images.
    batches: &'static [usize],
    /// From images per batch and threads.
    prepare: fn(usize, usize) -> Result<Prepared, Fault>,
}

/// Work with all its data at hand, to be repeated.
pub struct Prepared {
    /// What one run does.
    pub tally: Tally,
    /// The files that it works on, for a peer to work on too; removed with it.
    pub files: Option<TempDir>,
    pub run: Box<dyn FnMut() -> Result<(), Fault> + Send>,
}

impl Prepared {
    /// Work that is arithmetic: so many multiply-adds.
    pub fn new(macs: u64, run: impl FnMut() -> Result<(), Fault> + Send + 'static) -> Self {
        Self { tally: Tally::Macs(macs), files: None, run: Box::new(run) }
    }
}

/// What one run of a piece of work amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// Multiply-adds, to be held against the peak.
    Macs(u64),
    /// Batches that are made: the work is repeated so many times.
    Images { repeats: usize },
}

impl Tally {
    /// How often one run does the work.
    pub fn repeats(self) -> usize {
        match self {
            Self::Macs(_) => 1,
            Self::Images { repeats } => repeats,
        }
    }
}

/// All of it. A peer knows it by the same names.
static WORKS: [Work; 13] = [
    Work { name: "lenet training", batches: &[64, 256], prepare: |n, _| training("lenet", n) },
    Work { name: "lenet inference", batches: &[1, 256], prepare: |n, _| inference("lenet", n) },
    Work { name: "mlp training", batches: &[128], prepare: |n, _| training("mlp", n) },
    Work { name: "gemm 512x512x512", batches: &[], prepare: |_, _| square_gemm(512) },
    Work { name: "gemm 1024x1024x1024", batches: &[], prepare: |_, _| square_gemm(1024) },
    Work { name: "conv 6x1x5x5 28x28 forward", batches: &[64], prepare: |n, _| CONV1.forward(n) },
    Work { name: "conv 6x1x5x5 28x28 backward", batches: &[64], prepare: |n, _| CONV1.backward(n) },
    Work { name: "conv 16x6x5x5 10x10 forward", batches: &[64], prepare: |n, _| CONV2.forward(n) },
    Work { name: "conv 16x6x5x5 10x10 backward", batches: &[64], prepare: |n, _| CONV2.backward(n) },
    Work { name: "mnist batches", batches: &[64], prepare: data::mnist },
    Work { name: "cifar10 batches", batches: &[512], prepare: data::cifar10 },
    Work { name: "jpeg batches", batches: &[32], prepare: data::jpeg },
    // The same on this side; the peer does it without Pillow.
    Work { name: "jpeg batches, tensors", batches: &[32], prepare: data::jpeg },
];

/// The largest batch size; a mistyped one must not fill the memory.
const LARGEST_BATCH: usize = 1 << 16;

/// A piece of work at one batch size.
#[derive(Debug)]
pub struct Case {
    pub work: &'static Work,
    pub batch: Option<usize>,
}

impl Case {
    pub fn prepare(&self, threads: usize) -> Result<Prepared, Fault> {
        (self.work.prepare)(self.batch.unwrap_or(1), threads)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.work.name)?;
        self.batch.map_or(Ok(()), |batch| write!(f, ", batch {batch}"))
    }
}

/// All work whose name contains `filter`, at the given batch sizes, or at its own where none are given.
pub fn select(filter: &str, batches: &[usize]) -> Result<Vec<Case>, Fault> {
    if let Some(got) = batches.iter().find(|batch| !(1..=LARGEST_BATCH).contains(batch)) {
        return Err(Fault::usage(format!("--batch-size: expected 1 to {LARGEST_BATCH}, got {got}")));
    }
    let cases_of = |work: &'static Work| -> Vec<Case> {
        match if batches.is_empty() { work.batches } else { batches } {
            _ if work.batches.is_empty() => vec![Case { work, batch: None }],
            batches => batches.iter().map(|&batch| Case { work, batch: Some(batch) }).collect(),
        }
    };
    let cases: Vec<Case> =
        WORKS.iter().filter(|work| work.name.contains(filter)).flat_map(cases_of).collect();
    if cases.is_empty() {
        let names = WORKS.each_ref().map(|work| work.name).join(", ");
        return Err(Fault::usage(format!("{filter}: expected part of the name of a row: {names}")));
    }
    Ok(cases)
}

/// Numbers as varied as real ones, the same in every run.
fn random(shape: impl Into<Shape>) -> Tensor {
    let mut tensor = Tensor::zeros(shape);
    Random::new(0, &["bench"]).fill_normal(1.0, tensor.data_mut());
    tensor
}

fn random_images(n: usize, model: &Model) -> Tensor {
    let [c, h, w] = model.spec.input.shape;
    random([n, c, h, w])
}

/// A network for the images of MNIST.
fn for_mnist(model: &str) -> ModelSpec {
    let mnist = MnistFamily::Mnist;
    let input = Input::gray(28, 28, mnist.mean(), mnist.deviation());
    ModelName::known(model).spec(input, mnist.classes().iter().map(ToString::to_string).collect())
}

/// A training step as a user's run makes it: forward, loss, backward, and SGD with momentum.
fn training(model: &str, n: usize) -> Result<Prepared, Fault> {
    let model = Model::build(for_mnist(model), 0)?;
    let macs = training_macs(&model.summary()?) * n as u64;
    let labels = (0..n).map(|i| (i % model.spec.classes.len()) as u32).collect();
    let batch = Batch::new(random_images(n, &model), labels);
    // So small a rate that the net hardly changes: the last repetition costs what the first one did.
    let optimizer = OptimizerSpec::Sgd(Sgd { momentum: 0.9, ..Sgd::default() });
    let settings = TrainSettings { epochs: 1, rate: 1e-6, optimizer, ..TrainSettings::default() };
    let mut trainer = Trainer::new(model.net, settings)?;
    Ok(Prepared::new(macs, move || Ok(trainer.step(&batch, 1).map(drop)?)))
}

/// Multiply-adds to train on one image: forward, and backward once for each layer's weights and once for its input,
/// which the first layer declines.
fn training_macs(summary: &Summary) -> u64 {
    let first = summary.rows.iter().map(|row| row.macs).find(|&macs| macs > 0);
    3 * summary.macs() - first.unwrap_or(0)
}

fn inference(model: &str, n: usize) -> Result<Prepared, Fault> {
    let model = Model::build(for_mnist(model), 0)?;
    let macs = model.summary()?.macs() * n as u64;
    let x = random_images(n, &model);
    Ok(Prepared::new(macs, move || Ok(model.net.infer(&x).map(drop)?)))
}

/// The product of two square matrices.
fn square_gemm(side: usize) -> Result<Prepared, Fault> {
    let (a, b, mut c) = (random([side, side]), random([side, side]), Tensor::zeros([side, side]));
    let run = move || {
        let (a, b) = (MatRef::new(a.data(), side, side), MatRef::new(b.data(), side, side));
        gemm(1.0, a, b, 0.0, MatMut::new(c.data_mut(), side, side));
        Ok(())
    };
    Ok(Prepared::new((side as u64).pow(3), run))
}

/// A convolution where it stands in a net.
struct Conv {
    options: Conv2d,
    /// Channels, height and width of an input.
    x: [usize; 3],
    c_out: usize,
    /// Whether it stands first, so that nobody wants the gradient of its input.
    first: bool,
}

/// LeNet-5's.
const CONV1: Conv = Conv { options: conv_5x5(2), x: [1, 28, 28], c_out: 6, first: true };
const CONV2: Conv = Conv { options: conv_5x5(0), x: [6, 14, 14], c_out: 16, first: false };

const fn conv_5x5(padding: usize) -> Conv2d {
    let padding = Padding::symmetric([padding, padding]);
    Conv2d { kernel: [5, 5], stride: [1, 1], padding, dilation: [1, 1], groups: 1 }
}

impl Conv {
    /// Input, weight and bias for a batch of `n`.
    fn operands(&self, n: usize) -> Result<[Tensor; 3], Fault> {
        let [c, h, w] = self.x;
        let x = random([n, c, h, w]);
        let weight = random(self.options.weight_shape(x.shape(), self.c_out)?);
        Ok([x, weight, random([self.c_out])])
    }

    fn forward(&self, n: usize) -> Result<Prepared, Fault> {
        let (options, [x, weight, bias]) = (self.options, self.operands(n)?);
        let macs = options.macs(x.shape(), weight.shape())?;
        Ok(Prepared::new(macs, move || Ok(options.forward(&x, &weight, Some(&bias)).map(drop)?)))
    }

    /// The gradients of weight, bias and, unless the convolution stands first, input.
    fn backward(&self, n: usize) -> Result<Prepared, Fault> {
        let (options, first, [x, weight, bias]) = (self.options, self.first, self.operands(n)?);
        let products = if first { 1 } else { 2 };
        let macs = products * options.macs(x.shape(), weight.shape())?;
        let (y, saved) = options.forward(&x, &weight, Some(&bias))?;
        let dy = random(y.shape());
        let (mut dweight, mut dbias) = (Tensor::zeros(weight.shape()), Tensor::zeros(bias.shape()));
        let run = move || {
            let dbias = Some(&mut dbias);
            if first {
                options.backward_parameters(&saved, &weight, &dy, &mut dweight, dbias)?;
            } else {
                options.backward(&saved, &weight, &dy, &mut dweight, dbias)?;
            }
            Ok(())
        };
        Ok(Prepared::new(macs, run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(filter: &str, batches: &[usize]) -> Vec<String> {
        select(filter, batches).unwrap().iter().map(Case::to_string).collect()
    }

    #[test]
    fn rows_are_selected_by_part_of_their_name() {
        let lenet = [
            "lenet training, batch 64",
            "lenet training, batch 256",
            "lenet inference, batch 1",
            "lenet inference, batch 256",
        ];
        assert_eq!(selected("lenet", &[]), lenet);
        assert_eq!(selected("p train", &[]), ["mlp training, batch 128"]);
        let rows: usize = WORKS.iter().map(|work| work.batches.len().max(1)).sum();
        assert_eq!(selected("", &[]).len(), rows);
    }

    #[test]
    fn batch_sizes_replace_those_of_rows_that_have_some() {
        assert_eq!(selected("mlp", &[2, 5]), ["mlp training, batch 2", "mlp training, batch 5"]);
        assert_eq!(selected("gemm 5", &[2, 5]), ["gemm 512x512x512"]);
        assert!(select("mlp", &[LARGEST_BATCH]).is_ok() && select("mlp", &[LARGEST_BATCH + 1]).is_err());
    }

    #[test]
    fn training_counts_the_table_of_lenet_three_times_but_for_the_first_layers_input() {
        let work = training("lenet", 2).unwrap();
        assert_eq!(work.tally, Tally::Macs(2 * (3 * 416_520 - 117_600)));
    }

    #[test]
    fn convolutions_are_those_of_lenet() {
        let tally = |work: Result<Prepared, Fault>| work.unwrap().tally;
        assert_eq!(tally(CONV1.forward(1)), Tally::Macs(117_600));
        assert_eq!(tally(CONV1.backward(1)), Tally::Macs(117_600));
        assert_eq!(tally(CONV2.backward(1)), Tally::Macs(2 * 240_000));
    }

    #[test]
    fn the_peer_knows_every_name_that_is_not_our_own_loaders_alone() {
        let script = crate::datasets::root().join("xtask/peers/pytorch.py");
        let script = std::fs::read_to_string(script).unwrap();
        let ours = ["mnist batches", "cifar10 batches"];
        for work in WORKS.iter().filter(|work| !ours.contains(&work.name)) {
            assert!(script.contains(&format!("\"{}\":", work.name)), "{}", work.name);
        }
    }
}
