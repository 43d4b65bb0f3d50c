//! Pooling layers without parameters.

use super::Operation;
use cnn_ops::{OpError, adaptive_pool2d, max_pool2d};
use cnn_tensor::{Shape, Tensor};

/// The layer `global_avg_pool2d`: average pooling to 1 x 1.
pub(crate) struct GlobalAvgPool2d;

/// The layer `global_max_pool2d`: max pooling to 1 x 1.
pub(crate) struct GlobalMaxPool2d;

/// Defines the layer `$pool` of a mean, with the operation `$op`. Its backward pass reads the input's shape.
macro_rules! mean {
    ($layer:ty, $kind:literal, $pool:ident => $op:expr) => {
        impl Operation for $layer {
            /// The shape of the input.
            type Saved = Shape;

            fn kind(&self) -> &'static str {
                $kind
            }

            fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
                let $pool = self;
                $op.output_shape(x)
            }

            fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
                let $pool = self;
                $op.forward(&x)
            }

            fn forward(&self, x: Tensor) -> Result<(Tensor, Shape), OpError> {
                let $pool = self;
                Ok(($op.forward(&x)?, x.shape()))
            }

            fn backward(&self, x: Shape, dy: Tensor) -> Result<Tensor, OpError> {
                let $pool = self;
                $op.backward(x, &dy)
            }
        }
    };
}

/// The same for a maximum. Its backward pass reads the winning elements.
macro_rules! maximum {
    ($layer:ty, $kind:literal, $saved:ty, $pool:ident => $op:expr) => {
        impl Operation for $layer {
            type Saved = $saved;

            fn kind(&self) -> &'static str {
                $kind
            }

            fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
                let $pool = self;
                $op.output_shape(x)
            }

            fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
                let $pool = self;
                $op.infer(&x)
            }

            fn forward(&self, x: Tensor) -> Result<(Tensor, Self::Saved), OpError> {
                let $pool = self;
                $op.forward(&x)
            }

            fn backward(&self, saved: Self::Saved, dy: Tensor) -> Result<Tensor, OpError> {
                let $pool = self;
                $op.backward(&saved, &dy)
            }
        }
    };
}

mean!(cnn_ops::AvgPool2d, "avg_pool2d", pool => pool);
mean!(cnn_ops::AdaptiveAvgPool2d, "adaptive_avg_pool2d", pool => pool);
mean!(GlobalAvgPool2d, "global_avg_pool2d", _pool => cnn_ops::AdaptiveAvgPool2d::GLOBAL);

maximum!(cnn_ops::MaxPool2d, "max_pool2d", max_pool2d::Saved, pool => pool);
maximum!(
    cnn_ops::AdaptiveMaxPool2d,
    "adaptive_max_pool2d",
    adaptive_pool2d::Saved,
    pool => pool
);
maximum!(
    GlobalMaxPool2d,
    "global_max_pool2d",
    adaptive_pool2d::Saved,
    _pool => cnn_ops::AdaptiveMaxPool2d::GLOBAL
);
