//! The training loop.

mod average;

pub use average::Average;

use crate::optim::freeze;
use crate::profile::probe::{self, Pass, pass};
use crate::replicas::{Replicas, Score, score};
use crate::{
    Batch, Batches, Clip, Confusion, Layer, Moment, NnError, Optimizer, OptimizerSpec, ParameterGroup, Path,
    Penalty, Schedule, Sequential, StepOptions, Stepped, TrainingStep,
};
use average::Averaged;
use cnn_ops::CrossEntropy;
use cnn_tensor::simd::IMAGES;
use cnn_tensor::{Tensor, parallel, vector};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

/// How to train.
///
/// In a description every field may be left out, so that one written by an earlier version can be read; in code, write
/// those that matter and `..TrainSettings::default()`.
///
/// ```
/// use cnn_nn::TrainSettings;
/// let settings: TrainSettings = serde_json::from_str(r#"{"epochs": 3, "rate": 0.1, "clip": {"type": "norm", "max_norm": 1}}"#)?;
/// assert_eq!(settings.epochs, 3);
/// assert_eq!(TrainSettings { clip: None, ..settings }, TrainSettings { epochs: 3, rate: 0.1, ..TrainSettings::default() });
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSettings {
    /// Passes over the training set.
    pub epochs: usize,
    /// The learning rate that the schedule scales; above 0.
    pub rate: f32,
    /// The course of the learning rate.
    pub schedule: Schedule,
    /// The optimizer.
    pub optimizer: OptimizerSpec,
    /// Class weights, label smoothing and what else the cross-entropy of training may have. The test set is scored by the
    /// plain one.
    pub loss: CrossEntropy,
    /// Parameters that train differently; each belongs to the first group that takes it.
    pub groups: Vec<ParameterGroup>,
    /// Bounds on gradients.
    pub clip: Option<Clip>,
    /// An average of the weights, to be evaluated and saved in their place.
    pub average: Option<Average>,
    /// A penalty on large weights.
    pub penalty: Penalty,
    /// Fixes what is drawn at random in training; neither the initial weights, which are drawn when the network is built,
    /// nor the order of the images, which is the [`Batches`]'s.
    pub seed: u64,
}

impl Default for TrainSettings {
    /// Ten epochs of plain descent at a rate of 0.01, with seed 0 and nothing else.
    fn default() -> Self {
        Self {
            epochs: 10,
            rate: 0.01,
            schedule: Schedule::default(),
            optimizer: OptimizerSpec::default(),
            loss: CrossEntropy::default(),
            groups: Vec::new(),
            clip: None,
            average: None,
            penalty: Penalty::default(),
            seed: 0,
        }
    }
}

impl TrainSettings {
    /// That the settings can be used, for one network or another.
    ///
    /// # Errors
    /// A setting is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        self.optimizer.validate()?;
        self.schedule.validate()?;
        if !(self.rate.is_finite() && self.rate > 0.0) {
            let (what, rule) = ("the learning rate", "a number above 0");
            return Err(NnError::Setting { what, rule, got: self.rate.to_string() });
        }
        self.step_options().validate()?;
        self.average.map_or(Ok(()), |average| average.validate())
    }

    fn step_options(&self) -> StepOptions {
        StepOptions { groups: self.groups.clone(), clip: self.clip, penalty: self.penalty }
    }
}

/// Trains a network to classify, by the mean cross-entropy of its outputs.
///
/// ```
/// use cnn_nn::{Batch, Batches, NnError, Sequential, TrainSettings, Trainer, spec::linear};
/// use cnn_tensor::Tensor;
///
/// /// Points of the plane, and whether they lie above the diagonal.
/// struct Points;
/// impl Batches for Points {
///     fn examples(&self) -> usize { 4 }
///     fn batches(&self) -> usize { 1 }
///     fn epoch(&self, _: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
///         let x = Tensor::from_vec([4, 2], vec![0.0, 1.0, 1.0, 0.0, 0.2, 0.9, 0.8, 0.1]).expect("8 numbers");
///         Box::new(std::iter::once(Ok(Batch::new(x, vec![1, 0, 1, 0]))).skip(skip))
///     }
/// }
///
/// let net = Sequential::build([linear(2).named("fc")], [2], 0)?;
/// let settings = TrainSettings { epochs: 20, rate: 1.0, ..TrainSettings::default() };
/// let mut trainer = Trainer::new(net, settings)?;
/// trainer.fit(&Points, &Points, &mut ())?;
/// assert_eq!(trainer.progress().history[19].test_accuracy, 1.0);
/// # Ok::<(), NnError>(())
/// ```
pub struct Trainer {
    net: Sequential,
    settings: TrainSettings,
    optimizer: Box<dyn Optimizer>,
    averaged: Option<Averaged>,
    replicas: Replicas,
    progress: Progress,
}

/// How far a run has come: with the tensors of [`Trainer::state`], all that is needed to go on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Finished epochs.
    pub epoch: usize,
    /// Finished steps of the epoch under way.
    pub step: usize,
    /// Images seen in the epoch under way.
    pub seen: usize,
    /// The sum of their losses.
    pub loss: f64,
    /// How many of them were classified right when they were seen.
    pub correct: usize,
    /// What the finished epochs gave.
    pub history: Vec<EpochReport>,
}

/// What one epoch gave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochReport {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The mean loss of the training images, each as it was when it was seen.
    pub train_loss: f64,
    /// The share of training images classified right when they were seen, 0 to 1.
    pub train_accuracy: f64,
    /// The mean loss over the test images after the epoch.
    pub test_loss: f64,
    /// The share of test images classified right after the epoch, 0 to 1.
    pub test_accuracy: f64,
    /// The share of test images whose class was among the five likeliest after the epoch, 0 to 1.
    #[serde(default)]
    pub test_top5: f64,
}

/// What one step gave.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Images in the batch.
    pub images: usize,
    /// Their mean loss before the step, without the penalty.
    pub loss: f64,
    /// How many of them were classified right.
    pub correct: usize,
    /// The learning rate.
    pub rate: f32,
    /// The Euclidean norm of all gradients together, before they were bounded; only where [`Clip::Norm`] bounds it. The
    /// penalty's gradients are in it, those of frozen parameters are not.
    pub gradient_norm: Option<f64>,
    /// The penalty on the weights before the step; only if there is one.
    pub penalty: Option<f64>,
    /// Seconds that [`Trainer::fit`] waited for the batch.
    pub waited: f64,
}

/// What a network makes of a test set.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The mean loss.
    pub loss: f64,
    /// The share classified right, 0 to 1.
    pub accuracy: f64,
    /// The share whose class is among the five that the network thinks likeliest, 0 to 1.
    pub top5: f64,
    /// Who was taken for whom.
    pub confusion: Confusion,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// After its last epoch.
    Finished,
    /// The observer stopped it.
    Stopped,
}

/// Watches a run: draws a progress bar, saves checkpoints, stops it. `()` watches nothing.
pub trait Observer {
    /// Called after every step; `Break` ends the run, which can be resumed.
    ///
    /// # Errors
    /// Whatever the observer could not do; the run ends.
    fn step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<ControlFlow<()>, NnError> {
        let _ = (trainer, report);
        Ok(ControlFlow::Continue(()))
    }

    /// Called after every epoch, when the network has been evaluated; `Break` ends the run, which can be resumed.
    ///
    /// # Errors
    /// Whatever the observer could not do; the run ends.
    fn epoch(&mut self, trainer: &Trainer, evaluation: &Evaluation) -> Result<ControlFlow<()>, NnError> {
        let _ = (trainer, evaluation);
        Ok(ControlFlow::Continue(()))
    }
}

impl Observer for () {}

impl Trainer {
    /// A run that has not begun.
    ///
    /// # Errors
    /// A setting is outside its range, or a group takes none of the network's parameters.
    pub fn new(mut net: Sequential, settings: TrainSettings) -> Result<Self, NnError> {
        settings.validate()?;
        freeze(&settings.groups, &mut net)?;
        let mut optimizer = settings.optimizer.build_with(settings.step_options())?;
        // Before the first pass, whose memory the optimizer would otherwise take from under the second one.
        optimizer.prepare(&net)?;
        let averaged = settings.average.map(|average| Averaged::new(&net, average));
        let (replicas, progress) = (Replicas::default(), Progress::default());
        Ok(Self { net, settings, optimizer, averaged, replicas, progress })
    }

    /// Trains up to the last epoch, from wherever the run stands.
    ///
    /// # Errors
    /// The loss is no longer a finite number; or a batch, the network or the observer fails.
    pub fn fit(
        &mut self,
        train: &dyn Batches,
        test: &dyn Batches,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, NnError> {
        if self.progress.step > train.batches() {
            let rule = "a step of the epoch, which the data has too few batches for";
            return Err(NnError::Setting { what: "the progress", rule, got: self.progress.step.to_string() });
        }
        while self.progress.epoch < self.settings.epochs {
            let mut batches = train.epoch(self.progress.epoch, self.progress.step);
            loop {
                let asked = Instant::now();
                let Some(batch) = batches.next() else { break };
                let (batch, waited) = (batch?, asked.elapsed().as_secs_f64());
                if batch.labels.is_empty() {
                    self.progress.step += 1;
                    continue;
                }
                let report = StepReport { waited, ..self.step(&batch, train.batches())? };
                if observer.step(self, &report)?.is_break() {
                    return Ok(Outcome::Stopped);
                }
            }
            let evaluation = evaluate(self.evaluated(), test)?;
            self.progress.finish_epoch(&evaluation);
            if observer.epoch(self, &evaluation)?.is_break() {
                return Ok(Outcome::Stopped);
            }
        }
        Ok(Outcome::Finished)
    }

    /// One step of an epoch of `steps_per_epoch`: the gradients of the batch's mean loss, and what the optimizer makes of
    /// them. [`Trainer::fit`] does no more between two batches.
    ///
    /// # Errors
    /// The loss is no longer a finite number, or the norm of the gradients, where it is to be bounded; or the network
    /// cannot take the batch.
    pub fn step(&mut self, batch: &Batch, steps_per_epoch: usize) -> Result<StepReport, NnError> {
        let images = batch.labels.len();
        let done = self.progress.epoch * steps_per_epoch + self.progress.step;
        let at = TrainingStep { seed: self.settings.seed, step: done as u64, first_image: 0 };
        let Score { loss, correct } =
            self.replicas.gradients(&mut self.net, batch, at, &self.settings.loss)?;
        let progress = &mut self.progress;
        if !loss.is_finite() {
            let (epoch, step) = (progress.epoch + 1, progress.step + 1);
            return Err(NnError::NotFinite { loss: loss / images as f64, epoch, step });
        }
        let at = Moment {
            step: done,
            total_steps: self.settings.epochs.saturating_mul(steps_per_epoch),
            steps_per_epoch,
            history: &progress.history,
        };
        let rate = self.settings.schedule.rate(self.settings.rate, at);
        let Stepped { gradient_norm, penalty } = pass(probe::OPTIMIZER, Pass::Rest, || {
            let stepped = self.optimizer.step(&mut self.net, rate);
            if let (Ok(_), Some(averaged)) = (&stepped, &mut self.averaged) {
                averaged.update(&self.net);
            }
            stepped
        })?;
        progress.step += 1;
        progress.seen += images;
        progress.loss += loss;
        progress.correct += correct;
        let loss = loss / images as f64;
        Ok(StepReport { images, loss, correct, rate, gradient_norm, penalty, waited: 0.0 })
    }

    /// The network in training.
    pub fn net(&self) -> &Sequential {
        &self.net
    }

    /// The network that is evaluated after each epoch, and worth saving: that of the averages if the settings ask for
    /// them, else [`Trainer::net`].
    pub fn evaluated(&self) -> &Sequential {
        self.averaged.as_ref().map_or(&self.net, Averaged::net)
    }

    /// [`Trainer::evaluated`], when training is over; nothing in it is frozen any more.
    pub fn into_net(self) -> Sequential {
        let mut net = self.averaged.map_or(self.net, Averaged::into_net);
        net.visit_mut(Path::ROOT, &mut |_, parameter| parameter.frozen = false);
        net
    }

    /// How far the run has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The settings.
    pub fn settings(&self) -> &TrainSettings {
        &self.settings
    }

    /// The tensors of the run: the network's as `model.*`, the optimizer's as `optimizer.*`, the averages' as `average.*`.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let averages = self.averaged.as_ref().map_or(Vec::new(), Averaged::state);
        [(MODEL, self.net.tensors()), (OPTIMIZER, self.optimizer.state()), (AVERAGE, averages)]
            .into_iter()
            .flat_map(|(prefix, tensors)| {
                tensors.into_iter().map(move |(name, tensor)| (format!("{prefix}{name}"), tensor))
            })
            .collect()
    }

    /// Puts the run where `progress` and [`Trainer::state`] were taken; it then goes on bit for bit as it would have.
    ///
    /// # Errors
    /// A tensor is missing, surplus or of another shape. The trainer is then not to be used.
    pub fn restore(&mut self, progress: Progress, state: BTreeMap<String, Tensor>) -> Result<(), NnError> {
        let (epochs, history) = (self.settings.epochs, progress.history.len());
        if progress.epoch > epochs || progress.epoch != history {
            let rule = "a report for each finished epoch, and no more epochs than the settings say";
            let got = format!("{history} reports and {} of {epochs} epochs", progress.epoch);
            return Err(NnError::Setting { what: "the progress", rule, got });
        }
        let mut parts = [MODEL, OPTIMIZER, AVERAGE].map(|prefix| (prefix, BTreeMap::new()));
        for (name, tensor) in state {
            let part = parts.iter_mut().find_map(|(prefix, part)| Some((name.strip_prefix(*prefix)?, part)));
            match part {
                Some((name, part)) => drop(part.insert(name.to_string(), tensor)),
                None => return Err(NnError::parameter(name, None, Some(tensor.shape()))),
            }
        }
        let [model, optimizer, averages] = parts.map(|(_, part)| part);
        self.net.restore(model)?;
        self.optimizer.restore(optimizer, &self.net)?;
        match (&mut self.averaged, averages.first_key_value()) {
            (Some(averaged), _) => averaged.restore(averages, &self.net)?,
            (None, Some((name, tensor))) => {
                return Err(NnError::parameter(format!("{AVERAGE}{name}"), None, Some(tensor.shape())));
            }
            (None, None) => {}
        }
        self.progress = progress;
        Ok(())
    }
}

const MODEL: &str = "model.";
const OPTIMIZER: &str = "optimizer.";
const AVERAGE: &str = "average.";

impl Progress {
    fn finish_epoch(&mut self, evaluation: &Evaluation) {
        let seen = self.seen.max(1) as f64;
        let report = EpochReport {
            epoch: self.epoch + 1,
            train_loss: self.loss / seen,
            train_accuracy: self.correct as f64 / seen,
            test_loss: evaluation.loss,
            test_accuracy: evaluation.accuracy,
            test_top5: evaluation.top5,
        };
        let mut history = std::mem::take(&mut self.history);
        history.push(report);
        *self = Self { epoch: self.epoch + 1, history, ..Self::default() };
    }
}

/// What the network makes of all batches of epoch 0 of `test`.
///
/// Where a batch has several views of each example, the example's probabilities are the mean of those of its views, and
/// its loss is their negative logarithm at its class (Krizhevsky et al. 2012, section 4.1).
///
/// # Errors
/// There are no images, or a batch or the network fails.
pub fn evaluate(net: &Sequential, test: &dyn Batches) -> Result<Evaluation, NnError> {
    /// Inputs that one thread takes at a time.
    const PIECE: usize = 4 * IMAGES;
    let mut total = Score::default();
    let mut first_five = 0;
    let mut confusion: Option<Confusion> = None;
    let mut images = 0;
    for batch in test.epoch(0, 0) {
        let batch = batch?;
        if batch.labels.is_empty() {
            continue;
        }
        let (n, views) = (batch.checked_size()?, batch.views);
        images += n;
        let Batch { x, labels, .. } = batch;
        let piece = (PIECE / views).max(1);
        let pieces = parallel::map(n.div_ceil(piece), |i| -> Result<_, NnError> {
            let (start, end) = (i * piece, n.min((i + 1) * piece));
            let logits = net.infer_owned(x.slice_batch(start * views, end * views))?;
            let logits = if views == 1 { logits } else { mean_of_views(&logits, views)? };
            Ok((score(&logits, &labels[start..end])?, logits))
        });
        let mut labels = labels.iter();
        for piece in pieces {
            let (score, logits) = piece?;
            total += score;
            let classes = logits.shape().dims().last().copied().unwrap_or(0);
            let confusion = confusion.get_or_insert_with(|| Confusion::new(classes));
            let ranks = logits.data().chunks_exact(classes.max(1));
            for ((prediction, &label), logits) in
                crate::metrics::top1(&logits).into_iter().zip(labels.by_ref()).zip(ranks)
            {
                confusion.add(label, prediction)?;
                first_five += usize::from(crate::metrics::rank(logits, label) < 5);
            }
        }
    }
    let Some(confusion) = confusion else {
        return Err(NnError::Setting {
            what: "the test set",
            rule: "at least one image",
            got: "none".into(),
        });
    };
    let share = |count: usize| count as f64 / images as f64;
    let (accuracy, top5) = (share(total.correct), share(first_five));
    Ok(Evaluation { loss: total.loss / images as f64, accuracy, top5, confusion })
}

/// The logarithms of the mean probabilities of each `views` rows: logits again.
fn mean_of_views(logits: &Tensor, views: usize) -> Result<Tensor, NnError> {
    let probabilities = cnn_ops::softmax::softmax(logits)?;
    let classes = logits.shape().dims().last().copied().unwrap_or(0).max(1);
    let mut means = Tensor::zeros([logits.shape().batch() / views, classes]);
    let examples = probabilities.data().chunks_exact(views * classes);
    for (mean, views) in means.data_mut().chunks_exact_mut(classes).zip(examples) {
        for view in views.chunks_exact(classes) {
            vector::axpy(1.0, view, mean);
        }
    }
    means.data_mut().iter_mut().for_each(|p| *p = (*p / views as f32).ln());
    Ok(means)
}

#[cfg(test)]
mod tests;
