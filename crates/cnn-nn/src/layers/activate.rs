use super::{Operation, Stateless};
use crate::LayerSpec;
use cnn_ops::activation::Saved;
use cnn_ops::{Activation, OpError};
use cnn_tensor::{Shape, Tensor};

/// An activation function, element by element; see [`cnn_ops::activation`].
pub type Activate = Stateless<Activation>;

impl Operation for Activation {
    type Saved = Saved;

    fn kind(&self) -> &'static str {
        self.name()
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        Ok(x)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
        Ok(Activation::infer(*self, x))
    }

    fn forward(&self, x: Tensor) -> Result<(Tensor, Saved), OpError> {
        Ok(Activation::forward(*self, x))
    }

    fn backward(&self, saved: Saved, dy: Tensor) -> Result<Tensor, OpError> {
        Activation::backward(*self, &saved, dy)
    }

    fn spec(&self) -> LayerSpec {
        match *self {
            Activation::Relu => LayerSpec::Relu,
            Activation::Relu6 => LayerSpec::Relu6,
            Activation::LeakyRelu { slope } => LayerSpec::LeakyRelu { slope },
            Activation::Elu { alpha } => LayerSpec::Elu { alpha },
            Activation::Sigmoid => LayerSpec::Sigmoid,
            Activation::Tanh => LayerSpec::Tanh,
            Activation::ScaledTanh => LayerSpec::ScaledTanh,
            Activation::Softplus { beta, threshold } => LayerSpec::Softplus { beta, threshold },
            Activation::Gelu { approximate } => LayerSpec::Gelu { approximate },
            Activation::Silu => LayerSpec::Silu,
            Activation::HardSigmoid => LayerSpec::HardSigmoid,
            Activation::HardSwish => LayerSpec::HardSwish,
        }
    }
}
