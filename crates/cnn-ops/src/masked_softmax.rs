//! Softmax over the last axis, of the entries that a mask lets through.
//!
//! ```text
//! y[..., k]  = e^x[..., k] / sum of e^x[..., j] over the j whose mask is 1; 0 where the mask of k is 0
//! dx[..., k] = y[..., k] (dy[..., k] - sum over j of y[..., j] dy[..., j])
//! ```
//!
//! The mask is of the shape of `x`, `[n, ..., t]`, or `[n, t]` for all rows of an image alike: in attention, the keys that
//! are not padding. It holds 0 and 1 only.
//!
//! **Conventions.** A masked entry is exactly 0 and gets no gradient, for any `x` and `dy` there, NaN included. A row
//! without any entry is all zeros; PyTorch, which is given minus infinity for masked entries, has NaN there. Among the
//! entries that count all is as in [`softmax`](mod@crate::softmax): minus infinity has probability 0, and a row with a NaN,
//! with plus infinity or with nothing but minus infinity has NaN for each of them. An entry of probability 0 gets no
//! gradient, even where `dy` is infinite.
//!
//! **Algorithm.** As softmax: the largest entry is subtracted, rows are taken a vector at a time, and threads take runs of
//! rows.
//!
//! Source: A. Vaswani et al., "Attention Is All You Need" (2017), section 3.2.3, for the mask.

use crate::OpError;
use crate::shared::check;
use crate::shared::exponential::largest_of;
use crate::shared::work::worth_a_thread;
use cnn_tensor::simd::{Level, math};
use cnn_tensor::{Shape, Tensor, kernel, parallel};

const OP: &str = "masked_softmax";

/// Elements that make a piece of work worth a thread.
const WORTH_A_THREAD: usize = worth_a_thread(1 << 16);

/// The shape of `x`, `[n, ..., t]`, if the mask is of shape `[n, t]` or of that of `x`.
///
/// # Errors
/// `x` is of rank below 2, or the mask not of such a shape.
pub fn output_shape(x: Shape, mask: Shape) -> Result<Shape, OpError> {
    let [n, .., t] = *rank_2(x, "x")?.dims() else { unreachable!("of rank 2 or more") };
    let expected = if mask.rank() == 2 { [n, t].into() } else { x };
    if mask != expected {
        return Err(OpError::Shape { op: OP, what: "mask", expected, got: mask });
    }
    Ok(x)
}

/// The probabilities of the entries of each row that the mask lets through: `[n, ..., t]` to the same shape.
///
/// ```
/// use cnn_ops::masked_softmax;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 2, 3], vec![5.0, 5.0, 9.0, 0.0, f32::NEG_INFINITY, 9.0])?;
/// let mask = Tensor::from_vec([1, 3], vec![1.0, 1.0, 0.0])?;
/// let y = masked_softmax::forward(&x, &mask)?;
/// assert_eq!(y.data(), [0.5, 0.5, 0.0, 1.0, 0.0, 0.0]);
/// let dy = Tensor::from_vec([1, 2, 3], vec![1.0, 3.0, 7.0, 1.0, 3.0, 7.0])?;
/// assert_eq!(masked_softmax::backward(&y, &dy)?.data(), [-0.5, 0.5, 0.0, 0.0, 0.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`output_shape`], or the mask holds another number than 0 and 1.
pub fn forward(x: &Tensor, mask: &Tensor) -> Result<Tensor, OpError> {
    let shape = output_shape(x.shape(), mask.shape())?;
    check::mask(OP, mask.shape(), mask)?;
    let mut y = Tensor::scratch(shape);
    let (level, rows) = (Level::current(), Rows::new(shape));
    // Rows of `x` for each row of the mask.
    let rows_of_mask = mask.data().len().checked_div(rows.length).unwrap_or(0);
    let shared = rows.count.checked_div(rows_of_mask).unwrap_or(1);
    parallel::for_each_chunk(y.data_mut(), rows.chunk(), |i, y| {
        let first = i * rows.per_chunk();
        let x = &x.data()[first * rows.length..][..y.len()];
        softmax_rows(level, [first, shared, rows.length], x, mask.data(), y);
    });
    Ok(y)
}

/// `dx` from the output `y` of [`forward`] and `dy`.
///
/// # Errors
/// `y` is of rank below 2, or `dy` not of its shape.
pub fn backward(y: &Tensor, dy: &Tensor) -> Result<Tensor, OpError> {
    let shape = rank_2(y.shape(), "y")?;
    check::shape(OP, "dy", shape, dy)?;
    let mut dx = Tensor::scratch(shape);
    let (level, rows) = (Level::current(), Rows::new(shape));
    parallel::for_each_chunk(dx.data_mut(), rows.chunk(), |i, dx| {
        let start = i * rows.chunk();
        let [y, dy] = [y, dy].map(|tensor| &tensor.data()[start..][..dx.len()]);
        backward_rows(level, rows.length, y, dy, dx);
    });
    Ok(dx)
}

fn rank_2(shape: Shape, what: &'static str) -> Result<Shape, OpError> {
    if shape.rank() < 2 {
        return Err(OpError::Rank { op: OP, what, expected: "[n, ..., t]", got: shape });
    }
    Ok(shape)
}

/// The rows of a tensor along its last axis.
struct Rows {
    length: usize,
    /// 0 if the tensor is empty.
    count: usize,
}

impl Rows {
    fn new(shape: Shape) -> Self {
        let length = shape.dims().last().copied().unwrap_or(1);
        Self { length, count: shape.numel().checked_div(length).unwrap_or(0) }
    }

    fn per_chunk(&self) -> usize {
        (WORTH_A_THREAD / self.length.max(1)).max(1)
    }

    /// Elements of a piece of work.
    fn chunk(&self) -> usize {
        self.per_chunk().saturating_mul(self.length)
    }
}

kernel! {
    /// Rows of `length` entries from number `first` on, of which `shared` after each other share a row of the mask.
    fn softmax_rows<S>(s, rows: [usize; 3], x: &[f32], mask: &[f32], y: &mut [f32]) {
        let [first, shared, length] = rows;
        let (zero, nothing) = (s.splat(0.0), s.splat(f32::NEG_INFINITY));
        for (row, (x, y)) in x.chunks_exact(length).zip(y.chunks_exact_mut(length)).enumerate() {
            let mask = &mask[(first + row) / shared * length..][..length];
            if mask.iter().all(|&m| m == 0.0) {
                y.fill(0.0);
                continue;
            }
            for ((x, m), y) in x.chunks(S::LANES).zip(mask.chunks(S::LANES)).zip(y.chunks_mut(S::LANES)) {
                s.store_partial(s.select_gt(s.load_partial(m), zero, s.load_partial(x), nothing), y);
            }
            let max = s.splat(largest_of(y));
            let mut sum = zero;
            for (m, y) in mask.chunks(S::LANES).zip(y.chunks_mut(S::LANES)) {
                let e = math::exp(s, s.sub(s.load_partial(y), max));
                s.store_partial(s.select_gt(s.load_partial(m), zero, e, zero), y);
                // Read back, so that lanes past the end of a row add 0.
                sum = s.add(sum, s.load_partial(y));
            }
            let scale = s.splat(1.0 / s.sum(sum));
            for (m, y) in mask.chunks(S::LANES).zip(y.chunks_mut(S::LANES)) {
                let p = s.mul(s.load_partial(y), scale);
                s.store_partial(s.select_gt(s.load_partial(m), zero, p, zero), y);
            }
        }
    }
}

kernel! {
    fn backward_rows<S>(s, length: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) {
        let zero = s.splat(0.0);
        let rows = y.chunks_exact(length).zip(dy.chunks_exact(length));
        for ((y, dy), dx) in rows.zip(dx.chunks_exact_mut(length)) {
            let mut sum = zero;
            for (y, dy) in y.chunks(S::LANES).zip(dy.chunks(S::LANES)) {
                let y = s.load_partial(y);
                sum = s.mul_add(y, s.select_eq(y, zero, zero, s.load_partial(dy)), sum);
            }
            let sum = s.splat(s.sum(sum));
            for ((y, dy), dx) in y.chunks(S::LANES).zip(dy.chunks(S::LANES)).zip(dx.chunks_mut(S::LANES)) {
                let y = s.load_partial(y);
                let of_entry = s.mul(y, s.sub(s.load_partial(dy), sum));
                s.store_partial(s.select_eq(y, zero, zero, of_entry), dx);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::*;
    use cnn_tensor::Random;
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(shape: Shape, x: &[f64], mask: &Tensor) -> Vec<f64> {
        let (n, t) = (shape.batch(), *shape.dims().last().unwrap());
        let mut y = vec![0.0; x.len()];
        for row in 0..x.len() / t.max(1) {
            let mask_row = if mask.shape() == shape { row } else { row / (x.len() / t / n) };
            let seen = (0..t).filter(|k| mask.data()[mask_row * t + k] == 1.0);
            let max = seen.clone().map(|k| x[row * t + k]).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = seen.clone().map(|k| (x[row * t + k] - max).exp()).sum();
            seen.for_each(|k| y[row * t + k] = (x[row * t + k] - max).exp() / sum);
        }
        y
    }

    fn drawn_mask(shape: impl Into<Shape>, seed: u64) -> Tensor {
        let mut random = Random::new(seed, &["mask"]);
        let mut mask = Tensor::zeros(shape);
        mask.data_mut().iter_mut().for_each(|m| *m = random.below(2) as f32);
        mask
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(
            leading in prop::collection::vec(0..4usize, 1..Shape::MAX_RANK), t in 0..20usize, own: bool,
            scale in prop::sample::select(vec![1.0, 10.0, 1000.0f32]), seed: u64,
        ) {
            let shape = Shape::new(&[&leading[..], &[t]].concat()).unwrap();
            prop_assume!(shape.numel() < 300);
            let mask = drawn_mask(if own { shape } else { [leading[0], t].into() }, seed ^ 2);
            let (mut x, dy) = (distinct(shape, seed), distinct(shape, seed ^ 1));
            x.data_mut().iter_mut().for_each(|x| *x *= scale);
            let y = oracle(shape, &to_f64(&x), &mask);
            let dx = gradient_of(&x, &dy, |x| oracle(shape, x, &mask));
            everywhere(|| {
                let got = forward(&x, &mask).unwrap();
                assert_close(&got, &y);
                assert_gradient_close("dx", &backward(&got, &dy).unwrap(), &dx);
            });
        }

        #[test]
        fn absurd_shapes_are_errors(x in any_shape(), mask in any_shape()) {
            for mask in [mask, x] {
                let Ok(shape) = output_shape(x, mask) else { continue };
                if x.numel() < 10_000 {
                    let y = forward(&Tensor::zeros(x), &Tensor::full(mask, 1.0)).unwrap();
                    prop_assert_eq!(y.shape(), shape);
                    backward(&y, &y).unwrap();
                }
            }
        }
    }

    /// NaN wherever the mask is 0, in `x` and in `dy`, changes no bit.
    #[test]
    fn what_is_masked_is_exactly_zero_and_not_looked_at() {
        let shape = Shape::from([3, 4, 21]);
        let mask = drawn_mask(shape, 0);
        let (x, dy) = (distinct(shape, 1), distinct(shape, 2));
        let hidden = |tensor: &Tensor| {
            let mut tensor = tensor.clone();
            let masked = tensor.data_mut().iter_mut().zip(mask.data()).filter(|(_, m)| **m == 0.0);
            masked.for_each(|(v, _)| *v = f32::NAN);
            tensor
        };
        everywhere(|| {
            let y = forward(&x, &mask).unwrap();
            let dx = backward(&y, &dy).unwrap();
            for ((y, dx), m) in y.data().iter().zip(dx.data()).zip(mask.data()) {
                assert_eq!((*y == 0.0 && *dx == 0.0), *m == 0.0);
            }
            assert_eq!(forward(&hidden(&x), &mask).unwrap(), y);
            assert_eq!(backward(&y, &hidden(&dy)).unwrap(), dx);
        });
    }

    #[test]
    fn a_row_without_entries_is_zero() {
        let x = Tensor::from_vec([2, 2], vec![f32::NAN, 1.0, 3.0, 3.0]).unwrap();
        let mask = Tensor::from_vec([2, 2], vec![0.0, 0.0, 1.0, 1.0]).unwrap();
        everywhere(|| {
            let y = forward(&x, &mask).unwrap();
            assert_eq!(y.data(), [0.0, 0.0, 0.5, 0.5]);
            let dy = Tensor::from_vec([2, 2], vec![f32::NAN, 1.0, 1.0, 3.0]).unwrap();
            assert_eq!(backward(&y, &dy).unwrap().data(), [0.0, 0.0, -0.5, 0.5]);
        });
    }

    #[test]
    fn rows_without_a_distribution_are_nan_where_the_mask_is_1() {
        let mask = Tensor::from_vec([1, 3], vec![1.0, 0.0, 1.0]).unwrap();
        for bad in [[f32::NAN, 0.0], [0.0, f32::INFINITY], [f32::NEG_INFINITY; 2], [f32::NAN; 2]] {
            let x = Tensor::from_vec([1, 2, 3], vec![bad[0], 1.0, bad[1], 3.0, 9.0, 3.0]).unwrap();
            everywhere(|| {
                let y = forward(&x, &mask).unwrap();
                let y = y.data();
                assert!(y[0].is_nan() && y[1] == 0.0 && y[2].is_nan(), "{bad:?} gives {y:?}");
                assert_eq!(y[3..], [0.5, 0.0, 0.5]);
            });
        }
    }

    #[test]
    fn a_probability_of_zero_has_no_gradient() {
        let x = Tensor::from_vec([1, 2], vec![f32::NEG_INFINITY, 1.0]).unwrap();
        everywhere(|| {
            let y = forward(&x, &Tensor::full([1, 2], 1.0)).unwrap();
            assert_eq!(y.data(), [0.0, 1.0]);
            let dy = Tensor::from_vec([1, 2], vec![f32::INFINITY, 1.0]).unwrap();
            assert_eq!(backward(&y, &dy).unwrap().data(), [0.0, 0.0]);
        });
    }

    /// With a mask of ones it is the softmax, bit for bit.
    #[test]
    fn a_mask_of_ones_is_softmax() {
        let (x, dy) = (distinct([5, 37], 0), distinct([5, 37], 1));
        everywhere(|| {
            let y = forward(&x, &Tensor::full([5, 37], 1.0)).unwrap();
            assert_eq!(y, crate::softmax::softmax(&x).unwrap());
            assert_eq!(backward(&y, &dy).unwrap(), crate::softmax::softmax_backward(&y, &dy).unwrap());
        });
    }

    #[test]
    fn empty_tensors_are_shapes_like_any_other() {
        for shape in [[0, 3, 4], [3, 0, 4], [3, 4, 0]] {
            let x = Tensor::zeros(shape);
            for mask in [Tensor::zeros([shape[0], shape[2]]), x.clone()] {
                assert_eq!(forward(&x, &mask).unwrap(), x);
            }
            assert_eq!(backward(&x, &x).unwrap(), x);
        }
    }

    #[test]
    fn threads_change_nothing() {
        let (x, dy) = (distinct([30, 20, 190], 0), distinct([30, 20, 190], 1));
        let mask = drawn_mask([30, 190], 2);
        assert_same_bits_on_any_threads(|| {
            let y = forward(&x, &mask).unwrap();
            let dx = backward(&y, &dy).unwrap();
            vec![y, dx]
        });
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |x: Shape, mask: Shape| output_shape(x, mask).unwrap_err().to_string();
        let x = Shape::from([2, 3, 4]);
        assert_eq!(message([3].into(), [3].into()), "masked_softmax: x expects [n, ..., t], got shape [3]");
        assert_eq!(message(x, [2, 3].into()), "masked_softmax: mask expects shape [2, 4], got [2, 3]");
        assert_eq!(
            message(x, [2, 1, 4].into()),
            "masked_softmax: mask expects shape [2, 3, 4], got [2, 1, 4]"
        );
        let (x, mut mask) = (Tensor::zeros(x), Tensor::full([2, 4], 1.0));
        mask.data_mut()[6] = 0.5;
        assert_eq!(
            forward(&x, &mask).unwrap_err().to_string(),
            "masked_softmax: mask expects 0 or 1, got 0.5 at [1, 2]"
        );
        assert_eq!(
            backward(&x, &mask).unwrap_err().to_string(),
            "masked_softmax: dy expects shape [2, 3, 4], got [2, 4]"
        );
        assert_eq!(
            backward(&Tensor::zeros([2]), &mask).unwrap_err().to_string(),
            "masked_softmax: y expects [n, ..., t], got shape [2]"
        );
    }
}
