//! General matrix multiplication, `C = alpha * A * B + beta * C`.
//!
//! The inner kernels are those of the `matrixmultiply` crate, which picks AVX-512, AVX, NEON or plain code at run
//! time. This module checks the operands, and cuts large products into blocks of `C` by their shape alone, so
//! that the result does not depend on the number of threads: every element is one sum, in one order.

use crate::parallel;
use std::ops::Range;

/// A matrix to read: a slice and how to walk it.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> MatRef<'a> {
    /// `data` as `rows` rows of `cols` numbers.
    ///
    /// # Panics
    /// `data` does not hold exactly `rows * cols` numbers.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(cols), "a {rows} x {cols} matrix");
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// The transpose, without moving anything.
    #[must_use]
    pub fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// Some of the columns, without moving anything.
    ///
    /// # Panics
    /// There are not so many.
    #[must_use]
    pub fn columns(self, columns: Range<usize>) -> Self {
        let data = &self.data[skipped(&columns, self.cols, self.col_stride, self.data.len())..];
        Self { data, cols: columns.len(), ..self }
    }
}

/// A matrix to write.
#[derive(Debug)]
pub struct MatMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

impl<'a> MatMut<'a> {
    /// `data` as `rows` rows of `cols` numbers.
    ///
    /// # Panics
    /// `data` does not hold exactly `rows * cols` numbers.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(cols), "a {rows} x {cols} matrix");
        Self { data, rows, cols, row_stride: cols }
    }

    /// Some of the columns, without moving anything.
    ///
    /// # Panics
    /// There are not so many.
    #[must_use]
    pub fn columns(self, columns: Range<usize>) -> Self {
        let start = skipped(&columns, self.cols, 1, self.data.len());
        Self { data: &mut self.data[start..], cols: columns.len(), ..self }
    }
}

/// Elements before the first of `columns` in the `len` elements of a matrix of `cols` columns.
fn skipped(columns: &Range<usize>, cols: usize, col_stride: usize, len: usize) -> usize {
    assert!(columns.start <= columns.end && columns.end <= cols, "columns {columns:?} of {cols}");
    (columns.start * col_stride).min(len)
}

/// Multiply-adds below which a product is not worth a second thread.
const WORTH_A_THREAD: usize = 1 << 20;

/// The most blocks a product is cut into.
const MAX_BLOCKS: usize = 32;

/// `c = alpha * a * b + beta * c`, on all threads where that pays. With `beta = 0` the old `c` is not read.
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
    let (m, k, n) = (c.rows, a.cols, c.cols);
    assert_eq!((a.rows, b.rows, b.cols), (m, k, n), "gemm: a is m x k, b is k x n, c is m x n");
    if m == 0 || n == 0 {
        return;
    }
    // The longer side of C is cut, in multiples of 16 so that whole register tiles stay together.
    let work = m.saturating_mul(n).saturating_mul(k);
    let blocks = (work / WORTH_A_THREAD).clamp(1, MAX_BLOCKS);
    let side = m.max(n);
    let step = side.div_ceil(blocks).next_multiple_of(16).min(side);
    let c_start = SharedMut(c.data.as_mut_ptr());
    parallel::map(side.div_ceil(step), |block| {
        let start = block * step;
        let length = step.min(side - start);
        let (row, col, rows, cols) = if m >= n { (start, 0, length, n) } else { (0, start, m, length) };
        let a_block = &a.data[(row * a.row_stride).min(a.data.len())..];
        let b_block = &b.data[(col * b.col_stride).min(b.data.len())..];
        // SAFETY: `MatRef::new` and `MatMut::new` checked that the slices hold what extents and strides reach
        // (`t` only swaps them; `columns` checks that it keeps columns that are there, and starts the slice at the
        // first of them), the block lies within them, and blocks of different index touch different elements of `c`,
        // which is borrowed mutably for the whole call.
        unsafe {
            matrixmultiply::sgemm(
                rows,
                k,
                cols,
                alpha,
                a_block.as_ptr(),
                a.row_stride as isize,
                a.col_stride as isize,
                b_block.as_ptr(),
                b.row_stride as isize,
                b.col_stride as isize,
                beta,
                c_start.offset(row * c.row_stride + col),
                c.row_stride as isize,
                1,
            );
        }
    });
}

/// A pointer that threads share to write disjoint elements.
struct SharedMut(*mut f32);

impl SharedMut {
    fn offset(&self, by: usize) -> *mut f32 {
        self.0.wrapping_add(by)
    }
}

// SAFETY: the pointer is only a location; `gemm` justifies each access.
unsafe impl Sync for SharedMut {}
// SAFETY: as above.
unsafe impl Send for SharedMut {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::Threads;
    use proptest::prelude::*;

    fn numbers(len: usize, seed: u64) -> Vec<f32> {
        let mut v = vec![0.0; len];
        crate::Random::new(seed, &["gemm"]).fill_uniform(1.0, &mut v);
        v
    }

    /// Row-major `m x k` by `k x n`, in f64.
    fn oracle(alpha: f32, a: &[f32], b: &[f32], beta: f32, c: &[f32], [m, k, n]: [usize; 3]) -> Vec<f64> {
        let mut y = vec![0.0; m * n];
        for i in 0..m {
            for j in 0..n {
                let dot: f64 = (0..k).map(|p| f64::from(a[i * k + p]) * f64::from(b[p * n + j])).sum();
                let old = if beta == 0.0 { 0.0 } else { f64::from(beta) * f64::from(c[i * n + j]) };
                y[i * n + j] = f64::from(alpha) * dot + old;
            }
        }
        y
    }

    fn transposed(x: &[f32], rows: usize, cols: usize) -> Vec<f32> {
        (0..rows * cols).map(|i| x[i % rows * cols + i / rows]).collect()
    }

    fn check([m, k, n]: [usize; 3], (ta, tb): (bool, bool), alpha: f32, beta: f32, seed: u64) {
        let (a, b, old) = (numbers(m * k, seed), numbers(k * n, seed ^ 1), numbers(m * n, seed ^ 2));
        let want = oracle(alpha, &a, &b, beta, &old, [m, k, n]);
        let stored_a = if ta { transposed(&a, m, k) } else { a };
        let stored_b = if tb { transposed(&b, k, n) } else { b };
        let a = if ta { MatRef::new(&stored_a, k, m).t() } else { MatRef::new(&stored_a, m, k) };
        let b = if tb { MatRef::new(&stored_b, n, k).t() } else { MatRef::new(&stored_b, k, n) };
        let mut first: Option<Vec<f32>> = None;
        for threads in [1, 2, 3] {
            let mut c = if beta == 0.0 { vec![f32::NAN; m * n] } else { old.clone() };
            Threads::new(threads).unwrap().run(|| gemm(alpha, a, b, beta, MatMut::new(&mut c, m, n)));
            for (got, want) in c.iter().zip(&want) {
                let error = (f64::from(*got) - want).abs();
                assert!(
                    error <= 1e-5 * want.abs().max(1.0) * (k.max(1) as f64).sqrt(),
                    "{got} instead of {want}"
                );
            }
            assert_eq!(first.get_or_insert_with(|| c.clone()), &c, "the same bits for {threads} threads");
        }
    }

    proptest! {
        #[test]
        fn matches_the_definition(m in 0..20usize, k in 0..20usize, n in 0..20usize, ta: bool, tb: bool,
                                  alpha in -2.0..2.0f32, beta in prop_oneof![Just(0.0), Just(1.0), -2.0..2.0f32],
                                  seed: u64) {
            check([m, k, n], (ta, tb), alpha, beta, seed);
        }
    }

    #[test]
    fn products_that_are_cut_match_too() {
        for shape in [[300, 100, 70], [70, 130, 401], [1, 3000, 1500], [1500, 3000, 1]] {
            for transpositions in [(false, false), (true, false), (false, true), (true, true)] {
                check(shape, transpositions, 1.0, 1.0, 7);
            }
        }
    }

    proptest! {
        /// Any columns of `b` and of `c`, be `b` transposed or not; the other columns of `c` are left alone.
        #[test]
        fn some_columns_are_multiplied_as_a_whole_matrix_is(
            m in 0..9usize, k in 0..9usize, n in 0..9usize, before in 0..4usize, after in 0..4usize, tb: bool, seed: u64,
        ) {
            let all = before + n + after;
            let (a, b, old) = (numbers(m * k, seed), numbers(k * all, seed ^ 1), numbers(m * all, seed ^ 2));
            let chosen = before..before + n;
            let stored_b = if tb { transposed(&b, k, all) } else { b.clone() };
            let b_ref = if tb { MatRef::new(&stored_b, all, k).t() } else { MatRef::new(&stored_b, k, all) };
            let mut c = old.clone();
            let c_mut = MatMut::new(&mut c, m, all).columns(chosen.clone());
            gemm(1.0, MatRef::new(&a, m, k), b_ref.columns(chosen.clone()), 1.0, c_mut);
            let want = oracle(1.0, &a, &b, 1.0, &old, [m, k, all]);
            for (i, &got) in c.iter().enumerate() {
                if chosen.contains(&(i % all)) {
                    prop_assert!((f64::from(got) - want[i]).abs() <= 1e-5);
                } else {
                    prop_assert_eq!(got, old[i]);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "columns 1..4 of 3")]
    fn columns_must_be_there() {
        let _ = MatRef::new(&[0.0; 6], 2, 3).columns(1..4);
    }

    #[test]
    #[should_panic(expected = "gemm: a is m x k")]
    fn extents_must_match() {
        gemm(
            1.0,
            MatRef::new(&[0.0; 6], 2, 3),
            MatRef::new(&[0.0; 6], 2, 3),
            0.0,
            MatMut::new(&mut [0.0; 4], 2, 2),
        );
    }
}
