use super::{CHUNK, Loss, Reduction, Saved};
use crate::OpError;
use crate::shared::check;
use crate::shared::positions::Positions;
use cnn_tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The contrastive loss of pairs of embeddings. It pulls embeddings of the same thing together, and pushes those of different
/// things apart until their distance is a margin.
///
/// With `x` the difference of the two embeddings of a pair, `x[j] = a[j] - b[j]`, and `D = ||x||` their distance, the sum
/// over pairs of
///
/// ```text
/// loss  = D^2 / 2                     dx[j] = x[j]                                 where the label is 1, the same
/// loss  = max(0, margin - D)^2 / 2    dx[j] = -max(0, margin - D) x[j] / D         where it is 0, different
/// ```
///
/// The gradient with respect to `a` is `dx`, and that with respect to `b` is `-dx`. The paper numbers the labels the other
/// way round.
///
/// Where different things have the very same embedding, `D = 0`, the gradient has no direction, and is 0. It is 0 from the
/// margin on. Distances are taken in f64, so that they neither overflow nor vanish. A NaN makes the loss NaN, and the
/// gradient of its pair too where that is of different things; else that of its own element. At an infinite distance
/// different things cost nothing.
///
/// ```
/// use cnn_ops::{Contrastive, Loss};
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([2, 2], vec![3.0, 4.0, 3.0, 4.0])?;
/// let (mean, dx) = Contrastive::new(10.0).loss(&x, &[1, 0])?;
/// assert_eq!(mean, (5.0 * 5.0 / 2.0 + (10.0 - 5.0) * (10.0 - 5.0) / 2.0) / 2.0);
/// assert_eq!(dx.data(), [1.5, 2.0, -1.5, -2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: R. Hadsell, S. Chopra and Y. LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006,
/// eq. 4.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contrastive {
    /// The distance from which different things cost nothing; above 0 and finite.
    pub margin: f64,
    /// How the losses are combined. The mean divides by the number of pairs.
    #[serde(default)]
    pub reduction: Reduction,
}

const OP: &str = "contrastive";

impl Contrastive {
    /// The mean loss with this margin.
    pub fn new(margin: f64) -> Self {
        Self { margin, reduction: Reduction::Mean }
    }
}

impl Loss<[u32]> for Contrastive {
    /// The sum of the losses over the differences `x [n, d]` of `n` pairs, and whether each is of the same thing, 1, or of
    /// different things, 0.
    ///
    /// # Errors
    /// `margin` is not above 0 and finite, `x` is not of rank 2, `d` is 0, there is not one label for each pair, or a label
    /// is neither 0 nor 1.
    fn forward(&self, x: &Tensor, labels: &[u32]) -> Result<(f64, Saved), OpError> {
        let [n, d] = check::matrix(OP, "x", "[n, d]", x.shape())?;
        check::rule(OP, "d", "at least 1", d > 0, d)?;
        let finite = self.margin > 0.0 && self.margin.is_finite();
        check::number(OP, "margin", "above 0 and finite", self.margin, finite)?;
        check::labels(OP, labels, [n, 1, 2], None)?;
        let pairs = Positions::new(OP, "x", x.shape())?;
        let (sum, dx) = pairs.losses([x], CHUNK, |pair, [x], dx| self.of_pair(x, labels[pair] == 1, dx));
        Ok((sum, Saved::new(dx)))
    }

    /// For the mean, the number of pairs; else 1.
    fn divisor(&self, labels: &[u32]) -> f64 {
        self.reduction.divisor(labels.len() as f64)
    }
}

impl Contrastive {
    /// The loss of one pair, and its gradient to `dx`.
    fn of_pair(&self, x: &[f32], same: bool, dx: &mut [f32]) -> f64 {
        let square: f64 = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        if same {
            dx.copy_from_slice(x);
            return square / 2.0;
        }
        let distance = square.sqrt();
        let missing = self.margin - distance;
        if missing <= 0.0 {
            dx.fill(0.0);
            return 0.0;
        }
        // Any finite number but 0 gives the gradient 0 at the distance 0.
        let divisor = if distance == 0.0 { 1.0 } else { distance };
        dx.iter_mut().zip(x).for_each(|(dx, &x)| *dx = (-missing * (f64::from(x) / divisor)) as f32);
        missing * missing / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::shared::testing::{any_number_of_rejects, any_shape};
    use cnn_tensor::Shape;
    use cnn_tensor::testing::{distinct, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(margin: f64, d: usize, x: &[f64], labels: &[u32]) -> f64 {
        let of_pair = |(x, &same): (&[f64], &u32)| {
            let distance = x.iter().map(|x| x.powi(2)).sum::<f64>().sqrt();
            if same == 1 { distance.powi(2) / 2.0 } else { (margin - distance).max(0.0).powi(2) / 2.0 }
        };
        x.chunks(d).zip(labels).map(of_pair).sum()
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        // At the margin loss and derivative are continuous; at the distance 0 the derivative is not.
        #[test]
        fn matches_the_definition(
            labels in prop::collection::vec(0..2u32, 0..8),
            d in 1..6usize,
            margin in 0.1..3.0f64,
            scale in -2.0..2.0f32,
            seed: u64,
        ) {
            let x = distinct([labels.len(), d], seed);
            let near = |x: &[f64]| x.iter().map(|x| x.powi(2)).sum::<f64>().sqrt() < 0.01;
            prop_assume!(!to_f64(&x).chunks(d).any(near));
            let op = Contrastive::new(margin);
            compare(&x, scale, |x| op.forward(x, &labels), |x| oracle(margin, d, x, &labels));
        }

        #[test]
        fn absurd_options_are_errors(
            margin in prop::num::f64::ANY,
            shape in any_shape(),
            label in prop_oneof![0..3u32, any::<u32>()],
        ) {
            prop_assume!(shape.numel() < 100_000 && shape.batch() < 100_000);
            let loss = Contrastive::new(margin).loss(&Tensor::zeros(shape), &vec![label; shape.batch()]);
            let fits = |[n, d]: [usize; 2]| d > 0 && (n == 0 || label < 2);
            prop_assert_eq!(loss.is_ok(), margin > 0.0 && margin.is_finite() && shape.matrix().is_some_and(fits));
        }
    }

    fn example(x: &[f32], label: u32) -> (f64, Vec<f32>) {
        let x = Tensor::from_slice([1, x.len()], x).unwrap();
        let (loss, dx) = Contrastive::new(5.0).loss(&x, &[label]).unwrap();
        (loss, dx.data().to_vec())
    }

    #[test]
    fn at_the_distance_zero_the_gradient_is_zero() {
        assert_eq!(example(&[0.0, -0.0], 1), (0.0, vec![0.0, 0.0]));
        assert_eq!(example(&[0.0, -0.0], 0), (12.5, vec![0.0, 0.0]));
    }

    #[test]
    fn from_the_margin_on_different_things_cost_nothing() {
        assert_eq!(example(&[3.0, -4.0], 0), (0.0, vec![0.0, 0.0]));
        assert_eq!(example(&[30.0, -4.0], 0), (0.0, vec![0.0, 0.0]));
        assert_eq!(example(&[0.0, -4.0], 0), (0.5, vec![0.0, 1.0]));
    }

    #[test]
    fn distances_neither_overflow_nor_vanish() {
        let (largest, smallest) = (f32::MAX, f32::from_bits(1));
        assert_eq!(example(&[largest, 0.0], 1), (f64::from(largest).powi(2) / 2.0, vec![largest, 0.0]));
        assert_eq!(example(&[largest, largest], 0), (0.0, vec![0.0, 0.0]));
        assert_eq!(example(&[smallest, 0.0], 0), (12.5, vec![-5.0, 0.0]));
    }

    #[test]
    fn nan_and_infinities() {
        let (loss, dx) = example(&[f32::NAN, 1.0], 1);
        assert!(loss.is_nan() && dx[0].is_nan() && dx[1] == 1.0);
        let (loss, dx) = example(&[f32::NAN, 1.0], 0);
        assert!(loss.is_nan() && dx.iter().all(|dx| dx.is_nan()));
        let infinite = [f32::NEG_INFINITY, 1.0];
        assert_eq!(example(&infinite, 1), (f64::INFINITY, infinite.to_vec()));
        assert_eq!(example(&infinite, 0), (0.0, vec![0.0, 0.0]));
    }

    #[test]
    fn reductions() {
        let (x, labels) = (distinct([4, 3], 1), [0, 1, 1, 0]);
        let op = Contrastive::new(1.0);
        let (sum, saved) = op.forward(&x, &labels).unwrap();
        assert_eq!(op.loss(&x, &labels).unwrap(), (sum / 4.0, saved.clone().backward(0.25)));
        let op = Contrastive { reduction: Reduction::Sum, ..op };
        assert_eq!(op.loss(&x, &labels).unwrap(), (sum, saved.backward(1.0)));
        let (mean, dx) = Contrastive::new(1.0).loss(&Tensor::zeros([0, 3]), &[]).unwrap();
        assert!(mean.is_nan() && dx == Tensor::zeros([0, 3]));
    }

    #[test]
    fn threads_change_nothing() {
        let x = distinct([700, 100], 0);
        let labels: Vec<u32> = (0..700).map(|i| i % 2).collect();
        assert_threads_change_nothing(|| Contrastive::new(8.0).forward(&x, &labels).unwrap());
    }

    #[test]
    fn errors_say_what_is_expected() {
        let x = Tensor::zeros([2, 3]);
        let message = |margin, x: &Tensor, labels: &[u32]| {
            Contrastive::new(margin).forward(x, labels).unwrap_err().to_string()
        };
        for (margin, got) in [(0.0, "0"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
            let want = format!("contrastive: margin must be above 0 and finite, got {got}");
            assert_eq!(message(margin, &x, &[0, 0]), want);
        }
        let vector = Tensor::zeros(Shape::from([3]));
        assert_eq!(message(1.0, &vector, &[0]), "contrastive: x expects [n, d], got shape [3]");
        assert_eq!(message(1.0, &Tensor::zeros([2, 0]), &[0, 0]), "contrastive: d must be at least 1, got 0");
        assert_eq!(message(1.0, &x, &[0]), "contrastive: labels expects 2 entries, got 1");
        assert_eq!(
            message(1.0, &x, &[1, 2]),
            "contrastive: label 2 of image 1 must be below the number of classes, 2"
        );
    }

    #[test]
    fn descriptions_may_leave_the_reduction_out() {
        let op = serde_json::from_str::<Contrastive>(r#"{"margin":2.0}"#).unwrap();
        assert_eq!(op, Contrastive::new(2.0));
        assert!(serde_json::from_str::<Contrastive>("{}").is_err());
    }
}
