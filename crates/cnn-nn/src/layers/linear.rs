use super::take;
use super::weights::Weights;
use crate::spec::LinearSpec;
use crate::{Layer, LayerSpec, NnError, Parameter, ParameterSource, Path, Request};
use cnn_ops::{OpError, linear};
use cnn_tensor::{Shape, Tensor};

/// Fully connected layer with weight `[out, in]` and bias `[out]`; see [`cnn_ops::linear`].
#[derive(Debug)]
pub struct Linear {
    spec: LinearSpec,
    weights: Weights,
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
        let bias = spec.bias.then_some((fan_out, spec.bias_init));
        let weights = Weights::build(request, bias, path, source)?;
        Ok(Self { spec: spec.clone(), weights, x: None })
    }
}

impl Layer for Linear {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(linear::output_shape(x, self.weights.weight.shape())?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        let (weight, bias) = self.weights.values();
        Ok(linear::forward(x, weight, bias)?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let y = self.infer(&x)?;
        self.x = Some(x);
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let x = take(&mut self.x, KIND)?;
        let (weight, dweight, dbias) = self.weights.gradients();
        Ok(linear::backward(&x, weight, &dy, dweight, dbias)?)
    }

    fn backward_first(&mut self, dy: Tensor) -> Result<(), NnError> {
        let x = take(&mut self.x, KIND)?;
        let (_, dweight, dbias) = self.weights.gradients();
        Ok(linear::backward_parameters(&x, &dy, dweight, dbias)?)
    }

    fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
        self.weights.visit(path, f);
    }

    fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
        self.weights.visit_mut(path, f);
    }

    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self { spec: self.spec.clone(), weights: self.weights.replicate(), x: None })
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(self.spec.clone().into())
    }

    fn macs(&self, x: Shape) -> u64 {
        x.batch().saturating_mul(self.weights.weight.shape().numel()) as u64
    }
}
