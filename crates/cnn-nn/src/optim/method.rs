//! What a method is to those that apply it: its memory and its arithmetic on a vector of numbers.

use cnn_tensor::simd::Simd;

/// A method that remembers `N` numbers for every number it trains.
pub(super) trait Method<const N: usize>: Copy + Send + Sync + 'static {
    /// What the numbers remembered are called in a saved state.
    const MEMORY: [&'static str; N];

    /// What they are before the first step.
    fn start(&self) -> [f32; N] {
        [0.0; N]
    }

    /// The same with another weight decay.
    fn with_weight_decay(self, weight_decay: f64) -> Self;

    /// Step number `t`, from 1, at learning rate `rate`.
    fn step(self, t: u64, rate: f32) -> impl Step<N>;
}

/// One step's arithmetic, with its coefficients worked out.
pub(super) trait Step<const N: usize>: Copy + Send + Sync + 'static {
    /// The new value and memory of a vector of numbers; must be `#[inline(always)]`.
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, memory: [S::V; N]) -> (S::V, [S::V; N]);
}

/// 1, -1, or `x` itself where that is 0 or NaN.
#[inline(always)]
pub(super) fn sign<S: Simd>(s: S, x: S::V) -> S::V {
    let zero = s.splat(0.0);
    s.select_gt(x, zero, s.splat(1.0), s.select_gt(zero, x, s.splat(-1.0), x))
}
