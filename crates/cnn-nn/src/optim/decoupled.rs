//! Decoupled weight decay.

use super::method::Step;
use cnn_tensor::simd::Simd;

/// A step that first shrinks the value: the weight decay of AdamW and Lion, which scales with the learning rate but
/// is not part of the gradient.
#[derive(Clone, Copy)]
pub(super) struct Decoupled<T> {
    step: T,
    /// The share of the value that is subtracted: the learning rate times the weight decay.
    shrink: f32,
}

impl<T> Decoupled<T> {
    pub(super) fn new(step: T, rate: f32, weight_decay: f64) -> Self {
        Self { step, shrink: (f64::from(rate) * weight_decay) as f32 }
    }
}

impl<T: Step<N>, const N: usize> Step<N> for Decoupled<T> {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, memory: [S::V; N]) -> (S::V, [S::V; N]) {
        // Not `(1 - shrink) * value`: next to 1, a float has few digits left for the share.
        let value = s.mul_add(s.splat(-self.shrink), value, value);
        self.step.apply(s, value, gradient, memory)
    }
}
