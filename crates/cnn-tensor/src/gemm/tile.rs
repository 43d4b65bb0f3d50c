//! The tile of `C` that stays in registers.

use super::Update;
use super::output::Part;
use super::pack::TERMS;
use crate::simd::Simd;

/// Vectors in a row of the widest tile.
pub(crate) const VECTORS: usize = 3;

/// Rows of the tallest tile: with 32 registers 24 hold sums, with 16 it is 12.
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

/// The heights of the strips that `rows` rows are cut into: as many of the tallest as there are, then each half as tall
/// or less, so that no row is computed in vain.
#[inline(always)]
pub(super) fn heights(rows: usize, tallest: usize) -> impl Iterator<Item = usize> {
    let mut left = rows;
    std::iter::from_fn(move || {
        let height = if left >= tallest { tallest } else { left.checked_ilog2().map_or(0, |log| 1 << log) };
        left -= height;
        (height > 0).then_some(height)
    })
}

/// `left * right` for one block of `C`: `left` has the block's rows, and `right` its columns,
/// packed, with `terms` terms each.
#[inline(always)]
pub(super) fn multiply<S: Simd>(
    s: S,
    left: &[f32],
    right: &[f32],
    terms: usize,
    update: Update<'_>,
    c: &mut Part<'_>,
) {
    let [rows_of_block, cols] = c.block();
    let length = terms.next_multiple_of(TERMS);
    let mut row = 0;
    for height in heights(rows_of_block.len(), tallest::<S>()) {
        let strip = &left[row * length..][..height * length];
        let mut col = 0;
        while col < cols.len() {
            let width = (cols.len() - col).min(VECTORS * S::LANES);
            let panel = &right[col * terms..][..width.next_multiple_of(S::LANES) * terms];
            let at = [rows_of_block.start + row, cols.start + col];
            match height {
                8 if S::REGISTERS >= 32 => strip_tile::<S, 8>(s, strip, panel, update, c, at, width),
                4 => strip_tile::<S, 4>(s, strip, panel, update, c, at, width),
                2 => strip_tile::<S, 2>(s, strip, panel, update, c, at, width),
                _ => strip_tile::<S, 1>(s, strip, panel, update, c, at, width),
            }
            col += width;
        }
        row += height;
    }
}

/// The tile of `R` rows and `width` columns.
#[inline(always)]
fn strip_tile<S: Simd, const R: usize>(
    s: S,
    strip: &[f32],
    panel: &[f32],
    update: Update<'_>,
    c: &mut Part<'_>,
    at: [usize; 2],
    width: usize,
) {
    match width.div_ceil(S::LANES) {
        1 => c.write(s, at, width, &tile::<S, R, 1>(s, strip, panel), update),
        2 => c.write(s, at, width, &tile::<S, R, 2>(s, strip, panel), update),
        _ => c.write(s, at, width, &tile::<S, R, 3>(s, strip, panel), update),
    }
}

/// The product of a strip of `R` rows and a panel of `V` vectors of columns.
#[inline(always)]
fn tile<S: Simd, const R: usize, const V: usize>(s: S, strip: &[f32], panel: &[f32]) -> [[S::V; V]; R] {
    let mut sums = [[s.splat(0.0); V]; R];
    let (groups, width) = (strip.as_chunks::<TERMS>().0.as_chunks::<R>().0, V * S::LANES);
    for (rows, panel) in groups.iter().zip(panel.chunks(TERMS * width)) {
        for (term, b) in (0..TERMS).zip(panel.chunks_exact(width)) {
            let mut vectors = [s.splat(0.0); V];
            for (v, vector) in vectors.iter_mut().enumerate() {
                *vector = s.load(&b[v * S::LANES..]);
            }
            for (sums, row) in sums.iter_mut().zip(rows) {
                let a = s.splat(row[term]);
                for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                    *sum = s.mul_add(a, vector, *sum);
                }
            }
        }
    }
    sums
}
