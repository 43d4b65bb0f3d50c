//! The axes of a tensor in another order.
//!
//! `y[i_0, ..., i_k] = x[j_0, ..., j_k]` with `j_(dims[a]) = i_a`: axis `a` of `y` is axis `dims[a]` of `x`. The backward
//! pass is the inverse permutation.
//!
//! **Conventions.** `dims` names all axes, as PyTorch's `torch.permute`, and begins with 0: the batch stays where it is.
//! Elements are moved, unlike PyTorch's, which makes a view; only where all axes that move are of extent 1 is the memory
//! shared. Numbers are copied, NaN and infinity among them.
//!
//! **Algorithm.** Neighbouring axes that stay neighbours count as one, and those of extent 1 are left out. If the last axis
//! stays the last, it is copied run by run. Otherwise some other axis of `y` is contiguous in `x`, and the planes of these
//! two are transposed in square tiles, in which each cache line is read and written once. So `[n, c, h, w]` to `[n, h, w, c]`
//! is one transposition for each image. Where one of the two axes is short, so are the tiles' rows, and it costs more for
//! each number.

use crate::OpError;
use crate::shared::axes::{Axes, Axis, strides};
use crate::shared::check;
use crate::shared::work::worth_a_thread;
use cnn_tensor::{Shape, Tensor, parallel};
use serde::{Deserialize, Serialize};

const OP: &str = "permute";

/// The order of axes.
///
/// ```
/// use cnn_ops::Permute;
/// use cnn_tensor::Tensor;
/// let op = Permute::new([0, 2, 1]);
/// let x = Tensor::from_vec([1, 2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// let y = op.forward(&x)?;
/// assert_eq!(y.shape().dims(), [1, 3, 2]);
/// assert_eq!(y.data(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// assert_eq!(op.backward(x.shape(), &y)?, x);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permute {
    /// For each axis of the output, the number of the axis of the input; the first is 0.
    pub dims: Vec<usize>,
}

impl Permute {
    /// With the axes in this order.
    pub fn new(dims: impl Into<Vec<usize>>) -> Self {
        Self { dims: dims.into() }
    }

    /// The extents of `x` in the new order.
    ///
    /// # Errors
    /// `dims` does not name each axis of `x` once, or does not begin with 0, the batch; or the result has more elements than
    /// an operation may make.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        let (dims, rank) = (&self.dims[..], x.rank());
        let all = dims.len() == rank && (0..rank).all(|axis| dims.contains(&axis));
        let got = format_args!("{dims:?} for shape {x}");
        check::rule(OP, "dims", "each axis of x once", all, got)?;
        let rule = "such that axis 0, the batch, stays the first";
        check::rule(OP, "dims", rule, dims.first() == Some(&0), format_args!("{dims:?}"))?;
        let mut y = [0; Shape::MAX_RANK];
        y.iter_mut().zip(dims).for_each(|(extent, &from)| *extent = x.dims()[from]);
        let y = Shape::new(&y[..rank]).map_err(|fault| OpError::Tensor { op: OP, fault })?;
        check::output(OP, y)
    }

    /// `x` with its axes in the new order.
    ///
    /// # Errors
    /// Those of [`Permute::output_shape`].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, OpError> {
        let y = self.output_shape(x.shape())?;
        permute(x, &self.dims, y)
    }

    /// `dx` of shape `x` from `dy`.
    ///
    /// # Errors
    /// Those of [`Permute::output_shape`], or `dy` does not have the shape of `y`.
    pub fn backward(&self, x: Shape, dy: &Tensor) -> Result<Tensor, OpError> {
        check::shape(OP, "dy", self.output_shape(x)?, dy)?;
        let mut inverse = [0; Shape::MAX_RANK];
        self.dims.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
        permute(dy, &inverse[..x.rank()], x)
    }
}

/// `y` of the shape given, whose axis `a` is axis `dims[a]` of `x`; the first is the batch.
pub(crate) fn permute(x: &Tensor, dims: &[usize], y: Shape) -> Result<Tensor, OpError> {
    let same = |x: &Tensor| x.clone().reshape(y).map_err(|fault| OpError::Tensor { op: OP, fault });
    if y.numel() == 0 {
        return same(x);
    }
    let (from, to) = (strides(x.shape()), strides(y));
    let of_an_image = dims.iter().enumerate().skip(1);
    let axes =
        Axes::merged(of_an_image.map(|(to_axis, &axis)| Axis {
            extent: x.shape().dims()[axis],
            strides: [from[axis], to[to_axis]],
        }));
    if axes.as_slice().len() <= 1 {
        return same(x);
    }
    let (mut y, image) = (Tensor::scratch(y), y.numel() / y.batch());
    let images = (WORTH_A_THREAD / image).max(1);
    parallel::for_each_chunk(y.data_mut(), images * image, |i, y| {
        let xs = x.data()[i * images * image..].chunks_exact(image);
        xs.zip(y.chunks_exact_mut(image)).for_each(|(x, y)| permute_image(&axes, x, y));
    });
    Ok(y)
}

/// Elements of `y` that make a piece of work worth a thread.
const WORTH_A_THREAD: usize = worth_a_thread(1 << 16);

fn permute_image(axes: &Axes<2>, x: &[f32], y: &mut [f32]) {
    let (outer, inner) = axes.split_inner();
    if inner.strides[0] == 1 {
        let mut runs = y.chunks_exact_mut(inner.extent);
        outer.for_each([0; 2], |[from, _]| {
            if let Some(run) = runs.next() {
                run.copy_from_slice(&x[from..][..inner.extent]);
            }
        });
        return;
    }
    // One axis is contiguous in x, and this is not the one that is contiguous in y.
    let contiguous = |axis: &&Axis<2>| axis.strides[0] == 1;
    let Some(&across) = outer.as_slice().iter().find(contiguous) else { return };
    let planes = Axes::of(outer.as_slice().iter().filter(|axis| !contiguous(axis)).copied());
    let plane = Plane { rows: inner.extent, cols: across.extent, x: inner.strides[0], y: across.strides[1] };
    planes.for_each([0; 2], |[from, to]| plane.transpose(&x[from..], &mut y[to..]));
}

/// `y[col, row] = x[row, col]`.
struct Plane {
    rows: usize,
    cols: usize,
    /// From one row of `x` to the next.
    x: usize,
    /// From one row of `y`, a column, to the next.
    y: usize,
}

/// Rows and columns of a tile: as many numbers as a cache line holds.
const TILE: usize = 16;

impl Plane {
    fn transpose(&self, x: &[f32], y: &mut [f32]) {
        for col in (0..self.cols).step_by(TILE) {
            let cols = TILE.min(self.cols - col);
            for row in (0..self.rows).step_by(TILE) {
                let rows = TILE.min(self.rows - row);
                let (x, y) = (&x[row * self.x + col..], &mut y[col * self.y + row..]);
                if rows == TILE && cols == TILE {
                    // Extents that the compiler knows.
                    self.tile([TILE; 2], x, y);
                } else {
                    self.tile([rows, cols], x, y);
                }
            }
        }
    }

    #[inline(always)]
    fn tile(&self, [rows, cols]: [usize; 2], x: &[f32], y: &mut [f32]) {
        let mut tile = [[0.0; TILE]; TILE];
        for (row, tile) in tile[..rows].iter_mut().enumerate() {
            tile[..cols].copy_from_slice(&x[row * self.x..][..cols]);
        }
        for col in 0..cols {
            let y = &mut y[col * self.y..][..rows];
            y.iter_mut().zip(&tile).for_each(|(y, tile)| *y = tile[col]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::*;
    use cnn_tensor::testing::{distinct, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64: the index of each element of `y`, taken apart and put together for `x`.
    fn oracle(dims: &[usize], extents: &[usize], x: &[f64]) -> Vec<f64> {
        let stride = |axis: usize| extents[axis + 1..].iter().product::<usize>();
        let mut y = vec![0.0; x.len()];
        for (at, y) in y.iter_mut().enumerate() {
            let (mut rest, mut from) = (at, 0);
            for &axis in dims.iter().rev() {
                from += rest % extents[axis] * stride(axis);
                rest /= extents[axis];
            }
            *y = x[from];
        }
        y
    }

    fn check_exactly(dims: &[usize], extents: &[usize], seed: u64) {
        let (op, shape) = (Permute::new(dims), Shape::new(extents).unwrap());
        let x = whole_numbers(shape, 1 << 23, seed);
        let want = oracle(dims, extents, &to_f64(&x));
        everywhere(|| {
            let y = op.forward(&x).unwrap();
            assert_eq!(y.shape(), op.output_shape(shape).unwrap());
            assert_exact("y", &y, &want);
            // Every element is copied to one place, so that the adjoint is the inverse.
            assert_eq!(op.backward(shape, &y).unwrap(), x);
        });
    }

    /// Orders of up to six axes, the first of which stays.
    fn orders() -> impl Strategy<Value = Vec<usize>> {
        (0..6usize).prop_flat_map(|rest| {
            let rest = Just((1..=rest).collect::<Vec<_>>()).prop_shuffle();
            rest.prop_map(|rest| [vec![0], rest].concat())
        })
    }

    proptest! {
        #[test]
        fn matches_the_definition(dims in orders(), extents in prop::array::uniform6(0..5usize), seed: u64) {
            check_exactly(&dims, &extents[..dims.len()], seed);
        }

        #[test]
        fn planes_match_the_definition(n in 1..4usize, c in 1..20usize, h in 1..40usize, w in 1..40usize,
                                       dims in prop::sample::select(vec![[0, 1, 3, 2], [0, 2, 3, 1], [0, 3, 1, 2],
                                                                         [0, 3, 2, 1], [0, 2, 1, 3]]), seed: u64) {
            check_exactly(&dims, &[n, c, h, w], seed);
        }

        #[test]
        fn absurd_options_are_errors(dims in prop::collection::vec(any_extent(), 0..7), order in orders(), x in any_shape(),
                                     fit in any::<bool>()) {
            let op = Permute { dims: if fit { order } else { dims } };
            let Ok(y) = op.output_shape(x) else { return Ok(()) };
            prop_assert_eq!(op.dims[0], 0);
            prop_assert_eq!(y.numel(), x.numel());
            if x.numel() <= 100_000 {
                prop_assert_eq!(op.forward(&Tensor::zeros(x)).unwrap().shape(), y);
                prop_assert_eq!(op.backward(x, &Tensor::zeros(y)).unwrap().shape(), x);
            }
        }
    }

    #[test]
    fn tiles_that_are_whole_and_tiles_that_are_not_match_the_definition() {
        for (rows, cols) in [(16, 16), (32, 48), (17, 16), (16, 33), (1, 40), (40, 1), (3, 1000)] {
            check_exactly(&[0, 2, 1], &[2, rows, cols], 0);
        }
    }

    #[test]
    fn channels_go_last_as_in_other_libraries() {
        let x = Tensor::from_vec([1, 2, 1, 3], vec![1.0, 2.0, 3.0, 10.0, 20.0, 30.0]).unwrap();
        let y = Permute::new([0, 2, 3, 1]).forward(&x).unwrap();
        assert_eq!(y.shape(), Shape::from([1, 1, 3, 2]));
        assert_eq!(y.data(), [1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
    }

    #[test]
    fn memory_is_shared_where_nothing_moves() {
        let x = distinct([2, 3, 1, 4], 0);
        for dims in [[0, 1, 2, 3], [0, 2, 1, 3], [0, 1, 3, 2]] {
            assert_eq!(Permute::new(dims).forward(&x).unwrap().data().as_ptr(), x.data().as_ptr());
        }
        assert_ne!(Permute::new([0, 3, 2, 1]).forward(&x).unwrap().data().as_ptr(), x.data().as_ptr());
    }

    #[test]
    fn nan_and_infinity_are_copied() {
        let x = Tensor::from_vec([1, 2, 2], vec![1.0, f32::NAN, f32::INFINITY, 1.0]).unwrap();
        let y = Permute::new([0, 2, 1]).forward(&x).unwrap();
        assert!(y.data()[1] == f32::INFINITY && y.data()[2].is_nan());
    }

    #[test]
    fn an_empty_batch_is_permuted_to_an_empty_batch() {
        let (op, x) = (Permute::new([0, 2, 1]), Tensor::zeros([0, 2, 3]));
        let y = op.forward(&x).unwrap();
        assert_eq!(y.shape(), Shape::from([0, 3, 2]));
        assert_eq!(op.backward(x.shape(), &y).unwrap(), x);
    }

    #[test]
    fn what_is_empty_may_have_more_images_than_can_be_counted() {
        let x = Tensor::zeros([1 << 63, 2, 0]);
        assert_eq!(Permute::new([0, 2, 1]).forward(&x).unwrap().shape(), Shape::from([1 << 63, 0, 2]));
    }

    #[test]
    fn threads_change_nothing() {
        let (op, x) = (Permute::new([0, 3, 1, 2]), distinct([5, 3, 17, 20], 0));
        assert_same_bits_on_any_threads(|| {
            let y = op.forward(&x).unwrap();
            vec![op.backward(x.shape(), &y).unwrap(), y]
        });
    }

    #[test]
    fn unknown_options_are_refused() {
        assert_eq!(
            serde_json::from_str::<Permute>(r#"{"dims": [0, 2, 1]}"#).unwrap(),
            Permute::new([0, 2, 1])
        );
        assert!(serde_json::from_str::<Permute>(r#"{"dims": [0], "order": 1}"#).is_err());
    }

    #[test]
    fn errors_say_what_is_expected() {
        let x = Shape::from([2, 3, 4]);
        let message = |dims: &[usize], x: Shape| Permute::new(dims).output_shape(x).unwrap_err().to_string();
        let once = "permute: dims must be each axis of x once, got";
        assert_eq!(message(&[0, 2], x), format!("{once} [0, 2] for shape [2, 3, 4]"));
        assert_eq!(message(&[0, 2, 2], x), format!("{once} [0, 2, 2] for shape [2, 3, 4]"));
        assert_eq!(message(&[0, 1, 3], x), format!("{once} [0, 1, 3] for shape [2, 3, 4]"));
        let first = "permute: dims must be such that axis 0, the batch, stays the first, got";
        assert_eq!(message(&[1, 0, 2], x), format!("{first} [1, 0, 2]"));
        assert_eq!(message(&[], [].into()), format!("{first} []"));
        assert_eq!(
            message(&[0, 1], [1, 1 << 29].into()),
            "permute: the output must be at most 2^28 elements for one image, got [1, 536870912]"
        );
        let error = Permute::new([0, 2, 1]).backward(x, &Tensor::zeros([2, 3, 4])).unwrap_err();
        assert_eq!(error.to_string(), "permute: dy expects shape [2, 4, 3], got [2, 3, 4]");
    }
}
