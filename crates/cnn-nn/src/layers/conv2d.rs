use super::take;
use super::weights::Weights;
use crate::spec::Conv2dSpec;
use crate::{Layer, LayerSpec, NnError, Parameter, ParameterSource, Path, Request};
use cnn_ops::conv2d::Saved;
use cnn_tensor::{Shape, Tensor};

/// Convolution with weight `[c_out, c_in / groups, kh, kw]` and bias `[c_out]`; see [`cnn_ops::conv2d`].
#[derive(Debug)]
pub struct Conv2d {
    spec: Conv2dSpec,
    weights: Weights,
    saved: Option<Saved>,
}

const KIND: &str = "conv2d";

impl Conv2d {
    /// The layer for inputs of shape `x`.
    ///
    /// # Errors
    /// It cannot take that shape, or the source lacks a parameter.
    pub fn build(
        spec: &Conv2dSpec,
        x: Shape,
        path: Path<'_>,
        source: &mut dyn ParameterSource,
    ) -> Result<Self, NnError> {
        let options = spec.options();
        let shape = options.weight_shape(x, spec.out_channels)?;
        options.output_shape(x, shape)?;
        let window: usize = shape.dims()[2..].iter().product();
        let (fan_in, fan_out) = (shape.dims()[1] * window, spec.out_channels / spec.groups * window);
        let request = Request { shape, init: spec.init, fan_in, fan_out };
        let weights = Weights::build(request, spec.bias.then_some(spec.bias_init), path, source)?;
        Ok(Self { spec: spec.clone(), weights, saved: None })
    }
}

impl Layer for Conv2d {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(self.spec.options().output_shape(x, self.weights.weight.shape())?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        let (weight, bias) = self.weights.values();
        Ok(self.spec.options().infer(x, weight, bias)?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let (weight, bias) = self.weights.values();
        let (y, saved) = self.spec.options().forward(&x, weight, bias)?;
        self.saved = Some(saved);
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let saved = take(&mut self.saved, KIND)?;
        let (weight, dweight, dbias) = self.weights.gradients();
        Ok(self.spec.options().backward(&saved, weight, &dy, dweight, dbias)?)
    }

    fn backward_first(&mut self, dy: Tensor) -> Result<(), NnError> {
        let saved = take(&mut self.saved, KIND)?;
        let (weight, dweight, dbias) = self.weights.gradients();
        Ok(self.spec.options().backward_parameters(&saved, weight, &dy, dweight, dbias)?)
    }

    fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
        self.weights.visit(path, f);
    }

    fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
        self.weights.visit_mut(path, f);
    }

    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self { spec: self.spec.clone(), weights: self.weights.replicate(), saved: None })
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(self.spec.clone().into())
    }

    fn macs(&self, x: Shape) -> u64 {
        self.spec.options().macs(x, self.weights.weight.shape()).unwrap_or(0)
    }
}
