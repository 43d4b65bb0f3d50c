//! Pooling layers.

use super::{Operation, Stateless};
use crate::LayerSpec;
use cnn_ops::{OpError, max_pool2d};
use cnn_tensor::{Shape, Tensor};

/// Max pooling; see [`cnn_ops::max_pool2d`].
pub type MaxPool2d = Stateless<cnn_ops::MaxPool2d>;

/// Average pooling; see [`cnn_ops::avg_pool2d`].
pub type AvgPool2d = Stateless<cnn_ops::AvgPool2d>;

impl Operation for cnn_ops::MaxPool2d {
    type Saved = max_pool2d::Saved;

    fn kind(&self) -> &'static str {
        "max_pool2d"
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        self.output_shape(x)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
        self.infer(&x)
    }

    fn forward(&self, x: Tensor) -> Result<(Tensor, Self::Saved), OpError> {
        self.forward(&x)
    }

    fn backward(&self, saved: Self::Saved, dy: Tensor) -> Result<Tensor, OpError> {
        self.backward(&saved, &dy)
    }

    fn spec(&self) -> LayerSpec {
        LayerSpec::MaxPool2d(*self)
    }
}

impl Operation for cnn_ops::AvgPool2d {
    /// The shape of the input.
    type Saved = Shape;

    fn kind(&self) -> &'static str {
        "avg_pool2d"
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        self.output_shape(x)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
        self.forward(&x)
    }

    fn forward(&self, x: Tensor) -> Result<(Tensor, Shape), OpError> {
        Ok((self.forward(&x)?, x.shape()))
    }

    fn backward(&self, x: Shape, dy: Tensor) -> Result<Tensor, OpError> {
        self.backward(x, &dy)
    }

    fn spec(&self) -> LayerSpec {
        LayerSpec::AvgPool2d(*self)
    }
}
