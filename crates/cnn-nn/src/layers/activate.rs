use super::take;
use crate::{Layer, LayerSpec, NnError};
use cnn_ops::Activation;
use cnn_tensor::{Shape, Tensor};

/// An activation function, element by element; see [`cnn_ops::activation`].
#[derive(Debug)]
pub struct Activate {
    function: Activation,
    /// The output, which every gradient here can be computed from; shared with the next layer, not copied.
    y: Option<Tensor>,
}

impl Activate {
    /// The layer that applies `function`.
    pub fn new(function: Activation) -> Self {
        Self { function, y: None }
    }
}

impl Layer for Activate {
    fn kind(&self) -> &'static str {
        self.function.name()
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(x)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        Ok(self.function.forward(x.clone()))
    }

    fn infer_owned(&self, x: Tensor) -> Result<Tensor, NnError> {
        Ok(self.function.forward(x))
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let y = self.function.forward(x);
        self.y = Some(y.clone());
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let kind = self.kind();
        let y = take(&mut self.y, kind)?;
        Ok(self.function.backward(&y, dy)?)
    }

    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self::new(self.function))
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(match self.function {
            Activation::Relu => LayerSpec::Relu,
            Activation::Tanh => LayerSpec::Tanh,
            Activation::ScaledTanh => LayerSpec::ScaledTanh,
            Activation::Sigmoid => LayerSpec::Sigmoid,
        })
    }
}
