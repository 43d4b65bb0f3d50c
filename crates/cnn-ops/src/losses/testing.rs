//! Helpers for the tests of all losses.

use super::Saved;
use crate::OpError;
use crate::shared::testing::{assert_same_bits_on_any_threads, everywhere};
use cnn_tensor::Tensor;
use cnn_tensor::testing::{assert_gradient_close, gradient_of, to_f64};

/// Compares a loss everywhere with its definition, which gives the sum.
pub(super) fn compare(
    x: &Tensor,
    scale: f32,
    forward: impl Fn(&Tensor) -> Result<(f64, Saved), OpError> + Sync,
    oracle: impl Fn(&[f64]) -> f64,
) {
    let want = oracle(&to_f64(x));
    let gradient = gradient_of(x, &Tensor::full([1], scale), |x| vec![oracle(x)]);
    everywhere(|| {
        let (loss, saved) = forward(x).unwrap();
        assert!((loss - want).abs() <= 1e-10 * want.abs().max(1.0), "{loss} instead of {want}");
        let dx = saved.backward(scale);
        assert_eq!(dx.shape(), x.shape());
        assert_gradient_close("dx", &dx, &gradient);
    });
}

/// Asserts that loss and gradient are the same bits on any number of threads.
pub(super) fn assert_threads_change_nothing(forward: impl Fn() -> (f64, Saved) + Sync) {
    assert_same_bits_on_any_threads(|| {
        let (loss, saved) = forward();
        let bits = loss.to_bits();
        let halves = [bits as u32, (bits >> 32) as u32].map(f32::from_bits);
        vec![Tensor::from_slice([2], &halves).unwrap(), saved.backward(1.0)]
    });
}

/// Tensors of one number, and the loss and derivative that `loss` makes of them.
pub(super) fn at(
    loss: impl Fn(&Tensor, &Tensor) -> Result<(f64, Tensor), OpError>,
    x: f32,
    target: f32,
) -> (f64, f32) {
    let (loss, dx) = loss(&Tensor::full([1], x), &Tensor::full([1], target)).unwrap();
    (loss, dx.data()[0])
}
