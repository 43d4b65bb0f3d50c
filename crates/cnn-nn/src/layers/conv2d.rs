use super::take;
use crate::spec::Conv2dSpec;
use crate::{Layer, LayerSpec, NnError, Parameter, ParameterSource, Path, Request};
use cnn_ops::conv2d::Saved;
use cnn_tensor::{Shape, Tensor};

/// Convolution with weight `[c_out, c_in / groups, kh, kw]` and bias `[c_out]`; see [`cnn_ops::conv2d`].
#[derive(Debug)]
pub struct Conv2d {
    spec: Conv2dSpec,
    weight: Parameter,
    bias: Option<Parameter>,
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
        let weight = Parameter::new(source.parameter(path.join("weight"), request)?);
        let bias = if spec.bias {
            let request = Request { shape: [spec.out_channels].into(), init: spec.bias_init, ..request };
            Some(Parameter::new(source.parameter(path.join("bias"), request)?))
        } else {
            None
        };
        Ok(Self { spec: spec.clone(), weight, bias, saved: None })
    }

    fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref().map(|bias| &bias.value)
    }
}

impl Layer for Conv2d {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(self.spec.options().output_shape(x, self.weight.shape())?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        Ok(self.spec.options().infer(x, &self.weight.value, self.bias())?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let (y, saved) = self.spec.options().forward(&x, &self.weight.value, self.bias())?;
        self.saved = Some(saved);
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let saved = take(&mut self.saved, KIND)?;
        let dbias = self.bias.as_mut().map(|bias| &mut bias.gradient);
        let Parameter { value, gradient } = &mut self.weight;
        Ok(self.spec.options().backward(&saved, value, &dy, gradient, dbias)?)
    }

    fn backward_first(&mut self, dy: Tensor) -> Result<(), NnError> {
        let saved = take(&mut self.saved, KIND)?;
        let dbias = self.bias.as_mut().map(|bias| &mut bias.gradient);
        let Parameter { value, gradient } = &mut self.weight;
        Ok(self.spec.options().backward_parameters(&saved, value, &dy, gradient, dbias)?)
    }

    fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
        f(path.join("weight"), &self.weight);
        self.bias.iter().for_each(|bias| f(path.join("bias"), bias));
    }

    fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
        f(path.join("weight"), &mut self.weight);
        self.bias.iter_mut().for_each(|bias| f(path.join("bias"), bias));
    }

    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self {
            spec: self.spec.clone(),
            weight: self.weight.replicate(),
            bias: self.bias.as_ref().map(Parameter::replicate),
            saved: None,
        })
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(self.spec.clone().into())
    }

    fn macs(&self, x: Shape) -> u64 {
        self.spec.options().macs(x, self.weight.shape()).unwrap_or(0)
    }
}
