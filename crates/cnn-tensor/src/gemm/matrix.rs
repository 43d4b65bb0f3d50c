//! The operands of a product.

use std::fmt;
use std::ops::Range;

/// A matrix to read: a slice with extents and a stride.
///
/// ```
/// use cnn_tensor::{MatMut, MatRef, gemm};
/// let x = MatRef::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3);
/// let last = x.columns(2..3); // 2 x 1: 3 and 6
/// let mut c = [0.0; 3];
/// gemm(1.0, last.t(), x, 0.0, MatMut::new(&mut c, 1, 3));
/// assert_eq!(c, [27.0, 36.0, 45.0]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a> {
    data: &'a [f32],
    /// Rows and columns as they are stored: the elements of a row are neighbours.
    stored: [usize; 2],
    /// Elements from the start of a stored row to the start of the next.
    stride: usize,
    /// Whether the matrix is the transpose of the stored one.
    transposed: bool,
}

impl<'a> MatRef<'a> {
    /// `data` as `rows` rows of `cols` numbers.
    ///
    /// # Panics
    /// `data` does not hold exactly `rows * cols` numbers.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(cols), "a {rows} x {cols} matrix");
        Self { data, stored: [rows, cols], stride: cols, transposed: false }
    }

    /// The transpose: a view, nothing is moved.
    #[must_use]
    pub fn t(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    /// Some of the columns: a view, nothing is moved.
    ///
    /// # Panics
    /// The range does not lie within the columns.
    #[must_use]
    pub fn columns(self, columns: Range<usize>) -> Self {
        let [rows, cols] = self.stored;
        if self.transposed {
            let data = &self.data[skipped(&columns, rows, self.stride, self.data.len())..];
            return Self { data, stored: [columns.len(), cols], ..self };
        }
        let data = &self.data[skipped(&columns, cols, 1, self.data.len())..];
        Self { data, stored: [rows, columns.len()], ..self }
    }
}

impl Rows for MatRef<'_> {
    fn extents(&self) -> [usize; 2] {
        self.stored
    }

    fn row<'a>(&'a self, row: usize, columns: Range<usize>, _: &'a mut [f32]) -> &'a [f32] {
        &self.data[row * self.stride..][columns]
    }
}

/// A matrix whose rows may be computed as they are read.
///
/// ```
/// use cnn_tensor::{Factor, MatMut, MatRef, Onto, Rows, product};
/// use std::ops::Range;
///
/// /// Ones on the diagonal.
/// struct Identity(usize);
/// impl Rows for Identity {
///     fn extents(&self) -> [usize; 2] {
///         [self.0; 2]
///     }
///     fn row<'a>(&'a self, row: usize, columns: Range<usize>, scratch: &'a mut [f32]) -> &'a [f32] {
///         for (number, column) in scratch.iter_mut().zip(columns) {
///             *number = if column == row { 1.0 } else { 0.0 };
///         }
///         scratch
///     }
/// }
///
/// let x = MatRef::new(&[1.0, 2.0, 3.0, 4.0], 2, 2);
/// let mut c = [0.0; 4];
/// product(Factor::new(&Identity(2)), Factor::from(&x).t(), Onto::Scaled(0.0), MatMut::new(&mut c, 2, 2));
/// assert_eq!(c, [1.0, 3.0, 2.0, 4.0]);
/// ```
pub trait Rows: Sync {
    /// The number of rows, and of columns.
    fn extents(&self) -> [usize; 2];

    /// Elements `columns` of row `row`. They are returned from where they lie, or written to `scratch` and returned from there.
    ///
    /// The caller asks only for rows and columns within the extents, with a `scratch` of `columns.len()` numbers.
    fn row<'a>(&'a self, row: usize, columns: Range<usize>, scratch: &'a mut [f32]) -> &'a [f32];
}

/// A factor of a product: a matrix given by its [`Rows`], or the transpose of such a matrix.
#[derive(Clone, Copy)]
pub struct Factor<'a> {
    rows: &'a dyn Rows,
    transposed: bool,
}

impl<'a> Factor<'a> {
    /// The matrix with these rows.
    pub fn new(rows: &'a dyn Rows) -> Self {
        Self { rows, transposed: false }
    }

    /// The transpose.
    #[must_use]
    pub fn t(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    pub(super) fn extents(&self) -> [usize; 2] {
        let [rows, cols] = self.rows.extents();
        if self.transposed { [cols, rows] } else { [rows, cols] }
    }

    /// The rows, and whether the factor is the transpose of their matrix.
    pub(super) fn stored(&self) -> (&'a dyn Rows, bool) {
        (self.rows, self.transposed)
    }
}

impl<'a> From<&'a MatRef<'a>> for Factor<'a> {
    fn from(matrix: &'a MatRef<'a>) -> Self {
        Self { rows: matrix, transposed: matrix.transposed }
    }
}

/// The extents.
impl fmt::Debug for Factor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [rows, cols] = self.extents();
        write!(f, "Factor({rows} x {cols})")
    }
}

/// A matrix to write.
#[derive(Debug)]
pub struct MatMut<'a> {
    pub(super) data: &'a mut [f32],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) row_stride: usize,
    /// The number of neighbouring columns, and the elements from the first of them to the first of the next run of columns.
    pub(super) run: usize,
    pub(super) run_stride: usize,
}

impl<'a> MatMut<'a> {
    /// `data` as `rows` rows of `cols` numbers.
    ///
    /// # Panics
    /// `data` does not hold exactly `rows * cols` numbers.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(cols), "a {rows} x {cols} matrix");
        Self { data, rows, cols, row_stride: cols, run: cols.max(1), run_stride: 0 }
    }

    /// One matrix of `chosen.len()` rows and `count * cols` columns: `data` holds `count` matrices of `rows` rows of `cols`
    /// numbers, and their rows `chosen` are put side by side. With a row for each channel, these are some channels of a batch of
    /// images.
    ///
    /// ```
    /// use cnn_tensor::{MatMut, MatRef, gemm};
    /// let mut images = [0.0; 8]; // two images of two channels of two pixels
    /// let second = MatMut::side_by_side(&mut images, 2, [2, 2], 1..2);
    /// gemm(1.0, MatRef::new(&[1.0], 1, 1), MatRef::new(&[1.0, 2.0, 3.0, 4.0], 1, 4), 0.0, second);
    /// assert_eq!(images, [0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 3.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// `data` does not hold exactly `count * rows * cols` numbers, or `chosen` does not lie within the rows.
    pub fn side_by_side(
        data: &'a mut [f32],
        count: usize,
        [rows, cols]: [usize; 2],
        chosen: Range<usize>,
    ) -> Self {
        let each = rows.checked_mul(cols);
        let all = each.and_then(|each| each.checked_mul(count));
        assert_eq!(Some(data.len()), all, "{count} matrices of {rows} x {cols}");
        assert!(chosen.start <= chosen.end && chosen.end <= rows, "rows {chosen:?} of {rows}");
        let first = (chosen.start * cols).min(data.len());
        Self {
            data: &mut data[first..],
            rows: chosen.len(),
            cols: count * cols,
            row_stride: cols,
            run: cols.max(1),
            run_stride: rows * cols,
        }
    }

    /// Some of the columns: a view, nothing is moved.
    ///
    /// # Panics
    /// The range does not lie within the columns, or these belong to several matrices of [`MatMut::side_by_side`].
    #[must_use]
    pub fn columns(self, columns: Range<usize>) -> Self {
        assert!(self.cols <= self.run, "columns {columns:?} of matrices that are side by side");
        let start = skipped(&columns, self.cols, 1, self.data.len());
        Self { data: &mut self.data[start..], cols: columns.len(), ..self }
    }
}

/// Elements before the first of `columns` in the `len` elements of a matrix of `cols` columns.
fn skipped(columns: &Range<usize>, cols: usize, col_stride: usize, len: usize) -> usize {
    assert!(columns.start <= columns.end && columns.end <= cols, "columns {columns:?} of {cols}");
    (columns.start * col_stride).min(len)
}
