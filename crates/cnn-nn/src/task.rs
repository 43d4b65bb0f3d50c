//! Tasks: the target of a batch, the scoring of outputs, and the names of the metrics.

mod classify;
mod masked;
mod multi_label;
mod regress;
mod sequence;
mod weighted;

pub use classify::{Classes, Classify};
pub use masked::MaskedRegress;
pub use multi_label::MultiLabel;
pub use regress::Regress;
pub use sequence::{Sequence, Steps};
pub use weighted::{On, Weighted, on};

use crate::{Gradients, List, NnError, Tensors};
use cnn_ops::{Loss, OpError, Reduction};
use cnn_tensor::{Recycled, Tensor};
use std::ops::{AddAssign, Range};

/// The desired outputs for the examples of a batch.
pub trait Target: Clone + Send + Sync + 'static {
    /// The number of examples.
    fn examples(&self) -> usize;

    /// Checks that the parts of the target agree.
    ///
    /// # Errors
    /// The parts disagree, for example in the number of examples.
    fn validate(&self) -> Result<(), NnError> {
        Ok(())
    }

    /// The concatenation of the targets of several batches, at least one.
    ///
    /// # Errors
    /// The targets cannot be concatenated.
    fn join(parts: &[&Self]) -> Result<Self, NnError>;
}

/// Real numbers, `[n, ...]`.
impl Target for Tensor {
    fn examples(&self) -> usize {
        self.shape().batch()
    }

    fn join(parts: &[&Self]) -> Result<Self, NnError> {
        join(parts)
    }
}

/// Two targets for the same examples, for [`Weighted`] tasks.
impl<A: Target, B: Target> Target for (A, B) {
    fn examples(&self) -> usize {
        self.0.examples()
    }

    fn validate(&self) -> Result<(), NnError> {
        let (first, second) = (self.0.examples(), self.1.examples());
        if first != second {
            let (what, rule) = ("two targets of a batch", "of the same examples");
            return Err(NnError::Setting { what, rule, got: format!("{first} and {second}") });
        }
        self.0.validate()?;
        self.1.validate()
    }

    fn join(parts: &[&Self]) -> Result<Self, NnError> {
        let (first, second): (Vec<&A>, Vec<&B>) = parts.iter().map(|(first, second)| (first, second)).unzip();
        Ok((A::join(&first)?, B::join(&second)?))
    }
}

/// Concatenates tensors along the first axis, in which alone they may differ.
pub(crate) fn join(parts: &[&Tensor]) -> Result<Tensor, NnError> {
    let shape = parts.first().map_or([0].into(), |part| part.shape());
    let mut examples = 0;
    for part in parts {
        if part.shape().with_batch(shape.batch()) != shape {
            let (what, rule) = ("batches that are taken together", "of one shape but for the first axis");
            let got = format!("{} and {shape}", part.shape());
            return Err(NnError::Setting { what, rule, got });
        }
        examples += part.shape().batch();
    }
    let mut joined = Tensor::scratch(shape.with_batch(examples));
    let mut rest = joined.data_mut();
    for part in parts {
        let (own, others) = rest.split_at_mut(part.data().len());
        own.copy_from_slice(part.data());
        rest = others;
    }
    Ok(joined)
}

/// A task: the target of a batch, its loss, and named metrics. A [`Trainer`](crate::Trainer) works for any task.
///
/// ```
/// use cnn_nn::{Gradients, List, NnError, Score, Task, Tensors};
/// use cnn_ops::{Loss, Mse};
/// use cnn_tensor::Tensor;
/// use std::ops::Range;
///
/// /// Angles in radians, whose error is reported in degrees.
/// struct Angles;
/// impl Task for Angles {
///     type Target = Tensor;
///     fn metrics(&self) -> Vec<String> { vec!["degrees".into()] }
///     fn loss(&self, y: Tensors, target: &Tensor, part: Range<usize>, divisors: &[f64], score: &mut Score)
///         -> Result<Gradients, NnError> {
///         self.score(&y, target, part.clone(), score)?;
///         let (_, saved) = Mse::default().forward(&y[0], &target.slice_batch(part.start, part.end))?;
///         Ok(saved.backward((1.0 / divisors[0]) as f32).into())
///     }
///     fn score(&self, y: &Tensors, target: &Tensor, part: Range<usize>, score: &mut Score) -> Result<(), NnError> {
///         let target = target.slice_batch(part.start, part.end);
///         let n = part.len() as f64;
///         score.loss(Mse::default().forward(&y[0], &target)?.0, n);
///         let error = y[0].data().iter().zip(target.data()).map(|(y, t)| f64::from((y - t).abs()));
///         score.add(0, error.sum::<f64>().to_degrees(), n);
///         Ok(())
///     }
/// }
/// # Ok::<(), NnError>(())
/// ```
pub trait Task: Send + Sync {
    /// The desired outputs for the examples of a batch.
    type Target: Target;

    /// The names of the metrics besides the loss. Reports, files and curves use them.
    fn metrics(&self) -> Vec<String>;

    /// The divisors of the sums of losses, as far as they grow with the batch. By default, the number of examples. The divisors
    /// of all batches of a step and of all processes are added up.
    fn divisors(&self, target: &Self::Target) -> List<f64> {
        (target.examples() as f64).into()
    }

    /// The gradients of the loss of the whole step with respect to the outputs `y` of the examples `part`. Adds losses and
    /// metrics of these examples to `score`. `divisors` are those of the whole step.
    ///
    /// # Errors
    /// Outputs and target do not fit together.
    fn loss(
        &self,
        y: Tensors,
        target: &Self::Target,
        part: Range<usize>,
        divisors: &[f64],
        score: &mut Score,
    ) -> Result<Gradients, NnError>;

    /// Adds losses and metrics of the outputs `y` of the examples `part` to `score`, in an evaluation.
    ///
    /// # Errors
    /// Outputs and target do not fit together.
    fn score(
        &self,
        y: &Tensors,
        target: &Self::Target,
        part: Range<usize>,
        score: &mut Score,
    ) -> Result<(), NnError>;

    /// The mean loss of a score. By default, the sum of the losses over their count.
    fn mean_loss(&self, score: &Score) -> f64 {
        let [sum, count] = score.losses();
        sum / count
    }

    /// Combines the outputs for the `views` views of each example into one output for each example.
    ///
    /// # Errors
    /// The task cannot combine views.
    fn merge_views(&self, y: Tensors, views: usize) -> Result<Tensors, NnError> {
        let (what, rule) = ("the views of a batch", "1 of each example for this task");
        if views == 1 { Ok(y) } else { Err(NnError::Setting { what, rule, got: views.to_string() }) }
    }

    /// The value of metric number `metric` from its mean; for example, the root of a mean.
    fn finish(&self, metric: usize, mean: f64) -> f64 {
        let _ = metric;
        mean
    }
}

/// The sums of losses and metrics over some examples, with the count that each is divided by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// The loss, then the metrics: sum and count.
    sums: Recycled<[f64; 2]>,
}

impl Score {
    /// Adds losses: `sum` over examples that count as `count`, which is their number or their total weight.
    pub fn loss(&mut self, sum: f64, count: f64) {
        self.at(0, sum, count);
    }

    /// Adds to metric number `metric`, in the order of [`Task::metrics`]. Reports show the sum over the count.
    pub fn add(&mut self, metric: usize, sum: f64, count: f64) {
        self.at(metric + 1, sum, count);
    }

    /// The sum of the losses, and its count.
    pub fn losses(&self) -> [f64; 2] {
        self.sums.first().copied().unwrap_or_default()
    }

    /// The sum and the count of metric number `metric`.
    pub fn metric(&self, metric: usize) -> [f64; 2] {
        self.sums.get(metric + 1).copied().unwrap_or_default()
    }

    /// The loss, then the metrics.
    pub(crate) fn sums(&self) -> &[[f64; 2]] {
        &self.sums
    }

    fn at(&mut self, i: usize, sum: f64, count: f64) {
        if self.sums.len() <= i {
            self.sums.resize(i + 1, [0.0; 2]);
        }
        self.sums[i][0] += sum;
        self.sums[i][1] += count;
    }
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        for (i, [sum, count]) in other.sums.iter().enumerate() {
            self.at(i, *sum, *count);
        }
    }
}

/// The output of a network that has exactly one.
fn only(y: &Tensors) -> Result<&Tensor, NnError> {
    match &y[..] {
        [y] => Ok(y),
        _ => Err(NnError::Count { what: "the outputs that a task scores", expected: 1, got: y.len() }),
    }
}

/// `share` of the sum of the losses, and `share / divisor` of its gradient.
fn scaled<T: ?Sized>(
    loss: &impl Loss<T>,
    y: &Tensor,
    target: &T,
    share: f64,
    divisor: f64,
) -> Result<(f64, Tensor), OpError> {
    let (sum, saved) = loss.forward(y, target)?;
    let scale = if divisor == 0.0 { 0.0 } else { share / divisor };
    Ok((share * sum, saved.backward(scale as f32)))
}

/// The divisor of a loss that does not depend on the batch: 0 for means, 1 for sums.
fn fixed(reduction: Reduction) -> f64 {
    reduction.divisor(0.0)
}

#[cfg(test)]
mod tests;
