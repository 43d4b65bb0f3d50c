use crate::{Grads, Init, NnError, Parameters, Role};
use cnn_tensor::{Shape, Tensor};

/// The weight and bias at the end of a normalisation, if it has them. They begin as ones and zeros.
#[derive(Debug)]
pub(super) struct Affine(Option<[Tensor; 2]>);

const NAMES: [&str; 2] = ["weight", "bias"];

impl Affine {
    /// Weight and bias of shape `shape`, if `wanted`.
    pub fn build(wanted: bool, shape: Shape, parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
        if !wanted {
            return Ok(Self(None));
        }
        let weight = parameters.get(NAMES[0], shape, Init::Constant(1.0))?;
        Ok(Self(Some([weight, parameters.get(NAMES[1], shape, Init::Zeros)?])))
    }

    /// The values of both.
    pub fn values(&self) -> (Option<&Tensor>, Option<&Tensor>) {
        match &self.0 {
            Some([weight, bias]) => (Some(weight), Some(bias)),
            None => (None, None),
        }
    }

    pub fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        let tensors = self.0.iter().flatten();
        NAMES.into_iter().zip(tensors).for_each(|(name, tensor)| f(name, Role::Parameter, tensor));
    }

    pub fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        let tensors = self.0.iter_mut().flatten();
        NAMES.into_iter().zip(tensors).for_each(|(name, tensor)| f(name, Role::Parameter, tensor));
    }
}

/// The gradients of weight and bias, if the layer has them.
pub(super) fn gradients<'a>(grads: &'a mut Grads<'_>) -> (Option<&'a mut Tensor>, Option<&'a mut Tensor>) {
    match grads.all() {
        [weight, bias, ..] => (Some(weight), Some(bias)),
        _ => (None, None),
    }
}
