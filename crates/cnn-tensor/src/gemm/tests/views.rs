//! Products of and into every view that the public functions can make, against the definition in f64.

use super::*;
use crate::gemm::pack::{pack_left, pack_right};

/// A matrix to read with its storage: any of the chains of `new`, `t` and `columns`.
#[derive(Clone, Copy, Debug)]
struct ReadView {
    /// Whether the stored matrix is the transpose.
    transposed: bool,
    /// Columns cut off before and after.
    cols: [usize; 2],
    /// Rows cut off before and after, as columns of the transpose.
    rows: [usize; 2],
}

impl ReadView {
    /// Storage that holds `dense` (`rows` rows of `cols` numbers) in this view, and NaN around it.
    fn store(self, dense: &[f32], rows: usize, cols: usize) -> Vec<f32> {
        let (all_rows, all_cols) = (self.all(self.rows, rows), self.all(self.cols, cols));
        let mut padded = vec![f32::NAN; all_rows * all_cols];
        for row in 0..rows {
            let first = (self.rows[0] + row) * all_cols + self.cols[0];
            padded[first..first + cols].copy_from_slice(&dense[row * cols..(row + 1) * cols]);
        }
        if self.transposed { transposed(&padded, all_rows, all_cols) } else { padded }
    }

    /// The view of such storage.
    fn of(self, stored: &[f32], rows: usize, cols: usize) -> MatRef<'_> {
        let (all_rows, all_cols) = (self.all(self.rows, rows), self.all(self.cols, cols));
        let whole = if self.transposed {
            MatRef::new(stored, all_cols, all_rows).t()
        } else {
            MatRef::new(stored, all_rows, all_cols)
        };
        let [first_row, first_col] = [self.rows[0], self.cols[0]];
        whole.columns(first_col..first_col + cols).t().columns(first_row..first_row + rows).t()
    }

    fn all(self, around: [usize; 2], inside: usize) -> usize {
        around[0] + inside + around[1]
    }
}

/// A way to make a matrix to write.
#[derive(Clone, Copy, Debug)]
enum WriteView {
    New,
    Columns { before: usize, after: usize },
    SideBySide { count: usize, before: usize, after: usize },
    ColumnsOfOne { rows: [usize; 2], cols: [usize; 2] },
}

impl WriteView {
    /// Columns that this view can have, near `n`.
    fn cols(self, n: usize) -> usize {
        if let Self::SideBySide { count, .. } = self { n / count * count } else { n }
    }

    /// Numbers in its storage, for `m` rows and `n` columns.
    fn len(self, m: usize, n: usize) -> usize {
        match self {
            Self::New => m * n,
            Self::Columns { before, after } => m * (before + n + after),
            Self::SideBySide { before, after, .. } => (before + m + after) * n,
            Self::ColumnsOfOne { rows: [above, below], cols: [before, after] } => {
                (above + m + below) * (before + n + after)
            }
        }
    }

    fn of(self, data: &mut [f32], m: usize, n: usize) -> MatMut<'_> {
        match self {
            Self::New => MatMut::new(data, m, n),
            Self::Columns { before, after } => {
                MatMut::new(data, m, before + n + after).columns(before..before + n)
            }
            Self::SideBySide { count, before, after } => {
                MatMut::side_by_side(data, count, [before + m + after, n / count], before..before + m)
            }
            Self::ColumnsOfOne { rows: [above, below], cols: [before, after] } => {
                let extents = [above + m + below, before + n + after];
                MatMut::side_by_side(data, 1, extents, above..above + m).columns(before..before + n)
            }
        }
    }

    /// Where element `(row, col)` is in the storage.
    fn place(self, [row, col]: [usize; 2], m: usize, n: usize) -> usize {
        match self {
            Self::New => row * n + col,
            Self::Columns { before, after } => row * (before + n + after) + before + col,
            Self::SideBySide { count, before, after } => {
                let (rows, cols) = (before + m + after, n / count);
                (col / cols * rows + before + row) * cols + col % cols
            }
            Self::ColumnsOfOne { rows: [above, _], cols: [before, after] } => {
                (above + row) * (before + n + after) + before + col
            }
        }
    }
}

crate::kernel! {
    fn pack_whole_right<S>(s, b: &Factor<'_>, k: usize, n: usize) -> Vec<f32> {
        let mut packed = vec![f32::NAN; k * n.next_multiple_of(S::LANES)];
        pack_right(s, b, 0..k, 0..n, &mut packed);
        packed
    }
}

crate::kernel! {
    fn add_transposed<S>(s, left: &[f32], right: &[f32], terms: usize, c: MatMut<'_>) {
        multiply_add_transposed(s, left, right, terms, c);
    }
}

/// The functions that write a product.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Gemm { alpha: f32, beta: f32 },
    ProductOntoRows,
    ProductOntoScaled { beta: f32 },
    Packed,
    PackedTransposed,
}

impl Entry {
    /// Runs it at `level`.
    fn run(self, level: Level, a: MatRef<'_>, b: MatRef<'_>, bias: &[f32], c: MatMut<'_>) {
        let (left, right) = (Factor::from(&a), Factor::from(&b));
        let ([m, k], [_, n]) = (left.extents(), right.extents());
        match self {
            Self::Gemm { alpha, beta } => gemm(alpha, a, b, beta, c),
            Self::ProductOntoRows => product(left, right, Onto::Rows(bias), c),
            Self::ProductOntoScaled { beta } => product(left, right, Onto::Scaled(beta), c),
            Self::Packed => {
                let mut packed = vec![0.0; m * padded(k)];
                pack_left(level, &left, 0..k, 0..m, &mut packed);
                multiply_packed(level, &packed, &pack_whole_right(level, &right, k, n), k, c);
            }
            Self::PackedTransposed => {
                let mut terms = vec![0.0; k * m];
                let identity: Vec<f32> = (0..k * k).map(|i| if i / k == i % k { 1.0 } else { 0.0 }).collect();
                gemm(1.0, MatRef::new(&identity, k, k), a.t(), 0.0, MatMut::new(&mut terms, k, m));
                add_transposed(level, &terms, &pack_whole_right(level, &right, k, n), k, c);
            }
        }
    }

    /// `alpha`, `beta`, and whether the bias is added.
    fn update(self) -> (f32, f32, bool) {
        match self {
            Self::Gemm { alpha, beta } => (alpha, beta, false),
            Self::ProductOntoRows => (1.0, 0.0, true),
            Self::ProductOntoScaled { beta } => (1.0, beta, false),
            Self::Packed => (1.0, 0.0, false),
            Self::PackedTransposed => (1.0, 1.0, false),
        }
    }
}

fn read_views() -> impl Strategy<Value = ReadView> {
    (any::<bool>(), [0..3usize, 0..3], [0..3usize, 0..3]).prop_map(|(transposed, cols, rows)| ReadView {
        transposed,
        cols,
        rows,
    })
}

fn write_views() -> impl Strategy<Value = WriteView> {
    prop_oneof![
        Just(WriteView::New),
        (0..4usize, 0..4usize).prop_map(|(before, after)| WriteView::Columns { before, after }),
        (1..6usize, 0..3usize, 0..3usize).prop_map(|(count, before, after)| WriteView::SideBySide {
            count,
            before,
            after
        }),
        ([0..3usize, 0..3], [0..4usize, 0..4])
            .prop_map(|(rows, cols)| WriteView::ColumnsOfOne { rows, cols }),
    ]
}

fn entries() -> impl Strategy<Value = Entry> {
    let beta = || prop_oneof![Just(0.0), Just(1.0), -2.0..2.0f32];
    prop_oneof![
        3 => (prop_oneof![Just(1.0), -2.0..2.0f32], beta()).prop_map(|(alpha, beta)| Entry::Gemm { alpha, beta }),
        1 => Just(Entry::ProductOntoRows),
        1 => beta().prop_map(|beta| Entry::ProductOntoScaled { beta }),
        1 => Just(Entry::Packed),
        1 => Just(Entry::PackedTransposed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2 * ProptestConfig::default().cases))]
    #[test]
    fn any_view_is_read_and_written_as_defined(
        m in 0..40usize, k in 0..40usize, n in 0..24usize, a_view in read_views(), b_view in read_views(),
        c_view in write_views(), entry in entries(), threads in 0..POOLS.len(), seed: u64,
    ) {
        let n = c_view.cols(n);
        let (a, b, bias) = (numbers(m * k, seed), numbers(k * n, seed ^ 1), numbers(m, seed ^ 2));
        let (stored_a, stored_b) = (a_view.store(&a, m, k), b_view.store(&b, k, n));
        let old = numbers(c_view.len(m, n), seed ^ 3);
        let (alpha, beta, with_bias) = entry.update();
        let places: Vec<usize> =
            (0..m * n).map(|i| c_view.place([i / n, i % n], m, n)).collect();
        let dense: Vec<f32> = places.iter().map(|&place| old[place]).collect();
        let want = oracle(alpha, &a, &b, beta, &dense, [m, k, n]);
        for &level in Level::all() {
            let mut c = old.clone();
            if beta == 0.0 {
                places.iter().for_each(|&place| c[place] = f32::NAN);
            }
            with_level(level, || POOLS[threads].run(|| {
                let (a, b) = (a_view.of(&stored_a, m, k), b_view.of(&stored_b, k, n));
                entry.run(level, a, b, &bias, c_view.of(&mut c, m, n));
            }));
            let mut rest = old.clone();
            for (i, (&place, want)) in places.iter().zip(&want).enumerate() {
                let want = want + if with_bias { f64::from(bias[i / n]) } else { 0.0 };
                prop_assert!((f64::from(c[place]) - want).abs() <= 1e-4, "{} instead of {want} at {i}", c[place]);
                rest[place] = c[place];
            }
            prop_assert_eq!(&rest, &c, "nothing else is written");
        }
    }
}
