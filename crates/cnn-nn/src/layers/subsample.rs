use super::take;
use crate::spec::SubsampleSpec;
use crate::{Init, Layer, LayerSpec, NnError, Parameter, ParameterSource, Path, Request};
use cnn_ops::OpError;
use cnn_ops::subsample::Saved;
use cnn_tensor::{Shape, Tensor};

/// LeNet-5's trainable subsampling, with a coefficient `weight [c]` and a `bias [c]`; see [`cnn_ops::subsample`].
#[derive(Debug)]
pub struct Subsample {
    spec: SubsampleSpec,
    weight: Parameter,
    bias: Parameter,
    saved: Option<Saved>,
}

const KIND: &str = "subsample";

impl Subsample {
    /// The layer for inputs of shape `x`.
    ///
    /// # Errors
    /// It cannot take that shape, or the source lacks a parameter.
    pub fn build(
        spec: &SubsampleSpec,
        x: Shape,
        path: Path<'_>,
        source: &mut dyn ParameterSource,
    ) -> Result<Self, NnError> {
        spec.options().output_shape(x)?;
        let [_, c, ..] = *x.dims() else { return Err(rank(x)) };
        let window = spec.kernel[0].saturating_mul(spec.kernel[1]);
        let mut parameter = |name, init| {
            let request = Request { shape: [c].into(), init, fan_in: window, fan_out: 1 };
            Ok::<_, NnError>(Parameter::new(source.parameter(path.join(name), request)?))
        };
        let average = Init::Constant(1.0 / window as f32);
        let weight = parameter("weight", spec.init.unwrap_or(average))?;
        let bias = parameter("bias", Init::Zeros)?;
        Ok(Self { spec: spec.clone(), weight, bias, saved: None })
    }
}

fn rank(x: Shape) -> NnError {
    OpError::Rank { op: KIND, what: "x", expected: "[n, c, h, w]", got: x }.into()
}

impl Layer for Subsample {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        let [_, got, _, _] = x.nchw().ok_or_else(|| rank(x))?;
        let expected = self.weight.shape().batch();
        if got != expected {
            return Err(OpError::Extent { op: KIND, what: "x", unit: "channels", expected, got }.into());
        }
        Ok(self.spec.options().output_shape(x)?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        Ok(self.spec.options().infer(x, &self.weight.value, &self.bias.value)?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let (y, saved) = self.spec.options().forward(&x, &self.weight.value, &self.bias.value)?;
        self.saved = Some(saved);
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let saved = take(&mut self.saved, KIND)?;
        let Parameter { value, gradient, .. } = &mut self.weight;
        Ok(self.spec.options().backward(&saved, value, &dy, gradient, &mut self.bias.gradient)?)
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
        Box::new(Self { spec: self.spec.clone(), weight, bias, saved: None })
    }

    fn spec(&self) -> Option<LayerSpec> {
        Some(self.spec.clone().into())
    }
}
