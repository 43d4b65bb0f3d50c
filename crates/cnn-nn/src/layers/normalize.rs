//! Normalisations of each image on its own.

use super::Operation;
use super::affine::{Affine, gradients};
use crate::spec::{GroupNormSpec, LayerNormSpec};
use crate::{At, Grads, NnError, Parameters, Role, Unary};
use cnn_ops::{OpError, group_norm, layer_norm, local_response_norm};
use cnn_tensor::{Shape, Tensor};

/// Layer normalisation; see [`cnn_ops::layer_norm`].
#[derive(Debug)]
pub struct LayerNorm {
    spec: LayerNormSpec,
    affine: Affine,
}

/// Group normalisation; see [`cnn_ops::group_norm`].
#[derive(Debug)]
pub struct GroupNorm {
    spec: GroupNormSpec,
    affine: Affine,
}

/// Defines a layer whose operation has parameters of shape `parameter_shape(x)`: the only difference between the two above.
macro_rules! normalization {
    ($layer:ident, $spec:ident, $saved:ty, $kind:literal) => {
        impl $layer {
            /// Builds the layer for inputs of shape `x`.
            ///
            /// # Errors
            /// `x` has another rank, an option is out of its range, or the source lacks a parameter.
            pub fn build(spec: $spec, x: Shape, parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
                let shape = spec.options().parameter_shape(x)?;
                Ok(Self { spec, affine: Affine::build(spec.affine, shape, parameters)? })
            }
        }

        impl Unary for $layer {
            type Saved = $saved;

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

            fn infer(&self, x: Tensor) -> Result<Tensor, NnError> {
                self.output_shape(x.shape())?;
                let (weight, bias) = self.affine.values();
                Ok(self.spec.options().infer(&x, weight, bias)?)
            }

            fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Self::Saved), NnError> {
                self.output_shape(x.shape())?;
                let (weight, bias) = self.affine.values();
                Ok(self.spec.options().forward(&x, weight, bias)?)
            }

            fn backward(
                &self,
                saved: Self::Saved,
                dy: Tensor,
                grads: &mut Grads<'_>,
            ) -> Result<Option<Tensor>, NnError> {
                let wanted = grads.wants(0);
                let (dweight, dbias) = gradients(grads);
                if wanted {
                    let weight = self.affine.values().0;
                    return Ok(Some(self.spec.options().backward(&saved, weight, &dy, dweight, dbias)?));
                }
                self.spec.options().backward_parameters(&saved, &dy, dweight, dbias)?;
                Ok(None)
            }

            fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
                self.affine.visit(f);
            }

            fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
                self.affine.visit_mut(f);
            }
        }
    };
}

normalization!(LayerNorm, LayerNormSpec, layer_norm::Saved, "layer_norm");
normalization!(GroupNorm, GroupNormSpec, group_norm::Saved, "group_norm");

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kept;
    use crate::layers::testing::layer;
    use crate::spec::{LayerSpec, batch_norm1d, batch_norm2d, group_norm, layer_norm};

    #[test]
    fn shapes_other_than_the_ones_built_for_are_errors() {
        let fault = |spec: LayerSpec, built: Shape, x: Shape| {
            let layer = layer(spec, built);
            let fault = layer.output_shapes(&[x]).unwrap_err().to_string();
            let x = || Tensor::zeros(x).into();
            assert_eq!(layer.infer(x()).unwrap_err().to_string(), fault);
            let forward = layer.forward(x(), At::default(), &mut Kept::default());
            assert_eq!(forward.unwrap_err().to_string(), fault);
            fault
        };
        assert_eq!(
            fault(batch_norm2d().into(), [2, 3, 1, 2].into(), [2, 3].into()),
            "batch_norm2d: x expects [n, c, h, w], got shape [2, 3]"
        );
        assert_eq!(
            fault(batch_norm1d().into(), [2, 3].into(), [2, 3, 1, 2].into()),
            "batch_norm1d: x expects [n, c] or [n, c, l], got shape [2, 3, 1, 2]"
        );
        assert_eq!(
            fault(batch_norm1d().into(), [2, 3].into(), [2, 4, 5].into()),
            "batch_norm1d: x expects 3 channels, got 4"
        );
        assert_eq!(
            fault(layer_norm().into(), [2, 3].into(), [2, 4].into()),
            "layer_norm: what is normalised of x expects shape [3], got [4]"
        );
        assert_eq!(
            fault(group_norm(1).into(), [2, 3].into(), [2, 4].into()),
            "group_norm: what is normalised of x expects shape [3], got [4]"
        );
    }
}
