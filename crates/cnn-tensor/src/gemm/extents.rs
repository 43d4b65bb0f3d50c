//! The extents of tiles, and of the strips and panels that factors are packed in.

use crate::simd::Simd;

/// Neighbouring terms of a row of the packed left factor.
pub(crate) const TERMS: usize = 16;

/// Vectors in a row of the widest tile.
pub(crate) const VECTORS: usize = 3;

/// Rows of the tallest tile. Its sums take 24 of 32 registers, or 12 of 16.
#[inline(always)]
pub(crate) const fn tallest<S: Simd>() -> usize {
    if S::REGISTERS >= 32 { 8 } else { 4 }
}

crate::kernel! {
    /// Rows of the tallest tile, and columns of the widest.
    pub(super) fn tile_extents<S>(_s) -> [usize; 2] {
        [tallest::<S>(), VECTORS * S::LANES]
    }
}

/// The heights of the strips that `rows` rows are cut into: as many of the tallest as fit, then smaller powers of two, so that
/// no row is computed in vain.
#[inline(always)]
pub(super) fn heights(rows: usize, tallest: usize) -> impl Iterator<Item = usize> {
    let mut left = rows;
    std::iter::from_fn(move || {
        let height = if left >= tallest { tallest } else { left.checked_ilog2().map_or(0, |log| 1 << log) };
        left -= height;
        (height > 0).then_some(height)
    })
}

/// First row and height of each strip of `rows` rows.
#[inline(always)]
pub(crate) fn strips(rows: usize, tallest: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    heights(rows, tallest).map(move |height| {
        first += height;
        (first - height, height)
    })
}
