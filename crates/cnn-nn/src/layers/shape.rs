//! Layers that move numbers: reshaping, padding, cropping, resampling, reordering of axes.

use super::Operation;
use crate::NnError;
use cnn_ops::OpError;
use cnn_ops::pad2d::PadMode;
use cnn_tensor::{Shape, Tensor};

/// The described padding, after checking that JSON can hold its constant.
pub(super) fn pad2d(options: cnn_ops::Pad2d) -> Result<cnn_ops::Pad2d, NnError> {
    match options.mode {
        PadMode::Constant(value) if !value.is_finite() => {
            Err(NnError::Setting { what: "the constant of pad2d", rule: "finite", got: value.to_string() })
        }
        _ => Ok(options),
    }
}

/// The permutation of the axes of `x` that swaps two of them.
pub(super) fn transpose([a, b]: [usize; 2], x: Shape) -> Result<cnn_ops::Permute, NnError> {
    let mut dims: Vec<usize> = (0..x.rank()).collect();
    if a >= dims.len() || b >= dims.len() || a == 0 || b == 0 {
        let (what, rule) = ("the axes of a transpose", "axes of its input after the first, the batch");
        return Err(NnError::Setting { what, rule, got: format!("{a} and {b} for shape {x}") });
    }
    dims.swap(a, b);
    Ok(cnn_ops::Permute::new(dims))
}

impl Operation for cnn_ops::Reshape {
    /// The shape of the input.
    type Saved = Shape;

    fn kind(&self) -> &'static str {
        "reshape"
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        self.output_shape(x)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
        self.forward(x)
    }

    fn forward(&self, x: Tensor) -> Result<(Tensor, Shape), OpError> {
        let shape = x.shape();
        Ok((self.forward(x)?, shape))
    }

    fn backward(&self, x: Shape, dy: Tensor) -> Result<Tensor, OpError> {
        self.backward(x, dy)
    }
}

/// Defines the layer of an operation whose backward pass reads only the shape of its input.
macro_rules! by_shape {
    ($operation:ident, $kind:literal) => {
        impl Operation for cnn_ops::$operation {
            /// The shape of the input.
            type Saved = Shape;

            fn kind(&self) -> &'static str {
                $kind
            }

            fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
                self.output_shape(x)
            }

            fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
                self.forward(&x)
            }

            fn forward(&self, x: Tensor) -> Result<(Tensor, Shape), OpError> {
                Ok((self.forward(&x)?, x.shape()))
            }

            fn backward(&self, x: Shape, dy: Tensor) -> Result<Tensor, OpError> {
                self.backward(x, &dy)
            }
        }
    };
}
by_shape!(Pad2d, "pad2d");
by_shape!(Crop2d, "crop2d");
by_shape!(Upsample2d, "upsample2d");
by_shape!(PixelShuffle, "pixel_shuffle");
by_shape!(PixelUnshuffle, "pixel_unshuffle");
by_shape!(Permute, "permute");
by_shape!(Slice, "slice");
