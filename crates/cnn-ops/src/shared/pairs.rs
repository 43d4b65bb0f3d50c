//! Rows as pairs of columns, in vectors that may run over the end of a row.

use cnn_tensor::simd::Simd;

/// The first two vectors of `x`, and zeros where it ends before.
#[inline(always)]
pub(crate) fn load_what_is_there<S: Simd>(s: S, x: &[f32]) -> [S::V; 2] {
    let (first, second) = x.split_at(x.len().min(S::LANES));
    [s.load_partial(first), s.load_partial(&second[..second.len().min(S::LANES)])]
}

/// Writes `v` to the start of `y`; at its end, as much as fits.
#[inline(always)]
pub(crate) fn store_what_fits<S: Simd>(s: S, v: S::V, y: &mut [f32]) {
    if y.len() >= S::LANES { s.store(v, y) } else { s.store_partial(v, y) }
}

/// Writes the lanes of `even` and `odd` in turns to the start of `x`; at its end, as much as fits.
#[inline(always)]
pub(crate) fn store_pairs<S: Simd>(s: S, even: S::V, odd: S::V, x: &mut [f32]) {
    let (first, second) = s.zip(even, odd);
    if x.len() >= 2 * S::LANES {
        s.store(first, x);
        s.store(second, &mut x[S::LANES..]);
    } else {
        let (before, after) = x.split_at_mut(x.len().min(S::LANES));
        s.store_partial(first, before);
        s.store_partial(second, after);
    }
}
