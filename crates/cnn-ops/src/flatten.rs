//! Flattening: `[n, c, h, w]` to `[n, c*h*w]`.
//!
//! `y[n, (c*H + h)*W + w] = x[n, c, h, w]`: rows of features for the linear layers that follow. Because tensors are
//! row-major this is a change of shape alone and moves nothing; the backward pass is the opposite change,
//! `dy.reshape(x_shape)`. An input of any rank from 1 is taken; only the batch axis is kept.

use crate::OpError;
use crate::shared::check;
use cnn_tensor::{Shape, Tensor};

const OP: &str = "flatten";

/// `[n, ...]` to `[n, product of the rest]`.
///
/// # Errors
/// `x` is a scalar, which has no batch axis, or has more elements than memory can address.
pub fn output_shape(x: Shape) -> Result<Shape, OpError> {
    let &[n, ref rest @ ..] = x.dims() else {
        return Err(OpError::Rank { op: OP, what: "x", expected: "[n, ...]", got: x });
    };
    let features = rest.iter().fold(1, |product: usize, &extent| product.saturating_mul(extent));
    check::output(OP, [n, features])
}

/// `x` as `[n, features]`, without a copy.
///
/// ```
/// use cnn_ops::flatten::flatten;
/// use cnn_tensor::Tensor;
/// let x = Tensor::zeros([16, 16, 5, 5]);
/// let dy = flatten(x)?;
/// assert_eq!(dy.shape().dims(), [16, 400]);
/// let dx = dy.reshape([16, 16, 5, 5])?;
/// assert_eq!(dx.shape().dims(), [16, 16, 5, 5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// `x` is a scalar.
pub fn flatten(x: Tensor) -> Result<Tensor, OpError> {
    let shape = output_shape(x.shape())?;
    x.reshape(shape).map_err(|fault| OpError::Tensor { op: OP, fault })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::{any_shape, everywhere};
    use cnn_tensor::testing::distinct;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn matches_the_definition(n in 0..4usize, c in 0..4usize, h in 0..4usize, w in 0..4usize, seed: u64) {
            let x = distinct([n, c, h, w], seed);
            everywhere(|| {
                let y = flatten(x.clone()).unwrap();
                assert_eq!(y.shape(), Shape::from([n, c * h * w]));
                for (at, &y) in y.data().iter().enumerate() {
                    let (n, feature) = (at / (c * h * w), at % (c * h * w));
                    let (ch, row, col) = (feature / (h * w), feature / w % h, feature % w);
                    assert_eq!(y, x.data()[((n * c + ch) * h + row) * w + col]);
                }
                assert_eq!(y.reshape(x.shape()).unwrap(), x);
            });
        }

        #[test]
        fn absurd_shapes_are_errors(x in any_shape()) {
            if let Ok(y) = output_shape(x) && x.numel() <= 100_000 {
                prop_assert_eq!(flatten(Tensor::zeros(x)).unwrap().shape(), y);
            }
        }
    }

    #[test]
    fn nothing_is_copied() {
        let x = distinct([2, 3, 4, 5], 0);
        assert_eq!(flatten(x.clone()).unwrap().data().as_ptr(), x.data().as_ptr());
    }

    #[test]
    fn every_rank_with_a_batch_axis_is_taken() {
        assert_eq!(output_shape([7].into()).unwrap(), Shape::from([7, 1]));
        assert_eq!(output_shape([7, 3].into()).unwrap(), Shape::from([7, 3]));
        assert_eq!(output_shape([7, 2, 3, 1, 2, 2].into()).unwrap(), Shape::from([7, 24]));
        assert_eq!(output_shape([0, 1 << 20, 2].into()).unwrap(), Shape::from([0, 1 << 21]));
    }

    #[test]
    fn errors_say_what_is_expected() {
        let error = flatten(Tensor::zeros([])).unwrap_err();
        assert_eq!(error.to_string(), "flatten: x expects [n, ...], got shape []");
        let error = output_shape([1, usize::MAX, 2].into()).unwrap_err().to_string();
        assert!(
            error.starts_with("flatten: tensor: shape [1, ")
                && error.ends_with("more elements than memory can address")
        );
    }
}
