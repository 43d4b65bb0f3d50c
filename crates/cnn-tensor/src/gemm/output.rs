//! The matrix that a product is written to, shared by threads that write different blocks of it.

use super::tile::VECTORS;
use super::{Block, MatMut, Onto, Update};
use crate::simd::{IMAGES, Simd};
use std::marker::PhantomData;
use std::ops::Range;

/// Columns of the widest tile of all levels.
const WIDEST: usize = VECTORS * IMAGES;

/// Where the rows or the columns of a matrix lie: `run` of them `stride` elements apart, and the first of the next run
/// `run_stride` elements after the first of this one.
#[derive(Clone, Copy)]
struct Axis {
    extent: usize,
    stride: usize,
    /// At least 1.
    run: usize,
    run_stride: usize,
}

impl Axis {
    /// The run of row or column `i`, and its place in that run.
    #[inline(always)]
    fn split(self, i: usize) -> (usize, usize) {
        // Most matrices are one run: that needs no division.
        if self.extent <= self.run { (0, i) } else { (i / self.run, i % self.run) }
    }

    /// Elements from the first row or column to number `i`.
    #[inline(always)]
    fn offset(self, i: usize) -> usize {
        let (run, in_run) = self.split(i);
        run * self.run_stride + in_run * self.stride
    }

    /// Whether `count` rows or columns from number `i` on lie in one run.
    #[inline(always)]
    fn is_one_run(self, i: usize, count: usize) -> bool {
        self.split(i).1 + count <= self.run
    }

    /// The offsets of the rows or columns from number `i` on.
    #[inline(always)]
    fn offsets(self, i: usize, offsets: &mut [usize]) {
        let (mut run, mut in_run) = self.split(i);
        for offset in offsets {
            *offset = run * self.run_stride + in_run * self.stride;
            in_run += 1;
            if in_run == self.run {
                (run, in_run) = (run + 1, 0);
            }
        }
    }
}

/// Element `(row, col)` lies the offset of the row plus the offset of the column after the first.
pub(super) struct Output<'a> {
    first: *mut f32,
    rows: Axis,
    cols: Axis,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer is only a location; `Output::part` hands out what lies there.
unsafe impl Sync for Output<'_> {}
// SAFETY: as above.
unsafe impl Send for Output<'_> {}

impl<'a> Output<'a> {
    pub fn new(c: MatMut<'a>) -> Self {
        let MatMut { data, rows, cols, row_stride, run, run_stride } = c;
        Self {
            first: data.as_mut_ptr(),
            rows: Axis { extent: rows, stride: row_stride, run: rows.max(1), run_stride: 0 },
            cols: Axis { extent: cols, stride: 1, run, run_stride },
            borrow: PhantomData,
        }
    }

    /// The transpose.
    pub fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, ..self }
    }

    pub fn extents(&self) -> [usize; 2] {
        [self.rows.extent, self.cols.extent]
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
        assert!(inside(&block[0], self.rows.extent) && inside(&block[1], self.cols.extent), "a block of C");
        Part { c: self, block }
    }

    fn element(&self, [row, col]: [usize; 2]) -> *mut f32 {
        self.first.wrapping_add(self.rows.offset(row) + self.cols.offset(col))
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

    /// The element at `at`, counted in the whole matrix, and whether it begins a plain tile: `R` rows at one distance from
    /// each other, each with `width` neighbouring elements.
    ///
    /// # Panics
    /// `R` rows of them do not lie within the block.
    #[inline(always)]
    fn place<const R: usize>(&self, at: [usize; 2], width: usize) -> (*mut f32, bool) {
        let ([row, col], [rows, cols], c) = (at, self.block, self.c);
        assert!(rows.start <= row && row + R <= rows.end && cols.start <= col && col + width <= cols.end);
        let plain = c.cols.stride == 1 && c.cols.is_one_run(col, width) && c.rows.is_one_run(row, R);
        (c.element(at), plain)
    }

    /// Asks for what [`write`](Self::write) will need.
    ///
    /// # Panics
    /// As there.
    #[inline(always)]
    pub fn prefetch<const R: usize>(&self, at: [usize; 2], width: usize) {
        let (first, plain) = self.place::<R>(at, width);
        if plain {
            for i in 0..R {
                let first = first.wrapping_add(i * self.c.rows.stride);
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
        let (first, plain) = self.place::<R>(at, width);
        if plain {
            for (i, sums) in tile.iter().enumerate() {
                let first = first.wrapping_add(i * c.rows.stride);
                // SAFETY: the tile lies within the block, which lies within the matrix. `MatMut` holds the elements of all
                // its rows and columns, those of a run side by side, and is borrowed for as long as the output lives. The
                // block is ours alone.
                let c = unsafe { std::slice::from_raw_parts_mut(first, width) };
                add_row(s, c, sums, update, row + i);
            }
            return;
        }
        // Elements lie apart, or in several runs: rows are collected, updated and put back.
        let (mut row_offsets, mut col_offsets) = ([0; R], [0; WIDEST]);
        let col_offsets = &mut col_offsets[..width];
        c.rows.offsets(row, &mut row_offsets);
        c.cols.offsets(col, col_offsets);
        let read = !matches!(update.onto, Onto::Rows(_) | Onto::Scaled(0.0));
        for ((i, sums), row_offset) in tile.iter().enumerate().zip(row_offsets) {
            let first = c.first.wrapping_add(row_offset);
            let mut numbers = [0.0; WIDEST];
            let numbers = &mut numbers[..width];
            if read {
                for (number, &offset) in numbers.iter_mut().zip(&*col_offsets) {
                    // SAFETY: as above, for one element.
                    *number = unsafe { *first.wrapping_add(offset) };
                }
            }
            add_row(s, numbers, sums, update, row + i);
            for (number, &offset) in numbers.iter().zip(&*col_offsets) {
                // SAFETY: as above, for one element.
                unsafe { *first.wrapping_add(offset) = *number };
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
