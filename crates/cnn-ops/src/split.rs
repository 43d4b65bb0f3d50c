//! A tensor cut along an axis into several.
//!
//! Along axis `dim`, `y_i[n, ..., j, ...] = x[n, ..., o_i + j, ...]` for `j < e_i`, where `e_i` are the sizes and
//! `o_i = e_0 + ... + e_(i-1)`. The backward pass joins: `dx` has the `dy_i` side by side.
//!
//! **Conventions.** Axis 0 is the batch, which is not cut. As PyTorch's `torch.split` with a list of sizes, which must add up
//! to the extent along `dim`; a size may be 0. Numbers are copied, NaN and infinity among them.
//!
//! **Algorithm.** The inverse of [`Concat`](crate::Concat): at each position before the axis, one run of numbers for each
//! `y_i`; see `side_by_side.rs`.
//!
//! Source: N. Ma, X. Zhang, H.-T. Zheng and J. Sun, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture
//! Design", ECCV 2018, section 3.2, which splits channels.

use crate::OpError;
use crate::shared::check;
use crate::shared::side_by_side::{at_least_one, check_sizes, cut, join, outer, with_extent};
use cnn_tensor::{Recycled, Shape, Tensor};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;

const OP: &str = "split";

/// The options of a cut.
///
/// ```
/// use cnn_ops::Split;
/// use cnn_tensor::Tensor;
/// let op = Split::new(1, [1, 2]);
/// let x = Tensor::from_vec([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// let ys = op.forward(&x)?;
/// assert_eq!(ys[0].data(), [1.0, 4.0]);
/// assert_eq!(ys[1].data(), [2.0, 3.0, 5.0, 6.0]);
/// assert_eq!(op.backward(x.shape(), &ys)?, x);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The axis to cut; not 0, the batch.
    pub dim: usize,
    /// The extents of the parts along it: PyTorch's `split_size_or_sections`, as a list.
    pub sizes: Vec<usize>,
}

impl Split {
    /// Along axis `dim`, into parts of these sizes.
    pub fn new(dim: usize, sizes: impl Into<Vec<usize>>) -> Self {
        Self { dim, sizes: sizes.into() }
    }

    /// The shapes of the parts: that of `x`, with each of the sizes along `dim`.
    ///
    /// # Errors
    /// There are no sizes, `dim` is 0 or an axis that `x` does not have, the sizes do not add up to its extent there, or a
    /// part has more elements than an operation may make.
    pub fn output_shapes(&self, x: Shape) -> Result<Recycled<Shape>, OpError> {
        at_least_one(OP, "the number of sizes", self.sizes.len())?;
        check_sizes(OP, "x", x, self.dim, &self.sizes)?;
        let mut shapes = Recycled::with_capacity(self.sizes.len());
        for &size in &self.sizes {
            shapes.push(check::output(OP, with_extent(OP, x, self.dim, size)?)?);
        }
        Ok(shapes)
    }

    /// The parts of `x`.
    ///
    /// # Errors
    /// Those of [`Split::output_shapes`].
    pub fn forward(&self, x: &Tensor) -> Result<Recycled<Tensor>, OpError> {
        let shapes = self.output_shapes(x.shape())?;
        Ok(cut(x, outer(x.shape(), self.dim), shapes.iter().copied()))
    }

    /// `dx` of shape `x` from the gradient of each part.
    ///
    /// # Errors
    /// Those of [`Split::output_shapes`], there is not one gradient for each part, or one does not have its shape.
    pub fn backward(&self, x: Shape, dys: &[impl Borrow<Tensor> + Sync]) -> Result<Tensor, OpError> {
        let (shapes, got) = (self.output_shapes(x)?, dys.len());
        if shapes.len() != got {
            let (what, unit, expected) = ("dy", "tensors, one for each part", shapes.len());
            return Err(OpError::Extent { op: OP, what, unit, expected, got });
        }
        for (&shape, dy) in shapes.iter().zip(dys) {
            check::shape(OP, "dy", shape, dy.borrow())?;
        }
        Ok(join(check::gradient(OP, x)?, outer(x, self.dim), dys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::{
        any_extent, any_shape, assert_exact, assert_same_bits_on_any_threads, everywhere, whole_numbers,
    };
    use cnn_tensor::testing::{distinct, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64: each part of a tensor `[outer, sum of sizes, inner]`.
    fn oracle(outer: usize, sizes: &[usize], inner: usize, x: &[f64]) -> Vec<Vec<f64>> {
        let (mut parts, mut start) = (vec![], 0);
        let extent: usize = sizes.iter().sum();
        for &size in sizes {
            let mut part = vec![];
            for at in 0..outer {
                for j in start..start + size {
                    for i in 0..inner {
                        part.push(x[(at * extent + j) * inner + i]);
                    }
                }
            }
            start += size;
            parts.push(part);
        }
        parts
    }

    proptest! {
        #[test]
        fn matches_the_definition(before in prop::collection::vec(0..4usize, 1..4),
                                  after in prop::collection::vec(0..4usize, 0..3),
                                  sizes in prop::collection::vec(0..5usize, 1..5), seed: u64) {
            let op = Split::new(before.len(), &sizes[..]);
            let dims = [&before[..], &[sizes.iter().sum()], &after[..]].concat();
            let x = whole_numbers(Shape::new(&dims).unwrap(), 1 << 23, seed);
            let want = oracle(before.iter().product(), &sizes, after.iter().product(), &to_f64(&x));
            everywhere(|| {
                let ys = op.forward(&x).unwrap();
                assert_eq!(ys.len(), sizes.len());
                for ((y, want), &size) in ys.iter().zip(&want).zip(&sizes) {
                    assert_eq!(y.shape().dims()[before.len()], size);
                    assert_exact("y", y, want);
                }
                // Every element is copied to one place, so that the adjoint is the inverse.
                assert_eq!(op.backward(x.shape(), &ys).unwrap(), x);
            });
        }

        #[test]
        fn absurd_options_are_errors(dim in any_extent(), sizes in prop::collection::vec(any_extent(), 0..4), x in any_shape(),
                                     fit in any::<bool>()) {
            // The whole axis as one part is accepted, if there is such an axis.
            let sizes = match x.dims().get(dim) {
                Some(&extent) if fit => vec![0, extent],
                _ => sizes,
            };
            let op = Split { dim, sizes };
            if let Ok(shapes) = op.output_shapes(x) && x.numel() <= 100_000 {
                prop_assert!(dim > 0);
                let ys = op.forward(&Tensor::zeros(x)).unwrap();
                prop_assert!(ys.iter().map(Tensor::shape).eq(shapes.iter().copied()));
                prop_assert_eq!(op.backward(x, &ys).unwrap(), Tensor::zeros(x));
            }
        }
    }

    #[test]
    fn nan_and_infinity_are_copied() {
        let x = Tensor::from_vec([1, 2], vec![f32::NAN, f32::INFINITY]).unwrap();
        let ys = Split::new(1, [1, 1]).forward(&x).unwrap();
        assert!(ys[0].data()[0].is_nan() && ys[1].data()[0] == f32::INFINITY);
    }

    #[test]
    fn an_empty_batch_and_a_size_of_0_are_values() {
        let (op, x) = (Split::new(1, [0, 2]), Tensor::zeros([0, 2, 3]));
        let ys = op.forward(&x).unwrap();
        assert_eq!(ys, [Tensor::zeros([0, 0, 3]), x.clone()]);
        assert_eq!(op.backward(x.shape(), &ys).unwrap(), x);
    }

    #[test]
    fn threads_change_nothing() {
        let (op, x) = (Split::new(2, [20, 1, 49]), distinct([5, 3, 70], 0));
        assert_same_bits_on_any_threads(|| {
            let ys = op.forward(&x).unwrap();
            [vec![op.backward(x.shape(), &ys).unwrap()], ys.to_vec()].concat()
        });
    }

    #[test]
    fn unknown_options_are_refused() {
        let op: Split = serde_json::from_str(r#"{"dim": 1, "sizes": [3, 4]}"#).unwrap();
        assert_eq!(op, Split::new(1, [3, 4]));
        assert!(serde_json::from_str::<Split>(r#"{"dim": 1, "sizes": [3], "chunks": 1}"#).is_err());
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message =
            |dim, sizes: &[usize], x: Shape| Split::new(dim, sizes).output_shapes(x).unwrap_err().to_string();
        let x = Shape::from([2, 5, 4]);
        assert_eq!(message(1, &[], x), "split: the number of sizes must be at least 1, got 0");
        assert_eq!(message(0, &[1, 1], x), "split: dim must be an axis other than the batch, axis 0, got 0");
        assert_eq!(message(3, &[1], x), "split: x expects a shape of rank 4 or more, got shape [2, 5, 4]");
        assert_eq!(message(1, &[1, 1], x), "split: x expects 2 channels, got 5");
        assert_eq!(message(2, &[3, 2], x), "split: x expects 5 positions along dim, got 4");
        assert_eq!(
            message(1, &[1 << 29], [1, 1 << 29].into()),
            "split: the output must be at most 2^28 elements for one image, got [1, 536870912]"
        );
        let message = |dys: &[Tensor]| Split::new(1, [2, 3]).backward(x, dys).unwrap_err().to_string();
        let [two, three] = [2, 3].map(|c| Tensor::zeros([2, c, 4]));
        assert_eq!(
            message(std::slice::from_ref(&two)),
            "split: dy expects 2 tensors, one for each part, got 1"
        );
        assert_eq!(message(&[three, two]), "split: dy expects shape [2, 2, 4], got [2, 3, 4]");
    }
}
