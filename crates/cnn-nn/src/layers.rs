//! The layers: operations of `cnn-ops` with the parameters and the memory that training needs.

mod activate;
mod affine;
mod batch_norm;
mod concat;
mod convolution;
mod dropout;
mod flatten;
mod linear;
mod max_pool_unpool2d;
mod normalize;
mod operation;
mod pool2d;
mod prelu;
mod rbf;
mod residual;
mod shape;
mod softmax;
mod subsample;
mod weights;

pub use activate::Activate;
pub use batch_norm::{Axes, BatchNorm};
pub use concat::Concat;
pub use convolution::{Conv2d, Conv2dTable, ConvTranspose2d};
pub use dropout::Dropout;
pub use flatten::{Flatten, RowsOfFeatures};
pub use linear::Linear;
pub use max_pool_unpool2d::MaxPoolUnpool2d;
pub use normalize::{GroupNorm, LayerNorm, LocalResponseNorm};
pub use operation::{Operation, Stateless};
pub use pool2d::{
    AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d,
};
pub use prelu::Prelu;
pub use rbf::Rbf;
pub use residual::Residual;
pub use shape::{Crop2d, Pad2d, Reshape, Upsample2d};
pub use softmax::{Probabilities, Softmax};
pub use subsample::Subsample;

use crate::NnError;

/// What the last forward pass of the layer `layer` kept; it can be taken once.
fn take<T>(saved: &mut Option<T>, layer: &'static str) -> Result<T, NnError> {
    saved.take().ok_or(NnError::Order { layer })
}

#[cfg(test)]
mod tests;
