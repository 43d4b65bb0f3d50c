//! Vectors of a slice, and the rest that fills none.

use cnn_tensor::simd::Simd;

/// A vector from `at` on; the rest of `x` unless it is `WHOLE`.
#[inline(always)]
pub(crate) fn load<S: Simd, const WHOLE: bool>(s: S, x: &[f32], at: usize) -> S::V {
    if WHOLE { s.load(&x[at..]) } else { s.load_partial(&x[at..]) }
}

/// The inverse of [`load`].
#[inline(always)]
pub(crate) fn store<S: Simd, const WHOLE: bool>(s: S, v: S::V, x: &mut [f32], at: usize) {
    if WHOLE { s.store(v, &mut x[at..]) } else { s.store_partial(v, &mut x[at..]) }
}
