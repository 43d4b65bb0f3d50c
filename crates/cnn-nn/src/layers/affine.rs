use crate::{Init, NnError, Parameter, ParameterSource, Path, Request};
use cnn_tensor::{Shape, Tensor};

/// The weight and bias by which a normalisation ends, or neither; they begin as ones and zeros.
#[derive(Debug)]
pub(super) struct Affine(Option<[Parameter; 2]>);

const NAMES: [&str; 2] = ["weight", "bias"];

/// What a backward pass reads and adds into: the weight, its gradient and that of the bias.
type Gradients<'a> = (Option<&'a Tensor>, Option<&'a mut Tensor>, Option<&'a mut Tensor>);

impl Affine {
    /// Both of shape `shape`, if `wanted`.
    pub fn build(
        wanted: bool,
        shape: Shape,
        path: Path<'_>,
        source: &mut dyn ParameterSource,
    ) -> Result<Self, NnError> {
        if !wanted {
            return Ok(Self(None));
        }
        let mut parameter = |name: &str, init: Init| {
            let request = Request { shape, init, fan_in: 1, fan_out: 1 };
            source.parameter(path.join(name), request).map(Parameter::new)
        };
        Ok(Self(Some([parameter(NAMES[0], Init::Constant(1.0))?, parameter(NAMES[1], Init::Zeros)?])))
    }

    /// The values of both.
    pub fn values(&self) -> (Option<&Tensor>, Option<&Tensor>) {
        match &self.0 {
            Some([weight, bias]) => (Some(&weight.value), Some(&bias.value)),
            None => (None, None),
        }
    }

    /// The weight's value, and the gradients of both to add into.
    pub fn gradients(&mut self) -> Gradients<'_> {
        match &mut self.0 {
            Some([weight, bias]) => {
                (Some(&weight.value), Some(&mut weight.gradient), Some(&mut bias.gradient))
            }
            None => (None, None, None),
        }
    }

    pub fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
        let parameters = self.0.iter().flatten();
        NAMES.into_iter().zip(parameters).for_each(|(name, parameter)| f(path.join(name), parameter));
    }

    pub fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
        let parameters = self.0.iter_mut().flatten();
        NAMES.into_iter().zip(parameters).for_each(|(name, parameter)| f(path.join(name), parameter));
    }

    /// Both with the same values, shared, and gradients of their own.
    pub fn replicate(&self) -> Self {
        Self(self.0.as_ref().map(|parameters| parameters.each_ref().map(Parameter::replicate)))
    }
}
