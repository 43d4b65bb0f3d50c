//! Several labels, each yes or no, for each example.

use super::{Score, Task, fixed, only, scaled};
use crate::{Gradients, List, NnError, Tensors};
use cnn_ops::{BceWithLogits, Loss, Reduction};
use cnn_tensor::Tensor;
use std::ops::Range;

/// Several labels for each example: outputs `[n, labels]`, whose sigmoids are probabilities, and targets of 0 and 1 of that
/// shape. Metrics: `accuracy`, the share of all labels whose probability is on the right side of one half, and `exact`, the share
/// of examples whose labels are all right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MultiLabel {
    /// The loss.
    pub loss: BceWithLogits,
}

const ACCURACY: usize = 0;
const EXACT: usize = 1;

impl Task for MultiLabel {
    /// `[n, labels]`, 0 or 1.
    type Target = Tensor;

    fn metrics(&self) -> Vec<String> {
        vec!["accuracy".into(), "exact".into()]
    }

    fn divisors(&self, target: &Tensor) -> List<f64> {
        (Loss::<Tensor>::divisor(&self.loss, target) - fixed(self.loss.reduction)).into()
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
        let divisor = divisors[0] + fixed(self.loss.reduction);
        let (sum, gradient) = scaled(&self.loss, y, &target, 1.0, divisor)?;
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
}

impl MultiLabel {
    /// Adds losses with the sum `sum`, and the numbers of right labels, to `score`.
    fn count(&self, sum: f64, y: &Tensor, target: &Tensor, score: &mut Score) {
        let (n, all) = (target.shape().batch(), target.data().len() as f64);
        score.loss(sum, if self.loss.reduction == Reduction::Mean { all } else { n as f64 });
        let labels = target.data().len().checked_div(n).unwrap_or(0).max(1);
        let (mut right, mut exact) = (0, 0);
        for (y, target) in y.data().chunks_exact(labels).zip(target.data().chunks_exact(labels)) {
            let sides = y.iter().zip(target).filter(|(y, target)| (**y > 0.0) == (**target > 0.5));
            let of_example = sides.count();
            right += of_example;
            exact += usize::from(of_example == labels);
        }
        score.add(ACCURACY, right as f64, all);
        score.add(EXACT, exact as f64, n as f64);
    }
}
