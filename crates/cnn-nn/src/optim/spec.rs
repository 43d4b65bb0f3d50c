//! Optimizers as plain data.

use super::method::Method;
use super::optimizer::{Optimizer, StepOptions};
use super::stepper::Stepper;
use super::{Adagrad, Adam, AdamW, Lion, RmsProp, Sgd, rmsprop};
use crate::NnError;
use serde::{Deserialize, Serialize};

/// A method with its options, as plain data.
///
/// In a description: `{"type": "sgd", "momentum": 0.9}`. Options that are left out have PyTorch's defaults.
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
    /// Gradients divided by their running root mean square.
    #[serde(rename = "rmsprop")]
    RmsProp(RmsProp),
    /// Gradients divided by the root of the sum of all their squares.
    Adagrad(Adagrad),
    /// Evolved sign momentum.
    Lion(Lion),
}

/// Converts an optimizer's options to an `OptimizerSpec`.
macro_rules! from {
    ($($optimizer:ident)*) => {
        $(impl From<$optimizer> for OptimizerSpec {
            fn from(options: $optimizer) -> Self {
                Self::$optimizer(options)
            }
        })*
    };
}

from!(Sgd Adam AdamW RmsProp Adagrad Lion);

impl Default for OptimizerSpec {
    /// Stochastic gradient descent without momentum.
    fn default() -> Self {
        Self::Sgd(Sgd::default())
    }
}

impl OptimizerSpec {
    /// Checks the options.
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

    /// Builds the optimizer, with no step taken.
    ///
    /// # Errors
    /// An error of [`OptimizerSpec::validate`].
    pub fn build(&self) -> Result<Box<dyn Optimizer>, NnError> {
        self.build_with(StepOptions::default())
    }

    /// Builds the optimizer, with no step taken, and with groups of parameters, gradient clipping or a penalty.
    ///
    /// ```
    /// use cnn_nn::{Clip, Graph, OptimizerSpec, ParameterGroup, StepOptions, spec::linear};
    /// use cnn_tensor::Tensor;
    /// let mut net = Graph::build([linear(3).named("a"), linear(2).named("b")], [4], 0)?;
    /// let gradients: Vec<Tensor> = net.tensors().iter().map(|(_, t)| Tensor::full(t.shape(), 2.0)).collect();
    /// let options = StepOptions {
    ///     groups: vec![ParameterGroup::frozen("a.*")],
    ///     clip: Some(Clip::Norm { max_norm: 1.0 }),
    ///     ..StepOptions::default()
    /// };
    /// let before = net.tensors();
    /// let stepped = OptimizerSpec::default().build_with(options)?.step(&mut net, &gradients, 0.5)?;
    /// assert_eq!(stepped.gradient_norm, Some(32f64.sqrt())); // eight times 2: those of b
    /// assert_eq!(net.tensors()[..2], before[..2]);
    /// assert_ne!(net.tensors()[2..], before[2..]);
    /// # Ok::<(), cnn_nn::NnError>(())
    /// ```
    ///
    /// # Errors
    /// An error of [`OptimizerSpec::validate`] or [`StepOptions::validate`].
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
