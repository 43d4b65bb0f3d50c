//! What every optimizer does.

use super::gradient::{Clip, Penalty};
use super::group::ParameterGroup;
use super::trainable::Trainable;
use crate::NnError;
use cnn_tensor::Tensor;
use std::collections::BTreeMap;

/// Changes the parameters of a model by their gradients, step after step.
///
/// An optimizer belongs to one model, which it knows by the order of its parameters.
pub trait Optimizer: Send + Sync {
    /// Makes room for what is remembered of this model's parameters, so that the first step need not.
    ///
    /// # Errors
    /// A group takes none of the parameters.
    fn prepare(&mut self, model: &dyn Trainable) -> Result<(), NnError> {
        let _ = model;
        Ok(())
    }

    /// One step with learning rate `rate`: changes every parameter of the model by its gradient, of which there is one for each
    /// in the same order. That of a frozen parameter may be empty.
    ///
    /// # Errors
    /// `rate` is negative or not finite; a gradient has another shape than its parameter; the model's parameters are not
    /// those of the steps before; before the first
    /// step, a group takes none of them; or the norm of the gradients is to be bounded and not finite. The model is
    /// then unchanged.
    fn step(
        &mut self,
        model: &mut dyn Trainable,
        gradients: &[Tensor],
        rate: f32,
    ) -> Result<Stepped, NnError>;

    /// Everything that a resumed run needs, by name: the number of steps taken (`step`) and, from the first step on,
    /// what is remembered of each parameter that is not frozen (`momentum.conv1.weight`).
    fn state(&self) -> Vec<(String, Tensor)>;

    /// Takes back what [`Optimizer::state`] gave, for a model of the same parameters.
    ///
    /// # Errors
    /// An entry is missing, surplus or of another shape, or `step` is no number of steps. The optimizer is then
    /// unchanged.
    fn restore(&mut self, state: BTreeMap<String, Tensor>, model: &dyn Trainable) -> Result<(), NnError>;
}

/// How a step treats parameters and gradients, whatever the method.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepOptions {
    /// Parameters that train differently; each belongs to the first group that takes it.
    pub groups: Vec<ParameterGroup>,
    /// Bounds on gradients.
    pub clip: Option<Clip>,
    /// A penalty on large weights.
    pub penalty: Penalty,
}

impl StepOptions {
    /// That the options can be used.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        self.groups.iter().try_for_each(ParameterGroup::validate)?;
        self.clip.map_or(Ok(()), |clip| clip.validate())?;
        self.penalty.validate()
    }
}

/// What a step found out on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stepped {
    /// The Euclidean norm of all gradients together before they were bounded, the penalty's included and those of frozen
    /// parameters left out; only where [`Clip::Norm`] bounds it.
    pub gradient_norm: Option<f64>,
    /// The penalty before the step; only if there is one.
    pub penalty: Option<f64>,
}
