use super::Operation;
use cnn_ops::{OpError, flatten};
use cnn_tensor::{Shape, Tensor};

/// `[n, c, h, w]` to `[n, c*h*w]`; see [`cnn_ops::flatten`].
pub(crate) struct Flatten;

impl Operation for Flatten {
    /// The shape of the input.
    type Saved = Shape;

    fn kind(&self) -> &'static str {
        "flatten"
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        flatten::output_shape(x)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
        flatten::flatten(x)
    }

    fn forward(&self, x: Tensor) -> Result<(Tensor, Shape), OpError> {
        let shape = x.shape();
        Ok((flatten::flatten(x)?, shape))
    }

    fn backward(&self, x: Shape, dy: Tensor) -> Result<Tensor, OpError> {
        dy.reshape(x).map_err(|fault| OpError::Tensor { op: "flatten", fault })
    }
}
