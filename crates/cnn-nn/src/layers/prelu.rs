use crate::spec::PreluSpec;
use crate::{At, Grads, Init, NnError, Parameters, Role, Unary};
use cnn_ops::{OpError, prelu};
use cnn_tensor::{Shape, Tensor};

/// The rectifier with a learned slope, `weight` of shape `[1]` or `[c]`; see [`cnn_ops::prelu`].
#[derive(Debug)]
pub struct Prelu {
    weight: Tensor,
}

const KIND: &str = "prelu";

impl Prelu {
    /// Builds the layer for inputs of shape `x`.
    ///
    /// # Errors
    /// `x` has no channels, or the source lacks the parameter.
    pub fn build(spec: PreluSpec, x: Shape, parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
        let [_, channels, ..] = *x.dims() else {
            return Err(OpError::Rank { op: KIND, what: "x", expected: "[n, c, ...]", got: x }.into());
        };
        let slopes = if spec.per_channel { channels } else { 1 };
        Ok(Self { weight: parameters.get("weight", [slopes], Init::Constant(spec.init))? })
    }
}

impl Unary for Prelu {
    /// The input.
    type Saved = Tensor;

    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(prelu::output_shape(x, self.weight.shape())?)
    }

    fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Tensor), NnError> {
        Ok((prelu::forward(&x, &self.weight)?, x))
    }

    fn backward(&self, x: Tensor, dy: Tensor, grads: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        if grads.wants(0) {
            return Ok(Some(prelu::backward(&x, &self.weight, &dy, grads.of(0))?));
        }
        prelu::backward_parameters(&x, &dy, grads.of(0))?;
        Ok(None)
    }

    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        f("weight", Role::Parameter, &self.weight);
    }

    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        f("weight", Role::Parameter, &mut self.weight);
    }
}
