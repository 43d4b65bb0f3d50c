use super::{OP, Saved, WORTH_A_THREAD, forward};
use crate::exponential::{BLOCK, exponentials, largest, sum_of_exponentials};
use crate::positions::Positions;
use crate::{OpError, Reduction, check};
use cnn_tensor::simd::Level;
use cnn_tensor::{Shape, Tensor};
use serde::{Deserialize, Serialize};

/// Cross-entropy with the options of PyTorch's `nn.CrossEntropyLoss`.
///
/// Logits are `[n, classes]`, or `[n, classes, h, w]` with a class to be found for every pixel. Targets are the numbers of
/// the right classes, `n` or `n h w` of them in row-major order, or probabilities in the shape of the logits. At each
/// position, with `e = label_smoothing` and `w` the weights of the classes,
///
/// ```text
/// loss = sum over k of q[k] (-ln softmax(x)[k])      dx[k] = softmax(x)[k] (sum over j of q[j]) - q[k]
/// q[k] = (1 - e) w[k] (1 if k = label, else 0) + e / classes w[k]        for labels
/// q[k] = ((1 - e) target[k] + e / classes) w[k]                          for probabilities
/// ```
///
/// `forward` gives the sum of the losses, and `backward` the gradient of `scale` times that. The reduction says by what
/// the sum is divided: [`CrossEntropy::divisor`], which is the sum of the weights of the right classes, ignored ones
/// left out. A batch that was cut is put together by adding the sums and dividing by the divisor of the whole.
///
/// A class with `q[k] = 0` adds nothing, even where its logit is minus infinity, and an ignored position adds nothing to
/// loss or gradient whatever its logits (PyTorch gives NaN for `0 * inf`). Where all are ignored, the mean is NaN, as in
/// PyTorch, and its gradient 0. Weights may be any numbers; probabilities need not add up to 1.
///
/// In JSON, `{"weight": [1.0, 2.0], "ignore_index": 255, "reduction": "mean", "label_smoothing": 0.1}`; what is left out
/// has PyTorch's default.
///
/// ```
/// use cnn_ops::CrossEntropy;
/// use cnn_tensor::Tensor;
/// let loss = CrossEntropy { label_smoothing: 0.1, ..CrossEntropy::default() };
/// let logits = Tensor::from_vec([1, 2], vec![0.0, 0.0])?;
/// let (mean, dlogits) = loss.loss(&logits, &[0])?;
/// assert_eq!(mean, 2f64.ln());
/// assert_eq!(dlogits.data(), [-0.45, 0.45]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source of label smoothing: C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016,
/// section 7.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrossEntropy {
    /// A weight for each class; all 1 without.
    pub weight: Option<Vec<f32>>,
    /// A label whose positions do not count; it need not be below the number of classes.
    pub ignore_index: Option<u32>,
    /// What the sum is divided by.
    pub reduction: Reduction,
    /// The part of each target that is spread evenly over all classes, from 0 to 1.
    pub label_smoothing: f64,
}

impl CrossEntropy {
    /// The sum of the losses, in nats, from `logits [n, classes, ...]` and the right class at each position.
    ///
    /// # Errors
    /// An option is out of its range, `logits` is of rank below 2, there is not one label for each position, or a label
    /// is neither below `classes` nor ignored.
    pub fn forward(&self, logits: &Tensor, labels: &[u32]) -> Result<(f64, Saved), OpError> {
        if *self == Self::default() && logits.shape().rank() == 2 {
            return forward(logits, labels);
        }
        let positions = self.positions(logits.shape())?;
        check::labels(OP, labels, label_extents(logits.shape(), positions), self.ignore_index)?;
        let (spread, level) = (self.label_smoothing / positions.classes as f64, Level::current());
        let (loss, dlogits) = positions.losses([logits], WORTH_A_THREAD, |at, [x], dx| {
            if Some(labels[at]) == self.ignore_index {
                dx.fill(0.0);
                return 0.0;
            }
            let label = labels[at] as usize;
            let hit = |k: usize| if k == label { 1.0 - self.label_smoothing } else { 0.0 };
            of_position(level, x, |k| self.weight_of(k) * (hit(k) + spread), dx)
        });
        Ok((loss, Saved { dlogits }))
    }

    /// [`CrossEntropy::forward`] for `targets` of the shape of the logits: the probability of each class.
    ///
    /// # Errors
    /// An option is out of its range or a label is to be ignored, `logits` is of rank below 2, or `targets` is not of its
    /// shape.
    pub fn forward_probabilities(&self, logits: &Tensor, targets: &Tensor) -> Result<(f64, Saved), OpError> {
        let positions = self.positions(logits.shape())?;
        if let Some(ignored) = self.ignore_index {
            let (option, rule) = ("ignore_index", "left out where targets are probabilities");
            return Err(OpError::Option { op: OP, option, rule, got: ignored.to_string() });
        }
        check::shape(OP, "targets", logits.shape(), targets)?;
        let (spread, level) = (self.label_smoothing / positions.classes as f64, Level::current());
        let (loss, dlogits) = positions.losses([logits, targets], WORTH_A_THREAD, |_, [x, target], dx| {
            let smooth = |k: usize| f64::from(target[k]) * (1.0 - self.label_smoothing) + spread;
            of_position(level, x, |k| self.weight_of(k) * smooth(k), dx)
        });
        Ok((loss, Saved { dlogits }))
    }

    /// The gradient with respect to the logits of `scale` times the sum. Pass one over [`CrossEntropy::divisor`] of the
    /// whole batch.
    pub fn backward(&self, saved: &Saved, scale: f32) -> Tensor {
        super::backward(saved, scale)
    }

    /// What the sum is divided by: for the mean, the weights of the labels that are not ignored, added up; else 1. A
    /// label that names no class counts 0; [`CrossEntropy::forward`] reports it.
    pub fn divisor(&self, labels: &[u32]) -> f64 {
        let weight = |&label: &u32| match (&self.weight, label) {
            (_, label) if Some(label) == self.ignore_index => 0.0,
            (None, _) => 1.0,
            (Some(weights), label) => weights.get(label as usize).map_or(0.0, |&weight| f64::from(weight)),
        };
        self.reduction.divisor(labels.iter().map(weight).sum())
    }

    /// What the sum is divided by where targets are probabilities: for the mean, the number of positions of logits of
    /// this shape, whatever the weights; else 1.
    pub fn divisor_probabilities(&self, logits: Shape) -> f64 {
        let positions = Positions::new(OP, "logits", logits).map_or(0, |positions| positions.count);
        self.reduction.divisor(positions as f64)
    }

    /// The reduced loss of a whole batch and its gradient.
    ///
    /// # Errors
    /// Those of [`CrossEntropy::forward`].
    pub fn loss(&self, logits: &Tensor, labels: &[u32]) -> Result<(f64, Tensor), OpError> {
        let (sum, saved) = self.forward(logits, labels)?;
        Ok(Reduction::apply(sum, self.divisor(labels), |scale| self.backward(&saved, scale)))
    }

    /// The reduced loss of a whole batch and its gradient, for probabilities.
    ///
    /// # Errors
    /// Those of [`CrossEntropy::forward_probabilities`].
    pub fn loss_probabilities(&self, logits: &Tensor, targets: &Tensor) -> Result<(f64, Tensor), OpError> {
        let (sum, saved) = self.forward_probabilities(logits, targets)?;
        let divisor = self.divisor_probabilities(logits.shape());
        Ok(Reduction::apply(sum, divisor, |scale| self.backward(&saved, scale)))
    }

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

/// How many labels there must be, how many of them belong to each image, and what they are below.
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
