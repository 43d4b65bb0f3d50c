//! Regression in which some numbers of a target do not count.

use super::{Score, Task, only, regress, scaled};
use crate::{Gradients, List, NnError, Tensors};
use cnn_ops::{Loss, Mse};
use cnn_tensor::{Shape, Tensor};
use std::ops::Range;

/// Regression of the numbers that a mask selects, such as the coordinates of the joints that can be seen. The others count in
/// neither loss, gradient nor metrics, whatever they are. Otherwise it is [`Regress`](super::Regress): the mean is that over all
/// selected numbers of the batch, and the metrics are `mae` and `rmse`.
///
/// ```
/// use cnn_nn::{MaskedRegress, Score, Task};
/// use cnn_tensor::Tensor;
/// let numbers = Tensor::from_vec([1, 3], vec![1.0, f32::NAN, 5.0])?;
/// let mask = Tensor::from_vec([1, 3], vec![1.0, 0.0, 1.0])?;
/// let (task, target, y) = (MaskedRegress::<cnn_ops::Mse>::default(), (numbers, mask), Tensor::zeros([1, 3]));
/// let mut score = Score::default();
/// let dy = task.loss(y.into(), &target, 0..1, &task.divisors(&target), &mut score)?;
/// assert_eq!(task.mean_loss(&score), (1.0 + 25.0) / 2.0);
/// assert_eq!(dy[0].as_ref().unwrap().data(), [-1.0, 0.0, -5.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaskedRegress<L = Mse> {
    /// The loss of the selected numbers: one of single numbers, as are [`Mse`], [`L1`](cnn_ops::L1) and
    /// [`SmoothL1`](cnn_ops::SmoothL1).
    pub loss: L,
}

impl<L: Loss<Tensor>> Task for MaskedRegress<L> {
    /// The numbers, `[n, ...]` of the shape of the outputs, and the mask of the same shape: 0 for a number that does not count, and
    /// 1 for others.
    type Target = (Tensor, Tensor);

    fn metrics(&self) -> Vec<String> {
        regress::metrics()
    }

    fn divisors(&self, (_, mask): &Self::Target) -> List<f64> {
        let selected = Tensor::zeros([mask.data().iter().filter(|m| **m != 0.0).count()]);
        (self.loss.divisor(&selected) - self.fixed()).into()
    }

    fn loss(
        &self,
        y: Tensors,
        target: &Self::Target,
        part: Range<usize>,
        divisors: &[f64],
        score: &mut Score,
    ) -> Result<Gradients, NnError> {
        let y = only(&y)?;
        let Selected { places, y: selected, target } = Selected::of(y, target, part)?;
        let (sum, gradient) = scaled(&self.loss, &selected, &target, 1.0, divisors[0] + self.fixed())?;
        self.count(sum, y.shape(), &selected, &target, score);
        let mut dy = Tensor::zeros(y.shape());
        places.iter().zip(gradient.data()).for_each(|(&place, gradient)| dy.data_mut()[place] = *gradient);
        Ok(dy.into())
    }

    fn score(
        &self,
        y: &Tensors,
        target: &Self::Target,
        part: Range<usize>,
        score: &mut Score,
    ) -> Result<(), NnError> {
        let y = only(y)?;
        let Selected { y: selected, target, .. } = Selected::of(y, target, part)?;
        let (sum, _) = self.loss.forward(&selected, &target)?;
        self.count(sum, y.shape(), &selected, &target, score);
        Ok(())
    }

    /// The mean; 0 where no number counts.
    fn mean_loss(&self, score: &Score) -> f64 {
        let [sum, count] = score.losses();
        if count == 0.0 { 0.0 } else { sum / count }
    }

    fn finish(&self, metric: usize, mean: f64) -> f64 {
        regress::finish(metric, mean)
    }
}

impl<L: Loss<Tensor>> MaskedRegress<L> {
    /// The divisor that does not depend on the batch: that of an empty one.
    fn fixed(&self) -> f64 {
        self.loss.divisor(&Tensor::zeros([0]))
    }

    fn count(&self, sum: f64, outputs: Shape, y: &Tensor, target: &Tensor, score: &mut Score) {
        let mean = self.fixed() == 0.0;
        score.loss(sum, if mean { self.loss.divisor(target) } else { outputs.batch() as f64 });
        regress::errors(y, target, score);
    }
}

/// The selected numbers of some examples, one after the other.
struct Selected {
    /// Where they are among all numbers of these examples.
    places: Vec<usize>,
    y: Tensor,
    target: Tensor,
}

impl Selected {
    fn of(y: &Tensor, (numbers, mask): &(Tensor, Tensor), part: Range<usize>) -> Result<Self, NnError> {
        let numbers = numbers.slice_batch(part.start, part.end);
        let mask = mask.slice_batch(part.start, part.end);
        for (what, other) in [("the target", &numbers), ("the mask of the target", &mask)] {
            if other.shape() != y.shape() {
                let got = format!("shape {} for outputs of shape {}", other.shape(), y.shape());
                return Err(NnError::Setting { what, rule: "of the shape of the outputs", got });
            }
        }
        let places: Vec<usize> = (0..mask.data().len()).filter(|&i| mask.data()[i] != 0.0).collect();
        let gather = |from: &Tensor| {
            Tensor::from_vec([places.len()], places.iter().map(|&i| from.data()[i]).collect())
        };
        Ok(Self { y: gather(y)?, target: gather(&numbers)?, places })
    }
}
