//! The extents of a tensor, stored inline.

use crate::TensorError;
use std::fmt;

/// The extents of a tensor, outermost first: at most [`Shape::MAX_RANK`] of them, stored inline and `Copy`.
///
/// Images are `[n, c, h, w]`: image, channel, row, column. Feature vectors are `[n, features]`.
///
/// ```
/// use cnn_tensor::Shape;
/// let images = Shape::from([64, 1, 28, 28]);
/// assert_eq!(images.numel(), 64 * 28 * 28);
/// assert_eq!(images.to_string(), "[64, 1, 28, 28]");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Extents past `rank` are 1, so that `numel` need not look at `rank`.
    dims: [usize; Shape::MAX_RANK],
    /// As wide as an extent. A shape is copied word by word, and reading a word waits if only one byte of it was just written.
    rank: usize,
}

impl Shape {
    /// The largest number of axes.
    pub const MAX_RANK: usize = 6;

    /// The largest number of elements of a tensor: those that `isize::MAX` bytes hold.
    pub const MAX_NUMEL: usize = isize::MAX as usize / size_of::<f32>();

    /// A shape from a slice of extents.
    ///
    /// # Errors
    /// There are more than [`Shape::MAX_RANK`] extents, or their product exceeds [`Shape::MAX_NUMEL`].
    pub fn new(extents: &[usize]) -> Result<Self, TensorError> {
        if extents.len() > Self::MAX_RANK {
            return Err(TensorError::Rank { expected: "at most 6", got: extents.len() });
        }
        let mut dims = [1; Self::MAX_RANK];
        dims[..extents.len()].copy_from_slice(extents);
        Self { dims, rank: extents.len() }.checked()
    }

    /// The same shape, if a tensor can have it.
    ///
    /// # Errors
    /// The number of elements exceeds [`Shape::MAX_NUMEL`].
    #[inline]
    pub fn checked(self) -> Result<Self, TensorError> {
        if self.numel() > Self::MAX_NUMEL { Err(TensorError::TooLarge { shape: self }) } else { Ok(self) }
    }

    /// The extents, outermost first.
    #[inline]
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank]
    }

    /// The number of axes, 0 to 6.
    #[inline]
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The number of elements: the product of the extents, saturating at `usize::MAX`.
    #[inline]
    pub fn numel(&self) -> usize {
        if self.dims.contains(&0) {
            return 0;
        }
        self.dims.iter().fold(1, |product: usize, &extent| product.saturating_mul(extent))
    }

    /// The first extent, which is the number of images in a batch; 1 for a scalar.
    #[inline]
    pub fn batch(&self) -> usize {
        self.dims[0]
    }

    /// The same shape with another first extent: a batch of `n` images.
    ///
    /// ```
    /// # use cnn_tensor::Shape;
    /// assert_eq!(Shape::from([64, 10]).with_batch(3), Shape::from([3, 10]));
    /// ```
    #[must_use]
    #[inline]
    pub fn with_batch(mut self, n: usize) -> Self {
        self.dims[0] = n;
        self.rank = self.rank.max(1);
        self
    }

    /// The extents of a batch of images, `[n, c, h, w]`; `None` unless the rank is 4.
    #[inline]
    pub fn nchw(&self) -> Option<[usize; 4]> {
        self.dims().try_into().ok()
    }

    /// The extents of a matrix, `[rows, columns]`; `None` unless the rank is 2.
    #[inline]
    pub fn matrix(&self) -> Option<[usize; 2]> {
        self.dims().try_into().ok()
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    /// A shape from an array of at most six extents. A longer array does not compile.
    fn from(extents: [usize; N]) -> Self {
        const { assert!(N <= Shape::MAX_RANK, "a shape has at most 6 extents") }
        let mut dims = [1; Self::MAX_RANK];
        dims[..N].copy_from_slice(&extents);
        Self { dims, rank: N }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.dims())
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_is_part_of_equality() {
        assert_ne!(Shape::from([3]), Shape::from([3, 1]));
        assert_eq!(Shape::new(&[3, 2]).unwrap(), Shape::from([3, 2]));
    }

    #[test]
    fn sizes_that_overflow_are_errors_not_wrap_arounds() {
        let huge = Shape::from([usize::MAX, 2, 2, 2]);
        assert_eq!(huge.numel(), usize::MAX);
        assert!(matches!(huge.checked(), Err(TensorError::TooLarge { .. })));
        assert_eq!(Shape::from([usize::MAX, 0, usize::MAX]).numel(), 0);
        assert!(matches!(Shape::new(&[1; 7]), Err(TensorError::Rank { got: 7, .. })));
    }

    #[test]
    fn up_to_six_axes_are_a_shape_and_four_are_images() {
        for rank in 0..=6 {
            let shape = Shape::new(&[2; 6][..rank]).unwrap();
            assert_eq!((shape.rank(), shape.numel()), (rank, 1 << rank));
            assert_eq!(shape.nchw(), (rank == 4).then_some([2; 4]));
            assert_eq!(shape.matrix(), (rank == 2).then_some([2; 2]));
        }
        assert_ne!(Shape::from([2; 5]), Shape::from([2, 2, 2, 2, 2, 1]));
        let error = Shape::new(&[1; 7]).unwrap_err();
        assert_eq!(error.to_string(), "tensor: expected at most 6 axes, got 7");
    }

    #[test]
    fn a_scalar_has_one_element() {
        assert_eq!(Shape::from([]).numel(), 1);
        assert_eq!(Shape::from([]).rank(), 0);
    }
}
