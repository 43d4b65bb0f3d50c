use super::weights::{Weights, gradients};
use crate::spec::LinearSpec;
use crate::{At, Grads, NnError, Parameters, Request, Role, Unary};
use cnn_ops::{OpError, linear};
use cnn_tensor::{Shape, Tensor};

/// Fully connected layer with weight `[out, in]` and bias `[out]`; see [`cnn_ops::linear`]. Steps of sequences are rows like
/// those of a batch.
#[derive(Debug)]
pub struct Linear {
    weights: Weights,
    steps: bool,
}

const KIND: &str = "linear";

impl Linear {
    /// Builds the layer for inputs of shape `x`.
    ///
    /// # Errors
    /// `x` is not `[n, features]`, or `[n, t, features]` where steps are mapped; or the source lacks a parameter.
    pub fn build(spec: &LinearSpec, x: Shape, parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
        let steps = spec.steps;
        let expected = if steps { "[n, t, features]" } else { "[n, features] (a flatten layer makes it so)" };
        let fan_in = match (steps, x.dims()) {
            (false, &[_, features]) | (true, &[_, _, features]) => features,
            _ => return Err(OpError::Rank { op: KIND, what: "x", expected, got: x }.into()),
        };
        let fan_out = spec.out_features;
        let request = Request { shape: [fan_out, fan_in].into(), init: spec.init, fan_in, fan_out };
        let bias = spec.bias.then_some((fan_out, spec.bias_init));
        let weights = Weights::build(request, bias, parameters)?;
        Ok(Self { weights, steps })
    }

    /// `[n, ...]`, the number of rows of the product and their length.
    fn rows(&self, x: Shape) -> Result<Shape, NnError> {
        match (self.steps, x.dims()) {
            (false, _) => Ok(x),
            (true, &[n, t, features]) => Ok(Shape::new(&[n.saturating_mul(t), features])?),
            (true, _) => {
                Err(OpError::Rank { op: KIND, what: "x", expected: "[n, t, features]", got: x }.into())
            }
        }
    }

    /// The shape of the outputs of `rows` rows, for an input of shape `x`.
    fn outputs(&self, x: Shape, rows: Shape) -> Result<Shape, NnError> {
        let y = linear::output_shape(rows, self.weights.weight.shape())?;
        match (self.steps, x.dims()) {
            (true, &[n, t, _]) => Ok(Shape::new(&[n, t, self.weights.weight.shape().batch()])?),
            _ => Ok(y),
        }
    }
}

impl Unary for Linear {
    /// The input.
    type Saved = Tensor;

    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        self.outputs(x, self.rows(x)?)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, NnError> {
        let (weight, bias) = self.weights.values();
        let (rows, y) = (self.rows(x.shape())?, self.output_shape(x.shape())?);
        Ok(linear::forward(&x.reshape(rows)?, weight, bias)?.reshape(y)?)
    }

    fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Tensor), NnError> {
        Ok((self.infer(x.clone())?, x))
    }

    fn backward(&self, x: Tensor, dy: Tensor, grads: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        let wanted = grads.wants(0);
        let (dweight, dbias) = gradients(grads);
        let (shape, rows) = (x.shape(), self.rows(x.shape())?);
        let (x, dy) = (x.reshape(rows)?, dy.reshape(linear::output_shape(rows, dweight.shape())?)?);
        if wanted {
            let dx = linear::backward(&x, &self.weights.weight, &dy, dweight, dbias)?;
            return Ok(Some(dx.reshape(shape)?));
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
        let rows = self.rows(x).map_or(0, |rows| rows.batch());
        rows.saturating_mul(self.weights.weight.shape().numel()) as u64
    }
}
