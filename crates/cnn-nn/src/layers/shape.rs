//! Layers that move numbers: reshaping, padding, cropping, resampling.

use super::{Operation, Stateless};
use crate::{LayerSpec, NnError};
use cnn_ops::OpError;
use cnn_ops::pad2d::PadMode;
use cnn_tensor::{Shape, Tensor};

/// Another shape for each image; see [`cnn_ops::reshape`].
pub type Reshape = Stateless<cnn_ops::Reshape>;

/// Rows and columns added; see [`cnn_ops::pad2d`].
pub type Pad2d = Stateless<cnn_ops::Pad2d>;

/// Rows and columns removed; see [`cnn_ops::crop2d`].
pub type Crop2d = Stateless<cnn_ops::Crop2d>;

/// Another height and width; see [`cnn_ops::upsample2d`].
pub type Upsample2d = Stateless<cnn_ops::Upsample2d>;

impl Pad2d {
    /// The layer described.
    ///
    /// # Errors
    /// The constant is NaN or infinite, which JSON could not hold.
    pub fn build(options: cnn_ops::Pad2d) -> Result<Self, NnError> {
        match options.mode {
            PadMode::Constant(value) if !value.is_finite() => Err(NnError::Setting {
                what: "the constant of pad2d",
                rule: "finite",
                got: value.to_string(),
            }),
            _ => Ok(Self::new(options)),
        }
    }
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

    fn spec(&self) -> LayerSpec {
        LayerSpec::Reshape(self.clone())
    }
}

/// The layer of an operation on planes whose backward pass needs the shape of its input and nothing else.
macro_rules! on_planes {
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

            fn spec(&self) -> LayerSpec {
                LayerSpec::$operation(*self)
            }
        }
    };
}
on_planes!(Pad2d, "pad2d");
on_planes!(Crop2d, "crop2d");
on_planes!(Upsample2d, "upsample2d");
