use crate::{At, Grads, NnError, Unary};
use cnn_ops::OpError;
use cnn_tensor::{Shape, Tensor};

/// An operation without parameters, which is a layer by this: what [`Unary`] asks for, in the words of operations.
pub trait Operation: Send + Sync {
    /// What the backward pass reads.
    type Saved: Send + Sync + 'static;

    /// [`Unary::kind`].
    fn kind(&self) -> &'static str;

    /// [`Unary::output_shape`].
    ///
    /// # Errors
    /// The operation cannot take that shape.
    fn output_shape(&self, x: Shape) -> Result<Shape, OpError>;

    /// [`Unary::infer`]; it may take the memory of `x`.
    ///
    /// # Errors
    /// Those of [`Operation::output_shape`].
    fn infer(&self, x: Tensor) -> Result<Tensor, OpError>;

    /// [`Unary::forward`].
    ///
    /// # Errors
    /// Those of [`Operation::output_shape`].
    fn forward(&self, x: Tensor) -> Result<(Tensor, Self::Saved), OpError>;

    /// [`Unary::backward`].
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
