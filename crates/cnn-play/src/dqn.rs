//! Deep Q-learning: a network that learns the value of each action.

use crate::{Draw, PlayError, Sample};
use cnn_nn::{Gradients, Graph, LearnSettings, Learner, NnError, OptimizerSpec, RmsProp, Tensors};
use cnn_ops::{Huber, Loss};
use cnn_tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The settings of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DqnSettings {
    /// The steps drawn from the memory for an update.
    pub batch: usize,
    /// The worth of a reward one step later, from 0 to 1.
    pub discount: f32,
    /// The steps whose rewards are added up before the target network tells the rest: 1 in the papers.
    pub returns: usize,
    /// The optimizer.
    pub optimizer: OptimizerSpec,
    /// Its learning rate.
    pub learning_rate: f32,
    /// The updates after which the target network becomes a copy of the network.
    pub target_every: u64,
    /// Whether the network chooses the action whose value the target network tells (Double DQN: van Hasselt, Guez and Silver,
    /// "Deep reinforcement learning with double Q-learning", 2016).
    pub double: bool,
    /// The error up to which the loss is a square, and beyond which it is straight, so that the gradient is the error clipped to it.
    pub clip_error: f64,
}

impl DqnSettings {
    /// RMSProp as in the paper of 2015 (extended data table 1): its learning rate is 0.00025.
    pub fn rmsprop_2015() -> OptimizerSpec {
        RmsProp { alpha: 0.95, eps: 0.01, eps_in_root: true, centered: true, ..RmsProp::default() }.into()
    }

    /// How its steps are drawn from a memory.
    pub fn draw(&self) -> Draw {
        Draw { count: self.batch, steps: self.returns, discount: self.discount }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// A setting is outside its range.
    pub fn validate(&self) -> Result<(), PlayError> {
        let limits = [
            ("the batch", "from 1 to 4096", 1..=4096, self.batch as u64),
            ("the steps whose rewards are added up", "from 1 to 64", 1..=64, self.returns as u64),
            ("the updates between two target networks", "at least 1", 1..=u64::MAX, self.target_every),
        ];
        for (what, rule, range, count) in limits {
            if !range.contains(&count) {
                return Err(PlayError::setting(what, rule, count));
            }
        }
        if !(0.0..=1.0).contains(&self.discount) {
            return Err(PlayError::setting("the discount", "from 0 to 1", self.discount));
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return Err(PlayError::setting("the learning rate", "above 0", self.learning_rate));
        }
        if !(self.clip_error.is_finite() && self.clip_error > 0.0) {
            return Err(PlayError::setting("the error to clip at", "above 0", self.clip_error));
        }
        Ok(self.optimizer.validate()?)
    }
}

impl Default for DqnSettings {
    /// Those of the paper of 2015, but for the target network, which is renewed each 1,000 updates.
    fn default() -> Self {
        Self {
            batch: 32,
            discount: 0.99,
            returns: 1,
            optimizer: Self::rmsprop_2015(),
            learning_rate: 0.00025,
            target_every: 1000,
            double: false,
            clip_error: 1.0,
        }
    }
}

/// An agent: a network that tells the value of each action for a stack of frames, and learns from steps drawn from a
/// [`Replay`](crate::Replay) memory (Mnih et al. 2015, algorithm 1).
///
/// The value of an action is the reward, plus `discount` times the value of the best action after it. The latter is told by a
/// target network, an older copy of the network, so that it does not chase itself.
///
/// ```
/// use cnn_nn::Model;
/// use cnn_play::{Dqn, DqnSettings, End, Game, Moment, PIXELS, Replay};
/// let actions = ["left", "stay", "right"].map(String::from).to_vec();
/// let model = Model::build(cnn_zoo::dqn_2013(cnn_zoo::dqn_input(), actions), 0)?;
/// let mut agent = Dqn::new(model.net, DqnSettings::default())?;
///
/// let mut replay = Replay::new(100, 1)?;
/// for i in 0..20 {
///     let end = if i % 10 == 9 { End::Over } else { End::Goes };
///     replay.push(0, Moment { frame: &[i; PIXELS], first: i % 10 == 0, action: i % 3, reward: 1.0, end });
/// }
/// let draw = agent.settings().draw();
/// let loss = agent.learn(&replay.sample(draw, 0, 0)?)?;
/// assert!(loss > 0.0 && agent.updates() == 1);
/// # Ok::<(), cnn_play::PlayError>(())
/// ```
pub struct Dqn {
    learner: Learner,
    target: Graph,
    settings: DqnSettings,
}

/// Where the tensors of the target network are in a saved state.
const TARGET: &str = "target.";

impl Dqn {
    /// An agent that has learned nothing. The output of `net` has a value for each action.
    ///
    /// # Errors
    /// A setting is outside its range.
    pub fn new(net: Graph, settings: DqnSettings) -> Result<Self, PlayError> {
        settings.validate()?;
        let mut target = Graph::of(net.spec(), net.inputs().iter().map(|shape| &shape.dims()[1..]), 0)?;
        target.restore(net.tensors().into_iter().collect())?;
        let optimizer = settings.optimizer;
        let learner = Learner::new(net, LearnSettings { optimizer, ..LearnSettings::default() })?;
        Ok(Self { learner, target, settings })
    }

    /// The settings.
    pub fn settings(&self) -> &DqnSettings {
        &self.settings
    }

    /// The network.
    pub fn net(&self) -> &Graph {
        self.learner.net()
    }

    /// The updates made.
    pub fn updates(&self) -> u64 {
        self.learner.steps()
    }

    /// The values of all actions, `[n, actions]`, for stacks `[n, 4, 84, 84]`.
    ///
    /// # Errors
    /// The network cannot take the stacks.
    pub fn values(&self, x: &Tensor) -> Result<Tensor, PlayError> {
        Ok(self.net().infer(x)?)
    }

    /// One update: a step of the optimizer down the gradient of the error. Returns the mean loss.
    ///
    /// # Errors
    /// The sample does not fit the network, or the loss is not finite.
    pub fn learn(&mut self, sample: &Sample) -> Result<f64, PlayError> {
        let targets = self.targets(sample)?;
        self.learn_towards(sample, &targets)
    }

    /// The values that the network is to learn for the actions of the sample.
    ///
    /// # Errors
    /// The sample does not fit the network.
    pub fn targets(&self, sample: &Sample) -> Result<Vec<f32>, PlayError> {
        self.check(sample)?;
        let told = self.target.infer(&sample.next)?;
        let chooser = if self.settings.double { self.net().infer(&sample.next)? } else { told.clone() };
        let best = cnn_nn::metrics::argmax(&chooser);
        let target = |i: usize| match sample.discounts[i] {
            0.0 => sample.rewards[i],
            discount => sample.rewards[i] + discount * told.row(i)[best[i] as usize],
        };
        Ok((0..sample.actions.len()).map(target).collect())
    }

    /// The second half of [`Dqn::learn`]: an update towards the given values of the actions.
    ///
    /// # Errors
    /// The sample does not fit the network, or the loss is not finite.
    pub fn learn_towards(&mut self, sample: &Sample, targets: &[f32]) -> Result<f64, PlayError> {
        self.check(sample)?;
        let n = sample.actions.len();
        if targets.len() != n {
            return Err(PlayError::setting("the values to learn", "one for each step", targets.len()));
        }
        let huber = Huber { delta: self.settings.clip_error, ..Huber::default() };
        let step = self.learner.step(&sample.x, self.settings.learning_rate, |images, y| {
            error_of_chosen(huber, &y, &sample.actions[images.clone()], &targets[images], n)
        })?;
        let loss = step.score / n as f64;
        if !loss.is_finite() {
            return Err(PlayError::NotFinite { loss, update: self.updates() });
        }
        if self.updates().is_multiple_of(self.settings.target_every) {
            self.target.restore(self.learner.net().tensors().into_iter().collect())?;
        }
        Ok(loss)
    }

    /// Checks that the parts of a sample are of as many steps, and that the network has its actions.
    fn check(&self, sample: &Sample) -> Result<(), PlayError> {
        let Sample { x, next, actions, rewards, discounts } = sample;
        let lengths =
            [x.shape().batch(), next.shape().batch(), actions.len(), rewards.len(), discounts.len()];
        if lengths.iter().any(|&length| length != lengths[0] || length == 0) {
            return Err(PlayError::setting(
                "a sample",
                "of as many frames as actions",
                format!("{lengths:?}"),
            ));
        }
        let all = self.net().output_shape()?.numel();
        match actions.iter().find(|&&action| action >= all) {
            None => Ok(()),
            Some(action) => {
                Err(PlayError::setting("an action", "one of the network", format!("{action} of {all}")))
            }
        }
    }

    /// The tensors that a resumed agent needs.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let target =
            self.target.tensors().into_iter().map(|(name, tensor)| (format!("{TARGET}{name}"), tensor));
        self.learner.state().into_iter().chain(target).collect()
    }

    /// Restores the tensors of [`Dqn::state`] after so many updates. Learning then continues bit for bit.
    ///
    /// # Errors
    /// A tensor is missing, surplus or of another shape. The agent must not be used afterwards.
    pub fn restore(&mut self, updates: u64, mut state: BTreeMap<String, Tensor>) -> Result<(), PlayError> {
        let rest = state.split_off(TARGET);
        let (target, after): (BTreeMap<_, _>, BTreeMap<_, _>) =
            rest.into_iter().partition(|(name, _)| name.starts_with(TARGET));
        state.extend(after);
        let target = target.into_iter().map(|(name, tensor)| (name[TARGET.len()..].to_string(), tensor));
        self.target.restore(target.collect())?;
        Ok(self.learner.restore(updates, state)?)
    }
}

/// The sum of the losses of the chosen actions' values, and its gradient divided by the size `n` of the whole batch. The values of
/// the other actions have no error.
fn error_of_chosen(
    huber: Huber,
    y: &Tensors,
    actions: &[usize],
    targets: &[f32],
    n: usize,
) -> Result<(f64, Gradients), NnError> {
    let values = &y[0];
    let all = values.data().len() / actions.len().max(1);
    let places: Vec<usize> = actions.iter().enumerate().map(|(i, &action)| i * all + action).collect();
    let chosen: Vec<f32> = places.iter().map(|&place| values.data()[place]).collect();
    let chosen = Tensor::from_vec([actions.len()], chosen)?;
    let (sum, saved) = huber.forward(&chosen, &Tensor::from_slice([actions.len()], targets)?)?;
    let mut dy = Tensor::zeros(values.shape());
    for (&place, &gradient) in places.iter().zip(saved.backward(1.0 / n as f32).data()) {
        dy.data_mut()[place] = gradient;
    }
    Ok((sum, dy.into()))
}

#[cfg(test)]
mod tests;
