//! Arithmetic element by element.

use super::Tensor;
use crate::TensorError;

impl Tensor {
    /// `f` of every element, called in row-major order.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// let x = Tensor::from_vec([2, 2], vec![-1.0, 2.0, -3.0, 4.0])?;
    /// assert_eq!(x.map(f32::abs).data(), [1.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), cnn_tensor::TensorError>(())
    /// ```
    #[must_use]
    pub fn map(&self, mut f: impl FnMut(f32) -> f32) -> Self {
        let mut y = Self::scratch(self.shape);
        y.data_mut().iter_mut().zip(self.data()).for_each(|(y, &x)| *y = f(x));
        y
    }

    /// `f` of every element and the element of `other` with the same index, called in row-major order.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// let (x, y) = (Tensor::full([2, 3], 5.0), Tensor::full([2, 3], 3.0));
    /// assert_eq!(x.zip_map(&y, f32::min)?, y);
    /// let error = x.zip_map(&Tensor::zeros([3, 2]), f32::min).unwrap_err();
    /// assert_eq!(error.to_string(), "tensor: expected two tensors of one shape, got [2, 3] and [3, 2]");
    /// # Ok::<(), cnn_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// The shapes differ.
    pub fn zip_map(&self, other: &Self, mut f: impl FnMut(f32, f32) -> f32) -> Result<Self, TensorError> {
        if self.shape != other.shape {
            return Err(TensorError::Shapes { left: self.shape, right: other.shape });
        }
        let mut y = Self::scratch(self.shape);
        let pairs = self.data().iter().zip(other.data());
        y.data_mut().iter_mut().zip(pairs).for_each(|(y, (&a, &b))| *y = f(a, b));
        Ok(y)
    }

    /// `self + other`, element by element.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// let (x, y) = (Tensor::full([2], 5.0), Tensor::full([2], 3.0));
    /// assert_eq!(x.plus(&y)?.data(), [8.0; 2]);
    /// # Ok::<(), cnn_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// The shapes differ.
    pub fn plus(&self, other: &Self) -> Result<Self, TensorError> {
        self.zip_map(other, |a, b| a + b)
    }

    /// `self - other`, element by element.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// let (x, y) = (Tensor::full([2], 5.0), Tensor::full([2], 3.0));
    /// assert_eq!(x.minus(&y)?.data(), [2.0; 2]);
    /// # Ok::<(), cnn_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// The shapes differ.
    pub fn minus(&self, other: &Self) -> Result<Self, TensorError> {
        self.zip_map(other, |a, b| a - b)
    }

    /// `self * other`, element by element. For products of matrices see [`gemm`](fn@crate::gemm).
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// let (x, y) = (Tensor::full([2], 5.0), Tensor::full([2], 3.0));
    /// assert_eq!(x.times(&y)?.data(), [15.0; 2]);
    /// # Ok::<(), cnn_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// The shapes differ.
    pub fn times(&self, other: &Self) -> Result<Self, TensorError> {
        self.zip_map(other, |a, b| a * b)
    }

    /// `self + number`, for every element.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// assert_eq!(Tensor::full([2], 5.0).plus_scalar(-1.0).data(), [4.0; 2]);
    /// ```
    #[must_use]
    pub fn plus_scalar(&self, number: f32) -> Self {
        self.map(|x| x + number)
    }

    /// `self * number`, for every element.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// assert_eq!(Tensor::full([2], 5.0).times_scalar(2.0).data(), [10.0; 2]);
    /// ```
    #[must_use]
    pub fn times_scalar(&self, number: f32) -> Self {
        self.map(|x| x * number)
    }

    /// The place of the largest element in row-major order; `None` if there are no elements. Of equal elements it is the first,
    /// and NaN counts as larger than any number, as in NumPy and PyTorch.
    ///
    /// ```
    /// # use cnn_tensor::Tensor;
    /// let x = Tensor::from_vec([2, 2], vec![1.0, 7.0, 3.0, 7.0])?;
    /// assert_eq!(x.argmax(), Some(1));
    /// # Ok::<(), cnn_tensor::TensorError>(())
    /// ```
    pub fn argmax(&self) -> Option<usize> {
        let larger = |a: f32, b: f32| a > b || a.is_nan() && !b.is_nan();
        let better =
            |best: (usize, f32), next: (usize, f32)| if larger(next.1, best.1) { next } else { best };
        self.iter().copied().enumerate().reduce(better).map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_element_meets_its_own() {
        let x = Tensor::from_fn([2, 3], |[i, j]| (10 * i + j) as f32);
        let y = Tensor::from_fn([2, 3], |[i, j]| (i + 2 * j) as f32);
        assert_eq!(x.plus(&y).unwrap().data(), [0.0, 3.0, 6.0, 11.0, 14.0, 17.0]);
        assert_eq!(x.minus(&y).unwrap().data(), [0.0, -1.0, -2.0, 9.0, 8.0, 7.0]);
        assert_eq!(x.times(&y).unwrap().data(), [0.0, 2.0, 8.0, 10.0, 33.0, 60.0]);
        assert_eq!(x.times_scalar(2.0).plus_scalar(1.0).data(), [1.0, 3.0, 5.0, 21.0, 23.0, 25.0]);
        assert_eq!(x.zip_map(&x, f32::max).unwrap(), x.map(|v| v));
    }

    #[test]
    fn other_shapes_are_an_error_also_with_as_many_elements() {
        let x = Tensor::zeros([2, 3]);
        for shape in [vec![3, 2], vec![6], vec![1, 2, 3], vec![2, 4]] {
            let other = Tensor::zeros(crate::Shape::new(&shape).unwrap());
            for f in [Tensor::plus, Tensor::minus, Tensor::times] {
                let error = f(&x, &other).unwrap_err().to_string();
                assert_eq!(
                    error,
                    format!("tensor: expected two tensors of one shape, got [2, 3] and {shape:?}")
                );
            }
        }
    }

    #[test]
    fn the_largest_is_the_first_of_its_kind() {
        let argmax = |numbers: &[f32]| Tensor::from_slice([numbers.len()], numbers).unwrap().argmax();
        assert_eq!(argmax(&[]), None);
        assert_eq!(argmax(&[-2.0]), Some(0));
        assert_eq!(argmax(&[1.0, 5.0, 5.0, 2.0]), Some(1));
        assert_eq!(argmax(&[f32::INFINITY, f32::NAN, 3.0, f32::NAN]), Some(1));
        assert_eq!(argmax(&[f32::NEG_INFINITY; 3]), Some(0));
    }
}
