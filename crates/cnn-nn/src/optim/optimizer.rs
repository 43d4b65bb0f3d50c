//! The interface of all optimizers.

use super::gradient::{Clip, Penalty};
use super::group::ParameterGroup;
use super::trainable::Trainable;
use crate::NnError;
use cnn_tensor::Tensor;
use std::collections::BTreeMap;

/// An optimizer: changes the parameters of a model by their gradients, step by step.
///
/// It belongs to one model, which it identifies by the order of its parameters.
pub trait Optimizer: Send + Sync {
    /// Allocates the state for this model's parameters, so that the first step need not.
    ///
    /// # Errors
    /// A group takes none of the parameters.
    fn prepare(&mut self, model: &dyn Trainable) -> Result<(), NnError> {
        let _ = model;
        Ok(())
    }

    /// One step with learning rate `rate`: changes every parameter of the model by its gradient. `gradients` has one for each
    /// parameter, in the same order; that of a frozen parameter may be empty.
    ///
    /// # Errors
    /// `rate` is negative or not finite; a gradient has another shape than its parameter; the model's parameters are not
    /// those of earlier steps; in the first step, a group takes none of them; or the norm of the gradients is to be clipped
    /// and is not finite. The model is then unchanged.
    fn step(
        &mut self,
        model: &mut dyn Trainable,
        gradients: &[Tensor],
        rate: f32,
    ) -> Result<Stepped, NnError>;

    /// The state that a resumed run needs, by name: the number of steps taken (`step`) and, after the first step,
    /// the numbers kept for each parameter that is not frozen (`momentum.conv1.weight`).
    fn state(&self) -> Vec<(String, Tensor)>;

    /// Restores the state that [`Optimizer::state`] returned, for a model with the same parameters.
    ///
    /// # Errors
    /// An entry is missing, surplus or of another shape, or `step` is not a number of steps. The optimizer is then
    /// unchanged.
    fn restore(&mut self, state: BTreeMap<String, Tensor>, model: &dyn Trainable) -> Result<(), NnError>;
}

/// Options of a step that are independent of the method.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepOptions {
    /// Groups of parameters that train differently. A parameter belongs to the first group that takes it.
    pub groups: Vec<ParameterGroup>,
    /// Gradient clipping.
    pub clip: Option<Clip>,
    /// A penalty on large weights.
    pub penalty: Penalty,
}

impl StepOptions {
    /// Checks the options.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        self.groups.iter().try_for_each(ParameterGroup::validate)?;
        self.clip.map_or(Ok(()), |clip| clip.validate())?;
        self.penalty.validate()
    }
}

/// Measurements of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stepped {
    /// The Euclidean norm of all gradients together before clipping. Includes the penalty's gradients, but not those of frozen
    /// parameters. Only measured where [`Clip::Norm`] is set.
    pub gradient_norm: Option<f64>,
    /// The penalty before the step, if there is one.
    pub penalty: Option<f64>,
}
