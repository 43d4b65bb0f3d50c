//! The interface of a method: its state and its arithmetic on a vector of numbers.

use cnn_tensor::simd::Simd;

/// A method with a state of `N` numbers for every trained number.
pub(super) trait Method<const N: usize>: Copy + Send + Sync + 'static {
    /// The names of these numbers in a saved state.
    const MEMORY: [&'static str; N];

    /// Their values before the first step.
    fn start(&self) -> [f32; N] {
        [0.0; N]
    }

    /// The same method with another weight decay.
    fn with_weight_decay(self, weight_decay: f64) -> Self;

    /// The arithmetic of step number `t`, from 1, at learning rate `rate`.
    fn step(self, t: u64, rate: f32) -> impl Step<N>;
}

/// The arithmetic of one step, with its coefficients computed.
pub(super) trait Step<const N: usize>: Copy + Send + Sync + 'static {
    /// The new value and state of a vector of numbers; must be `#[inline(always)]`.
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, memory: [S::V; N]) -> (S::V, [S::V; N]);
}

/// The sign: 1, -1, or `x` itself where it is 0 or NaN.
#[inline(always)]
pub(super) fn sign<S: Simd>(s: S, x: S::V) -> S::V {
    let zero = s.splat(0.0);
    s.select_gt(x, zero, s.splat(1.0), s.select_gt(zero, x, s.splat(-1.0), x))
}
