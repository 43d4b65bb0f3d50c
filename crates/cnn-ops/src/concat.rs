//! Concatenation of tensors along an axis, the channels unless told otherwise.
//!
//! Along axis `dim`, `y[n, ..., j, ...] = x_i[n, ..., j - o_i, ...]` for `o_i <= j < o_i + e_i`, where `e_i` is the extent
//! of `x_i` and `o_i = e_0 + ... + e_(i-1)`: the elements of `x_0`, then those of `x_1`, and so on. The backward pass splits:
//! `dx_i[n, ..., j, ...] = dy[n, ..., o_i + j, ...]`.
//!
//! **Conventions.** Axis 0 is the batch, along which nothing is joined. The ranks, and all extents but that along `dim`, are
//! equal. As PyTorch's `torch.cat`, except that a tensor of shape `[0]` is not skipped but an error. An extent along `dim`
//! may be 0. Numbers are copied, NaN and infinity among them.
//!
//! **Algorithm.** At each position before the axis, `y` is one run of numbers from each `x_i`, and runs are copied whole;
//! see `side_by_side.rs`. Short runs take longer for each number.
//!
//! Source: C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 4, whose inception modules
//! concatenate filter banks.

use crate::OpError;
use crate::shared::side_by_side::{at_least_one, check_sizes, cut, join, joined, outer, with_extent};
use cnn_tensor::{Recycled, Shape, Tensor};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;

const OP: &str = "concat";

/// The options of a concatenation.
///
/// ```
/// use cnn_ops::Concat;
/// use cnn_tensor::Tensor;
/// let a = Tensor::from_vec([2, 1], vec![1.0, 2.0])?;
/// let b = Tensor::from_vec([2, 2], vec![10.0, 20.0, 30.0, 40.0])?;
/// let op = Concat::new(1);
/// let y = op.forward(&[&a, &b])?;
/// assert_eq!(y.data(), [1.0, 10.0, 20.0, 2.0, 30.0, 40.0]);
/// assert_eq!(op.backward(&y, &[1, 2])?, [a, b]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Concat {
    /// The axis along which the inputs lie side by side; not 0, the batch.
    pub dim: usize,
}

impl Default for Concat {
    /// Along the channels, axis 1.
    fn default() -> Self {
        Self::new(1)
    }
}

impl Concat {
    /// Along axis `dim`.
    pub fn new(dim: usize) -> Self {
        Self { dim }
    }

    /// `[n, e_i, ...]` for each of the inputs to `[n, sum of e_i, ...]`, if `dim` is 1.
    ///
    /// # Errors
    /// There are no inputs, `dim` is 0 or an axis that one of them does not have, one disagrees with the first in more than
    /// the extent along `dim`, or the result has more elements than an operation may make.
    pub fn output_shape(&self, xs: &[Shape]) -> Result<Shape, OpError> {
        joined(OP, "x", self.dim, xs)
    }

    /// The inputs side by side.
    ///
    /// # Errors
    /// Those of [`Concat::output_shape`].
    pub fn forward(&self, xs: &[impl Borrow<Tensor> + Sync]) -> Result<Tensor, OpError> {
        let shapes: Recycled<Shape> = xs.iter().map(|x| x.borrow().shape()).collect();
        let y = self.output_shape(&shapes)?;
        Ok(join(y, outer(y, self.dim), xs))
    }

    /// The gradient of each input, from `dy` and the inputs' extents along `dim`.
    ///
    /// # Errors
    /// There are no inputs, `dim` is 0 or an axis that `dy` does not have, or its extent there is not that of the inputs
    /// together.
    pub fn backward(&self, dy: &Tensor, sizes: &[usize]) -> Result<Recycled<Tensor>, OpError> {
        at_least_one(OP, "the number of inputs", sizes.len())?;
        check_sizes(OP, "dy", dy.shape(), self.dim, sizes)?;
        let shapes = sizes.iter().map(|&size| with_extent(OP, dy.shape(), self.dim, size));
        let shapes = shapes.collect::<Result<Recycled<Shape>, OpError>>()?;
        Ok(cut(dy, outer(dy.shape(), self.dim), shapes.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::{
        any_extent, any_shape, assert_exact, assert_same_bits_on_any_threads, everywhere, whole_numbers,
    };
    use cnn_tensor::testing::{assert_close, distinct, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64: `xs` are the extent of each input along the axis and its numbers.
    fn oracle(outer: usize, inner: usize, xs: &[(usize, Vec<f64>)]) -> Vec<f64> {
        let mut y = vec![];
        for at in 0..outer {
            for (extent, x) in xs {
                for j in 0..*extent {
                    for i in 0..inner {
                        y.push(x[(at * extent + j) * inner + i]);
                    }
                }
            }
        }
        y
    }

    proptest! {
        #[test]
        fn matches_the_definition(before in prop::collection::vec(0..4usize, 1..4),
                                  after in prop::collection::vec(0..4usize, 0..3),
                                  sizes in prop::collection::vec(0..5usize, 1..5), seed: u64) {
            let op = Concat::new(before.len());
            let shape = |size| Shape::new(&[&before[..], &[size], &after[..]].concat()).unwrap();
            let xs: Vec<Tensor> =
                (seed..).zip(&sizes).map(|(seed, &size)| whole_numbers(shape(size), 1 << 23, seed)).collect();
            let pairs = sizes.iter().copied().zip(xs.iter().map(to_f64)).collect::<Vec<_>>();
            let want = oracle(before.iter().product(), after.iter().product(), &pairs);
            everywhere(|| {
                let y = op.forward(&xs.iter().collect::<Vec<_>>()).unwrap();
                assert_eq!(y.shape(), shape(sizes.iter().sum()));
                assert_exact("y", &y, &want);
                // A copy's adjoint is the copy back.
                assert_eq!(op.backward(&y, &sizes).unwrap()[..], xs[..]);
            });
        }

        #[test]
        fn the_backward_pass_is_the_adjoint(n in 1..4usize, dim in 1..4usize, inner in 1..5usize,
                                            sizes in prop::collection::vec(0..5usize, 1..4), seed: u64) {
            let mut dims = [n, 2, 3, inner];
            let shape = |size| {
                dims[dim] = size;
                Shape::from(dims)
            };
            let shapes: Vec<Shape> = sizes.iter().copied().map(shape).collect();
            let xs: Vec<Tensor> = (seed..).zip(shapes).map(|(seed, shape)| distinct(shape, seed)).collect();
            let dot = |a: &Tensor, b: &Tensor| to_f64(a).iter().zip(to_f64(b)).map(|(a, b)| a * b).sum::<f64>();
            everywhere(|| {
                let y = Concat::new(dim).forward(&xs).unwrap();
                let dy = distinct(y.shape(), seed ^ 99);
                let dxs = Concat::new(dim).backward(&dy, &sizes).unwrap();
                let sum: f64 = xs.iter().zip(&dxs).map(|(x, dx)| dot(x, dx)).sum();
                assert_close(&Tensor::full([1], sum as f32), &[dot(&y, &dy)]);
            });
        }

        #[test]
        fn absurd_shapes_are_errors(dim in any_extent(), xs in prop::collection::vec(any_shape(), 0..4),
                                    share in any::<bool>(), sizes in prop::collection::vec(any_extent(), 0..4)) {
            // Shapes that agree in most extents are accepted now and then.
            let xs: Vec<Shape> = if share { xs.iter().map(|_| xs[0]).collect() } else { xs };
            let op = Concat::new(dim);
            let accepted = op.output_shape(&xs);
            prop_assert!(accepted.is_err() || dim > 0);
            if xs.iter().chain(&accepted).all(|x| x.numel() <= 100_000) {
                let xs: Vec<Tensor> = xs.iter().map(|&x| Tensor::zeros(x)).collect();
                let y = op.forward(&xs.iter().collect::<Vec<_>>());
                prop_assert_eq!(y.is_ok(), accepted.is_ok());
                for dy in xs.iter().chain(&y) {
                    let _ = op.backward(dy, &sizes);
                }
            }
        }
    }

    #[test]
    fn nan_and_infinity_are_copied() {
        let (a, b) = (Tensor::full([1, 1], f32::NAN), Tensor::full([1, 1], f32::INFINITY));
        let y = Concat::default().forward(&[&a, &b]).unwrap();
        assert!(y.data()[0].is_nan() && y.data()[1] == f32::INFINITY);
    }

    #[test]
    fn an_empty_batch_and_no_channels_are_values() {
        let (a, b) = (Tensor::zeros([0, 2, 3, 3]), Tensor::zeros([0, 0, 3, 3]));
        let y = Concat::new(1).forward(&[&a, &b, &a]).unwrap();
        assert_eq!(y.shape(), Shape::from([0, 4, 3, 3]));
        assert_eq!(Concat::new(1).backward(&y, &[2, 0, 2]).unwrap(), [a.clone(), b, a]);
    }

    #[test]
    fn channels_are_joined_unless_another_axis_is_named() {
        assert_eq!(serde_json::from_str::<Concat>("{}").unwrap(), Concat { dim: 1 });
        assert_eq!(serde_json::from_str::<Concat>(r#"{"dim": 3}"#).unwrap(), Concat { dim: 3 });
        assert!(serde_json::from_str::<Concat>(r#"{"axis": 1}"#).is_err());
    }

    #[test]
    fn threads_change_nothing() {
        let (a, b) = (distinct([5, 3, 70], 0), distinct([5, 2, 70], 1));
        assert_same_bits_on_any_threads(|| {
            let y = Concat::new(1).forward(&[&a, &b]).unwrap();
            [vec![y.clone()], Concat::new(1).backward(&y, &[1, 4]).unwrap().to_vec()].concat()
        });
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |dim, xs: &[Shape]| Concat::new(dim).output_shape(xs).unwrap_err().to_string();
        let x = Shape::from([2, 3, 4, 4]);
        assert_eq!(message(1, &[]), "concat: the number of inputs must be at least 1, got 0");
        assert_eq!(message(0, &[x, x]), "concat: dim must be an axis other than the batch, axis 0, got 0");
        assert_eq!(message(6, &[x, x]), "concat: dim must be at most 5, the last of six axes, got 6");
        assert_eq!(message(1, &[x, [0].into()]), "concat: x expects [n, c, ...], got shape [0]");
        assert_eq!(
            message(2, &[x, [2, 3].into()]),
            "concat: x expects a shape of rank 3 or more, got shape [2, 3]"
        );
        assert_eq!(message(5, &[x, x]), "concat: x expects a shape of rank 6, got shape [2, 3, 4, 4]");
        assert_eq!(
            message(1, &[x, [2, 7, 4, 5].into()]),
            "concat: x expects shape [2, 7, 4, 4], got [2, 7, 4, 5]"
        );
        assert_eq!(message(1, &[x, [2, 7].into()]), "concat: x expects shape [2, 7, 4, 4], got [2, 7]");
        let many = [Shape::from([1, 1 << 27]); 3];
        assert_eq!(
            message(1, &many),
            "concat: the output must be at most 2^28 elements for one image, got [1, 402653184]"
        );
        let message =
            |dim, dy: &Tensor, sizes: &[usize]| Concat::new(dim).backward(dy, sizes).unwrap_err().to_string();
        let dy = Tensor::zeros([1, 5, 3]);
        assert_eq!(message(1, &dy, &[2, 2]), "concat: dy expects 4 channels, got 5");
        assert_eq!(message(2, &dy, &[2, 2]), "concat: dy expects 4 positions along dim, got 3");
        assert_eq!(message(1, &dy, &[]), "concat: the number of inputs must be at least 1, got 0");
        assert_eq!(message(0, &dy, &[1]), "concat: dim must be an axis other than the batch, axis 0, got 0");
        assert_eq!(message(1, &Tensor::zeros([5]), &[5]), "concat: dy expects [n, c, ...], got shape [5]");
    }
}
