//! The part that all methods share: walking over the model, the settings of each parameter, and saving the state between steps.

use super::check::require;
use super::gradient::{Clip, Penalty, factor};
use super::group;
use super::memory::Memory;
use super::method::Method;
use super::optimizer::{Optimizer, StepOptions, Stepped};
use super::steps::{STEP, pack, unpack};
use super::trainable::Trainable;
use crate::NnError;
use cnn_ops::update::{Adjustment, Sums};
use cnn_tensor::{Recycled, Shape, Tensor};
use std::collections::BTreeMap;

/// The [`Optimizer`] for a method.
pub(super) struct Stepper<M, const N: usize> {
    options: StepOptions,
    /// The settings of parameters that no group takes, then those of each group.
    settings: Vec<Settings<M>>,
    /// The number of steps taken.
    steps: u64,
    /// The state of each parameter, in visiting order; empty before [`Optimizer::prepare`] or the first step.
    memory: Vec<Memory<N>>,
}

/// The settings of some parameters.
struct Settings<M> {
    method: M,
    /// The factor of the learning rate; 0 for frozen parameters.
    rate: f32,
}

impl<M: Method<N>, const N: usize> Stepper<M, N> {
    pub(super) fn new(method: M, options: StepOptions) -> Self {
        let mut settings = vec![Settings { method, rate: 1.0 }];
        for group in &options.groups {
            let method = group.weight_decay.map_or(method, |decay| method.with_weight_decay(decay));
            settings.push(Settings { method, rate: group.lr_mult });
        }
        Self { options, settings, steps: 0, memory: Vec::new() }
    }

    /// The state before the first step.
    fn blank(&self, model: &dyn Trainable) -> Result<Vec<Memory<N>>, NnError> {
        let mut assigned = group::assign(&self.options.groups, model)?.into_iter();
        let mut memory = Vec::new();
        model.each(&mut |name, parameter| {
            let index = assigned.next().flatten().map_or(0, |group| group + 1);
            let Settings { method, rate } = &self.settings[index];
            let start = (*rate > 0.0).then(|| method.start());
            memory.push(Memory::new(name.to_string(), parameter.shape(), index, start));
        });
        Ok(memory)
    }

    /// Checks that the model has exactly the parameters of the state, and that each has its gradient.
    fn check(&self, model: &dyn Trainable, gradients: &[Tensor]) -> Result<(), NnError> {
        let (mut count, mut fault) = (0, None);
        model.each(&mut |name, parameter| {
            let (shape, known) = (parameter.shape(), self.memory.get(count));
            let got = gradients.get(count).map(Tensor::shape);
            match known {
                Some(memory) if memory.shape == shape => {
                    if got != Some(shape) && !self.is_frozen(memory) && fault.is_none() {
                        let (what, rule) = ("a gradient", "one for each parameter, of its shape");
                        let got = got.map_or("none".into(), |got| got.to_string());
                        let got = format!("{got} for {name} of shape {shape}");
                        fault = Some(NnError::Setting { what, rule, got });
                    }
                }
                known => {
                    let known = known.map(|memory| memory.shape);
                    fault.get_or_insert_with(|| mismatch(name.to_string(), Some(shape), known));
                }
            }
            count += 1;
        });
        let surplus =
            self.memory.get(count).map(|memory| mismatch(memory.name.clone(), None, Some(memory.shape)));
        let (what, got) = ("the number of gradients", gradients.len());
        let more = (got > count).then_some(NnError::Count { what, expected: count, got });
        fault.or(surplus).or(more).map_or(Ok(()), Err)
    }

    fn is_frozen(&self, memory: &Memory<N>) -> bool {
        self.settings[memory.settings].rate == 0.0
    }

    /// Measures the norm of all gradients, if it is to be clipped, and the penalty, if there is one.
    fn survey(&self, model: &dyn Trainable, gradients: &[Tensor]) -> Result<Stepped, NnError> {
        let penalty = self.options.penalty;
        let bounded = matches!(self.options.clip, Some(Clip::Norm { .. }));
        if !bounded && penalty.is_none() {
            return Ok(Stepped::default());
        }
        let (mut sums, mut memory) = (Sums::default(), self.memory.iter().zip(gradients));
        model.each(&mut |_, value| {
            if let Some((memory, gradient)) = memory.next().filter(|(memory, _)| !self.is_frozen(memory)) {
                let Penalty { l1, l2 } = penalty.on(memory.shape.rank());
                sums += Sums::of(value.data(), gradient.data(), [l1, l2]);
            }
        });
        let norm = sums.squares.sqrt();
        if bounded && !norm.is_finite() {
            let what = "the norm of the gradients";
            return Err(NnError::Setting { what, rule: "finite to be clipped", got: norm.to_string() });
        }
        Ok(Stepped {
            gradient_norm: bounded.then_some(norm),
            penalty: (!penalty.is_none()).then_some(sums.penalty),
        })
    }
}

impl<M: Method<N>, const N: usize> Optimizer for Stepper<M, N> {
    fn prepare(&mut self, model: &dyn Trainable) -> Result<(), NnError> {
        if self.steps == 0 {
            self.memory = self.blank(model)?;
        }
        Ok(())
    }

    fn step(
        &mut self,
        model: &mut dyn Trainable,
        gradients: &[Tensor],
        rate: f32,
    ) -> Result<Stepped, NnError> {
        require(rate >= 0.0 && rate.is_finite(), "learning rate", "finite and at least 0", rate.into())?;
        for settings in &self.settings {
            let (what, rule) = ("learning rate of a parameter group", "finite and at least 0");
            require((rate * settings.rate).is_finite(), what, rule, (rate * settings.rate).into())?;
        }
        if self.memory.is_empty() {
            self.prepare(model)?;
        }
        self.check(model, gradients)?;
        let stepped = self.survey(model, gradients)?;

        self.steps += 1;
        let rules: Recycled<_> = self
            .settings
            .iter()
            .map(|Settings { method, rate: factor }| {
                (*factor > 0.0).then(|| method.step(self.steps, rate * factor))
            })
            .collect();
        let StepOptions { clip, penalty, .. } = self.options;
        let adjusted = clip.is_some() || !penalty.is_none();
        let (factor, bound) = match (clip, stepped.gradient_norm) {
            (Some(Clip::Norm { max_norm }), Some(norm)) => (factor(norm, max_norm), f32::INFINITY),
            (Some(Clip::Value { clip_value }), _) => (1.0, clip_value as f32),
            _ => (1.0, f32::INFINITY),
        };
        let mut memory = self.memory.iter_mut().zip(gradients);
        model.each_mut(&mut |_, value| {
            let Some((memory, gradient)) = memory.next() else { return };
            let Some(rule) = rules[memory.settings] else { return };
            let Penalty { l1, l2 } = penalty.on(memory.shape.rank());
            let adjustment = Adjustment { l1: l1 as f32, l2: l2 as f32, factor, bound };
            memory.step(rule, adjusted.then_some(adjustment), value, gradient);
        });
        Ok(stepped)
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        let mut state = vec![(STEP.into(), pack(self.steps))];
        for memory in self.memory.iter().filter(|memory| self.steps > 0 && !self.is_frozen(memory)) {
            for (k, kind) in M::MEMORY.iter().enumerate() {
                state.push((format!("{kind}.{}", memory.name), memory.gather(k)));
            }
        }
        state
    }

    fn restore(&mut self, mut state: BTreeMap<String, Tensor>, model: &dyn Trainable) -> Result<(), NnError> {
        let mut take = |name: String, shape: Shape| match state.remove(&name) {
            Some(tensor) if tensor.shape() == shape => Ok(tensor),
            other => Err(mismatch(name, Some(shape), other.map(|tensor| tensor.shape()))),
        };
        let steps = unpack(&take(STEP.into(), [2].into())?)?;
        if self.steps == 0 {
            self.memory.clear(); // nothing is remembered yet, and it can be large
        }
        let mut restored = if steps > 0 { self.blank(model)? } else { Vec::new() };
        for memory in restored.iter_mut().filter(|memory| !self.is_frozen(memory)) {
            for (k, kind) in M::MEMORY.iter().enumerate() {
                memory.scatter(k, &take(format!("{kind}.{}", memory.name), memory.shape)?);
            }
        }
        if let Some((name, saved)) = state.first_key_value() {
            return Err(mismatch(name.clone(), None, Some(saved.shape())));
        }
        (self.steps, self.memory) = (steps, restored);
        Ok(())
    }
}

fn mismatch(name: String, expected: Option<Shape>, got: Option<Shape>) -> NnError {
    NnError::parameter(name, expected, got)
}

#[cfg(test)]
pub(super) mod tests;
