//! One class for each example.

use super::{Score, Target, Task, fixed, join, only, scaled};
use crate::metrics::{predictions, rank};
use crate::{Gradients, List, NnError, Tensors};
use cnn_ops::{CrossEntropy, Loss, OpError, Reduction};
use cnn_tensor::{Tensor, vector};
use std::ops::Range;

/// The classes of the examples of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Classes {
    /// One class for each example.
    Labels(Vec<u32>),
    /// Two images mixed into one, as mixup and cutmix make them: the loss is
    /// `share * loss(first) + (1 - share) * loss(second)`.
    ///
    /// Source: H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018; S. Yun et al., "CutMix", ICCV 2019.
    Mixed {
        /// The class of the first image.
        first: Vec<u32>,
        /// The class of the second.
        second: Vec<u32>,
        /// The share of the first, 0 to 1.
        share: f32,
    },
    /// A probability of each class, `[n, classes]`: soft labels.
    Soft(Tensor),
}

impl Classes {
    /// The class of each example. The first class where two images are mixed; empty for probabilities.
    pub fn labels(&self) -> &[u32] {
        match self {
            Self::Labels(labels) | Self::Mixed { first: labels, .. } => labels,
            Self::Soft(_) => &[],
        }
    }
}

impl From<Vec<u32>> for Classes {
    fn from(labels: Vec<u32>) -> Self {
        Self::Labels(labels)
    }
}

impl Target for Classes {
    fn examples(&self) -> usize {
        match self {
            Self::Labels(labels) | Self::Mixed { first: labels, .. } => labels.len(),
            Self::Soft(probabilities) => probabilities.shape().batch(),
        }
    }

    fn validate(&self) -> Result<(), NnError> {
        let rule = "a second class for each image, and a share of 0 to 1, where images are mixed";
        let fault = |got| Err(NnError::Setting { what: "a batch", rule, got });
        match self {
            Self::Mixed { first, second, .. } if first.len() != second.len() => {
                fault(format!("{} labels and {} second ones", first.len(), second.len()))
            }
            Self::Mixed { share, .. } if !(0.0..=1.0).contains(share) => fault(format!("a share of {share}")),
            _ => Ok(()),
        }
    }

    fn join(parts: &[&Self]) -> Result<Self, NnError> {
        let soft = |part: &&'_ Self| matches!(part, Self::Soft(_));
        let labels: Option<Vec<u32>> = parts.iter().try_fold(Vec::new(), |mut all, part| match part {
            Self::Labels(labels) => {
                all.extend_from_slice(labels);
                Some(all)
            }
            _ => None,
        });
        if let Some(labels) = labels {
            return Ok(Self::Labels(labels));
        }
        if parts.iter().all(soft) {
            let tensors = parts.iter().filter_map(|part| match part {
                Self::Soft(tensor) => Some(tensor),
                _ => None,
            });
            let tensors: Vec<&Tensor> = tensors.collect();
            return Ok(Self::Soft(join(&tensors)?));
        }
        let (what, rule) = ("batches that are taken together", "of labels, or of probabilities");
        Err(NnError::Setting {
            what,
            rule,
            got: "mixed images, each batch in a proportion of its own".into(),
        })
    }
}

/// Classification by the mean cross-entropy of the outputs `[n, classes]`. Metrics: `accuracy`, the share of examples whose
/// class has the largest output, and, in evaluation only, `top5`, the share whose class is among the five largest.
///
/// An evaluation uses the plain cross-entropy. Where a batch has several views of each example, the example's probabilities
/// are the mean of those of its views (Krizhevsky et al. 2012, section 4.1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Classify {
    /// The cross-entropy of training, with class weights and label smoothing.
    pub loss: CrossEntropy,
}

const ACCURACY: usize = 0;
const TOP5: usize = 1;

impl Classify {
    /// The counts of some examples' losses, by the first classes and by the second ones: in a mean, the sums of their weights.
    fn counts(&self, target: &Classes, part: Range<usize>) -> [f64; 2] {
        if self.loss.reduction == Reduction::Sum {
            return [part.len() as f64; 2];
        }
        let labels = |labels: &[u32]| Loss::<[u32]>::divisor(&self.loss, &labels[part.clone()]);
        match target {
            Classes::Labels(first) => [labels(first); 2],
            Classes::Mixed { first, second, .. } => [labels(first), labels(second)],
            Classes::Soft(_) => [part.len() as f64; 2],
        }
    }
}

impl Task for Classify {
    type Target = Classes;

    fn metrics(&self) -> Vec<String> {
        vec!["accuracy".into(), "top5".into()]
    }

    /// The divisors for the first classes and for the second ones; 0 for sums.
    fn divisors(&self, target: &Classes) -> List<f64> {
        match self.loss.reduction {
            Reduction::Mean => self.counts(target, 0..target.examples()).into(),
            Reduction::Sum => [0.0; 2].into(),
        }
    }

    fn loss(
        &self,
        y: Tensors,
        target: &Classes,
        part: Range<usize>,
        divisors: &[f64],
        score: &mut Score,
    ) -> Result<Gradients, NnError> {
        let (y, fixed) = (only(&y)?, fixed(self.loss.reduction));
        let [of_first, of_second] = [divisors[0] + fixed, divisors[1] + fixed];
        let scaled = match target {
            Classes::Labels(labels) => scaled(&self.loss, y, &labels[part.clone()], 1.0, of_first),
            Classes::Soft(probabilities) => {
                scaled(&self.loss, y, &probabilities.slice_batch(part.start, part.end), 1.0, of_first)
            }
            Classes::Mixed { first, second, share } => {
                // As a float, as the share was drawn.
                let (share, rest) = (f64::from(*share), f64::from(1.0 - share));
                let first = scaled(&self.loss, y, &first[part.clone()], share, of_first);
                first.and_then(|(first, mut gradient)| {
                    let (second, other) = scaled(&self.loss, y, &second[part.clone()], rest, of_second)?;
                    vector::axpy(1.0, other.data(), gradient.data_mut());
                    // Scaled to the count of the first ones.
                    let second = if of_second == 0.0 { 0.0 } else { second * (of_first / of_second) };
                    Ok((first + second, gradient))
                })
            }
        };
        let (sum, gradient) = scaled.map_err(|fault| in_batch(fault, part.start))?;
        score.loss(sum, self.counts(target, part.clone())[0]);
        score.add(ACCURACY, correct(y, target, part.clone()) as f64, part.len() as f64);
        Ok(gradient.into())
    }

    fn score(
        &self,
        y: &Tensors,
        target: &Classes,
        part: Range<usize>,
        score: &mut Score,
    ) -> Result<(), NnError> {
        let (y, images, plain) = (only(y)?, part.len() as f64, CrossEntropy::default());
        let sum = match target {
            Classes::Soft(probabilities) => {
                plain.forward(y, &probabilities.slice_batch(part.start, part.end))
            }
            labels => plain.forward(y, &labels.labels()[part.clone()]),
        };
        let (sum, _) = sum.map_err(|fault| in_batch(fault, part.start))?;
        score.loss(sum, images);
        score.add(ACCURACY, correct(y, target, part.clone()) as f64, images);
        if !target.labels().is_empty() {
            let classes = y.data().len() / part.len().max(1);
            let rows = y.data().chunks_exact(classes.max(1)).zip(&target.labels()[part]);
            score.add(TOP5, rows.filter(|(row, label)| rank(row, **label) < 5).count() as f64, images);
        }
        Ok(())
    }

    fn merge_views(&self, y: Tensors, views: usize) -> Result<Tensors, NnError> {
        if views == 1 { Ok(y) } else { Ok(mean_of_views(only(&y)?, views)?.into()) }
    }
}

/// The number of examples of the part whose largest output is at their class.
fn correct(y: &Tensor, target: &Classes, part: Range<usize>) -> usize {
    match target {
        Classes::Soft(probabilities) => {
            let likeliest = probabilities.slice_batch(part.start, part.end);
            predictions(y).zip(predictions(&likeliest)).filter(|(got, want)| got == want).count()
        }
        labels => predictions(y).zip(&labels.labels()[part]).filter(|(got, want)| got == *want).count(),
    }
}

/// The same error, with its image counted from the start of the batch.
fn in_batch(fault: OpError, start: usize) -> OpError {
    match fault {
        OpError::Label { op, label, image, classes } => {
            OpError::Label { op, label, image: start + image, classes }
        }
        fault => fault,
    }
}

/// The logarithm of the mean of the probabilities of each `views` rows, which are logits again.
fn mean_of_views(logits: &Tensor, views: usize) -> Result<Tensor, NnError> {
    let probabilities = cnn_ops::softmax::softmax(logits)?;
    let classes = logits.shape().dims().last().copied().unwrap_or(0).max(1);
    let mut means = Tensor::zeros([logits.shape().batch() / views, classes]);
    let examples = probabilities.data().chunks_exact(views * classes);
    for (mean, views) in means.data_mut().chunks_exact_mut(classes).zip(examples) {
        for view in views.chunks_exact(classes) {
            vector::axpy(1.0, view, mean);
        }
    }
    means.data_mut().iter_mut().for_each(|p| *p = (*p / views as f32).ln());
    Ok(means)
}
