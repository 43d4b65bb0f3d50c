//! 2-D average pooling.
//!
//! `y[n, c, oh, ow] = sum over (kh, kw) of x[n, c, oh*sh + kh*dh - ph, ow*sw + kw*dw - pw] / count`, where positions outside
//! the input add 0. `count` is the window's `kh * kw` elements, or, without `count_include_pad`, only those of them
//! that lie on the input; or `divisor_override` for all windows.
//!
//! **Conventions.** Those of PyTorch's `nn.AvgPool2d`. With `ceil_mode` one more window may hang over the end, if it
//! begins before the padding there; what lies beyond the padding is never counted. A NaN or infinity reaches exactly the
//! windows that contain it. Beyond PyTorch, padding may differ from side to side and be larger than the kernel (`ph` and `pw`
//! are those above and to the left), and windows may be dilated. A window on padding alone is 0.
//!
//! **Algorithm.** Row by row of the output, one pass for each element of the window over all windows of the row; each
//! sum runs in row-major order. Windows of 2 x 2 elements side by side have a path of their own, in vectors that are taken
//! apart into even and odd columns (`avg_pool2d/pairs.rs`). Dilated windows, which are rare, are summed one by one.
//!
//! Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to Document Recognition",
//! Proceedings of the IEEE 86 (1998), section II.B, whose sub-sampling layers average (and then scale and shift).

mod pairs;

use crate::shared::check;
use crate::shared::pooling::{Axis, Options, Tap, Windows};
use crate::{OpError, Padding, Pair};
use cnn_tensor::simd::Level;
use cnn_tensor::{Recycled, Shape, Tensor, parallel};
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
///
/// In a description, all but `kernel` may be left out: `{"kernel": [3, 3], "stride": [2, 2]}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Description")]
pub struct AvgPool2d {
    /// The window's extents; at least 1.
    pub kernel: [usize; 2],
    /// The step from window to window; at least 1.
    pub stride: [usize; 2],
    /// Rows and columns of zeros added on each side.
    pub padding: Padding,
    /// The step from tap to tap within a window; at least 1.
    pub dilation: [usize; 2],
    /// Whether the number of windows is rounded up, so that the last may hang over the end.
    pub ceil_mode: bool,
    /// Whether padding counts as elements of the mean.
    pub count_include_pad: bool,
    /// Divides the sums instead of the number of elements; at least 1.
    pub divisor_override: Option<usize>,
}

/// [`AvgPool2d`] as files have it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    kernel: [usize; 2],
    stride: Option<[usize; 2]>,
    #[serde(default)]
    padding: Padding,
    dilation: Option<[usize; 2]>,
    #[serde(default)]
    ceil_mode: bool,
    count_include_pad: Option<bool>,
    divisor_override: Option<usize>,
}

impl From<Description> for AvgPool2d {
    fn from(description: Description) -> Self {
        let Description { kernel, stride, padding, dilation, ceil_mode, count_include_pad, divisor_override } =
            description;
        let (stride, dilation) = (stride.unwrap_or(kernel), dilation.unwrap_or([1, 1]));
        let count_include_pad = count_include_pad.unwrap_or(true);
        Self { kernel, stride, padding, dilation, ceil_mode, count_include_pad, divisor_override }
    }
}

impl AvgPool2d {
    /// Windows side by side: stride equal to `kernel`, no padding. Padding added later counts, as in PyTorch.
    pub fn new(kernel: impl Pair) -> Self {
        let kernel = kernel.pair();
        Self {
            kernel,
            stride: kernel,
            padding: Padding::default(),
            dilation: [1, 1],
            ceil_mode: false,
            count_include_pad: true,
            divisor_override: None,
        }
    }

    /// Sets the stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self { stride: stride.pair(), ..self }
    }

    /// Sets the padding: a number for all sides, `[height, width]`, `[[top, bottom], [left, right]]`, or a [`Padding`].
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// Sets the dilation.
    #[must_use]
    pub fn dilation(self, dilation: impl Pair) -> Self {
        Self { dilation: dilation.pair(), ..self }
    }

    /// Sets whether padding counts in the mean.
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        Self { count_include_pad, ..self }
    }

    /// Sets whether the number of windows is rounded up.
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Self { ceil_mode, ..self }
    }

    /// Divides the sums by `divisor` instead of the number of elements.
    #[must_use]
    pub fn divisor_override(self, divisor: usize) -> Self {
        Self { divisor_override: Some(divisor), ..self }
    }

    /// `[n, c, h, w]` to `[n, c, oh, ow]` with `oh = (h + padding - dh*(kh - 1) - 1) / sh + 1`, rounded down or, with `ceil_mode`, up,
    /// and `ow` likewise.
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
        let [x_chunk, y_chunk] = windows.chunks();
        let (level, pairs) = (Level::current(), self.divisor_of_pairs(&windows));
        parallel::for_each_chunk(y.data_mut(), y_chunk, |i, y| {
            let x = &x.data()[i * x_chunk..];
            match pairs {
                Some(divisor) => pairs::forward(level, divisor, &windows, x, y),
                None => self.forward_planes(&windows, x, y),
            }
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
        let mut dx = Tensor::scratch(check::gradient(OP, x)?);
        let [x_chunk, y_chunk] = windows.chunks();
        let (level, pairs) = (Level::current(), self.divisor_of_pairs(&windows));
        parallel::for_each_chunk(dx.data_mut(), x_chunk, |i, dx| {
            let dy = &dy.data()[i * y_chunk..];
            match pairs {
                Some(divisor) => pairs::backward(level, divisor, &windows, dy, dx),
                None => self.backward_planes(&windows, dy, dx),
            }
        });
        Ok(dx)
    }

    fn windows(&self, x: Shape) -> Result<Windows, OpError> {
        let Self { kernel, stride, padding, dilation, ceil_mode, divisor_override, .. } = *self;
        if divisor_override == Some(0) {
            let (option, rule) = ("divisor_override", "at least 1");
            return Err(OpError::Option { op: OP, option, rule, got: "0".into() });
        }
        Windows::new(OP, x, Options { kernel, stride, padding, dilation, ceil_mode })
    }

    /// The divisor of the sums, if all windows are 2 x 2 elements of the input, side by side.
    fn divisor_of_pairs(&self, windows: &Windows) -> Option<f32> {
        let fits = [&windows.rows, &windows.cols].iter().all(|axis| {
            let sides_touch = (axis.kernel, axis.stride, axis.before, axis.dilation) == (2, 2, 0, 1);
            sides_touch && axis.complete() == (0..axis.positions)
        });
        fits.then(|| self.divisor_override.unwrap_or(4) as f32)
    }

    /// Pools the planes of `y`, the first of which belongs to the first of `x`.
    fn forward_planes(&self, windows: &Windows, x: &[f32], y: &mut [f32]) {
        let Windows { rows, cols, .. } = windows;
        if [rows.dilation, cols.dilation] != [1, 1] {
            return self.forward_dilated(windows, x, y);
        }
        let (taps, counts) = (cols.taps(), self.counts(rows, cols));
        for (x, y) in x.chunks_exact(windows.x_plane()).zip(y.chunks_exact_mut(windows.y_plane())) {
            for (at, y) in y.chunks_exact_mut(cols.positions).enumerate() {
                y.fill(0.0);
                for x in x.chunks_exact(cols.extent).take(rows.window(at).end).skip(rows.window(at).start) {
                    for Tap { windows, start } in &taps {
                        let x = x[*start..].iter().step_by(cols.stride);
                        y[windows.clone()].iter_mut().zip(x).for_each(|(y, x)| *y += x);
                    }
                }
                let count = counts.rows[at];
                y.iter_mut().zip(&counts.cols).for_each(|(y, in_row)| *y /= count * in_row);
            }
        }
    }

    /// Shares each `dy` among the elements of its window, plane by plane.
    fn backward_planes(&self, windows: &Windows, dy: &[f32], dx: &mut [f32]) {
        let Windows { rows, cols, .. } = windows;
        if [rows.dilation, cols.dilation] != [1, 1] {
            return self.backward_dilated(windows, dy, dx);
        }
        let (taps, counts) = (cols.taps(), self.counts(rows, cols));
        let mut shares = Recycled::filled(0.0, cols.positions);
        dx.fill(0.0);
        for (dx, dy) in dx.chunks_exact_mut(windows.x_plane()).zip(dy.chunks_exact(windows.y_plane())) {
            for (at, dy) in dy.chunks_exact(cols.positions).enumerate() {
                let count = counts.rows[at];
                for ((share, dy), in_row) in shares.iter_mut().zip(dy).zip(&counts.cols) {
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

    /// [`AvgPool2d::forward_planes`], window by window.
    fn forward_dilated(&self, windows: &Windows, x: &[f32], y: &mut [f32]) {
        let Windows { rows, cols, .. } = windows;
        let counts = self.counts(rows, cols);
        for (x, y) in x.chunks_exact(windows.x_plane()).zip(y.chunks_exact_mut(windows.y_plane())) {
            for (at, y) in y.chunks_exact_mut(cols.positions).enumerate() {
                y.fill(0.0);
                for row in rows.window(at).step_by(rows.dilation) {
                    let x = &x[row * cols.extent..][..cols.extent];
                    for (col, y) in y.iter_mut().enumerate() {
                        cols.window(col).step_by(cols.dilation).for_each(|col| *y += x[col]);
                    }
                }
                let count = counts.rows[at];
                y.iter_mut().zip(&counts.cols).for_each(|(y, in_row)| *y /= count * in_row);
            }
        }
    }

    /// [`AvgPool2d::backward_planes`], window by window.
    fn backward_dilated(&self, windows: &Windows, dy: &[f32], dx: &mut [f32]) {
        let Windows { rows, cols, .. } = windows;
        let counts = self.counts(rows, cols);
        dx.fill(0.0);
        for (dx, dy) in dx.chunks_exact_mut(windows.x_plane()).zip(dy.chunks_exact(windows.y_plane())) {
            for (at, dy) in dy.chunks_exact(cols.positions).enumerate() {
                for row in rows.window(at).step_by(rows.dilation) {
                    let dx = &mut dx[row * cols.extent..][..cols.extent];
                    for (col, (dy, in_row)) in dy.iter().zip(&counts.cols).enumerate() {
                        let share = dy / (counts.rows[at] * in_row);
                        cols.window(col).step_by(cols.dilation).for_each(|col| dx[col] += share);
                    }
                }
            }
        }
    }

    /// The divisors of the sums; at least 1, so that the sum of nothing stays 0.
    fn counts(&self, rows: &Axis, cols: &Axis) -> Counts {
        if let Some(divisor) = self.divisor_override {
            return Counts {
                rows: Recycled::filled(divisor as f32, rows.positions),
                cols: Recycled::filled(1.0, cols.positions),
            };
        }
        let along = |axis: &Axis| {
            let count = |at| match self.count_include_pad {
                true => axis.padded_window(at),
                false => axis.window(at).len(),
            };
            (0..axis.positions).map(|at| count(at).div_ceil(axis.dilation).max(1) as f32).collect()
        };
        Counts { rows: along(rows), cols: along(cols) }
    }
}

/// The divisor of each window: the product of the two numbers along both axes.
struct Counts {
    rows: Recycled<f32>,
    cols: Recycled<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::{
        any_extent, any_padding, any_shape, assert_exact, assert_same_bits_on_any_threads, everywhere,
        whole_numbers,
    };
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use prop::array::uniform2;
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(op: AvgPool2d, [n, c, h, w]: [usize; 4], x: &[f64]) -> Vec<f64> {
        let [_, _, oh, ow] = op.output_shape([n, c, h, w].into()).unwrap().nchw().unwrap();
        let [[top, bottom], [left, right]] = op.padding.resolve([h, w], op.kernel, op.stride, op.dilation);
        let mut y = vec![];
        for plane in 0..n * c {
            for i in 0..oh * ow {
                let (mut sum, mut count) = (0.0, 0.0);
                for a in 0..op.kernel[0] {
                    for b in 0..op.kernel[1] {
                        // Row and column of the padded plane.
                        let row = i / ow * op.stride[0] + a * op.dilation[0];
                        let col = i % ow * op.stride[1] + b * op.dilation[1];
                        let padded = row < top + h + bottom && col < left + w + right;
                        let inside = (top..top + h).contains(&row) && (left..left + w).contains(&col);
                        sum += if inside { x[(plane * h + row - top) * w + col - left] } else { 0.0 };
                        count += if inside || (op.count_include_pad && padded) { 1.0 } else { 0.0 };
                    }
                }
                let count = op.divisor_override.map_or(count, |divisor| divisor as f64);
                y.push(if count == 0.0 { 0.0 } else { sum / count });
            }
        }
        y
    }

    proptest! {
        #![proptest_config(crate::shared::testing::any_number_of_rejects())]

        #[test]
        fn matches_the_definition(op in any_options(), n in 1..3usize, c in 1..3usize, h in 1..6usize, w in 1..7usize,
                                  seed: u64) {
            let shape = [n, c, h, w];
            prop_assume!(op.output_shape(shape.into()).is_ok());
            let x = distinct(shape, seed);
            let want = oracle(op, shape, &to_f64(&x));
            let dy = distinct(op.output_shape(shape.into()).unwrap(), seed ^ 1);
            let want_dx = gradient_of(&x, &dy, |x| oracle(op, shape, x));
            everywhere(|| {
                assert_close(&op.forward(&x).unwrap(), &want);
                assert_gradient_close("dx", &op.backward(x.shape(), &dy).unwrap(), &want_dx);
            });
        }

        /// Sums, and divisions by powers of two.
        #[test]
        fn whole_numbers_are_exact(op in any_options(), power in 0..3u32, n in 1..4usize, c in 1..4usize, h in 1..12usize,
                                   w in 1..30usize, seed: u64) {
            let (op, shape) = (op.divisor_override(1 << power), [n, c, h, w]);
            prop_assume!(op.output_shape(shape.into()).is_ok());
            let x = whole_numbers(shape, 9, seed);
            let want = oracle(op, shape, &to_f64(&x));
            let dy = whole_numbers(op.output_shape(shape.into()).unwrap(), 9, seed ^ 1);
            let mut want_dx = vec![0.0; x.data().len()];
            let [_, _, oh, ow] = dy.shape().nchw().unwrap();
            let [[top, _], [left, _]] = op.padding.resolve([h, w], op.kernel, op.stride, op.dilation);
            for (i, dy) in to_f64(&dy).into_iter().enumerate() {
                let (plane, row, col) = (i / (oh * ow), i / ow % oh, i % ow);
                for (a, b) in (0..op.kernel[0]).flat_map(|a| (0..op.kernel[1]).map(move |b| (a, b))) {
                    let row = (row * op.stride[0] + a * op.dilation[0]).wrapping_sub(top);
                    let col = (col * op.stride[1] + b * op.dilation[1]).wrapping_sub(left);
                    if row < h && col < w {
                        want_dx[(plane * h + row) * w + col] += dy / f64::from(1 << power);
                    }
                }
            }
            everywhere(|| {
                assert_exact("y", &op.forward(&x).unwrap(), &want);
                assert_exact("dx", &op.backward(x.shape(), &dy).unwrap(), &want_dx);
            });
        }

        /// No options and shapes, however absurd, panic or take memory.
        #[test]
        fn absurd_options_are_errors(
            kernel in uniform2(any_extent()), stride in uniform2(any_extent()), padding in uniform2(uniform2(any_extent())),
            dilation in uniform2(any_extent()),
            ceil_mode: bool, count_include_pad: bool, divisor_override in prop::option::of(any_extent()), x in any_shape(),
        ) {
            let padding = padding.into();
            let op =
                AvgPool2d { kernel, stride, padding, dilation, ceil_mode, count_include_pad, divisor_override };
            let Ok(y) = op.output_shape(x) else { return Ok(()) };
            if x.numel().max(y.numel()) < 10_000 {
                let pooled = op.forward(&Tensor::zeros(x)).unwrap();
                prop_assert_eq!(pooled.shape(), y);
                op.backward(x, &pooled).unwrap();
            }
        }
    }

    proptest! {
        /// Rows of several vectors, and of less than one.
        #[test]
        fn pairs_are_as_exact(n in 1..3usize, c in 1..4usize, h in 2..8usize, w in 2..80usize, seed: u64) {
            let (op, shape) = (AvgPool2d::new([2, 2]), [n, c, h, w]);
            assert!(op.divisor_of_pairs(&op.windows(shape.into()).unwrap()).is_some());
            let x = whole_numbers(shape, 9, seed);
            let want = oracle(op, shape, &to_f64(&x));
            let dy = whole_numbers(op.output_shape(shape.into()).unwrap(), 9, seed ^ 1);
            let want_dx: Vec<f64> = (0..x.data().len()).map(|at| {
                let (plane, row, col) = (at / (h * w), at / w % h / 2, at % w / 2);
                let inside = row < h / 2 && col < w / 2;
                if inside { f64::from(dy.data()[(plane * (h / 2) + row) * (w / 2) + col]) / 4.0 } else { 0.0 }
            }).collect();
            everywhere(|| {
                assert_exact("y", &op.forward(&x).unwrap(), &want);
                assert_exact("dx", &op.backward(x.shape(), &dy).unwrap(), &want_dx);
            });
        }
    }

    fn any_options() -> impl Strategy<Value = AvgPool2d> {
        let windows = (uniform2(1..5usize), uniform2(1..5usize), any_padding(6), uniform2(1..4usize));
        let modes = (any::<[bool; 3]>(), prop::option::weighted(0.2, 1..9usize));
        (windows, modes).prop_map(
            |(
                (kernel, stride, padding, dilation),
                ([dense, ceil_mode, count_include_pad], divisor_override),
            )| {
                let dilation = if dense { [1, 1] } else { dilation };
                AvgPool2d {
                    kernel,
                    stride,
                    padding,
                    dilation,
                    ceil_mode,
                    count_include_pad,
                    divisor_override,
                }
            },
        )
    }

    /// Nothing but the shape says how large `dx` is to be.
    #[test]
    fn an_absurd_input_is_no_reason_to_take_memory() {
        let (x, dy) = (Shape::from([1, 1, 1 << 28, 1 << 28]), Tensor::zeros([1, 1, 1, 1]));
        let error = AvgPool2d::new([1, 1]).stride([1 << 28; 2]).backward(x, &dy).unwrap_err().to_string();
        assert!(error.starts_with("avg_pool2d: the output must be at most 2^28 elements"), "{error}");
    }

    #[test]
    fn padding_counts_unless_told_otherwise() {
        let op = AvgPool2d::new([1, 2]).padding([0, 1]);
        let x = Tensor::from_vec([1, 1, 1, 2], vec![4.0, 8.0]).unwrap();
        assert_eq!(op.forward(&x).unwrap().data(), [2.0, 4.0]);
        assert_eq!(op.count_include_pad(false).forward(&x).unwrap().data(), [4.0, 8.0]);
    }

    #[test]
    fn a_window_on_padding_alone_is_0() {
        let op = AvgPool2d::new([1, 2]).stride([1, 1]).padding([[0, 0], [0, 2]]);
        let x = Tensor::from_vec([1, 1, 1, 2], vec![4.0, 8.0]).unwrap();
        assert_eq!(op.forward(&x).unwrap().data(), [6.0, 4.0, 0.0]);
        let of_input = op.count_include_pad(false);
        assert_eq!(of_input.forward(&x).unwrap().data(), [6.0, 8.0, 0.0]);
        let dx = of_input.backward(x.shape(), &Tensor::full([1, 1, 1, 3], 2.0)).unwrap();
        assert_eq!(dx.data(), [1.0, 3.0]);
    }

    /// Checked with PyTorch 2.15.
    #[test]
    fn with_ceil_mode_what_lies_beyond_the_padding_is_not_counted() {
        let op = AvgPool2d::new([1, 3]).stride([1, 2]).padding([0, 1]).ceil_mode(true);
        let x = Tensor::from_vec([1, 1, 1, 4], vec![3.0, 6.0, 9.0, 12.0]).unwrap();
        // Windows of (pad, 3, 6), (6, 9, 12) and (12, pad), the last one short of an element.
        assert_eq!(op.forward(&x).unwrap().data(), [3.0, 9.0, 6.0]);
        assert_eq!(op.count_include_pad(false).forward(&x).unwrap().data(), [4.5, 9.0, 12.0]);
        assert_eq!(op.divisor_override(3).forward(&x).unwrap().data(), [3.0, 9.0, 4.0]);
        assert_eq!(op.ceil_mode(false).forward(&x).unwrap().data(), [3.0, 9.0]);
    }

    #[test]
    fn a_description_may_leave_out_all_but_the_kernel() {
        let read = |json: &str| serde_json::from_str::<AvgPool2d>(json);
        assert_eq!(read(r#"{"kernel":[3,2]}"#).unwrap(), AvgPool2d::new([3, 2]));
        let padded = AvgPool2d::new([3, 2]).padding([1, 0]);
        assert_eq!(read(r#"{"kernel":[3,2],"padding":[1,0]}"#).unwrap(), padded);
        let op = AvgPool2d::new([3, 2]).count_include_pad(false).divisor_override(5);
        assert_eq!(read(&serde_json::to_string(&op).unwrap()).unwrap(), op);
        assert!(read(r#"{"kernel":[3,2],"divisor":3}"#).is_err());
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
        let op = AvgPool2d::new([3, 3]).stride([2, 2]);
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
        assert_eq!(message(op.stride([0, 1]), x), "avg_pool2d: stride must be at least 1, got [0, 1]");
        assert_eq!(message(op.dilation([1, 0]), x), "avg_pool2d: dilation must be at least 1, got [1, 0]");
        let divisor = message(op.divisor_override(0), x);
        assert_eq!(divisor, "avg_pool2d: divisor_override must be at least 1, got 0");
        let error = AvgPool2d::new([2, 2]).backward(x, &Tensor::zeros([1, 1, 2, 5])).unwrap_err();
        assert_eq!(error.to_string(), "avg_pool2d: dy expects shape [1, 1, 1, 2], got [1, 1, 2, 5]");
    }
}
