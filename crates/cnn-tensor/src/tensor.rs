//! The tensor: a shape and its numbers.

mod combine;
mod display;
mod index;
mod make;

use crate::{Buffer, Shape, TensorError};

/// A dense array of `f32`, row-major and contiguous, of rank 0 to 6.
///
/// A tensor is a value: writing to one never changes its clones. A clone costs a reference count; the numbers are copied only
/// when a tensor that shares them is written to.
///
/// ```
/// use cnn_tensor::Tensor;
/// let mut x = Tensor::from_vec([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// let before = x.clone();
/// x[[0, 0]] = 10.0;
/// assert_eq!((x[[0, 0]], before[[0, 0]]), (10.0, 1.0));
/// assert_eq!(x.reshape([3, 2])?.to_string(), "\
/// [[10.  2.]
///  [ 3.  4.]
///  [ 5.  6.]]");
/// # Ok::<(), cnn_tensor::TensorError>(())
/// ```
#[derive(Clone)]
pub struct Tensor {
    shape: Shape,
    buffer: Buffer<f32>,
}

impl Tensor {
    /// The extents.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The elements, in row-major order.
    pub fn data(&self) -> &[f32] {
        self.buffer.as_slice()
    }

    /// The elements, to write. They are copied first if a clone shares them.
    pub fn data_mut(&mut self) -> &mut [f32] {
        self.buffer.as_mut_slice()
    }

    /// The same elements under another shape.
    ///
    /// # Errors
    /// The number of elements differs.
    pub fn reshape(self, shape: impl Into<Shape>) -> Result<Self, TensorError> {
        let shape = shape.into();
        if shape.numel() != self.shape.numel() {
            return Err(TensorError::Elements { shape, got: self.shape.numel() });
        }
        Ok(Self { shape, ..self })
    }

    /// A copy of images `start..end` of a batch: of shape `[n, c, h, w]`, a tensor of shape `[end - start, c, h, w]`. The first
    /// axis of any other shape is cut likewise.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// let x = Tensor::from_vec([3, 2], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    /// assert_eq!(x.slice_batch(1, 2).data(), [3.0, 4.0]);
    /// # Ok::<(), cnn_tensor::TensorError>(())
    /// ```
    ///
    /// # Panics
    /// The range does not lie within the batch.
    #[must_use]
    pub fn slice_batch(&self, start: usize, end: usize) -> Self {
        let n = self.shape.batch();
        assert!(start <= end && end <= n, "images {start}..{end} of a batch of {n}");
        let each = self.shape.numel().checked_div(n).unwrap_or(0);
        Self {
            shape: self.shape.with_batch(end - start),
            buffer: Buffer::from_slice(&self.data()[start * each..end * each]),
        }
    }
}

/// Equal shapes and equal elements; as for `f32`, NaN differs from itself.
impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.data() == other.data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_must_fill_the_shape() {
        let error = Tensor::from_vec([2, 3], vec![0.0; 5]).unwrap_err();
        assert_eq!(error.to_string(), "tensor: shape [2, 3] holds 6 elements, got 5");
        assert!(Tensor::zeros([2, 3]).reshape([7]).is_err());
    }

    #[test]
    fn a_part_of_a_batch_is_a_batch() {
        let x = Tensor::from_vec([3, 2], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!(x.slice_batch(1, 3), Tensor::from_vec([2, 2], vec![2.0, 3.0, 4.0, 5.0]).unwrap());
        assert_eq!(x.slice_batch(1, 1).shape().dims(), [0, 2]);
        assert_eq!(Tensor::zeros([0, 5]).slice_batch(0, 0).shape().dims(), [0, 5]);
    }
}
