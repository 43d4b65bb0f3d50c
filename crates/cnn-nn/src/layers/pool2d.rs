//! Pooling layers.

use super::{Operation, Stateless};
use crate::LayerSpec;
use cnn_ops::{OpError, adaptive_pool2d, max_pool2d};
use cnn_tensor::{Shape, Tensor};

/// Max pooling; see [`cnn_ops::max_pool2d`].
pub type MaxPool2d = Stateless<cnn_ops::MaxPool2d>;

/// Average pooling; see [`cnn_ops::avg_pool2d`].
pub type AvgPool2d = Stateless<cnn_ops::AvgPool2d>;

/// Average pooling to an output of given size; see [`cnn_ops::adaptive_pool2d`].
pub type AdaptiveAvgPool2d = Stateless<cnn_ops::AdaptiveAvgPool2d>;

/// Max pooling to an output of given size; see [`cnn_ops::adaptive_pool2d`].
pub type AdaptiveMaxPool2d = Stateless<cnn_ops::AdaptiveMaxPool2d>;

/// The mean of each plane, `[n, c, h, w]` to `[n, c, 1, 1]`: as a layer, `Stateless<GlobalAvgPool2d>`.
///
/// Source: M. Lin, Q. Chen and S. Yan, "Network In Network", ICLR 2014, section 3.2.
#[derive(Clone, Copy, Debug)]
pub struct GlobalAvgPool2d;

/// The maximum of each plane, `[n, c, h, w]` to `[n, c, 1, 1]`: as a layer, `Stateless<GlobalMaxPool2d>`.
#[derive(Clone, Copy, Debug)]
pub struct GlobalMaxPool2d;

/// The layer of a mean, whose backward pass needs the shape of its input: `$options` is the operation, of `$this`.
macro_rules! mean {
    ($layer:ty, $kind:literal, |$this:ident| $options:expr, $spec:expr) => {
        impl Operation for $layer {
            /// The shape of the input.
            type Saved = Shape;

            fn kind(&self) -> &'static str {
                $kind
            }

            fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
                let $this = self;
                $options.output_shape(x)
            }

            fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
                let $this = self;
                $options.forward(&x)
            }

            fn forward(&self, x: Tensor) -> Result<(Tensor, Shape), OpError> {
                let $this = self;
                Ok(($options.forward(&x)?, x.shape()))
            }

            fn backward(&self, x: Shape, dy: Tensor) -> Result<Tensor, OpError> {
                let $this = self;
                $options.backward(x, &dy)
            }

            fn spec(&self) -> LayerSpec {
                let $this = self;
                $spec
            }
        }
    };
}

/// The layer of a maximum, whose backward pass needs where it was: `$options` is the operation, of `$this`.
macro_rules! maximum {
    ($layer:ty, $saved:ty, $kind:literal, |$this:ident| $options:expr, $spec:expr) => {
        impl Operation for $layer {
            type Saved = $saved;

            fn kind(&self) -> &'static str {
                $kind
            }

            fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
                let $this = self;
                $options.output_shape(x)
            }

            fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
                let $this = self;
                $options.infer(&x)
            }

            fn forward(&self, x: Tensor) -> Result<(Tensor, Self::Saved), OpError> {
                let $this = self;
                $options.forward(&x)
            }

            fn backward(&self, saved: Self::Saved, dy: Tensor) -> Result<Tensor, OpError> {
                let $this = self;
                $options.backward(&saved, &dy)
            }

            fn spec(&self) -> LayerSpec {
                let $this = self;
                $spec
            }
        }
    };
}

maximum!(cnn_ops::MaxPool2d, max_pool2d::Saved, "max_pool2d", |op| op, LayerSpec::MaxPool2d(*op));
mean!(cnn_ops::AvgPool2d, "avg_pool2d", |op| op, LayerSpec::AvgPool2d(*op));
mean!(cnn_ops::AdaptiveAvgPool2d, "adaptive_avg_pool2d", |op| op, LayerSpec::AdaptiveAvgPool2d(*op));
maximum!(
    cnn_ops::AdaptiveMaxPool2d,
    adaptive_pool2d::Saved,
    "adaptive_max_pool2d",
    |op| op,
    LayerSpec::AdaptiveMaxPool2d(*op)
);
mean!(
    GlobalAvgPool2d,
    "global_avg_pool2d",
    |_op| cnn_ops::AdaptiveAvgPool2d::GLOBAL,
    LayerSpec::GlobalAvgPool2d
);
maximum!(
    GlobalMaxPool2d,
    adaptive_pool2d::Saved,
    "global_max_pool2d",
    |_op| cnn_ops::AdaptiveMaxPool2d::GLOBAL,
    LayerSpec::GlobalMaxPool2d
);
