//! Optimizers: what a step makes of the gradients.
//!
//! Each method has a file with its options and its arithmetic on a vector of numbers; `stepper` does the rest.

mod adam;
mod sgd;
mod stepper;

pub use adam::Adam;
pub use sgd::Sgd;

use crate::{Layer, NnError};
use cnn_tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use stepper::Stepper;

/// Changes the parameters of a model by their gradients, step after step.
///
/// An optimizer belongs to one model, which it knows by the order in which parameters are visited.
pub trait Optimizer: Send + Sync {
    /// One step with learning rate `rate`: changes every parameter of the model by its gradient, and leaves the
    /// gradient as it is.
    ///
    /// # Errors
    /// `rate` is negative or not finite, or the model's parameters are not those of the steps before. The model is
    /// then unchanged.
    fn step(&mut self, model: &mut dyn Layer, rate: f32) -> Result<(), NnError>;

    /// Everything that a resumed run needs, by name: the number of steps taken (`step`) and, from the first step on,
    /// what is remembered of each parameter (`momentum.conv1.weight`).
    fn state(&self) -> Vec<(String, Tensor)>;

    /// Takes back what [`Optimizer::state`] gave, for a model of the same parameters.
    ///
    /// # Errors
    /// An entry is missing, surplus or of another shape, or `step` is no number of steps. The optimizer is then
    /// unchanged.
    fn restore(&mut self, state: BTreeMap<String, Tensor>, model: &dyn Layer) -> Result<(), NnError>;
}

/// A method and its options, as plain data.
///
/// In a description: `{"type": "sgd", "momentum": 0.9}`; options left out have PyTorch's defaults.
///
/// ```
/// use cnn_nn::{OptimizerSpec, Sgd};
/// let spec: OptimizerSpec = serde_json::from_str(r#"{"type": "sgd", "momentum": 0.9}"#)?;
/// assert_eq!(spec, OptimizerSpec::Sgd(Sgd { momentum: 0.9, ..Sgd::default() }));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OptimizerSpec {
    /// Stochastic gradient descent.
    Sgd(Sgd),
    /// Adaptive moment estimation.
    Adam(Adam),
}

impl Default for OptimizerSpec {
    /// Stochastic gradient descent without momentum.
    fn default() -> Self {
        Self::Sgd(Sgd::default())
    }
}

impl OptimizerSpec {
    /// That the options can be used.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        match self {
            Self::Sgd(sgd) => sgd.validate(),
            Self::Adam(adam) => adam.validate(),
        }
    }

    /// An optimizer that has not taken a step.
    ///
    /// # Errors
    /// Those of [`OptimizerSpec::validate`].
    pub fn build(&self) -> Result<Box<dyn Optimizer>, NnError> {
        self.validate()?;
        Ok(match *self {
            Self::Sgd(sgd) if sgd.momentum == 0.0 => Box::new(Stepper::<_, 0>::new(sgd)),
            Self::Sgd(sgd) => Box::new(Stepper::<_, 1>::new(sgd)),
            Self::Adam(adam) => Box::new(Stepper::<_, 2>::new(adam)),
        })
    }
}

/// `Ok` if `value` keeps `rule`.
fn require(holds: bool, what: &'static str, rule: &'static str, value: f64) -> Result<(), NnError> {
    if holds { Ok(()) } else { Err(NnError::Setting { what, rule, got: value.to_string() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_has_pytorchs_names_and_defaults() {
        let text = r#"{"type":"adam","betas":[0.9,0.999],"eps":1e-8,"weight_decay":0.0}"#;
        let adam = OptimizerSpec::Adam(Adam::default());
        assert_eq!(serde_json::to_string(&adam).unwrap(), text);
        assert_eq!(serde_json::from_str::<OptimizerSpec>(r#"{"type":"adam"}"#).unwrap(), adam);
        let sgd = serde_json::from_str::<OptimizerSpec>(r#"{"type":"sgd"}"#).unwrap();
        assert_eq!(sgd, OptimizerSpec::default());
        assert!(serde_json::from_str::<OptimizerSpec>(r#"{"type":"sgd","dampening":0.1}"#).is_err());
    }
}
