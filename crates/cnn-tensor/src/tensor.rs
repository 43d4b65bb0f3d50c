//! The tensor: a shape and its numbers.

use crate::{Buffer, Shape, TensorError};
use std::fmt;

/// A dense array of `f32`, row-major and contiguous, of rank 0 to 6.
///
/// A tensor is a value: a clone never sees what is written to the original. Cloning costs a reference count,
/// because the numbers are copied only when one of two clones is written to.
///
/// ```
/// use cnn_tensor::Tensor;
/// let mut x = Tensor::from_vec([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// let before = x.clone();
/// x.data_mut()[0] = 10.0;
/// assert_eq!(before.data()[0], 1.0);
/// assert_eq!(x.reshape([3, 2])?.shape().dims(), [3, 2]);
/// # Ok::<(), cnn_tensor::TensorError>(())
/// ```
#[derive(Clone)]
pub struct Tensor {
    shape: Shape,
    buffer: Buffer<f32>,
}

impl Tensor {
    /// All zeros.
    ///
    /// # Panics
    /// The shape exceeds [`Shape::MAX_NUMEL`]; check a shape that comes from outside with [`Shape::checked`].
    pub fn zeros(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        Self { shape, buffer: Buffer::zeroed(shape.numel()) }
    }

    /// Unspecified numbers, for a caller that writes every one of them; NaN in builds with debug assertions.
    ///
    /// # Panics
    /// As [`Tensor::zeros`].
    pub fn scratch(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        Self { shape, buffer: Buffer::scratch(shape.numel()) }
    }

    /// Every element equal to `value`.
    ///
    /// # Panics
    /// As [`Tensor::zeros`].
    pub fn full(shape: impl Into<Shape>, value: f32) -> Self {
        let mut tensor = Self::scratch(shape);
        tensor.data_mut().fill(value);
        tensor
    }

    /// A tensor of the given elements, in row-major order.
    ///
    /// # Errors
    /// The number of elements is not that of the shape.
    pub fn from_vec(shape: impl Into<Shape>, elements: Vec<f32>) -> Result<Self, TensorError> {
        Self::from_slice(shape, &elements)
    }

    /// A tensor of a copy of the given elements, in row-major order.
    ///
    /// # Errors
    /// The number of elements is not that of the shape.
    pub fn from_slice(shape: impl Into<Shape>, elements: &[f32]) -> Result<Self, TensorError> {
        let shape = shape.into();
        if shape.numel() != elements.len() {
            return Err(TensorError::Elements { shape, got: elements.len() });
        }
        Ok(Self { shape, buffer: Buffer::from_slice(elements) })
    }

    /// The extents.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The elements, in row-major order.
    pub fn data(&self) -> &[f32] {
        self.buffer.as_slice()
    }

    /// The elements, to write; copies them first if a clone shares them.
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

    /// Images `start..end` of a batch, copied.
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

impl Default for Tensor {
    /// The empty tensor, of shape `[0]`.
    fn default() -> Self {
        Self::zeros([0])
    }
}

/// Equal shapes and equal elements; as for `f32`, NaN differs from itself.
impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.data() == other.data()
    }
}

/// The shape and the first elements.
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        write!(f, "Tensor{} ", self.shape)?;
        let shown = &self.data()[..self.data().len().min(SHOWN)];
        f.debug_list().entries(shown).finish()?;
        if self.data().len() > SHOWN { write!(f, " and {} more", self.data().len() - SHOWN) } else { Ok(()) }
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

    #[test]
    fn debug_output_is_short() {
        assert_eq!(format!("{:?}", Tensor::zeros([2])), "Tensor[2] [0.0, 0.0]");
        assert!(format!("{:?}", Tensor::zeros([100])).ends_with("and 92 more"));
    }
}
