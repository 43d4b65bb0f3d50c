use super::Operation;
use cnn_ops::{OpError, soft_argmax2d, softmax};
use cnn_tensor::{Shape, Tensor};

/// Probabilities of the classes, axis 1, or their logarithms; see [`cnn_ops::softmax`](mod@cnn_ops::softmax).
///
/// To train a classifier, end the network with logits: the cross-entropy includes a softmax.
pub(crate) enum Probabilities {
    Softmax,
    LogSoftmax,
}

impl Operation for Probabilities {
    /// The output.
    type Saved = Tensor;

    fn kind(&self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::LogSoftmax => "log_softmax",
        }
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        softmax::output_shape(x)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
        match self {
            Self::Softmax => softmax::softmax(&x),
            Self::LogSoftmax => softmax::log_softmax(&x),
        }
    }

    fn forward(&self, x: Tensor) -> Result<(Tensor, Tensor), OpError> {
        let y = Operation::infer(self, x)?;
        Ok((y.clone(), y))
    }

    fn backward(&self, y: Tensor, dy: Tensor) -> Result<Tensor, OpError> {
        match self {
            Self::Softmax => softmax::softmax_backward(&y, &dy),
            Self::LogSoftmax => softmax::log_softmax_backward(&y, &dy),
        }
    }
}

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
