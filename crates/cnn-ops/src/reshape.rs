//! Reshaping the images of a batch: `[n, ...]` to `[n, given...]`.
//!
//! `y` has the elements of `x` in the same row-major order. Because tensors are row-major this is a change of shape
//! alone and moves nothing; the backward pass is the opposite change.
//!
//! **Conventions.** The batch axis stays and is not among the given extents, as in PyTorch's
//! `nn.Unflatten(1, ...)` after `nn.Flatten`. One extent may be left to be inferred (PyTorch's -1): from the elements
//! of one image, so that it can be told for an empty batch too, where PyTorch cannot. Without extents the shape is `[n]`.

use crate::OpError;
use crate::shared::check;
use cnn_tensor::{Shape, Tensor};
use serde::{Deserialize, Serialize};

const OP: &str = "reshape";

/// The shape that each image is given.
///
/// ```
/// use cnn_ops::Reshape;
/// use cnn_tensor::Tensor;
/// let op = Reshape::new([16, 5, 5]);
/// let y = op.forward(Tensor::zeros([2, 400]))?;
/// assert_eq!(y.shape().dims(), [2, 16, 5, 5]);
/// let dx = op.backward([2, 400].into(), y)?;
/// assert_eq!(dx.shape().dims(), [2, 400]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// The extents beside the batch, at most five; at most one may be `None` (`null` in JSON), which is inferred.
    pub shape: Vec<Option<usize>>,
}

impl Reshape {
    /// All extents given.
    pub fn new<const N: usize>(shape: [usize; N]) -> Self {
        Self { shape: shape.map(Some).to_vec() }
    }

    /// `[n, ...]` to `[n, given...]`.
    ///
    /// # Errors
    /// `x` is a scalar, which has no batch axis; there are more than five extents, or more than one to infer; an image
    /// does not have as many elements as the extents say, or not a multiple of them where one is to be inferred.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        if x.rank() == 0 {
            return Err(OpError::Rank { op: OP, what: "x", expected: "[n, ...]", got: x });
        }
        let option = |rule, got| OpError::Option { op: OP, option: "shape", rule, got };
        if self.shape.len() >= Shape::MAX_RANK {
            return Err(option("at most 5 extents", self.to_string()));
        }
        let open = self.shape.iter().filter(|extent| extent.is_none()).count();
        if open > 1 {
            return Err(option("at most one extent to infer", self.to_string()));
        }
        let got = check::output(OP, x.with_batch(1))?.numel();
        let given =
            self.shape.iter().flatten().fold(1, |product: usize, &extent| product.saturating_mul(extent));
        let divides = given != 0 && got.is_multiple_of(given);
        if open == 1 && !divides {
            let rule = "a divisor of the elements of one image";
            return Err(option(rule, format!("{self} for {got}")));
        }
        if open == 0 && got != given {
            let (what, unit) = ("x", "elements for each image");
            return Err(OpError::Extent { op: OP, what, unit, expected: given, got });
        }
        let mut dims = [x.batch(); Shape::MAX_RANK];
        for (dim, extent) in dims[1..].iter_mut().zip(&self.shape) {
            *dim = extent.unwrap_or(got / given.max(1));
        }
        Shape::new(&dims[..=self.shape.len()]).map_err(|fault| OpError::Tensor { op: OP, fault })
    }

    /// `x` under the new shape, without a copy.
    ///
    /// # Errors
    /// Those of [`Reshape::output_shape`].
    pub fn forward(&self, x: Tensor) -> Result<Tensor, OpError> {
        let y = self.output_shape(x.shape())?;
        x.reshape(y).map_err(|fault| OpError::Tensor { op: OP, fault })
    }

    /// `dx` of shape `x` from `dy`, without a copy.
    ///
    /// # Errors
    /// Those of [`Reshape::output_shape`], or `dy` does not have the shape of `y`.
    pub fn backward(&self, x: Shape, dy: Tensor) -> Result<Tensor, OpError> {
        check::shape(OP, "dy", self.output_shape(x)?, &dy)?;
        dy.reshape(x).map_err(|fault| OpError::Tensor { op: OP, fault })
    }
}

/// The extents, with `?` for one that is inferred.
impl std::fmt::Display for Reshape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let extents = self.shape.iter().map(|extent| extent.map_or("?".into(), |extent| extent.to_string()));
        write!(f, "[{}]", extents.collect::<Vec<String>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::{any_extent, any_number_of_rejects, any_shape, everywhere};
    use cnn_tensor::testing::distinct;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(n in 0..4usize, given in prop::collection::vec(0..4usize, 0..=5),
                                  open in prop::option::of(0..5usize), by in 0..3usize, seed: u64) {
            let mut op = Reshape { shape: given.iter().map(|&extent| Some(extent)).collect() };
            if let Some(open) = open.filter(|&open| open < given.len()) {
                op.shape[open] = None;
                // Nothing can be inferred beside an extent of 0.
                prop_assume!(!op.shape.contains(&Some(0)));
            }
            // The same elements under another shape: the last extents together, or all, or an axis of 1 more.
            let count = given.iter().product::<usize>();
            let x = match by {
                0 => distinct([n, count], seed),
                1 => distinct([n, 1, 1, count, 1, 1], seed),
                _ => distinct([n, given.iter().take(1).product(), given.iter().skip(1).product()], seed),
            };
            everywhere(|| {
                let y = op.forward(x.clone()).unwrap();
                assert_eq!(y.shape().dims(), [&[n], &given[..]].concat());
                assert_eq!(y.data(), x.data());
                // The elements are those of x in their order, so that <y, dy> = <x, dx>, term by term.
                let dy = distinct(y.shape(), seed ^ 1);
                let dx = op.backward(x.shape(), dy.clone()).unwrap();
                assert_eq!((dx.shape(), dx.data()), (x.shape(), dy.data()));
            });
        }

        #[test]
        fn absurd_options_are_errors(shape in prop::collection::vec(prop::option::of(any_extent()), 0..8),
                                     x in any_shape()) {
            let op = Reshape { shape };
            if let Ok(y) = op.output_shape(x) && x.numel() <= 100_000 {
                prop_assert_eq!(y.numel(), x.numel());
                let y = op.forward(Tensor::zeros(x)).unwrap();
                prop_assert_eq!(op.backward(x, y).unwrap().shape(), x);
            }
        }
    }

    #[test]
    fn nothing_is_copied() {
        let x = distinct([2, 12], 0);
        let place = x.data().as_ptr();
        let op = Reshape::new([3, 4]);
        let y = op.forward(x).unwrap();
        assert_eq!(y.data().as_ptr(), place);
        assert_eq!(op.backward([2, 12].into(), y).unwrap().data().as_ptr(), place);
    }

    #[test]
    fn an_extent_is_inferred_from_one_image() {
        let op = Reshape { shape: vec![Some(3), None] };
        assert_eq!(op.output_shape([2, 12].into()).unwrap(), Shape::from([2, 3, 4]));
        assert_eq!(op.output_shape([0, 12].into()).unwrap(), Shape::from([0, 3, 4]));
        assert_eq!(op.output_shape([2, 0].into()).unwrap(), Shape::from([2, 3, 0]));
    }

    #[test]
    fn no_extents_leave_the_batch() {
        assert_eq!(Reshape::new([]).output_shape([5, 1, 1].into()).unwrap(), Shape::from([5]));
        assert_eq!(Reshape::new([1]).output_shape([5].into()).unwrap(), Shape::from([5, 1]));
    }

    #[test]
    fn errors_say_what_is_expected() {
        let message = |shape: &[Option<usize>], x: Shape| {
            Reshape { shape: shape.to_vec() }.output_shape(x).unwrap_err().to_string()
        };
        let x = Shape::from([2, 12]);
        assert_eq!(message(&[], [].into()), "reshape: x expects [n, ...], got shape []");
        assert_eq!(
            message(&[Some(1), Some(2), Some(3), Some(1), Some(1), None], x),
            "reshape: shape must be at most 5 extents, got [1, 2, 3, 1, 1, ?]"
        );
        assert_eq!(
            message(&[None, Some(3), None], x),
            "reshape: shape must be at most one extent to infer, got [?, 3, ?]"
        );
        assert_eq!(message(&[Some(3), Some(5)], x), "reshape: x expects 15 elements for each image, got 12");
        let divisor = message(&[None, Some(5)], x);
        assert_eq!(
            divisor,
            "reshape: shape must be a divisor of the elements of one image, got [?, 5] for 12"
        );
        let zero = message(&[None, Some(0)], [2, 0].into());
        assert_eq!(zero, "reshape: shape must be a divisor of the elements of one image, got [?, 0] for 0");
        let error = Reshape::new([3, 4]).backward(x, Tensor::zeros([2, 12])).unwrap_err();
        assert_eq!(error.to_string(), "reshape: dy expects shape [2, 3, 4], got [2, 12]");
    }
}
