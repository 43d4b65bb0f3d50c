//! Axes reduced to one number; see [`cnn_ops::reduce`].

use super::Operation;
use crate::NnError;
use crate::spec::NormSpec;
use cnn_ops::reduce::{Over, Saved, Statistic};
use cnn_ops::{OpError, Reduce};
use cnn_tensor::{Shape, Tensor};

/// The described reduction.
pub(super) fn reduce(to: Statistic, over: &Over) -> Reduce {
    Reduce { to, over: over.clone() }
}

/// The described norm.
///
/// # Errors
/// `p` is neither 1 nor 2.
pub(super) fn norm(spec: &NormSpec) -> Result<Reduce, NnError> {
    let fault = || NnError::Setting { what: "p of a norm", rule: "1 or 2", got: spec.p.to_string() };
    spec.options().ok_or_else(fault)
}

impl Operation for Reduce {
    type Saved = Saved;

    fn kind(&self) -> &'static str {
        self.name()
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        self.output_shape(x)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, OpError> {
        self.infer(&x)
    }

    fn forward(&self, x: Tensor) -> Result<(Tensor, Saved), OpError> {
        self.forward(&x)
    }

    fn backward(&self, saved: Saved, dy: Tensor) -> Result<Tensor, OpError> {
        self.backward(&saved, &dy)
    }
}
