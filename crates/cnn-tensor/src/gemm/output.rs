//! The matrix that a product is written to, shared by threads that write different blocks of it.

use super::tile::VECTORS;
use super::{Block, MatMut, Onto, Update};
use crate::simd::{IMAGES, Simd};
use std::marker::PhantomData;
use std::ops::Range;

/// Columns of the widest tile of all levels.
const WIDEST: usize = VECTORS * IMAGES;

/// Element `(row, col)` lies `row * strides[0] + col / run * run_stride + col % run * strides[1]` after the first.
pub(super) struct Output<'a> {
    first: *mut f32,
    extents: [usize; 2],
    strides: [usize; 2],
    /// Columns to a run; of a transposed matrix all are one.
    run: usize,
    run_stride: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer is only a location; `Output::part` hands out what lies there.
unsafe impl Sync for Output<'_> {}
// SAFETY: as above.
unsafe impl Send for Output<'_> {}

impl<'a> Output<'a> {
    pub fn new(c: MatMut<'a>) -> Self {
        let MatMut { data, rows, cols, row_stride, run, run_stride } = c;
        let strides = [row_stride, 1];
        Self {
            first: data.as_mut_ptr(),
            extents: [rows, cols],
            strides,
            run,
            run_stride,
            borrow: PhantomData,
        }
    }

    /// The transpose of a matrix whose columns are one run.
    pub fn t(self) -> Self {
        let ([rows, cols], [row_stride, col_stride]) = (self.extents, self.strides);
        assert!(cols <= self.run, "the columns of one matrix");
        Self { extents: [cols, rows], strides: [col_stride, row_stride], run: rows.max(1), ..self }
    }

    pub fn extents(&self) -> [usize; 2] {
        self.extents
    }

    /// One block of the matrix, to write.
    ///
    /// # Safety
    /// While the part lives, nobody else has a part with the same elements.
    ///
    /// # Panics
    /// The block does not lie within the matrix.
    pub unsafe fn part<'b>(&'b self, block: &'b Block) -> Part<'b> {
        let inside = |range: &Range<usize>, extent| range.start <= range.end && range.end <= extent;
        assert!(inside(&block[0], self.extents[0]) && inside(&block[1], self.extents[1]), "a block of C");
        Part { c: self, block }
    }

    fn element(&self, [row, col]: [usize; 2]) -> *mut f32 {
        let in_row = col / self.run * self.run_stride + col % self.run * self.strides[1];
        self.first.wrapping_add(row * self.strides[0] + in_row)
    }
}

/// A block of an output.
pub(super) struct Part<'a> {
    c: &'a Output<'a>,
    block: &'a Block,
}

impl<'a> Part<'a> {
    /// Its rows and columns.
    pub fn block(&self) -> &'a Block {
        self.block
    }

    /// The element at `at`, counted in the whole matrix, and whether `width` columns from it on lie side by side in each row.
    ///
    /// # Panics
    /// `R` rows of them do not lie within the block.
    #[inline(always)]
    fn place<const R: usize>(&self, at: [usize; 2], width: usize) -> (*mut f32, bool) {
        let ([row, col], [rows, cols], c) = (at, self.block, self.c);
        assert!(rows.start <= row && row + R <= rows.end && cols.start <= col && col + width <= cols.end);
        (c.element(at), c.strides[1] == 1 && col % c.run + width <= c.run)
    }

    /// Asks for what [`write`](Self::write) will need.
    ///
    /// # Panics
    /// As there.
    #[inline(always)]
    pub fn prefetch<const R: usize>(&self, at: [usize; 2], width: usize) {
        let (first, side_by_side) = self.place::<R>(at, width);
        if side_by_side {
            for i in 0..R {
                let first = first.wrapping_add(i * self.c.strides[0]);
                // SAFETY: as there.
                crate::prefetch(unsafe { std::slice::from_raw_parts(first, width) });
            }
        }
    }

    /// Updates `R` rows and `width` columns from `at` on, counted in the whole matrix.
    ///
    /// # Panics
    /// The tile does not lie within the block.
    #[inline(always)]
    pub fn write<S: Simd, const R: usize, const V: usize>(
        &mut self,
        s: S,
        at: [usize; 2],
        width: usize,
        tile: &[[S::V; V]; R],
        update: Update<'_>,
    ) {
        let ([row, col], c) = (at, self.c);
        let (first, side_by_side) = self.place::<R>(at, width);
        if side_by_side {
            for (i, sums) in tile.iter().enumerate() {
                let first = first.wrapping_add(i * c.strides[0]);
                // SAFETY: the tile lies within the block, which lies within the matrix. `MatMut` holds the elements of all
                // its rows and columns, those of a run side by side, and is borrowed for as long as the output lives. The
                // block is ours alone.
                let c = unsafe { std::slice::from_raw_parts_mut(first, width) };
                add_row(s, c, sums, update, row + i);
            }
            return;
        }
        // Columns lie apart, or in several runs: rows are collected, updated and put back.
        let mut places = [first; WIDEST];
        let (mut run, mut in_run) = (col / c.run, col % c.run);
        for place in &mut places[..width] {
            *place = c.first.wrapping_add(run * c.run_stride + in_run * c.strides[1] + row * c.strides[0]);
            in_run += 1;
            if in_run == c.run {
                (run, in_run) = (run + 1, 0);
            }
        }
        let places = &places[..width];
        let read = !matches!(update.onto, Onto::Rows(_) | Onto::Scaled(0.0));
        for (i, sums) in tile.iter().enumerate() {
            let mut numbers = [0.0; WIDEST];
            let numbers = &mut numbers[..width];
            if read {
                for (number, place) in numbers.iter_mut().zip(places) {
                    // SAFETY: as above, for one element.
                    *number = unsafe { *place.wrapping_add(i * c.strides[0]) };
                }
            }
            add_row(s, numbers, sums, update, row + i);
            for (number, place) in numbers.iter().zip(places) {
                // SAFETY: as above, for one element.
                unsafe { *place.wrapping_add(i * c.strides[0]) = *number };
            }
        }
    }
}

/// One row of [`Part::write`].
#[inline(always)]
fn add_row<S: Simd, const V: usize>(s: S, c: &mut [f32], sums: &[S::V; V], update: Update<'_>, row: usize) {
    let alpha = s.splat(update.alpha);
    let scaled = |sum: S::V| if update.alpha == 1.0 { sum } else { s.mul(alpha, sum) };
    for (c, &sum) in c.chunks_mut(S::LANES).zip(sums) {
        let old = |c: &[f32]| if c.len() == S::LANES { s.load(c) } else { s.load_partial(c) };
        let new = match update.onto {
            Onto::Rows(rows) => s.mul_add(alpha, sum, s.splat(rows[row])),
            Onto::Scaled(0.0) => scaled(sum),
            // The most frequent: units that add are not those that multiply and add.
            Onto::Scaled(1.0) if update.alpha == 1.0 => s.add(sum, old(c)),
            Onto::Scaled(beta) => s.mul_add(alpha, sum, s.mul(s.splat(beta), old(c))),
        };
        if c.len() == S::LANES { s.store(new, c) } else { s.store_partial(new, c) }
    }
}
