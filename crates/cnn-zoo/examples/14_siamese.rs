//! 14. A siamese network learns whether two images show the same digit, without the labels of the digits.
//!
//! Both images go through the same network, which maps each to eight numbers. The numbers of equal digits should be close
//! together, those of different digits at least a margin apart. Sources: J. Bromley, I. Guyon, Y. LeCun, E. Säckinger and
//! R. Shah, "Signature Verification Using a 'Siamese' Time Delay Neural Network" (1993); for the loss, R. Hadsell, S. Chopra
//! and Y. LeCun, "Dimensionality Reduction by Learning an Invariant Mapping" (CVPR 2006), equation 4.
//!
//! `cargo run --release -p cnn-zoo --example 14_siamese [EPOCHS]`
#![allow(clippy::print_stdout)]

mod failure;

use cnn_data::{Dataset, InMemoryDataset, MnistFamily, Split};
use cnn_nn::spec::{conv2d, flatten, graph, linear, max_pool2d, relu, sequential, sub};
use cnn_nn::{
    Adam, Batch, Batches, Classes, Gradients, Graph, NnError, OptimizerSpec, Schedule, Score, Task, Tensors,
    TrainSettings, Trainer, evaluate,
};
use cnn_ops::{Contrastive, Loss};
use cnn_tensor::{Random, Tensor};
use failure::Failure;
use std::error::Error;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

/// The folder with the files of MNIST.
pub const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");
const MARGIN: f64 = 2.0;

/// Two images in, the difference of their eight numbers out. The twin shares the weights of the trunk.
pub fn network() -> Result<Graph, NnError> {
    let trunk = sequential([
        conv2d(8, 5).named("conv1"),
        max_pool2d(2).named("pool1"),
        relu().named("relu1"),
        conv2d(16, 5).named("conv2"),
        max_pool2d(2).named("pool2"),
        relu().named("relu2"),
        flatten().named("flatten"),
        linear(64).named("fc1"),
        relu().named("relu3"),
        linear(8).named("fc2"),
    ]);
    let spec = graph(["left", "right"])
        .node("trunk", trunk, ["left"])
        .share("twin", "trunk", ["right"])
        .node("difference", sub(), ["trunk", "twin"])
        .outputs(["difference"]);
    Graph::of(&spec, [[1, 28, 28], [1, 28, 28]], 0)
}

/// Targets are 1 for the same digit, 0 for different ones. Pairs closer than half the margin are predicted as the same.
pub struct Same(Contrastive);

impl Task for Same {
    type Target = Classes;

    fn metrics(&self) -> Vec<String> {
        vec!["accuracy".into()]
    }

    fn loss(
        &self,
        y: Tensors,
        same: &Classes,
        part: Range<usize>,
        divisors: &[f64],
        score: &mut Score,
    ) -> Result<Gradients, NnError> {
        self.score(&y, same, part.clone(), score)?;
        let (_, saved) = self.0.forward(&y[0], &same.labels()[part])?;
        Ok(saved.backward((1.0 / divisors[0]) as f32).into())
    }

    fn score(&self, y: &Tensors, same: &Classes, part: Range<usize>, to: &mut Score) -> Result<(), NnError> {
        let same = &same.labels()[part];
        to.loss(self.0.forward(&y[0], same)?.0, same.len() as f64);
        to.add(0, right(&y[0], same, self.0.margin / 2.0) as f64, same.len() as f64);
        Ok(())
    }
}

/// The number of pairs whose difference is shorter than `limit` exactly if they show the same digit.
fn right(differences: &Tensor, same: &[u32], limit: f64) -> usize {
    let differences = differences.data().chunks(differences.shape().numel() / same.len());
    let distances = differences.map(|x| x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt());
    distances.zip(same).filter(|&(distance, &same)| (distance < limit) == (same == 1)).count()
}

/// Pairs out of a data set, different ones in each epoch: half of the same digit, half of two digits.
pub struct Pairs {
    digits: InMemoryDataset,
    /// The images of each digit.
    of: Vec<Vec<usize>>,
    pairs: usize,
    seed: u64,
}

const BATCH: usize = 64;

impl Pairs {
    /// The given number of pairs.
    pub fn new(digits: InMemoryDataset, pairs: usize, seed: u64) -> Self {
        let mut of = vec![Vec::new(); digits.classes().len()];
        digits.labels().iter().enumerate().for_each(|(image, &digit)| of[digit as usize].push(image));
        Self { digits, of, pairs, seed }
    }

    /// The two images of a pair, and whether they show the same digit. They depend only on seed, epoch and number.
    fn pair(&self, epoch: usize, number: usize) -> ([usize; 2], u32) {
        let mut random = Random::new(self.seed, &["pair", &epoch.to_string(), &number.to_string()]);
        let same = number.is_multiple_of(2);
        let left = random.below(self.of.len());
        let others = random.below(self.of.len() - 1) + 1;
        let right = if same { left } else { (left + others) % self.of.len() };
        let images = [left, right].map(|digit| self.of[digit][random.below(self.of[digit].len())]);
        (images, same.into())
    }

    fn batch(&self, epoch: usize, numbers: Range<usize>) -> Result<Batch, NnError> {
        let (images, same): (Vec<[usize; 2]>, Vec<u32>) =
            numbers.map(|number| self.pair(epoch, number)).unzip();
        let side = |side: usize| -> Result<Tensor, NnError> {
            let bytes: Vec<u8> =
                images.iter().flat_map(|pair| self.digits.image(pair[side])).copied().collect();
            Ok(MnistFamily::Mnist.normalize().tensor([images.len(), 1, 28, 28], &bytes)?)
        };
        Ok(Batch::new([side(0)?, side(1)?], same))
    }
}

impl Batches for Pairs {
    fn examples(&self) -> usize {
        self.pairs
    }

    fn batches(&self) -> usize {
        self.pairs.div_ceil(BATCH)
    }

    fn epoch(&self, epoch: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
        let batches = (skip..self.batches()).map(|batch| batch * BATCH);
        Box::new(batches.map(move |start| self.batch(epoch, start..self.pairs.min(start + BATCH))))
    }
}

/// The accuracy on pairs of test digits after each epoch; and, after the network is saved to `path`, that of the network loaded
/// from there.
pub fn learn(
    epochs: usize,
    pairs: usize,
    tested: usize,
    path: &Path,
) -> Result<(Vec<f64>, f64), Box<dyn Error>> {
    let train = Pairs::new(MnistFamily::Mnist.load(MNIST, Split::Train)?, pairs, 1);
    let test = Pairs::new(MnistFamily::Mnist.load(MNIST, Split::Test)?, tested, 2);
    let settings = TrainSettings {
        epochs,
        learning_rate: 3e-3,
        schedule: Schedule::OneCycle { warmup: 0.2 },
        optimizer: OptimizerSpec::Adam(Adam::default()),
        ..TrainSettings::default()
    };
    let mut trainer = Trainer::new(network()?, Same(Contrastive::new(MARGIN)), settings)?;
    trainer.fit(&train, &test, &mut ())?;
    let accuracies = trainer.progress().history.iter().filter_map(|report| report.test("accuracy")).collect();

    trainer.net().save(path)?;
    let again = evaluate(&Graph::load(path)?, trainer.task(), &test)?;
    Ok((accuracies, again.get("accuracy").ok_or("no accuracy")?))
}

fn main() -> Result<(), Failure> {
    let epochs = std::env::args_os().nth(1);
    let epochs =
        epochs.map_or(Some(4), |word| word.to_str()?.parse().ok()).ok_or("expected a number of EPOCHS")?;
    println!("{}", network()?.summary());
    let path = std::env::temp_dir().join("siamese.safetensors");
    let start = Instant::now();
    let (accuracies, again) = learn(epochs, 30_000, 10_000, &path)?;
    for (epoch, accuracy) in accuracies.iter().enumerate() {
        println!("epoch {}: {:.2} % of unseen pairs right", epoch + 1, 100.0 * accuracy);
    }
    println!("{:.1} seconds; from {}: {:.2} %", start.elapsed().as_secs_f64(), path.display(), 100.0 * again);
    Ok(())
}
