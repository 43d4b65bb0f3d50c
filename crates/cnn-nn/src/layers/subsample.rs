use super::take;
use crate::{Init, Layer, LayerSpec, NnError, Parameter, ParameterSource, Path, Request};
use cnn_ops::OpError;
use cnn_ops::subsample::Saved;
use cnn_tensor::{Shape, Tensor};

/// LeCun's trainable subsampling, with weight `[c]`, the coefficients, and bias `[c]`; see [`cnn_ops::subsample`].
///
/// It begins as average pooling: the coefficients as `1 / (kh * kw)`, the biases as zeros. The paper draws the weights of
/// a unit uniformly in `±2.4 / fan_in`; with one coefficient for a whole channel that would now and then silence the
/// channel, or negate it.
///
/// Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to Document Recognition",
/// Proceedings of the IEEE 86 (1998), section II.B.
#[derive(Debug)]
pub struct Subsample {
    options: cnn_ops::Subsample,
    weight: Parameter,
    bias: Parameter,
    saved: Option<Saved>,
}

const KIND: &str = "subsample";

impl Subsample {
    /// The layer for inputs of shape `x`.
    ///
    /// # Errors
    /// The operation cannot take `x`, or the source lacks a parameter.
    pub fn build(
        options: cnn_ops::Subsample,
        x: Shape,
        path: Path<'_>,
        source: &mut dyn ParameterSource,
    ) -> Result<Self, NnError> {
        let y = options.output_shape(x)?;
        let expected = "[n, c, h, w]";
        let [_, c, ..] = y.nchw().ok_or(OpError::Rank { op: KIND, what: "x", expected, got: x })?;
        let [kh, kw] = options.kernel;
        let mut parameter = |name: &str, init: Init| {
            let request = Request { shape: [c].into(), init, fan_in: kh.saturating_mul(kw), fan_out: 1 };
            source.parameter(path.join(name), request).map(Parameter::new)
        };
        let weight = parameter("weight", Init::Constant(1.0 / (kh as f32 * kw as f32)))?;
        let bias = parameter("bias", Init::Zeros)?;
        Ok(Self { options, weight, bias, saved: None })
    }
}

impl Layer for Subsample {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        let y = self.options.output_shape(x)?;
        let (expected, got) = (self.bias.shape().numel(), y.nchw().map_or(0, |[_, c, ..]| c));
        if expected != got {
            return Err(OpError::Extent { op: KIND, what: "x", unit: "channels", expected, got }.into());
        }
        Ok(y)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        Ok(self.options.infer(x, &self.weight.value, &self.bias.value)?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let (y, saved) = self.options.forward(&x, &self.weight.value, &self.bias.value)?;
        self.saved = Some(saved);
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let saved = take(&mut self.saved, KIND)?;
        let (dweight, dbias) = (&mut self.weight.gradient, &mut self.bias.gradient);
        Ok(self.options.backward(&saved, &self.weight.value, &dy, dweight, dbias)?)
    }

    fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
        f(path.join("weight"), &self.weight);
        f(path.join("bias"), &self.bias);
    }

    fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
        f(path.join("weight"), &mut self.weight);
        f(path.join("bias"), &mut self.bias);
    }

    fn replicate(&self) -> Box<dyn Layer> {
        let (weight, bias) = (self.weight.replicate(), self.bias.replicate());
        Box::new(Self { options: self.options, weight, bias, saved: None })
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(LayerSpec::Subsample(self.options))
    }

    /// One for each output: the coefficient's.
    fn macs(&self, x: Shape) -> u64 {
        self.options.output_shape(x).map_or(0, |y| y.numel() as u64)
    }
}
