//! A class for each step of a sequence.

use super::{Score, Target, Task, only, scaled};
use crate::metrics::predictions;
use crate::{Gradients, List, NnError, Tensors};
use cnn_ops::{CrossEntropy, Loss};
use cnn_tensor::Tensor;
use std::ops::Range;

/// The class of each step of each example, or of each pixel, row by row. Steps that do not count have [`Steps::NONE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    labels: Vec<u32>,
    steps: usize,
}

impl Steps {
    /// The label of a step that does not count, such as one after the end of a shorter sequence.
    pub const NONE: u32 = u32::MAX;

    /// `steps` labels for each example, one example after the other.
    ///
    /// # Errors
    /// `steps` is 0, or the number of labels is not a multiple of it.
    pub fn new(labels: Vec<u32>, steps: usize) -> Result<Self, NnError> {
        if steps == 0 || !labels.len().is_multiple_of(steps) {
            let (what, rule) = ("the labels of sequences", "as many for each, and at least one");
            return Err(NnError::Setting { what, rule, got: format!("{} for {steps} steps", labels.len()) });
        }
        Ok(Self { labels, steps })
    }

    /// The labels, row by row.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The number of steps of each example.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The labels of the examples `part`.
    pub fn of(&self, part: Range<usize>) -> &[u32] {
        &self.labels[part.start * self.steps..part.end * self.steps]
    }
}

impl Target for Steps {
    fn examples(&self) -> usize {
        self.labels.len() / self.steps
    }

    fn join(parts: &[&Self]) -> Result<Self, NnError> {
        let steps = parts.first().map_or(1, |part| part.steps);
        if let Some(other) = parts.iter().find(|part| part.steps != steps) {
            let (what, rule) = ("batches that are taken together", "of sequences of one length");
            return Err(NnError::Setting { what, rule, got: format!("{steps} and {} steps", other.steps) });
        }
        Ok(Self { labels: parts.iter().flat_map(|part| &part.labels).copied().collect(), steps })
    }
}

/// A class for each step of a sequence: outputs `[n, steps, classes]`, and the cross-entropy of the steps that count. Metric:
/// `accuracy`, the share of these steps whose class has the largest output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sequence;

const ACCURACY: usize = 0;

impl Sequence {
    fn cross_entropy(&self) -> CrossEntropy {
        CrossEntropy { ignore_index: Some(Steps::NONE), ..CrossEntropy::default() }
    }

    /// The outputs with a row for each step, if there are as many as labels.
    fn rows(&self, y: &Tensors, target: &Steps) -> Result<Tensor, NnError> {
        let y = only(y)?;
        match *y.shape().dims() {
            [n, steps, classes] if steps == target.steps => Ok(y.clone().reshape([n * steps, classes])?),
            _ => {
                let (what, rule) = ("the outputs for sequences", "[n, steps, classes]");
                let got = format!("{} for {} labels each", y.shape(), target.steps);
                Err(NnError::Setting { what, rule, got })
            }
        }
    }
}

fn count(y: &Tensor, labels: &[u32], score: &mut Score) {
    let steps = predictions(y).zip(labels).filter(|(_, label)| **label != Steps::NONE);
    let (mut right, mut all) = (0, 0);
    for (got, &want) in steps {
        all += 1;
        right += usize::from(got == want);
    }
    score.add(ACCURACY, f64::from(right as u32), f64::from(all));
}

impl Task for Sequence {
    type Target = Steps;

    fn metrics(&self) -> Vec<String> {
        vec!["accuracy".into()]
    }

    fn divisors(&self, target: &Steps) -> List<f64> {
        Loss::<[u32]>::divisor(&self.cross_entropy(), &target.labels).into()
    }

    fn loss(
        &self,
        y: Tensors,
        target: &Steps,
        part: Range<usize>,
        divisors: &[f64],
        score: &mut Score,
    ) -> Result<Gradients, NnError> {
        let (rows, labels) = (self.rows(&y, target)?, target.of(part));
        let (sum, gradient) = scaled(&self.cross_entropy(), &rows, labels, 1.0, divisors[0])?;
        score.loss(sum, Loss::<[u32]>::divisor(&self.cross_entropy(), labels));
        count(&rows, labels, score);
        Ok(gradient.reshape(y[0].shape())?.into())
    }

    fn score(
        &self,
        y: &Tensors,
        target: &Steps,
        part: Range<usize>,
        score: &mut Score,
    ) -> Result<(), NnError> {
        let (rows, labels) = (self.rows(y, target)?, target.of(part));
        let (sum, _) = self.cross_entropy().forward(&rows, labels)?;
        score.loss(sum, Loss::<[u32]>::divisor(&self.cross_entropy(), labels));
        count(&rows, labels, score);
        Ok(())
    }
}
