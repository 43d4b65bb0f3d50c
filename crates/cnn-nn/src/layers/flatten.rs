use super::take;
use crate::{Layer, LayerSpec, NnError};
use cnn_ops::flatten;
use cnn_tensor::{Shape, Tensor};

/// `[n, c, h, w]` to `[n, c*h*w]`; see [`cnn_ops::flatten`].
#[derive(Debug, Default)]
pub struct Flatten {
    x_shape: Option<Shape>,
}

impl Layer for Flatten {
    fn kind(&self) -> &'static str {
        "flatten"
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(flatten::output_shape(x)?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        Ok(flatten::flatten(x.clone())?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        self.x_shape = Some(x.shape());
        Ok(flatten::flatten(x)?)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let kind = self.kind();
        let x_shape = take(&mut self.x_shape, kind)?;
        Ok(dy.reshape(x_shape)?)
    }

    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self::default())
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(LayerSpec::Flatten)
    }
}
