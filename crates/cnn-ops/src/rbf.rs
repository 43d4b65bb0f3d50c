//! Euclidean radial basis function units, the output layer of LeNet-5.
//!
//! ```text
//! y[n, i]       = sum over j of (x[n, j] - weight[i, j])^2
//! dx[n, j]      = sum over i of 2 dy[n, i] (x[n, j] - weight[i, j])
//! dweight[i, j] = sum over n of -2 dy[n, i] (x[n, j] - weight[i, j])
//! ```
//!
//! Each unit has a code, a row of the weight, and gives the squared distance of the input from it: a penalty, small where
//! the input fits. LeNet-5's codes are fixed pictures of the characters. Its loss is
//! [`MapLoss`](crate::losses::MapLoss).
//!
//! **Conventions.** NaN and infinity are values: a NaN in a row of `x` makes that row of `y` NaN, and other images are not
//! affected. A unit of no inputs gives 0.
//!
//! **Algorithm.** Differences are squared and added, a vector of inputs at a time. The expansion into
//! `x^2 - 2 x weight + weight^2` would be a matrix product, and cancel where the distance is small, where it matters. In
//! LeNet-5 (84 inputs, 10 units) this is below a hundredth of the work.
//!
//! Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to Document Recognition"
//! (1998), eq. 7.
//!
//! ```
//! use cnn_ops::rbf;
//! use cnn_tensor::Tensor;
//! let x = Tensor::from_vec([1, 2], vec![1.0, -1.0])?;
//! let codes = Tensor::from_vec([2, 2], vec![1.0, -1.0, 1.0, 1.0])?;
//! assert_eq!(rbf::forward(&x, &codes)?.data(), [0.0, 4.0]);
//! let mut dcodes = Tensor::zeros([2, 2]);
//! let dx = rbf::backward(&x, &codes, &Tensor::full([1, 2], 1.0), Some(&mut dcodes))?;
//! assert_eq!(dx.data(), [0.0, -4.0]);
//! assert_eq!(dcodes.data(), [0.0, 0.0, 0.0, 4.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::OpError;
use crate::shared::check;
use crate::shared::work::worth_a_thread;
use cnn_tensor::simd::Level;
use cnn_tensor::{Shape, Tensor, kernel, parallel};

const OP: &str = "rbf";

/// Differences that make a piece of work worth a thread.
const WORTH_A_THREAD: usize = worth_a_thread(1 << 15);

/// `x` of shape `[n, in]` and `weight` of shape `[out, in]` to `[n, out]`.
///
/// # Errors
/// One of them is not of rank 2, or they disagree on the number of input features.
pub fn output_shape(x: Shape, weight: Shape) -> Result<Shape, OpError> {
    let [n, _, outputs] = extents(x, "weight", weight)?;
    check::output(OP, [n, outputs])
}

/// `y` of shape `[n, out]` from `x [n, in]` and `weight [out, in]`.
///
/// # Errors
/// Those of [`output_shape`].
pub fn forward(x: &Tensor, weight: &Tensor) -> Result<Tensor, OpError> {
    let shape = output_shape(x.shape(), weight.shape())?;
    let [_, inputs, outputs] = extents(x.shape(), "weight", weight.shape())?;
    if inputs == 0 {
        return Ok(Tensor::zeros(shape));
    }
    let mut y = Tensor::scratch(shape);
    let (images, level) = (per_chunk(weight), Level::current());
    parallel::for_each_chunk(y.data_mut(), images * outputs, |i, y| {
        distances(level, inputs, &x.data()[i * images * inputs..], weight.data(), outputs, y);
    });
    Ok(y)
}

/// Returns `dx` of shape `[n, in]`, and adds the gradient of the weight into `dweight [out, in]`, if there is one: fixed
/// codes have none.
///
/// # Errors
/// Those of [`output_shape`], `dy` is not of shape `[n, out]`, or `dweight` not of that of the weight; then nothing has
/// been added.
pub fn backward(
    x: &Tensor,
    weight: &Tensor,
    dy: &Tensor,
    dweight: Option<&mut Tensor>,
) -> Result<Tensor, OpError> {
    let [n, inputs, outputs] = extents(x.shape(), "weight", weight.shape())?;
    check::shape(OP, "dy", [n, outputs], dy)?;
    if let Some(dweight) = dweight {
        backward_parameters(x, weight, dy, dweight)?;
    }
    let mut dx = Tensor::scratch(x.shape());
    let (images, level) = (per_chunk(weight), Level::current());
    parallel::for_each_chunk(dx.data_mut(), images.saturating_mul(inputs), |i, dx| {
        let (x, dy) = (&x.data()[i * images * inputs..], &dy.data()[i * images * outputs..]);
        dx.fill(0.0);
        for (image, (x, dx)) in x.chunks_exact(inputs).zip(dx.chunks_exact_mut(inputs)).enumerate() {
            let dy = dy[image * outputs..][..outputs].iter();
            for (dy, code) in dy.zip(weight.data().chunks_exact(inputs)) {
                add_differences(level, 2.0 * dy, x, code, dx);
            }
        }
    });
    Ok(dx)
}

/// [`backward`] without `dx`, for the first layer of a network.
///
/// # Errors
/// Those of [`backward`].
pub fn backward_parameters(
    x: &Tensor,
    weight: &Tensor,
    dy: &Tensor,
    dweight: &mut Tensor,
) -> Result<(), OpError> {
    let [n, inputs, outputs] = extents(x.shape(), "weight", weight.shape())?;
    check::shape(OP, "dy", [n, outputs], dy)?;
    check::shape(OP, "dweight", weight.shape(), dweight)?;
    let (units, level) = (per_chunk(x), Level::current());
    parallel::for_each_chunk(dweight.data_mut(), units.saturating_mul(inputs), |i, dweight| {
        for (unit, dcode) in (i * units..).zip(dweight.chunks_exact_mut(inputs)) {
            let code = &weight.data()[unit * inputs..][..inputs];
            let dy = dy.data().iter().skip(unit).step_by(outputs);
            for (dy, x) in dy.zip(x.data().chunks_exact(inputs)) {
                // -2 dy (x - code)
                add_differences(level, 2.0 * dy, code, x, dcode);
            }
        }
    });
    Ok(())
}

/// `[n, in, out]`, if `x` and the weight fit together.
fn extents(x: Shape, what: &'static str, weight: Shape) -> Result<[usize; 3], OpError> {
    let [n, got] = check::matrix(OP, "x", "[n, in]", x)?;
    let [outputs, inputs] = check::matrix(OP, what, "[out, in]", weight)?;
    if got != inputs {
        return Err(OpError::Extent { op: OP, what: "x", unit: "input features", expected: inputs, got });
    }
    Ok([n, inputs, outputs])
}

/// The number of rows, each of which meets all of `other`, that make a piece of work.
fn per_chunk(other: &Tensor) -> usize {
    (WORTH_A_THREAD / other.data().len().max(1)).max(1)
}

kernel! {
    /// The squared distance of each image from each code, for as many images as `y` has rows.
    fn distances<S>(s, inputs: usize, x: &[f32], weight: &[f32], outputs: usize, y: &mut [f32]) {
        for (x, y) in x.chunks_exact(inputs).zip(y.chunks_exact_mut(outputs)) {
            for (code, y) in weight.chunks_exact(inputs).zip(y) {
                let mut sum = s.splat(0.0);
                for (x, code) in x.chunks(S::LANES).zip(code.chunks(S::LANES)) {
                    let difference = s.sub(s.load_partial(x), s.load_partial(code));
                    sum = s.mul_add(difference, difference, sum);
                }
                *y = s.sum(sum);
            }
        }
    }
}

kernel! {
    /// `sum += factor * (a - b)`.
    fn add_differences<S>(s, factor: f32, a: &[f32], b: &[f32], sum: &mut [f32]) {
        let factor = s.splat(factor);
        for ((a, b), sum) in a.chunks(S::LANES).zip(b.chunks(S::LANES)).zip(sum.chunks_mut(S::LANES)) {
            let difference = s.sub(s.load_partial(a), s.load_partial(b));
            s.store_partial(s.mul_add(factor, difference, s.load_partial(sum)), sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::*;
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle([n, inputs, outputs]: [usize; 3], x: &[f64], weight: &[f64]) -> Vec<f64> {
        let mut y = vec![];
        for (image, unit) in (0..n).flat_map(|image| (0..outputs).map(move |unit| (image, unit))) {
            let square = |j: usize| (x[image * inputs + j] - weight[unit * inputs + j]).powi(2);
            y.push((0..inputs).map(square).sum());
        }
        y
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(extents in [0..4usize, 0..20, 0..4], seed: u64) {
            let [n, inputs, outputs] = extents;
            let (x, weight) = (distinct([n, inputs], seed), distinct([outputs, inputs], seed ^ 1));
            let dy = distinct([n, outputs], seed ^ 2);
            let (x64, w64) = (to_f64(&x), to_f64(&weight));
            let y = oracle(extents, &x64, &w64);
            let dx = gradient_of(&x, &dy, |x| oracle(extents, x, &w64));
            let dw = gradient_of(&weight, &dy, |w| oracle(extents, &x64, w));
            everywhere(|| {
                assert_close(&forward(&x, &weight).unwrap(), &y);
                let mut dweight = Tensor::zeros(weight.shape());
                let got = backward(&x, &weight, &dy, Some(&mut dweight)).unwrap();
                assert_gradient_close("dx", &got, &dx);
                assert_gradient_close("dweight", &dweight, &dw);
                assert_eq!(backward(&x, &weight, &dy, None).unwrap(), got);
            });
        }

        /// Whole numbers are exact over larger shapes, and gradients of the weight are added.
        #[test]
        fn whole_numbers_are_exact(extents in [0..12usize, 0..50, 0..12], seed: u64) {
            let [n, inputs, outputs] = extents;
            let (x, weight) = (whole_numbers([n, inputs], 9, seed), whole_numbers([outputs, inputs], 9, seed ^ 1));
            let dy = whole_numbers([n, outputs], 9, seed ^ 2);
            let (mut dx, mut dw) = (vec![0.0; n * inputs], vec![1.0; outputs * inputs]);
            for (image, unit) in (0..n).flat_map(|image| (0..outputs).map(move |unit| (image, unit))) {
                for j in 0..inputs {
                    let (a, b) = (image * inputs + j, unit * inputs + j);
                    let d = 2.0 * f64::from(dy.data()[image * outputs + unit] * (x.data()[a] - weight.data()[b]));
                    dx[a] += d;
                    dw[b] -= 2.0 * d;
                }
            }
            let y = oracle(extents, &to_f64(&x), &to_f64(&weight));
            everywhere(|| {
                assert_exact("y", &forward(&x, &weight).unwrap(), &y);
                let mut dweight = Tensor::full(weight.shape(), 1.0);
                assert_exact("dx", &backward(&x, &weight, &dy, Some(&mut dweight)).unwrap(), &dx);
                backward_parameters(&x, &weight, &dy, &mut dweight).unwrap();
                assert_exact("dweight", &dweight, &dw);
            });
        }

        #[test]
        fn absurd_shapes_are_errors(x in any_shape(), weight in any_shape()) {
            let small = |shape: Shape| shape.numel() < 100_000;
            if let Ok(y) = output_shape(x, weight) && small(x) && small(weight) && small(y) {
                let (x, weight) = (Tensor::zeros(x), Tensor::zeros(weight));
                let y = forward(&x, &weight).unwrap();
                backward(&x, &weight, &y, Some(&mut Tensor::zeros(weight.shape()))).unwrap();
            }
        }
    }

    #[test]
    fn nan_and_infinity_stay_with_their_image() {
        let x = Tensor::from_vec([3, 2], vec![f32::NAN, 1.0, f32::INFINITY, 1.0, 2.0, 1.0]).unwrap();
        let weight = Tensor::full([1, 2], 1.0);
        everywhere(|| {
            let y = forward(&x, &weight).unwrap();
            assert!(y.data()[0].is_nan() && y.data()[1..] == [f32::INFINITY, 1.0]);
            let dx = backward(&x, &weight, &Tensor::full([3, 1], 1.0), None).unwrap();
            assert!(dx.data()[0].is_nan() && dx.data()[1..] == [0.0, f32::INFINITY, 0.0, 2.0, 0.0]);
        });
    }

    #[test]
    fn a_unit_of_no_inputs_gives_zero() {
        assert_eq!(forward(&Tensor::zeros([2, 0]), &Tensor::zeros([3, 0])).unwrap(), Tensor::zeros([2, 3]));
    }

    #[test]
    fn an_empty_batch_stays_empty() {
        let (x, weight, mut dweight) = (Tensor::zeros([0, 4]), distinct([3, 4], 0), Tensor::zeros([3, 4]));
        let y = forward(&x, &weight).unwrap();
        assert_eq!(y, Tensor::zeros([0, 3]));
        assert_eq!(backward(&x, &weight, &y, Some(&mut dweight)).unwrap(), x);
        assert_eq!(dweight, Tensor::zeros([3, 4]));
    }

    #[test]
    fn threads_change_nothing() {
        let (x, weight, dy) = (distinct([300, 84], 0), distinct([10, 84], 1), distinct([300, 10], 2));
        assert_same_bits_on_any_threads(|| {
            let mut dweight = Tensor::zeros([10, 84]);
            let dx = backward(&x, &weight, &dy, Some(&mut dweight)).unwrap();
            vec![forward(&x, &weight).unwrap(), dx, dweight]
        });
    }

    #[test]
    fn errors_say_what_is_expected() {
        let (x, weight) = (Tensor::zeros([2, 3]), Tensor::zeros([4, 3]));
        let message = |result: Result<Tensor, OpError>| result.unwrap_err().to_string();
        let vector = Tensor::zeros([3]);
        assert_eq!(message(forward(&vector, &weight)), "rbf: x expects [n, in], got shape [3]");
        assert_eq!(message(forward(&x, &vector)), "rbf: weight expects [out, in], got shape [3]");
        assert_eq!(message(forward(&x, &Tensor::zeros([4, 5]))), "rbf: x expects 5 input features, got 3");
        let dy = Tensor::zeros([2, 4]);
        assert_eq!(message(backward(&x, &weight, &x, None)), "rbf: dy expects shape [2, 4], got [2, 3]");
        assert_eq!(
            message(backward(&x, &weight, &dy, Some(&mut Tensor::zeros([3, 4])))),
            "rbf: dweight expects shape [4, 3], got [3, 4]"
        );
        let many = output_shape([1, 0].into(), [1 << 29, 0].into()).unwrap_err().to_string();
        assert!(many.starts_with("rbf: the output must be at most 2^28 elements for one image"), "{many}");
    }
}
