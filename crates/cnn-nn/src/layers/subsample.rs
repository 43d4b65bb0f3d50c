use crate::spec::SubsampleSpec;
use crate::{At, Grads, Init, NnError, Parameters, Request, Role, Unary};
use cnn_ops::OpError;
use cnn_ops::subsample::Saved;
use cnn_tensor::{Shape, Tensor};

/// LeNet-5's trainable subsampling, with a coefficient `weight [c]` and a `bias [c]`; see [`cnn_ops::subsample`].
#[derive(Debug)]
pub struct Subsample {
    spec: SubsampleSpec,
    weight: Tensor,
    bias: Tensor,
}

const KIND: &str = "subsample";

impl Subsample {
    /// Builds the layer for inputs of shape `x`.
    ///
    /// # Errors
    /// The layer cannot take that shape, or the source lacks a parameter.
    pub fn build(spec: &SubsampleSpec, x: Shape, parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
        spec.options().output_shape(x)?;
        let [_, c, ..] = *x.dims() else { return Err(rank(x)) };
        let window = spec.kernel[0].saturating_mul(spec.kernel[1]);
        let mut parameter = |name, init| {
            let request = Request { shape: [c].into(), init, fan_in: window, fan_out: 1 };
            parameters.request(name, request)
        };
        let average = Init::Constant(1.0 / window as f32);
        let weight = parameter("weight", spec.init.unwrap_or(average))?;
        let bias = parameter("bias", Init::Zeros)?;
        Ok(Self { spec: spec.clone(), weight, bias })
    }
}

fn rank(x: Shape) -> NnError {
    OpError::Rank { op: KIND, what: "x", expected: "[n, c, h, w]", got: x }.into()
}

impl Unary for Subsample {
    type Saved = Saved;

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

    fn infer(&self, x: Tensor) -> Result<Tensor, NnError> {
        Ok(self.spec.options().infer(&x, &self.weight, &self.bias)?)
    }

    fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Saved), NnError> {
        Ok(self.spec.options().forward(&x, &self.weight, &self.bias)?)
    }

    fn backward(&self, saved: Saved, dy: Tensor, grads: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        let [dweight, dbias] = grads.all() else { unreachable!("a weight and a bias") };
        Ok(Some(self.spec.options().backward(&saved, &self.weight, &dy, dweight, dbias)?))
    }

    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        f("weight", Role::Parameter, &self.weight);
        f("bias", Role::Parameter, &self.bias);
    }

    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        f("weight", Role::Parameter, &mut self.weight);
        f("bias", Role::Parameter, &mut self.bias);
    }
}
