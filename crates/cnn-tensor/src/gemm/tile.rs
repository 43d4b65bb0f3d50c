//! The tile of `C` that stays in registers.

use super::extents::{TERMS, VECTORS, heights, tallest};
use super::output::Part;
use super::update::Update;
use crate::simd::Simd;

/// A left factor, in a layout that tiles can read.
pub(super) trait Left: Copy {
    /// The product of the `R` rows from `row` on and a panel of `V` vectors of columns, summed over `terms` terms.
    fn tile<S: Simd, const R: usize, const V: usize>(
        self,
        s: S,
        row: usize,
        terms: usize,
        panel: &[f32],
    ) -> [[S::V; V]; R];
}

/// Packed by `pack_left`, each row padded to whole [`TERMS`].
#[derive(Clone, Copy)]
pub(super) struct Packed<'a>(pub &'a [f32]);

impl Left for Packed<'_> {
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(
        self,
        s: S,
        row: usize,
        terms: usize,
        panel: &[f32],
    ) -> [[S::V; V]; R] {
        let length = terms.next_multiple_of(TERMS);
        let strip = &self.0[row * length..][..R * length];
        let mut sums = [[s.splat(0.0); V]; R];
        let (groups, width) = (strip.as_chunks::<TERMS>().0.as_chunks::<R>().0, V * S::LANES);
        for (rows, panel) in groups.iter().zip(panel.chunks(TERMS * width)) {
            for (term, b) in (0..TERMS).zip(panel.chunks_exact(width)) {
                add_term(s, |r| rows[r][term], b, &mut sums);
            }
        }
        sums
    }
}

/// Not packed: term after term, each with the given number of rows.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a>(pub &'a [f32], pub usize);

impl Left for Columns<'_> {
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(
        self,
        s: S,
        row: usize,
        terms: usize,
        panel: &[f32],
    ) -> [[S::V; V]; R] {
        let mut sums = [[s.splat(0.0); V]; R];
        let columns = self.0.chunks_exact(self.1).take(terms);
        for (column, b) in columns.zip(panel.chunks_exact(V * S::LANES)) {
            let column: &[f32; R] = column[row..].first_chunk().expect("the rows of a strip");
            add_term(s, |r| column[r], b, &mut sums);
        }
        sums
    }
}

/// Adds one term to the sums: `R` numbers times `V` vectors.
#[inline(always)]
fn add_term<S: Simd, const R: usize, const V: usize>(
    s: S,
    a: impl Fn(usize) -> f32,
    b: &[f32],
    sums: &mut [[S::V; V]; R],
) {
    let mut vectors = [s.splat(0.0); V];
    for (v, vector) in vectors.iter_mut().enumerate() {
        *vector = s.load(&b[v * S::LANES..]);
    }
    for (r, sums) in sums.iter_mut().enumerate() {
        let a = s.splat(a(r));
        for (sum, &vector) in sums.iter_mut().zip(&vectors) {
            *sum = s.mul_add(a, vector, *sum);
        }
    }
}

/// `left * right` for one part of `C`. `left` holds the rows of the part, and `right` its columns, packed, with `terms` terms
/// each.
#[inline(always)]
pub(super) fn multiply<S: Simd>(
    s: S,
    left: impl Left,
    right: &[f32],
    terms: usize,
    update: Update<'_>,
    c: &mut Part<'_>,
) {
    let (rows, cols) = (c.rows(), c.cols());
    let mut row = 0;
    for height in heights(rows.len(), tallest::<S>()) {
        let mut col = 0;
        while col < cols.len() {
            let width = (cols.len() - col).min(VECTORS * S::LANES);
            let panel = &right[col * terms..][..width.next_multiple_of(S::LANES) * terms];
            let strip = Strip { left, row, terms, panel, update };
            let at = [rows.start + row, cols.start + col];
            match height {
                8 if S::REGISTERS >= 32 => strip.tile::<S, 8>(s, c, at, width),
                4 => strip.tile::<S, 4>(s, c, at, width),
                2 => strip.tile::<S, 2>(s, c, at, width),
                _ => strip.tile::<S, 1>(s, c, at, width),
            }
            col += width;
        }
        row += height;
    }
}

/// Rows of the left factor from `row` on, and a panel of the right factor.
struct Strip<'a, L> {
    left: L,
    row: usize,
    terms: usize,
    panel: &'a [f32],
    update: Update<'a>,
}

impl<L: Left> Strip<'_, L> {
    /// The tile of `R` rows and `width` columns.
    #[inline(always)]
    fn tile<S: Simd, const R: usize>(self, s: S, c: &mut Part<'_>, at: [usize; 2], width: usize) {
        let Self { left, row, terms, panel, update } = self;
        c.prefetch::<R>(at, width);
        match width.div_ceil(S::LANES) {
            1 => c.write(s, at, width, &left.tile::<S, R, 1>(s, row, terms, panel), update),
            2 => c.write(s, at, width, &left.tile::<S, R, 2>(s, row, terms, panel), update),
            _ => c.write(s, at, width, &left.tile::<S, R, 3>(s, row, terms, panel), update),
        }
    }
}
