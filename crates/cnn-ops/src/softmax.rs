//! Softmax and its logarithm, over the classes of every image or of every pixel; [`Softmax`] and [`LogSoftmax`] over any axis.
//!
//! `softmax(x)[n, k] = e^x[n, k] / sum over j of e^x[n, j]`, and `log_softmax` is its natural logarithm, computed
//! directly. Both subtract the largest `x[n, j]` first, so that nothing overflows for finite `x`. Classes are
//! axis 1; of `[n, classes, h, w]`, each of the `n h w` pixels has a distribution of its own.
//!
//! Gradients, in terms of the outputs: `dx = y (dy - sum over j of y_j dy_j)` for `softmax`, and
//! `dx = dy - e^y sum over j of dy_j` for `log_softmax`.
//!
//! **Algorithm.** Rows of classes, a vector at a time; pixels are gathered into such rows, 64 at a time.
//!
//! **Conventions.** As in PyTorch: a logit of minus infinity has probability 0; an image with a NaN, with plus
//! infinity, or with nothing but minus infinity has NaN for every class. Other images, and other pixels, are not
//! affected. To train a classifier use [`CrossEntropy`](crate::CrossEntropy), which takes logits.
//!
//! Source: J. Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs" (1990).

use crate::OpError;
use crate::shared::check;
use crate::shared::exponential::largest_of;
use crate::shared::positions::Positions;
use crate::shared::work::worth_a_thread;
use cnn_tensor::simd::{Level, Simd, math};
use cnn_tensor::{Shape, Tensor, kernel};
use serde::{Deserialize, Serialize};

const SOFTMAX: &str = "softmax";
const LOG_SOFTMAX: &str = "log_softmax";

/// Elements that make a piece of work worth a thread.
const WORTH_A_THREAD: usize = worth_a_thread(1 << 16);

/// The shape of the output of both functions: that of `x`, such as `[n, classes]` or `[n, classes, h, w]`.
///
/// # Errors
/// `x` is of rank below 2.
pub fn output_shape(x: Shape) -> Result<Shape, OpError> {
    Positions::new(SOFTMAX, "x", x).map(|_| x)
}

/// The probabilities of the classes at each position: `[n, classes]` or `[n, classes, h, w]` to the same shape.
///
/// ```
/// use cnn_ops::softmax::softmax;
/// use cnn_tensor::Tensor;
/// let y = softmax(&Tensor::from_vec([1, 2], vec![1000.0, 1000.0])?)?;
/// assert_eq!(y.data(), [0.5, 0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The example of many lectures: the scores of an image for cat, car and frog, their exponentials 24.5, 164.0 and 0.18, and
/// these divided by their sum. It is a cat, so the loss is `-ln 0.13`; slides that say 0.89 take the logarithm by base 10.
///
/// ```
/// use cnn_ops::{CrossEntropy, Loss, softmax::softmax};
/// use cnn_tensor::Tensor;
/// let scores = [3.2f32, 5.1, -1.7];
/// let exponentials = scores.map(f32::exp);
/// assert_eq!(exponentials.map(|e| format!("{e:.2}")), ["24.53", "164.02", "0.18"]);
///
/// let logits = Tensor::from_slice([1, 3], &scores)?;
/// let probabilities = softmax(&logits)?;
/// let by_hand = exponentials.map(|e| e / exponentials.iter().sum::<f32>());
/// for (probability, by_hand) in probabilities.data().iter().zip(by_hand) {
///     assert!((probability - by_hand).abs() < 1e-6);
/// }
/// let rounded: Vec<String> = probabilities.data().iter().map(|p| format!("{p:.2}")).collect();
/// assert_eq!(rounded, ["0.13", "0.87", "0.00"]);
///
/// let (loss, _) = CrossEntropy::default().loss(&logits, &[0][..])?;
/// assert_eq!(format!("{loss:.2}"), "2.04");
/// assert_eq!(format!("{:.2}", loss / std::f64::consts::LN_10), "0.89");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// `x` is of rank below 2.
pub fn softmax(x: &Tensor) -> Result<Tensor, OpError> {
    let (positions, level) = (Positions::new(SOFTMAX, "x", x.shape())?, Level::current());
    Ok(positions.map([x], WORTH_A_THREAD, |[x], y| softmax_rows(level, positions.classes, x, y)))
}

/// `dx` from the output `y` of [`softmax`] and `dy`.
///
/// # Errors
/// `y` is of rank below 2, or `dy` not of its shape.
pub fn softmax_backward(y: &Tensor, dy: &Tensor) -> Result<Tensor, OpError> {
    let (positions, level) = (Positions::new(SOFTMAX, "y", y.shape())?, Level::current());
    check::shape(SOFTMAX, "dy", y.shape(), dy)?;
    Ok(positions.map([y, dy], WORTH_A_THREAD, |[y, dy], dx| {
        softmax_backward_rows(level, positions.classes, y, dy, dx);
    }))
}

/// The logarithms of the probabilities of the classes at each position: `[n, classes]` or `[n, classes, h, w]` to the same shape.
///
/// ```
/// use cnn_ops::softmax::log_softmax;
/// use cnn_tensor::Tensor;
/// let y = log_softmax(&Tensor::from_vec([1, 2], vec![0.0, 1000.0])?)?;
/// assert_eq!(y.data(), [-1000.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// `x` is of rank below 2.
pub fn log_softmax(x: &Tensor) -> Result<Tensor, OpError> {
    let (positions, level) = (Positions::new(LOG_SOFTMAX, "x", x.shape())?, Level::current());
    Ok(positions.map([x], WORTH_A_THREAD, |[x], y| log_softmax_rows(level, positions.classes, x, y)))
}

/// `dx` from the output `y` of [`log_softmax`] and `dy`.
///
/// # Errors
/// `y` is of rank below 2, or `dy` not of its shape.
pub fn log_softmax_backward(y: &Tensor, dy: &Tensor) -> Result<Tensor, OpError> {
    let (positions, level) = (Positions::new(LOG_SOFTMAX, "y", y.shape())?, Level::current());
    check::shape(LOG_SOFTMAX, "dy", y.shape(), dy)?;
    Ok(positions.map([y, dy], WORTH_A_THREAD, |[y, dy], dx| {
        log_softmax_backward_rows(level, positions.classes, y, dy, dx);
    }))
}

/// Defines the operation over any axis by the functions over axis 1.
macro_rules! over_any_axis {
    ($(#[$doc:meta])* $operation:ident: $name:ident, $forward:ident, $backward:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $operation {
            /// The axis, counted with the batch, which it cannot be; 1, the classes, unless given.
            pub dim: usize,
        }

        impl Default for $operation {
            fn default() -> Self {
                Self { dim: 1 }
            }
        }

        impl $operation {
            /// Over axis `dim`.
            #[must_use]
            pub fn new(dim: usize) -> Self {
                Self { dim }
            }

            /// The shape of `x`.
            ///
            /// # Errors
            /// `x` has no such axis after the batch.
            pub fn output_shape(self, x: Shape) -> Result<Shape, OpError> {
                if self.dim == 1 {
                    return Positions::new($name, "x", x).map(|_| x);
                }
                let got = format_args!("{} for x of shape {x}", self.dim);
                let is_axis = (1..x.rank()).contains(&self.dim);
                check::rule($name, "dim", "an axis of x after the batch", is_axis, got)?;
                Ok(x)
            }

            /// `y` of the shape of `x`.
            ///
            /// # Errors
            /// Those of `output_shape`.
            pub fn forward(self, x: &Tensor) -> Result<Tensor, OpError> {
                self.output_shape(x.shape())?;
                along_axis($name, self.dim, [x], |[x]| $forward(x))
            }

            /// `dx` from the output `y` and `dy`.
            ///
            /// # Errors
            /// Those of `output_shape`, or `dy` does not have the shape of `y`.
            pub fn backward(self, y: &Tensor, dy: &Tensor) -> Result<Tensor, OpError> {
                check::shape($name, "dy", self.output_shape(y.shape())?, dy)?;
                along_axis($name, self.dim, [y, dy], |[y, dy]| $backward(y, dy))
            }
        }
    };
}

over_any_axis! {
    /// The exponentials divided by their sum over an axis: [`softmax`] for axis 1.
    ///
    /// ```
    /// use cnn_ops::softmax::Softmax;
    /// use cnn_tensor::Tensor;
    /// let x = Tensor::from_vec([1, 2, 2], vec![3.0, 3.0, 0.0, 100.0])?;
    /// assert_eq!(Softmax::new(2).forward(&x)?.data(), [0.5, 0.5, 0.0, 1.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Softmax: SOFTMAX, softmax, softmax_backward
}

over_any_axis! {
    /// The logarithm of [`Softmax`]: [`log_softmax`] for axis 1.
    LogSoftmax: LOG_SOFTMAX, log_softmax, log_softmax_backward
}

/// `f` of tensors of one shape, of which the axes before `dim` count as the batch, and those after it as pixels.
fn along_axis<const N: usize>(
    op: &'static str,
    dim: usize,
    inputs: [&Tensor; N],
    f: impl Fn([&Tensor; N]) -> Result<Tensor, OpError>,
) -> Result<Tensor, OpError> {
    let shape = inputs[0].shape();
    if dim == 1 || inputs[0].data().is_empty() {
        return f(inputs);
    }
    let (before, after) = shape.dims().split_at(dim);
    let three = [before.iter().product(), after[0], after[1..].iter().product()];
    let fault = |fault| OpError::Tensor { op, fault };
    let mut merged = [(); N].map(|()| Tensor::zeros([0]));
    for (merged, x) in merged.iter_mut().zip(inputs) {
        *merged = x.clone().reshape(three).map_err(fault)?;
    }
    f(merged.each_ref())?.reshape(shape).map_err(fault)
}

kernel! {
    fn softmax_rows<S>(s, classes: usize, x: &[f32], y: &mut [f32]) {
        for (x, y) in x.chunks_exact(classes).zip(y.chunks_exact_mut(classes)) {
            let (_, sum) = exponentials(s, x, y);
            let scale = s.splat(1.0 / sum);
            for y in y.chunks_mut(S::LANES) {
                s.store_partial(s.mul(s.load_partial(y), scale), y);
            }
        }
    }
}

kernel! {
    fn log_softmax_rows<S>(s, classes: usize, x: &[f32], y: &mut [f32]) {
        for (x, y) in x.chunks_exact(classes).zip(y.chunks_exact_mut(classes)) {
            let (max, sum) = exponentials(s, x, y);
            let (max, log_sum) = (s.splat(max), s.splat(sum.ln()));
            for (x, y) in x.chunks(S::LANES).zip(y.chunks_mut(S::LANES)) {
                s.store_partial(s.sub(s.sub(s.load_partial(x), max), log_sum), y);
            }
        }
    }
}

/// Writes `e^(x - max x)` to `y`; returns the maximum, which ignores NaN, and the sum, which does not.
#[inline(always)]
fn exponentials<S: Simd>(s: S, x: &[f32], y: &mut [f32]) -> (f32, f32) {
    let max = largest_of(x);
    let mut sum = s.splat(0.0);
    for (x, y) in x.chunks(S::LANES).zip(y.chunks_mut(S::LANES)) {
        s.store_partial(math::exp(s, s.sub(s.load_partial(x), s.splat(max))), y);
        // Read back, so that lanes past the end of a row add 0.
        sum = s.add(sum, s.load_partial(y));
    }
    (max, s.sum(sum))
}

kernel! {
    fn softmax_backward_rows<S>(s, classes: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) {
        let rows = y.chunks_exact(classes).zip(dy.chunks_exact(classes));
        for ((y, dy), dx) in rows.zip(dx.chunks_exact_mut(classes)) {
            let mut sum = s.splat(0.0);
            for (y, dy) in y.chunks(S::LANES).zip(dy.chunks(S::LANES)) {
                sum = s.mul_add(s.load_partial(y), s.load_partial(dy), sum);
            }
            let sum = s.splat(s.sum(sum));
            for ((y, dy), dx) in y.chunks(S::LANES).zip(dy.chunks(S::LANES)).zip(dx.chunks_mut(S::LANES)) {
                s.store_partial(s.mul(s.load_partial(y), s.sub(s.load_partial(dy), sum)), dx);
            }
        }
    }
}

kernel! {
    fn log_softmax_backward_rows<S>(s, classes: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) {
        let rows = y.chunks_exact(classes).zip(dy.chunks_exact(classes));
        for ((y, dy), dx) in rows.zip(dx.chunks_exact_mut(classes)) {
            let mut sum = s.splat(0.0);
            for dy in dy.chunks(S::LANES) {
                sum = s.add(sum, s.load_partial(dy));
            }
            let sum = s.splat(s.sum(sum));
            for ((y, dy), dx) in y.chunks(S::LANES).zip(dy.chunks(S::LANES)).zip(dx.chunks_mut(S::LANES)) {
                let p = math::exp(s, s.load_partial(y));
                s.store_partial(s.sub(s.load_partial(dy), s.mul(p, sum)), dx);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::*;
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition of the logarithm, in f64; [`probabilities`] takes the exponential of it.
    fn oracle([n, classes, inner]: [usize; 3], x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; x.len()];
        for (n, i) in (0..n).flat_map(|n| (0..inner).map(move |i| (n, i))) {
            let at = |k: usize| (n * classes + k) * inner + i;
            let max = (0..classes).map(|k| x[at(k)]).fold(f64::NEG_INFINITY, f64::max);
            let log_sum = (0..classes).map(|k| (x[at(k)] - max).exp()).sum::<f64>().ln();
            (0..classes).for_each(|k| y[at(k)] = x[at(k)] - max - log_sum);
        }
        y
    }

    fn probabilities(extents: [usize; 3], x: &[f64]) -> Vec<f64> {
        oracle(extents, x).into_iter().map(f64::exp).collect()
    }

    /// Compares both functions and their gradients with the definition.
    fn check_against_the_definition(shape: Shape, scale: f32, seed: u64) {
        let [n, classes, ref rest @ ..] = *shape.dims() else { panic!("a shape of rank 2") };
        let extents = [n, classes, rest.iter().product()];
        let mut x = distinct(shape, seed);
        x.data_mut().iter_mut().for_each(|x| *x *= scale);
        let dy = distinct(shape, seed ^ 1);
        let (y, log_y) = (probabilities(extents, &to_f64(&x)), oracle(extents, &to_f64(&x)));
        let dx = gradient_of(&x, &dy, |x| probabilities(extents, x));
        let log_dx = gradient_of(&x, &dy, |x| oracle(extents, x));
        everywhere(|| {
            let got = softmax(&x).unwrap();
            assert_close(&got, &y);
            assert_gradient_close("dx", &softmax_backward(&got, &dy).unwrap(), &dx);
            let got = log_softmax(&x).unwrap();
            assert_close(&got, &log_y);
            assert_gradient_close("dx", &log_softmax_backward(&got, &dy).unwrap(), &log_dx);
        });
    }

    fn scales() -> impl Strategy<Value = f32> {
        prop::sample::select(vec![1.0, 10.0, 1000.0f32])
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn rows_match_the_definition(n in 0..4usize, classes in 1..20usize, scale in scales(), seed: u64) {
            check_against_the_definition([n, classes].into(), scale, seed);
        }

        #[test]
        fn pixels_match_the_definition(dims in prop::collection::vec(0..4usize, 3..=6), scale in scales(), seed: u64) {
            check_against_the_definition(Shape::new(&dims).unwrap(), scale, seed);
        }

        #[test]
        fn absurd_shapes_are_errors(x in any_shape()) {
            prop_assert_eq!(output_shape(x).ok(), (x.rank() >= 2).then_some(x));
            prop_assume!(x.numel() < 100_000);
            let x = Tensor::zeros(x);
            for y in [softmax(&x), log_softmax(&x), softmax_backward(&x, &x), log_softmax_backward(&x, &x)] {
                prop_assert_eq!(y.map(|y| y.shape()).ok(), (x.shape().rank() >= 2).then_some(x.shape()));
            }
        }
    }

    /// Over any axis it is what it is over axis 1, after the axes have changed places.
    #[test]
    fn other_axes_are_classes_in_other_places() {
        let x = distinct([2, 3, 4, 5], 0);
        let dy = distinct([2, 3, 4, 5], 1);
        for dim in 1..4 {
            let mut dims = [0, 1, 2, 3];
            dims.swap(1, dim);
            let swap = crate::Permute::new(dims);
            let swapped = |x: &Tensor| swap.forward(x).unwrap();
            everywhere(|| {
                let y = Softmax::new(dim).forward(&x).unwrap();
                assert_eq!(swapped(&y), softmax(&swapped(&x)).unwrap());
                let dx = Softmax::new(dim).backward(&y, &dy).unwrap();
                assert_eq!(swapped(&dx), softmax_backward(&swapped(&y), &swapped(&dy)).unwrap());
                let y = LogSoftmax::new(dim).forward(&x).unwrap();
                assert_eq!(swapped(&y), log_softmax(&swapped(&x)).unwrap());
                let dx = LogSoftmax::new(dim).backward(&y, &dy).unwrap();
                assert_eq!(swapped(&dx), log_softmax_backward(&swapped(&y), &swapped(&dy)).unwrap());
            });
        }
    }

    proptest! {
        #[test]
        fn absurd_axes_are_errors(x in any_shape(), dim in prop_oneof![9 => 0..6usize, 1 => any_extent()]) {
            let op = Softmax::new(dim);
            let shape = op.output_shape(x);
            prop_assert!(shape.is_err() || shape == Ok(x) && (1..x.rank()).contains(&dim));
            if x.numel() <= 100_000 {
                let x = Tensor::zeros(x);
                prop_assert_eq!(op.forward(&x).is_ok(), shape.is_ok());
                prop_assert_eq!(LogSoftmax::new(dim).backward(&x, &x).is_ok(), shape.is_ok());
            }
        }
    }

    #[test]
    fn an_axis_that_is_none_is_named() {
        let x = Tensor::zeros([2, 3]);
        let error = LogSoftmax::new(2).forward(&x).unwrap_err().to_string();
        assert_eq!(
            error,
            "log_softmax: dim must be an axis of x after the batch, got 2 for x of shape [2, 3]"
        );
        let error = Softmax::default().backward(&x, &Tensor::zeros([3, 2])).unwrap_err().to_string();
        assert_eq!(error, "softmax: dy expects shape [2, 3], got [3, 2]");
        assert_eq!(serde_json::from_str::<Softmax>("{}").unwrap(), Softmax::new(1));
    }

    /// Images of more pixels than are gathered at a time.
    #[test]
    fn pixels_are_rows_in_another_order() {
        let (n, classes, inner) = (3, 5, 150);
        let (x, dy) = (distinct([n * inner, classes], 0), distinct([n * inner, classes], 1));
        let as_pixels = |rows: &Tensor| {
            let mut pixels = Tensor::zeros([n, classes, 10, 15]);
            for (i, v) in rows.data().iter().enumerate() {
                let (row, k) = (i / classes, i % classes);
                pixels.data_mut()[(row / inner * classes + k) * inner + row % inner] = *v;
            }
            pixels
        };
        everywhere(|| {
            let (y, log_y) = (softmax(&x).unwrap(), log_softmax(&x).unwrap());
            assert_eq!(softmax(&as_pixels(&x)).unwrap(), as_pixels(&y));
            assert_eq!(log_softmax(&as_pixels(&x)).unwrap(), as_pixels(&log_y));
            let dx = softmax_backward(&y, &dy).unwrap();
            assert_eq!(softmax_backward(&as_pixels(&y), &as_pixels(&dy)).unwrap(), as_pixels(&dx));
            let dx = log_softmax_backward(&log_y, &dy).unwrap();
            assert_eq!(log_softmax_backward(&as_pixels(&log_y), &as_pixels(&dy)).unwrap(), as_pixels(&dx));
        });
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let x = Tensor::from_vec([1, 3], vec![f32::MAX, f32::MAX, f32::MIN]).unwrap();
        everywhere(|| {
            assert_eq!(softmax(&x).unwrap().data(), [0.5, 0.5, 0.0]);
            let y = log_softmax(&x).unwrap();
            assert_eq!(y.data()[..2], [-std::f32::consts::LN_2; 2]);
            assert_eq!(y.data()[2], f32::NEG_INFINITY, "-2 f32::MAX");
        });
    }

    #[test]
    fn minus_infinity_has_probability_zero() {
        let x = Tensor::from_vec([1, 3], vec![1.0, f32::NEG_INFINITY, 1.0]).unwrap();
        let dy = Tensor::from_vec([1, 3], vec![1.0, 2.0, 4.0]).unwrap();
        everywhere(|| {
            let y = softmax(&x).unwrap();
            assert_eq!(y.data(), [0.5, 0.0, 0.5]);
            assert_eq!(softmax_backward(&y, &dy).unwrap().data(), [-0.75, 0.0, 0.75]);
            let y = log_softmax(&x).unwrap();
            assert_eq!(y.data()[1], f32::NEG_INFINITY);
            assert_eq!(log_softmax_backward(&y, &dy).unwrap().data()[1], 2.0);
        });
    }

    #[test]
    fn rows_without_a_distribution_are_nan_and_alone() {
        for bad in [[f32::NAN, 0.0], [0.0, f32::INFINITY], [f32::NEG_INFINITY; 2], [f32::NAN; 2]] {
            let x = Tensor::from_vec([2, 2], [bad, [3.0, 3.0]].concat()).unwrap();
            everywhere(|| {
                let (y, log_y) = (softmax(&x).unwrap(), log_softmax(&x).unwrap());
                for y in [&y, &log_y] {
                    assert!(y.data()[..2].iter().all(|y| y.is_nan()), "{bad:?} gives {y:?}");
                }
                assert_eq!(y.data()[2..], [0.5, 0.5]);
            });
        }
    }

    #[test]
    fn no_images_and_no_classes_are_shapes_like_any_other() {
        for shape in [[0, 3, 1, 1], [3, 0, 1, 1], [3, 2, 0, 1], [0, 3, 4, 4], [3, 0, 4, 4], [3, 2, 4, 0]] {
            let x = Tensor::zeros(shape);
            for y in [softmax(&x), log_softmax(&x), softmax_backward(&x, &x), log_softmax_backward(&x, &x)] {
                assert_eq!(y.unwrap(), x);
            }
        }
    }

    #[test]
    fn threads_change_nothing() {
        for shape in [Shape::from([300, 1000]), [7, 10, 60, 61].into()] {
            let (x, dy) = (distinct(shape, 0), distinct(shape, 1));
            assert_same_bits_on_any_threads(|| {
                let (y, log_y) = (softmax(&x).unwrap(), log_softmax(&x).unwrap());
                let dx = softmax_backward(&y, &dy).unwrap();
                let log_dx = log_softmax_backward(&log_y, &dy).unwrap();
                vec![y, log_y, dx, log_dx]
            });
        }
    }

    #[test]
    fn errors_say_what_is_expected() {
        let (x, image, vector) = (Tensor::zeros([2, 3]), Tensor::zeros([2, 3, 1, 1]), Tensor::zeros([3]));
        let message = |result: Result<Tensor, OpError>| result.unwrap_err().to_string();
        assert_eq!(message(softmax(&vector)), "softmax: x expects [n, classes, ...], got shape [3]");
        assert_eq!(message(log_softmax(&vector)), "log_softmax: x expects [n, classes, ...], got shape [3]");
        assert_eq!(
            message(softmax_backward(&vector, &vector)),
            "softmax: y expects [n, classes, ...], got shape [3]"
        );
        assert_eq!(
            message(log_softmax_backward(&vector, &vector)),
            "log_softmax: y expects [n, classes, ...], got shape [3]"
        );
        assert_eq!(
            message(softmax_backward(&x, &image)),
            "softmax: dy expects shape [2, 3], got [2, 3, 1, 1]"
        );
        assert_eq!(
            message(log_softmax_backward(&x, &image)),
            "log_softmax: dy expects shape [2, 3], got [2, 3, 1, 1]"
        );
    }
}
