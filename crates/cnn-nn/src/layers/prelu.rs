use super::take;
use crate::spec::PreluSpec;
use crate::{Init, Layer, LayerSpec, NnError, Parameter, ParameterSource, Path, Request};
use cnn_ops::{OpError, prelu};
use cnn_tensor::{Shape, Tensor};

/// The rectifier with a learnt slope, `weight` of shape `[1]` or `[c]`; see [`cnn_ops::prelu`].
#[derive(Debug)]
pub struct Prelu {
    spec: PreluSpec,
    weight: Parameter,
    x: Option<Tensor>,
}

const KIND: &str = "prelu";

impl Prelu {
    /// The layer for inputs of shape `x`.
    ///
    /// # Errors
    /// `x` has no channels, or the source lacks the parameter.
    pub fn build(
        spec: PreluSpec,
        x: Shape,
        path: Path<'_>,
        source: &mut dyn ParameterSource,
    ) -> Result<Self, NnError> {
        let [_, channels, ..] = *x.dims() else {
            return Err(OpError::Rank { op: KIND, what: "x", expected: "[n, c, ...]", got: x }.into());
        };
        let shape = [if spec.per_channel { channels } else { 1 }].into();
        let request = Request { shape, init: Init::Constant(spec.init), fan_in: 1, fan_out: 1 };
        let weight = Parameter::new(source.parameter(path.join("weight"), request)?);
        Ok(Self { spec, weight, x: None })
    }
}

impl Layer for Prelu {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(prelu::output_shape(x, self.weight.shape())?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        Ok(prelu::forward(x, &self.weight.value)?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let y = self.infer(&x)?;
        self.x = Some(x);
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let x = take(&mut self.x, KIND)?;
        let Parameter { value, gradient, .. } = &mut self.weight;
        Ok(prelu::backward(&x, value, &dy, gradient)?)
    }

    fn backward_first(&mut self, dy: Tensor) -> Result<(), NnError> {
        let x = take(&mut self.x, KIND)?;
        Ok(prelu::backward_parameters(&x, &dy, &mut self.weight.gradient)?)
    }

    fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
        f(path.join("weight"), &self.weight);
    }

    fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
        f(path.join("weight"), &mut self.weight);
    }

    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self { spec: self.spec, weight: self.weight.replicate(), x: None })
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(self.spec.into())
    }
}
