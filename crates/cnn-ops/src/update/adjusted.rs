//! Gradients before a rule uses them: a penalty on the weights, and clipping.

use super::step::{Step, sign};
use cnn_tensor::simd::Simd;

/// How a gradient changes before a rule uses it: `clamp(factor * (gradient + l2 * value + l1 * sign(value)), -bound, bound)`,
/// with `sign(0) = 0`. NaN stays NaN.
///
/// The penalty is that of [`Penalty`](crate::Penalty). A `factor` for all parameters reduces the norm of their gradients
/// (Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks", algorithm 1).
///
/// ```
/// use cnn_ops::update::{Adjustment, Sgd, UpdateRule};
/// let rule = Sgd { rate: 1.0, momentum: 0.0, add: 1.0, nesterov: false, weight_decay: 0.0 };
/// let (clip, mut value) = (Adjustment { bound: 0.5, ..Adjustment::NONE }, [1.0, 2.0]);
/// rule.update(Some(clip), &mut value, &[100.0, -0.25], []);
/// assert_eq!(value, [0.5, 2.25]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adjustment {
    /// The factor of the penalty on magnitudes; 0 for none.
    pub l1: f32,
    /// The factor of the penalty on half the squares; 0 for none.
    pub l2: f32,
    /// The factor that reduces the norm; 1 changes no bit.
    pub factor: f32,
    /// The largest magnitude; infinity changes no bit.
    pub bound: f32,
}

impl Adjustment {
    /// No penalty, no clipping.
    pub const NONE: Self = Self { l1: 0.0, l2: 0.0, factor: 1.0, bound: f32::INFINITY };
}

/// A step on adjusted gradients.
#[derive(Clone, Copy)]
pub(super) struct Adjusted<T> {
    pub step: T,
    pub adjustment: Adjustment,
}

impl<T: Step<N>, const N: usize> Step<N> for Adjusted<T> {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, memory: [S::V; N]) -> (S::V, [S::V; N]) {
        let Adjustment { l1, l2, factor, bound } = self.adjustment;
        let g = s.mul_add(s.splat(l2), value, gradient);
        let g = s.mul_add(s.splat(l1), sign(s, value), g);
        let g = s.mul(s.splat(factor), g);
        let g = s.min(s.splat(bound), s.max(s.splat(-bound), g));
        self.step.apply(s, value, g, memory)
    }
}
