//! Optimizers: what a step makes of the gradients.
//!
//! Each method has a file with its options and its arithmetic on a vector of numbers; `stepper` does the rest, with
//! `group` (which parameters train how), `gradient` (penalty and bounds) and `memory` (the pass over the numbers).

mod adagrad;
mod adam;
mod adamw;
mod decoupled;
mod gradient;
mod group;
mod lion;
mod memory;
mod rmsprop;
mod sgd;
mod stepper;

pub use adagrad::Adagrad;
pub use adam::Adam;
pub use adamw::AdamW;
pub use gradient::{Clip, Penalty};
pub use group::ParameterGroup;
pub(crate) use group::freeze;
pub use lion::Lion;
pub use rmsprop::RmsProp;
pub use sgd::Sgd;
pub(crate) use stepper::{STEP, pack, unpack};

use crate::{Layer, NnError};
use cnn_tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use stepper::{Method, Stepper};

/// Changes the parameters of a model by their gradients, step after step.
///
/// An optimizer belongs to one model, which it knows by the order in which parameters are visited.
pub trait Optimizer: Send + Sync {
    /// Makes room for what is remembered of this model's parameters, so that the first step need not.
    ///
    /// # Errors
    /// A group takes none of the parameters.
    fn prepare(&mut self, model: &dyn Layer) -> Result<(), NnError> {
        let _ = model;
        Ok(())
    }

    /// One step with learning rate `rate`: changes every parameter of the model by its gradient, and leaves the
    /// gradient as it is.
    ///
    /// # Errors
    /// `rate` is negative or not finite; the model's parameters are not those of the steps before; before the first
    /// step, a group takes none of them; or the norm of the gradients is to be bounded and not finite. The model is
    /// then unchanged.
    fn step(&mut self, model: &mut dyn Layer, rate: f32) -> Result<Stepped, NnError>;

    /// Everything that a resumed run needs, by name: the number of steps taken (`step`) and, from the first step on,
    /// what is remembered of each parameter that is not frozen (`momentum.conv1.weight`).
    fn state(&self) -> Vec<(String, Tensor)>;

    /// Takes back what [`Optimizer::state`] gave, for a model of the same parameters.
    ///
    /// # Errors
    /// An entry is missing, surplus or of another shape, or `step` is no number of steps. The optimizer is then
    /// unchanged.
    fn restore(&mut self, state: BTreeMap<String, Tensor>, model: &dyn Layer) -> Result<(), NnError>;
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
    /// Adam with decoupled weight decay.
    #[serde(rename = "adamw")]
    AdamW(AdamW),
    /// Gradients over their running root mean square.
    #[serde(rename = "rmsprop")]
    RmsProp(RmsProp),
    /// Gradients over the root of the sum of all their squares.
    Adagrad(Adagrad),
    /// Evolved sign momentum.
    Lion(Lion),
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
            Self::AdamW(adamw) => adamw.validate(),
            Self::RmsProp(rmsprop) => rmsprop.validate(),
            Self::Adagrad(adagrad) => adagrad.validate(),
            Self::Lion(lion) => lion.validate(),
        }
    }

    /// An optimizer that has not taken a step.
    ///
    /// # Errors
    /// Those of [`OptimizerSpec::validate`].
    pub fn build(&self) -> Result<Box<dyn Optimizer>, NnError> {
        self.build_with(StepOptions::default())
    }

    /// An optimizer that has not taken a step, with groups of parameters, bounds on gradients or a penalty.
    ///
    /// ```
    /// use cnn_nn::{Clip, Layer, OptimizerSpec, ParameterGroup, Path, Sequential, StepOptions, spec::linear};
    /// let mut net = Sequential::build([linear(3).named("a"), linear(2).named("b")], [4], 0)?;
    /// net.visit_mut(Path::ROOT, &mut |_, parameter| parameter.gradient.data_mut().fill(2.0));
    /// let options = StepOptions {
    ///     groups: vec![ParameterGroup::frozen("a.*")],
    ///     clip: Some(Clip::Norm { max_norm: 1.0 }),
    ///     ..StepOptions::default()
    /// };
    /// let before = net.tensors();
    /// let stepped = OptimizerSpec::default().build_with(options)?.step(&mut net, 0.5)?;
    /// assert_eq!(stepped.gradient_norm, Some(32f64.sqrt())); // eight times 2: those of b
    /// assert_eq!(net.tensors()[..2], before[..2]);
    /// assert_ne!(net.tensors()[2..], before[2..]);
    /// # Ok::<(), cnn_nn::NnError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`OptimizerSpec::validate`] and [`StepOptions::validate`].
    pub fn build_with(&self, options: StepOptions) -> Result<Box<dyn Optimizer>, NnError> {
        self.validate()?;
        options.validate()?;
        Ok(match *self {
            Self::Sgd(sgd) if sgd.momentum == 0.0 => boxed::<0>(sgd, options),
            Self::Sgd(sgd) => boxed::<1>(sgd, options),
            Self::Adam(adam) if adam.amsgrad => boxed::<3>(adam, options),
            Self::Adam(adam) => boxed::<2>(adam, options),
            Self::AdamW(adamw) if adamw.amsgrad => boxed::<3>(adamw, options),
            Self::AdamW(adamw) => boxed::<2>(adamw, options),
            Self::RmsProp(rmsprop) => match (rmsprop.centered, rmsprop.momentum > 0.0) {
                (false, false) => boxed::<1>(rmsprop::Plain(rmsprop), options),
                (false, true) => boxed::<2>(rmsprop::Plain(rmsprop), options),
                (true, false) => boxed::<2>(rmsprop::Centered(rmsprop), options),
                (true, true) => boxed::<3>(rmsprop::Centered(rmsprop), options),
            },
            Self::Adagrad(adagrad) => boxed::<1>(adagrad, options),
            Self::Lion(lion) => boxed::<1>(lion, options),
        })
    }
}

fn boxed<const N: usize>(method: impl Method<N> + 'static, options: StepOptions) -> Box<dyn Optimizer> {
    Box::new(Stepper::new(method, options))
}

/// `Ok` if `value` keeps `rule`.
fn require(holds: bool, what: &'static str, rule: &'static str, value: f64) -> Result<(), NnError> {
    if holds { Ok(()) } else { Err(NnError::Setting { what, rule, got: value.to_string() }) }
}

fn fraction(what: &'static str, value: f64) -> Result<(), NnError> {
    require((0.0..1.0).contains(&value), what, "from 0 to below 1", value)
}

fn not_negative(what: &'static str, value: f64) -> Result<(), NnError> {
    // As a float, too, since steps compute in floats.
    require(value >= 0.0 && (value as f32).is_finite(), what, "finite and at least 0", value)
}

/// For what is added to a denominator.
fn divisor(what: &'static str, value: f64) -> Result<(), NnError> {
    require(value as f32 > 0.0 && (value as f32).is_finite(), what, "a float above 0", value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_has_pytorchs_names_and_defaults() {
        let described = [
            (
                OptimizerSpec::Sgd(Sgd::default()),
                r#"{"type":"sgd","momentum":0.0,"dampening":0.0,"nesterov":false,"weight_decay":0.0}"#,
            ),
            (
                OptimizerSpec::Adam(Adam::default()),
                r#"{"type":"adam","betas":[0.9,0.999],"eps":1e-8,"weight_decay":0.0,"amsgrad":false}"#,
            ),
            (
                OptimizerSpec::AdamW(AdamW::default()),
                r#"{"type":"adamw","betas":[0.9,0.999],"eps":1e-8,"weight_decay":0.01,"amsgrad":false}"#,
            ),
            (
                OptimizerSpec::RmsProp(RmsProp::default()),
                r#"{"type":"rmsprop","alpha":0.99,"eps":1e-8,"momentum":0.0,"centered":false,"weight_decay":0.0}"#,
            ),
            (
                OptimizerSpec::Adagrad(Adagrad::default()),
                r#"{"type":"adagrad","lr_decay":0.0,"weight_decay":0.0,"initial_accumulator_value":0.0,"eps":1e-10}"#,
            ),
            (
                OptimizerSpec::Lion(Lion::default()),
                r#"{"type":"lion","betas":[0.9,0.99],"weight_decay":0.0}"#,
            ),
        ];
        for (spec, text) in described {
            assert_eq!(serde_json::to_string(&spec).unwrap(), text);
            // The type alone, then with an option that it does not have.
            let name = &text[..text.find(',').unwrap()];
            assert_eq!(serde_json::from_str::<OptimizerSpec>(&format!("{name}}}")).unwrap(), spec);
            assert!(serde_json::from_str::<OptimizerSpec>(&format!("{name},\"gamma\":0.1}}")).is_err());
        }
        assert_eq!(described[0].0, OptimizerSpec::default());
    }
}
