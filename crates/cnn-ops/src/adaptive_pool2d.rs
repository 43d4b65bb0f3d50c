//! Adaptive and global pooling: the size of the output is given, and the windows follow from it and the input's extents.
//!
//! Window `i` of `out` along an axis of `extent` elements covers those from `floor(i extent / out)` to below
//! `ceil((i + 1) extent / out)`. The windows cover every element, and overlap where `out` does not divide `extent`. With an
//! output of 1 x 1 this is global pooling: one number for each channel.
//!
//! **Conventions.** Those of PyTorch's `nn.AdaptiveAvgPool2d` and `nn.AdaptiveMaxPool2d`. An output may be larger than the
//! input. In a maximum ties go to the first element in row-major order, and the last NaN wins; a mean is NaN where its
//! window has one.
//!
//! **Algorithm.** Plane by plane, row by row of each window, with the sum of a row in vectors.
//!
//! Source of global average pooling: M. Lin, Q. Chen and S. Yan, "Network In Network", ICLR 2014, section 3.2.

use crate::max_pool2d::wins;
use crate::shared::check;
use crate::shared::work::worth_a_thread;
use crate::{OpError, Pair};
use cnn_tensor::{Buffer, Shape, Tensor, parallel, vector};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The mean over windows that adapt to the input.
///
/// ```
/// use cnn_ops::AdaptiveAvgPool2d;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 1, 1, 3], vec![1.0, 3.0, 7.0])?;
/// assert_eq!(AdaptiveAvgPool2d::new([1, 2]).forward(&x)?.data(), [2.0, 5.0]); // the windows share the 3
/// let dx = AdaptiveAvgPool2d::new([1, 2]).backward(x.shape(), &Tensor::full([1, 1, 1, 2], 1.0))?;
/// assert_eq!(dx.data(), [0.5, 1.0, 0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveAvgPool2d {
    /// Height and width of the output; at least 1.
    pub output: [usize; 2],
}

/// The maximum over windows that adapt to the input.
///
/// ```
/// use cnn_ops::AdaptiveMaxPool2d;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 1, 1, 3], vec![1.0, 7.0, 3.0])?;
/// let (y, saved) = AdaptiveMaxPool2d::new([1, 2]).forward(&x)?;
/// assert_eq!(y.data(), [7.0, 7.0]); // the windows share the 7
/// assert_eq!(saved.indices(), [1, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveMaxPool2d {
    /// Height and width of the output; at least 1.
    pub output: [usize; 2],
}

/// Read by the backward pass of [`AdaptiveMaxPool2d`]: the input element that won each window.
#[derive(Clone, Debug)]
pub struct Saved {
    x: Shape,
    argmax: Buffer<u32>,
}

impl Saved {
    /// For each output element, row-major, the position of its maximum in its input plane, `row * w + column`.
    pub fn indices(&self) -> &[u32] {
        self.argmax.as_slice()
    }
}

const AVG: &str = "adaptive_avg_pool2d";
const MAX: &str = "adaptive_max_pool2d";

impl AdaptiveAvgPool2d {
    /// One mean for each channel: an output of 1 x 1.
    pub const GLOBAL: Self = Self { output: [1, 1] };

    /// An output of the given height and width.
    pub fn new(output: impl Pair) -> Self {
        Self { output: output.pair() }
    }

    /// `[n, c, h, w]` to `[n, c, oh, ow]` with the extents of `output`.
    ///
    /// # Errors
    /// An extent of `output` is 0, or `x` is not of rank 4 or has no rows or columns.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        Ok(Windows::new(AVG, x, self.output)?.y_shape)
    }

    /// `y` of shape `[n, c, oh, ow]` from `x` of shape `[n, c, h, w]`. The backward pass needs only the shape of `x`.
    ///
    /// # Errors
    /// Those of [`AdaptiveAvgPool2d::output_shape`].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, OpError> {
        let windows = Windows::new(AVG, x.shape(), self.output)?;
        let mut y = Tensor::scratch(windows.y_shape);
        parallel::for_each_chunk(y.data_mut(), windows.y_chunk(), |i, y| {
            let x = &x.data()[i * windows.x_chunk()..];
            windows.for_each_mut(y, x, |y, x, rows, cols| {
                let sum =
                    rows.clone().fold(0.0, |sum, row| sum + vector::sum(&x[row * windows.w..][cols.clone()]));
                *y = sum / (rows.len() * cols.len()) as f32;
            });
        });
        Ok(y)
    }

    /// `dx` of shape `x`, `[n, c, h, w]`, from `dy` of shape `[n, c, oh, ow]`.
    ///
    /// # Errors
    /// Those of [`AdaptiveAvgPool2d::output_shape`], or `dy` does not have the shape of `y`.
    pub fn backward(&self, x: Shape, dy: &Tensor) -> Result<Tensor, OpError> {
        let windows = Windows::new(AVG, x, self.output)?;
        check::shape(AVG, "dy", windows.y_shape, dy)?;
        let mut dx = Tensor::zeros(check::gradient(AVG, x)?);
        parallel::for_each_chunk(dx.data_mut(), windows.x_chunk(), |i, dx| {
            let dy = dy.data()[i * windows.y_chunk()..].chunks_exact(windows.y_plane());
            for (dx, dy) in dx.chunks_exact_mut(windows.x_plane()).zip(dy) {
                for (at, dy) in dy.iter().enumerate() {
                    let (rows, cols) = windows.window(at);
                    let share = dy / (rows.len() * cols.len()) as f32;
                    for row in rows {
                        dx[row * windows.w..][cols.clone()].iter_mut().for_each(|dx| *dx += share);
                    }
                }
            }
        });
        Ok(dx)
    }
}

impl AdaptiveMaxPool2d {
    /// One maximum for each channel: an output of 1 x 1.
    pub const GLOBAL: Self = Self { output: [1, 1] };

    /// An output of the given height and width.
    pub fn new(output: impl Pair) -> Self {
        Self { output: output.pair() }
    }

    /// `[n, c, h, w]` to `[n, c, oh, ow]` with the extents of `output`.
    ///
    /// # Errors
    /// An extent of `output` is 0, `x` is not of rank 4 or has no rows or columns, or an input plane has 2^32 elements or
    /// more.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        Ok(self.windows(x)?.y_shape)
    }

    fn windows(&self, x: Shape) -> Result<Windows, OpError> {
        let windows = Windows::new(MAX, x, self.output)?;
        if u32::try_from(windows.x_plane()).is_err() {
            let unit = "elements per plane at most";
            let (expected, got) = (u32::MAX as usize, windows.x_plane());
            return Err(OpError::Extent { op: MAX, what: "x", unit, expected, got });
        }
        Ok(windows)
    }

    /// `y` of shape `[n, c, oh, ow]` from `x` of shape `[n, c, h, w]`.
    ///
    /// # Errors
    /// Those of [`AdaptiveMaxPool2d::output_shape`].
    pub fn infer(&self, x: &Tensor) -> Result<Tensor, OpError> {
        self.forward(x).map(|(y, _)| y)
    }

    /// `y` as from [`AdaptiveMaxPool2d::infer`], and what [`AdaptiveMaxPool2d::backward`] needs.
    ///
    /// # Errors
    /// Those of [`AdaptiveMaxPool2d::output_shape`].
    pub fn forward(&self, x: &Tensor) -> Result<(Tensor, Saved), OpError> {
        let windows = self.windows(x.shape())?;
        let mut y = Tensor::scratch(windows.y_shape);
        let mut argmax = Buffer::scratch(windows.y_shape.numel());
        let chunk = windows.y_chunk();
        parallel::for_each_chunk_pair(
            (y.data_mut(), chunk),
            (argmax.as_mut_slice(), chunk),
            |i, y, argmax| {
                let x = &x.data()[i * windows.x_chunk()..];
                windows.for_each_mut(argmax, x, |argmax, x, rows, cols| {
                    let mut at = rows.start * windows.w + cols.start;
                    for row in rows.clone() {
                        for position in row * windows.w + cols.start..row * windows.w + cols.end {
                            at = if wins(x[position], x[at]) { position } else { at };
                        }
                    }
                    *argmax = at as u32;
                });
                let planes =
                    y.chunks_exact_mut(windows.y_plane()).zip(argmax.chunks_exact(windows.y_plane()));
                for ((y, argmax), x) in planes.zip(x.chunks_exact(windows.x_plane())) {
                    y.iter_mut().zip(argmax).for_each(|(y, &at)| *y = x[at as usize]);
                }
            },
        );
        Ok((y, Saved { x: x.shape(), argmax }))
    }

    /// `dx` of shape `[n, c, h, w]` from `dy` of shape `[n, c, oh, ow]`; `saved` comes from this operation's
    /// [`AdaptiveMaxPool2d::forward`].
    ///
    /// # Errors
    /// `dy` does not have the shape of `y`, or `saved` is of other windows.
    pub fn backward(&self, saved: &Saved, dy: &Tensor) -> Result<Tensor, OpError> {
        let windows = self.windows(saved.x)?;
        check::shape(MAX, "dy", windows.y_shape, dy)?;
        let (expected, got) = (windows.y_shape.numel(), saved.argmax.len());
        if got != expected {
            return Err(OpError::Extent { op: MAX, what: "saved", unit: "windows", expected, got });
        }
        let mut dx = Tensor::zeros(saved.x);
        parallel::for_each_chunk(dx.data_mut(), windows.x_chunk(), |i, dx| {
            let start = i * windows.y_chunk();
            let planes = dy.data()[start..].chunks_exact(windows.y_plane());
            let planes = planes.zip(saved.indices()[start..].chunks_exact(windows.y_plane()));
            for (dx, (dy, argmax)) in dx.chunks_exact_mut(windows.x_plane()).zip(planes) {
                dy.iter().zip(argmax).for_each(|(dy, &at)| dx[at as usize] += dy);
            }
        });
        Ok(dx)
    }
}

/// The windows of a valid pooling. Neither plane is empty.
struct Windows {
    h: usize,
    w: usize,
    output: [usize; 2],
    y_shape: Shape,
}

impl Windows {
    fn new(op: &'static str, x: Shape, output: [usize; 2]) -> Result<Self, OpError> {
        let [n, c, h, w] = check::nchw(op, "x", x)?;
        check::at_least_1(op, "output", output)?;
        if h == 0 || w == 0 {
            let expected = "at least one row and one column";
            return Err(OpError::Rank { op, what: "x", expected, got: x });
        }
        let y_shape = check::output(op, [n, c, output[0], output[1]])?;
        Ok(Self { h, w, output, y_shape })
    }

    fn x_plane(&self) -> usize {
        self.h * self.w
    }

    fn y_plane(&self) -> usize {
        self.output[0] * self.output[1]
    }

    fn planes_per_chunk(&self) -> usize {
        const WORTH_A_THREAD: usize = worth_a_thread(1 << 16);
        (WORTH_A_THREAD / self.x_plane().max(self.y_plane())).max(1)
    }

    /// Input elements of a piece of work.
    fn x_chunk(&self) -> usize {
        self.planes_per_chunk() * self.x_plane()
    }

    /// Output elements of a piece of work.
    fn y_chunk(&self) -> usize {
        self.planes_per_chunk() * self.y_plane()
    }

    /// The rows and columns under window `at` of a plane.
    fn window(&self, at: usize) -> (Range<usize>, Range<usize>) {
        let [oh, ow] = self.output;
        (span(at / ow, oh, self.h), span(at % ow, ow, self.w))
    }

    /// Calls `f(y, plane of x, rows, columns)` for each output element of whole planes, the first of which belongs to the
    /// first of `x`.
    fn for_each_mut<T>(
        &self,
        y: &mut [T],
        x: &[f32],
        f: impl Fn(&mut T, &[f32], Range<usize>, Range<usize>),
    ) {
        for (y, x) in y.chunks_exact_mut(self.y_plane()).zip(x.chunks_exact(self.x_plane())) {
            for (at, y) in y.iter_mut().enumerate() {
                let (rows, cols) = self.window(at);
                f(y, x, rows, cols);
            }
        }
    }
}

/// The elements of window `i` of `out` along an axis. Both factors are below 2^61, so the products need 128 bits.
fn span(i: usize, out: usize, extent: usize) -> Range<usize> {
    let at = |i: usize| i as u128 * extent as u128;
    (at(i) / out as u128) as usize..at(i + 1).div_ceil(out as u128) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::{any_extent, any_shape, assert_exact, everywhere, whole_numbers};
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use prop::array::uniform2;
    use proptest::prelude::*;

    /// The definition, in f64: `f` of the elements of each window.
    fn oracle(
        f: impl Fn(&[f64]) -> f64,
        output: [usize; 2],
        [n, c, h, w]: [usize; 4],
        x: &[f64],
    ) -> Vec<f64> {
        let [oh, ow] = output;
        let mut y = vec![];
        for plane in 0..n * c {
            for i in 0..oh * ow {
                let first = |i: usize, out: usize, extent: usize| i * extent / out;
                let end = |i: usize, out: usize, extent: usize| ((i + 1) * extent).div_ceil(out);
                let mut window = vec![];
                for row in first(i / ow, oh, h)..end(i / ow, oh, h) {
                    for col in first(i % ow, ow, w)..end(i % ow, ow, w) {
                        window.push(x[(plane * h + row) * w + col]);
                    }
                }
                y.push(f(&window));
            }
        }
        y
    }

    fn mean(window: &[f64]) -> f64 {
        window.iter().sum::<f64>() / window.len() as f64
    }

    fn largest(window: &[f64]) -> f64 {
        window.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    proptest! {
        #[test]
        fn means_match_the_definition(output in uniform2(1..6usize), n in 1..3usize, c in 1..3usize, h in 1..7usize,
                                      w in 1..7usize, seed: u64) {
            let (op, shape) = (AdaptiveAvgPool2d { output }, [n, c, h, w]);
            let x = distinct(shape, seed);
            let want = oracle(mean, output, shape, &to_f64(&x));
            let dy = distinct(op.output_shape(shape.into()).unwrap(), seed ^ 1);
            let want_dx = gradient_of(&x, &dy, |x| oracle(mean, output, shape, x));
            everywhere(|| {
                assert_close(&op.forward(&x).unwrap(), &want);
                assert_gradient_close("dx", &op.backward(x.shape(), &dy).unwrap(), &want_dx);
            });
        }

        #[test]
        fn maxima_match_the_definition(output in uniform2(1..6usize), n in 1..3usize, c in 1..3usize, h in 1..7usize,
                                       w in 1..7usize, seed: u64) {
            let (op, shape) = (AdaptiveMaxPool2d { output }, [n, c, h, w]);
            let x = distinct(shape, seed);
            let want = oracle(largest, output, shape, &to_f64(&x));
            let dy = distinct(op.output_shape(shape.into()).unwrap(), seed ^ 1);
            let want_dx = gradient_of(&x, &dy, |x| oracle(largest, output, shape, x));
            everywhere(|| {
                let (y, saved) = op.forward(&x).unwrap();
                assert_exact("y", &y, &want);
                assert_eq!(op.infer(&x).unwrap(), y);
                assert_gradient_close("dx", &op.backward(&saved, &dy).unwrap(), &want_dx);
            });
        }

        /// Maxima, with ties, and means over windows of 1, 2, 4 ... elements.
        #[test]
        fn whole_numbers_are_exact(power in uniform2(0..4u32), windows in uniform2(1..6usize), n in 1..4usize, c in 1..4usize,
                                   other in uniform2(1..9usize), seed: u64) {
            let [h, w] = [windows[0] << power[0], windows[1] << power[1]];
            let shape = [n, c, h, w];
            let x = whole_numbers(shape, 9, seed);
            let x64 = to_f64(&x);
            let means = oracle(mean, windows, shape, &x64);
            let dy = whole_numbers([n, c, windows[0], windows[1]], 9, seed ^ 1);
            let elements = f64::from(1 << (power[0] + power[1]));
            let source = |i: usize| i / (h * w) * windows[0] * windows[1] + ((i / w % h) >> power[0]) * windows[1] + ((i % w) >> power[1]);
            let want_dx: Vec<f64> = (0..x64.len()).map(|i| f64::from(dy.data()[source(i)]) / elements).collect();
            let maxima = oracle(largest, other, shape, &x64);
            everywhere(|| {
                let op = AdaptiveAvgPool2d { output: windows };
                assert_exact("mean", &op.forward(&x).unwrap(), &means);
                assert_exact("dx", &op.backward(x.shape(), &dy).unwrap(), &want_dx);
                let (y, saved) = AdaptiveMaxPool2d { output: other }.forward(&x).unwrap();
                assert_exact("maximum", &y, &maxima);
                let plane = other[0] * other[1];
                for (i, (&index, &y)) in saved.indices().iter().zip(y.data()).enumerate() {
                    assert_eq!(x.data()[i / plane * h * w + index as usize], y);
                }
            });
        }

        /// No options and shapes, however absurd, panic or take memory.
        #[test]
        fn absurd_options_are_errors(output in uniform2(any_extent()), x in any_shape()) {
            let (avg, max) = (AdaptiveAvgPool2d { output }, AdaptiveMaxPool2d { output });
            let Ok(y) = avg.output_shape(x) else { return Ok(()) };
            if x.numel().max(y.numel()) < 10_000 && max.output_shape(x).is_ok() {
                let (pooled, saved) = max.forward(&Tensor::zeros(x)).unwrap();
                prop_assert_eq!(pooled, avg.forward(&Tensor::zeros(x)).unwrap());
                avg.backward(x, &Tensor::zeros(y)).unwrap();
                max.backward(&saved, &Tensor::zeros(y)).unwrap();
            }
        }
    }

    /// Nothing but the shape says how large `dx` is to be.
    #[test]
    fn an_absurd_input_is_no_reason_to_take_memory() {
        let (x, dy) = (Shape::from([1, 1, 1 << 28, 1 << 28]), Tensor::zeros([1, 1, 1, 1]));
        let error = AdaptiveAvgPool2d::GLOBAL.backward(x, &dy).unwrap_err().to_string();
        assert!(
            error.starts_with("adaptive_avg_pool2d: the output must be at most 2^28 elements"),
            "{error}"
        );
    }

    #[test]
    fn global_pooling_gives_one_number_for_each_channel() {
        let x = Tensor::from_vec([1, 2, 1, 2], vec![1.0, 3.0, -4.0, -8.0]).unwrap();
        assert_eq!(AdaptiveAvgPool2d::GLOBAL.forward(&x).unwrap().data(), [2.0, -6.0]);
        let (y, saved) = AdaptiveMaxPool2d::GLOBAL.forward(&x).unwrap();
        assert_eq!((y.data(), saved.indices()), (&[3.0, -4.0][..], &[1, 0][..]));
    }

    #[test]
    fn ties_nan_and_infinity() {
        let max = |x: [f32; 4]| {
            let x = Tensor::from_slice([1, 1, 2, 2], &x).unwrap();
            let (y, saved) = AdaptiveMaxPool2d::GLOBAL.forward(&x).unwrap();
            (y.data()[0], saved.indices()[0])
        };
        assert_eq!(max([1.0, 3.0, 3.0, 0.0]), (3.0, 1));
        assert_eq!(max([f32::NEG_INFINITY; 4]), (f32::NEG_INFINITY, 0));
        let (y, at) = max([f32::INFINITY, 1.0, f32::NAN, f32::NAN]);
        assert!(y.is_nan() && at == 3);
        let x = Tensor::from_vec([1, 1, 1, 4], vec![f32::NAN, 1.0, f32::INFINITY, 1.0]).unwrap();
        let y = AdaptiveAvgPool2d { output: [1, 2] }.forward(&x).unwrap();
        assert!(y.data()[0].is_nan() && y.data()[1] == f32::INFINITY);
    }

    #[test]
    fn an_empty_batch_pools_to_an_empty_batch() {
        let y = AdaptiveAvgPool2d { output: [2, 3] }.forward(&Tensor::zeros([0, 3, 4, 4])).unwrap();
        assert_eq!(y.shape(), Shape::from([0, 3, 2, 3]));
        let dx = AdaptiveAvgPool2d { output: [2, 3] }.backward([0, 3, 4, 4].into(), &y).unwrap();
        assert_eq!(dx.shape(), Shape::from([0, 3, 4, 4]));
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message =
            |output, x: Shape| AdaptiveAvgPool2d { output }.output_shape(x).unwrap_err().to_string();
        let x = Shape::from([1, 1, 2, 2]);
        assert_eq!(message([0, 1], x), "adaptive_avg_pool2d: output must be at least 1, got [0, 1]");
        assert_eq!(
            message([1, 1], [2, 2].into()),
            "adaptive_avg_pool2d: x expects [n, c, h, w], got shape [2, 2]"
        );
        assert_eq!(
            message([1, 1], [1, 1, 0, 2].into()),
            "adaptive_avg_pool2d: x expects at least one row and one column, got shape [1, 1, 0, 2]"
        );
        let (_, saved) = AdaptiveMaxPool2d::GLOBAL.forward(&Tensor::zeros(x)).unwrap();
        let error =
            AdaptiveMaxPool2d::GLOBAL.backward(&saved, &Tensor::zeros([1, 1])).unwrap_err().to_string();
        assert_eq!(error, "adaptive_max_pool2d: dy expects shape [1, 1, 1, 1], got [1, 1]");
        let wide = AdaptiveMaxPool2d { output: [1, 2] };
        let error = wide.backward(&saved, &Tensor::zeros([1, 1, 1, 2])).unwrap_err().to_string();
        assert_eq!(error, "adaptive_max_pool2d: saved expects 2 windows, got 1");
    }
}
