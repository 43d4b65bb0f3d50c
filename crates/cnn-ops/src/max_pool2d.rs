//! 2-D max pooling.
//!
//! `y[n, c, oh, ow] = max over (kh, kw) of x[n, c, oh*sh + kh*dh - ph, ow*sw + kw*dw - pw]`, where positions outside
//! the input do not take part: padding never wins, not even against negative numbers.
//!
//! **Conventions.** A tie goes to the first element in row-major order; a NaN wins against any number, and the last
//! NaN against those before it; so each `dy` flows to exactly one `dx`. With `ceil_mode` one more window may hang over the
//! end, if it begins before the padding there. All of this is as in PyTorch's `nn.MaxPool2d`.
//!
//! Padding may differ from side to side, and be larger than the kernel, which PyTorch does not allow: `ph` and `pw` are then
//! those above and to the left. A window on padding alone, which a dilated kernel has also over an input smaller than its
//! dilation, gives minus infinity, the maximum of nothing, and its `dy` flows nowhere. (PyTorch gives minus infinity too, with
//! an index outside the plane.)
//!
//! **Algorithm.** Windows of 2 x 2 or 3 x 3 elements two apart, which most networks use, have a path of their own, in
//! vectors both ways; see `max_pool2d/pairs.rs`. Of others, complete windows of a row are pooled eight (or four) at a time
//! and without a branch, which compilers turn into vector code; windows that hang over the left or right edge one by one;
//! and the backward pass scatters.
//!
//! Source: M. Ranzato, F. J. Huang, Y. Boureau and Y. LeCun, "Unsupervised Learning of Invariant Feature Hierarchies
//! with Applications to Object Recognition", CVPR 2007.

mod pairs;

use crate::shared::check;
use crate::shared::pooling::{Axis, Options, Windows};
use crate::{OpError, Padding, Pair};
use cnn_tensor::simd::Level;
use cnn_tensor::{Buffer, Shape, Tensor, kernel, parallel};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::OnceLock;

const OP: &str = "max_pool2d";

/// The options of a max pooling; pairs are `[height, width]`, in elements.
///
/// ```
/// use cnn_ops::MaxPool2d;
/// use cnn_tensor::Tensor;
/// let op = MaxPool2d::new([2, 2]);
/// let x = Tensor::from_vec([1, 1, 2, 4], vec![1.0, 5.0, 2.0, 0.0, 3.0, 4.0, 8.0, 6.0])?;
/// let (y, saved) = op.forward(&x)?;
/// assert_eq!(y.data(), [5.0, 8.0]);
/// let dx = op.backward(&saved, &Tensor::full([1, 1, 1, 2], 1.0))?;
/// assert_eq!(dx.data(), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In a description, all but `kernel` may be left out: `{"kernel": [3, 3], "stride": [2, 2]}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Description")]
pub struct MaxPool2d {
    /// The number of taps of a window; at least 1.
    pub kernel: [usize; 2],
    /// The step from window to window; at least 1.
    pub stride: [usize; 2],
    /// Rows and columns added on each side.
    pub padding: Padding,
    /// The step from tap to tap within a window; at least 1.
    pub dilation: [usize; 2],
    /// Whether the number of windows is rounded up, so that the last may hang over the end.
    pub ceil_mode: bool,
}

/// [`MaxPool2d`] as files have it.
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
}

impl From<Description> for MaxPool2d {
    fn from(Description { kernel, stride, padding, dilation, ceil_mode }: Description) -> Self {
        let (stride, dilation) = (stride.unwrap_or(kernel), dilation.unwrap_or([1, 1]));
        Self { kernel, stride, padding, dilation, ceil_mode }
    }
}

/// Read by the backward pass: the input element that won each window.
#[derive(Clone, Debug)]
pub struct Saved {
    x: Shape,
    winners: Winners,
}

#[derive(Clone, Debug)]
enum Winners {
    /// For each output element, a position in its input plane.
    Positions(Buffer<u32>),
    /// For each output element, a tap of its window, by the path of `pairs.rs`.
    Taps {
        /// Rows and columns of the windows.
        extent: usize,
        /// Windows in a row, and in a plane.
        windows: [usize; 2],
        taps: Buffer<u8>,
        /// The same as positions, computed when first asked for.
        positions: OnceLock<Buffer<u32>>,
    },
}

/// The index of a window that no input element won.
pub const NO_ELEMENT: u32 = u32::MAX;

impl Saved {
    /// For each output element, row-major, the position of its maximum in its input plane, `row * w + column`: what
    /// PyTorch's `return_indices` gives and [`MaxUnpool2d`](crate::MaxUnpool2d) takes. [`NO_ELEMENT`] for a window on
    /// padding alone.
    pub fn indices(&self) -> &[u32] {
        match &self.winners {
            Winners::Positions(positions) => positions.as_slice(),
            Winners::Taps { extent, windows: [in_row, in_plane], taps, positions } => {
                let of_taps = || {
                    let w = self.x.dims()[3];
                    let mut positions = Buffer::scratch(taps.len());
                    let all = positions.as_mut_slice().iter_mut().zip(taps.as_slice());
                    for (at, (position, &tap)) in all.enumerate() {
                        let ([row, col], tap) = ([at % in_plane / in_row, at % in_row], usize::from(tap));
                        *position = ((2 * row + tap / extent) * w + 2 * col + tap % extent) as u32;
                    }
                    positions
                };
                positions.get_or_init(of_taps).as_slice()
            }
        }
    }

    fn windows(&self) -> usize {
        match &self.winners {
            Winners::Positions(positions) => positions.len(),
            Winners::Taps { taps, .. } => taps.len(),
        }
    }
}

impl MaxPool2d {
    /// Windows side by side: stride equal to `kernel`, no padding.
    pub fn new(kernel: impl Pair) -> Self {
        let kernel = kernel.pair();
        Self { kernel, stride: kernel, padding: Padding::default(), dilation: [1, 1], ceil_mode: false }
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

    /// Sets whether the number of windows is rounded up.
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Self { ceil_mode, ..self }
    }

    /// `[n, c, h, w]` to `[n, c, oh, ow]` with `oh = (h + padding - dh*(kh - 1) - 1) / sh + 1`, rounded down or, with
    /// `ceil_mode`, up, and `ow` likewise.
    ///
    /// # Errors
    /// An option is out of its range, `x` is not of rank 4, a window does not fit the padded input, or an input plane
    /// has 2^32 - 1 elements or more.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        Ok(self.windows(x)?.y)
    }

    /// `y` of shape `[n, c, oh, ow]` from `x` of shape `[n, c, h, w]`.
    ///
    /// # Errors
    /// Those of [`MaxPool2d::output_shape`].
    pub fn infer(&self, x: &Tensor) -> Result<Tensor, OpError> {
        let windows = self.windows(x.shape())?;
        let Some(extent) = pairs::extent(self.kernel, &windows) else {
            return self.forward(x).map(|(y, _)| y);
        };
        let mut y = Tensor::scratch(windows.y);
        let [x_chunk, y_chunk] = windows.chunks();
        let level = Level::current();
        parallel::for_each_chunk(y.data_mut(), y_chunk, |i, y| {
            pairs::forward(level, extent, &windows, &x.data()[i * x_chunk..], y, &mut []);
        });
        Ok(y)
    }

    /// `y` as from [`MaxPool2d::infer`], and what [`MaxPool2d::backward`] needs.
    ///
    /// # Errors
    /// Those of [`MaxPool2d::output_shape`].
    pub fn forward(&self, x: &Tensor) -> Result<(Tensor, Saved), OpError> {
        let windows = self.windows(x.shape())?;
        let mut y = Tensor::scratch(windows.y);
        let [x_chunk, y_chunk] = windows.chunks();
        let level = Level::current();
        let winners = if let Some(extent) = pairs::extent(self.kernel, &windows) {
            let mut taps = Buffer::scratch(windows.y.numel());
            let pair = ((y.data_mut(), y_chunk), (taps.as_mut_slice(), y_chunk));
            parallel::for_each_chunk_pair(pair.0, pair.1, |i, y, taps| {
                pairs::forward(level, extent, &windows, &x.data()[i * x_chunk..], y, taps);
            });
            let per = [windows.cols.positions, windows.y_plane()];
            Winners::Taps { extent, windows: per, taps, positions: OnceLock::new() }
        } else {
            let mut positions = Buffer::scratch(windows.y.numel());
            let pair = ((y.data_mut(), y_chunk), (positions.as_mut_slice(), y_chunk));
            parallel::for_each_chunk_pair(pair.0, pair.1, |i, y, positions| {
                forward_any(level, &windows, &x.data()[i * x_chunk..], y, positions);
            });
            Winners::Positions(positions)
        };
        Ok((y, Saved { x: x.shape(), winners }))
    }

    /// `dx` of shape `[n, c, h, w]` from `dy` of shape `[n, c, oh, ow]`; `saved` comes from this operation's
    /// [`MaxPool2d::forward`].
    ///
    /// # Errors
    /// `dy` does not have the shape of `y`, or `saved` is of other windows.
    pub fn backward(&self, saved: &Saved, dy: &Tensor) -> Result<Tensor, OpError> {
        let windows = self.windows(saved.x)?;
        check::shape(OP, "dy", windows.y, dy)?;
        let (expected, got) = (windows.y.numel(), saved.windows());
        if got != expected {
            return Err(OpError::Extent { op: OP, what: "saved", unit: "windows", expected, got });
        }
        let mut dx = Tensor::scratch(saved.x);
        let [x_chunk, y_chunk] = windows.chunks();
        let level = Level::current();
        // The windows of the forward pass; this operation's windows may be different ones of the same number.
        let here = [windows.cols.positions, windows.y_plane()];
        let by_taps = match &saved.winners {
            Winners::Taps { extent, windows, taps, .. } if *windows == here => {
                Some((*extent, taps.as_slice()))
            }
            _ => None,
        };
        let positions = if by_taps.is_none() { saved.indices() } else { &[] };
        parallel::for_each_chunk(dx.data_mut(), x_chunk, |i, dx| {
            let (dy, start) = (&dy.data()[i * y_chunk..], i * y_chunk);
            match by_taps {
                Some((extent, taps)) => pairs::backward(level, extent, &windows, dy, &taps[start..], dx),
                None => backward_planes(&windows, dy, &positions[start..], dx),
            }
        });
        Ok(dx)
    }

    fn windows(&self, x: Shape) -> Result<Windows, OpError> {
        let [_, _, h, w] = check::nchw(OP, "x", x)?;
        let Self { kernel, stride, padding, dilation, ceil_mode } = *self;
        if h.saturating_mul(w) >= NO_ELEMENT as usize {
            let unit = "elements per plane at most";
            let (expected, got) = (NO_ELEMENT as usize - 1, h.saturating_mul(w));
            return Err(OpError::Extent { op: OP, what: "x", unit, expected, got });
        }
        Windows::new(OP, x, Options { kernel, stride, padding, dilation, ceil_mode })
    }
}

/// Whether `v` takes the place of `max`, a maximum of elements before it.
#[inline(always)]
pub(crate) fn wins(v: f32, max: f32) -> bool {
    (v > max) | v.is_nan()
}

kernel! {
    /// Pools the planes of `y`, the first of which belongs to the first of `x`.
    fn forward_any<S>(_s, windows: &Windows, x: &[f32], y: &mut [f32], argmax: &mut [u32]) {
        // Where the compiler knows stride and dilation it loads whole vectors; these are nearly all cases.
        match (windows.cols.stride, [windows.rows.dilation, windows.cols.dilation]) {
            (1, [1, 1]) => forward_planes(windows, 1, [1, 1], x, y, argmax),
            (2, [1, 1]) => forward_planes(windows, 2, [1, 1], x, y, argmax),
            (stride, [1, 1]) => forward_planes(windows, stride, [1, 1], x, y, argmax),
            (stride, dilation) => forward_planes(windows, stride, dilation, x, y, argmax),
        }
    }
}

#[inline(always)]
fn forward_planes(
    windows: &Windows,
    stride: usize,
    dilation: [usize; 2],
    x: &[f32],
    y: &mut [f32],
    argmax: &mut [u32],
) {
    let Windows { rows, cols, .. } = windows;
    let complete = cols.complete();
    let planes = y.chunks_exact_mut(windows.y_plane()).zip(argmax.chunks_exact_mut(windows.y_plane()));
    for (x, (y, argmax)) in x.chunks_exact(windows.x_plane()).zip(planes) {
        let y_rows = y.chunks_exact_mut(cols.positions).zip(argmax.chunks_exact_mut(cols.positions));
        for (at, (y, argmax)) in y_rows.enumerate() {
            let band = Band { x, rows: rows.window(at), cols, stride, dilation };
            band.pool::<1>(0..complete.start, y, argmax);
            match complete.len() {
                8.. => band.pool::<8>(complete.clone(), y, argmax),
                4.. => band.pool::<4>(complete.clone(), y, argmax),
                _ => band.pool::<1>(complete.clone(), y, argmax),
            }
            band.pool::<1>(complete.end..cols.positions, y, argmax);
        }
    }
}

/// The input rows under one row of windows.
struct Band<'a> {
    /// The whole plane.
    x: &'a [f32],
    rows: Range<usize>,
    cols: &'a Axis,
    /// The same of `cols`.
    stride: usize,
    /// Those of rows and columns.
    dilation: [usize; 2],
}

impl Band<'_> {
    /// Pools `windows`, `N` at a time; for `N` above 1 they are complete and at least `N`.
    #[inline(always)]
    fn pool<const N: usize>(&self, windows: Range<usize>, y: &mut [f32], argmax: &mut [u32]) {
        for start in windows.clone().step_by(N) {
            // The last block overlaps the one before it, instead of being shorter.
            let start = start.min(windows.end - N);
            let (max, position) = self.pool_block::<N>(self.cols.window(start));
            y[start..start + N].copy_from_slice(&max);
            argmax[start..start + N].copy_from_slice(&position);
        }
    }

    /// The maxima of `N` windows, the first of which covers `cols`, and their positions in the plane.
    #[inline(always)]
    fn pool_block<const N: usize>(&self, cols: Range<usize>) -> ([f32; N], [u32; N]) {
        let (w, stride, [down, across]) = (self.cols.extent, self.stride, self.dilation);
        let (mut max, mut position) = ([f32::NEG_INFINITY; N], [NO_ELEMENT; N]);
        // Complete windows, which are pooled several at a time, have columns.
        if self.rows.is_empty() || (N == 1 && cols.is_empty()) {
            return (max, position);
        }
        let first = self.rows.start * w + cols.start;
        for i in 0..N {
            (max[i], position[i]) = (self.x[first + i * stride], (first + i * stride) as u32);
        }
        // Written out, as `step_by` divides before it steps.
        let mut row = self.rows.start;
        while row < self.rows.end {
            let mut col = cols.start;
            while col < cols.end {
                let start = row * w + col;
                let x = &self.x[start..=start + (N - 1) * stride];
                for i in 0..N {
                    let v = x[i * stride];
                    let won = wins(v, max[i]);
                    max[i] = if won { v } else { max[i] };
                    position[i] = if won { (start + i * stride) as u32 } else { position[i] };
                }
                col += across;
            }
            row += down;
        }
        (max, position)
    }
}

/// Adds each `dy` to the element of its plane of `dx` that won.
fn backward_planes(windows: &Windows, dy: &[f32], argmax: &[u32], dx: &mut [f32]) {
    let planes = dy.chunks_exact(windows.y_plane()).zip(argmax.chunks_exact(windows.y_plane()));
    for (dx, (dy, argmax)) in dx.chunks_exact_mut(windows.x_plane()).zip(planes) {
        dx.fill(0.0);
        for (dy, &argmax) in dy.iter().zip(argmax) {
            if argmax != NO_ELEMENT {
                dx[argmax as usize] += dy;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::{
        any_extent, any_padding, any_shape, assert_exact, assert_same_bits_on_any_threads, everywhere,
        whole_numbers,
    };
    use cnn_tensor::testing::{assert_gradient_close, distinct, gradient_of, to_f64};
    use prop::array::uniform2;
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(op: MaxPool2d, [n, c, h, w]: [usize; 4], x: &[f64]) -> Vec<f64> {
        let [_, _, oh, ow] = op.output_shape([n, c, h, w].into()).unwrap().nchw().unwrap();
        let [[top, _], [left, _]] = op.padding.resolve([h, w], op.kernel, op.stride, op.dilation);
        let mut y = vec![];
        for plane in 0..n * c {
            for i in 0..oh * ow {
                let mut max = f64::NEG_INFINITY;
                for a in 0..op.kernel[0] {
                    for b in 0..op.kernel[1] {
                        let row = (i / ow * op.stride[0] + a * op.dilation[0]).wrapping_sub(top);
                        let col = (i % ow * op.stride[1] + b * op.dilation[1]).wrapping_sub(left);
                        if row < h && col < w {
                            max = max.max(x[(plane * h + row) * w + col]);
                        }
                    }
                }
                y.push(max);
            }
        }
        y
    }

    fn check(op: MaxPool2d, shape: [usize; 4], seed: u64) {
        let x = distinct(shape, seed);
        let want = oracle(op, shape, &to_f64(&x));
        let dy = distinct(op.output_shape(shape.into()).unwrap(), seed ^ 1);
        // Infinite where a window has no element; there the differences are NaN, and nothing depends on x.
        let finite = |x: &[f64]| oracle(op, shape, x).into_iter().map(|y| y.max(-2.0)).collect();
        let want_dx = gradient_of(&x, &dy, finite);
        everywhere(|| {
            let (y, saved) = op.forward(&x).unwrap();
            assert_exact("y", &y, &want);
            assert_eq!(op.infer(&x).unwrap(), y);
            assert_gradient_close("dx", &op.backward(&saved, &dy).unwrap(), &want_dx);
            for (i, (&index, &y)) in saved.indices().iter().zip(y.data()).enumerate() {
                let plane = &x.data()[i / y_plane(&dy) * shape[2] * shape[3]..];
                assert_eq!(if index == NO_ELEMENT { f32::NEG_INFINITY } else { plane[index as usize] }, y);
            }
        });
    }

    fn y_plane(dy: &Tensor) -> usize {
        dy.shape().dims()[2] * dy.shape().dims()[3]
    }

    const SPECIAL: [f32; 7] = [f32::NAN, f32::NEG_INFINITY, f32::INFINITY, -1.0, -0.0, 0.0, 1.0];

    fn any_options() -> impl Strategy<Value = MaxPool2d> {
        let options = (uniform2(1..4usize), uniform2(1..5usize), any_padding(6), uniform2(1..4usize));
        (options, any::<[bool; 2]>()).prop_map(|((kernel, stride, padding, dilation), [dense, ceil_mode])| {
            let dilation = if dense { [1, 1] } else { dilation };
            MaxPool2d { kernel, stride, padding, dilation, ceil_mode }
        })
    }

    proptest! {
        #![proptest_config(crate::shared::testing::any_number_of_rejects())]

        #[test]
        fn matches_the_definition(op in any_options(), n in 1..3usize, c in 1..3usize, h in 1..6usize, w in 1..13usize,
                                  seed: u64) {
            prop_assume!(op.output_shape([n, c, h, w].into()).is_ok());
            check(op, [n, c, h, w], seed);
        }

        /// Rows long enough for whole blocks of windows at every stride; ties are many.
        #[test]
        fn whole_numbers_are_exact(op in any_options(), n in 1..4usize, c in 1..4usize, h in 1..12usize, w in 1..40usize,
                                   seed: u64) {
            let shape = [n, c, h, w];
            prop_assume!(op.output_shape(shape.into()).is_ok());
            let x = whole_numbers(shape, 3, seed);
            let want = oracle(op, shape, &to_f64(&x));
            let dy = whole_numbers(op.output_shape(shape.into()).unwrap(), 3, seed ^ 1);
            everywhere(|| {
                let (y, saved) = op.forward(&x).unwrap();
                assert_exact("y", &y, &want);
                let mut want_dx = vec![0.0; x.data().len()];
                for (i, (&index, dy)) in saved.indices().iter().zip(to_f64(&dy)).enumerate() {
                    if index != NO_ELEMENT {
                        want_dx[i / y_plane(&y) * h * w + index as usize] += dy;
                    }
                }
                assert_exact("dx", &op.backward(&saved, &dy).unwrap(), &want_dx);
            });
        }

        /// No options and shapes, however absurd, panic or take memory.
        #[test]
        fn absurd_options_are_errors(
            kernel in uniform2(any_extent()), stride in uniform2(any_extent()), padding in uniform2(uniform2(any_extent())),
            dilation in uniform2(any_extent()), ceil_mode: bool, x in any_shape(),
        ) {
            let op = MaxPool2d { kernel, stride, padding: padding.into(), dilation, ceil_mode };
            let Ok(y) = op.output_shape(x) else { return Ok(()) };
            if x.numel().max(y.numel()) < 10_000 {
                let (pooled, saved) = op.forward(&Tensor::zeros(x)).unwrap();
                prop_assert_eq!(pooled.shape(), y);
                op.backward(&saved, &pooled).unwrap();
            }
        }

        #[test]
        fn pairs_match_the_definition(three: bool, n in 1..3usize, c in 1..3usize, h in 3..8usize, w in 3..80usize,
                                      seed: u64) {
            check(of_pairs(three), [n, c, h, w], seed);
        }

        /// The definition cannot tell which of two equal elements won, nor what a NaN does; the paths must agree.
        #[test]
        fn both_paths_agree_on_ties_nan_and_infinities(
            three: bool,
            h in 3..7usize,
            w in 3..70usize,
            x in prop::collection::vec(prop::sample::select(SPECIAL.to_vec()), 2 * 6 * 70),
        ) {
            let (op, x) = (of_pairs(three), &x[..2 * h * w]);
            let windows = op.windows([2, 1, h, w].into()).unwrap();
            let bits = |y: &[f32]| y.iter().map(|y| y.to_bits()).collect::<Vec<_>>();
            let (mut y, mut positions) = (vec![9.0; windows.y.numel()], vec![9; windows.y.numel()]);
            forward_any(Level::current(), &windows, x, &mut y, &mut positions);
            let dy = Tensor::from_vec(windows.y, (1..=y.len()).map(|i| i as f32).collect()).unwrap();
            let mut dx = vec![9.0; x.len()];
            backward_planes(&windows, dy.data(), &positions, &mut dx);
            let x = Tensor::from_slice([2, 1, h, w], x).unwrap();
            everywhere(|| {
                let (got, saved) = op.forward(&x).unwrap();
                assert!(matches!(saved.winners, Winners::Taps { .. }));
                assert_eq!(bits(got.data()), bits(&y));
                assert_eq!(saved.indices(), positions);
                assert_eq!(bits(op.infer(&x).unwrap().data()), bits(&y));
                assert_eq!(bits(op.backward(&saved, &dy).unwrap().data()), bits(&dx));
            });
        }
    }

    fn of_pairs(three: bool) -> MaxPool2d {
        let op = MaxPool2d::new([2, 2]);
        if three { MaxPool2d { kernel: [3, 3], ..op } } else { op }
    }

    /// Windows of 2 x 2 and of 3 x 3 can be as many, and so can windows in more columns and fewer rows.
    #[test]
    fn backward_goes_by_the_windows_that_were_pooled() {
        let (x, dy) = (distinct([2, 1, 7, 7], 0), distinct([2, 1, 3, 3], 1));
        let apart = MaxPool2d::new([3, 3]).stride([2, 2]);
        let (_, saved) = MaxPool2d::new([2, 2]).forward(&x).unwrap();
        let want = MaxPool2d::new([2, 2]).backward(&saved, &dy).unwrap();
        assert_eq!(apart.backward(&saved, &dy).unwrap(), want);
        let other = MaxPool2d { kernel: [2, 2], stride: [2, 2], ..apart.stride([1, 1]) }.dilation([2, 2]);
        assert_eq!(other.output_shape(x.shape()).unwrap(), dy.shape());
        assert_eq!(other.backward(&saved, &dy).unwrap(), want);
        let (_, saved) = apart.forward(&distinct([1, 1, 6, 7], 0)).unwrap();
        let other = MaxPool2d::new([2, 4]).stride([2, 2]);
        let dx = other.backward(&saved, &Tensor::full([1, 1, 3, 2], 1.0)).unwrap();
        assert_eq!(dx.data().iter().sum::<f32>(), 6.0);
    }

    /// The output, and the input elements that a gradient of 1, 2, ... per output flows to.
    fn example(op: MaxPool2d, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (y, saved) = op.forward(&Tensor::from_slice([1, 1, 1, x.len()], x).unwrap()).unwrap();
        let dy = Tensor::from_vec(y.shape(), (1..=y.data().len()).map(|i| i as f32).collect()).unwrap();
        (y.data().to_vec(), op.backward(&saved, &dy).unwrap().data().to_vec())
    }

    #[test]
    fn ties_go_to_the_first_element() {
        let (y, dx) = example(MaxPool2d::new([1, 3]), &[3.0, 3.0, 1.0, 0.0, -0.0, 0.0]);
        assert_eq!((y, dx), (vec![3.0, 0.0], vec![1.0, 0.0, 0.0, 2.0, 0.0, 0.0]));
    }

    #[test]
    fn the_last_nan_wins() {
        let (y, dx) = example(MaxPool2d::new([1, 5]), &[f32::INFINITY, f32::NAN, 7.0, f32::NAN, 8.0]);
        assert!(y[0].is_nan());
        assert_eq!(dx, [0.0, 0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn the_first_of_nothing_but_minus_infinity_wins() {
        let op = MaxPool2d::new([1, 2]).stride([1, 1]).padding([0, 1]);
        let (y, dx) = example(op, &[f32::NEG_INFINITY; 2]);
        assert_eq!((y, dx), (vec![f32::NEG_INFINITY; 3], vec![3.0, 3.0]));
    }

    #[test]
    fn padding_loses_to_negative_numbers() {
        let op = MaxPool2d::new([1, 2]).padding([0, 1]);
        assert_eq!(example(op, &[-5.0, -6.0]), (vec![-5.0, -6.0], vec![1.0, 2.0]));
    }

    #[test]
    fn with_ceil_mode_the_last_window_hangs_over_if_it_begins_on_the_input() {
        let op = MaxPool2d::new([1, 2]);
        assert_eq!(example(op, &[1.0, 2.0, -3.0]).0, [2.0]);
        assert_eq!(example(op.ceil_mode(true), &[1.0, 2.0, -3.0]), (vec![2.0, -3.0], vec![0.0, 1.0, 2.0]));
        // Here it would begin in the padding at the end.
        let padded = MaxPool2d::new([1, 2]).stride([1, 3]).padding([0, 1]).ceil_mode(true);
        assert_eq!(example(padded, &[1.0, 2.0, 4.0, 3.0]).0, [1.0, 4.0]);
        assert_eq!(example(padded, &[1.0, 2.0]).0, [1.0]);
    }

    #[test]
    fn a_window_on_padding_alone_is_minus_infinity() {
        let op = MaxPool2d::new([1, 2]).stride([1, 1]).padding([0, 3]).dilation([1, 5]);
        let (y, dx) = example(op, &[7.0]);
        assert_eq!((y, dx), (vec![f32::NEG_INFINITY, f32::NEG_INFINITY], vec![0.0]));
        let (_, saved) = op.forward(&Tensor::zeros([1, 1, 1, 1])).unwrap();
        assert_eq!(saved.indices(), [NO_ELEMENT; 2]);
        let wide = MaxPool2d::new([1, 2]).stride([1, 1]).padding([[0, 0], [0, 2]]);
        let (y, dx) = example(wide, &[7.0, 8.0]);
        assert_eq!((y, dx), (vec![8.0, 8.0, f32::NEG_INFINITY], vec![0.0, 3.0]));
    }

    #[test]
    fn a_description_may_leave_out_all_but_the_kernel() {
        let read = |json: &str| serde_json::from_str::<MaxPool2d>(json);
        assert_eq!(read(r#"{"kernel":[3,2]}"#).unwrap(), MaxPool2d::new([3, 2]));
        assert_eq!(
            read(r#"{"kernel":[3,2],"padding":[1,0]}"#).unwrap(),
            MaxPool2d::new([3, 2]).padding([1, 0])
        );
        let same = MaxPool2d::new([3, 2]).padding(Padding::SameLower);
        assert_eq!(read(r#"{"kernel":[3,2],"padding":"same_lower"}"#).unwrap(), same);
        let op = MaxPool2d::new([3, 2]).stride([2, 1]).ceil_mode(true);
        assert_eq!(read(&serde_json::to_string(&op).unwrap()).unwrap(), op);
        assert!(read(r#"{"kernel":[3,2],"pading":[1,1]}"#).is_err());
    }

    #[test]
    fn windows_that_share_a_maximum_add_their_gradients() {
        let op = MaxPool2d::new([1, 2]).stride([1, 1]);
        assert_eq!(example(op, &[0.0, 1.0, 0.0]), (vec![1.0, 1.0], vec![0.0, 3.0, 0.0]));
    }

    #[test]
    fn an_empty_batch_pools_to_an_empty_batch() {
        let op = MaxPool2d::new([2, 2]);
        let (y, saved) = op.forward(&Tensor::zeros([0, 3, 4, 4])).unwrap();
        assert_eq!(y.shape(), Shape::from([0, 3, 2, 2]));
        assert_eq!(op.backward(&saved, &y).unwrap().shape(), Shape::from([0, 3, 4, 4]));
    }

    #[test]
    fn threads_change_nothing() {
        let x = distinct([5, 3, 150, 151], 0);
        for op in [MaxPool2d::new([2, 2]), MaxPool2d::new([3, 3]).stride([2, 2])] {
            assert_same_bits_on_any_threads(|| {
                let (y, saved) = op.forward(&x).unwrap();
                let dx = op.backward(&saved, &distinct(y.shape(), 1)).unwrap();
                vec![y, dx]
            });
        }
    }

    #[test]
    fn a_single_tap_is_alone_however_far_apart_taps_would_be() {
        let x = distinct([1, 1, 9, 3], 0);
        let op = MaxPool2d::new([1, 1]).dilation([usize::MAX, usize::MAX - 1]);
        assert_eq!(op.infer(&x).unwrap(), x);
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |op: MaxPool2d, x: Shape| op.output_shape(x).unwrap_err().to_string();
        let (op, x) = (MaxPool2d::new([3, 3]), Shape::from([1, 1, 2, 5]));
        assert_eq!(message(op, [4, 4].into()), "max_pool2d: x expects [n, c, h, w], got shape [4, 4]");
        assert_eq!(
            message(op, x),
            "max_pool2d: a window of 3 with padding 0 does not fit an input extent of 2"
        );
        let no_rows = message(MaxPool2d::new([2, 2]).padding([1, 1]), [1, 1, 0, 5].into());
        assert_eq!(no_rows, "max_pool2d: a window of 2 with padding 2 does not fit an input extent of 0");
        let no_kernel = message(MaxPool2d::new([0, 2]), x);
        assert_eq!(no_kernel, "max_pool2d: kernel must be at least 1, got [0, 2]");
        assert_eq!(message(op.stride([1, 0]), x), "max_pool2d: stride must be at least 1, got [1, 0]");
        assert_eq!(message(op.dilation([0, 1]), x), "max_pool2d: dilation must be at least 1, got [0, 1]");
        let too_much = message(op.padding([[usize::MAX, 1], [0, 0]]), x);
        let (window, extent) = ("a window of 3 with padding", "does not fit an input extent of 2");
        assert_eq!(too_much, format!("max_pool2d: {window} {} {extent}", usize::MAX));
        let plane = message(op, [1, 1, 1 << 16, 1 << 16].into());
        assert_eq!(plane, "max_pool2d: x expects 4294967294 elements per plane at most, got 4294967296");
    }

    #[test]
    fn backward_takes_what_forward_gave() {
        let (y, saved) = MaxPool2d::new([2, 2]).forward(&distinct([1, 1, 4, 4], 0)).unwrap();
        let error = MaxPool2d::new([2, 2]).backward(&saved, &Tensor::zeros([1, 1, 4, 4])).unwrap_err();
        assert_eq!(error.to_string(), "max_pool2d: dy expects shape [1, 1, 2, 2], got [1, 1, 4, 4]");
        let error = MaxPool2d::new([4, 4]).backward(&saved, &Tensor::zeros([1, 1, 1, 1])).unwrap_err();
        assert_eq!(error.to_string(), "max_pool2d: saved expects 1 windows, got 4");
        assert_eq!(y.shape(), Shape::from([1, 1, 2, 2]));
    }
}
