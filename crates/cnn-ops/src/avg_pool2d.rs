//! 2-D average pooling.
//!
//! `y[n, c, oh, ow] = sum over (kh, kw) of x[n, c, oh*sh + kh - ph, ow*sw + kw - pw] / count`, where positions outside
//! the input add 0. `count` is the window's `kh * kw` elements, or, without `count_include_pad`, only those of them
//! that lie on the input.
//!
//! **Conventions.** Those of PyTorch's `nn.AvgPool2d`, of which this is the case `ceil_mode = false` without
//! `divisor_override`. A NaN or infinity reaches exactly the windows that contain it.
//!
//! **Algorithm.** Row by row of the output, one pass for each element of the window over all windows of the row; each
//! sum runs in row-major order.
//!
//! Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to Document Recognition",
//! Proceedings of the IEEE 86 (1998), section II.B, whose sub-sampling layers average (and then scale and shift).

use crate::pooling::{Axis, Tap, Windows};
use crate::{OpError, check};
use cnn_tensor::{Shape, Tensor, parallel};
use serde::{Deserialize, Serialize};

const OP: &str = "avg_pool2d";

/// The options of an average pooling; pairs are `[height, width]`, in elements.
///
/// ```
/// use cnn_ops::AvgPool2d;
/// use cnn_tensor::Tensor;
/// let op = AvgPool2d::new([2, 2]);
/// let x = Tensor::from_vec([1, 1, 2, 4], vec![1.0, 5.0, 2.0, 0.0, 2.0, 4.0, 8.0, 6.0])?;
/// assert_eq!(op.forward(&x)?.data(), [3.0, 4.0]);
/// let dx = op.backward(x.shape(), &Tensor::full([1, 1, 1, 2], 1.0))?;
/// assert_eq!(dx.data(), [0.25; 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool2d {
    /// The window's extents; at least 1.
    pub kernel: [usize; 2],
    /// The step from window to window; at least 1.
    pub stride: [usize; 2],
    /// Rows and columns of zeros added on each side; at most half the kernel.
    pub padding: [usize; 2],
    /// Whether padding counts as elements of the mean.
    pub count_include_pad: bool,
}

impl AvgPool2d {
    /// Windows side by side: stride equal to `kernel`, no padding. Padding added later counts, as in PyTorch.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: kernel, padding: [0, 0], count_include_pad: true }
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

    /// The same with padding counted or not.
    #[must_use]
    pub fn with_count_include_pad(self, count_include_pad: bool) -> Self {
        Self { count_include_pad, ..self }
    }

    /// `[n, c, h, w]` to `[n, c, oh, ow]` with `oh = (h + 2*ph - kh) / sh + 1`, rounded down, and `ow` likewise.
    ///
    /// # Errors
    /// An option is out of its range, `x` is not of rank 4, or a window does not fit the padded input.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        Ok(self.windows(x)?.y)
    }

    /// `y` of shape `[n, c, oh, ow]` from `x` of shape `[n, c, h, w]`. The backward pass needs only the shape of `x`.
    ///
    /// # Errors
    /// Those of [`AvgPool2d::output_shape`].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, OpError> {
        let windows = self.windows(x.shape())?;
        let mut y = Tensor::scratch(windows.y);
        let planes = windows.planes_per_chunk();
        let (x_chunk, y_chunk) = (planes * windows.x_plane(), planes * windows.y_plane());
        parallel::for_each_chunk(y.data_mut(), y_chunk, |i, y| {
            self.forward_planes(&windows, &x.data()[i * x_chunk..], y);
        });
        Ok(y)
    }

    /// `dx` of shape `x`, `[n, c, h, w]`, from `dy` of shape `[n, c, oh, ow]`.
    ///
    /// # Errors
    /// Those of [`AvgPool2d::output_shape`], or `dy` does not have the shape of `y`.
    pub fn backward(&self, x: Shape, dy: &Tensor) -> Result<Tensor, OpError> {
        let windows = self.windows(x)?;
        check::shape(OP, "dy", windows.y, dy)?;
        let mut dx = Tensor::scratch(x);
        let planes = windows.planes_per_chunk();
        let (x_chunk, y_chunk) = (planes * windows.x_plane(), planes * windows.y_plane());
        parallel::for_each_chunk(dx.data_mut(), x_chunk, |i, dx| {
            self.backward_planes(&windows, &dy.data()[i * y_chunk..], dx);
        });
        Ok(dx)
    }

    fn windows(&self, x: Shape) -> Result<Windows, OpError> {
        Windows::new(OP, x, [self.kernel, self.stride, self.padding])
    }

    /// Pools the planes of `y`, the first of which belongs to the first of `x`.
    fn forward_planes(&self, windows: &Windows, x: &[f32], y: &mut [f32]) {
        let Windows { rows, cols, .. } = windows;
        let (taps, counts) = (cols.taps(), self.counts(cols));
        for (x, y) in x.chunks_exact(windows.x_plane()).zip(y.chunks_exact_mut(windows.y_plane())) {
            for (at, y) in y.chunks_exact_mut(cols.positions).enumerate() {
                y.fill(0.0);
                for x in x.chunks_exact(cols.extent).take(rows.window(at).end).skip(rows.window(at).start) {
                    for Tap { windows, start } in &taps {
                        let x = x[*start..].iter().step_by(cols.stride);
                        y[windows.clone()].iter_mut().zip(x).for_each(|(y, x)| *y += x);
                    }
                }
                let count = self.count(rows, at);
                y.iter_mut().zip(&counts).for_each(|(y, in_row)| *y /= count * in_row);
            }
        }
    }

    /// Shares each `dy` among the elements of its window, plane by plane.
    fn backward_planes(&self, windows: &Windows, dy: &[f32], dx: &mut [f32]) {
        let Windows { rows, cols, .. } = windows;
        let (taps, counts) = (cols.taps(), self.counts(cols));
        let mut shares = vec![0.0; cols.positions];
        dx.fill(0.0);
        for (dx, dy) in dx.chunks_exact_mut(windows.x_plane()).zip(dy.chunks_exact(windows.y_plane())) {
            for (at, dy) in dy.chunks_exact(cols.positions).enumerate() {
                let count = self.count(rows, at);
                for ((share, dy), in_row) in shares.iter_mut().zip(dy).zip(&counts) {
                    *share = dy / (count * in_row);
                }
                for row in rows.window(at) {
                    let dx = &mut dx[row * cols.extent..][..cols.extent];
                    for Tap { windows, start } in &taps {
                        let dx = dx[*start..].iter_mut().step_by(cols.stride);
                        dx.zip(&shares[windows.clone()]).for_each(|(dx, share)| *dx += share);
                    }
                }
            }
        }
    }

    /// What window `at` along one axis contributes to `count`, the product over both.
    fn count(&self, axis: &Axis, at: usize) -> f32 {
        (if self.count_include_pad { axis.kernel } else { axis.window(at).len() }) as f32
    }

    fn counts(&self, axis: &Axis) -> Vec<f32> {
        (0..axis.positions).map(|at| self.count(axis, at)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_same_bits_on_any_threads, at_every_level};
    use cnn_tensor::testing::{assert_close, assert_gradient, distinct, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(op: AvgPool2d, [n, c, h, w]: [usize; 4], x: &[f64]) -> Vec<f64> {
        let [_, _, oh, ow] = op.output_shape([n, c, h, w].into()).unwrap().nchw().unwrap();
        let mut y = vec![];
        for plane in 0..n * c {
            for i in 0..oh * ow {
                let (mut sum, mut count) = (0.0, 0.0);
                for a in 0..op.kernel[0] {
                    for b in 0..op.kernel[1] {
                        let row = (i / ow * op.stride[0] + a).wrapping_sub(op.padding[0]);
                        let col = (i % ow * op.stride[1] + b).wrapping_sub(op.padding[1]);
                        let inside = row < h && col < w;
                        sum += if inside { x[(plane * h + row) * w + col] } else { 0.0 };
                        count += if inside || op.count_include_pad { 1.0 } else { 0.0 };
                    }
                }
                y.push(sum / count);
            }
        }
        y
    }

    proptest! {
        #![proptest_config(crate::testing::any_number_of_rejects())]

        #[test]
        fn matches_the_definition(kernel in prop::array::uniform2(1..5usize),
                                  stride in prop::array::uniform2(1..5usize),
                                  padding in prop::array::uniform2(0..3usize), count_include_pad: bool,
                                  n in 1..3usize, c in 1..4usize, h in 1..9usize, w in 1..9usize, seed: u64) {
            let padding = [padding[0].min(kernel[0] / 2), padding[1].min(kernel[1] / 2)];
            let op = AvgPool2d { kernel, stride, padding, count_include_pad };
            let shape = [n, c, h, w];
            prop_assume!(op.output_shape(shape.into()).is_ok());
            let x = distinct(shape, seed);
            at_every_level(|| {
                let y = op.forward(&x).unwrap();
                assert_close(&y, &oracle(op, shape, &to_f64(&x)));
                let dy = distinct(y.shape(), seed ^ 1);
                let dx = op.backward(x.shape(), &dy).unwrap();
                assert_gradient("dx", &x, &dx, &dy, |x| oracle(op, shape, x));
            });
        }
    }

    #[test]
    fn padding_counts_unless_told_otherwise() {
        let op = AvgPool2d::new([1, 2]).with_padding([0, 1]);
        let x = Tensor::from_vec([1, 1, 1, 2], vec![4.0, 8.0]).unwrap();
        assert_eq!(op.forward(&x).unwrap().data(), [2.0, 4.0]);
        assert_eq!(op.with_count_include_pad(false).forward(&x).unwrap().data(), [4.0, 8.0]);
    }

    #[test]
    fn nan_and_infinity_stay_in_their_windows() {
        let x = Tensor::from_vec([1, 1, 1, 6], vec![f32::NAN, 0.0, 1.0, 2.0, f32::INFINITY, 0.0]).unwrap();
        let y = AvgPool2d::new([1, 2]).forward(&x).unwrap();
        assert!(y.data()[0].is_nan());
        assert_eq!(y.data()[1..], [1.5, f32::INFINITY]);
    }

    #[test]
    fn an_empty_batch_pools_to_an_empty_batch() {
        let op = AvgPool2d::new([2, 2]);
        let y = op.forward(&Tensor::zeros([0, 3, 4, 4])).unwrap();
        assert_eq!(y.shape(), Shape::from([0, 3, 2, 2]));
        assert_eq!(op.backward([0, 3, 4, 4].into(), &y).unwrap().shape(), Shape::from([0, 3, 4, 4]));
    }

    #[test]
    fn threads_change_nothing() {
        let x = distinct([5, 3, 150, 151], 0);
        let op = AvgPool2d::new([3, 3]).with_stride([2, 2]);
        assert_same_bits_on_any_threads(|| {
            let y = op.forward(&x).unwrap();
            let dx = op.backward(x.shape(), &distinct(y.shape(), 1)).unwrap();
            vec![y, dx]
        });
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |op: AvgPool2d, x: Shape| op.output_shape(x).unwrap_err().to_string();
        let (op, x) = (AvgPool2d::new([3, 3]), Shape::from([1, 1, 2, 5]));
        assert_eq!(message(op, [4].into()), "avg_pool2d: x expects [n, c, h, w], got shape [4]");
        assert_eq!(
            message(op, x),
            "avg_pool2d: a window of 3 with padding 0 does not fit an input extent of 2"
        );
        let no_kernel = message(AvgPool2d::new([2, 0]), x);
        assert_eq!(no_kernel, "avg_pool2d: kernel must be at least 1, got [2, 0]");
        assert_eq!(message(op.with_stride([0, 1]), x), "avg_pool2d: stride must be at least 1, got [0, 1]");
        let padding = message(op.with_padding([2, 1]), x);
        assert_eq!(padding, "avg_pool2d: padding must be at most half the kernel, got [2, 1]");
        let error = AvgPool2d::new([2, 2]).backward(x, &Tensor::zeros([1, 1, 2, 5])).unwrap_err();
        assert_eq!(error.to_string(), "avg_pool2d: dy expects shape [1, 1, 1, 2], got [1, 1, 2, 5]");
    }
}
