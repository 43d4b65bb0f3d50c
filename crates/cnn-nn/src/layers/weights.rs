use crate::{Grads, Init, NnError, Parameters, Request, Role};
use cnn_tensor::Tensor;

/// A weight and an optional bias: the parameters of a layer that computes weighted sums.
#[derive(Debug)]
pub(super) struct Weights {
    pub weight: Tensor,
    pub bias: Option<Tensor>,
}

impl Weights {
    /// Requests the parameters. `bias` has the number of outputs and the initialisation of the bias, if there is one.
    pub fn build(
        weight: Request,
        bias: Option<(usize, Init)>,
        parameters: &mut Parameters<'_>,
    ) -> Result<Self, NnError> {
        let value = parameters.request("weight", weight)?;
        let bias = match bias {
            Some((outputs, init)) => {
                Some(parameters.request("bias", Request { shape: [outputs].into(), init, ..weight })?)
            }
            None => None,
        };
        Ok(Self { weight: value, bias })
    }

    /// The values of weight and bias.
    pub fn values(&self) -> (&Tensor, Option<&Tensor>) {
        (&self.weight, self.bias.as_ref())
    }

    pub fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        f("weight", Role::Parameter, &self.weight);
        self.bias.iter().for_each(|bias| f("bias", Role::Parameter, bias));
    }

    pub fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        f("weight", Role::Parameter, &mut self.weight);
        self.bias.iter_mut().for_each(|bias| f("bias", Role::Parameter, bias));
    }
}

/// The gradients of a weight and of an optional bias.
pub(super) fn gradients<'a>(grads: &'a mut Grads<'_>) -> (&'a mut Tensor, Option<&'a mut Tensor>) {
    let (weight, rest) = grads.all().split_first_mut().expect("a layer with a weight");
    (weight, rest.first_mut())
}
