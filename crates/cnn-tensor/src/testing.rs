//! Helpers for tests against oracles (feature `testing`): reproducible inputs, closeness, and gradients by finite differences
//! in f64.
//!
//! To test an operation of your own, make an input, run the operation, compare the result with a definition in f64, and let
//! [`assert_gradient`] compare the backward pass with finite differences of that definition.
//!
//! ```
//! use cnn_tensor::testing::{assert_close, assert_gradient, distinct};
//! use cnn_tensor::Tensor;
//! let oracle = |x: &[f64]| x.iter().map(|v| v * v).collect::<Vec<_>>();
//! let (x, dy) = (distinct([2, 3], 1), distinct([2, 3], 2));
//! let square = |x: &Tensor| x.data().iter().map(|v| v * v).collect();
//! assert_close(&Tensor::from_vec([2, 3], square(&x))?, &oracle(&cnn_tensor::testing::to_f64(&x)));
//! let dx = x.data().iter().zip(dy.data()).map(|(x, dy)| 2.0 * x * dy).collect();
//! assert_gradient("dx", &x, &Tensor::from_vec([2, 3], dx)?, &dy, oracle);
//! # Ok::<(), cnn_tensor::TensorError>(())
//! ```

mod allocations;

pub use allocations::CountingAllocator;

use crate::{Random, Shape, Tensor};

/// The relative error allowed for a forward pass in f32.
pub const FORWARD_TOLERANCE: f64 = 1e-5;
/// The relative error allowed for a gradient in f32.
pub const GRADIENT_TOLERANCE: f64 = 1e-4;
/// The step of the finite differences, small compared with the spacing of [`distinct`] numbers.
const STEP: f64 = 1e-5;

/// Evenly spaced numbers between -1 and 1, in random order. No two of them, and none and 0, are within a difference step of each
/// other: so finite differences never change which element is the largest, and never cross a kink at 0.
pub fn distinct(shape: impl Into<Shape>, seed: u64) -> Tensor {
    distinct_of(shape.into(), seed)
}

// Compiled here, since a caller may be compiled without optimisation.
fn distinct_of(shape: Shape, seed: u64) -> Tensor {
    let n = shape.numel();
    let mut values: Vec<f32> = (0..n).map(|i| (i as f32 + 0.25) / n as f32 * 2.0 - 1.0).collect();
    Random::new(seed, &["distinct"]).shuffle(&mut values);
    Tensor::from_vec(shape, values).expect("as many as the shape holds")
}

/// The elements in f64, for an oracle.
pub fn to_f64(x: &Tensor) -> Vec<f64> {
    x.data().iter().map(|&v| f64::from(v)).collect()
}

/// The error function in f64: `2 / sqrt(pi) e^-x^2` times the sum over `n` of `2^n x^(2n + 1) / (1 * 3 * ... * (2n + 1))`. All
/// terms have the same sign, so nothing cancels.
///
/// Source: M. Abramowitz and I. Stegun, "Handbook of Mathematical Functions" (1964), 7.1.6.
///
/// ```
/// let half = cnn_tensor::testing::erf(0.476_936_276_204_469_9);
/// assert!((half - 0.5).abs() < 1e-15);
/// ```
pub fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut sum, mut term, mut n) = (x, x, 0.0);
    while (term / sum).abs() > 1e-17 {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// Asserts that `got` equals the `want` of an oracle within [`FORWARD_TOLERANCE`], relative to |want| if that exceeds 1.
///
/// # Panics
/// An element differs by more. The message names it.
#[track_caller]
pub fn assert_close(got: &Tensor, want: &[f64]) {
    assert_eq!(got.data().len(), want.len(), "number of elements of {}", got.shape());
    for (i, (&got_i, &want_i)) in got.data().iter().zip(want).enumerate() {
        let error = (f64::from(got_i) - want_i).abs();
        assert!(
            error <= FORWARD_TOLERANCE * want_i.abs().max(1.0),
            "element {i} of {}: got {got_i}, want {want_i}",
            got.shape()
        );
    }
}

/// Asserts that `dx` is the gradient of `sum(dy * oracle(x))` with respect to `x`, by central differences in f64,
/// within [`GRADIENT_TOLERANCE`], relative to the gradient's size if that exceeds 1.
///
/// To compare several gradients with the same differences, compute these once by [`gradient_of`].
///
/// # Panics
/// An element differs by more. The message names the gradient, the element and both values.
#[track_caller]
pub fn assert_gradient(
    name: &str,
    x: &Tensor,
    dx: &Tensor,
    dy: &Tensor,
    oracle: impl Fn(&[f64]) -> Vec<f64>,
) {
    assert_eq!(dx.shape(), x.shape(), "shape of {name}");
    assert_gradient_close(name, dx, &gradient_of(x, dy, oracle));
}

/// The gradient of `sum(dy * oracle(x))` with respect to `x`, by central differences in f64.
///
/// # Panics
/// The output of the oracle has another number of elements than `dy`.
#[track_caller]
pub fn gradient_of(x: &Tensor, dy: &Tensor, oracle: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let dy = to_f64(dy);
    let loss = |x: &[f64]| {
        let y = oracle(x);
        assert_eq!(y.len(), dy.len(), "the oracle's output and dy have the same number of elements");
        y.iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>()
    };
    let mut at = to_f64(x);
    let difference = |i: usize| {
        let middle = at[i];
        at[i] = middle + STEP;
        let above = loss(&at);
        at[i] = middle - STEP;
        let below = loss(&at);
        at[i] = middle;
        (above - below) / (2.0 * STEP)
    };
    (0..x.data().len()).map(difference).collect()
}

/// Asserts that the gradient `dx` equals the `want` of [`gradient_of`] within [`GRADIENT_TOLERANCE`], relative to |want| if that
/// exceeds 1.
///
/// # Panics
/// An element differs by more. The message names the gradient, the element and both values.
#[track_caller]
pub fn assert_gradient_close(name: &str, dx: &Tensor, want: &[f64]) {
    assert_eq!(dx.data().len(), want.len(), "number of elements of {name} {}", dx.shape());
    for (i, (&got, &want)) in dx.data().iter().zip(want).enumerate() {
        assert!(
            (f64::from(got) - want).abs() <= GRADIENT_TOLERANCE * want.abs().max(1.0),
            "{name}[{i}] of {}: got {got}, finite differences give {want}",
            dx.shape()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_numbers_are_apart_from_each_other_and_from_zero() {
        for n in [1, 2, 3, 4, 9, 100, 1000] {
            let x = distinct([n], n as u64);
            let mut v = x.data().to_vec();
            v.push(0.0);
            v.sort_by(f32::total_cmp);
            assert!(v.windows(2).all(|w| f64::from(w[1] - w[0]) > 10.0 * STEP), "{n}");
        }
    }

    #[test]
    #[should_panic(expected = "dx[0] of [1]: got 1, finite differences give 2")]
    fn a_wrong_gradient_is_named() {
        let x = Tensor::full([1], 1.0);
        assert_gradient("dx", &x, &x, &x, |x| vec![x[0] * x[0]]);
    }
}
