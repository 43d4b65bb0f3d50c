//! 2-D max unpooling: the way back from a max pooling.
//!
//! `y[n, c, indices[n, c, h, w]] = x[n, c, h, w]`, with the last two axes of `y` read as one, and 0 elsewhere. The
//! indices are those of [`max_pool2d`](crate::max_pool2d::Saved::indices): so each maximum returns to where it was.
//!
//! **Conventions.** The size of the output is `output_size` or, without it, the smallest input of the pooling, as in
//! PyTorch's `nn.MaxUnpool2d`; that refuses sizes further from it than a stride, while here any size will do in which
//! all indices lie. Windows that overlap may share a maximum, so that an index occurs twice in a plane: then the last
//! in row-major order is written. The gradient is that of this definition: `dx = dy[indices]`, but 0 for an `x` that
//! another was written over. (PyTorch calls the forward pass indeterminate there, and gives `dy` to each of them.) NaN
//! and infinity are carried as any number.
//!
//! **Algorithm.** A scatter, and its gather, plane by plane.
//!
//! Source: M. D. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 2.1;
//! V. Badrinarayanan, A. Kendall and R. Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image
//! Segmentation", IEEE Transactions on Pattern Analysis and Machine Intelligence 39 (2017), section 3.

use crate::maxima::plane;
use crate::pooling::Pieces;
use crate::{OpError, check};
use cnn_tensor::{Shape, Tensor, parallel};
use serde::{Deserialize, Serialize};

const OP: &str = "max_unpool2d";

/// The options of a max unpooling: those of the pooling that it reverses; pairs are `[height, width]`, in elements.
///
/// ```
/// use cnn_ops::{MaxPool2d, MaxUnpool2d};
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 1, 2, 4], vec![1.0, 5.0, 2.0, 0.0, 3.0, 4.0, 8.0, 6.0])?;
/// let (maxima, saved) = MaxPool2d::new([2, 2]).forward(&x)?;
/// let op = MaxUnpool2d::new([2, 2]);
/// let y = op.forward(&maxima, saved.indices())?;
/// assert_eq!(y.data(), [0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 8.0, 0.0]);
/// assert_eq!(op.backward(maxima.shape(), saved.indices(), &x)?.data(), [5.0, 8.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxUnpool2d {
    /// The window's extents; at least 1.
    pub kernel: [usize; 2],
    /// The step from window to window; at least 1.
    pub stride: [usize; 2],
    /// Rows and columns that the pooling added on each side; at most half the kernel.
    pub padding: [usize; 2],
    /// Height and width of the output; at least 1. None: what follows from the others.
    pub output_size: Option<[usize; 2]>,
}

impl MaxUnpool2d {
    /// For windows side by side: stride equal to `kernel`, no padding, and the output that follows.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: kernel, padding: [0, 0], output_size: None }
    }

    /// The same with another stride.
    #[must_use]
    pub fn with_stride(self, stride: [usize; 2]) -> Self {
        Self { stride, ..self }
    }

    /// The same with another padding.
    #[must_use]
    pub fn with_padding(self, padding: [usize; 2]) -> Self {
        Self { padding, ..self }
    }

    /// The same with an output of that size.
    #[must_use]
    pub fn with_output_size(self, output_size: [usize; 2]) -> Self {
        Self { output_size: Some(output_size), ..self }
    }

    /// `[n, c, h, w]` to `[n, c, oh, ow]` with `[oh, ow]` of `output_size`, or `oh = (h - 1)*sh - 2*ph + kh` and `ow`
    /// likewise.
    ///
    /// # Errors
    /// An option is out of its range, `x` is not of rank 4, or the output has no elements in a plane.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        let Self { kernel, stride, padding, output_size } = *self;
        let [n, c, h, w] = check::nchw(OP, "x", x)?;
        check::at_least_1(OP, "kernel", kernel)?;
        check::at_least_1(OP, "stride", stride)?;
        if padding[0] > kernel[0] / 2 || padding[1] > kernel[1] / 2 {
            let (option, rule, got) = ("padding", "at most half the kernel", format!("{padding:?}"));
            return Err(OpError::Option { op: OP, option, rule, got });
        }
        let extent = |i: usize, windows: usize| match windows {
            0 => 0,
            _ => (windows - 1).saturating_mul(stride[i]).saturating_add(kernel[i] - 2 * padding[i]),
        };
        let size = output_size.unwrap_or([extent(0, h), extent(1, w)]);
        check::at_least_1(OP, "output_size", size)?;
        check::output(OP, [n, c, size[0], size[1]])
    }

    /// `y` of shape `[n, c, oh, ow]` from `x` of shape `[n, c, h, w]` and an index for each of its elements.
    ///
    /// # Errors
    /// Those of [`MaxUnpool2d::output_shape`]; there are not as many indices as elements; or an index is not below
    /// `oh * ow`.
    pub fn forward(&self, x: &Tensor, indices: &[u32]) -> Result<Tensor, OpError> {
        let shape = self.checked(x.shape(), indices)?;
        let mut y = Tensor::zeros(shape);
        let [x_plane, y_plane] = [plane(x.shape()), plane(shape)];
        if x.data().is_empty() {
            return Ok(y);
        }
        let pieces = Pieces::new(x_plane, y_plane);
        parallel::for_each_chunk(y.data_mut(), pieces.y, |i, y| {
            let planes = x.data()[i * pieces.x..].chunks_exact(x_plane);
            let planes = planes.zip(indices[i * pieces.x..].chunks_exact(x_plane));
            for (y, (x, indices)) in y.chunks_exact_mut(y_plane).zip(planes) {
                for (x, &index) in x.iter().zip(indices) {
                    y[index as usize] = *x;
                }
            }
        });
        Ok(y)
    }

    /// `dx` of shape `x`, `[n, c, h, w]`, from `dy` of shape `[n, c, oh, ow]` and the indices of the forward pass.
    ///
    /// # Errors
    /// Those of [`MaxUnpool2d::forward`], or `dy` does not have the shape of `y`.
    pub fn backward(&self, x: Shape, indices: &[u32], dy: &Tensor) -> Result<Tensor, OpError> {
        let shape = self.checked(x, indices)?;
        check::shape(OP, "dy", shape, dy)?;
        let mut dx = Tensor::scratch(x);
        let [x_plane, y_plane] = [plane(x), plane(shape)];
        let pieces = Pieces::new(x_plane, y_plane);
        parallel::for_each_chunk(dx.data_mut(), pieces.x, |i, dx| {
            let mut left = vec![0.0; y_plane];
            let planes = dy.data()[i * pieces.y..].chunks_exact(y_plane);
            let planes = planes.zip(indices[i * pieces.x..].chunks_exact(x_plane));
            for (dx, (dy, indices)) in dx.chunks_exact_mut(x_plane).zip(planes) {
                left.copy_from_slice(dy);
                // From the back: where an index occurs twice, the last `x` was written, and takes the gradient.
                for (dx, &index) in dx.iter_mut().zip(indices).rev() {
                    *dx = std::mem::take(&mut left[index as usize]);
                }
            }
        });
        Ok(dx)
    }

    /// The shape of `y`, if all indices lie in its planes.
    fn checked(&self, x: Shape, indices: &[u32]) -> Result<Shape, OpError> {
        let y = self.output_shape(x)?;
        let (expected, got) = (x.numel(), indices.len());
        if expected != got {
            return Err(OpError::Extent { op: OP, what: "indices", unit: "elements", expected, got });
        }
        let bound = plane(y);
        // The largest first: the compiler makes vector code of it.
        if indices.iter().max().is_some_and(|&largest| largest as usize >= bound) {
            let outside = indices.iter().enumerate().find(|&(_, &index)| index as usize >= bound);
            if let Some((element, &got)) = outside {
                return Err(OpError::Index { op: OP, what: "indices", element, bound, got: got as usize });
            }
        }
        Ok(y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MaxPool2d;
    use crate::testing::{
        any_extent, any_shape, assert_exact, assert_same_bits_on_any_threads, everywhere, whole_numbers,
    };
    use cnn_tensor::Random;
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64: `x` has planes of `x_plane` elements, `y` of `y_plane`.
    fn oracle([x_plane, y_plane]: [usize; 2], indices: &[u32], x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; x.len() / x_plane * y_plane];
        for i in 0..x.len() {
            y[i / x_plane * y_plane + indices[i] as usize] = x[i];
        }
        y
    }

    fn any_indices(count: usize, bound: usize, seed: u64) -> Vec<u32> {
        let mut random = Random::new(seed, &["indices"]);
        (0..count).map(|_| random.below(bound) as u32).collect()
    }

    /// An unpooling of an output of `size`, whatever its windows.
    fn to(size: [usize; 2]) -> MaxUnpool2d {
        MaxUnpool2d::new([2, 2]).with_output_size(size)
    }

    fn any_options() -> impl Strategy<Value = MaxUnpool2d> {
        use prop::array::uniform2;
        (uniform2(1..5usize), uniform2(1..4usize), uniform2(0..3usize), prop::option::of(uniform2(1..7usize)))
            .prop_map(|(kernel, stride, padding, output_size)| {
                let padding = [padding[0].min(kernel[0] / 2), padding[1].min(kernel[1] / 2)];
                MaxUnpool2d { kernel, stride, padding, output_size }
            })
    }

    proptest! {
        #![proptest_config(crate::testing::any_number_of_rejects())]

        /// Indices at random, so that many occur twice.
        #[test]
        fn matches_the_definition(op in any_options(), n in 1..3usize, c in 1..3usize, h in 1..4usize, w in 1..4usize,
                                  seed: u64) {
            let x = distinct([n, c, h, w], seed);
            let Ok(shape) = op.output_shape(x.shape()) else { return Ok(()) };
            let planes = [h * w, plane(shape)];
            let indices = any_indices(n * c * h * w, planes[1], seed);
            let dy = distinct(shape, seed ^ 1);
            let y = oracle(planes, &indices, &to_f64(&x));
            let want_dx = gradient_of(&x, &dy, |x| oracle(planes, &indices, x));
            everywhere(|| {
                assert_close(&op.forward(&x, &indices).unwrap(), &y);
                assert_gradient_close("dx", &op.backward(x.shape(), &indices, &dy).unwrap(), &want_dx);
            });
        }

        #[test]
        fn whole_numbers_are_exact(n in 1..3usize, c in 1..4usize, extents in prop::array::uniform4(1..12usize),
                                   seed: u64) {
            let [h, w, oh, ow] = extents;
            let (x, dy) = (whole_numbers([n, c, h, w], 9, seed), whole_numbers([n, c, oh, ow], 9, seed ^ 1));
            let indices = any_indices(n * c * h * w, oh * ow, seed);
            let want = oracle([h * w, oh * ow], &indices, &to_f64(&x));
            let last = |i: usize| !indices[i + 1..(i / (h * w) + 1) * h * w].contains(&indices[i]);
            let dy_of = |i: usize| dy.data()[i / (h * w) * oh * ow + indices[i] as usize];
            let want_dx = (0..indices.len()).map(|i| if last(i) { f64::from(dy_of(i)) } else { 0.0 });
            let want_dx: Vec<f64> = want_dx.collect();
            everywhere(|| {
                assert_exact("y", &to([oh, ow]).forward(&x, &indices).unwrap(), &want);
                assert_exact("dx", &to([oh, ow]).backward(x.shape(), &indices, &dy).unwrap(), &want_dx);
            });
        }

        /// Pooling after unpooling changes nothing where the numbers are positive.
        #[test]
        fn unpooling_reverses_pooling(n in 1..3usize, c in 1..3usize, h in 1..9usize, w in 1..9usize,
                                      kernel in prop::array::uniform2(1..4usize), ceil_mode: bool, seed: u64) {
            let pool = MaxPool2d::new(kernel).with_ceil_mode(ceil_mode);
            let mut x = whole_numbers([n, c, h, w], 9, seed);
            x.data_mut().iter_mut().for_each(|x| *x = x.abs());
            let Ok((y, saved)) = pool.forward(&x) else { return Ok(()) };
            let back = MaxUnpool2d::new(kernel).with_output_size([h, w]).forward(&y, saved.indices()).unwrap();
            prop_assert_eq!(pool.forward(&back).unwrap().0, y);
        }

        /// No options, however absurd, make the shape rule panic or take memory.
        #[test]
        fn absurd_options_are_errors(kernel in [any_extent(), any_extent()], stride in [any_extent(), any_extent()],
                                     padding in [any_extent(), any_extent()],
                                     size in prop::option::of([any_extent(), any_extent()]), x in any_shape()) {
            let op = MaxUnpool2d { kernel, stride, padding, output_size: size };
            let Ok(y) = op.output_shape(x) else { return Ok(()) };
            if x.numel().max(y.numel()) < 100_000 {
                let indices = vec![0; x.numel()];
                prop_assert_eq!(op.forward(&Tensor::zeros(x), &indices).unwrap().shape(), y);
                prop_assert_eq!(op.backward(x, &indices, &Tensor::zeros(y)).unwrap().shape(), x);
            }
        }
    }

    #[test]
    fn the_last_of_equal_indices_is_written_and_takes_the_gradient() {
        let x = Tensor::from_vec([1, 1, 1, 4], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        let (op, indices) = (to([1, 4]), [2, 0, 2, 3]);
        assert_eq!(op.forward(&x, &indices).unwrap().data(), [2.0, 0.0, 3.0, 4.0]);
        let dy = Tensor::from_vec([1, 1, 1, 4], vec![10.0, 20.0, 30.0, 40.0]).unwrap();
        assert_eq!(op.backward(x.shape(), &indices, &dy).unwrap().data(), [0.0, 10.0, 30.0, 40.0]);
    }

    #[test]
    fn the_output_follows_from_the_windows_unless_its_size_is_given() {
        let op = MaxUnpool2d::new([3, 2]).with_stride([2, 3]).with_padding([1, 0]);
        let size = |op: MaxUnpool2d| op.output_shape([1, 2, 3, 4].into()).unwrap();
        assert_eq!(size(op), Shape::from([1, 2, 5, 11]));
        assert_eq!(size(op.with_output_size([6, 11])), Shape::from([1, 2, 6, 11]));
    }

    #[test]
    fn nan_and_infinity_are_carried() {
        let x = Tensor::from_vec([1, 1, 1, 2], vec![f32::NAN, f32::NEG_INFINITY]).unwrap();
        let y = to([1, 3]).forward(&x, &[2, 0]).unwrap();
        assert!(y.data()[2].is_nan());
        assert_eq!(y.data()[..2], [f32::NEG_INFINITY, 0.0]);
        let dx = to([1, 2]).backward(x.shape(), &[0, 1], &x).unwrap();
        assert!(dx.data()[0].is_nan() && dx.data()[1] == f32::NEG_INFINITY);
    }

    #[test]
    fn an_empty_batch_or_plane_unpools_to_zeros() {
        for (x, y) in
            [([0, 3, 2, 2], [0, 3, 4, 4]), ([2, 3, 0, 2], [2, 3, 4, 4]), ([2, 0, 2, 2], [2, 0, 4, 4])]
        {
            let op = to([4, 4]);
            assert_eq!(op.forward(&Tensor::zeros(x), &[]).unwrap(), Tensor::zeros(y));
            assert_eq!(op.backward(x.into(), &[], &Tensor::zeros(y)).unwrap(), Tensor::zeros(x));
        }
    }

    #[test]
    fn threads_change_nothing() {
        let x = distinct([5, 3, 75, 76], 0);
        let indices = any_indices(x.data().len(), 150 * 152, 1);
        assert_same_bits_on_any_threads(|| {
            let y = MaxUnpool2d::new([2, 2]).forward(&x, &indices).unwrap();
            let dy = distinct(y.shape(), 2);
            vec![MaxUnpool2d::new([2, 2]).backward(x.shape(), &indices, &dy).unwrap(), y]
        });
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |op: MaxUnpool2d, x: Shape| op.output_shape(x).unwrap_err().to_string();
        let (op, x) = (MaxUnpool2d::new([2, 2]), Shape::from([1, 1, 2, 2]));
        assert_eq!(message(op, [4].into()), "max_unpool2d: x expects [n, c, h, w], got shape [4]");
        let kernel = message(MaxUnpool2d::new([0, 1]), x);
        assert_eq!(kernel, "max_unpool2d: kernel must be at least 1, got [0, 1]");
        let stride = message(op.with_stride([1, 0]), x);
        assert_eq!(stride, "max_unpool2d: stride must be at least 1, got [1, 0]");
        let padding = message(op.with_padding([2, 1]), x);
        assert_eq!(padding, "max_unpool2d: padding must be at most half the kernel, got [2, 1]");
        let size = message(op.with_output_size([4, 0]), x);
        assert_eq!(size, "max_unpool2d: output_size must be at least 1, got [4, 0]");
        let none = message(op.with_padding([1, 1]), [1, 1, 1, 0].into());
        assert_eq!(none, "max_unpool2d: output_size must be at least 1, got [0, 0]");
        let large = message(op.with_output_size([1 << 15, 1 << 14]), x);
        assert_eq!(
            large,
            "max_unpool2d: the output must be at most 2^28 elements for one image, got [1, 1, 32768, 16384]"
        );
        let x = Tensor::zeros(x);
        let few = op.forward(&x, &[0; 3]).unwrap_err();
        assert_eq!(few.to_string(), "max_unpool2d: indices expects 4 elements, got 3");
        let outside = op.forward(&x, &[0, 15, 16, 99]).unwrap_err();
        assert_eq!(outside.to_string(), "max_unpool2d: indices[2] must be below 16, got 16");
        assert_eq!(
            op.backward(x.shape(), &[0, 15, 16, 99], &Tensor::zeros([1, 1, 4, 4])).unwrap_err(),
            outside
        );
        let dy = op.backward(x.shape(), &[0; 4], &x).unwrap_err();
        assert_eq!(dy.to_string(), "max_unpool2d: dy expects shape [1, 1, 4, 4], got [1, 1, 2, 2]");
    }
}
