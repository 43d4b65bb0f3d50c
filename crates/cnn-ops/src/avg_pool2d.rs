//! 2-D average pooling.
//!
//! `y[n, c, oh, ow] = sum over (kh, kw) of x[n, c, oh*sh + kh - ph, ow*sw + kw - pw] / count`, where positions outside
//! the input add 0. `count` is the number of the window's `kh * kw` elements that lie on the input or on padding, or,
//! without `count_include_pad`, on the input alone; `divisor_override` takes the place of either.
//!
//! **Conventions.** Those of PyTorch's `nn.AvgPool2d`. With `ceil_mode` the last windows may hang over the end, padding
//! included, as long as they begin before it; what lies past the padding never counts. A NaN or infinity reaches exactly
//! the windows that contain it.
//!
//! **Algorithm.** Row by row of the output, one pass for each element of the window over all windows of the row; each
//! sum runs in row-major order. The sums are `window_sums.rs`, shared with [`subsample`](mod@crate::subsample).
//!
//! Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to Document Recognition",
//! Proceedings of the IEEE 86 (1998), section II.B, whose sub-sampling layers average (and then scale and shift).

use crate::pooling::{Axis, Options, Windows};
use crate::window_sums::Row;
use crate::{OpError, check, serde_defaults};
use cnn_tensor::{Shape, Tensor};
use serde::{Deserialize, Serialize};

const OP: &str = "avg_pool2d";

/// The options of an average pooling; pairs are `[height, width]`, in elements.
///
/// Read by serde, an option that is left out has PyTorch's default; that of `stride` is `kernel`.
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
#[serde(from = "Described")]
pub struct AvgPool2d {
    /// The window's extents; at least 1.
    pub kernel: [usize; 2],
    /// The step from window to window; at least 1.
    pub stride: [usize; 2],
    /// Rows and columns of zeros added on each side; at most half the kernel.
    pub padding: [usize; 2],
    /// Whether the number of windows is rounded up.
    pub ceil_mode: bool,
    /// Whether padding counts as elements of the mean.
    pub count_include_pad: bool,
    /// What every sum is divided by, whatever its window; at least 1. None: by the number of elements.
    pub divisor_override: Option<usize>,
}

/// What serde reads.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    kernel: [usize; 2],
    stride: Option<[usize; 2]>,
    #[serde(default)]
    padding: [usize; 2],
    #[serde(default)]
    ceil_mode: bool,
    #[serde(default = "serde_defaults::yes")]
    count_include_pad: bool,
    divisor_override: Option<usize>,
}

impl From<Described> for AvgPool2d {
    fn from(described: Described) -> Self {
        let Described { kernel, stride, padding, ceil_mode, count_include_pad, divisor_override } = described;
        let stride = stride.unwrap_or(kernel);
        Self { kernel, stride, padding, ceil_mode, count_include_pad, divisor_override }
    }
}

impl AvgPool2d {
    /// Windows side by side: stride equal to `kernel`, no padding. Padding added later counts, as in PyTorch.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self {
            kernel,
            stride: kernel,
            padding: [0, 0],
            ceil_mode: false,
            count_include_pad: true,
            divisor_override: None,
        }
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

    /// The same with the number of windows rounded up or down.
    #[must_use]
    pub fn with_ceil_mode(self, ceil_mode: bool) -> Self {
        Self { ceil_mode, ..self }
    }

    /// The same with padding counted or not.
    #[must_use]
    pub fn with_count_include_pad(self, count_include_pad: bool) -> Self {
        Self { count_include_pad, ..self }
    }

    /// The same with every sum divided by `divisor`, or by its number of elements.
    #[must_use]
    pub fn with_divisor_override(self, divisor_override: Option<usize>) -> Self {
        Self { divisor_override, ..self }
    }

    /// `[n, c, h, w]` to `[n, c, oh, ow]` with `oh = (h + 2*ph - kh) / sh + 1`, rounded down, and `ow` likewise; with
    /// `ceil_mode` rounded up, but without a last window that would begin past the input and the padding before it.
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
        let counts = Counts::new(self, &windows);
        Ok(windows.sums(x, |Row { at, .. }, y| counts.divide(at, y)))
    }

    /// `dx` of shape `x`, `[n, c, h, w]`, from `dy` of shape `[n, c, oh, ow]`.
    ///
    /// # Errors
    /// Those of [`AvgPool2d::output_shape`], or `dy` does not have the shape of `y`.
    pub fn backward(&self, x: Shape, dy: &Tensor) -> Result<Tensor, OpError> {
        let windows = self.windows(x)?;
        check::shape(OP, "dy", windows.y, dy)?;
        let counts = Counts::new(self, &windows);
        Ok(windows.spread(x, dy, |Row { at, .. }, dy, shares| {
            shares.copy_from_slice(dy);
            counts.divide(at, shares);
        }))
    }

    fn windows(&self, x: Shape) -> Result<Windows, OpError> {
        if self.divisor_override == Some(0) {
            let (option, rule, got) = ("divisor_override", "at least 1", "0".into());
            return Err(OpError::Option { op: OP, option, rule, got });
        }
        let Self { kernel, stride, padding, ceil_mode, .. } = *self;
        Windows::new(OP, x, Options { kernel, stride, padding, dilation: [1, 1], ceil_mode })
    }
}

/// What the sums are divided by.
enum Counts {
    /// One number for all.
    All(f32),
    /// The product of what the window has by row and by column.
    Each { rows: Vec<f32>, cols: Vec<f32> },
}

impl Counts {
    fn new(op: &AvgPool2d, windows: &Windows) -> Self {
        if let Some(divisor) = op.divisor_override {
            return Self::All(divisor as f32);
        }
        if windows.y.numel() == 0 {
            // Then the number of windows is bounded by nothing.
            return Self::All(1.0);
        }
        let of = |axis: &Axis| {
            let count =
                |at| if op.count_include_pad { axis.within_padding(at) } else { axis.window(at).len() };
            (0..axis.positions).map(|at| count(at) as f32).collect()
        };
        Self::Each { rows: of(&windows.rows), cols: of(&windows.cols) }
    }

    /// Divides the numbers of row `at`.
    #[inline]
    fn divide(&self, at: usize, y: &mut [f32]) {
        match self {
            Self::All(count) => y.iter_mut().for_each(|y| *y /= count),
            Self::Each { rows, cols } => {
                let row = rows[at];
                y.iter_mut().zip(cols).for_each(|(y, col)| *y /= row * col);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        any_extent, any_shape, assert_exact, assert_same_bits_on_any_threads, everywhere, whole_numbers,
    };
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
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
                        let (padded_row, padded_col) = (i / ow * op.stride[0] + a, i % ow * op.stride[1] + b);
                        let on_padding =
                            padded_row < h + 2 * op.padding[0] && padded_col < w + 2 * op.padding[1];
                        let row = padded_row.wrapping_sub(op.padding[0]);
                        let col = padded_col.wrapping_sub(op.padding[1]);
                        let inside = row < h && col < w;
                        sum += if inside { x[(plane * h + row) * w + col] } else { 0.0 };
                        count += if inside || (op.count_include_pad && on_padding) { 1.0 } else { 0.0 };
                    }
                }
                y.push(sum / op.divisor_override.map_or(count, |divisor| divisor as f64));
            }
        }
        y
    }

    fn any_options() -> impl Strategy<Value = AvgPool2d> {
        use prop::array::uniform2;
        let divisor = prop::option::weighted(0.3, 1..6usize);
        (uniform2(1..5usize), uniform2(1..5usize), uniform2(0..3usize), any::<[bool; 2]>(), divisor).prop_map(
            |(kernel, stride, padding, [ceil_mode, count_include_pad], divisor_override)| {
                let padding = [padding[0].min(kernel[0] / 2), padding[1].min(kernel[1] / 2)];
                AvgPool2d { kernel, stride, padding, ceil_mode, count_include_pad, divisor_override }
            },
        )
    }

    proptest! {
        #![proptest_config(crate::testing::any_number_of_rejects())]

        #[test]
        fn matches_the_definition(op in any_options(), n in 1..3usize, c in 1..3usize, h in 1..7usize, w in 1..7usize,
                                  seed: u64) {
            let shape = [n, c, h, w];
            let Ok(y_shape) = op.output_shape(shape.into()) else { return Ok(()) };
            let x = distinct(shape, seed);
            let want = oracle(op, shape, &to_f64(&x));
            let dy = distinct(y_shape, seed ^ 1);
            let want_dx = gradient_of(&x, &dy, |x| oracle(op, shape, x));
            everywhere(|| {
                assert_close(&op.forward(&x).unwrap(), &want);
                assert_gradient_close("dx", &op.backward(x.shape(), &dy).unwrap(), &want_dx);
            });
        }

        /// Sums, as the divisor is a power of two.
        #[test]
        fn whole_numbers_are_exact(op in any_options(), n in 1..3usize, c in 1..4usize, h in 1..14usize, w in 1..24usize,
                                   divisor in prop::sample::select(vec![1, 2, 8usize]), seed: u64) {
            let (op, shape) = (op.with_divisor_override(Some(divisor)), [n, c, h, w]);
            let Ok(y_shape) = op.output_shape(shape.into()) else { return Ok(()) };
            let (x, dy) = (whole_numbers(shape, 99, seed), whole_numbers(y_shape, 99, seed ^ 1));
            let want = oracle(op, shape, &to_f64(&x));
            let [_, _, oh, ow] = y_shape.nchw().unwrap();
            let mut want_dx = vec![0.0; x.data().len()];
            for (i, &dy) in dy.data().iter().enumerate() {
                for (a, b) in (0..op.kernel[0]).flat_map(|a| (0..op.kernel[1]).map(move |b| (a, b))) {
                    let row = (i / ow % oh * op.stride[0] + a).wrapping_sub(op.padding[0]);
                    let col = (i % ow * op.stride[1] + b).wrapping_sub(op.padding[1]);
                    if row < h && col < w {
                        want_dx[(i / (oh * ow) * h + row) * w + col] += f64::from(dy) / divisor as f64;
                    }
                }
            }
            everywhere(|| {
                assert_exact("y", &op.forward(&x).unwrap(), &want);
                assert_exact("dx", &op.backward(x.shape(), &dy).unwrap(), &want_dx);
            });
        }

        /// No options, however absurd, make the shape rule panic or take memory.
        #[test]
        fn absurd_options_are_errors(kernel in [any_extent(), any_extent()], stride in [any_extent(), any_extent()],
                                     padding in [any_extent(), any_extent()], flags: [bool; 2],
                                     divisor_override in prop::option::of(any_extent()), x in any_shape()) {
            let [ceil_mode, count_include_pad] = flags;
            let op = AvgPool2d { kernel, stride, padding, ceil_mode, count_include_pad, divisor_override };
            let Ok(y) = op.output_shape(x) else { return Ok(()) };
            if x.numel().max(y.numel()) < 100_000 {
                prop_assert_eq!(op.forward(&Tensor::zeros(x)).unwrap().shape(), y);
                prop_assert_eq!(op.backward(x, &Tensor::zeros(y)).unwrap().shape(), x);
            }
        }
    }

    #[test]
    fn what_lies_past_the_padding_never_counts() {
        let op = AvgPool2d::new([1, 4]).with_stride([1, 3]).with_padding([0, 2]).with_ceil_mode(true);
        let x = Tensor::from_vec([1, 1, 1, 6], (1..=6).map(|x| x as f32).collect()).unwrap();
        // Of the last window, two elements lie on the input and two on padding.
        assert_eq!(op.forward(&x).unwrap().data(), [0.75, 3.5, 2.75]);
        assert_eq!(op.with_count_include_pad(false).forward(&x).unwrap().data(), [1.5, 3.5, 5.5]);
        // Here it is one element on the input and one on padding, and two past that.
        let x = Tensor::from_vec([1, 1, 1, 3], vec![1.0, 2.0, 3.0]).unwrap();
        assert_eq!(op.with_padding([0, 1]).forward(&x).unwrap().data(), [1.5, 1.5]);
    }

    #[test]
    fn the_divisor_takes_the_place_of_every_count() {
        let op = AvgPool2d::new([1, 2]).with_padding([0, 1]).with_divisor_override(Some(4));
        let x = Tensor::from_vec([1, 1, 1, 2], vec![4.0, 8.0]).unwrap();
        for op in [op, op.with_count_include_pad(false)] {
            assert_eq!(op.forward(&x).unwrap().data(), [1.0, 2.0]);
            let dx = op.backward(x.shape(), &Tensor::full([1, 1, 1, 2], 1.0)).unwrap();
            assert_eq!(dx.data(), [0.25, 0.25]);
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
        let divisor = message(op.with_divisor_override(Some(0)), x);
        assert_eq!(divisor, "avg_pool2d: divisor_override must be at least 1, got 0");
        let error = AvgPool2d::new([2, 2]).backward(x, &Tensor::zeros([1, 1, 2, 5])).unwrap_err();
        assert_eq!(error.to_string(), "avg_pool2d: dy expects shape [1, 1, 1, 2], got [1, 1, 2, 5]");
    }
}
