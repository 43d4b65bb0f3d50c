use super::take;
use crate::{Layer, LayerSpec, NnError};
use cnn_ops::OpError;
use cnn_tensor::{Shape, Tensor};
use std::fmt;

/// An operation without parameters, as [`Stateless`] makes a layer of it.
pub trait Operation: Clone + Send + Sync + 'static {
    /// What the backward pass reads.
    type Saved: Send + Sync;

    /// The kind of layer as messages and summaries name it: `max_pool2d`.
    fn kind(&self) -> &'static str;

    /// The shape of the output for an input of shape `x`.
    ///
    /// # Errors
    /// The operation cannot take that shape.
    fn output_shape(&self, x: Shape) -> Result<Shape, OpError>;

    /// The output, when no backward pass will follow; it may take the memory of `x`.
    ///
    /// # Errors
    /// Those of [`Operation::output_shape`].
    fn infer(&self, x: Tensor) -> Result<Tensor, OpError>;

    /// The output, and what [`Operation::backward`] reads.
    ///
    /// # Errors
    /// Those of [`Operation::output_shape`].
    fn forward(&self, x: Tensor) -> Result<(Tensor, Self::Saved), OpError>;

    /// The gradient with respect to the input, from that with respect to the output.
    ///
    /// # Errors
    /// `dy` does not have the shape of the output.
    fn backward(&self, saved: Self::Saved, dy: Tensor) -> Result<Tensor, OpError>;

    /// The description of the layer.
    fn spec(&self) -> LayerSpec;
}

/// The layer of an operation that has no parameters: it keeps what the backward pass reads, and nothing else.
pub struct Stateless<O: Operation> {
    operation: O,
    saved: Option<O::Saved>,
}

impl<O: Operation> Stateless<O> {
    /// The layer that applies `operation`.
    pub fn new(operation: O) -> Self {
        Self { operation, saved: None }
    }
}

impl<O: Operation> fmt::Debug for Stateless<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.operation.spec())
    }
}

impl<O: Operation> Layer for Stateless<O> {
    fn kind(&self) -> &'static str {
        self.operation.kind()
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(self.operation.output_shape(x)?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        Ok(self.operation.infer(x.clone())?)
    }

    fn infer_owned(&self, x: Tensor) -> Result<Tensor, NnError> {
        Ok(self.operation.infer(x)?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let (y, saved) = self.operation.forward(x)?;
        self.saved = Some(saved);
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let saved = take(&mut self.saved, self.operation.kind())?;
        Ok(self.operation.backward(saved, dy)?)
    }

    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self::new(self.operation.clone()))
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(self.operation.spec())
    }
}
