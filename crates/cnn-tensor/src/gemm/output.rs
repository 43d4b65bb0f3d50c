//! The matrix that a product is written to, and its disjoint parts, which threads write at the same time.
//!
//! Safe code cannot have two parts with the same elements: [`Output::into_part`] gives up the matrix, and
//! [`Output::for_each_part`] borrows it while it hands out each cell of a grid once.

use super::extents::VECTORS;
use super::matrix::MatMut;
use super::update::{Onto, Update};
use crate::parallel;
use crate::simd::{IMAGES, Simd};
use std::marker::PhantomData;
use std::ops::Range;

/// Columns of the widest tile of all levels.
const WIDEST: usize = VECTORS * IMAGES;

/// Where the rows or the columns of a matrix lie. They form runs of `run` rows or columns, `stride` elements apart. Each run
/// begins `run_stride` elements after the one before.
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

/// Where the elements of a matrix lie: element `(row, col)` the offset of the row plus that of the column after the first.
#[derive(Clone, Copy)]
struct Place {
    first: *mut f32,
    rows: Axis,
    cols: Axis,
}

// SAFETY: a place is only a location. The elements there are accessed by `Part` alone, which has no copies.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Place {}

impl Place {
    /// A pointer to an element of the matrix; the address computation itself needs no element there.
    #[inline(always)]
    fn element(&self, [row, col]: [usize; 2]) -> *mut f32 {
        self.first.wrapping_add(self.rows.offset(row) + self.cols.offset(col))
    }
}

/// A matrix to write, mutably borrowed.
pub(super) struct Output<'a> {
    place: Place,
    borrow: PhantomData<&'a mut [f32]>,
}

impl<'a> Output<'a> {
    pub fn new(c: MatMut<'a>) -> Self {
        let MatMut { data, rows, cols, row_stride, run, run_stride } = c;
        let place = Place {
            first: data.as_mut_ptr(),
            rows: Axis { extent: rows, stride: row_stride, run: rows.max(1), run_stride: 0 },
            cols: Axis { extent: cols, stride: 1, run, run_stride },
        };
        Self { place, borrow: PhantomData }
    }

    /// The transpose.
    pub fn t(self) -> Self {
        let Place { first, rows, cols } = self.place;
        Self { place: Place { first, rows: cols, cols: rows }, ..self }
    }

    pub fn extents(&self) -> [usize; 2] {
        [self.place.rows.extent, self.place.cols.extent]
    }

    /// All of the matrix, as one part.
    pub fn into_part(self) -> Part<'a> {
        let [rows, cols] = self.extents();
        Part { place: self.place, rows: 0..rows, cols: 0..cols, borrow: PhantomData }
    }

    /// Cuts the matrix into a grid of cells of `step` rows and columns (fewer in the last) and calls `f` once with each cell,
    /// on all threads and in any order. Cells with the same rows follow one another.
    ///
    /// # Panics
    /// A step is 0.
    pub fn for_each_part(&mut self, step: [usize; 2], f: impl Fn(&mut Part<'_>) + Sync + Send) {
        let (extents, place) = (self.extents(), self.place);
        let [rows, cols] = [0, 1].map(|i| extents[i].div_ceil(step[i]));
        let range = |i: usize, at: usize| at * step[i]..extents[i].min((at + 1) * step[i]);
        parallel::for_each_index(rows * cols, |i| {
            // SAFETY of the part: the cells of a grid are disjoint, each index is one cell, and `for_each_index` calls each
            // index once. The matrix stays mutably borrowed by `self` meanwhile, and `f` cannot keep a part, as its lifetime
            // is any.
            let (rows, cols) = (range(0, i / cols), range(1, i % cols));
            f(&mut Part { place, rows, cols, borrow: PhantomData });
        });
    }
}

/// Some rows and columns of an output: the only access to their elements while it lives. This is ensured by the functions of
/// [`Output`] that make parts.
pub(super) struct Part<'a> {
    place: Place,
    rows: Range<usize>,
    cols: Range<usize>,
    borrow: PhantomData<&'a mut [f32]>,
}

impl Part<'_> {
    /// Its rows, counted in the whole matrix.
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// Its columns, counted in the whole matrix.
    pub fn cols(&self) -> Range<usize> {
        self.cols.clone()
    }

    /// The element at `at`, counted in the whole matrix, and whether it begins a plain tile: `R` rows at one distance from
    /// each other, each with `width` neighbouring elements.
    ///
    /// # Panics
    /// The tile of `R` rows and `width` columns does not lie within the part.
    #[inline(always)]
    fn tile<const R: usize>(&self, at: [usize; 2], width: usize) -> (*mut f32, bool) {
        let ([row, col], Self { place, rows, cols, .. }) = (at, self);
        assert!(rows.start <= row && row + R <= rows.end && cols.start <= col && col + width <= cols.end);
        let plain =
            place.cols.stride == 1 && place.cols.is_one_run(col, width) && place.rows.is_one_run(row, R);
        (place.element(at), plain)
    }

    /// Prefetches the elements that [`write`](Self::write) will read or write.
    ///
    /// # Panics
    /// The tile does not lie within the part.
    #[inline(always)]
    pub fn prefetch<const R: usize>(&self, at: [usize; 2], width: usize) {
        let (first, plain) = self.tile::<R>(at, width);
        if plain {
            for i in 0..R {
                let first = first.wrapping_add(i * self.place.rows.stride);
                // SAFETY: as in `write`; while `self` is borrowed, nothing writes these elements.
                crate::prefetch(unsafe { std::slice::from_raw_parts(first, width) });
            }
        }
    }

    /// Updates `R` rows and `width` columns from `at` on, counted in the whole matrix.
    ///
    /// # Panics
    /// The tile does not lie within the part.
    #[inline(always)]
    pub fn write<S: Simd, const R: usize, const V: usize>(
        &mut self,
        s: S,
        at: [usize; 2],
        width: usize,
        tile: &[[S::V; V]; R],
        update: Update<'_>,
    ) {
        let ([row, col], place) = (at, self.place);
        let (first, plain) = self.tile::<R>(at, width);
        if plain {
            for (i, sums) in tile.iter().enumerate() {
                let first = first.wrapping_add(i * place.rows.stride);
                // SAFETY: `tile` has checked that the elements are this part's, so they lie within the matrix. `MatMut` holds
                // the elements of all its rows and columns, those of a run side by side if their stride is 1, and stays
                // mutably borrowed while the part lives. No other part has these elements, and `self` is borrowed mutably.
                let c = unsafe { std::slice::from_raw_parts_mut(first, width) };
                add_row(s, c, sums, update, row + i);
            }
            return;
        }
        // Elements lie apart, or in several runs. Each row is copied to a buffer, updated there and copied back.
        let (mut row_offsets, mut col_offsets) = ([0; R], [0; WIDEST]);
        let col_offsets = &mut col_offsets[..width];
        place.rows.offsets(row, &mut row_offsets);
        place.cols.offsets(col, col_offsets);
        let read = !matches!(update.onto, Onto::Rows(_) | Onto::Scaled(0.0));
        for ((i, sums), row_offset) in tile.iter().enumerate().zip(row_offsets) {
            let first = place.first.wrapping_add(row_offset);
            let mut numbers = [0.0; WIDEST];
            let numbers = &mut numbers[..width];
            if read {
                for (number, &offset) in numbers.iter_mut().zip(&*col_offsets) {
                    // SAFETY: as above, for one element: its offset is that of a row and a column of the tile.
                    *number = unsafe { *first.wrapping_add(offset) };
                }
            }
            add_row(s, numbers, sums, update, row + i);
            for (number, &offset) in numbers.iter().zip(&*col_offsets) {
                // SAFETY: as for reading it.
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
            // The most frequent case, where an addition suffices.
            Onto::Scaled(1.0) if update.alpha == 1.0 => s.add(sum, old(c)),
            Onto::Scaled(beta) => s.mul_add(alpha, sum, s.mul(s.splat(beta), old(c))),
        };
        if c.len() == S::LANES { s.store(new, c) } else { s.store_partial(new, c) }
    }
}
