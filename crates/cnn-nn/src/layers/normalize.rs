//! Normalisation of each image for itself.

use super::affine::Affine;
use super::{Operation, Stateless, take};
use crate::spec::{GroupNormSpec, LayerNormSpec};
use crate::{Layer, LayerSpec, NnError, Parameter, ParameterSource, Path};
use cnn_ops::{OpError, group_norm, layer_norm, local_response_norm};
use cnn_tensor::{Shape, Tensor};

/// Layer normalisation; see [`cnn_ops::layer_norm`].
#[derive(Debug)]
pub struct LayerNorm {
    spec: LayerNormSpec,
    affine: Affine,
    saved: Option<layer_norm::Saved>,
}

/// Group normalisation; see [`cnn_ops::group_norm`].
#[derive(Debug)]
pub struct GroupNorm {
    spec: GroupNormSpec,
    affine: Affine,
    saved: Option<group_norm::Saved>,
}

/// Local response normalisation; see [`cnn_ops::local_response_norm`].
pub type LocalResponseNorm = Stateless<cnn_ops::LocalResponseNorm>;

/// Writes a layer whose operation has parameters of shape `parameter_shape(x)`: the two above differ in nothing else.
macro_rules! normalization {
    ($layer:ident, $spec:ident, $kind:literal) => {
        impl $layer {
            /// The layer for inputs of shape `x`.
            ///
            /// # Errors
            /// `x` has another rank, an option is out of its range, or the source lacks a parameter.
            pub fn build(
                spec: $spec,
                x: Shape,
                path: Path<'_>,
                source: &mut dyn ParameterSource,
            ) -> Result<Self, NnError> {
                let shape = spec.options().parameter_shape(x)?;
                let affine = Affine::build(spec.affine, shape, path, source)?;
                Ok(Self { spec, affine, saved: None })
            }
        }

        impl Layer for $layer {
            fn kind(&self) -> &'static str {
                $kind
            }

            fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
                let got = self.spec.options().parameter_shape(x)?;
                match self.affine.values().0.map(Tensor::shape) {
                    Some(expected) if got != expected => {
                        let what = "what is normalised of x";
                        Err(OpError::Shape { op: $kind, what, expected, got }.into())
                    }
                    _ => Ok(x),
                }
            }

            fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
                self.output_shape(x.shape())?;
                let (weight, bias) = self.affine.values();
                Ok(self.spec.options().infer(x, weight, bias)?)
            }

            fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
                self.output_shape(x.shape())?;
                let (weight, bias) = self.affine.values();
                let (y, saved) = self.spec.options().forward(&x, weight, bias)?;
                self.saved = Some(saved);
                Ok(y)
            }

            fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
                let saved = take(&mut self.saved, $kind)?;
                let (weight, dweight, dbias) = self.affine.gradients();
                Ok(self.spec.options().backward(&saved, weight, &dy, dweight, dbias)?)
            }

            fn backward_first(&mut self, dy: Tensor) -> Result<(), NnError> {
                let saved = take(&mut self.saved, $kind)?;
                let (_, dweight, dbias) = self.affine.gradients();
                Ok(self.spec.options().backward_parameters(&saved, &dy, dweight, dbias)?)
            }

            fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
                self.affine.visit(path, f);
            }

            fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
                self.affine.visit_mut(path, f);
            }

            fn replicate(&self) -> Box<dyn Layer> {
                Box::new(Self { spec: self.spec, affine: self.affine.replicate(), saved: None })
            }

            fn spec(&self) -> Option<LayerSpec> {
                Some(LayerSpec::$layer(self.spec))
            }
        }
    };
}

normalization!(LayerNorm, LayerNormSpec, "layer_norm");
normalization!(GroupNorm, GroupNormSpec, "group_norm");

impl Operation for cnn_ops::LocalResponseNorm {
    type Saved = local_response_norm::Saved;

    fn kind(&self) -> &'static str {
        "local_response_norm"
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        self.output_shape(x)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
        self.infer(&x)
    }

    fn forward(&self, x: Tensor) -> Result<(Tensor, Self::Saved), OpError> {
        self.forward(&x)
    }

    fn backward(&self, saved: Self::Saved, dy: Tensor) -> Result<Tensor, OpError> {
        self.backward(&saved, &dy)
    }

    fn spec(&self) -> LayerSpec {
        LayerSpec::LocalResponseNorm(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fresh;
    use crate::spec::{batch_norm1d, batch_norm2d, group_norm, layer_norm};

    #[test]
    fn shapes_other_than_the_ones_built_for_are_errors() {
        let fault = |spec: LayerSpec, built: Shape, x: Shape| {
            let mut layer = spec.build(built, Path::ROOT, &mut Fresh { seed: 0 }).unwrap();
            let fault = layer.output_shape(x).unwrap_err().to_string();
            assert_eq!(layer.infer(&Tensor::zeros(x)).unwrap_err().to_string(), fault);
            assert_eq!(layer.forward(Tensor::zeros(x)).unwrap_err().to_string(), fault);
            fault
        };
        assert_eq!(
            fault(batch_norm2d(), [2, 3, 1, 2].into(), [2, 3].into()),
            "batch_norm2d: x expects [n, c, h, w], got shape [2, 3]"
        );
        assert_eq!(
            fault(batch_norm1d(), [2, 3].into(), [2, 3, 1, 2].into()),
            "batch_norm1d: x expects [n, c] or [n, c, l], got shape [2, 3, 1, 2]"
        );
        assert_eq!(
            fault(batch_norm1d(), [2, 3].into(), [2, 4, 5].into()),
            "batch_norm1d: x expects 3 channels, got 4"
        );
        assert_eq!(
            fault(layer_norm(), [2, 3].into(), [2, 4].into()),
            "layer_norm: what is normalised of x expects shape [3], got [4]"
        );
        assert_eq!(
            fault(group_norm(1), [2, 3].into(), [2, 4].into()),
            "group_norm: what is normalised of x expects shape [3], got [4]"
        );
    }
}
