use super::weights::{Weights, gradients};
use crate::spec::LinearSpec;
use crate::{At, Grads, NnError, Parameters, Request, Role, Unary};
use cnn_ops::{OpError, linear};
use cnn_tensor::{Shape, Tensor};

/// Fully connected layer with weight `[out, in]` and bias `[out]`; see [`cnn_ops::linear`].
#[derive(Debug)]
pub struct Linear {
    weights: Weights,
}

const KIND: &str = "linear";

impl Linear {
    /// Builds the layer for inputs of shape `x`.
    ///
    /// # Errors
    /// `x` is not `[n, features]`, or the source lacks a parameter.
    pub fn build(spec: &LinearSpec, x: Shape, parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
        let expected = "[n, features] (a flatten layer makes it so)";
        let [_, fan_in] = x.matrix().ok_or(OpError::Rank { op: KIND, what: "x", expected, got: x })?;
        let fan_out = spec.out_features;
        let request = Request { shape: [fan_out, fan_in].into(), init: spec.init, fan_in, fan_out };
        let bias = spec.bias.then_some((fan_out, spec.bias_init));
        let weights = Weights::build(request, bias, parameters)?;
        Ok(Self { weights })
    }
}

impl Unary for Linear {
    /// The input.
    type Saved = Tensor;

    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(linear::output_shape(x, self.weights.weight.shape())?)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, NnError> {
        let (weight, bias) = self.weights.values();
        Ok(linear::forward(&x, weight, bias)?)
    }

    fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Tensor), NnError> {
        let (weight, bias) = self.weights.values();
        Ok((linear::forward(&x, weight, bias)?, x))
    }

    fn backward(&self, x: Tensor, dy: Tensor, grads: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        let wanted = grads.wants(0);
        let (dweight, dbias) = gradients(grads);
        if wanted {
            return Ok(Some(linear::backward(&x, &self.weights.weight, &dy, dweight, dbias)?));
        }
        linear::backward_parameters(&x, &dy, dweight, dbias)?;
        Ok(None)
    }

    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        self.weights.visit(f);
    }

    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        self.weights.visit_mut(f);
    }

    fn macs(&self, x: Shape) -> u64 {
        x.batch().saturating_mul(self.weights.weight.shape().numel()) as u64
    }
}
