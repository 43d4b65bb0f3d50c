//! The training loop.

use crate::task::join;
use crate::{
    Batch, Batches, Classify, Collective, EpochReport, Graph, Learner, List, Metrics, Moment, NnError,
    Progress, Score, Stepped, Target, Task, Tensors, TrainSettings, evaluate_with,
};
use cnn_tensor::Tensor;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

/// Trains a network for a [`Task`]: a loop over [`Learner`], with a schedule, reports and an evaluation after each epoch.
///
/// ```
/// use cnn_nn::{Batch, Batches, Classify, Graph, NnError, TrainSettings, Trainer, spec::linear};
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
/// let net = Graph::build([linear(2).named("fc")], [2], 0)?;
/// let settings = TrainSettings { epochs: 20, learning_rate: 1.0, ..TrainSettings::default() };
/// let mut trainer = Trainer::new(net, Classify::default(), settings)?;
/// trainer.fit(&Points, &Points, &mut ())?;
/// assert_eq!(trainer.progress().history[19].test("accuracy"), Some(1.0));
/// # Ok::<(), NnError>(())
/// ```
pub struct Trainer<T: Task = Classify> {
    learner: Learner,
    task: T,
    settings: TrainSettings,
    progress: Progress,
}

/// The report of one step.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// The number of examples in the batch.
    pub examples: usize,
    /// The mean loss of the batch before the step, without the penalty.
    pub loss: f64,
    /// The sums of losses and metrics over the batch.
    pub score: Score,
    /// The learning rate.
    pub learning_rate: f32,
    /// The Euclidean norm of all gradients together, before clipping. Only measured where [`Clip::Norm`](crate::Clip) is set.
    /// Includes the penalty's gradients, but not those of frozen parameters.
    pub gradient_norm: Option<f64>,
    /// The penalty on the weights before the step, if there is one.
    pub penalty: Option<f64>,
    /// The seconds that [`Trainer::fit`] waited for the batch.
    pub waited: f64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The last epoch is finished.
    Finished,
    /// The observer stopped the run.
    Stopped,
}

/// Watches a run: draws a progress bar, saves checkpoints, stops it. `()` watches nothing.
pub trait Observer<T: Task = Classify> {
    /// Called after every step. `Break` ends the run, which can be resumed.
    ///
    /// # Errors
    /// An error of the observer, which ends the run.
    fn step(&mut self, trainer: &Trainer<T>, report: &StepReport) -> Result<ControlFlow<()>, NnError> {
        let _ = (trainer, report);
        Ok(ControlFlow::Continue(()))
    }

    /// Called during the evaluation after every epoch: with each batch, the index of an example in it, and the outputs for that
    /// example and those that follow. An observer that needs the outputs of the last epoch gets them here, without another pass.
    ///
    /// # Errors
    /// An error of the observer, which ends the run.
    fn outputs(
        &mut self,
        trainer: &Trainer<T>,
        batch: &Batch<T::Target>,
        first: usize,
        outputs: &Tensors,
    ) -> Result<(), NnError> {
        let _ = (trainer, batch, first, outputs);
        Ok(())
    }

    /// Called after every epoch, when the network has been evaluated. `Break` ends the run, which can be resumed.
    ///
    /// # Errors
    /// An error of the observer, which ends the run.
    fn epoch(&mut self, trainer: &Trainer<T>, report: &EpochReport) -> Result<ControlFlow<()>, NnError> {
        let _ = (trainer, report);
        Ok(ControlFlow::Continue(()))
    }
}

impl<T: Task> Observer<T> for () {}

impl<T: Task> Trainer<T> {
    /// A run that has not begun.
    ///
    /// # Errors
    /// A setting is outside its range, or a group takes none of the network's parameters.
    pub fn new(net: Graph, task: T, settings: TrainSettings) -> Result<Self, NnError> {
        settings.validate()?;
        let learner = Learner::new(net, settings.learning())?;
        Ok(Self { learner, task, settings, progress: Progress::default() })
    }

    /// Trains until the last epoch is finished, starting from the current progress.
    ///
    /// # Errors
    /// The loss or a metric is not finite, or a batch, the network or the observer fails.
    pub fn fit(
        &mut self,
        train: &dyn Batches<T::Target>,
        test: &dyn Batches<T::Target>,
        observer: &mut dyn Observer<T>,
    ) -> Result<Outcome, NnError> {
        if self.progress.step > train.batches() {
            let rule = "a step within the epoch's batches";
            return Err(NnError::Setting { what: "the progress", rule, got: self.progress.step.to_string() });
        }
        let mut gathered = Vec::with_capacity(self.settings.accumulate);
        while self.progress.epoch < self.settings.epochs {
            let mut batches = train.epoch(self.progress.epoch, self.progress.step);
            loop {
                let asked = Instant::now();
                let mut taken = 0;
                gathered.clear();
                for batch in batches.by_ref().take(self.settings.accumulate) {
                    let batch = batch?;
                    taken += 1;
                    // A batch whose examples were all faulty is empty.
                    if batch.target.examples() > 0 {
                        gathered.push(batch);
                    }
                }
                if gathered.is_empty() {
                    self.progress.step += taken;
                    if taken == 0 {
                        break;
                    }
                    continue;
                }
                let waited = asked.elapsed().as_secs_f64();
                let report = StepReport { waited, ..self.step_on(&gathered, taken, train.batches())? };
                if observer.step(self, &report)?.is_break() {
                    return Ok(Outcome::Stopped);
                }
            }
            let metrics = evaluate_with(self.evaluated(), &self.task, test, &mut |batch, first, y| {
                observer.outputs(self, batch, first, y)
            })?;
            let seen = self.progress.running(&self.task);
            seen.check("the metrics of an epoch")?;
            self.progress.finish_epoch(&seen, &metrics);
            let report = self.progress.history[self.progress.epoch - 1].clone();
            if observer.epoch(self, &report)?.is_break() {
                return Ok(Outcome::Stopped);
            }
        }
        Ok(Outcome::Finished)
    }

    /// One step of an epoch of `batches_per_epoch` batches: computes the gradients of the batch's loss and lets the optimizer
    /// apply them. [`Trainer::fit`] does no more between two batches. Where the settings accumulate several batches for a step,
    /// this one batch stands for all of them.
    ///
    /// # Errors
    /// The loss is not finite, or the norm of the gradients is not finite where it is to be clipped; or the network
    /// cannot take the batch.
    pub fn step(
        &mut self,
        batch: &Batch<T::Target>,
        batches_per_epoch: usize,
    ) -> Result<StepReport, NnError> {
        let left = batches_per_epoch.saturating_sub(self.progress.step);
        let taken = self.settings.accumulate.min(left).max(1);
        self.step_on(std::slice::from_ref(batch), taken, batches_per_epoch)
    }

    /// One step on several batches. `taken` counts empty batches, too.
    fn step_on(
        &mut self,
        batches: &[Batch<T::Target>],
        taken: usize,
        batches_per_epoch: usize,
    ) -> Result<StepReport, NnError> {
        for batch in batches {
            batch.checked_size()?;
            if batch.views != 1 {
                let (what, rule) = ("the views of a training batch", "1 of each image");
                return Err(NnError::Setting { what, rule, got: batch.views.to_string() });
            }
        }
        let steps_per_epoch = batches_per_epoch.div_ceil(self.settings.accumulate);
        let done = self.progress.epoch * steps_per_epoch + self.progress.step / self.settings.accumulate;
        // Gradients left over from a step that failed.
        self.learner.discard();
        self.learner.set_steps(done as u64);
        let score = self.gradients(batches)?;
        let (loss, progress) = (self.task.mean_loss(&score), &mut self.progress);
        if !loss.is_finite() {
            let (epoch, step) = (progress.epoch + 1, progress.step + 1);
            return Err(NnError::NotFinite { loss, epoch, step });
        }
        let learning_rate = self.settings.schedule.learning_rate(
            self.settings.learning_rate,
            Moment {
                step: done,
                total_steps: self.settings.epochs.saturating_mul(steps_per_epoch),
                steps_per_epoch,
                history: &progress.history,
            },
        );
        let Stepped { gradient_norm, penalty } = self.learner.apply(learning_rate)?;
        let examples = batches.iter().map(|batch| batch.target.examples()).sum();
        progress.step += taken;
        progress.seen += examples;
        progress.add(&score);
        Ok(StepReport { examples, loss, score, learning_rate, gradient_norm, penalty, waited: 0.0 })
    }

    /// Adds up the gradients of the batches, and their scores. Batches whose images do not depend on each other go through the
    /// network as one batch, where their shapes allow it.
    fn gradients(&mut self, batches: &[Batch<T::Target>]) -> Result<Score, NnError> {
        let divisors = self.divisors(batches)?;
        let apart = batches.len() == 1 || self.learner.couples_images();
        if !apart && let Ok((inputs, target)) = joined(batches) {
            return self.add(&inputs, &target, batches[0].first, &divisors);
        }
        let mut total = Score::default();
        for batch in batches {
            total += self.add(&batch.inputs, &batch.target, batch.first, &divisors)?;
        }
        Ok(total)
    }

    /// The divisors of all batches of the step together, over all processes.
    fn divisors(&self, batches: &[Batch<T::Target>]) -> Result<List<f64>, NnError> {
        let mut sum = self.task.divisors(&batches[0].target);
        for batch in &batches[1..] {
            let more = self.task.divisors(&batch.target);
            sum.iter_mut().zip(&more).for_each(|(sum, more)| *sum += more);
        }
        self.learner.collective().sum_f64(&mut sum)?;
        Ok(sum)
    }

    fn add(
        &mut self,
        x: &Tensors,
        target: &T::Target,
        first: usize,
        divisors: &[f64],
    ) -> Result<Score, NnError> {
        let task = &self.task;
        self.learner.add_at(x, first, |part, y| {
            let mut score = Score::default();
            let dy = task.loss(y, target, part, divisors, &mut score)?;
            Ok((score, dy))
        })
    }

    /// The same trainer as one of several processes that take each step together.
    #[must_use]
    pub fn among(self, collective: impl Collective + 'static) -> Self {
        Self { learner: self.learner.among(collective), ..self }
    }

    /// The network in training.
    pub fn net(&self) -> &Graph {
        self.learner.net()
    }

    /// The network that is evaluated after each epoch and should be saved: that of the averages if the settings ask for
    /// them, else [`Trainer::net`].
    pub fn evaluated(&self) -> &Graph {
        self.learner.evaluated()
    }

    /// [`Trainer::evaluated`] by value, for the end of training.
    pub fn into_net(self) -> Graph {
        self.learner.into_net()
    }

    /// The learner that takes the steps.
    pub fn learner(&self) -> &Learner {
        &self.learner
    }

    /// The task that the network is trained for.
    pub fn task(&self) -> &T {
        &self.task
    }

    /// The progress of the run.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The metrics of the current epoch so far, each example scored at the time of its step.
    pub fn running(&self) -> Metrics {
        self.progress.running(&self.task)
    }

    /// The settings.
    pub fn settings(&self) -> &TrainSettings {
        &self.settings
    }

    /// The tensors of the run, as [`Learner::state`].
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.learner.state()
    }

    /// Restores the run to the state at which `progress` and [`Trainer::state`] were taken. It then continues bit for bit.
    ///
    /// # Errors
    /// A tensor is missing, surplus or of another shape. The trainer must not be used afterwards.
    pub fn restore(&mut self, progress: Progress, state: BTreeMap<String, Tensor>) -> Result<(), NnError> {
        let (epochs, history) = (self.settings.epochs, progress.history.len());
        if progress.epoch > epochs || progress.epoch != history {
            let rule = "a report for each finished epoch, and no more epochs than the settings say";
            let got = format!("{history} reports and {} of {epochs} epochs", progress.epoch);
            return Err(NnError::Setting { what: "the progress", rule, got });
        }
        self.learner.restore(0, state)?;
        self.progress = progress;
        Ok(())
    }
}

/// The inputs and targets of several batches, concatenated.
fn joined<T: Target>(batches: &[Batch<T>]) -> Result<(Tensors, T), NnError> {
    let expected = batches[0].inputs.len();
    if let Some(other) = batches.iter().find(|batch| batch.inputs.len() != expected) {
        let (what, got) = ("the number of inputs of a batch", other.inputs.len());
        return Err(NnError::Count { what, expected, got });
    }
    let slot = |slot| join(&batches.iter().map(|batch| &batch.inputs[slot]).collect::<Vec<&Tensor>>());
    let inputs = (0..expected).map(slot).collect::<Result<Vec<Tensor>, _>>()?;
    let targets: Vec<&T> = batches.iter().map(|batch| &batch.target).collect();
    Ok((inputs.into_iter().collect(), T::join(&targets)?))
}

#[cfg(test)]
mod tests;
