//! Pooling layers.

use super::take;
use crate::{Layer, LayerSpec, NnError};
use cnn_ops::max_pool2d::Saved;
use cnn_tensor::{Shape, Tensor};

/// Max pooling; see [`cnn_ops::max_pool2d`].
#[derive(Debug)]
pub struct MaxPool2d {
    options: cnn_ops::MaxPool2d,
    saved: Option<Saved>,
}

impl MaxPool2d {
    /// The layer with these options.
    pub fn new(options: cnn_ops::MaxPool2d) -> Self {
        Self { options, saved: None }
    }
}

impl Layer for MaxPool2d {
    fn kind(&self) -> &'static str {
        "max_pool2d"
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(self.options.output_shape(x)?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        Ok(self.options.infer(x)?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let (y, saved) = self.options.forward(&x)?;
        self.saved = Some(saved);
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let kind = self.kind();
        let saved = take(&mut self.saved, kind)?;
        Ok(self.options.backward(&saved, &dy)?)
    }

    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self::new(self.options))
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(LayerSpec::MaxPool2d(self.options))
    }
}

/// Average pooling; see [`cnn_ops::avg_pool2d`].
#[derive(Debug)]
pub struct AvgPool2d {
    options: cnn_ops::AvgPool2d,
    x_shape: Option<Shape>,
}

impl AvgPool2d {
    /// The layer with these options.
    pub fn new(options: cnn_ops::AvgPool2d) -> Self {
        Self { options, x_shape: None }
    }
}

impl Layer for AvgPool2d {
    fn kind(&self) -> &'static str {
        "avg_pool2d"
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(self.options.output_shape(x)?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        Ok(self.options.forward(x)?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let y = self.infer(&x)?;
        self.x_shape = Some(x.shape());
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let kind = self.kind();
        let x_shape = take(&mut self.x_shape, kind)?;
        Ok(self.options.backward(x_shape, &dy)?)
    }

    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self::new(self.options))
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(LayerSpec::AvgPool2d(self.options))
    }
}
