use super::Operation;
use cnn_ops::activation::Saved;
use cnn_ops::{Activation, OpError};
use cnn_tensor::{Shape, Tensor};

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
}
