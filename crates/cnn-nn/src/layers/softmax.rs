use super::Operation;
use cnn_ops::{LogSoftmax, OpError, Softmax, soft_argmax2d};
use cnn_tensor::{Shape, Tensor};

/// Defines the layer of an operation whose backward pass reads its output.
macro_rules! by_output {
    ($operation:ident, $kind:literal) => {
        impl Operation for $operation {
            /// The output.
            type Saved = Tensor;

            fn kind(&self) -> &'static str {
                $kind
            }

            fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
                $operation::output_shape(*self, x)
            }

            fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
                $operation::forward(*self, &x)
            }

            fn forward(&self, x: Tensor) -> Result<(Tensor, Tensor), OpError> {
                let y = $operation::forward(*self, &x)?;
                Ok((y.clone(), y))
            }

            fn backward(&self, y: Tensor, dy: Tensor) -> Result<Tensor, OpError> {
                $operation::backward(*self, &y, &dy)
            }
        }
    };
}
// To train a classifier, end the network with logits: the cross-entropy includes a softmax.
by_output!(Softmax, "softmax");
by_output!(LogSoftmax, "log_softmax");

/// The expected position of each map; see [`cnn_ops::soft_argmax2d`].
pub(crate) struct SoftArgmax2d;

impl Operation for SoftArgmax2d {
    type Saved = soft_argmax2d::Saved;

    fn kind(&self) -> &'static str {
        "soft_argmax2d"
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        soft_argmax2d::output_shape(x)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
        Ok(soft_argmax2d::forward(x)?.0)
    }

    fn forward(&self, x: Tensor) -> Result<(Tensor, Self::Saved), OpError> {
        soft_argmax2d::forward(x)
    }

    fn backward(&self, saved: Self::Saved, dy: Tensor) -> Result<Tensor, OpError> {
        soft_argmax2d::backward(saved, &dy)
    }
}
