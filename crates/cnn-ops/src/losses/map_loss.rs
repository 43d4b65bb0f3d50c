use super::{CHUNK, Loss, Reduction, Saved};
use crate::OpError;
use crate::shared::check;
use crate::shared::positions::Positions;
use cnn_tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The loss of LeNet-5, "maximum a posteriori": the penalty of the right class, and a term by which the classes compete.
///
/// With `y[k]` the penalties of an image, the squared distances that [`rbf`](mod@crate::rbf) units give, and `D` its label,
/// the sum over images of
///
/// ```text
/// loss  = y[D] + ln(e^-j + sum over k of e^-y[k])
/// dy[k] = (1 if k = D, else 0) - e^-y[k] / (e^-j + sum over i of e^-y[i])
/// ```
///
/// The constant `j` is the penalty of a class of rubbish. It keeps the penalties of wrong classes from being pushed up
/// further where they are already large; the paper does not give its value. An infinite `j` leaves the rubbish out:
/// cross-entropy with `-y` as logits.
///
/// The smallest penalty is subtracted first, so that nothing overflows. A NaN gives NaN, and so does a penalty of minus
/// infinity; an infinite penalty has probability 0 and, at the label, an infinite loss.
///
/// ```
/// use cnn_ops::{Loss, MapLoss};
/// use cnn_tensor::Tensor;
/// let penalties = Tensor::from_vec([1, 2], vec![0.0, 0.0])?;
/// let loss = MapLoss { j: f64::INFINITY, ..MapLoss::new(1.0) };
/// let (mean, dy) = loss.loss(&penalties, &[0])?;
/// assert_eq!(mean, 2f64.ln());
/// assert_eq!(dy.data(), [0.5, -0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to Document Recognition"
/// (1998), eq. 9.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapLoss {
    /// The penalty of rubbish; above 0.
    pub j: f64,
    /// How the losses are combined. The mean divides by the number of images.
    #[serde(default)]
    pub reduction: Reduction,
}

const OP: &str = "map_loss";

impl MapLoss {
    /// The mean loss with this penalty of rubbish.
    pub fn new(j: f64) -> Self {
        Self { j, reduction: Reduction::Mean }
    }
}

impl Loss<[u32]> for MapLoss {
    /// The sum of the losses over the penalties `x [n, classes]` and the `n` right classes, counted from 0.
    ///
    /// # Errors
    /// `j` is not above 0, `x` is not of rank 2, there is not one label for each image, or a label is not below `classes`.
    fn forward(&self, x: &Tensor, labels: &[u32]) -> Result<(f64, Saved), OpError> {
        let [n, classes] = check::matrix(OP, "x", "[n, classes]", x.shape())?;
        check::number(OP, "j", "above 0", self.j, self.j > 0.0)?;
        check::labels(OP, labels, [n, 1, classes], None)?;
        let positions = Positions::new(OP, "x", x.shape())?;
        let (sum, dx) =
            positions.losses([x], CHUNK, |image, [y], dy| of_image(self.j, y, labels[image] as usize, dy));
        Ok((sum, Saved::new(dx)))
    }

    /// For the mean, the number of images; else 1.
    fn divisor(&self, labels: &[u32]) -> f64 {
        self.reduction.divisor(labels.len() as f64)
    }
}

/// The loss of one image, and its gradient to `dy`.
fn of_image(j: f64, y: &[f32], label: usize, dy: &mut [f32]) -> f64 {
    let smallest = y.iter().fold(j, |smallest, &y| smallest.min(f64::from(y)));
    let exponential = |y: f32| (smallest - f64::from(y)).exp();
    // An infinite j is never a class, even beside infinite penalties.
    let rubbish = if j == f64::INFINITY { 0.0 } else { (smallest - j).exp() };
    let sum = rubbish + y.iter().map(|&y| exponential(y)).sum::<f64>();
    for (k, (dy, &y)) in dy.iter_mut().zip(y).enumerate() {
        *dy = (f64::from(k == label) - exponential(y) / sum) as f32;
    }
    f64::from(y[label]) - smallest + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::CrossEntropy;
    use crate::shared::testing::{any_number_of_rejects, any_shape};
    use cnn_tensor::testing::{assert_close, distinct, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(j: f64, classes: usize, y: &[f64], labels: &[u32]) -> f64 {
        let of_image = |(y, &label): (&[f64], &u32)| {
            let sum: f64 = y.iter().map(|y| (-y).exp()).sum();
            y[label as usize] + ((-j).exp() + sum).ln()
        };
        y.chunks(classes).zip(labels).map(of_image).sum()
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(
            (classes, labels) in (1..7usize)
                .prop_flat_map(|classes| (Just(classes), prop::collection::vec(0..classes as u32, 0..8))),
            j in prop_oneof![0.01..5.0f64, Just(f64::INFINITY)],
            large: bool,
            scale in -2.0..2.0f32,
            seed: u64,
        ) {
            let mut y = distinct([labels.len(), classes], seed);
            y.data_mut().iter_mut().for_each(|y| *y = (1.0 + *y) * if large { 50.0 } else { 1.0 });
            compare(&y, scale, |y| MapLoss::new(j).forward(y, &labels), |y| oracle(j, classes, y, &labels));
        }

        #[test]
        fn absurd_options_are_errors(
            j in prop::num::f64::ANY,
            shape in any_shape(),
            label in prop_oneof![0..4u32, any::<u32>()],
        ) {
            prop_assume!(shape.numel() < 100_000 && shape.batch() < 100_000);
            let loss = MapLoss::new(j).loss(&Tensor::zeros(shape), &vec![label; shape.batch()]);
            let fits = |[n, classes]: [usize; 2]| n == 0 || (label as usize) < classes;
            prop_assert_eq!(loss.is_ok(), j > 0.0 && shape.matrix().is_some_and(fits));
        }
    }

    #[test]
    fn without_rubbish_it_is_cross_entropy() {
        let (y, labels) = (distinct([5, 4], 3), [0, 3, 2, 2, 1]);
        let logits = Tensor::from_vec([5, 4], y.data().iter().map(|y| -y).collect()).unwrap();
        let (want, saved) = CrossEntropy::default().forward(&logits, &labels[..]).unwrap();
        let (loss, dy) = MapLoss::new(f64::INFINITY).forward(&y, &labels).unwrap();
        assert!((loss - want).abs() < 1e-12);
        assert_close(&dy.backward(-1.0), &to_f64(&saved.backward(1.0)));
    }

    fn example(j: f64, y: &[f32]) -> (f64, Vec<f32>) {
        let y = Tensor::from_slice([1, y.len()], y).unwrap();
        let (loss, dy) = MapLoss::new(j).loss(&y, &[0]).unwrap();
        (loss, dy.data().to_vec())
    }

    #[test]
    fn far_penalties_are_not_pushed_further() {
        let (_, dy) = example(1.0, &[0.0, 100.0]);
        assert_eq!(dy[1], -((-100f64).exp() / (1.0 + (-1f64).exp())) as f32);
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let (loss, dy) = example(1.0, &[f32::MAX, f32::MIN]);
        assert_eq!((loss, dy), (2.0 * f64::from(f32::MAX), vec![1.0, -1.0]));
    }

    #[test]
    fn nan_and_infinities() {
        let inf = f32::INFINITY;
        for (bad, j) in [([f32::NAN, 0.0], 1.0), ([-inf, 0.0], 1.0), ([inf, inf], f64::INFINITY)] {
            let (loss, dy) = example(j, &bad);
            assert!(loss.is_nan() && dy.iter().any(|dy| dy.is_nan()), "{bad:?}");
        }
        assert_eq!(example(1.0, &[inf, 0.0]).0, f64::INFINITY);
        let (loss, dy) = example(f64::INFINITY, &[0.0, inf]);
        assert_eq!((loss, dy), (0.0, vec![0.0, 0.0]));
    }

    #[test]
    fn reductions() {
        let (y, labels) = (distinct([4, 3], 1), [0, 2, 1, 1]);
        let op = MapLoss::new(1.0);
        let (sum, saved) = op.forward(&y, &labels).unwrap();
        assert_eq!(op.loss(&y, &labels).unwrap(), (sum / 4.0, saved.clone().backward(0.25)));
        let op = MapLoss { reduction: Reduction::Sum, ..op };
        assert_eq!(op.loss(&y, &labels).unwrap(), (sum, saved.backward(1.0)));
        let (mean, dy) = MapLoss::new(1.0).loss(&Tensor::zeros([0, 3]), &[]).unwrap();
        assert!(mean.is_nan() && dy == Tensor::zeros([0, 3]));
    }

    #[test]
    fn threads_change_nothing() {
        let y = distinct([700, 100], 0);
        let labels: Vec<u32> = (0..700).map(|i| i % 100).collect();
        assert_threads_change_nothing(|| MapLoss::new(1.0).forward(&y, &labels).unwrap());
    }

    #[test]
    fn errors_say_what_is_expected() {
        let y = Tensor::zeros([2, 3]);
        let message =
            |j, y: &Tensor, labels: &[u32]| MapLoss::new(j).forward(y, labels).unwrap_err().to_string();
        assert_eq!(message(0.0, &y, &[0, 0]), "map_loss: j must be above 0, got 0");
        assert_eq!(message(f64::NAN, &y, &[0, 0]), "map_loss: j must be above 0, got NaN");
        assert_eq!(
            message(1.0, &Tensor::zeros([3]), &[0]),
            "map_loss: x expects [n, classes], got shape [3]"
        );
        assert_eq!(message(1.0, &y, &[0]), "map_loss: labels expects 2 entries, got 1");
        assert_eq!(
            message(1.0, &y, &[0, 3]),
            "map_loss: label 3 of image 1 must be below the number of classes, 3"
        );
    }
}
