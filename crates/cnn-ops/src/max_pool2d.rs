//! 2-D max pooling.
//!
//! `y[n, c, oh, ow] = max over (kh, kw) of x[n, c, oh*sh + kh*dh - ph, ow*sw + kw*dw - pw]`, where positions outside the
//! input do not take part: padding never wins, not even against negative numbers.
//!
//! **Conventions.** A tie goes to the first element in row-major order; a NaN wins against any number, and the last
//! NaN against those before it; so each `dy` flows to exactly one `dx`. With `ceil_mode` the last windows may hang over
//! the end, padding included, as long as they begin before it; what they lack does not take part. All of this is as in
//! PyTorch's `nn.MaxPool2d`. PyTorch gives minus infinity, and an index outside the input, for the one window that lies
//! on padding alone, whose two elements are so far apart that they leap over the input; here that is an error.
//!
//! **Algorithm.** Complete windows of a row are pooled eight (or four) at a time and without a branch, which compilers
//! turn into vector code; windows that hang over the left or right edge one by one. Windows of 2 x 2 elements side by
//! side, which most small networks use, have a path of their own, twice as fast: it reads every pair of columns as one
//! item, and leaves no edges. The backward pass scatters, at the speed of memory.
//!
//! Source: M. Ranzato, F. J. Huang, Y. Boureau and Y. LeCun, "Unsupervised Learning of Invariant Feature Hierarchies
//! with Applications to Object Recognition", CVPR 2007.

use crate::maxima::{self, wins};
use crate::pooling::{Axis, Options, Windows};
use crate::{OpError, serde_defaults};
use cnn_tensor::simd::Level;
use cnn_tensor::{Buffer, Shape, Tensor, kernel, parallel};
use serde::{Deserialize, Serialize};
use std::ops::Range;

pub use crate::maxima::Saved;

const OP: &str = "max_pool2d";

/// The options of a max pooling; pairs are `[height, width]`, in elements.
///
/// Read by serde, an option that is left out has PyTorch's default; that of `stride` is `kernel`.
///
/// ```
/// use cnn_ops::MaxPool2d;
/// use cnn_tensor::Tensor;
/// let op = MaxPool2d::new([2, 2]);
/// let x = Tensor::from_vec([1, 1, 2, 4], vec![1.0, 5.0, 2.0, 0.0, 3.0, 4.0, 8.0, 6.0])?;
/// let (y, saved) = op.forward(&x)?;
/// assert_eq!(y.data(), [5.0, 8.0]);
/// assert_eq!(saved.indices(), [1, 6]);
/// let dx = op.backward(&saved, &Tensor::full([1, 1, 1, 2], 1.0))?;
/// assert_eq!(dx.data(), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Described")]
pub struct MaxPool2d {
    /// The window's extents; at least 1.
    pub kernel: [usize; 2],
    /// The step from window to window; at least 1.
    pub stride: [usize; 2],
    /// Rows and columns added on each side; at most half the kernel.
    pub padding: [usize; 2],
    /// The step from element to element of a window; at least 1.
    pub dilation: [usize; 2],
    /// Whether the number of windows is rounded up.
    pub ceil_mode: bool,
}

/// What serde reads.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    kernel: [usize; 2],
    stride: Option<[usize; 2]>,
    #[serde(default)]
    padding: [usize; 2],
    #[serde(default = "serde_defaults::ones")]
    dilation: [usize; 2],
    #[serde(default)]
    ceil_mode: bool,
}

impl From<Described> for MaxPool2d {
    fn from(Described { kernel, stride, padding, dilation, ceil_mode }: Described) -> Self {
        Self { kernel, stride: stride.unwrap_or(kernel), padding, dilation, ceil_mode }
    }
}

impl MaxPool2d {
    /// Windows side by side: stride equal to `kernel`, no padding.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: kernel, padding: [0, 0], dilation: [1, 1], ceil_mode: false }
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

    /// The same with another dilation.
    #[must_use]
    pub fn with_dilation(self, dilation: [usize; 2]) -> Self {
        Self { dilation, ..self }
    }

    /// The same with the number of windows rounded up or down.
    #[must_use]
    pub fn with_ceil_mode(self, ceil_mode: bool) -> Self {
        Self { ceil_mode, ..self }
    }

    /// `[n, c, h, w]` to `[n, c, oh, ow]` with `oh = (h + 2*ph - dh*(kh - 1) - 1) / sh + 1`, rounded down, and `ow`
    /// likewise; with `ceil_mode` rounded up, but without a last window that would begin past the input and the padding
    /// before it.
    ///
    /// # Errors
    /// An option is out of its range, `x` is not of rank 4, a window does not fit the padded input or lies on padding
    /// alone, or an input plane has 2^32 elements or more.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        Ok(self.windows(x)?.y)
    }

    /// `y` of shape `[n, c, oh, ow]` from `x` of shape `[n, c, h, w]`.
    ///
    /// # Errors
    /// Those of [`MaxPool2d::output_shape`].
    pub fn infer(&self, x: &Tensor) -> Result<Tensor, OpError> {
        self.forward(x).map(|(y, _)| y)
    }

    /// `y` as from [`MaxPool2d::infer`], and what [`MaxPool2d::backward`] needs.
    ///
    /// # Errors
    /// Those of [`MaxPool2d::output_shape`].
    pub fn forward(&self, x: &Tensor) -> Result<(Tensor, Saved), OpError> {
        let windows = self.windows(x.shape())?;
        let mut y = Tensor::scratch(windows.y);
        let mut indices = Buffer::scratch(windows.y.numel());
        let pieces = windows.pieces();
        let level = Level::current();
        parallel::for_each_chunk_pair(
            (y.data_mut(), pieces.y),
            (indices.as_mut_slice(), pieces.y),
            |i, y, indices| {
                let x = &x.data()[i * pieces.x..];
                if self.tiles_two_by_two(&windows) {
                    forward_two_by_two(level, &windows, x, y, indices);
                } else {
                    forward_any(level, &windows, x, y, indices);
                }
            },
        );
        Ok((y, Saved { x: x.shape(), y: windows.y, indices }))
    }

    /// `dx` of shape `[n, c, h, w]` from `dy` of shape `[n, c, oh, ow]`; `saved` comes from this operation's
    /// [`MaxPool2d::forward`].
    ///
    /// # Errors
    /// `dy` does not have the shape of `y`, or `saved` is of other windows.
    pub fn backward(&self, saved: &Saved, dy: &Tensor) -> Result<Tensor, OpError> {
        saved.scatter(OP, self.output_shape(saved.x)?, dy)
    }

    fn windows(&self, x: Shape) -> Result<Windows, OpError> {
        maxima::nchw(OP, x)?;
        let Self { kernel, stride, padding, dilation, ceil_mode } = *self;
        Windows::new(OP, x, Options { kernel, stride, padding, dilation, ceil_mode })
    }

    /// Whether the windows are 2 x 2 elements side by side, all complete, and enough of them in a row.
    fn tiles_two_by_two(&self, Windows { rows, cols, .. }: &Windows) -> bool {
        let complete = [rows, cols].iter().all(|axis| axis.complete() == (0..axis.positions));
        self.with_ceil_mode(false) == Self::new([2, 2]) && complete && cols.positions >= BLOCK
    }
}

kernel! {
    /// Pools the planes of `y`, the first of which belongs to the first of `x`.
    fn forward_any<S>(_s, windows: &Windows, x: &[f32], y: &mut [f32], indices: &mut [u32]) {
        // Where the compiler knows the stride it loads whole vectors; 1 and 2 are nearly all there is.
        match (windows.cols.stride, [windows.rows.dilation, windows.cols.dilation]) {
            (1, [1, 1]) => forward_planes(windows, 1, [1, 1], x, y, indices),
            (2, [1, 1]) => forward_planes(windows, 2, [1, 1], x, y, indices),
            (stride, dilation) => forward_planes(windows, stride, dilation, x, y, indices),
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
    indices: &mut [u32],
) {
    let Windows { rows, cols, .. } = windows;
    let complete = cols.complete();
    let planes = y.chunks_exact_mut(windows.y_plane()).zip(indices.chunks_exact_mut(windows.y_plane()));
    for (x, (y, indices)) in x.chunks_exact(windows.x_plane()).zip(planes) {
        let y_rows = y.chunks_exact_mut(cols.positions).zip(indices.chunks_exact_mut(cols.positions));
        for (at, (y, indices)) in y_rows.enumerate() {
            let band = Band { x, rows: rows.window(at), cols, stride, dilation };
            band.pool::<1>(0..complete.start, y, indices);
            match complete.len() {
                8.. => band.pool::<8>(complete.clone(), y, indices),
                4.. => band.pool::<4>(complete.clone(), y, indices),
                _ => band.pool::<1>(complete.clone(), y, indices),
            }
            band.pool::<1>(complete.end..cols.positions, y, indices);
        }
    }
}

/// The input rows under one row of windows.
struct Band<'a> {
    /// The whole plane.
    x: &'a [f32],
    rows: Range<usize>,
    cols: &'a Axis,
    /// That of `cols`.
    stride: usize,
    /// Those of rows and columns.
    dilation: [usize; 2],
}

impl Band<'_> {
    /// Pools `windows`, `N` at a time; for `N` above 1 they are complete and at least `N`.
    #[inline(always)]
    fn pool<const N: usize>(&self, windows: Range<usize>, y: &mut [f32], indices: &mut [u32]) {
        for start in windows.clone().step_by(N) {
            // The last block overlaps the one before it rather than be shorter.
            let start = start.min(windows.end - N);
            let (max, position) = self.pool_block::<N>(self.cols.window(start));
            y[start..start + N].copy_from_slice(&max);
            indices[start..start + N].copy_from_slice(&position);
        }
    }

    /// The maxima of `N` windows, the first of which covers `cols`, and their positions in the plane.
    #[inline(always)]
    fn pool_block<const N: usize>(&self, cols: Range<usize>) -> ([f32; N], [u32; N]) {
        let (w, stride, [down, across]) = (self.cols.extent, self.stride, self.dilation);
        let (mut max, mut position) = ([0.0; N], [0; N]);
        let first = self.rows.start * w + cols.start;
        for i in 0..N {
            (max[i], position[i]) = (self.x[first + i * stride], (first + i * stride) as u32);
        }
        // Not `step_by`, which divides for the number of its steps.
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

/// Windows that [`forward_two_by_two`] pools together.
const BLOCK: usize = 4;

kernel! {
    /// [`forward_any`] for windows of 2 x 2 elements side by side, at least [`BLOCK`] in a row.
    fn forward_two_by_two<S>(_s, windows: &Windows, x: &[f32], y: &mut [f32], indices: &mut [u32]) {
        let (w, ow) = (windows.cols.extent, windows.cols.positions);
        let planes = y.chunks_exact_mut(windows.y_plane()).zip(indices.chunks_exact_mut(windows.y_plane()));
        for (x, (y, indices)) in x.chunks_exact(windows.x_plane()).zip(planes) {
            let y_rows = y.chunks_exact_mut(ow).zip(indices.chunks_exact_mut(ow));
            for (at, (x, (y, indices))) in x.chunks_exact(2 * w).zip(y_rows).enumerate() {
                let (top, bottom) = x.split_at(w);
                let (top, bottom) = (top.as_chunks().0, bottom.as_chunks().0);
                for start in (0..ow).step_by(BLOCK) {
                    // The last block overlaps the one before it rather than be shorter.
                    let start = start.min(ow - BLOCK);
                    let corner = 2 * (at * w + start);
                    let (max, position) = pool_two_by_two(&top[start..], &bottom[start..], corner as u32, w as u32);
                    y[start..start + BLOCK].copy_from_slice(&max);
                    indices[start..start + BLOCK].copy_from_slice(&position);
                }
            }
        }
    }
}

/// The maxima of the first [`BLOCK`] windows of two rows of `w` elements, and their positions; that of `top[0][0]` is
/// `corner`.
#[inline(always)]
fn pool_two_by_two(
    top: &[[f32; 2]],
    bottom: &[[f32; 2]],
    corner: u32,
    w: u32,
) -> ([f32; BLOCK], [u32; BLOCK]) {
    let better = |a: (f32, u32), b: (f32, u32)| {
        let won = wins(b.0, a.0);
        (if won { b.0 } else { a.0 }, if won { b.1 } else { a.1 })
    };
    let (top, bottom) = (&top[..BLOCK], &bottom[..BLOCK]);
    let (mut max, mut position) = ([0.0; BLOCK], [0; BLOCK]);
    for i in 0..BLOCK {
        let [left, right, below] = [0, 1, w].map(|offset| corner + 2 * i as u32 + offset);
        let upper = better((top[i][0], left), (top[i][1], right));
        let lower = better((bottom[i][0], below), (bottom[i][1], below + 1));
        (max[i], position[i]) = better(upper, lower);
    }
    (max, position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        SPECIAL, any_extent, any_shape, assert_exact, assert_same_bits_on_any_threads, everywhere,
        whole_numbers,
    };
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64: the maxima, and where the first of each is in its plane.
    fn oracle(op: MaxPool2d, [n, c, h, w]: [usize; 4], x: &[f64]) -> (Vec<f64>, Vec<u32>) {
        let [_, _, oh, ow] = op.output_shape([n, c, h, w].into()).unwrap().nchw().unwrap();
        let mut y = vec![];
        for plane in 0..n * c {
            for i in 0..oh * ow {
                let mut max = (f64::NEG_INFINITY, 0);
                for a in 0..op.kernel[0] {
                    for b in 0..op.kernel[1] {
                        let row = (i / ow * op.stride[0] + a * op.dilation[0]).wrapping_sub(op.padding[0]);
                        let col = (i % ow * op.stride[1] + b * op.dilation[1]).wrapping_sub(op.padding[1]);
                        if row < h && col < w && x[(plane * h + row) * w + col] > max.0 {
                            max = (x[(plane * h + row) * w + col], (row * w + col) as u32);
                        }
                    }
                }
                y.push(max);
            }
        }
        y.into_iter().unzip()
    }

    fn check(op: MaxPool2d, shape: [usize; 4], seed: u64) {
        let x = distinct(shape, seed);
        let (want, indices) = oracle(op, shape, &to_f64(&x));
        let dy = distinct(op.output_shape(shape.into()).unwrap(), seed ^ 1);
        let want_dx = gradient_of(&x, &dy, |x| oracle(op, shape, x).0);
        everywhere(|| {
            let (y, saved) = op.forward(&x).unwrap();
            assert_close(&y, &want);
            assert_eq!(saved.indices(), indices);
            assert_eq!(op.infer(&x).unwrap(), y);
            assert_gradient_close("dx", &op.backward(&saved, &dy).unwrap(), &want_dx);
        });
    }

    /// Of few values, so that most maxima are ties.
    fn check_whole_numbers(op: MaxPool2d, shape: [usize; 4], seed: u64) {
        let x = whole_numbers(shape, 2, seed);
        let (want, indices) = oracle(op, shape, &to_f64(&x));
        let y_shape = op.output_shape(shape.into()).unwrap();
        let dy = whole_numbers(y_shape, 99, seed ^ 1);
        let [x_plane, y_plane] = [x.shape(), y_shape].map(maxima::plane);
        let mut want_dx = vec![0.0; x.data().len()];
        for (i, &dy) in dy.data().iter().enumerate() {
            want_dx[i / y_plane * x_plane + indices[i] as usize] += f64::from(dy);
        }
        everywhere(|| {
            let (y, saved) = op.forward(&x).unwrap();
            assert_exact("y", &y, &want);
            assert_eq!(saved.indices(), indices);
            assert_exact("dx", &op.backward(&saved, &dy).unwrap(), &want_dx);
        });
    }

    fn any_options() -> impl Strategy<Value = MaxPool2d> {
        use prop::array::uniform2;
        let dilation = uniform2(prop_oneof![3 => Just(1usize), 2 => 2..5usize]);
        (uniform2(1..5usize), uniform2(1..5usize), uniform2(0..3usize), dilation, any::<bool>()).prop_map(
            |(kernel, stride, padding, dilation, ceil_mode)| {
                let padding = [padding[0].min(kernel[0] / 2), padding[1].min(kernel[1] / 2)];
                MaxPool2d { kernel, stride, padding, dilation, ceil_mode }
            },
        )
    }

    proptest! {
        #![proptest_config(crate::testing::any_number_of_rejects())]

        #[test]
        fn matches_the_definition(op in any_options(), n in 1..3usize, c in 1..3usize, h in 1..6usize, w in 1..8usize,
                                  seed: u64) {
            prop_assume!(op.output_shape([n, c, h, w].into()).is_ok());
            check(op, [n, c, h, w], seed);
        }

        #[test]
        fn whole_numbers_are_exact(op in any_options(), n in 1..3usize, c in 1..4usize, h in 1..12usize, w in 1..30usize,
                                   seed: u64) {
            prop_assume!(op.output_shape([n, c, h, w].into()).is_ok());
            check_whole_numbers(op, [n, c, h, w], seed);
        }

        #[test]
        fn two_by_two_matches_the_definition(h in 2..4usize, w in 8..12usize, ceil_mode: bool, seed: u64) {
            check(MaxPool2d::new([2, 2]).with_ceil_mode(ceil_mode), [1, 2, h, w], seed);
        }

        #[test]
        fn two_by_two_is_exact_on_whole_numbers(n in 1..3usize, c in 1..4usize, h in 2..9usize, w in 8..40usize,
                                                ceil_mode: bool, seed: u64) {
            check_whole_numbers(MaxPool2d::new([2, 2]).with_ceil_mode(ceil_mode), [n, c, h, w], seed);
        }

        /// The definition does not say what a NaN does; the paths must agree.
        #[test]
        fn both_paths_agree_on_ties_nan_and_infinities(
            h in 2..6usize,
            w in 8..24usize,
            x in prop::collection::vec(prop::sample::select(SPECIAL.to_vec()), 2 * 6 * 24),
        ) {
            let op = MaxPool2d::new([2, 2]);
            let windows = op.windows([2, 1, h, w].into()).unwrap();
            prop_assert!(op.tiles_two_by_two(&windows));
            let run = |path: fn(Level, &Windows, &[f32], &mut [f32], &mut [u32])| {
                let (mut y, mut indices) = (vec![9.0; windows.y.numel()], vec![9; windows.y.numel()]);
                path(Level::current(), &windows, &x[..2 * h * w], &mut y, &mut indices);
                (y.iter().map(|y| y.to_bits()).collect::<Vec<_>>(), indices)
            };
            everywhere(|| assert_eq!(run(forward_two_by_two), run(forward_any)));
        }

        /// No options, however absurd, make the shape rule panic or take memory.
        #[test]
        fn absurd_options_are_errors(kernel in [any_extent(), any_extent()], stride in [any_extent(), any_extent()],
                                     padding in [any_extent(), any_extent()],
                                     dilation in [any_extent(), any_extent()], ceil_mode: bool, x in any_shape()) {
            let op = MaxPool2d { kernel, stride, padding, dilation, ceil_mode };
            let Ok(y) = op.output_shape(x) else { return Ok(()) };
            if x.numel().max(y.numel()) < 100_000 {
                let (got, saved) = op.forward(&Tensor::zeros(x)).unwrap();
                prop_assert_eq!(got.shape(), y);
                prop_assert_eq!(op.backward(&saved, &got).unwrap().shape(), x);
            }
        }
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
    fn elements_of_a_window_are_dilation_apart() {
        let op = MaxPool2d::new([1, 2]).with_stride([1, 1]).with_dilation([1, 3]);
        assert_eq!(example(op, &[5.0, 9.0, 8.0, 4.0, 7.0]), (vec![5.0, 9.0], vec![1.0, 2.0, 0.0, 0.0, 0.0]));
    }

    #[test]
    fn rounded_up_the_last_window_hangs_over_the_end_if_it_begins_before_it() {
        let op = MaxPool2d::new([1, 2]).with_ceil_mode(true);
        assert_eq!(example(op, &[1.0, 2.0, -3.0]).0, [2.0, -3.0]);
        // A third window would begin on the padding after the end.
        let op = op.with_padding([0, 1]);
        assert_eq!(example(op, &[1.0, 2.0, -3.0]).0, [1.0, 2.0]);
        // Larger than the input, and yet one window, as the stride is larger still.
        let op = MaxPool2d::new([1, 4]).with_stride([1, 3]).with_ceil_mode(true);
        assert_eq!(example(op, &[1.0, 2.0]).0, [2.0]);
    }

    #[test]
    fn indices_are_positions_in_the_plane() {
        let x = Tensor::from_vec([1, 2, 2, 2], vec![1.0, 2.0, 3.0, 0.0, 4.0, 3.0, 2.0, 1.0]).unwrap();
        let (_, saved) = MaxPool2d::new([2, 1]).forward(&x).unwrap();
        assert_eq!(saved.indices(), [2, 1, 0, 1]);
        assert_eq!(saved.x_shape(), x.shape());
    }

    #[test]
    fn the_first_of_nothing_but_minus_infinity_wins() {
        let op = MaxPool2d::new([1, 2]).with_stride([1, 1]).with_padding([0, 1]);
        let (y, dx) = example(op, &[f32::NEG_INFINITY; 2]);
        assert_eq!((y, dx), (vec![f32::NEG_INFINITY; 3], vec![3.0, 3.0]));
    }

    #[test]
    fn padding_loses_to_negative_numbers() {
        let op = MaxPool2d::new([1, 2]).with_padding([0, 1]);
        assert_eq!(example(op, &[-5.0, -6.0]), (vec![-5.0, -6.0], vec![1.0, 2.0]));
    }

    #[test]
    fn windows_that_share_a_maximum_add_their_gradients() {
        let op = MaxPool2d::new([1, 2]).with_stride([1, 1]);
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
        for op in [MaxPool2d::new([2, 2]), MaxPool2d::new([3, 3]).with_stride([2, 2])] {
            assert_same_bits_on_any_threads(|| {
                let (y, saved) = op.forward(&x).unwrap();
                let dx = op.backward(&saved, &distinct(y.shape(), 1)).unwrap();
                vec![y, dx]
            });
        }
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
        let no_rows = message(MaxPool2d::new([2, 2]).with_padding([1, 1]), [1, 1, 0, 5].into());
        assert_eq!(no_rows, "max_pool2d: a window of 2 with padding 2 does not fit an input extent of 0");
        let no_kernel = message(MaxPool2d::new([0, 2]), x);
        assert_eq!(no_kernel, "max_pool2d: kernel must be at least 1, got [0, 2]");
        assert_eq!(message(op.with_stride([1, 0]), x), "max_pool2d: stride must be at least 1, got [1, 0]");
        let padding = message(op.with_padding([1, 2]), x);
        assert_eq!(padding, "max_pool2d: padding must be at most half the kernel, got [1, 2]");
        let dilation = message(op.with_dilation([0, 1]), x);
        assert_eq!(dilation, "max_pool2d: dilation must be at least 1, got [0, 1]");
        let leap = MaxPool2d::new([1, 2]).with_padding([0, 1]).with_dilation([1, 6]);
        assert_eq!(
            message(leap, x),
            "max_pool2d: dilation must be such that no window lies on padding alone, got [1, 6]"
        );
        let plane = message(op, [1, 1, 1 << 16, 1 << 16].into());
        assert_eq!(plane, "max_pool2d: x expects 4294967295 elements per plane at most, got 4294967296");
    }

    #[test]
    fn backward_takes_what_forward_gave() {
        let (y, saved) = MaxPool2d::new([2, 2]).forward(&distinct([1, 1, 4, 4], 0)).unwrap();
        let error = MaxPool2d::new([2, 2]).backward(&saved, &Tensor::zeros([1, 1, 4, 4])).unwrap_err();
        assert_eq!(error.to_string(), "max_pool2d: dy expects shape [1, 1, 2, 2], got [1, 1, 4, 4]");
        let error = MaxPool2d::new([4, 4]).backward(&saved, &Tensor::zeros([1, 1, 1, 1])).unwrap_err();
        assert_eq!(error.to_string(), "max_pool2d: saved expects shape [1, 1, 1, 1], got [1, 1, 2, 2]");
        assert_eq!(y.shape(), Shape::from([1, 1, 2, 2]));
    }
}
