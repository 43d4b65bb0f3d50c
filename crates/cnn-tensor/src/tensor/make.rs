//! Making tensors, and taking their numbers back.

use super::Tensor;
use crate::{Buffer, Random, Shape, TensorError};

impl Tensor {
    /// All zeros.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// assert_eq!(Tensor::zeros([2, 3]).data(), [0.0; 6]);
    /// ```
    ///
    /// # Panics
    /// The shape exceeds [`Shape::MAX_NUMEL`]; check a shape that comes from outside with [`Shape::checked`].
    pub fn zeros(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        Self { shape, buffer: Buffer::zeroed(shape.numel()) }
    }

    /// Unspecified numbers, for a caller that writes all of them. In builds with debug assertions they are NaN.
    ///
    /// # Panics
    /// As [`Tensor::zeros`].
    pub fn scratch(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        Self { shape, buffer: Buffer::scratch(shape.numel()) }
    }

    /// Every element equal to `value`.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// assert_eq!(Tensor::full([2, 2], 0.5).data(), [0.5; 4]);
    /// ```
    ///
    /// # Panics
    /// As [`Tensor::zeros`].
    pub fn full(shape: impl Into<Shape>, value: f32) -> Self {
        let mut tensor = Self::scratch(shape);
        tensor.data_mut().fill(value);
        tensor
    }

    /// The element at each index is `f` of that index, called in row-major order.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// let table = Tensor::from_fn([2, 3], |[row, col]| (10 * row + col) as f32);
    /// assert_eq!(table.data(), [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
    /// ```
    ///
    /// # Panics
    /// As [`Tensor::zeros`].
    pub fn from_fn<const N: usize>(extents: [usize; N], mut f: impl FnMut([usize; N]) -> f32) -> Self {
        let mut tensor = Self::scratch(extents);
        let mut index = [0; N];
        for element in tensor.data_mut() {
            *element = f(index);
            for (i, extent) in index.iter_mut().zip(extents).rev() {
                *i += 1;
                if *i < extent {
                    break;
                }
                *i = 0;
            }
        }
        tensor
    }

    /// Random numbers from the normal distribution of mean 0 and standard deviation 1.
    ///
    /// ```
    /// # use cnn_tensor::{Random, Tensor};
    /// let x = Tensor::randn([100, 100], &mut Random::new(0, &["x"]));
    /// assert!(x.iter().sum::<f32>().abs() < 300.0);
    /// assert_eq!(x, Tensor::randn([100, 100], &mut Random::new(0, &["x"])));
    /// ```
    ///
    /// # Panics
    /// As [`Tensor::zeros`].
    pub fn randn(shape: impl Into<Shape>, random: &mut Random) -> Self {
        let mut tensor = Self::scratch(shape);
        random.fill_normal(1.0, tensor.data_mut());
        tensor
    }

    /// A tensor of the given elements, in row-major order. They are not copied: the tensor keeps the memory of the `Vec`.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// let x = Tensor::from_vec([2, 2], vec![1.0, 2.0, 3.0, 4.0])?;
    /// assert_eq!(x[[1, 0]], 3.0);
    /// let error = Tensor::from_vec([2, 2], vec![1.0]).unwrap_err();
    /// assert_eq!(error.to_string(), "tensor: shape [2, 2] holds 4 elements, got 1");
    /// # Ok::<(), cnn_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// The number of elements is not that of the shape.
    pub fn from_vec(shape: impl Into<Shape>, elements: Vec<f32>) -> Result<Self, TensorError> {
        let shape = filled(shape.into(), elements.len())?;
        Ok(Self { shape, buffer: Buffer::from_vec(elements) })
    }

    /// A tensor of a copy of the given elements, in row-major order.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// assert_eq!(Tensor::from_slice([2], &[1.0, 2.0])?.data(), [1.0, 2.0]);
    /// # Ok::<(), cnn_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// The number of elements is not that of the shape.
    pub fn from_slice(shape: impl Into<Shape>, elements: &[f32]) -> Result<Self, TensorError> {
        let shape = filled(shape.into(), elements.len())?;
        Ok(Self { shape, buffer: Buffer::from_slice(elements) })
    }

    /// The elements, in row-major order. They are copied, except where the tensor was made by [`Tensor::from_vec`] and shares
    /// them with no clone: then it is the `Vec` given there.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// let elements = vec![1.0, 2.0, 3.0, 4.0];
    /// let place = elements.as_ptr();
    /// let mut x = Tensor::from_vec([2, 2], elements)?;
    /// x[[0, 1]] = 7.0;
    /// let elements = x.into_vec();
    /// assert_eq!((elements.as_ptr(), &elements[..]), (place, &[1.0, 7.0, 3.0, 4.0][..]));
    /// # Ok::<(), cnn_tensor::TensorError>(())
    /// ```
    pub fn into_vec(self) -> Vec<f32> {
        self.buffer.into_vec()
    }
}

/// The shape, if it holds `got` elements.
fn filled(shape: Shape, got: usize) -> Result<Shape, TensorError> {
    if shape.numel() == got { Ok(shape) } else { Err(TensorError::Elements { shape, got }) }
}

impl Default for Tensor {
    /// The empty tensor, of shape `[0]`.
    fn default() -> Self {
        Self::zeros([0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_must_fill_the_shape() {
        let error = Tensor::from_vec([2, 3], vec![0.0; 5]).unwrap_err();
        assert_eq!(error.to_string(), "tensor: shape [2, 3] holds 6 elements, got 5");
        assert!(Tensor::from_slice([2, 3], &[0.0; 7]).is_err());
    }

    #[test]
    fn a_function_sees_every_index_once_in_order() {
        let mut seen = Vec::new();
        let x = Tensor::from_fn([2, 1, 3, 2], |index| {
            seen.push(index);
            seen.len() as f32
        });
        assert_eq!((seen[0], seen[1], seen[2], seen[11]), ([0; 4], [0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 2, 1]));
        assert!(seen.is_sorted() && seen.len() == 12);
        assert!(seen.iter().enumerate().all(|(i, &index)| x[index] == (i + 1) as f32));
        assert_eq!(Tensor::from_fn([2, 0], |_| unreachable!("there are no elements")).shape().dims(), [2, 0]);
        assert_eq!(Tensor::from_fn([], |[]| 3.0).data(), [3.0]);
    }

    #[test]
    fn numbers_come_back() {
        for len in [0, 1, 100] {
            let numbers: Vec<f32> = (0..len).map(|i| i as f32).collect();
            assert_eq!(Tensor::from_vec([len], numbers.clone()).unwrap().into_vec(), numbers);
            assert_eq!(Tensor::from_slice([len], &numbers).unwrap().into_vec(), numbers);
            let x = Tensor::from_vec([len], numbers.clone()).unwrap();
            let mut shared = x.clone();
            shared.data_mut().fill(-1.0);
            assert_eq!((x.into_vec(), shared.into_vec()), (numbers, vec![-1.0; len]));
        }
    }
}
