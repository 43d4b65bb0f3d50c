//! Single operations at the shapes that they have in real networks.
//!
//! Which there are stands in `xtask/peers/operations.json`, where peers read it too: a row is an operation, then a part of
//! its work. What is limited by memory counts each number that it is given, and each that it makes or keeps for its
//! backward pass, once.

use super::{Prepared, Tally, Work, random};
use cnn_cli::fault::Fault;
use cnn_ops::conv2d::Saved;
use cnn_ops::dropout::{Dropout, Stream};
use cnn_ops::{Activation, AvgPool2d, BatchNorm, Conv2d, CrossEntropy, Loss, MaxPool2d, linear, losses};
use cnn_tensor::{MatMut, MatRef, Tensor, gemm};
use serde::Deserialize;

/// The rows.
pub fn works() -> Vec<Work> {
    operations().into_iter().flat_map(Operation::works).collect()
}

fn operations() -> Vec<Operation> {
    serde_json::from_str(include_str!("../../../peers/operations.json")).expect("operations.json is ours")
}

/// An operation of the file.
#[derive(Clone, Debug, Deserialize)]
struct Operation {
    name: String,
    /// Images per batch; none where it does not work on images.
    batch: Option<usize>,
    #[serde(default)]
    parts: Vec<Part>,
    #[serde(flatten)]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Kind {
    Gemm { side: usize },
    Conv2d(Conv),
    Linear { x: [usize; 1], outputs: usize },
    MaxPool2d { x: [usize; 3], kernel: usize, stride: usize },
    AvgPool2d { x: [usize; 3], kernel: usize, stride: usize },
    BatchNorm { x: [usize; 3] },
    Relu { x: [usize; 3] },
    Dropout { x: [usize; 1] },
    CrossEntropy { x: [usize; 1] },
}

/// A convolution where it stands in a net.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Conv {
    /// Channels, height and width of an input.
    x: [usize; 3],
    c_out: usize,
    kernel: usize,
    #[serde(default = "one")]
    stride: usize,
    #[serde(default)]
    padding: usize,
    /// Whether it is the first layer, so that the gradient of its input is not needed.
    #[serde(default)]
    first: bool,
}

fn one() -> usize {
    1
}

/// The part of an operation's work that a row measures.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
enum Part {
    /// As in training: with what the backward pass needs.
    #[serde(rename = "forward")]
    Forward,
    #[serde(rename = "backward input")]
    BackwardInput,
    /// Of weights and biases.
    #[serde(rename = "backward weights")]
    BackwardWeights,
    /// All gradients that a network asks for.
    #[serde(rename = "backward")]
    Backward,
    #[serde(rename = "forward+backward")]
    Both,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::BackwardInput => "backward input",
            Self::BackwardWeights => "backward weights",
            Self::Backward => "backward",
            Self::Both => "forward+backward",
        }
    }
}

impl Operation {
    fn works(self) -> Vec<Work> {
        let batches = self.batch.as_slice();
        if let Kind::Gemm { side } = self.kind {
            return vec![Work::new(&self.name, batches, move |_, _| Ok(square_gemm(side)))];
        }
        let kind = self.kind;
        let row = |&part: &Part| {
            let name = format!("{} {}", self.name, part.name());
            Work::new(name, batches, move |n, _| kind.prepare(n, part))
        };
        self.parts.iter().map(row).collect()
    }
}

impl Kind {
    fn prepare(self, n: usize, part: Part) -> Result<Prepared, Fault> {
        let images = |[c, h, w]: [usize; 3]| random([n, c, h, w]);
        match self {
            Self::Gemm { side } => Ok(square_gemm(side)),
            Self::Conv2d(conv) => conv.prepare(n, part),
            Self::Linear { x: [inputs], outputs } => fully_connected([n, inputs, outputs], part),
            Self::MaxPool2d { x, kernel, stride } => {
                max_pool(MaxPool2d::new([kernel; 2]).stride([stride; 2]), images(x), part)
            }
            Self::AvgPool2d { x, kernel, stride } => {
                avg_pool(AvgPool2d::new([kernel; 2]).stride([stride; 2]), images(x), part)
            }
            Self::BatchNorm { x } => batch_norm(images(x), part),
            Self::Relu { x } => relu(images(x), part),
            Self::Dropout { x: [features] } => dropout(random([n, features]), part),
            Self::CrossEntropy { x: [classes] } => softmax_cross_entropy([n, classes], part),
        }
    }
}

/// Bytes of so many numbers.
fn bytes(numbers: usize) -> Tally {
    Tally::Bytes(4 * numbers as u64)
}

/// A part that an operation of the file does not have.
fn none(part: Part) -> ! {
    panic!("operations.json is ours, and asks for no {part:?} here")
}

/// The product of two square matrices.
fn square_gemm(side: usize) -> Prepared {
    let (a, b, mut c) = (random([side, side]), random([side, side]), Tensor::zeros([side, side]));
    Prepared::new(Tally::Macs((side as u64).pow(3)), move || {
        let (a, b) = (MatRef::new(a.data(), side, side), MatRef::new(b.data(), side, side));
        gemm(1.0, a, b, 0.0, MatMut::new(c.data_mut(), side, side));
        Ok(())
    })
}

impl Conv {
    fn prepare(self, n: usize, part: Part) -> Result<Prepared, Fault> {
        let Self { x: [c, h, w], c_out, first, .. } = self;
        let conv = Conv2d::new([self.kernel; 2]).stride([self.stride; 2]).padding([self.padding; 2]);
        let x = random([n, c, h, w]);
        let (weight, bias) = (random(conv.weight_shape(x.shape(), c_out)?), random([c_out]));
        let products = match part {
            Part::Forward | Part::BackwardInput | Part::BackwardWeights => 1,
            Part::Backward => 2 - u64::from(first),
            Part::Both => 3 - u64::from(first),
        };
        let tally = Tally::Macs(products * conv.macs(x.shape(), weight.shape())?);
        let (y, saved) = conv.forward(&x, &weight, Some(&bias))?;
        let dy = random(y.shape());
        let (mut dweight, mut dbias) = (Tensor::zeros(weight.shape()), Tensor::zeros(bias.shape()));
        let forward = move |weight: &Tensor| conv.forward(&x, weight, Some(&bias));
        if part == Part::BackwardInput {
            return Ok(Prepared::new(tally, move || {
                Ok(conv.backward_input(&saved, &weight, &dy).map(drop)?)
            }));
        }
        let mut gradients = move |saved: &Saved, weight: &Tensor, input: bool| {
            if input {
                conv.backward(saved, weight, &dy, &mut dweight, Some(&mut dbias)).map(drop)
            } else {
                conv.backward_parameters(saved, weight, &dy, &mut dweight, Some(&mut dbias))
            }
        };
        Ok(match part {
            Part::Forward => Prepared::new(tally, move || Ok(forward(&weight).map(drop)?)),
            Part::BackwardInput => none(part),
            Part::BackwardWeights => Prepared::new(tally, move || Ok(gradients(&saved, &weight, false)?)),
            Part::Backward => Prepared::new(tally, move || Ok(gradients(&saved, &weight, !first)?)),
            Part::Both => Prepared::new(tally, move || {
                let (_, saved) = forward(&weight)?;
                Ok(gradients(&saved, &weight, !first)?)
            }),
        })
    }
}

fn fully_connected([n, inputs, outputs]: [usize; 3], part: Part) -> Result<Prepared, Fault> {
    let (x, dy) = (random([n, inputs]), random([n, outputs]));
    let (weight, bias) = (random([outputs, inputs]), random([outputs]));
    let (mut dweight, mut dbias) = (Tensor::zeros([outputs, inputs]), Tensor::zeros([outputs]));
    let macs = (n * inputs * outputs) as u64;
    Ok(match part {
        Part::Forward => {
            Prepared::new(Tally::Macs(macs), move || Ok(linear::forward(&x, &weight, Some(&bias)).map(drop)?))
        }
        Part::Backward => Prepared::new(Tally::Macs(2 * macs), move || {
            Ok(linear::backward(&x, &weight, &dy, &mut dweight, Some(&mut dbias)).map(drop)?)
        }),
        part => none(part),
    })
}

fn max_pool(pool: MaxPool2d, x: Tensor, part: Part) -> Result<Prepared, Fault> {
    let (y, saved) = pool.forward(&x)?;
    // For each output, the place of its maximum is kept.
    let tally = bytes(x.shape().numel() + 2 * y.shape().numel());
    let dy = random(y.shape());
    Ok(match part {
        Part::Forward => Prepared::new(tally, move || Ok(pool.forward(&x).map(drop)?)),
        Part::Backward => Prepared::new(tally, move || Ok(pool.backward(&saved, &dy).map(drop)?)),
        part => none(part),
    })
}

fn avg_pool(pool: AvgPool2d, x: Tensor, part: Part) -> Result<Prepared, Fault> {
    let dy = random(pool.output_shape(x.shape())?);
    let tally = bytes(x.shape().numel() + dy.shape().numel());
    Ok(match part {
        Part::Forward => Prepared::new(tally, move || Ok(pool.forward(&x).map(drop)?)),
        Part::Backward => Prepared::new(tally, move || Ok(pool.backward(x.shape(), &dy).map(drop)?)),
        part => none(part),
    })
}

fn batch_norm(x: Tensor, part: Part) -> Result<Prepared, Fault> {
    let norm = BatchNorm::default();
    let (numbers, channels) = (x.shape().numel(), x.shape().dims()[1]);
    let (weight, bias) = (random([channels]), random([channels]));
    let (_, saved) = norm.forward(&x, Some(&weight), Some(&bias))?;
    let dy = random(x.shape());
    let (mut dweight, mut dbias) = (Tensor::zeros([channels]), Tensor::zeros([channels]));
    Ok(match part {
        Part::Forward => Prepared::new(bytes(2 * numbers), move || {
            Ok(norm.forward(&x, Some(&weight), Some(&bias)).map(drop)?)
        }),
        Part::Backward => Prepared::new(bytes(3 * numbers), move || {
            let gradients = (Some(&mut dweight), Some(&mut dbias));
            Ok(norm.backward(&saved, Some(&weight), &dy, gradients.0, gradients.1).map(drop)?)
        }),
        part => none(part),
    })
}

/// In the memory that it is given, as in a net: what comes out goes in again. Numbers may become 0 or infinite on the way,
/// which costs what other numbers cost.
fn in_place(
    tally: Tally,
    first: Tensor,
    mut step: impl FnMut(Tensor) -> Result<Tensor, Fault> + Send + 'static,
) -> Prepared {
    let mut at_hand = Some(first);
    Prepared::new(tally, move || {
        at_hand = Some(step(at_hand.take().expect("what the last run left"))?);
        Ok(())
    })
}

fn relu(x: Tensor, part: Part) -> Result<Prepared, Fault> {
    let (shape, numbers) = (x.shape(), x.shape().numel());
    Ok(match part {
        Part::Forward => in_place(bytes(2 * numbers), x, |x| Ok(Activation::Relu.forward(x).0)),
        Part::Backward => {
            let (_, saved) = Activation::Relu.forward(x);
            in_place(bytes(3 * numbers), random(shape), move |dy| Ok(Activation::Relu.backward(&saved, dy)?))
        }
        part => none(part),
    })
}

fn dropout(x: Tensor, part: Part) -> Result<Prepared, Fault> {
    let (dropout, mut stream) = (Dropout::new(0.5), Stream::default());
    // The mask has a bit for each number, which is little beside the numbers.
    let tally = bytes(2 * x.shape().numel());
    Ok(match part {
        Part::Forward => in_place(tally, x, move |x| {
            stream.step += 1;
            Ok(dropout.forward(x, stream)?.0)
        }),
        Part::Backward => {
            let dy = random(x.shape());
            let (_, saved) = dropout.forward(x, stream)?;
            in_place(tally, dy, move |dy| Ok(dropout.backward(&saved, dy)?))
        }
        part => none(part),
    })
}

/// The forward pass gives the gradient of the sum of the losses, which the backward pass scales to that of their mean.
fn softmax_cross_entropy(shape: [usize; 2], part: Part) -> Result<Prepared, Fault> {
    let [n, classes] = shape;
    let (loss, logits) = (CrossEntropy::default(), random(shape));
    let labels: Vec<u32> = (0..n).map(|i| (i % classes) as u32).collect();
    let scale = 1.0 / n as f32;
    let tally = |passes| bytes(passes * n * classes);
    Ok(match part {
        Part::Forward => Prepared::new(tally(2), move || Ok(loss.forward(&logits, &labels[..]).map(drop)?)),
        Part::Backward => {
            let dlogits = loss.forward(&logits, &labels[..])?.1.backward(1.0);
            in_place(tally(2), dlogits, move |dlogits| Ok(losses::Saved::new(dlogits).backward(scale)))
        }
        Part::Both => Prepared::new(tally(2), move || {
            let (_, saved) = loss.forward(&logits, &labels[..])?;
            saved.backward(scale);
            Ok(())
        }),
        part => none(part),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The amount of work of a row for one image.
    fn tally(name: &str) -> Tally {
        let works = works();
        let work = works.iter().find(|work| work.name == name).expect(name);
        (work.prepare)(1, 1).unwrap().tally
    }

    #[test]
    fn convolutions_are_those_of_lenet_and_alexnet() {
        for (layer, macs) in [
            ("conv 6x1x5x5 28x28", 117_600),
            ("conv 16x6x5x5 10x10", 240_000),
            ("conv 64x3x11x11 s4 55x55", 70_276_800),
            ("conv 192x64x5x5 27x27", 223_948_800),
            ("conv 384x192x3x3 13x13", 112_140_288),
            ("conv 256x384x3x3 13x13", 149_520_384),
            ("conv 256x256x3x3 13x13", 99_680_256),
        ] {
            assert_eq!(tally(&format!("{layer} forward")), Tally::Macs(macs), "{layer}");
        }
        assert_eq!(tally("conv 6x1x5x5 28x28 backward"), Tally::Macs(117_600));
        assert_eq!(tally("conv 16x6x5x5 10x10 backward"), Tally::Macs(2 * 240_000));
        assert_eq!(tally("conv 64x3x11x11 s4 55x55 forward+backward"), Tally::Macs(2 * 70_276_800));
        assert_eq!(tally("conv 256x256x3x3 13x13 forward+backward"), Tally::Macs(3 * 99_680_256));
    }

    #[test]
    fn names_have_the_shapes_that_are_measured() {
        for operation in operations() {
            let Kind::Conv2d(Conv { x: [c, h, w], c_out, kernel, stride, padding, .. }) = operation.kind
            else {
                continue;
            };
            let out = |x: usize| (x + 2 * padding - kernel) / stride + 1;
            let stride = if stride == 1 { String::new() } else { format!(" s{stride}") };
            let name = format!("conv {c_out}x{c}x{kernel}x{kernel}{stride} {}x{}", out(h), out(w));
            assert_eq!(operation.name, name);
        }
    }

    #[test]
    fn what_memory_limits_counts_what_goes_in_and_out() {
        let (x, y) = (64 * 55 * 55, 64 * 27 * 27);
        assert_eq!(tally("max pool 3x3 s2 64x55x55 forward"), bytes(x + 2 * y));
        assert_eq!(tally("relu 64x55x55 backward"), bytes(3 * x));
        assert_eq!(tally("average pool 2x2 64x56x56 forward"), bytes(64 * 56 * 56 * 5 / 4));
    }
}
