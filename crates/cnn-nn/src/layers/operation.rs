use crate::{At, Grads, NnError, Unary};
use cnn_ops::OpError;
use cnn_tensor::{Shape, Tensor};

/// An operation without parameters. Every `Operation` is a [`Unary`] layer.
pub trait Operation: Send + Sync {
    /// The values that the backward pass reads.
    type Saved: Send + Sync + 'static;

    /// As [`Unary::kind`].
    fn kind(&self) -> &'static str;

    /// As [`Unary::output_shape`].
    ///
    /// # Errors
    /// The operation cannot take that shape.
    fn output_shape(&self, x: Shape) -> Result<Shape, OpError>;

    /// As [`Unary::infer`]; may reuse the memory of `x`.
    ///
    /// # Errors
    /// An error of [`Operation::output_shape`].
    fn infer(&self, x: Tensor) -> Result<Tensor, OpError>;

    /// As [`Unary::forward`].
    ///
    /// # Errors
    /// An error of [`Operation::output_shape`].
    fn forward(&self, x: Tensor) -> Result<(Tensor, Self::Saved), OpError>;

    /// As [`Unary::backward`].
    ///
    /// # Errors
    /// `dy` does not have the shape of the output.
    fn backward(&self, saved: Self::Saved, dy: Tensor) -> Result<Tensor, OpError>;
}

impl<O: Operation> Unary for O {
    type Saved = O::Saved;

    fn kind(&self) -> &'static str {
        Operation::kind(self)
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(Operation::output_shape(self, x)?)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, NnError> {
        Ok(Operation::infer(self, x)?)
    }

    fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Self::Saved), NnError> {
        Ok(Operation::forward(self, x)?)
    }

    fn backward(&self, saved: Self::Saved, dy: Tensor, _: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        Ok(Some(Operation::backward(self, saved, dy)?))
    }
}
