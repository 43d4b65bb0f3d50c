//! General matrix multiplication, `C = alpha * A * B + beta * C`, and products of factors whose rows are computed as they are
//! read.
//!
//! The algorithm is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008). A tile of `C`
//! stays in registers during the sum over `k`. Both factors are first packed: copied into the order in which tiles read them.
//! The left factor is packed once and shared by all threads. The right factor is packed block by block, by the thread that
//! uses the block, so that it lies in the second-level cache of its core.
//!
//! ```text
//!                        48 columns (3 vectors)
//!                        +-----------------+
//!                    k   |   panel of B    |   second-level cache
//!                        +-----------------+
//!        +-----------+   +-----------------+
//! 8 rows | strip of A|   |   tile of C     |   24 registers
//!        +-----------+   +-----------------+
//!    first-level cache
//! ```
//!
//! `C` is cut into blocks by its shape and the number of threads. Each element is summed in one order: runs of at most
//! [`LONGEST_RUN`] terms are each summed from 0, and the sums of the runs are added in order. So the result depends neither on
//! the number of threads nor on the blocks.

mod extents;
mod matrix;
mod output;
mod pack;
mod tile;
mod update;

pub use matrix::{Factor, MatMut, MatRef, Rows};
pub use update::Onto;

use crate::simd::{Level, Simd};
use crate::{Buffer, parallel};
use extents::tile_extents;
pub(crate) use extents::{TERMS, VECTORS, strips, tallest};
use output::{Output, Part};
use pack::{pack_left, pack_right};
use std::ops::Range;
use tile::{Columns, Packed, multiply};
use update::Update;

/// The most terms that are summed in registers. A panel and a strip of this length fit the caches as drawn above.
const LONGEST_RUN: usize = unless_tested(384, 32);

/// The most numbers of the left factor that are packed at a time: 16 MiB for matrices of any size.
const LEFT: usize = unless_tested(1 << 22, 1 << 11);

/// The most numbers of the right factor that a thread packs at a time: 512 KiB, half of a second-level cache of 1 MiB.
const RIGHT: usize = unless_tested(1 << 17, 1 << 12);

/// Multiply-adds below which a block of `C` is not worth a thread.
const WORTH_A_THREAD: usize = unless_tested(1 << 20, 1 << 10);

/// Fewest rows of a block of `C`: each band of rows packs the right factor again, which pays from this height on.
const FEWEST_ROWS: usize = unless_tested(256, 3);

/// Numbers of the left factor below which packing is not worth a thread.
const WORTH_PACKING: usize = unless_tested(1 << 15, 1 << 6);

/// In the tests of this crate, small products are cut as large ones are elsewhere.
const fn unless_tested(value: usize, in_tests: usize) -> usize {
    if cfg!(test) { in_tests } else { value }
}

/// Blocks of `C` for each thread of a large product, enough to keep the threads about evenly busy.
const BLOCKS: usize = 4;

/// `c = alpha * a * b + beta * c`, on all threads if the product is large enough. With `beta = 0` the old `c` is not read.
///
/// ```
/// use cnn_tensor::{MatMut, MatRef, gemm};
/// let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // 2 x 3
/// let mut c = [0.0; 4];
/// gemm(1.0, MatRef::new(&a, 2, 3), MatRef::new(&a, 2, 3).t(), 0.0, MatMut::new(&mut c, 2, 2));
/// assert_eq!(c, [14.0, 32.0, 32.0, 77.0]);
/// ```
///
/// # Panics
/// The extents do not match: `a` is m x k, `b` is k x n and `c` is m x n.
pub fn gemm(alpha: f32, a: MatRef<'_>, b: MatRef<'_>, beta: f32, c: MatMut<'_>) {
    let (a, b, update) = (Factor::from(&a), Factor::from(&b), Update { alpha, onto: Onto::Scaled(beta) });
    // A vector of C lies along a row. If rows are shorter than a vector and columns are longer, the transpose is faster.
    if c.cols < c.rows && c.cols < 16 {
        return run(update, b.t(), a.t(), Output::new(c).t());
    }
    run(update, a, b, Output::new(c));
}

/// `c = a * b + onto`, as [`gemm`], for factors whose rows are computed as they are read.
///
/// ```
/// use cnn_tensor::{Factor, MatMut, MatRef, Onto, product};
/// let (a, b) = ([1.0, 2.0], [3.0, 4.0]);
/// let (column, row) = (MatRef::new(&a, 2, 1), MatRef::new(&b, 1, 2));
/// let mut c = [0.0; 4];
/// let onto = Onto::Rows(&[10.0, 20.0]);
/// product(Factor::from(&column), Factor::from(&row), onto, MatMut::new(&mut c, 2, 2));
/// assert_eq!(c, [13.0, 14.0, 26.0, 28.0]);
/// ```
///
/// # Panics
/// The extents do not match.
pub fn product(a: Factor<'_>, b: Factor<'_>, onto: Onto<'_>, c: MatMut<'_>) {
    run(Update { alpha: 1.0, onto }, a, b, Output::new(c));
}

fn run(update: Update<'_>, a: Factor<'_>, b: Factor<'_>, mut c: Output<'_>) {
    let ([m, k], [b_rows, n]) = (a.extents(), b.extents());
    let [c_rows, c_cols] = c.extents();
    assert_eq!((m, k, n), (c_rows, b_rows, c_cols), "gemm: a is m x k, b is k x n, c is m x n");
    if let Onto::Rows(rows) = update.onto {
        assert_eq!(rows.len(), m, "gemm: a number for each row");
    }
    if m == 0 || n == 0 {
        return;
    }
    let level = Level::current();
    let cut = Cut::new(level, [m, k, n]);
    let mut packed = Buffer::scratch(m * cut.terms.min(k.next_multiple_of(TERMS)));
    let mut start = 0;
    while start == 0 || start < k {
        let terms = start..k.min(start + cut.terms);
        for (i, packed) in
            packed.as_mut_slice()[..m * padded(terms.len())].chunks_mut(m * cut.run).enumerate()
        {
            let run = run_of(&terms, i, cut.run);
            let length = padded(run.len());
            parallel::for_each_chunk(packed, cut.rows_to_pack(length) * length, |i, packed| {
                let first = i * cut.rows_to_pack(length);
                pack_left(level, &a, run.clone(), first..first + packed.len() / length, packed);
            });
        }
        let update = if start == 0 { update } else { update.further() };
        let left = packed.as_slice();
        c.for_each_part(cut.step, |part| block(level, &cut, left, &b, &terms, update, part));
        start = terms.end.max(1);
    }
}

/// The length of a packed row of so many terms.
fn padded(terms: usize) -> usize {
    terms.next_multiple_of(TERMS)
}

/// The `i`-th run of at most `run` of the `terms`.
fn run_of(terms: &Range<usize>, i: usize, run: usize) -> Range<usize> {
    let start = terms.start + i * run;
    start..terms.end.min(start + run)
}

/// The cut of a product, which depends on its shape, the instruction set and the number of threads.
struct Cut {
    extents: [usize; 2],
    /// Terms of a run, a multiple of [`TERMS`].
    run: usize,
    /// Terms for which the left factor is packed at a time: whole runs.
    terms: usize,
    /// Rows and columns of a block of `C`.
    step: [usize; 2],
    /// Rows of the tallest tile.
    tallest: usize,
}

impl Cut {
    fn new(level: Level, [m, k, n]: [usize; 3]) -> Self {
        let run = padded(k.div_ceil(k.div_ceil(LONGEST_RUN).max(1)).max(1));
        let terms = run * (LEFT / (m * run)).clamp(1, k.div_ceil(run).max(1));
        let [tallest, panel] = tile_extents(level);
        let wanted = match parallel::threads() {
            1 => 1,
            threads => (m.saturating_mul(n).saturating_mul(k) / WORTH_A_THREAD).clamp(1, BLOCKS * threads),
        };
        // Each cut through the rows packs the right factor again; each cut through the columns reads the left factor again.
        let bands = (m / FEWEST_ROWS).clamp(1, wanted.div_ceil(2));
        let rows = m.div_ceil(bands).next_multiple_of(tallest);
        let widest = (RIGHT / run / panel).max(1);
        let panels = n.div_ceil(panel);
        let runs = panels.div_ceil(widest).max(wanted.div_ceil(bands)).min(panels);
        let cols = panels.div_ceil(runs) * panel;
        Self { extents: [m, n], run, terms, step: [rows, cols], tallest }
    }

    /// Rows that a thread packs at a time, of a run of so many terms.
    fn rows_to_pack(&self, terms: usize) -> usize {
        (WORTH_PACKING / terms).next_multiple_of(self.tallest).min(self.extents[0])
    }
}

crate::kernel! {
    /// One block of `C` over some `terms`, for which `left` holds all of the left factor.
    fn block<S>(
        s, cut: &Cut, left: &[f32], b: &Factor<'_>, terms: &Range<usize>, update: Update<'_>, c: &mut Part<'_>,
    ) {
        let (rows, cols, m) = (c.rows(), c.cols(), cut.extents[0]);
        let mut right = Buffer::scratch(cut.run.min(padded(terms.len())) * cols.len().next_multiple_of(S::LANES));
        let mut update = update;
        // At least once: a product of no terms writes C too.
        for i in 0..terms.len().div_ceil(cut.run).max(1) {
            let run = run_of(terms, i, cut.run);
            let (length, first_row) = (padded(run.len()), i * cut.run * m);
            pack_right(s, b, run.clone(), cols.clone(), right.as_mut_slice());
            let left = &left[first_row + rows.start * length..first_row + rows.end * length];
            multiply(s, Packed(left), right.as_slice(), run.len(), update, c);
            update = update.further();
        }
    }
}

crate::kernel! {
    /// The product of two packed factors; see [`packed`](crate::packed).
    pub(crate) fn multiply_packed<S>(s, left: &[f32], right: &[f32], terms: usize, c: MatMut<'_>) {
        multiply_whole(s, Packed(left), right, terms, Onto::Scaled(0.0), c);
    }
}

/// `c += left^T * right` for a left factor that is not packed; see [`packed`](crate::packed).
#[inline(always)]
pub(crate) fn multiply_add_transposed<S: Simd>(
    s: S,
    left: &[f32],
    right: &[f32],
    terms: usize,
    c: MatMut<'_>,
) {
    assert!(left.len() >= terms * c.rows, "gemm: the left factor has all its terms");
    let left = Columns(left, c.rows.max(1));
    multiply_whole(s, left, right, terms, Onto::Scaled(1.0), c);
}

/// [`multiply`] for all of `c`.
#[inline(always)]
fn multiply_whole<S: Simd>(
    s: S,
    left: impl tile::Left,
    right: &[f32],
    terms: usize,
    onto: Onto<'_>,
    c: MatMut<'_>,
) {
    multiply(s, left, right, terms, Update { alpha: 1.0, onto }, &mut Output::new(c).into_part());
}

#[cfg(test)]
mod tests;
