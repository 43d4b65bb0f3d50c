//! Predictions and how good they are.

mod bleu;
mod joints;

pub use bleu::{Bleu, References};
pub use joints::{JointScores, Share};

use crate::NnError;
use cnn_tensor::Tensor;
use serde::Serialize;

/// The class of the largest logit of each image: `[n, classes]` to `n` classes.
///
/// Of equal logits the first wins, and NaN counts as larger than any number, both as in PyTorch's `argmax`. Without
/// classes the answer is 0.
///
/// ```
/// use cnn_tensor::Tensor;
/// let logits = Tensor::from_vec([2, 3], vec![0.1, 0.7, 0.2, 0.9, 0.0, 0.9])?;
/// assert_eq!(cnn_nn::metrics::argmax(&logits), [1, 0]);
/// # Ok::<(), cnn_tensor::TensorError>(())
/// ```
pub fn argmax(logits: &Tensor) -> Vec<u32> {
    predictions(logits).collect()
}

/// The results of [`argmax`], one after the other.
pub(crate) fn predictions(logits: &Tensor) -> impl Iterator<Item = u32> {
    let n = logits.shape().batch();
    let classes = logits.shape().numel().checked_div(n).unwrap_or(0);
    (0..n).map(move |image| largest(&logits.data()[image * classes..][..classes]))
}

/// The class of the largest logit at each position: `[n, classes, ...]` to `n` times the number of positions, in row-major order.
/// For logits `[n, classes, h, w]`, the class of every pixel. Ties and NaN as in [`argmax`].
///
/// ```
/// use cnn_tensor::Tensor;
/// let logits = Tensor::from_vec([1, 2, 3], vec![0.1, 0.7, 0.2, 0.3, 0.6, 0.9])?;
/// assert_eq!(cnn_nn::metrics::argmax_of_channels(&logits)?, [1, 0, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// `logits` has no axis of classes.
pub fn argmax_of_channels(logits: &Tensor) -> Result<Vec<u32>, NnError> {
    let shape = logits.shape();
    let [n, classes, ref rest @ ..] = *shape.dims() else {
        let (what, rule) = ("logits", "[n, classes, ...]");
        return Err(NnError::Setting { what, rule, got: shape.to_string() });
    };
    let positions: usize = rest.iter().product();
    let mut column = vec![0.0; classes];
    let mut found = Vec::with_capacity(n * positions);
    for image in logits.data().chunks_exact((classes * positions).max(1)) {
        for position in 0..positions {
            for (class, v) in column.iter_mut().enumerate() {
                *v = image[class * positions + position];
            }
            found.push(largest(&column));
        }
    }
    Ok(found)
}

fn largest(row: &[f32]) -> u32 {
    let mut best = 0;
    for (class, v) in row.iter().enumerate() {
        if *v > row[best] || (v.is_nan() && !row[best].is_nan()) {
            best = class;
        }
    }
    best as u32
}

/// The number of classes before `label` in the order of the logits of one image: 0 for the first choice, below 5 for
/// one of the first five. Ties and NaN as in [`argmax`].
///
/// ```
/// use cnn_nn::metrics::rank;
/// let logits = [0.1, 0.7, 0.2, 0.7];
/// assert_eq!([0, 1, 2, 3].map(|label| rank(&logits, label)), [3, 0, 2, 1]);
/// ```
///
/// # Panics
/// `label` is not a class.
pub fn rank(logits: &[f32], label: u32) -> usize {
    let own = label as usize;
    let before = |class: usize, v: f32| match (v.is_nan(), logits[own].is_nan()) {
        (true, false) => true,
        (false, true) => false,
        (true, true) => class < own,
        (false, false) => v > logits[own] || (v == logits[own] && class < own),
    };
    logits.iter().enumerate().filter(|&(class, &v)| before(class, v)).count()
}

/// Average precision of a binary classifier: the mean, over the positive examples, of the precision at the score of each; 1 if
/// all positive examples have higher scores than the others. `None` if no example is positive.
///
/// In other words the area below the precision-recall curve, as a sum of rectangles. Examples of equal scores are taken together,
/// as in scikit-learn's `average_precision_score`. Only the order of the scores counts: logits and probabilities give the same. NaN
/// counts as larger than any number.
///
/// ```
/// use cnn_nn::metrics::average_precision;
/// // The positive examples are in places 1 and 3 of the ranking: precisions 1/1 and 2/3.
/// assert_eq!(average_precision(&[0.9, 0.8, 0.3, 0.1], &[true, false, true, false]), Some((1.0 + 2.0 / 3.0) / 2.0));
/// assert_eq!(average_precision(&[0.9, 0.8], &[false, false]), None);
/// ```
///
/// # Panics
/// The lists have different lengths.
pub fn average_precision(scores: &[f32], positive: &[bool]) -> Option<f64> {
    assert_eq!(scores.len(), positive.len(), "average precision: a score for each example");
    // Both zeros are one number, and so are all NaNs.
    let score = |i: usize| if scores[i].is_nan() { f32::NAN } else { scores[i] + 0.0 };
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
    let (mut taken, mut found, mut sum) = (0, 0, 0.0);
    for equal in order.chunk_by(|&a, &b| score(a).total_cmp(&score(b)).is_eq()) {
        let new = equal.iter().filter(|&&i| positive[i]).count();
        taken += equal.len();
        found += new;
        sum += new as f64 * found as f64 / taken as f64;
    }
    (found > 0).then(|| sum / found as f64)
}

/// A confusion matrix: how often images of each class were recognised as each class.
///
/// Serialized as its rows.
///
/// ```
/// let mut confusion = cnn_nn::metrics::ConfusionMatrix::new(2);
/// for (label, prediction) in [(0, 0), (0, 1), (1, 1), (1, 1)] {
///     confusion.add(label, prediction)?;
/// }
/// assert_eq!(confusion.rows(), [[1, 1], [0, 2]]);
/// assert_eq!(confusion.accuracy(), 0.75);
/// assert_eq!(confusion.class_accuracy(), [Some(0.5), Some(1.0)]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ConfusionMatrix {
    rows: Vec<Vec<u64>>,
}

impl ConfusionMatrix {
    /// A matrix of `classes` rows and columns, with all counts 0.
    pub fn new(classes: usize) -> Self {
        Self { rows: vec![vec![0; classes]; classes] }
    }

    /// Counts one image of class `label` that was recognised as `prediction`.
    ///
    /// # Errors
    /// One of the two is not a class.
    pub fn add(&mut self, label: u32, prediction: u32) -> Result<(), NnError> {
        let classes = self.rows.len();
        for (what, class) in [("label", label), ("prediction", prediction)] {
            if class as usize >= classes {
                let got = format!("{class} of {classes}");
                return Err(NnError::Setting { what, rule: "below the number of classes", got });
            }
        }
        self.rows[label as usize][prediction as usize] += 1;
        Ok(())
    }

    /// Counts the images of the first rows of `labels` by their logits `[n, classes]`, as
    /// [`evaluate_with`](crate::evaluate_with) hands them out.
    ///
    /// # Errors
    /// There are fewer labels than rows, or one is not a class.
    pub fn add_batch(&mut self, labels: &[u32], logits: &Tensor) -> Result<(), NnError> {
        let n = logits.shape().batch();
        if labels.len() < n {
            let (what, rule) = ("the labels of a confusion matrix", "one for each row of logits");
            return Err(NnError::Setting { what, rule, got: format!("{} for {n}", labels.len()) });
        }
        predictions(logits).zip(labels).try_for_each(|(prediction, &label)| self.add(label, prediction))
    }

    /// Adds the counts of `other`.
    ///
    /// # Errors
    /// The numbers of classes differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), NnError> {
        if self.rows.len() != other.rows.len() {
            let (what, rule) = ("number of classes", "that of the confusion matrix merged into");
            let got = format!("{} for {}", other.rows.len(), self.rows.len());
            return Err(NnError::Setting { what, rule, got });
        }
        let counts = self.rows.iter_mut().flatten();
        counts.zip(other.rows.iter().flatten()).for_each(|(count, more)| *count += more);
        Ok(())
    }

    /// The counts: one row for each label, one column for each prediction.
    pub fn rows(&self) -> &[Vec<u64>] {
        &self.rows
    }

    /// The fraction of all images that were recognised, 0 to 1; 0 if none were counted.
    pub fn accuracy(&self) -> f64 {
        let correct = self.rows.iter().enumerate().map(|(class, row)| row[class]).sum();
        fraction(correct, self.rows.iter().flatten().sum()).unwrap_or(0.0)
    }

    /// The fraction of each class's images that were recognised (its recall); `None` for a class without images.
    pub fn class_accuracy(&self) -> Vec<Option<f64>> {
        let classes = self.rows.iter().enumerate();
        classes.map(|(class, row)| fraction(row[class], row.iter().sum())).collect()
    }
}

fn fraction(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_class_of_rank_0_is_the_top_one_whatever_the_numbers() {
        let values = [0.0, 1.0, -1.0, f32::NAN, f32::INFINITY];
        for code in 0..5usize.pow(4) {
            let logits: Vec<f32> = (0..4).map(|i| values[code / 5usize.pow(i) % 5]).collect();
            let tensor = Tensor::from_vec([1, 4], logits.clone()).unwrap();
            let mut ranks: Vec<usize> = (0..4).map(|label| rank(&logits, label)).collect();
            assert_eq!(ranks[argmax(&tensor)[0] as usize], 0, "{logits:?}");
            ranks.sort_unstable();
            assert_eq!(ranks, [0, 1, 2, 3], "{logits:?}");
        }
    }

    proptest! {
        /// The definition with thresholds: the sum over all scores t of precision(t) times the growth of recall at t.
        #[test]
        fn average_precision_is_the_area_of_its_definition(
            examples in prop::collection::vec((-4i8..5, any::<bool>()), 0..40),
        ) {
            let scores: Vec<f32> = examples.iter().map(|&(score, _)| f32::from(score)).collect();
            let positive: Vec<bool> = examples.iter().map(|&(_, positive)| positive).collect();
            let all = positive.iter().filter(|positive| **positive).count() as f64;
            let (mut area, mut recall) = (0.0, 0.0);
            for threshold in (-4i8..5).rev() {
                let above: Vec<bool> = examples.iter().filter(|e| e.0 >= threshold).map(|e| e.1).collect();
                let hits = above.iter().filter(|positive| **positive).count() as f64;
                if !above.is_empty() {
                    area += (hits / all - recall) * hits / above.len() as f64;
                    recall = hits / all;
                }
            }
            match average_precision(&scores, &positive) {
                None => prop_assert_eq!(all, 0.0),
                Some(got) => prop_assert!((got - area).abs() < 1e-12, "{got} {area}"),
            }
        }
    }

    #[test]
    fn average_precision_of_odd_scores() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        assert_eq!(average_precision(&[], &[]), None);
        assert_eq!(average_precision(&[0.0, -0.0], &[true, false]), Some(0.5), "both zeros are one score");
        assert_eq!(average_precision(&[inf, nan, -nan], &[true, false, false]), Some(1.0 / 3.0));
    }

    fn counted(pairs: &[(u32, u32)]) -> ConfusionMatrix {
        let mut confusion = ConfusionMatrix::new(3);
        pairs.iter().for_each(|&(label, prediction)| confusion.add(label, prediction).unwrap());
        confusion
    }

    #[test]
    fn rows_are_labels_and_columns_predictions() {
        let confusion = counted(&[(0, 2), (0, 0), (1, 2), (0, 2)]);
        assert_eq!(confusion.rows(), [[1, 0, 2], [0, 0, 1], [0, 0, 0]]);
        assert_eq!(confusion.accuracy(), 0.25);
        assert_eq!(confusion.class_accuracy(), [Some(1.0 / 3.0), Some(0.0), None]);
        assert_eq!(serde_json::to_string(&confusion).unwrap(), "[[1,0,2],[0,0,1],[0,0,0]]");
    }

    #[test]
    fn nothing_counted_is_an_accuracy_of_0() {
        assert_eq!(ConfusionMatrix::new(3).accuracy(), 0.0);
        assert_eq!(ConfusionMatrix::new(0).accuracy(), 0.0);
        assert_eq!(ConfusionMatrix::new(2).class_accuracy(), [None, None]);
    }

    #[test]
    fn matrices_of_parts_add_up_to_the_matrix_of_the_whole() {
        let mut first = counted(&[(0, 0), (1, 2)]);
        first.merge(&counted(&[(1, 2), (2, 0)])).unwrap();
        assert_eq!(first, counted(&[(0, 0), (1, 2), (1, 2), (2, 0)]));
        let error = first.merge(&ConfusionMatrix::new(10)).unwrap_err().to_string();
        assert_eq!(error, "number of classes must be that of the confusion matrix merged into, got 10 for 3");
    }

    #[test]
    fn what_is_no_class_is_an_error_and_not_counted() {
        let mut confusion = ConfusionMatrix::new(3);
        let error = confusion.add(3, 0).unwrap_err().to_string();
        assert_eq!(error, "label must be below the number of classes, got 3 of 3");
        let error = confusion.add(0, u32::MAX).unwrap_err().to_string();
        assert_eq!(error, "prediction must be below the number of classes, got 4294967295 of 3");
        assert_eq!(confusion, ConfusionMatrix::new(3));
    }

    #[test]
    fn the_first_of_equal_logits_and_the_first_nan_win() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let rows: [([f32; 4], u32); 6] = [
            ([0.0, 2.0, 2.0, 1.0], 1),
            ([-inf; 4], 0),
            ([-3.0, -2.0, -1.0, -inf], 2),
            ([1.0, inf, nan, nan], 2),
            ([nan, inf, nan, 0.0], 0),
            ([0.0, -0.0, 0.0, 0.0], 0),
        ];
        let logits = Tensor::from_vec([6, 4], rows.iter().flat_map(|(row, _)| *row).collect()).unwrap();
        assert_eq!(argmax(&logits), rows.map(|(_, class)| class));
    }

    #[test]
    fn empty_batches_and_empty_rows_have_their_number_of_answers() {
        assert_eq!(argmax(&Tensor::zeros([0, 10])), [0; 0]);
        assert_eq!(argmax(&Tensor::zeros([3, 0])), [0; 3]);
    }
}
