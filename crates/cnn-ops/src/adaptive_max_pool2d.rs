//! 2-D adaptive max pooling: to an output of given size, whatever the input's.
//!
//! `y[n, c, oh, ow] = max of x[n, c, i, j]` over the rows `oh * h / OH <= i < (oh + 1) * h / OH`, the first bound
//! rounded down and the second up, and the columns likewise, for an output of `OH` rows.
//!
//! **Conventions.** Windows are those of [`adaptive_avg_pool2d`](mod@crate::adaptive_avg_pool2d), ties and NaN those of
//! [`max_pool2d`](mod@crate::max_pool2d): a tie goes to the first element in row-major order, the last NaN wins, and each
//! `dy` flows to exactly one `dx`. All of this is as in PyTorch's `nn.AdaptiveMaxPool2d`, but an output without elements
//! is an error here.
//!
//! **Algorithm.** Window by window. Where an output's extent divides the input's, [`MaxPool2d`](crate::MaxPool2d) does the
//! same several windows at a time.
//!
//! Source: K. He, X. Zhang, S. Ren and J. Sun, "Spatial Pyramid Pooling in Deep Convolutional Networks for Visual
//! Recognition", ECCV 2014, section 2.3.

use crate::OpError;
use crate::adaptive::Grid;
use crate::maxima::{self, wins};
use cnn_tensor::{Buffer, Shape, Tensor, parallel};
use serde::{Deserialize, Serialize};
use std::ops::Range;

pub use crate::maxima::Saved;

const OP: &str = "adaptive_max_pool2d";

/// The options of an adaptive max pooling.
///
/// ```
/// use cnn_ops::AdaptiveMaxPool2d;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 1, 2, 3], vec![1.0, 3.0, 5.0, 3.0, 4.0, 7.0])?;
/// let (y, saved) = AdaptiveMaxPool2d::new([1, 2]).forward(&x)?;
/// assert_eq!((y.data(), saved.indices()), (&[4.0, 7.0][..], &[4, 5][..]));
/// assert_eq!(AdaptiveMaxPool2d::global().infer(&x)?.data(), [7.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveMaxPool2d {
    /// Height and width of the output; at least 1.
    pub output: [usize; 2],
}

impl AdaptiveMaxPool2d {
    /// To `output` rows and columns.
    pub fn new(output: [usize; 2]) -> Self {
        Self { output }
    }

    /// To one number for each plane: its maximum.
    pub fn global() -> Self {
        Self::new([1, 1])
    }

    /// `[n, c, h, w]` to `[n, c, output...]`.
    ///
    /// # Errors
    /// An extent of `output` is 0, `x` is not of rank 4, or its planes have no elements, or 2^32 or more.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        Ok(self.grid(x)?.y)
    }

    /// `y` of shape `[n, c, output...]` from `x` of shape `[n, c, h, w]`.
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
        let grid = self.grid(x.shape())?;
        let mut y = Tensor::scratch(grid.y);
        let mut indices = Buffer::scratch(grid.y.numel());
        let pieces = grid.pieces();
        parallel::for_each_chunk_pair(
            (y.data_mut(), pieces.y),
            (indices.as_mut_slice(), pieces.y),
            |i, y, indices| {
                let planes = y.chunks_exact_mut(grid.y_plane()).zip(indices.chunks_exact_mut(grid.y_plane()));
                let x = x.data()[i * pieces.x..].chunks_exact(grid.x_plane());
                x.zip(planes).for_each(|(x, (y, indices))| forward_plane(&grid, x, y, indices));
            },
        );
        Ok((y, Saved { x: x.shape(), y: grid.y, indices }))
    }

    /// `dx` of shape `[n, c, h, w]` from `dy` of shape `[n, c, output...]`; `saved` comes from this operation's
    /// [`AdaptiveMaxPool2d::forward`].
    ///
    /// # Errors
    /// `dy` does not have the shape of `y`, or `saved` is of other windows.
    pub fn backward(&self, saved: &Saved, dy: &Tensor) -> Result<Tensor, OpError> {
        saved.scatter(OP, self.output_shape(saved.x)?, dy)
    }

    fn grid(&self, x: Shape) -> Result<Grid, OpError> {
        maxima::nchw(OP, x)?;
        Grid::new(OP, x, self.output)
    }
}

fn forward_plane(grid: &Grid, x: &[f32], y: &mut [f32], indices: &mut [u32]) {
    let out = y.chunks_exact_mut(grid.cols.count).zip(indices.chunks_exact_mut(grid.cols.count));
    for (rows, (y, indices)) in grid.rows.windows().zip(out) {
        for (cols, (y, index)) in grid.cols.windows().zip(y.iter_mut().zip(indices)) {
            (*y, *index) = maximum(x, grid.cols.extent, rows.clone(), cols);
        }
    }
}

/// The maximum of a window of a plane with rows of `w` elements, and its position.
fn maximum(x: &[f32], w: usize, rows: Range<usize>, cols: Range<usize>) -> (f32, u32) {
    let first = rows.start * w + cols.start;
    let (mut max, mut position) = (x[first], first);
    for row in rows {
        for (i, &v) in x[row * w..][cols.clone()].iter().enumerate() {
            if wins(v, max) {
                (max, position) = (v, row * w + cols.start + i);
            }
        }
    }
    (max, position as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MaxPool2d;
    use crate::testing::{
        any_extent, any_shape, assert_exact, assert_same_bits_on_any_threads, everywhere, whole_numbers,
    };
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64: the maxima, and where the first of each is in its plane.
    fn oracle([oh, ow]: [usize; 2], [n, c, h, w]: [usize; 4], x: &[f64]) -> (Vec<f64>, Vec<u32>) {
        let mut y = vec![];
        for plane in x.chunks(h * w) {
            for i in 0..oh * ow {
                let mut max = (f64::NEG_INFINITY, 0);
                for row in i / ow * h / oh..((i / ow + 1) * h).div_ceil(oh) {
                    for col in i % ow * w / ow..((i % ow + 1) * w).div_ceil(ow) {
                        if plane[row * w + col] > max.0 {
                            max = (plane[row * w + col], (row * w + col) as u32);
                        }
                    }
                }
                y.push(max);
            }
        }
        assert_eq!(y.len(), n * c * oh * ow);
        y.into_iter().unzip()
    }

    proptest! {
        #![proptest_config(crate::testing::any_number_of_rejects())]

        #[test]
        fn matches_the_definition(output in prop::array::uniform2(1..6usize), n in 1..3usize, c in 1..3usize,
                                  h in 1..7usize, w in 1..7usize, seed: u64) {
            let (op, shape) = (AdaptiveMaxPool2d::new(output), [n, c, h, w]);
            let x = distinct(shape, seed);
            let (want, indices) = oracle(output, shape, &to_f64(&x));
            let dy = distinct([n, c, output[0], output[1]], seed ^ 1);
            let want_dx = gradient_of(&x, &dy, |x| oracle(output, shape, x).0);
            everywhere(|| {
                let (y, saved) = op.forward(&x).unwrap();
                assert_close(&y, &want);
                assert_eq!(saved.indices(), indices);
                assert_eq!(op.infer(&x).unwrap(), y);
                assert_gradient_close("dx", &op.backward(&saved, &dy).unwrap(), &want_dx);
            });
        }

        /// Few values, so that most maxima are ties.
        #[test]
        fn whole_numbers_are_exact(output in prop::array::uniform2(1..12usize), n in 1..3usize, c in 1..4usize,
                                   h in 1..20usize, w in 1..20usize, seed: u64) {
            let (op, shape) = (AdaptiveMaxPool2d::new(output), [n, c, h, w]);
            let (x, dy) = (whole_numbers(shape, 2, seed), whole_numbers([n, c, output[0], output[1]], 99, seed ^ 1));
            let (want, indices) = oracle(output, shape, &to_f64(&x));
            let mut want_dx = vec![0.0; n * c * h * w];
            for (i, &dy) in dy.data().iter().enumerate() {
                want_dx[i / (output[0] * output[1]) * h * w + indices[i] as usize] += f64::from(dy);
            }
            everywhere(|| {
                let (y, saved) = op.forward(&x).unwrap();
                assert_exact("y", &y, &want);
                assert_eq!(saved.indices(), indices);
                assert_exact("dx", &op.backward(&saved, &dy).unwrap(), &want_dx);
            });
        }

        /// Where the output divides the input this is an ordinary max pooling, on special numbers too.
        #[test]
        fn even_windows_are_those_of_max_pool2d(output in prop::array::uniform2(1..6usize),
                                                kernel in prop::array::uniform2(1..4usize),
                                                x in prop::collection::vec(
                                                    prop::sample::select(crate::testing::SPECIAL.to_vec()), 2 * 15 * 15)) {
            let [h, w] = [output[0] * kernel[0], output[1] * kernel[1]];
            let x = Tensor::from_slice([1, 2, h, w], &x[..2 * h * w]).unwrap();
            let (y, saved) = AdaptiveMaxPool2d::new(output).forward(&x).unwrap();
            let (want, wanted) = MaxPool2d::new(kernel).forward(&x).unwrap();
            prop_assert_eq!(saved.indices(), wanted.indices());
            let bits = |y: &Tensor| y.data().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&y), bits(&want));
        }

        /// No options, however absurd, make the shape rule panic or take memory.
        #[test]
        fn absurd_options_are_errors(output in [any_extent(), any_extent()], x in any_shape()) {
            let op = AdaptiveMaxPool2d::new(output);
            let Ok(y) = op.output_shape(x) else { return Ok(()) };
            if x.numel().max(y.numel()) < 100_000 {
                let (got, saved) = op.forward(&Tensor::zeros(x)).unwrap();
                prop_assert_eq!(got.shape(), y);
                prop_assert_eq!(op.backward(&saved, &got).unwrap().shape(), x);
            }
        }
    }

    /// The maxima and their positions in a row of numbers.
    fn example(output: usize, x: &[f32]) -> (Vec<f32>, Vec<u32>) {
        let x = Tensor::from_slice([1, 1, 1, x.len()], x).unwrap();
        let (y, saved) = AdaptiveMaxPool2d::new([1, output]).forward(&x).unwrap();
        (y.data().to_vec(), saved.indices().to_vec())
    }

    #[test]
    fn ties_go_to_the_first_and_nan_to_the_last() {
        assert_eq!(example(1, &[1.0, 3.0, 3.0]), (vec![3.0], vec![1]));
        let (y, indices) = example(1, &[f32::INFINITY, f32::NAN, 7.0, f32::NAN, 1.0]);
        assert!(y[0].is_nan());
        assert_eq!(indices, [3]);
        assert_eq!(example(1, &[f32::NEG_INFINITY; 2]), (vec![f32::NEG_INFINITY], vec![0]));
    }

    #[test]
    fn an_output_larger_than_the_input_repeats_it() {
        assert_eq!(example(3, &[2.0, 4.0]), (vec![2.0, 4.0, 4.0], vec![0, 1, 1]));
    }

    #[test]
    fn an_empty_batch_pools_to_an_empty_batch() {
        let op = AdaptiveMaxPool2d::new([2, 2]);
        let (y, saved) = op.forward(&Tensor::zeros([0, 3, 4, 4])).unwrap();
        assert_eq!(y.shape(), Shape::from([0, 3, 2, 2]));
        assert_eq!(op.backward(&saved, &y).unwrap().shape(), Shape::from([0, 3, 4, 4]));
    }

    #[test]
    fn threads_change_nothing() {
        let x = distinct([5, 3, 150, 151], 0);
        assert_same_bits_on_any_threads(|| {
            let (y, saved) = AdaptiveMaxPool2d::new([7, 6]).forward(&x).unwrap();
            let dx = AdaptiveMaxPool2d::new([7, 6]).backward(&saved, &distinct(y.shape(), 1)).unwrap();
            vec![y, dx]
        });
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |op: AdaptiveMaxPool2d, x: Shape| op.output_shape(x).unwrap_err().to_string();
        let (op, x) = (AdaptiveMaxPool2d::new([2, 3]), Shape::from([1, 1, 4, 4]));
        assert_eq!(message(op, [4].into()), "adaptive_max_pool2d: x expects [n, c, h, w], got shape [4]");
        let output = message(AdaptiveMaxPool2d::new([2, 0]), x);
        assert_eq!(output, "adaptive_max_pool2d: output must be at least 1, got [2, 0]");
        assert_eq!(
            message(op, [1, 1, 0, 4].into()),
            "adaptive_max_pool2d: a window of 1 with padding 0 does not fit an input extent of 0"
        );
        let plane = message(op, [1, 1, 1 << 16, 1 << 16].into());
        assert_eq!(
            plane,
            "adaptive_max_pool2d: x expects 4294967295 elements per plane at most, got 4294967296"
        );
        let (y, saved) = op.forward(&Tensor::zeros(x)).unwrap();
        let error = op.backward(&saved, &Tensor::zeros(x)).unwrap_err();
        assert_eq!(error.to_string(), "adaptive_max_pool2d: dy expects shape [1, 1, 2, 3], got [1, 1, 4, 4]");
        let error = AdaptiveMaxPool2d::global().backward(&saved, &y).unwrap_err();
        assert_eq!(
            error.to_string(),
            "adaptive_max_pool2d: saved expects shape [1, 1, 1, 1], got [1, 1, 2, 3]"
        );
    }
}
