use crate::{Init, NnError, Parameter, ParameterSource, Path, Request};
use cnn_tensor::Tensor;

/// A weight and the bias that may go with it: the parameters of a layer that sums products.
#[derive(Debug)]
pub(super) struct Weights {
    pub weight: Parameter,
    pub bias: Option<Parameter>,
}

impl Weights {
    /// Both from `source`; `bias` says for how many outputs and how a fresh one begins, if there is one.
    pub fn build(
        weight: Request,
        bias: Option<(usize, Init)>,
        path: Path<'_>,
        source: &mut dyn ParameterSource,
    ) -> Result<Self, NnError> {
        let value = source.parameter(path.join("weight"), weight)?;
        let bias = match bias {
            Some((outputs, init)) => {
                let request = Request { shape: [outputs].into(), init, ..weight };
                Some(Parameter::new(source.parameter(path.join("bias"), request)?))
            }
            None => None,
        };
        Ok(Self { weight: Parameter::new(value), bias })
    }

    /// The values of both.
    pub fn values(&self) -> (&Tensor, Option<&Tensor>) {
        (&self.weight.value, self.bias.as_ref().map(|bias| &bias.value))
    }

    /// The weight's value, and the gradients of both to add into.
    pub fn gradients(&mut self) -> (&Tensor, &mut Tensor, Option<&mut Tensor>) {
        let Parameter { value, gradient, .. } = &mut self.weight;
        (value, gradient, self.bias.as_mut().map(|bias| &mut bias.gradient))
    }

    pub fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
        f(path.join("weight"), &self.weight);
        self.bias.iter().for_each(|bias| f(path.join("bias"), bias));
    }

    pub fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
        f(path.join("weight"), &mut self.weight);
        self.bias.iter_mut().for_each(|bias| f(path.join("bias"), bias));
    }

    /// Both with the same values, shared, and gradients of their own.
    pub fn replicate(&self) -> Self {
        Self { weight: self.weight.replicate(), bias: self.bias.as_ref().map(Parameter::replicate) }
    }
}
