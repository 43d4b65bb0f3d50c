//! What all methods share: walking the model in one pass over value, gradient and memory, the settings of each parameter,
//! and saving what is remembered from step to step.

use super::gradient::{Conditioned, Sums, factor};
use super::memory::Memory;
use super::{Clip, Optimizer, StepOptions, Stepped, group, require};
use crate::{Layer, NnError, Path};
use cnn_tensor::simd::Simd;
use cnn_tensor::{Recycled, Shape, Tensor};
use std::collections::BTreeMap;

/// A method that remembers `N` numbers for every number it trains.
pub(super) trait Method<const N: usize>: Copy + Send + Sync + 'static {
    /// What the numbers remembered are called in a saved state.
    const MEMORY: [&'static str; N];

    /// What they are before the first step.
    fn start(&self) -> [f32; N] {
        [0.0; N]
    }

    /// The same with another weight decay.
    fn with_weight_decay(self, weight_decay: f64) -> Self;

    /// Step number `t`, from 1, at learning rate `rate`.
    fn step(self, t: u64, rate: f32) -> impl Step<N>;
}

/// One step's arithmetic, with its coefficients worked out.
pub(super) trait Step<const N: usize>: Copy + Send + Sync + 'static {
    /// The new value and memory of a vector of numbers; must be `#[inline(always)]`.
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, memory: [S::V; N]) -> (S::V, [S::V; N]);
}

/// The [`Optimizer`] made of a method.
pub(super) struct Stepper<M, const N: usize> {
    options: StepOptions,
    /// The settings of parameters that no group takes, then those of each group.
    settings: Vec<Settings<M>>,
    /// Steps taken.
    steps: u64,
    /// What is remembered of each parameter, in visiting order; empty before [`Optimizer::prepare`] or the first step.
    memory: Vec<Memory<N>>,
}

/// How some parameters train.
struct Settings<M> {
    method: M,
    /// What the learning rate is multiplied by; 0 freezes.
    rate: f32,
}

impl<M: Method<N>, const N: usize> Stepper<M, N> {
    pub(super) fn new(method: M, options: StepOptions) -> Self {
        let mut settings = vec![Settings { method, rate: 1.0 }];
        for group in &options.groups {
            let method = group.weight_decay.map_or(method, |decay| method.with_weight_decay(decay));
            settings.push(Settings { method, rate: group.rate });
        }
        Self { options, settings, steps: 0, memory: Vec::new() }
    }

    /// What is remembered before the first step.
    fn blank(&self, model: &dyn Layer) -> Result<Vec<Memory<N>>, NnError> {
        let mut assigned = group::assign(&self.options.groups, model)?.into_iter();
        let mut memory = Vec::new();
        model.visit(Path::ROOT, &mut |path, parameter| {
            let index = assigned.next().flatten().map_or(0, |group| group + 1);
            let Settings { method, rate } = &self.settings[index];
            let start = (*rate > 0.0).then(|| method.start());
            memory.push(Memory::new(path.to_string(), parameter.shape(), index, start));
        });
        Ok(memory)
    }

    /// That the model has the parameters remembered, and no others.
    fn check(&self, model: &dyn Layer) -> Result<(), NnError> {
        let (mut count, mut fault) = (0, None);
        model.visit(Path::ROOT, &mut |path, parameter| {
            let (shape, known) = (parameter.shape(), self.memory.get(count).map(|memory| memory.shape));
            if known != Some(shape) {
                fault.get_or_insert_with(|| mismatch(path.to_string(), Some(shape), known));
            }
            count += 1;
        });
        let surplus =
            self.memory.get(count).map(|memory| mismatch(memory.name.clone(), None, Some(memory.shape)));
        fault.or(surplus).map_or(Ok(()), Err)
    }

    fn is_frozen(&self, memory: &Memory<N>) -> bool {
        self.settings[memory.settings].rate == 0.0
    }

    /// The norm of all gradients, if a bound on it asks for that, and the penalty, if there is one.
    fn survey(&self, model: &dyn Layer) -> Result<Stepped, NnError> {
        let penalty = self.options.penalty;
        let bounded = matches!(self.options.clip, Some(Clip::Norm { .. }));
        if !bounded && penalty.is_none() {
            return Ok(Stepped::default());
        }
        let (mut sums, mut memory) = (Sums::default(), self.memory.iter());
        model.visit(Path::ROOT, &mut |_, parameter| {
            if memory.next().is_some_and(|memory| !self.is_frozen(memory)) {
                let penalty = penalty.on(axes(parameter.shape()));
                sums += Sums::of(&parameter.value, &parameter.gradient, penalty);
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

fn axes(shape: Shape) -> usize {
    shape.dims().len()
}

impl<M: Method<N>, const N: usize> Optimizer for Stepper<M, N> {
    fn prepare(&mut self, model: &dyn Layer) -> Result<(), NnError> {
        if self.steps == 0 {
            self.memory = self.blank(model)?;
        }
        Ok(())
    }

    fn step(&mut self, model: &mut dyn Layer, rate: f32) -> Result<Stepped, NnError> {
        require(rate >= 0.0 && rate.is_finite(), "learning rate", "finite and at least 0", rate.into())?;
        for settings in &self.settings {
            let (what, rule) = ("learning rate of a parameter group", "finite and at least 0");
            require((rate * settings.rate).is_finite(), what, rule, (rate * settings.rate).into())?;
        }
        if self.memory.is_empty() {
            self.prepare(model)?;
        }
        self.check(model)?;
        let stepped = self.survey(model)?;

        self.steps += 1;
        let steps: Recycled<_> = self
            .settings
            .iter()
            .map(|Settings { method, rate: factor }| {
                (*factor > 0.0).then(|| method.step(self.steps, rate * factor))
            })
            .collect();
        let StepOptions { clip, penalty, .. } = self.options;
        let conditioned = clip.is_some() || !penalty.is_none();
        let (factor, bound) = match (clip, stepped.gradient_norm) {
            (Some(Clip::Norm { max_norm }), Some(norm)) => (factor(norm, max_norm), f32::INFINITY),
            (Some(Clip::Value { clip_value }), _) => (1.0, clip_value as f32),
            _ => (1.0, f32::INFINITY),
        };
        let mut memory = self.memory.iter_mut();
        model.visit_mut(Path::ROOT, &mut |_, parameter| {
            let memory = memory.next().expect("as many as the parameters: checked");
            let Some(step) = steps[memory.settings] else { return };
            if conditioned {
                let penalty = penalty.on(axes(memory.shape));
                memory.step(Conditioned { step, penalty, factor, bound }, parameter);
            } else {
                memory.step(step, parameter);
            }
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

    fn restore(&mut self, mut state: BTreeMap<String, Tensor>, model: &dyn Layer) -> Result<(), NnError> {
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

/// The name under which the number of steps is saved.
pub(crate) const STEP: &str = "step";
/// Bits of the number of steps in each of the two floats that hold it, which are exact to 24 bits.
const STEP_BITS: u32 = 24;

/// A number of steps below 2^48 as two floats, the higher part first.
pub(crate) fn pack(steps: u64) -> Tensor {
    let mut tensor = Tensor::zeros([2]);
    tensor.data_mut().copy_from_slice(&[(steps >> STEP_BITS) as f32, (steps % (1 << STEP_BITS)) as f32]);
    tensor
}

pub(crate) fn unpack(tensor: &Tensor) -> Result<u64, NnError> {
    let digit =
        |v: &f32| (v.fract() == 0.0 && (0.0..(1 << STEP_BITS) as f32).contains(v)).then_some(*v as u64);
    match tensor.data().iter().map(digit).collect::<Option<Vec<_>>>().as_deref() {
        Some(&[high, low]) => Ok((high << STEP_BITS) + low),
        _ => {
            let rule = "two whole numbers from 0 to 16777215";
            Err(NnError::Setting { what: "saved number of steps", rule, got: format!("{:?}", tensor.data()) })
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
