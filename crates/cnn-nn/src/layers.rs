//! The layers: operations of `cnn-ops` with the parameters and the memory that training needs.

mod activate;
mod conv2d;
mod flatten;
mod linear;
mod pool2d;
mod weights;

pub use activate::Activate;
pub use conv2d::Conv2d;
pub use flatten::Flatten;
pub use linear::Linear;
pub use pool2d::{AvgPool2d, MaxPool2d};

use crate::NnError;

/// What the last forward pass of the layer `layer` kept; it can be taken once.
fn take<T>(saved: &mut Option<T>, layer: &'static str) -> Result<T, NnError> {
    saved.take().ok_or(NnError::Order { layer })
}

#[cfg(test)]
mod tests;
