mod plain;

use super::{CHUNK, Loss, Reduction, Saved};
use crate::OpError;
use crate::shared::check;
use crate::shared::exponential::{BLOCK, exponentials, largest, sum_of_exponentials};
use crate::shared::positions::Positions;
use cnn_tensor::simd::Level;
use cnn_tensor::{Shape, Tensor};
use serde::{Deserialize, Serialize};

/// Cross-entropy between the softmax of logits and the right class, the loss of classifiers. PyTorch's
/// `nn.CrossEntropyLoss`.
///
/// Logits are `[n, classes]`, or `[n, classes, h, w]` with a class to be found for every pixel. Targets are the numbers of
/// the right classes, counted from 0, `n` or `n h w` of them in row-major order, or probabilities in the shape of the
/// logits. At each position, with `e = label_smoothing` and `w` the weights of the classes,
///
/// ```text
/// loss = sum over k of q[k] (-ln softmax(x)[k])      dx[k] = softmax(x)[k] (sum over j of q[j]) - q[k]
/// q[k] = (1 - e) w[k] (1 if k = label, else 0) + e / classes w[k]        for labels
/// q[k] = ((1 - e) target[k] + e / classes) w[k]                          for probabilities
/// ```
///
/// in nats; without options `-ln softmax(x)[label]`. The mean over labels divides by the weights of the right classes,
/// ignored ones left out; that over probabilities by the number of positions.
///
/// As there are two kinds of target, labels are given as a slice: `&labels[..]`, not `&labels`.
///
/// **Conventions.** A class with `q[k] = 0` adds nothing: its logit may be minus infinity, which at the label gives an
/// infinite loss. A position with a NaN, with plus infinity, or with nothing but minus infinity gives NaN. An ignored
/// position adds nothing to loss or gradient for any logits (PyTorch gives NaN for `0 * inf`). The sum over no images
/// is 0. Where all are ignored, the mean is NaN, as in PyTorch, and its gradient 0. Weights may be any numbers;
/// probabilities need not add up to 1.
///
/// **Algorithm.** The largest logit of each position is subtracted first, and sums are taken in f64, so the loss is accurate
/// for any finite logits, down to the 1e-9 of an image that is all but certain. Losses are added in the order of the
/// positions. Labels of images take a shorter path if there are no options.
///
/// In JSON, `{"weight": [1.0, 2.0], "ignore_index": 255, "reduction": "mean", "label_smoothing": 0.1}`; fields that
/// are left out have PyTorch's defaults.
///
/// ```
/// use cnn_ops::{CrossEntropy, Loss};
/// use cnn_tensor::Tensor;
/// let logits = Tensor::from_vec([2, 2], vec![0.0, 0.0, 5.0, 5.0])?;
/// let (mean, dlogits) = CrossEntropy::default().loss(&logits, &[0, 1][..])?;
/// assert_eq!(mean, 2f64.ln());
/// assert_eq!(dlogits.data(), [-0.25, 0.25, 0.25, -0.25]);
///
/// let smooth = CrossEntropy { label_smoothing: 0.1, ..CrossEntropy::default() };
/// let (mean, dlogits) = smooth.loss(&logits, &[0, 1][..])?;
/// assert_eq!(mean, 2f64.ln());
/// assert_eq!(dlogits.data(), [-0.225, 0.225, 0.225, -0.225]);
///
/// let probabilities = Tensor::from_vec([2, 2], vec![0.75, 0.25, 0.5, 0.5])?;
/// let (_, dlogits) = CrossEntropy::default().loss(&logits, &probabilities)?;
/// assert_eq!(dlogits.data(), [-0.125, 0.125, 0.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: J. Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs" (1990). Of label
/// smoothing: C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 7.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrossEntropy {
    /// A weight for each class; all 1 without.
    pub weight: Option<Vec<f32>>,
    /// A label whose positions do not count; it need not be below the number of classes.
    pub ignore_index: Option<u32>,
    /// How the losses are combined.
    pub reduction: Reduction,
    /// The part of each target that is spread evenly over all classes, from 0 to 1.
    pub label_smoothing: f64,
}

const OP: &str = "cross_entropy";

/// Labels: the right class at each position.
impl Loss<[u32]> for CrossEntropy {
    /// The sum of the losses, in nats, from `logits [n, classes, ...]` and the right class at each position.
    ///
    /// # Errors
    /// An option is out of its range, `logits` is of rank below 2, there is not one label for each position, or a label
    /// is neither below `classes` nor ignored.
    fn forward(&self, logits: &Tensor, labels: &[u32]) -> Result<(f64, Saved), OpError> {
        if plain::suits(self, logits.shape()) {
            return plain::forward(logits, labels);
        }
        let positions = self.positions(logits.shape())?;
        check::labels(OP, labels, label_extents(logits.shape(), positions), self.ignore_index)?;
        let (spread, level) = (self.label_smoothing / positions.classes as f64, Level::current());
        let (loss, dx) = positions.losses([logits], CHUNK, |at, [x], dx| {
            if Some(labels[at]) == self.ignore_index {
                dx.fill(0.0);
                return 0.0;
            }
            let label = labels[at] as usize;
            let hit = |k: usize| if k == label { 1.0 - self.label_smoothing } else { 0.0 };
            of_position(level, x, |k| self.weight_of(k) * (hit(k) + spread), dx)
        });
        Ok((loss, Saved::new(dx)))
    }

    /// For the mean, the weights of the labels that are not ignored, added up; else 1. A label that names no class counts 0;
    /// `forward` reports it.
    fn divisor(&self, labels: &[u32]) -> f64 {
        let weight = |&label: &u32| match (&self.weight, label) {
            (_, label) if Some(label) == self.ignore_index => 0.0,
            (None, _) => 1.0,
            (Some(weights), label) => weights.get(label as usize).map_or(0.0, |&weight| f64::from(weight)),
        };
        self.reduction.divisor(labels.iter().map(weight).sum())
    }
}

/// Probabilities, in the shape of the logits.
impl Loss<Tensor> for CrossEntropy {
    /// The sum of the losses, in nats, from `logits [n, classes, ...]` and the probability of each class.
    ///
    /// # Errors
    /// An option is out of its range or a label is to be ignored, `logits` is of rank below 2, or `targets` is not of its
    /// shape.
    fn forward(&self, logits: &Tensor, targets: &Tensor) -> Result<(f64, Saved), OpError> {
        let positions = self.positions(logits.shape())?;
        if let Some(ignored) = self.ignore_index {
            let (option, rule) = ("ignore_index", "left out where targets are probabilities");
            return Err(OpError::Option { op: OP, option, rule, got: ignored.to_string() });
        }
        check::shape(OP, "targets", logits.shape(), targets)?;
        let (spread, level) = (self.label_smoothing / positions.classes as f64, Level::current());
        let (loss, dx) = positions.losses([logits, targets], CHUNK, |_, [x, target], dx| {
            let smooth = |k: usize| f64::from(target[k]) * (1.0 - self.label_smoothing) + spread;
            of_position(level, x, |k| self.weight_of(k) * smooth(k), dx)
        });
        Ok((loss, Saved::new(dx)))
    }

    /// For the mean, the number of positions, not the sum of the weights; else 1.
    fn divisor(&self, targets: &Tensor) -> f64 {
        let positions = Positions::new(OP, "targets", targets.shape()).map_or(0, |positions| positions.count);
        self.reduction.divisor(positions as f64)
    }
}

impl CrossEntropy {
    /// The positions of the logits, if the options are in their ranges.
    fn positions(&self, logits: Shape) -> Result<Positions, OpError> {
        let positions = Positions::new(OP, "logits", logits)?;
        let smoothing = self.label_smoothing;
        let within = (0.0..=1.0).contains(&smoothing);
        check::number(OP, "label_smoothing", "between 0 and 1", smoothing, within)?;
        check::per_class(OP, "weight", self.weight.as_deref(), positions.classes)?;
        Ok(positions)
    }

    fn weight_of(&self, class: usize) -> f64 {
        self.weight.as_ref().map_or(1.0, |weights| f64::from(weights[class]))
    }
}

/// The number of labels, the number for each image, and the number of classes, which each label is below.
fn label_extents(logits: Shape, positions: Positions) -> [usize; 3] {
    [logits.batch().saturating_mul(positions.inner), positions.inner, positions.classes]
}

/// The loss at one position whose target is `q`, and its gradient to `dx`.
#[inline]
fn of_position(level: Level, x: &[f32], q: impl Fn(usize) -> f64, dx: &mut [f32]) -> f64 {
    let max = f64::from(largest(level, x));
    let sum = sum_of_exponentials(level, max, x, dx);
    let log_sum = sum.ln();
    let (mut loss, mut total) = (0.0, 0.0);
    for (k, &x) in x.iter().enumerate() {
        let q = q(k);
        total += q;
        if q != 0.0 {
            loss += q * (log_sum - (f64::from(x) - max));
        }
    }
    // In f64: in f32, `p - q` loses all digits of a p near q.
    let (share, mut e) = (total / sum, [0.0; BLOCK]);
    for (block, (x, dx)) in x.chunks(BLOCK).zip(dx.chunks_mut(BLOCK)).enumerate() {
        exponentials(level, max, x, &mut e);
        for (i, (dx, e)) in dx.iter_mut().zip(e).enumerate() {
            *dx = (share * e - q(block * BLOCK + i)) as f32;
        }
    }
    loss
}

#[cfg(test)]
mod tests;
