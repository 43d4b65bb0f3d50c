//! Softmax and its logarithm, over the classes of every image.
//!
//! `softmax(x)[n, k] = e^x[n, k] / sum over j of e^x[n, j]`, and `log_softmax` is its natural logarithm, computed
//! without the detour. Both subtract the largest `x[n, j]` first, so that nothing overflows for finite `x`.
//!
//! Gradients, in terms of the outputs: `dx = y (dy - sum over j of y_j dy_j)` for `softmax`, and
//! `dx = dy - e^y sum over j of dy_j` for `log_softmax`.
//!
//! **Conventions.** As in PyTorch: a logit of minus infinity has probability 0; an image with a NaN, with plus
//! infinity, or with nothing but minus infinity has NaN for every class. Other images are not affected. To train a
//! classifier use [`cross_entropy`](crate::cross_entropy), which takes logits.
//!
//! Source: J. Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs" (1990).

use crate::work::worth_a_thread;
use crate::{OpError, check};
use cnn_tensor::simd::{Level, Simd, math};
use cnn_tensor::{Tensor, kernel, parallel};
use std::ops::Range;

const SOFTMAX: &str = "softmax";
const LOG_SOFTMAX: &str = "log_softmax";

/// The probabilities of each image's classes: `[n, classes]` to `[n, classes]`.
///
/// ```
/// use cnn_ops::softmax::softmax;
/// use cnn_tensor::Tensor;
/// let y = softmax(&Tensor::from_vec([1, 2], vec![1000.0, 1000.0])?)?;
/// assert_eq!(y.data(), [0.5, 0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// `x` is not of rank 2.
pub fn softmax(x: &Tensor) -> Result<Tensor, OpError> {
    let classes = classes(SOFTMAX, "x", x)?;
    Ok(by_rows(x, classes, |level, piece, y| softmax_rows(level, classes, &x.data()[piece], y)))
}

/// `dx` from the output `y` of [`softmax`] and `dy`.
///
/// # Errors
/// `y` is not of rank 2, or `dy` not of its shape.
pub fn softmax_backward(y: &Tensor, dy: &Tensor) -> Result<Tensor, OpError> {
    let classes = classes(SOFTMAX, "y", y)?;
    check::shape(SOFTMAX, "dy", y.shape(), dy)?;
    Ok(by_rows(y, classes, |level, piece, dx| {
        softmax_backward_rows(level, classes, &y.data()[piece.clone()], &dy.data()[piece], dx);
    }))
}

/// The logarithms of the probabilities of each image's classes: `[n, classes]` to `[n, classes]`.
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
/// `x` is not of rank 2.
pub fn log_softmax(x: &Tensor) -> Result<Tensor, OpError> {
    let classes = classes(LOG_SOFTMAX, "x", x)?;
    Ok(by_rows(x, classes, |level, piece, y| log_softmax_rows(level, classes, &x.data()[piece], y)))
}

/// `dx` from the output `y` of [`log_softmax`] and `dy`.
///
/// # Errors
/// `y` is not of rank 2, or `dy` not of its shape.
pub fn log_softmax_backward(y: &Tensor, dy: &Tensor) -> Result<Tensor, OpError> {
    let classes = classes(LOG_SOFTMAX, "y", y)?;
    check::shape(LOG_SOFTMAX, "dy", y.shape(), dy)?;
    Ok(by_rows(y, classes, |level, piece, dx| {
        log_softmax_backward_rows(level, classes, &y.data()[piece.clone()], &dy.data()[piece], dx);
    }))
}

fn classes(op: &'static str, what: &'static str, tensor: &Tensor) -> Result<usize, OpError> {
    check::matrix(op, what, "[n, classes]", tensor.shape()).map(|[_, classes]| classes)
}

/// A tensor of the shape of `like`, written by `rows` in pieces of whole rows: it gets a range of elements and the
/// memory for them.
fn by_rows(
    like: &Tensor,
    classes: usize,
    rows: impl Fn(Level, Range<usize>, &mut [f32]) + Sync + Send,
) -> Tensor {
    const WORTH_A_THREAD: usize = worth_a_thread(1 << 16);
    let mut out = Tensor::scratch(like.shape());
    let chunk = (WORTH_A_THREAD / classes.max(1)).max(1) * classes;
    let level = Level::current();
    parallel::for_each_chunk(out.data_mut(), chunk, |i, out| {
        rows(level, i * chunk..i * chunk + out.len(), out);
    });
    out
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
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
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
    use crate::testing::{assert_same_bits_on_any_threads, at_every_level};
    use cnn_tensor::testing::{assert_close, assert_gradient, distinct, to_f64};
    use proptest::prelude::*;

    /// The definition of the logarithm, in f64; [`probabilities`] takes the exponential of it.
    fn oracle(classes: usize, x: &[f64]) -> Vec<f64> {
        let log_softmax = |x: &[f64]| {
            let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let log_sum = x.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
            x.iter().map(|x| x - max - log_sum).collect::<Vec<_>>()
        };
        x.chunks(classes).flat_map(log_softmax).collect()
    }

    fn probabilities(classes: usize, x: &[f64]) -> Vec<f64> {
        oracle(classes, x).into_iter().map(f64::exp).collect()
    }

    proptest! {
        #[test]
        fn matches_the_definition(n in 0..4usize, classes in 1..40usize,
                                  scale in prop::sample::select(vec![1.0, 10.0, 1000.0f32]), seed: u64) {
            let mut x = distinct([n, classes], seed);
            x.data_mut().iter_mut().for_each(|x| *x *= scale);
            let dy = distinct([n, classes], seed ^ 1);
            at_every_level(|| {
                let y = softmax(&x).unwrap();
                assert_close(&y, &probabilities(classes, &to_f64(&x)));
                let dx = softmax_backward(&y, &dy).unwrap();
                assert_gradient("dx", &x, &dx, &dy, |x| probabilities(classes, x));
                let y = log_softmax(&x).unwrap();
                assert_close(&y, &oracle(classes, &to_f64(&x)));
                let dx = log_softmax_backward(&y, &dy).unwrap();
                assert_gradient("dx", &x, &dx, &dy, |x| oracle(classes, x));
            });
        }
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let x = Tensor::from_vec([1, 3], vec![f32::MAX, f32::MAX, f32::MIN]).unwrap();
        at_every_level(|| {
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
        at_every_level(|| {
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
            at_every_level(|| {
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
        for shape in [[0, 3], [3, 0]] {
            let x = Tensor::zeros(shape);
            for y in [softmax(&x), log_softmax(&x), softmax_backward(&x, &x), log_softmax_backward(&x, &x)] {
                assert_eq!(y.unwrap(), x);
            }
        }
    }

    #[test]
    fn threads_change_nothing() {
        let (x, dy) = (distinct([300, 1000], 0), distinct([300, 1000], 1));
        assert_same_bits_on_any_threads(|| {
            let (y, log_y) = (softmax(&x).unwrap(), log_softmax(&x).unwrap());
            let dx = softmax_backward(&y, &dy).unwrap();
            let log_dx = log_softmax_backward(&log_y, &dy).unwrap();
            vec![y, log_y, dx, log_dx]
        });
    }

    #[test]
    fn errors_say_what_is_expected() {
        let (x, image) = (Tensor::zeros([2, 3]), Tensor::zeros([2, 3, 1, 1]));
        let message = |result: Result<Tensor, OpError>| result.unwrap_err().to_string();
        assert_eq!(message(softmax(&image)), "softmax: x expects [n, classes], got shape [2, 3, 1, 1]");
        assert_eq!(
            message(log_softmax(&image)),
            "log_softmax: x expects [n, classes], got shape [2, 3, 1, 1]"
        );
        assert_eq!(
            message(softmax_backward(&image, &x)),
            "softmax: y expects [n, classes], got shape [2, 3, 1, 1]"
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
