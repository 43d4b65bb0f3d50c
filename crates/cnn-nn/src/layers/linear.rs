use super::take;
use crate::spec::LinearSpec;
use crate::{Layer, LayerSpec, NnError, Parameter, ParameterSource, Path, Request};
use cnn_ops::{OpError, linear};
use cnn_tensor::{Shape, Tensor};

/// Fully connected layer with weight `[out, in]` and bias `[out]`; see [`cnn_ops::linear`].
#[derive(Debug)]
pub struct Linear {
    spec: LinearSpec,
    weight: Parameter,
    bias: Option<Parameter>,
    x: Option<Tensor>,
}

const KIND: &str = "linear";

impl Linear {
    /// The layer for inputs of shape `x`.
    ///
    /// # Errors
    /// `x` is not `[n, features]`, or the source lacks a parameter.
    pub fn build(
        spec: &LinearSpec,
        x: Shape,
        path: Path<'_>,
        source: &mut dyn ParameterSource,
    ) -> Result<Self, NnError> {
        let expected = "[n, features] (a flatten layer makes it so)";
        let [_, fan_in] = x.matrix().ok_or(OpError::Rank { op: KIND, what: "x", expected, got: x })?;
        let fan_out = spec.out_features;
        let request = Request { shape: [fan_out, fan_in].into(), init: spec.init, fan_in, fan_out };
        let weight = Parameter::new(source.parameter(path.join("weight"), request)?);
        let bias = if spec.bias {
            let request = Request { shape: [fan_out].into(), init: spec.bias_init, ..request };
            Some(Parameter::new(source.parameter(path.join("bias"), request)?))
        } else {
            None
        };
        Ok(Self { spec: spec.clone(), weight, bias, x: None })
    }

    fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref().map(|bias| &bias.value)
    }
}

impl Layer for Linear {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(linear::output_shape(x, self.weight.shape())?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        Ok(linear::forward(x, &self.weight.value, self.bias())?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let y = self.infer(&x)?;
        self.x = Some(x);
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let x = take(&mut self.x, KIND)?;
        let dbias = self.bias.as_mut().map(|bias| &mut bias.gradient);
        let Parameter { value, gradient } = &mut self.weight;
        Ok(linear::backward(&x, value, &dy, gradient, dbias)?)
    }

    fn backward_first(&mut self, dy: Tensor) -> Result<(), NnError> {
        let x = take(&mut self.x, KIND)?;
        let dbias = self.bias.as_mut().map(|bias| &mut bias.gradient);
        let gradient = &mut self.weight.gradient;
        Ok(linear::backward_parameters(&x, &dy, gradient, dbias)?)
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
            x: None,
        })
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(self.spec.clone().into())
    }

    fn macs(&self, x: Shape) -> u64 {
        (x.batch() * self.weight.shape().numel()) as u64
    }
}
