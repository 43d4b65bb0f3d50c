//! 2-D adaptive average pooling: to an output of given size, whatever the input's.
//!
//! `y[n, c, oh, ow] = mean of x[n, c, i, j]` over the rows `oh * h / OH <= i < (oh + 1) * h / OH`, the first bound
//! rounded down and the second up, and the columns likewise, for an output of `OH` rows.
//!
//! **Conventions.** Those of PyTorch's `nn.AdaptiveAvgPool2d`: windows overlap by an element where the output's extent
//! does not divide the input's; the output may be larger than the input, whose elements it then repeats or averages. An
//! output without elements is an error here. A NaN or infinity reaches exactly the windows that contain it.
//!
//! **Algorithm.** For each row of windows the input rows are added up, as vectors, and then the columns; an output of one
//! element a plane, global average pooling, is the sum of the whole plane. The backward pass is the reverse.
//!
//! Source: M. Lin, Q. Chen and S. Yan, "Network In Network", ICLR 2014, section 3.2 (an output of 1 x 1); K. He, X. Zhang,
//! S. Ren and J. Sun, "Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition", ECCV 2014, section
//! 2.3 (windows that follow from the output).

use crate::adaptive::Grid;
use crate::{OpError, check};
use cnn_tensor::{Shape, Tensor, parallel, vector};
use serde::{Deserialize, Serialize};

const OP: &str = "adaptive_avg_pool2d";

/// The options of an adaptive average pooling.
///
/// ```
/// use cnn_ops::AdaptiveAvgPool2d;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 1, 2, 3], vec![1.0, 3.0, 5.0, 3.0, 5.0, 7.0])?;
/// assert_eq!(AdaptiveAvgPool2d::new([1, 2]).forward(&x)?.data(), [3.0, 5.0]);
/// assert_eq!(AdaptiveAvgPool2d::global().forward(&x)?.data(), [4.0]);
/// let dx = AdaptiveAvgPool2d::global().backward(x.shape(), &Tensor::full([1, 1, 1, 1], 3.0))?;
/// assert_eq!(dx.data(), [0.5; 6]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveAvgPool2d {
    /// Height and width of the output; at least 1.
    pub output: [usize; 2],
}

impl AdaptiveAvgPool2d {
    /// To `output` rows and columns.
    pub fn new(output: [usize; 2]) -> Self {
        Self { output }
    }

    /// To one number for each plane: its mean.
    pub fn global() -> Self {
        Self::new([1, 1])
    }

    /// `[n, c, h, w]` to `[n, c, output...]`.
    ///
    /// # Errors
    /// An extent of `output` is 0, `x` is not of rank 4, or its planes have no elements.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        Ok(self.grid(x)?.y)
    }

    /// `y` of shape `[n, c, output...]` from `x` of shape `[n, c, h, w]`. The backward pass needs only the shape of `x`.
    ///
    /// # Errors
    /// Those of [`AdaptiveAvgPool2d::output_shape`].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, OpError> {
        let grid = self.grid(x.shape())?;
        let mut y = Tensor::scratch(grid.y);
        let pieces = grid.pieces();
        parallel::for_each_chunk(y.data_mut(), pieces.y, |i, y| {
            let planes = x.data()[i * pieces.x..].chunks_exact(grid.x_plane());
            let planes = planes.zip(y.chunks_exact_mut(grid.y_plane()));
            if self.is_global() {
                planes.for_each(|(x, y)| y[0] = vector::sum(x) / x.len() as f32);
            } else {
                let mut sums = vec![0.0; grid.cols.extent];
                planes.for_each(|(x, y)| forward_plane(&grid, x, y, &mut sums));
            }
        });
        Ok(y)
    }

    /// `dx` of shape `x`, `[n, c, h, w]`, from `dy` of shape `[n, c, output...]`.
    ///
    /// # Errors
    /// Those of [`AdaptiveAvgPool2d::output_shape`], or `dy` does not have the shape of `y`.
    pub fn backward(&self, x: Shape, dy: &Tensor) -> Result<Tensor, OpError> {
        let grid = self.grid(x)?;
        check::shape(OP, "dy", grid.y, dy)?;
        let mut dx = Tensor::scratch(x);
        let pieces = grid.pieces();
        parallel::for_each_chunk(dx.data_mut(), pieces.x, |i, dx| {
            let planes = dy.data()[i * pieces.y..].chunks_exact(grid.y_plane());
            let planes = planes.zip(dx.chunks_exact_mut(grid.x_plane()));
            if self.is_global() {
                planes.for_each(|(dy, dx)| dx.fill(dy[0] / dx.len() as f32));
            } else {
                let mut shares = vec![0.0; grid.cols.extent];
                planes.for_each(|(dy, dx)| backward_plane(&grid, dy, dx, &mut shares));
            }
        });
        Ok(dx)
    }

    fn is_global(&self) -> bool {
        *self == Self::global()
    }

    fn grid(&self, x: Shape) -> Result<Grid, OpError> {
        Grid::new(OP, x, self.output)
    }
}

/// Pools one plane; `sums` is memory for a row of it.
fn forward_plane(grid: &Grid, x: &[f32], y: &mut [f32], sums: &mut [f32]) {
    let w = grid.cols.extent;
    for (rows, y) in grid.rows.windows().zip(y.chunks_exact_mut(grid.cols.count)) {
        sums.copy_from_slice(&x[rows.start * w..][..w]);
        for row in rows.start + 1..rows.end {
            sums.iter_mut().zip(&x[row * w..][..w]).for_each(|(sum, x)| *sum += x);
        }
        for (cols, y) in grid.cols.windows().zip(y) {
            let count = (rows.len() * cols.len()) as f32;
            *y = sums[cols].iter().sum::<f32>() / count;
        }
    }
}

/// Shares each `dy` of a plane among the elements of its window; `shares` is memory for a row of `dx`.
fn backward_plane(grid: &Grid, dy: &[f32], dx: &mut [f32], shares: &mut [f32]) {
    let w = grid.cols.extent;
    dx.fill(0.0);
    for (rows, dy) in grid.rows.windows().zip(dy.chunks_exact(grid.cols.count)) {
        shares.fill(0.0);
        for (cols, dy) in grid.cols.windows().zip(dy) {
            let share = dy / (rows.len() * cols.len()) as f32;
            shares[cols].iter_mut().for_each(|sum| *sum += share);
        }
        for row in rows {
            dx[row * w..][..w].iter_mut().zip(&*shares).for_each(|(dx, share)| *dx += share);
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
    fn oracle([oh, ow]: [usize; 2], [n, c, h, w]: [usize; 4], x: &[f64]) -> Vec<f64> {
        let mut y = vec![];
        for plane in 0..n * c {
            for i in 0..oh * ow {
                let rows = i / ow * h / oh..((i / ow + 1) * h).div_ceil(oh);
                let (mut sum, mut count) = (0.0, 0.0);
                for row in rows {
                    for col in i % ow * w / ow..((i % ow + 1) * w).div_ceil(ow) {
                        sum += x[(plane * h + row) * w + col];
                        count += 1.0;
                    }
                }
                y.push(sum / count);
            }
        }
        y
    }

    proptest! {
        #[test]
        fn matches_the_definition(output in prop::array::uniform2(1..6usize), n in 1..3usize, c in 1..3usize,
                                  h in 1..7usize, w in 1..7usize, seed: u64) {
            let (op, shape) = (AdaptiveAvgPool2d::new(output), [n, c, h, w]);
            let x = distinct(shape, seed);
            let y = oracle(output, shape, &to_f64(&x));
            let dy = distinct([n, c, output[0], output[1]], seed ^ 1);
            let want_dx = gradient_of(&x, &dy, |x| oracle(output, shape, x));
            everywhere(|| {
                assert_close(&op.forward(&x).unwrap(), &y);
                assert_gradient_close("dx", &op.backward(x.shape(), &dy).unwrap(), &want_dx);
            });
        }

        /// Windows of 1, 2 or 4 rows and columns: every quotient is exact.
        #[test]
        fn whole_numbers_are_exact(output in prop::array::uniform2(1..9usize), n in 1..3usize, c in 1..4usize,
                                   [tall, wide] in prop::array::uniform2(prop::sample::select(vec![1, 2, 4usize])),
                                   seed: u64) {
            let (op, shape) = (AdaptiveAvgPool2d::new(output), [n, c, tall * output[0], wide * output[1]]);
            let (x, dy) = (whole_numbers(shape, 99, seed), whole_numbers([n, c, output[0], output[1]], 99, seed ^ 1));
            let want = oracle(output, shape, &to_f64(&x));
            // Each element lies in one window.
            let count = (tall * wide) as f64;
            let [_, _, h, w] = shape;
            let window = |i: usize| (i / w / tall) * output[1] + i % w / wide;
            let want_dx: Vec<f64> = (0..n * c * h * w).map(|i| {
                f64::from(dy.data()[i / (h * w) * output[0] * output[1] + window(i % (h * w))]) / count
            }).collect();
            everywhere(|| {
                assert_exact("y", &op.forward(&x).unwrap(), &want);
                assert_exact("dx", &op.backward(x.shape(), &dy).unwrap(), &want_dx);
            });
        }

        /// The mean of a plane of `2^k` whole numbers, in every order of summation.
        #[test]
        fn global_means_of_whole_numbers_are_exact(n in 1..4usize, c in 1..5usize, tall in 0..5usize, wide in 0..6usize,
                                                   seed: u64) {
            let (op, shape) = (AdaptiveAvgPool2d::global(), [n, c, 1 << tall, 1 << wide]);
            let (x, dy) = (whole_numbers(shape, 99, seed), whole_numbers([n, c, 1, 1], 99, seed ^ 1));
            let want = oracle([1, 1], shape, &to_f64(&x));
            let plane = 1 << (tall + wide);
            let want_dx = (0..n * c * plane).map(|i| f64::from(dy.data()[i / plane]) / plane as f64);
            let want_dx: Vec<f64> = want_dx.collect();
            everywhere(|| {
                assert_exact("y", &op.forward(&x).unwrap(), &want);
                assert_exact("dx", &op.backward(x.shape(), &dy).unwrap(), &want_dx);
            });
        }

        /// No options, however absurd, make the shape rule panic or take memory.
        #[test]
        fn absurd_options_are_errors(output in [any_extent(), any_extent()], x in any_shape()) {
            let op = AdaptiveAvgPool2d::new(output);
            let Ok(y) = op.output_shape(x) else { return Ok(()) };
            if x.numel().max(y.numel()) < 100_000 {
                prop_assert_eq!(op.forward(&Tensor::zeros(x)).unwrap().shape(), y);
                prop_assert_eq!(op.backward(x, &Tensor::zeros(y)).unwrap().shape(), x);
            }
        }
    }

    /// The path of whole planes against that of windows, which sum in another order.
    #[test]
    fn both_paths_agree_on_nan_and_infinity() {
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0];
        for (a, b) in special.iter().flat_map(|&a| special.map(|b| (a, b))) {
            let mut x = Tensor::zeros([1, 1, 5, 9]);
            (x.data_mut()[3], x.data_mut()[40]) = (a, b);
            let (mut want, mut sums) = ([0.0], [0.0; 9]);
            let grid = Grid::new(OP, x.shape(), [1, 1]).unwrap();
            forward_plane(&grid, x.data(), &mut want, &mut sums);
            everywhere(|| {
                let y = AdaptiveAvgPool2d::global().forward(&x).unwrap().data()[0];
                assert!(y == want[0] || (y.is_nan() && want[0].is_nan()), "{a} and {b}: {y}, {want:?}");
            });
        }
    }

    #[test]
    fn an_output_larger_than_the_input_repeats_and_averages() {
        let x = Tensor::from_vec([1, 1, 1, 2], vec![2.0, 4.0]).unwrap();
        assert_eq!(
            AdaptiveAvgPool2d::new([2, 3]).forward(&x).unwrap().data(),
            [2.0, 3.0, 4.0, 2.0, 3.0, 4.0]
        );
    }

    #[test]
    fn nan_and_infinity_stay_in_their_windows() {
        let x = Tensor::from_vec([1, 1, 1, 6], vec![f32::NAN, 0.0, 1.0, 2.0, f32::INFINITY, 0.0]).unwrap();
        let y = AdaptiveAvgPool2d::new([1, 3]).forward(&x).unwrap();
        assert!(y.data()[0].is_nan());
        assert_eq!(y.data()[1..], [1.5, f32::INFINITY]);
    }

    #[test]
    fn an_empty_batch_pools_to_an_empty_batch() {
        let op = AdaptiveAvgPool2d::new([2, 2]);
        let y = op.forward(&Tensor::zeros([0, 3, 4, 4])).unwrap();
        assert_eq!(y.shape(), Shape::from([0, 3, 2, 2]));
        assert_eq!(op.backward([0, 3, 4, 4].into(), &y).unwrap().shape(), Shape::from([0, 3, 4, 4]));
    }

    #[test]
    fn threads_change_nothing() {
        let x = distinct([5, 3, 150, 151], 0);
        for op in [AdaptiveAvgPool2d::new([7, 6]), AdaptiveAvgPool2d::global()] {
            assert_same_bits_on_any_threads(|| {
                let y = op.forward(&x).unwrap();
                let dx = op.backward(x.shape(), &distinct(y.shape(), 1)).unwrap();
                vec![y, dx]
            });
        }
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |op: AdaptiveAvgPool2d, x: Shape| op.output_shape(x).unwrap_err().to_string();
        let (op, x) = (AdaptiveAvgPool2d::new([2, 3]), Shape::from([1, 1, 4, 4]));
        assert_eq!(message(op, [4].into()), "adaptive_avg_pool2d: x expects [n, c, h, w], got shape [4]");
        let output = message(AdaptiveAvgPool2d::new([0, 3]), x);
        assert_eq!(output, "adaptive_avg_pool2d: output must be at least 1, got [0, 3]");
        assert_eq!(
            message(op, [1, 1, 4, 0].into()),
            "adaptive_avg_pool2d: a window of 1 with padding 0 does not fit an input extent of 0"
        );
        let error = op.backward(x, &Tensor::zeros([1, 1, 4, 4])).unwrap_err();
        assert_eq!(error.to_string(), "adaptive_avg_pool2d: dy expects shape [1, 1, 2, 3], got [1, 1, 4, 4]");
    }
}
