//! 17. Regression: a network that estimates the angle of a bar, with a metric of its own, degrees.
//!
//! `cargo run --release -p cnn-zoo --example 17_regression`
//!
//! The angle itself is a bad target: 179 degrees and 1 degree are nearly the same line, but far apart as numbers. The cosine
//! and the sine of twice the angle do not have this problem (N. Fisher, "Statistical Analysis of Circular Data", 1993,
//! section 2.3, on axial data).
#![allow(clippy::print_stdout)]

mod failure;

use cnn_nn::spec::{conv2d, flatten, linear, max_pool2d, relu};
use cnn_nn::{
    Adam, Batch, Batches, EpochReport, Gradients, Graph, List, NnError, OptimizerSpec, Schedule, Score, Task,
    Tensors, TrainSettings, Trainer,
};
use cnn_ops::{Loss, Mse};
use cnn_tensor::{Random, Tensor};
use failure::Failure;
use std::ops::Range;

const SIDE: usize = 24;
const BATCH: usize = 64;

/// The squared error of `(cos 2a, sin 2a)`, and the mean error of the angle in degrees, 0 to 90.
struct Angles;

impl Task for Angles {
    /// `[n, 2]`.
    type Target = Tensor;

    fn metrics(&self) -> Vec<String> {
        vec!["degrees".into()]
    }

    fn divisors(&self, target: &Tensor) -> List<f64> {
        Mse::default().divisor(target).into()
    }

    fn loss(
        &self,
        y: Tensors,
        target: &Tensor,
        part: Range<usize>,
        divisors: &[f64],
        score: &mut Score,
    ) -> Result<Gradients, NnError> {
        self.score(&y, target, part.clone(), score)?;
        let (_, saved) = Mse::default().forward(&y[0], &target.slice_batch(part.start, part.end))?;
        Ok(saved.backward((1.0 / divisors[0]) as f32).into())
    }

    fn score(
        &self,
        y: &Tensors,
        target: &Tensor,
        part: Range<usize>,
        score: &mut Score,
    ) -> Result<(), NnError> {
        let target = target.slice_batch(part.start, part.end);
        score.loss(Mse::default().forward(&y[0], &target)?.0, target.data().len() as f64);
        let pairs = y[0].data().chunks_exact(2).zip(target.data().chunks_exact(2));
        let errors = pairs.map(|(y, target)| difference(angle(y), angle(target)));
        score.add(0, errors.sum(), part.len() as f64);
        Ok(())
    }
}

/// The angle `a` in degrees, 0 to 180, from `[cos 2a, sin 2a]`, multiplied by any positive number.
pub fn angle(doubled: &[f32]) -> f64 {
    (f64::from(doubled[1]).atan2(f64::from(doubled[0])).to_degrees() / 2.0).rem_euclid(180.0)
}

/// The difference of two angles of lines: at most 90 degrees.
fn difference(a: f64, b: f64) -> f64 {
    let d = (a - b).rem_euclid(180.0);
    d.min(180.0 - d)
}

/// Bright bars on noise.
pub struct Bars {
    /// The number of pictures.
    pub images: usize,
    /// The seed of the pictures.
    pub seed: u64,
}

impl Bars {
    /// The pixels of picture `i`, and the cosine and the sine of twice its angle.
    pub fn picture(&self, i: usize) -> (Vec<f32>, [f32; 2]) {
        let mut random = Random::new(self.seed, &["bars", &i.to_string()]);
        let mut pixels = vec![0.0; SIDE * SIDE];
        random.fill_normal(0.3, &mut pixels);
        let angle = (random.below(1800) as f32 / 10.0).to_radians();
        let middle = SIDE as f32 / 2.0 + random.below(7) as f32 - 3.0;
        for (at, pixel) in pixels.iter_mut().enumerate() {
            let (dx, dy) = ((at % SIDE) as f32 - middle, middle - (at / SIDE) as f32);
            let (along, across) = (dx * angle.cos() + dy * angle.sin(), dy * angle.cos() - dx * angle.sin());
            if along.abs() < 8.0 && across.abs() < 1.5 {
                *pixel += 1.0;
            }
        }
        (pixels, [(2.0 * angle).cos(), (2.0 * angle).sin()])
    }
}

impl Batches<Tensor> for Bars {
    fn examples(&self) -> usize {
        self.images
    }

    fn batches(&self) -> usize {
        self.images.div_ceil(BATCH)
    }

    fn epoch(&self, _: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch<Tensor>, NnError>> + '_> {
        Box::new((skip..self.batches()).map(|batch| {
            let pictures = (batch * BATCH..self.images.min((batch + 1) * BATCH)).map(|i| self.picture(i));
            let (pixels, targets): (Vec<_>, Vec<_>) = pictures.unzip();
            let n = pixels.len();
            let x = Tensor::from_vec([n, 1, SIDE, SIDE], pixels.concat())?;
            Ok(Batch::new(x, Tensor::from_vec([n, 2], targets.concat())?))
        }))
    }
}

/// Trains on the given number of pictures; returns the report of each epoch, and the network.
pub fn train(images: usize, epochs: usize) -> Result<(Vec<EpochReport>, Graph), NnError> {
    let layers = [
        conv2d(8, 5).named("conv1"),
        relu().named("relu1"),
        max_pool2d(2).named("pool1"),
        conv2d(16, 3).named("conv2"),
        relu().named("relu2"),
        max_pool2d(2).named("pool2"),
        flatten().named("flatten"),
        linear(32).named("fc1"),
        relu().named("relu3"),
        linear(2).named("fc2"),
    ];
    let settings = TrainSettings {
        epochs,
        learning_rate: 2e-3,
        schedule: Schedule::Cosine,
        optimizer: OptimizerSpec::Adam(Adam::default()),
        ..TrainSettings::default()
    };
    let mut trainer = Trainer::new(Graph::build(layers, [1, SIDE, SIDE], 0)?, Angles, settings)?;
    trainer.fit(&Bars { images, seed: 1 }, &Bars { images: 500, seed: 2 }, &mut ())?;
    Ok((trainer.progress().history.clone(), trainer.into_net()))
}

fn main() -> Result<(), Failure> {
    let start = std::time::Instant::now();
    let (history, net) = train(4000, 10)?;
    for report in &history {
        let of = |metric| report.test(metric).unwrap_or(f64::NAN);
        println!(
            "epoch {:>2}: test loss {:.4}, error {:.2} degrees",
            report.epoch,
            of("loss"),
            of("degrees")
        );
    }
    println!("{:.1} s; guesses would have a mean error of 45 degrees\n", start.elapsed().as_secs_f64());
    for i in 0..5 {
        let (pixels, truth) = Bars { images: 5, seed: 3 }.picture(i);
        let y = net.infer(&Tensor::from_vec([1, 1, SIDE, SIDE], pixels)?)?;
        println!("angle {:5.1} degrees, predicted {:5.1}", angle(&truth), angle(y.data()));
    }
    Ok(())
}
