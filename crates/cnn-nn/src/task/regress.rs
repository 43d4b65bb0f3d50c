//! Regression.

use super::{Score, Task, only, scaled};
use crate::{Gradients, List, NnError, Tensors};
use cnn_ops::{Loss, Mse};
use cnn_tensor::Tensor;
use std::ops::Range;

/// Regression: outputs of the shape of the target, compared by a loss such as [`Mse`], [`L1`](cnn_ops::L1) or
/// [`SmoothL1`](cnn_ops::SmoothL1). Metrics, over all numbers: `mae`, the mean absolute error, and `rmse`, the root mean
/// squared error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Regress<L = Mse> {
    /// The loss.
    pub loss: L,
}

const MAE: usize = 0;
const RMSE: usize = 1;

impl<L: Loss<Tensor>> Task for Regress<L> {
    /// `[n, ...]`, of the shape of the outputs.
    type Target = Tensor;

    fn metrics(&self) -> Vec<String> {
        metrics()
    }

    fn divisors(&self, target: &Tensor) -> List<f64> {
        (self.loss.divisor(target) - self.fixed(target)).into()
    }

    fn loss(
        &self,
        y: Tensors,
        target: &Tensor,
        part: Range<usize>,
        divisors: &[f64],
        score: &mut Score,
    ) -> Result<Gradients, NnError> {
        let (y, target) = (only(&y)?, target.slice_batch(part.start, part.end));
        let (sum, gradient) = scaled(&self.loss, y, &target, 1.0, divisors[0] + self.fixed(&target))?;
        self.count(sum, y, &target, score);
        Ok(gradient.into())
    }

    fn score(
        &self,
        y: &Tensors,
        target: &Tensor,
        part: Range<usize>,
        score: &mut Score,
    ) -> Result<(), NnError> {
        let (y, target) = (only(y)?, target.slice_batch(part.start, part.end));
        let (sum, _) = self.loss.forward(y, &target)?;
        self.count(sum, y, &target, score);
        Ok(())
    }

    fn finish(&self, metric: usize, mean: f64) -> f64 {
        finish(metric, mean)
    }
}

impl<L: Loss<Tensor>> Regress<L> {
    /// The divisor that does not depend on the batch: that of an empty one.
    fn fixed(&self, target: &Tensor) -> f64 {
        self.loss.divisor(&target.slice_batch(0, 0))
    }

    /// Adds losses with the sum `sum`, and the errors, to `score`. A loss that is a sum is reported for each example.
    fn count(&self, sum: f64, y: &Tensor, target: &Tensor, score: &mut Score) {
        let divisor = self.loss.divisor(target);
        let mean = self.fixed(target) == 0.0;
        score.loss(sum, if mean { divisor } else { target.shape().batch() as f64 });
        errors(y, target, score);
    }
}

/// The metrics of a regression.
pub(super) fn metrics() -> Vec<String> {
    vec!["mae".into(), "rmse".into()]
}

/// Adds the errors of numbers to the metrics.
pub(super) fn errors(y: &Tensor, target: &Tensor, score: &mut Score) {
    let (mut magnitudes, mut squares) = (0.0, 0.0);
    for (y, target) in y.data().iter().zip(target.data()) {
        let error = f64::from(*y) - f64::from(*target);
        magnitudes += error.abs();
        squares += error * error;
    }
    let count = target.data().len() as f64;
    score.add(MAE, magnitudes, count);
    score.add(RMSE, squares, count);
}

/// The value of a metric from its mean.
pub(super) fn finish(metric: usize, mean: f64) -> f64 {
    if metric == RMSE { mean.sqrt() } else { mean }
}
