use super::{Operation, Stateless};
use crate::LayerSpec;
use cnn_ops::{Activation, OpError};
use cnn_tensor::{Shape, Tensor};

/// An activation function, element by element; see [`cnn_ops::activation`].
pub type Activate = Stateless<Activation>;

impl Operation for Activation {
    /// The output, from which every gradient here can be computed; shared with the next layer, not copied.
    type Saved = Tensor;

    fn kind(&self) -> &'static str {
        self.name()
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        Ok(x)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
        Ok(Activation::forward(*self, x))
    }

    fn forward(&self, x: Tensor) -> Result<(Tensor, Tensor), OpError> {
        let y = Activation::forward(*self, x);
        Ok((y.clone(), y))
    }

    fn backward(&self, y: Tensor, dy: Tensor) -> Result<Tensor, OpError> {
        Activation::backward(*self, &y, dy)
    }

    fn spec(&self) -> LayerSpec {
        match self {
            Activation::Relu => LayerSpec::Relu,
            Activation::Tanh => LayerSpec::Tanh,
            Activation::ScaledTanh => LayerSpec::ScaledTanh,
            Activation::Sigmoid => LayerSpec::Sigmoid,
        }
    }
}
