//! Elements and rows of tensors.

use super::Tensor;
use std::ops::{Index, IndexMut};

impl Tensor {
    /// The elements of image `n`, in row-major order: of a tensor of shape `[n, c, h, w]`, `c * h * w` numbers. Of any other
    /// shape, the elements whose first index is `n`.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// let x = Tensor::from_fn([3, 1, 2, 2], |[n, _, row, col]| (100 * n + 10 * row + col) as f32);
    /// assert_eq!(x.image(2), [200.0, 201.0, 210.0, 211.0]);
    /// ```
    ///
    /// # Panics
    /// There are not so many images.
    #[track_caller]
    pub fn image(&self, n: usize) -> &[f32] {
        let shape = self.shape;
        assert!(n < shape.batch(), "image {n} of shape {shape}, which has {} images", shape.batch());
        let each = shape.numel() / shape.batch();
        &self.data()[n * each..][..each]
    }

    /// Row `i` of a matrix of shape `[rows, columns]`: `columns` numbers. Of any other shape, the `i`-th of the rows along the
    /// last axis, counted in row-major order.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// let x = Tensor::from_vec([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    /// assert_eq!(x.row(1), [4.0, 5.0, 6.0]);
    /// # Ok::<(), cnn_tensor::TensorError>(())
    /// ```
    ///
    /// # Panics
    /// There are not so many rows.
    #[track_caller]
    pub fn row(&self, i: usize) -> &[f32] {
        let shape = self.shape;
        let (rows, columns) = match shape.dims() {
            [outer @ .., columns] => (outer.iter().product(), *columns),
            [] => (1, 1),
        };
        assert!(i < rows, "row {i} of shape {shape}, which has {rows} rows");
        &self.data()[i * columns..][..columns]
    }

    /// The elements, in row-major order.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// assert_eq!(Tensor::full([2, 3], 0.5).iter().sum::<f32>(), 3.0);
    /// ```
    pub fn iter(&self) -> std::slice::Iter<'_, f32> {
        self.data().iter()
    }

    /// The place in row-major order of the element with this index.
    #[track_caller]
    fn place<const N: usize>(&self, index: [usize; N]) -> usize {
        const { assert!(1 <= N && N <= crate::Shape::MAX_RANK, "an index has 1 to 6 numbers") }
        let shape = self.shape;
        let dims = shape.dims();
        assert!(
            dims.len() == N,
            "index {index:?} has {N} numbers, and shape {shape} has rank {}",
            dims.len()
        );
        let mut place = 0;
        for (&i, &extent) in index.iter().zip(dims) {
            assert!(i < extent, "index {index:?} is outside of shape {shape}");
            place = place * extent + i;
        }
        place
    }
}

/// An element by its index, one number for each axis: `x[[n, c, row, col]]` of a tensor of shape `[n, c, h, w]`.
///
/// ```
/// # use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([2, 2], vec![1.0, 2.0, 3.0, 4.0])?;
/// assert_eq!(x[[0, 1]], 2.0);
/// # Ok::<(), cnn_tensor::TensorError>(())
/// ```
///
/// # Panics
/// The index has another number of axes than the shape, or lies outside of it. An index of 0 or more than six numbers does
/// not compile.
impl<const N: usize> Index<[usize; N]> for Tensor {
    type Output = f32;

    #[track_caller]
    fn index(&self, index: [usize; N]) -> &f32 {
        &self.data()[self.place(index)]
    }
}

/// Writing to an element; as [`Tensor::data_mut`], it copies all elements first if a clone shares them.
///
/// ```
/// # use cnn_tensor::Tensor;
/// let mut x = Tensor::zeros([2, 2]);
/// x[[1, 0]] = 5.0;
/// assert_eq!(x.data(), [0.0, 0.0, 5.0, 0.0]);
/// ```
impl<const N: usize> IndexMut<[usize; N]> for Tensor {
    #[track_caller]
    fn index_mut(&mut self, index: [usize; N]) -> &mut f32 {
        let place = self.place(index);
        &mut self.data_mut()[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted<const N: usize>(extents: [usize; N]) -> Tensor {
        let len = extents.iter().product();
        Tensor::from_vec(extents, (0..len).map(|i| i as f32).collect()).unwrap()
    }

    /// The message that `f` panics with.
    fn panic_of(f: impl FnOnce() + std::panic::UnwindSafe) -> String {
        *std::panic::catch_unwind(f).unwrap_err().downcast().unwrap()
    }

    #[test]
    fn every_rank_has_an_index() {
        assert_eq!(counted([5])[[3]], 3.0);
        assert_eq!(counted([3, 4])[[2, 1]], 9.0);
        assert_eq!(counted([2, 3, 4])[[1, 2, 3]], 23.0);
        assert_eq!(counted([2, 3, 4, 5])[[1, 0, 2, 3]], 73.0);
        assert_eq!(counted([2, 1, 2, 1, 3])[[1, 0, 1, 0, 2]], 11.0);
        let mut x = counted([1, 2, 1, 2, 1, 2]);
        x[[0, 1, 0, 0, 0, 1]] = -1.0;
        assert_eq!(x.data(), [0.0, 1.0, 2.0, 3.0, 4.0, -1.0, 6.0, 7.0]);
    }

    #[test]
    fn a_wrong_index_is_named_with_the_shape() {
        let outside = panic_of(|| drop(counted([2, 3])[[1, 3]].to_string()));
        assert_eq!(outside, "index [1, 3] is outside of shape [2, 3]");
        let rank = panic_of(|| counted([2, 3])[[1]] = 0.0);
        assert_eq!(rank, "index [1] has 1 numbers, and shape [2, 3] has rank 2");
        let row = panic_of(|| assert!(counted([2, 3, 4]).row(6).is_empty()));
        assert_eq!(row, "row 6 of shape [2, 3, 4], which has 6 rows");
        let image = panic_of(|| assert!(counted([2, 3]).image(2).is_empty()));
        assert_eq!(image, "image 2 of shape [2, 3], which has 2 images");
    }

    #[test]
    fn images_and_rows_are_borrowed_from_where_they_are() {
        let x = counted([2, 3, 2, 2]);
        assert_eq!(x.image(1), &x.data()[12..]);
        assert_eq!(x.row(5), [10.0, 11.0]);
        assert_eq!(counted([4]).row(0).len(), 4);
        assert_eq!(
            (counted([4]).image(3), counted([]).row(0), counted([]).image(0)),
            (&[3.0][..], &[0.0][..], &[0.0][..])
        );
        assert!(counted([2, 0]).row(1).is_empty() && counted([2, 0]).image(1).is_empty());
    }
}
