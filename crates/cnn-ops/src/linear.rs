//! The linear (fully connected, dense) map.
//!
//! `y[n, o] = bias[o] + sum over i of x[n, i] * weight[o, i]`, that is `Y = X W^T + b`, with the weight in PyTorch's
//! layout `[out, in]`. Gradients: `dX = dY W`, `dW = dY^T X`, and `db` the sum of the rows of `dY`.
//!
//! No product transposes its weight in memory, and only the gradients of a large weight, which are GEMMs, copy it.
//!
//! ```
//! use cnn_ops::linear;
//! use cnn_tensor::Tensor;
//! let x = Tensor::from_vec([1, 3], vec![1.0, 2.0, 3.0])?;
//! let weight = Tensor::from_vec([2, 3], vec![1.0, 0.0, 0.0, 0.0, 1.0, 1.0])?;
//! let bias = Tensor::from_vec([2], vec![10.0, 20.0])?;
//! let y = linear::forward(&x, &weight, Some(&bias))?;
//! assert_eq!(y.data(), [11.0, 25.0]);
//!
//! let (mut dweight, mut dbias) = (Tensor::zeros([2, 3]), Tensor::zeros([2]));
//! let dy = Tensor::from_vec([1, 2], vec![1.0, -1.0])?;
//! let dx = linear::backward(&x, &weight, &dy, &mut dweight, Some(&mut dbias))?;
//! assert_eq!(dx.data(), [1.0, -1.0, -1.0]);
//! assert_eq!(dweight.data(), [1.0, 2.0, 3.0, -1.0, -2.0, -3.0]);
//! assert_eq!(dbias.data(), [1.0, -1.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod unpacked;

use crate::OpError;
use crate::shared::check;
use cnn_tensor::{MatMut, MatRef, Shape, Tensor, gemm, vector};

const OP: &str = "linear";

/// `x` of shape `[n, in]` and `weight` of shape `[out, in]` to `[n, out]`.
///
/// # Errors
/// One of them is not of rank 2, or they disagree on the number of input features.
pub fn output_shape(x: Shape, weight: Shape) -> Result<Shape, OpError> {
    let [n, _, outputs] = extents(x, "weight", weight)?;
    check::output(OP, [n, outputs])
}

/// `y` of shape `[n, out]` from `x [n, in]`, `weight [out, in]` and, if there is one, `bias [out]`.
///
/// # Errors
/// Those of [`output_shape`], or `bias` is not of shape `[out]`.
pub fn forward(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, OpError> {
    let mut y = Tensor::scratch(output_shape(x.shape(), weight.shape())?);
    let [_, inputs, outputs] = extents(x.shape(), "weight", weight.shape())?;
    if let Some(bias) = bias {
        check::shape(OP, "bias", [outputs], bias)?;
    }
    unpacked::forward(x.data(), inputs, weight.data(), bias.map(Tensor::data), y.data_mut(), outputs);
    Ok(y)
}

/// How the gradients are computed.
#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Unpacked,
    Gemm,
}

impl Algorithm {
    /// The algorithm that is faster at this shape, by measurement.
    fn fastest([_, inputs, outputs]: [usize; 3]) -> Self {
        if unpacked::suits_gradients(inputs, outputs) { Self::Unpacked } else { Self::Gemm }
    }
}

/// Returns `dx` of shape `[n, in]`, and adds the gradients of weight and bias into `dweight [out, in]` and
/// `dbias [out]`.
///
/// # Errors
/// Those of [`output_shape`], or a gradient does not have the shape of its parameter; then nothing
/// has been added.
pub fn backward(
    x: &Tensor,
    weight: &Tensor,
    dy: &Tensor,
    dweight: &mut Tensor,
    dbias: Option<&mut Tensor>,
) -> Result<Tensor, OpError> {
    let extents = extents(x.shape(), "weight", weight.shape())?;
    backward_by(Algorithm::fastest(extents), x, weight, dy, dweight, dbias)
}

fn backward_by(
    algorithm: Algorithm,
    x: &Tensor,
    weight: &Tensor,
    dy: &Tensor,
    dweight: &mut Tensor,
    dbias: Option<&mut Tensor>,
) -> Result<Tensor, OpError> {
    let [n, inputs, outputs] = extents(x.shape(), "weight", weight.shape())?;
    check::shape(OP, "dweight", weight.shape(), dweight)?;
    backward_parameters_by(algorithm, x, dy, dweight, dbias)?;
    let mut dx = Tensor::scratch(x.shape());
    match algorithm {
        Algorithm::Unpacked => {
            unpacked::backward_input(dy.data(), outputs, weight.data(), dx.data_mut(), inputs);
        }
        // (n, out) x (out, in)
        Algorithm::Gemm => gemm(
            1.0,
            MatRef::new(dy.data(), n, outputs),
            MatRef::new(weight.data(), outputs, inputs),
            0.0,
            MatMut::new(dx.data_mut(), n, inputs),
        ),
    }
    Ok(dx)
}

/// [`backward`] without `dx`, for the first layer of a network.
///
/// # Errors
/// Those of [`backward`].
pub fn backward_parameters(
    x: &Tensor,
    dy: &Tensor,
    dweight: &mut Tensor,
    dbias: Option<&mut Tensor>,
) -> Result<(), OpError> {
    let extents = extents(x.shape(), "dweight", dweight.shape())?;
    backward_parameters_by(Algorithm::fastest(extents), x, dy, dweight, dbias)
}

fn backward_parameters_by(
    algorithm: Algorithm,
    x: &Tensor,
    dy: &Tensor,
    dweight: &mut Tensor,
    dbias: Option<&mut Tensor>,
) -> Result<(), OpError> {
    let [n, inputs, outputs] = extents(x.shape(), "dweight", dweight.shape())?;
    check::shape(OP, "dy", [n, outputs], dy)?;
    if let Some(dbias) = dbias {
        check::shape(OP, "dbias", [outputs], dbias)?;
        let dbias = dbias.data_mut();
        dy.data().chunks_exact(outputs.max(1)).for_each(|row| vector::axpy(1.0, row, dbias));
    }
    match algorithm {
        Algorithm::Unpacked => {
            unpacked::backward_weight(x.data(), inputs, dy.data(), outputs, dweight.data_mut());
        }
        // (out, n) x (n, in)
        Algorithm::Gemm => gemm(
            1.0,
            MatRef::new(dy.data(), n, outputs).t(),
            MatRef::new(x.data(), n, inputs),
            1.0,
            MatMut::new(dweight.data_mut(), outputs, inputs),
        ),
    }
    Ok(())
}

/// `[n, in, out]`, if `x` and the weight (or its gradient, as `what` says) fit together.
fn extents(x: Shape, what: &'static str, weight: Shape) -> Result<[usize; 3], OpError> {
    let [n, got] = check::matrix(OP, "x", "[n, in]", x)?;
    let [outputs, inputs] = check::matrix(OP, what, "[out, in]", weight)?;
    if got != inputs {
        return Err(OpError::Extent { op: OP, what: "x", unit: "input features", expected: inputs, got });
    }
    Ok([n, inputs, outputs])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::{
        any_shape, assert_exact, assert_same_bits_on_any_threads, at_every_level, everywhere, whole_numbers,
    };
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle([n, inputs, outputs]: [usize; 3], x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
        let mut y = vec![];
        for image in 0..n {
            for o in 0..outputs {
                let products = (0..inputs).map(|i| x[image * inputs + i] * weight[o * inputs + i]);
                y.push(bias[o] + products.sum::<f64>());
            }
        }
        y
    }

    const ALGORITHMS: [Algorithm; 2] = [Algorithm::Unpacked, Algorithm::Gemm];

    /// `dx`, `dweight` and `dbias`.
    fn gradients(algorithm: Algorithm, x: &Tensor, weight: &Tensor, dy: &Tensor) -> [Tensor; 3] {
        let (mut dweight, mut dbias) =
            (Tensor::zeros(weight.shape()), Tensor::zeros([weight.shape().batch()]));
        let dx = backward_by(algorithm, x, weight, dy, &mut dweight, Some(&mut dbias)).unwrap();
        [dx, dweight, dbias]
    }

    proptest! {
        #[test]
        fn matches_the_definition(n in 0..6usize, inputs in 0..9usize, outputs in 0..9usize, seed: u64) {
            let x = distinct([n, inputs], seed);
            let weight = distinct([outputs, inputs], seed ^ 1);
            let bias = distinct([outputs], seed ^ 2);
            let dy = distinct([n, outputs], seed ^ 3);
            let y_of = |x: &[f64], w: &[f64], b: &[f64]| oracle([n, inputs, outputs], x, w, b);
            let (x64, w64, b64) = (to_f64(&x), to_f64(&weight), to_f64(&bias));
            let (y, without_bias) = (y_of(&x64, &w64, &b64), y_of(&x64, &w64, &vec![0.0; outputs]));
            let want_dx = gradient_of(&x, &dy, |x| y_of(x, &w64, &b64));
            let want_dweight = gradient_of(&weight, &dy, |w| y_of(&x64, w, &b64));
            let want_dbias = gradient_of(&bias, &dy, |b| y_of(&x64, &w64, b));
            everywhere(|| {
                assert_close(&forward(&x, &weight, Some(&bias)).unwrap(), &y);
                assert_close(&forward(&x, &weight, None).unwrap(), &without_bias);
                for algorithm in ALGORITHMS {
                    let [dx, dweight, dbias] = gradients(algorithm, &x, &weight, &dy);
                    assert_gradient_close("dx", &dx, &want_dx);
                    assert_gradient_close("dweight", &dweight, &want_dweight);
                    assert_gradient_close("dbias", &dbias, &want_dbias);
                }
            });
        }

        /// Batches of several blocks, and every register tile and rest.
        #[test]
        fn whole_numbers_are_exact(n in 1..40usize, inputs in 1..40usize, outputs in 1..40usize, seed: u64) {
            let x = whole_numbers([n, inputs], 9, seed);
            let weight = whole_numbers([outputs, inputs], 9, seed ^ 1);
            let bias = whole_numbers([outputs], 9, seed ^ 2);
            let dy = whole_numbers([n, outputs], 9, seed ^ 3);
            let [x64, w64, b64, dy64] = [&x, &weight, &bias, &dy].map(to_f64);
            let y = oracle([n, inputs, outputs], &x64, &w64, &b64);
            // The gradients are linear maps themselves, with other operands.
            let zeros = vec![0.0; inputs];
            let want_dx = oracle([n, outputs, inputs], &dy64, &transposed([outputs, inputs], &w64), &zeros);
            let (dy_t, x_t) = (transposed([n, outputs], &dy64), transposed([n, inputs], &x64));
            let want_dweight = oracle([outputs, n, inputs], &dy_t, &x_t, &zeros);
            everywhere(|| {
                assert_exact("y", &forward(&x, &weight, Some(&bias)).unwrap(), &y);
                for algorithm in ALGORITHMS {
                    let [dx, dweight, dbias] = gradients(algorithm, &x, &weight, &dy);
                    assert_exact("dx", &dx, &want_dx);
                    assert_exact("dweight", &dweight, &want_dweight);
                    let column = |o: usize| dy64[o..].iter().step_by(outputs).sum();
                    assert_exact("dbias", &dbias, &(0..outputs).map(column).collect::<Vec<f64>>());
                }
            });
        }

        /// No shapes, however absurd, make the shape rule panic or take memory.
        #[test]
        fn absurd_shapes_are_errors(x in any_shape(), weight in any_shape()) {
            let Ok(y) = output_shape(x, weight) else { return Ok(()) };
            if x.numel().max(weight.numel()).max(y.numel()) < 10_000 {
                let (x, weight, mut dweight) = (Tensor::zeros(x), Tensor::zeros(weight), Tensor::zeros(weight));
                prop_assert_eq!(forward(&x, &weight, None).unwrap().shape(), y);
                backward(&x, &weight, &Tensor::zeros(y), &mut dweight, None).unwrap();
            }
        }
    }

    fn transposed([rows, cols]: [usize; 2], v: &[f64]) -> Vec<f64> {
        (0..rows * cols).map(|i| v[i % rows * cols + i / rows]).collect()
    }

    #[test]
    fn gradients_of_parameters_are_added() {
        let (x, weight) = (distinct([3, 4], 0), distinct([2, 4], 1));
        let dy = distinct([3, 2], 2);
        let (mut dweight, mut dbias) = (Tensor::zeros([2, 4]), Tensor::zeros([2]));
        backward(&x, &weight, &dy, &mut dweight, Some(&mut dbias)).unwrap();
        let twice = |once: &Tensor| to_f64(once).iter().map(|v| 2.0 * v).collect::<Vec<_>>();
        let (want_dweight, want_dbias) = (twice(&dweight), twice(&dbias));
        backward_parameters(&x, &dy, &mut dweight, Some(&mut dbias)).unwrap();
        assert_close(&dweight, &want_dweight);
        assert_close(&dbias, &want_dbias);
    }

    /// The map is linear, so `<W x, dy> = <x, W^T dy> = <W, dW>`: a check for sizes where differences are too slow,
    /// on either side of the size from which the gradients are GEMMs.
    #[test]
    fn forward_and_backward_are_adjoint() {
        let inner = |a: &Tensor, b: &Tensor| to_f64(a).iter().zip(to_f64(b)).map(|(a, b)| a * b).sum::<f64>();
        for [n, inputs, outputs] in [[64, 400, 120], [20, 1024, 300]] {
            let (x, weight) = (distinct([n, inputs], 0), distinct([outputs, inputs], 1));
            let dy = distinct([n, outputs], 2);
            let mut dweight = Tensor::zeros(weight.shape());
            let want = inner(&forward(&x, &weight, None).unwrap(), &dy);
            let dx = backward(&x, &weight, &dy, &mut dweight, None).unwrap();
            assert!((inner(&x, &dx) - want).abs() < 1e-5 * want.abs().max(1.0));
            assert!((inner(&weight, &dweight) - want).abs() < 1e-5 * want.abs().max(1.0));
        }
    }

    /// Shapes whose products are cut by images and by rows.
    #[test]
    fn threads_change_nothing() {
        for [n, inputs, outputs] in [[128, 400, 120], [17, 800, 300], [1, 800, 300], [3, 400, 120]] {
            let (x, weight) = (distinct([n, inputs], 0), distinct([outputs, inputs], 1));
            let dy = distinct([n, outputs], 2);
            at_every_level(|| {
                assert_same_bits_on_any_threads(|| {
                    let y = forward(&x, &weight, None).unwrap();
                    let by_algorithm = ALGORITHMS.map(|algorithm| gradients(algorithm, &x, &weight, &dy));
                    by_algorithm.into_iter().flatten().chain([y]).collect()
                });
            });
        }
    }

    #[test]
    fn nan_and_infinity_are_values_and_stay_with_their_image() {
        let x = Tensor::from_vec([3, 2], vec![f32::NAN, 1.0, f32::INFINITY, 1.0, 2.0, 1.0]).unwrap();
        let weight = Tensor::from_vec([1, 2], vec![2.0, 1.0]).unwrap();
        at_every_level(|| {
            let y = forward(&x, &weight, None).unwrap();
            assert!(y.data()[0].is_nan() && y.data()[1..] == [f32::INFINITY, 5.0]);
            let infinite = Tensor::from_vec([1, 2], vec![f32::INFINITY, 0.0]).unwrap();
            let y = forward(&Tensor::full([3, 2], 1.0), &infinite, None).unwrap();
            assert_eq!(y.data(), [f32::INFINITY; 3]);
            for algorithm in ALGORITHMS {
                let dy = Tensor::from_vec([3, 1], vec![f32::NAN, 1.0, 0.0]).unwrap();
                let [dx, dweight, _] = gradients(algorithm, &x, &weight, &dy);
                assert!(dx.data()[..2].iter().all(|v| v.is_nan()) && dx.data()[2..] == [2.0, 1.0, 0.0, 0.0]);
                assert!(dweight.data().iter().all(|v| v.is_nan()), "NaN is summed over the batch");
            }
        });
    }

    #[test]
    fn errors_say_what_is_expected() {
        let (x, weight) = (Tensor::zeros([2, 3]), Tensor::zeros([4, 3]));
        let message = |result: Result<Tensor, OpError>| result.unwrap_err().to_string();
        let image = Tensor::zeros([2, 1, 3, 1]);
        assert_eq!(
            message(forward(&image, &weight, None)),
            "linear: x expects [n, in], got shape [2, 1, 3, 1]"
        );
        assert_eq!(
            message(forward(&x, &image, None)),
            "linear: weight expects [out, in], got shape [2, 1, 3, 1]"
        );
        let narrow = Tensor::zeros([2, 5]);
        assert_eq!(message(forward(&narrow, &weight, None)), "linear: x expects 3 input features, got 5");
        let bias = Tensor::zeros([3]);
        assert_eq!(message(forward(&x, &weight, Some(&bias))), "linear: bias expects shape [4], got [3]");
    }

    #[test]
    fn a_backward_pass_that_fails_adds_nothing() {
        let (x, weight, dy) = (distinct([2, 3], 0), distinct([4, 3], 1), distinct([2, 4], 2));
        let (mut dweight, mut dbias) = (Tensor::zeros([4, 3]), Tensor::zeros([4]));
        let message = |result: Result<Tensor, OpError>| result.unwrap_err().to_string();
        assert_eq!(
            message(backward(&x, &weight, &x, &mut dweight, Some(&mut dbias))),
            "linear: dy expects shape [2, 4], got [2, 3]"
        );
        let mut other = Tensor::zeros([3, 4]);
        assert_eq!(
            message(backward(&x, &weight, &dy, &mut other, Some(&mut dbias))),
            "linear: dweight expects shape [4, 3], got [3, 4]"
        );
        assert_eq!(
            message(backward(&x, &weight, &dy, &mut dweight, Some(&mut other))),
            "linear: dbias expects shape [4], got [3, 4]"
        );
        assert_eq!((dweight, dbias), (Tensor::zeros([4, 3]), Tensor::zeros([4])));
    }
}
