//! Tensors of one shape, side by side along an axis of their own.
//!
//! With the new axis at `dim`, `y[n, ..., i, ...] = x_i[n, ..., ...]`. The backward pass cuts:
//! `dx_i[n, ..., ...] = dy[n, ..., i, ...]`.
//!
//! **Conventions.** As PyTorch's `torch.stack`, but the batch stays axis 0, so that the new axis is at 1 or after. All shapes
//! are equal; nothing is broadcast. Numbers are copied, NaN and infinity among them.
//!
//! **Algorithm.** At each position before the new axis, one run of numbers from each `x_i`; see `side_by_side.rs`. Where the
//! new axis is the last, a run is one number, and a strided loop copies it.

use crate::OpError;
use crate::shared::check;
use crate::shared::side_by_side::{at_least_one, check_dim, cut, join, outer};
use cnn_tensor::{Recycled, Shape, Tensor};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;

const OP: &str = "stack";

/// The options of a stack.
///
/// ```
/// use cnn_ops::Stack;
/// use cnn_tensor::Tensor;
/// let op = Stack::new(1);
/// let a = Tensor::from_vec([2, 2], vec![1.0, 2.0, 3.0, 4.0])?;
/// let b = Tensor::from_vec([2, 2], vec![5.0, 6.0, 7.0, 8.0])?;
/// let y = op.forward(&[&a, &b])?;
/// assert_eq!(y.shape().dims(), [2, 2, 2]);
/// assert_eq!(y.data(), [1.0, 2.0, 5.0, 6.0, 3.0, 4.0, 7.0, 8.0]);
/// assert_eq!(op.backward(&y, 2)?, [a, b]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stack {
    /// Where the new axis is in the output; not 0, the batch.
    pub dim: usize,
}

impl Stack {
    /// With the new axis at `dim`.
    pub fn new(dim: usize) -> Self {
        Self { dim }
    }

    /// The shape that the inputs have, with their number as a new extent at `dim`.
    ///
    /// # Errors
    /// There are no inputs, they differ in shape, `dim` is 0 or would leave a gap after their axes, or the result has more
    /// than six axes or more elements than an operation may make.
    pub fn output_shape(&self, xs: &[Shape]) -> Result<Shape, OpError> {
        at_least_one(OP, "the number of inputs", xs.len())?;
        let expected = xs[0];
        if let Some(&got) = xs.iter().find(|&&x| x != expected) {
            return Err(OpError::Shape { op: OP, what: "x", expected, got });
        }
        let dims = expected.dims();
        check::rule(OP, "dim", "an axis other than the batch, axis 0", self.dim != 0, self.dim)?;
        let rule = "at most the number of axes of x";
        let got = format_args!("{} for shape {expected}", self.dim);
        check::rule(OP, "dim", rule, self.dim <= dims.len(), got)?;
        let mut y = [xs.len(); Shape::MAX_RANK + 1];
        y[..self.dim].copy_from_slice(&dims[..self.dim]);
        y[self.dim + 1..=dims.len()].copy_from_slice(&dims[self.dim..]);
        let y = Shape::new(&y[..=dims.len()]).map_err(|fault| OpError::Tensor { op: OP, fault })?;
        check::output(OP, y)
    }

    /// The inputs along the new axis.
    ///
    /// # Errors
    /// Those of [`Stack::output_shape`].
    pub fn forward(&self, xs: &[impl Borrow<Tensor> + Sync]) -> Result<Tensor, OpError> {
        let shapes: Recycled<Shape> = xs.iter().map(|x| x.borrow().shape()).collect();
        let y = self.output_shape(&shapes)?;
        Ok(join(y, outer(y, self.dim), xs))
    }

    /// The gradient of each input, from `dy` and the number of inputs.
    ///
    /// # Errors
    /// There are no inputs, `dim` is 0 or an axis that `dy` does not have, or its extent there is not the number of inputs.
    pub fn backward(&self, dy: &Tensor, count: usize) -> Result<Recycled<Tensor>, OpError> {
        at_least_one(OP, "the number of inputs", count)?;
        let y = dy.shape();
        check_dim(OP, "dy", self.dim, y)?;
        let got = y.dims()[self.dim];
        if got != count {
            let (what, unit) = ("dy", "positions along dim");
            return Err(OpError::Extent { op: OP, what, unit, expected: count, got });
        }
        let mut dims = [0; Shape::MAX_RANK];
        let dims = &mut dims[..y.rank() - 1];
        dims[..self.dim].copy_from_slice(&y.dims()[..self.dim]);
        dims[self.dim..].copy_from_slice(&y.dims()[self.dim + 1..]);
        let x = Shape::new(dims).map_err(|fault| OpError::Tensor { op: OP, fault })?;
        Ok(cut(dy, outer(y, self.dim), std::iter::repeat_n(x, count)))
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

    /// The definition, in f64, of tensors `[outer, inner]`.
    fn oracle(outer: usize, inner: usize, xs: &[Vec<f64>]) -> Vec<f64> {
        let mut y = vec![];
        for at in 0..outer {
            for x in xs {
                for i in 0..inner {
                    y.push(x[at * inner + i]);
                }
            }
        }
        y
    }

    proptest! {
        #[test]
        fn matches_the_definition(before in prop::collection::vec(0..4usize, 1..4),
                                  after in prop::collection::vec(0..4usize, 0..3), count in 1..5usize, seed: u64) {
            let op = Stack::new(before.len());
            let shape = Shape::new(&[&before[..], &after[..]].concat()).unwrap();
            let xs: Vec<Tensor> = (0..count as u64).map(|i| whole_numbers(shape, 1 << 23, seed ^ i)).collect();
            let xs64: Vec<Vec<f64>> = xs.iter().map(to_f64).collect();
            let want = oracle(before.iter().product(), after.iter().product(), &xs64);
            everywhere(|| {
                let y = op.forward(&xs).unwrap();
                assert_eq!(y.shape().dims(), [&before[..], &[count], &after[..]].concat());
                assert_exact("y", &y, &want);
                // Every element is copied to one place, so that the adjoint is the inverse.
                assert_eq!(op.backward(&y, count).unwrap()[..], xs[..]);
            });
        }

        #[test]
        fn absurd_options_are_errors(dim in any_extent(), x in any_shape(), other in any_shape(), count in 0..4usize,
                                     absurd in any_extent()) {
            let op = Stack::new(dim);
            let mut xs = vec![x; count];
            if let Ok(y) = op.output_shape(&xs) && x.numel() <= 100_000 {
                prop_assert!(dim > 0 && count > 0 && y.rank() == x.rank() + 1);
                let y = op.forward(&xs.iter().map(|&x| Tensor::zeros(x)).collect::<Vec<_>>()).unwrap();
                prop_assert_eq!(op.backward(&y, count).unwrap().len(), count);
                prop_assert!(absurd == count || op.backward(&y, absurd).is_err());
            }
            xs.push(other);
            prop_assert!(count == 0 || other == x || op.output_shape(&xs).is_err());
        }
    }

    #[test]
    fn nan_and_infinity_are_copied() {
        let (a, b) = (Tensor::full([1], f32::NAN), Tensor::full([1], f32::INFINITY));
        let y = Stack::new(1).forward(&[&a, &b]).unwrap();
        assert!(y.data()[0].is_nan() && y.data()[1] == f32::INFINITY);
    }

    #[test]
    fn an_empty_batch_is_stacked_to_an_empty_batch() {
        let (op, x) = (Stack::new(1), Tensor::zeros([0, 3]));
        let y = op.forward(&[&x, &x]).unwrap();
        assert_eq!(y.shape(), Shape::from([0, 2, 3]));
        assert_eq!(op.backward(&y, 2).unwrap(), [x.clone(), x]);
    }

    #[test]
    fn threads_change_nothing() {
        let xs = [0, 1, 2].map(|seed| distinct([5, 70], seed));
        assert_same_bits_on_any_threads(|| {
            let y = Stack::new(2).forward(&xs).unwrap();
            [vec![y.clone()], Stack::new(2).backward(&y, 3).unwrap().to_vec()].concat()
        });
    }

    #[test]
    fn unknown_options_are_refused() {
        assert_eq!(serde_json::from_str::<Stack>(r#"{"dim": 2}"#).unwrap(), Stack::new(2));
        assert!(serde_json::from_str::<Stack>(r#"{"dim": 2, "axis": 2}"#).is_err());
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |dim, xs: &[Shape]| Stack::new(dim).output_shape(xs).unwrap_err().to_string();
        let x = Shape::from([2, 3]);
        assert_eq!(message(1, &[]), "stack: the number of inputs must be at least 1, got 0");
        assert_eq!(message(1, &[x, [2, 4].into()]), "stack: x expects shape [2, 3], got [2, 4]");
        assert_eq!(message(0, &[x]), "stack: dim must be an axis other than the batch, axis 0, got 0");
        assert_eq!(
            message(3, &[x]),
            "stack: dim must be at most the number of axes of x, got 3 for shape [2, 3]"
        );
        assert_eq!(message(1, &[[1; 6].into()]), "stack: tensor: expected at most 6 axes, got 7");
        let large = Shape::from([1, 1 << 28]);
        assert_eq!(
            message(1, &[large, large]),
            "stack: the output must be at most 2^28 elements for one image, got [1, 2, 268435456]"
        );
        let dy = Tensor::zeros([2, 4, 3]);
        let message = |dim, count| Stack::new(dim).backward(&dy, count).unwrap_err().to_string();
        assert_eq!(message(1, 3), "stack: dy expects 3 positions along dim, got 4");
        assert_eq!(message(1, 0), "stack: the number of inputs must be at least 1, got 0");
        assert_eq!(message(3, 4), "stack: dy expects a shape of rank 4 or more, got shape [2, 4, 3]");
        assert_eq!(message(0, 2), "stack: dim must be an axis other than the batch, axis 0, got 0");
    }
}
