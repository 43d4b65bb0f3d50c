//! Training steps without knowledge of labels.

mod average;
mod cut;

pub use average::Average;

use crate::optim::assign;
use crate::probe::{self, Pass, pass};
use crate::{
    At, Clip, Collective, Gradients, Graph, NnError, Optimizer, OptimizerSpec, ParameterGroup, Penalty, Plan,
    Shapes, StepOptions, Stepped, Tensors, Trace,
};
use average::Averaged;
use cnn_tensor::{Recycled, Tensor, parallel, vector};
use cut::Cut;
use std::collections::BTreeMap;
use std::ops::{AddAssign, Range};

/// The settings of a learner, apart from the learning rate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LearnSettings {
    /// The optimizer.
    pub optimizer: OptimizerSpec,
    /// Groups of parameters that train differently. A parameter belongs to the first group that takes it.
    pub groups: Vec<ParameterGroup>,
    /// Gradient clipping.
    pub clip: Option<Clip>,
    /// A penalty on large weights.
    pub penalty: Penalty,
    /// An average of the weights, evaluated and saved in their place.
    pub average: Option<Average>,
    /// The seed of the random numbers drawn in training.
    pub seed: u64,
}

impl LearnSettings {
    /// Checks the settings as far as they do not depend on the network.
    ///
    /// # Errors
    /// A setting is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        self.optimizer.validate()?;
        self.step_options().validate()?;
        self.average.map_or(Ok(()), |average| average.validate())
    }

    fn step_options(&self) -> StepOptions {
        StepOptions { groups: self.groups.clone(), clip: self.clip, penalty: self.penalty }
    }
}

/// A network that learns step by step from gradients that a closure computes from its outputs. Use it for a training loop of
/// your own; [`Trainer`](crate::Trainer) is built on it.
///
/// A batch is cut into pieces that run on several threads. Their gradients are added in order, and the optimizer changes the
/// weights. The bits are the same for any number of threads.
///
/// ```
/// use cnn_nn::{Graph, Learner, LearnSettings, spec::linear};
/// use cnn_ops::{Loss, Mse};
/// use cnn_tensor::Tensor;
///
/// // y = 2 x, learned from four examples.
/// let net = Graph::build([linear(1).named("fc")], [1], 0)?;
/// let mut learner = Learner::new(net, LearnSettings::default())?;
/// let x = Tensor::from_vec([4, 1], vec![-1.0, 0.0, 1.0, 2.0])?;
/// let target = Tensor::from_vec([4, 1], vec![-2.0, 0.0, 2.0, 4.0])?;
/// for _ in 0..100 {
///     let step = learner.step(&x, 0.1, |images, y| {
///         let (sum, saved) = Mse::default().forward(&y[0], &target.slice_batch(images.start, images.end))?;
///         Ok((sum, saved.backward(1.0 / 4.0).into()))
///     })?;
///     println!("{}", step.score / 4.0);
/// }
/// assert!((learner.net().infer(&Tensor::full([1, 1], 3.0))?.data()[0] - 6.0).abs() < 1e-2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Learner {
    net: Graph,
    plan: Plan,
    seed: u64,
    optimizer: Box<dyn Optimizer>,
    averaged: Option<Averaged>,
    collective: Box<dyn Collective>,
    /// One for each piece of a batch, made on demand and reused in later steps.
    pieces: Vec<Piece>,
    /// How the last batch was cut, and its shapes. It is stored because counting a network's work allocates memory.
    cut: Option<(Shapes, Cut)>,
    /// The number of steps taken.
    steps: u64,
    /// The number of examples whose gradients were added since the last step.
    added: usize,
}

/// The state of one piece of a batch. The network is shared by all pieces.
struct Piece {
    trace: Trace,
    /// By parameter.
    gradients: Vec<Tensor>,
}

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step<S> {
    /// The sum of the values that the closure returned for the pieces, added in order.
    pub score: S,
    /// Measurements of the optimizer.
    pub stepped: Stepped,
}

impl Learner {
    /// A learner that has not taken a step.
    ///
    /// # Errors
    /// A setting is outside its range, or a group takes none of the network's parameters.
    pub fn new(net: Graph, settings: LearnSettings) -> Result<Self, NnError> {
        settings.validate()?;
        let groups = &settings.groups;
        let trained: Vec<bool> = assign(groups, &net)?
            .into_iter()
            .map(|group| group.is_none_or(|i| groups[i].lr_mult != 0.0))
            .collect();
        let held = |name: &str| groups.iter().any(|group| group.hold_statistics && group.takes(name, 0));
        let plan = Plan::new(&net, &trained, false).holding(&net, held);
        let mut optimizer = settings.optimizer.build_with(settings.step_options())?;
        // Before the first pass: otherwise the optimizer would take the memory that the second pass is to reuse.
        optimizer.prepare(&net)?;
        let averaged = settings.average.map(|average| Averaged::new(&net, average)).transpose()?;
        let (collective, pieces, cut): (Box<dyn Collective>, _, _) = (Box::new(()), Vec::new(), None);
        let (seed, steps, added) = (settings.seed, 0, 0);
        Ok(Self { net, plan, seed, optimizer, averaged, collective, pieces, cut, steps, added })
    }

    /// The same learner as one of several processes that take each step together.
    #[must_use]
    pub fn among(self, collective: impl Collective + 'static) -> Self {
        Self { collective: Box::new(collective), ..self }
    }

    /// One training step on a batch: computes the gradients, then lets the optimizer apply them.
    ///
    /// `loss` is called for each piece of the batch, with the range of its examples and their outputs. It returns a score, which
    /// is summed over the pieces, and the gradients with respect to the outputs. These must already be divided by the divisor of
    /// the whole batch's loss.
    ///
    /// # Errors
    /// The network cannot take the inputs, `loss` fails, or the optimizer does.
    pub fn step<S: Default + AddAssign + Send + 'static>(
        &mut self,
        x: impl Into<Tensors>,
        learning_rate: f32,
        loss: impl Fn(Range<usize>, Tensors) -> Result<(S, Gradients), NnError> + Sync,
    ) -> Result<Step<S>, NnError> {
        let score = self.add(x, loss)?;
        Ok(Step { score, stepped: self.apply(learning_rate)? })
    }

    /// The first half of [`Learner::step`]: adds the gradients of a batch to those accumulated since the last step.
    ///
    /// # Errors
    /// The network cannot take the inputs, or `loss` fails. The gradients accumulated since the last step are then lost.
    pub fn add<S: Default + AddAssign + Send + 'static>(
        &mut self,
        x: impl Into<Tensors>,
        loss: impl Fn(Range<usize>, Tensors) -> Result<(S, Gradients), NnError> + Sync,
    ) -> Result<S, NnError> {
        self.add_at(&x.into(), 0, loss)
    }

    /// [`Learner::add`] for examples from number `first` of the batch of all processes.
    pub(crate) fn add_at<S: Default + AddAssign + Send + 'static>(
        &mut self,
        x: &Tensors,
        first: usize,
        loss: impl Fn(Range<usize>, Tensors) -> Result<(S, Gradients), NnError> + Sync,
    ) -> Result<S, NnError> {
        let added = std::mem::take(&mut self.added);
        let n = batch_size(x)?;
        let score = self.gradients(x, n, [added, first + added], &loss)?;
        self.added = added + n;
        Ok(score)
    }

    /// The second half of [`Learner::step`]: applies the optimizer to the accumulated gradients.
    ///
    /// # Errors
    /// No gradients were added, or an error of [`Optimizer::step`].
    pub fn apply(&mut self, learning_rate: f32) -> Result<Stepped, NnError> {
        if std::mem::take(&mut self.added) == 0 {
            let (what, rule) = ("the gradients of a step", "those of at least one example");
            return Err(NnError::Setting { what, rule, got: "none".into() });
        }
        let gradients = &mut self.pieces[0].gradients;
        if self.collective.size() > 1 {
            gradients.iter_mut().try_for_each(|gradient| self.collective.sum(gradient.data_mut()))?;
        }
        let stepped = pass(probe::OPTIMIZER, Pass::Rest, || {
            let stepped = self.optimizer.step(&mut self.net, gradients, learning_rate);
            if let (Ok(_), Some(averaged)) = (&stepped, &mut self.averaged) {
                averaged.update(&self.net);
            }
            stepped
        })?;
        self.steps += 1;
        Ok(stepped)
    }

    fn gradients<S: Default + AddAssign + Send + 'static>(
        &mut self,
        x: &Tensors,
        n: usize,
        [added, first]: [usize; 2],
        loss: &(impl Fn(Range<usize>, Tensors) -> Result<(S, Gradients), NnError> + Sync),
    ) -> Result<S, NnError> {
        let cut = self.cut(x);
        let count = n.div_ceil(cut.images);
        let held = if cut.at_once { count } else { 1 };
        while self.pieces.len() < held {
            let (trace, gradients) = (Trace::default(), self.plan.gradients(&self.net));
            self.pieces.push(Piece { trace, gradients });
        }
        let (plan, pieces) = (&self.plan, &mut self.pieces[..held]);
        let at = At { seed: self.seed, step: self.steps, ..At::default() };
        let range = |i: usize| i * cut.images..n.min((i + 1) * cut.images);
        let run = |net: &Graph, i: usize, piece: &mut Piece, clear: bool| {
            let images = range(i);
            let x = match count {
                1 => x.clone(),
                _ => x.iter().map(|x| x.slice_batch(images.start, images.end)).collect(),
            };
            piece.run(net, plan, x, At { first_image: (first + images.start) as u64, ..at }, clear, |y| {
                loss(images, y)
            })
        };
        let mut total = S::default();
        if held == 1 {
            for i in 0..count {
                total += run(&self.net, i, &mut pieces[0], added == 0 && i == 0)?;
                self.net.settle_with(plan, &mut pieces[0].trace)?;
            }
            return Ok(total);
        }
        let mut scores: Recycled<Result<S, NnError>> = (0..count).map(|_| Ok(S::default())).collect();
        let net = &self.net;
        probe::on_threads(count, |probes| {
            parallel::for_each_chunk_pair((&mut *pieces, 1), (&mut scores, 1), |i, piece, score| {
                // The sum of all gradients is formed in those of the first piece.
                score[0] = probes.piece(i, || run(net, i, &mut piece[0], added == 0 || i > 0));
            });
        });
        for score in scores.drain(..) {
            total += score?;
        }
        pass(probe::GRADIENTS, Pass::Rest, || {
            let (sum, others) = pieces.split_first_mut().expect("several pieces");
            for piece in others {
                for (sum, part) in sum.gradients.iter_mut().zip(&piece.gradients) {
                    vector::axpy(1.0, part.data(), sum.data_mut());
                }
            }
        });
        for piece in pieces {
            self.net.settle_with(plan, &mut piece.trace)?;
        }
        Ok(total)
    }

    /// Drops the gradients accumulated since the last step.
    pub(crate) fn discard(&mut self) {
        self.added = 0;
    }

    fn cut(&mut self, x: &Tensors) -> Cut {
        let shapes = x.iter().map(Tensor::shape);
        match &self.cut {
            Some((known, cut)) if known.iter().copied().eq(shapes.clone()) => *cut,
            _ => {
                let cut = Cut::of(&self.net, &self.plan, x);
                self.cut = Some((shapes.collect(), cut));
                cut
            }
        }
    }
}

impl Piece {
    /// The forward and the backward pass of a piece.
    fn run<S>(
        &mut self,
        net: &Graph,
        plan: &Plan,
        x: Tensors,
        at: At,
        clear: bool,
        loss: impl FnOnce(Tensors) -> Result<(S, Gradients), NnError>,
    ) -> Result<S, NnError> {
        if clear {
            pass(probe::GRADIENTS, Pass::Rest, || {
                self.gradients.iter_mut().for_each(|gradient| gradient.data_mut().fill(0.0));
            });
        }
        let y = net.forward_with(plan, x, at, &mut self.trace)?;
        let (score, dy) = pass(probe::LOSS, Pass::Rest, || loss(y))?;
        net.backward_with(plan, &mut self.trace, dy, &mut self.gradients)?;
        Ok(score)
    }
}

/// The extent of the first axis, which all inputs must share.
fn batch_size(x: &Tensors) -> Result<usize, NnError> {
    let n = x.first().map_or(0, |x| x.shape().batch());
    match x.iter().find(|x| x.shape().batch() != n) {
        _ if n == 0 => {
            let (what, rule) = ("a batch", "at least one example");
            Err(NnError::Setting { what, rule, got: "none".into() })
        }
        Some(other) => {
            let (what, rule) = ("the inputs of a batch", "of the same number of examples");
            Err(NnError::Setting { what, rule, got: format!("{n} and {}", other.shape().batch()) })
        }
        None => Ok(n),
    }
}

impl Learner {
    /// The network.
    pub fn net(&self) -> &Graph {
        &self.net
    }

    /// The network to evaluate and save: that of the averages if the settings ask for them, else [`Learner::net`].
    pub fn evaluated(&self) -> &Graph {
        self.averaged.as_ref().map_or(&self.net, Averaged::net)
    }

    /// [`Learner::evaluated`] by value, for the end of training.
    pub fn into_net(self) -> Graph {
        self.averaged.map_or(self.net, Averaged::into_net)
    }

    /// The processes that take each step together.
    pub fn collective(&self) -> &dyn Collective {
        &*self.collective
    }

    /// Whether, in training, an image's output depends on the other images of the batch.
    pub fn couples_images(&self) -> bool {
        self.plan.couples_images(&self.net)
    }

    /// The number of steps taken, from which random numbers are derived.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Sets the number of steps taken.
    pub(crate) fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// The gradients accumulated since the last step, by parameter; after a step those that it used. Empty before the first
    /// batch.
    pub fn added(&self) -> &[Tensor] {
        self.pieces.first().map_or(&[], |piece| &piece.gradients)
    }

    /// All tensors: the network's as `model.*`, the optimizer's as `optimizer.*`, the averages' as `average.*`.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let averages = self.averaged.as_ref().map_or(Vec::new(), Averaged::state);
        [(MODEL, self.net.tensors()), (OPTIMIZER, self.optimizer.state()), (AVERAGE, averages)]
            .into_iter()
            .flat_map(|(prefix, tensors)| {
                tensors.into_iter().map(move |(name, tensor)| (format!("{prefix}{name}"), tensor))
            })
            .collect()
    }

    /// Restores the state that [`Learner::state`] gave after `steps` steps. Training then continues bit for bit. Accumulated
    /// gradients are dropped.
    /// # Errors
    /// A tensor is missing, surplus or of another shape. The learner must not be used afterwards.
    pub fn restore(&mut self, steps: u64, state: BTreeMap<String, Tensor>) -> Result<(), NnError> {
        let mut parts = [MODEL, OPTIMIZER, AVERAGE].map(|prefix| (prefix, BTreeMap::new()));
        for (name, tensor) in state {
            let part = parts.iter_mut().find_map(|(prefix, part)| Some((name.strip_prefix(*prefix)?, part)));
            match part {
                Some((name, part)) => drop(part.insert(name.to_string(), tensor)),
                None => return Err(NnError::parameter(name, None, Some(tensor.shape()))),
            }
        }
        let [model, optimizer, averages] = parts.map(|(_, part)| part);
        self.discard();
        self.net.restore(model)?;
        self.optimizer.restore(optimizer, &self.net)?;
        match (&mut self.averaged, averages.first_key_value()) {
            (Some(averaged), _) => averaged.restore(averages, &self.net)?,
            (None, Some((name, tensor))) => {
                return Err(NnError::parameter(format!("{AVERAGE}{name}"), None, Some(tensor.shape())));
            }
            (None, None) => {}
        }
        self.steps = steps;
        Ok(())
    }
}

const MODEL: &str = "model.";
const OPTIMIZER: &str = "optimizer.";
const AVERAGE: &str = "average.";

#[cfg(test)]
mod tests;
