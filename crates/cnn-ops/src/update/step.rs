//! The interface of a rule's arithmetic on vectors, and what several rules share.

use cnn_tensor::simd::Simd;

/// The arithmetic of one step.
pub(super) trait Step<const N: usize>: Copy {
    /// The new value and memory of a vector of numbers; must be `#[inline(always)]`.
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, memory: [S::V; N]) -> (S::V, [S::V; N]);
}

/// The sign: 1, -1, or `x` itself where it is 0 or NaN.
#[inline(always)]
pub(super) fn sign<S: Simd>(s: S, x: S::V) -> S::V {
    let zero = s.splat(0.0);
    s.select_gt(x, zero, s.splat(1.0), s.select_gt(zero, x, s.splat(-1.0), x))
}

/// The value without a share of it: decoupled weight decay (Loshchilov and Hutter 2019, "Decoupled weight decay
/// regularization", algorithm 2).
#[inline(always)]
pub(super) fn shrunk<S: Simd>(s: S, share: f32, value: S::V) -> S::V {
    // Not `(1 - share) * value`: next to 1, a float has few digits left for the share.
    s.mul_add(s.splat(-share), value, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_tensor::simd::Scalar;

    #[test]
    fn zero_has_no_sign_and_nan_stays_nan() {
        let [zero, minus, nan, plus] = sign(Scalar, [0.0, -2.0, f32::NAN, f32::MIN_POSITIVE]);
        assert_eq!([zero, minus, plus], [0.0, -1.0, 1.0]);
        assert!(nan.is_nan());
    }
}
