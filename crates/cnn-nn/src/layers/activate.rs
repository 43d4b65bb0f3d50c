use crate::{At, Grads, NnError, Unary};
use cnn_ops::Activation;
use cnn_ops::activation::Saved;
use cnn_tensor::{Shape, Tensor};

// A layer of its own, not an `Operation`, because rectifiers read the rule of the backward pass.
impl Unary for Activation {
    type Saved = Saved;

    fn kind(&self) -> &'static str {
        self.name()
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(x)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, NnError> {
        Ok(Activation::infer(*self, x))
    }

    fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Saved), NnError> {
        Ok(Activation::forward(*self, x))
    }

    fn backward(&self, saved: Saved, dy: Tensor, grads: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        let derivative = |dy| Activation::backward(*self, &saved, dy);
        let dx = match self {
            Activation::Relu | Activation::Relu6 => grads.rule().rectify(dy, derivative)?,
            _ => derivative(dy)?,
        };
        Ok(Some(dx))
    }
}
