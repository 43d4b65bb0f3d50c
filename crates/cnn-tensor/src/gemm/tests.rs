use super::extents::heights;
use super::*;
use crate::parallel::Threads;
use crate::simd::with_level;
use proptest::prelude::*;
use std::sync::LazyLock;

mod views;

static POOLS: LazyLock<[Threads; 4]> = LazyLock::new(|| [1, 2, 3, 8].map(|n| Threads::new(n).unwrap()));

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
    for &level in Level::all() {
        let mut first: Option<Vec<f32>> = None;
        for pool in &*POOLS {
            let mut c = if beta == 0.0 { vec![f32::NAN; m * n] } else { old.clone() };
            with_level(level, || pool.run(|| gemm(alpha, a, b, beta, MatMut::new(&mut c, m, n))));
            for (got, want) in c.iter().zip(&want) {
                let error = (f64::from(*got) - want).abs();
                assert!(
                    error <= 1e-5 * want.abs().max(1.0) * (k.max(1) as f64).sqrt(),
                    "{got} instead of {want} at {level:?}"
                );
            }
            assert_eq!(
                first.get_or_insert_with(|| c.clone()),
                &c,
                "the same bits for any threads at {level:?}"
            );
        }
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

/// Shapes that fill the caches, where the definition would take too long.
#[test]
#[cfg_attr(miri, ignore = "too large for an interpreter")]
fn large_products_are_those_of_matrixmultiply() {
    for [m, k, n] in [[130, 1500, 700], [700, 65, 1300], [1000, 900, 17]] {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let mut want = vec![0.0; m * n];
        let stride = |cols: usize| cols as isize;
        // SAFETY: the slices hold matrices of these extents, row by row.
        unsafe {
            let (a, b, c) = (a.as_ptr(), b.as_ptr(), want.as_mut_ptr());
            matrixmultiply::sgemm(m, k, n, 1.0, a, stride(k), 1, b, stride(n), 1, 0.0, c, stride(n), 1);
        }
        for &level in Level::all() {
            let mut c = vec![0.0; m * n];
            let (a, b) = (MatRef::new(&a, m, k), MatRef::new(&b, k, n));
            with_level(level, || gemm(1.0, a, b, 0.0, MatMut::new(&mut c, m, n)));
            let worst = c.iter().zip(&want).map(|(c, want)| (c - want).abs()).fold(0.0, f32::max);
            assert!(worst <= 1e-6 * k as f32, "{worst} at {level:?}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "too large for an interpreter")]
fn products_that_are_cut_match_too() {
    for shape in [[300, 100, 70], [70, 130, 401], [1, 3000, 1500], [1500, 3000, 1]] {
        for transpositions in [(false, false), (true, false), (false, true), (true, true)] {
            check(shape, transpositions, 1.0, 1.0, 7);
        }
    }
}

proptest! {
    /// Any columns of `b`, transposed or not, and of `c`. The other columns of `c` are not written.
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

/// Rows that are copied as they are read.
struct Copied<'a>(MatRef<'a>);

impl Rows for Copied<'_> {
    fn extents(&self) -> [usize; 2] {
        self.0.extents()
    }

    fn row<'a>(&'a self, row: usize, columns: Range<usize>, scratch: &'a mut [f32]) -> &'a [f32] {
        assert_eq!(scratch.len(), columns.len());
        scratch.copy_from_slice(self.0.row(row, columns, &mut []));
        scratch
    }
}

proptest! {
    /// Factors whose rows are copied as they are read, biases, and some rows of images side by side. The numbers are whole, so
    /// that every result is exact. Other rows are not written.
    #[test]
    fn products_of_rows_are_exact(
        m in 1..20usize, k in 0..70usize, count in 1..5usize, cols in 1..40usize, before in 0..3usize,
        after in 0..3usize, ta: bool, tb: bool, seed: u64,
    ) {
        let n = count * cols;
        let whole = |len, seed| numbers(len, seed).iter().map(|v| (v * 9.0).round()).collect::<Vec<f32>>();
        let (a, b, bias) = (whole(m * k, seed), whole(k * n, seed ^ 1), whole(m, seed ^ 2));
        let want = oracle(1.0, &a, &b, 0.0, &[], [m, k, n]);
        let a = if ta { transposed(&a, m, k) } else { a };
        let b = if tb { transposed(&b, k, n) } else { b };
        let a = Copied(if ta { MatRef::new(&a, k, m) } else { MatRef::new(&a, m, k) });
        let b = Copied(if tb { MatRef::new(&b, n, k) } else { MatRef::new(&b, k, n) });
        let (a, b) = (Factor::new(&a), Factor::new(&b));
        let (a, b) = (if ta { a.t() } else { a }, if tb { b.t() } else { b });
        let rows = before + m + after;
        for &level in Level::all() {
            for pool in &*POOLS {
                let mut images = vec![-1.0; rows * n];
                let c = MatMut::side_by_side(&mut images, count, [rows, cols], before..before + m);
                with_level(level, || pool.run(|| product(a, b, Onto::Rows(&bias), c)));
                for (i, &got) in images.iter().enumerate() {
                    let (image, row, col) = (i / (rows * cols), i / cols % rows, i % cols);
                    let inside = (before..before + m).contains(&row);
                    let row = row.wrapping_sub(before);
                    let want = if inside { want[row * n + image * cols + col] + f64::from(bias[row]) } else { -1.0 };
                    prop_assert_eq!(f64::from(got), want);
                }
            }
        }
    }
}

#[test]
fn a_narrow_result_may_stand_in_several_matrices() {
    // Four columns of eight rows, which is multiplied as its transpose: columns in two runs of two.
    let (a, b, mut c) = (numbers(8 * 3, 1), numbers(3 * 4, 2), [0.0; 32]);
    let want = oracle(1.0, &a, &b, 0.0, &[], [8, 3, 4]);
    let side_by_side = MatMut::side_by_side(&mut c, 2, [8, 2], 0..8);
    gemm(1.0, MatRef::new(&a, 8, 3), MatRef::new(&b, 3, 4), 0.0, side_by_side);
    for (i, want) in want.iter().enumerate() {
        let (row, col) = (i / 4, i % 4);
        assert!((f64::from(c[col / 2 * 16 + row * 2 + col % 2]) - want).abs() < 1e-6, "[{row}, {col}]");
    }
}

#[test]
fn strips_are_as_tall_as_can_be_and_hold_every_row_once() {
    let cut = |rows, tallest| heights(rows, tallest).collect::<Vec<_>>();
    assert_eq!(cut(23, 8), [8, 8, 4, 2, 1]);
    assert_eq!(cut(7, 4), [4, 2, 1]);
    assert!(cut(0, 8).is_empty());
}

#[test]
#[should_panic(expected = "rows 1..4 of 3")]
fn rows_must_be_there() {
    let _ = MatMut::side_by_side(&mut [0.0; 12], 2, [3, 2], 1..4);
}
