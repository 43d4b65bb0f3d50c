//! 13. Segmentation: a small U-Net classifies every pixel, with a task of its own.
//!
//! `cargo run --release -p cnn-zoo --example 13_unet`
//!
//! O. Ronneberger, P. Fischer and T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
//! figure 1: a way down, a way up, and at each level a connection across, which keeps the edges sharp.
#![allow(clippy::print_stdout)]

mod failure;

use cnn_nn::metrics::argmax_of_channels;
use cnn_nn::spec::{
    NamedSpec, batch_norm2d, cat, conv_transpose2d, conv2d, graph, max_pool2d, relu, sequential,
};
use cnn_nn::{
    Adam, Batch, Batches, EpochReport, Gradients, Graph, GraphSpec, LayerSpec, List, NnError, OptimizerSpec,
    Schedule, Score, Steps, Task, Tensors, TrainSettings, Trainer,
};
use cnn_ops::{CrossEntropy, Loss};
use cnn_tensor::{Random, Tensor};
use failure::Failure;
use std::ops::Range;

/// Height and width of the pictures.
const SIDE: usize = 32;
/// Background, disc, square.
const CLASSES: usize = 3;

/// Two convolutions, each with batch normalisation and a rectifier.
fn block(channels: usize) -> LayerSpec {
    let conv = |i: usize| -> [NamedSpec; 3] {
        [
            conv2d(channels, 3).padding(1).bias(false).named(&format!("conv{i}")),
            batch_norm2d().named(&format!("bn{i}")),
            relu().named(&format!("relu{i}")),
        ]
    };
    sequential(conv(1).into_iter().chain(conv(2)))
}

/// The network: nodes that read each other by name.
fn unet() -> GraphSpec {
    graph(["image"])
        .node("down1", block(12), ["image"])
        .node("pool1", max_pool2d(2), ["down1"])
        .node("down2", block(16), ["pool1"])
        .node("pool2", max_pool2d(2), ["down2"])
        .node("bottom", block(32), ["pool2"])
        .node("up2", conv_transpose2d(16, 2).stride(2), ["bottom"])
        .node("across2", cat(1), ["down2", "up2"])
        .node("merge2", block(16), ["across2"])
        .node("up1", conv_transpose2d(12, 2).stride(2), ["merge2"])
        .node("across1", cat(1), ["down1", "up1"])
        .node("merge1", block(12), ["across1"])
        .node("classes", conv2d(CLASSES, 1), ["merge1"])
        .outputs(["classes"])
}

/// The mean cross-entropy of the pixels, and intersection over union: of the pixels that are a shape in truth or by the
/// network, the share with the right class.
struct Segment;

impl Task for Segment {
    /// A class for each pixel.
    type Target = Steps;

    fn metrics(&self) -> Vec<String> {
        vec!["iou".into()]
    }

    fn divisors(&self, target: &Steps) -> List<f64> {
        (target.labels().len() as f64).into()
    }

    fn loss(
        &self,
        y: Tensors,
        target: &Steps,
        part: Range<usize>,
        divisors: &[f64],
        score: &mut Score,
    ) -> Result<Gradients, NnError> {
        self.score(&y, target, part.clone(), score)?;
        let (_, saved) = CrossEntropy::default().forward(&y[0], target.of(part))?;
        Ok(saved.backward((1.0 / divisors[0]) as f32).into())
    }

    fn score(
        &self,
        y: &Tensors,
        target: &Steps,
        part: Range<usize>,
        score: &mut Score,
    ) -> Result<(), NnError> {
        let labels = target.of(part);
        score.loss(CrossEntropy::default().forward(&y[0], labels)?.0, labels.len() as f64);
        let pixels = argmax_of_channels(&y[0])?.into_iter().zip(labels);
        let shapes: Vec<(u32, u32)> =
            pixels.map(|(got, &want)| (got, want)).filter(|pair| *pair != (0, 0)).collect();
        score.add(0, shapes.iter().filter(|(got, want)| got == want).count() as f64, shapes.len() as f64);
        Ok(())
    }
}

/// Pictures with a disc and a square on noise. Each is drawn from its number whenever it is needed.
pub struct Shapes {
    /// The number of pictures.
    pub images: usize,
    /// The seed of the pictures.
    pub seed: u64,
}

const BATCH: usize = 16;

impl Shapes {
    /// Picture `i`: its pixels, and the class of each.
    pub fn picture(&self, i: usize) -> (Vec<f32>, Vec<u32>) {
        let mut random = Random::new(self.seed, &["shapes", &i.to_string()]);
        let mut pixels = vec![0.0; SIDE * SIDE];
        random.fill_normal(0.2, &mut pixels);
        let mut labels = vec![0; SIDE * SIDE];
        for class in [1, 2] {
            let [row, column] = [0, 1].map(|_| 6 + random.below(SIDE - 12));
            let (size, brightness) = (3 + random.below(4), 0.7 + 0.1 * random.below(6) as f32);
            for (at, (pixel, label)) in pixels.iter_mut().zip(&mut labels).enumerate() {
                let (dy, dx) = ((at / SIDE).abs_diff(row), (at % SIDE).abs_diff(column));
                let inside = if class == 1 { dy * dy + dx * dx <= size * size } else { dy.max(dx) <= size };
                if inside {
                    (*pixel, *label) = (*pixel + brightness, class);
                }
            }
        }
        (pixels, labels)
    }
}

impl Batches<Steps> for Shapes {
    fn examples(&self) -> usize {
        self.images
    }

    fn batches(&self) -> usize {
        self.images.div_ceil(BATCH)
    }

    fn epoch(&self, _: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch<Steps>, NnError>> + '_> {
        Box::new((skip..self.batches()).map(|batch| {
            let pictures = (batch * BATCH..self.images.min((batch + 1) * BATCH)).map(|i| self.picture(i));
            let (pixels, labels): (Vec<_>, Vec<_>) = pictures.unzip();
            let x = Tensor::from_vec([pixels.len(), 1, SIDE, SIDE], pixels.concat())?;
            Ok(Batch::new(x, Steps::new(labels.concat(), SIDE * SIDE)?))
        }))
    }
}

/// Trains on the given number of pictures; returns the report of each epoch, and the network.
pub fn train(images: usize, epochs: usize) -> Result<(Vec<EpochReport>, Graph), NnError> {
    let net = Graph::of(&unet(), [[1, SIDE, SIDE]], 0)?;
    let settings = TrainSettings {
        epochs,
        learning_rate: 1e-2,
        schedule: Schedule::Cosine,
        optimizer: OptimizerSpec::Adam(Adam::default()),
        ..TrainSettings::default()
    };
    let mut trainer = Trainer::new(net, Segment, settings)?;
    trainer.fit(&Shapes { images, seed: 1 }, &Shapes { images: 200, seed: 2 }, &mut ())?;
    Ok((trainer.progress().history.clone(), trainer.into_net()))
}

fn main() -> Result<(), Failure> {
    let start = std::time::Instant::now();
    let (history, net) = train(1000, 6)?;
    println!("{}", net.summary());
    for report in &history {
        let of = |metric| report.test(metric).unwrap_or(f64::NAN);
        println!("epoch {}: test loss {:.4}, IoU {:.3}", report.epoch, of("loss"), of("iou"));
    }
    println!("{:.1} s\n", start.elapsed().as_secs_f64());

    // A new picture: brightness, true classes, predicted classes.
    let (pixels, labels) = Shapes { images: 1, seed: 3 }.picture(0);
    let answer = argmax_of_channels(&net.infer(&Tensor::from_vec([1, 1, SIDE, SIDE], pixels.clone())?)?)?;
    let sign = |class: &u32| [' ', 'o', '#'][*class as usize];
    for row in (0..SIDE).step_by(2) {
        let here = row * SIDE..(row + 1) * SIDE;
        let shade = |v: &f32| {
            if *v < 0.3 {
                ' '
            } else if *v < 0.8 {
                '.'
            } else {
                '*'
            }
        };
        let line = |chars: &mut dyn Iterator<Item = char>| chars.collect::<String>();
        println!(
            "{}|{}|{}",
            line(&mut pixels[here.clone()].iter().map(shade)),
            line(&mut labels[here.clone()].iter().map(sign)),
            line(&mut answer[here].iter().map(sign))
        );
    }
    Ok(())
}
