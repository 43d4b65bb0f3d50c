//! Optimizers: how a step changes the weights by their gradients.
//!
//! Each method has a file with its options; `method` defines their interface. `stepper` does the rest, with `group` (parameters
//! that train differently), `gradient` (penalty and clipping) and `memory` (the state). The arithmetic is in
//! [`cnn_ops::update`].

mod adagrad;
mod adam;
mod adamw;
mod check;
mod gradient;
mod group;
mod lion;
mod memory;
mod method;
mod optimizer;
mod rmsprop;
mod sgd;
mod spec;
mod stepper;
mod steps;
mod trainable;

pub use adagrad::Adagrad;
pub use adam::Adam;
pub use adamw::AdamW;
pub use gradient::{Clip, Penalty};
pub use group::ParameterGroup;
pub(crate) use group::assign;
pub use lion::Lion;
pub use optimizer::{Optimizer, StepOptions, Stepped};
pub use rmsprop::RmsProp;
pub use sgd::Sgd;
pub use spec::OptimizerSpec;
pub(crate) use steps::{STEP, pack, unpack};
pub use trainable::Trainable;
