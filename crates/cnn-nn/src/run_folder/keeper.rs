//! Watches a run and keeps what it needs to go on.

use super::{BEST, Fingerprint, RunFolder, RunState, RunTimes};
use crate::{EpochReport, Model, ModelSpec, NnError, Observer, StepReport, Task, Trainer};
use cnn_tensor::Tensor;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// By which metric of the held-out examples an epoch is the best: the first with the best value.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    metric: String,
    highest: bool,
}

impl Best {
    /// The highest value is the best: `accuracy`.
    pub fn highest(metric: impl Into<String>) -> Self {
        Self { metric: metric.into(), highest: true }
    }

    /// The lowest value is the best: `loss`.
    pub fn lowest(metric: impl Into<String>) -> Self {
        Self { metric: metric.into(), highest: false }
    }

    /// The best of these epochs, with its value; `None` if none has the metric.
    ///
    /// ```
    /// use cnn_nn::{Best, EpochReport};
    /// let row = |epoch, accuracy| EpochReport { epoch, metrics: [("test_accuracy", accuracy)].into_iter().collect() };
    /// let history = [row(1, 0.5), row(2, 0.75), row(3, 0.75)];
    /// assert_eq!(Best::highest("accuracy").of(&history).map(|(row, value)| (row.epoch, value)), Some((2, 0.75)));
    /// ```
    pub fn of<'a>(&self, history: &'a [EpochReport]) -> Option<(&'a EpochReport, f64)> {
        let values = history.iter().filter_map(|row| Some((row, row.test(&self.metric)?)));
        values.reduce(|best, row| {
            let better = if self.highest { row.1 > best.1 } else { row.1 < best.1 };
            if better { row } else { best }
        })
    }
}

/// An [`Observer`] that saves a checkpoint every 20 seconds and after each epoch, writes the metrics, and keeps the network of
/// the best epoch if told to. Another observer can hold one and pass on what it is told.
pub struct Keeper<'a, C> {
    folder: &'a RunFolder,
    config: C,
    data: BTreeMap<String, Fingerprint>,
    model: Option<&'a ModelSpec>,
    best: Option<Best>,
    held_out: &'static str,
    every: Duration,
    stop: Option<&'a AtomicBool>,
    /// Of the processes before this one, and of this one up to the last checkpoint.
    times: RunTimes,
    total_since: Instant,
    epoch_since: Instant,
    step_since: Instant,
    saved: Instant,
}

impl<'a, C: Serialize + Clone> Keeper<'a, C> {
    /// Keeps a run in `folder`; `config` is the program's description of it. The clocks start now.
    pub fn new(folder: &'a RunFolder, config: C) -> Self {
        let now = Instant::now();
        Self {
            folder,
            config,
            data: BTreeMap::new(),
            model: None,
            best: None,
            held_out: "test",
            every: Duration::from_secs(20),
            stop: None,
            times: RunTimes::default(),
            total_since: now,
            epoch_since: now,
            step_since: now,
            saved: now,
        }
    }

    /// The same; checkpoints say that the run is one on these data.
    #[must_use]
    pub fn data(self, data: BTreeMap<String, Fingerprint>) -> Self {
        Self { data, ..self }
    }

    /// The same; `best.safetensors` is a model of this description, not a graph.
    #[must_use]
    pub fn model(self, spec: &'a ModelSpec) -> Self {
        Self { model: Some(spec), ..self }
    }

    /// The same; the network of the best epoch is kept in `best.safetensors`. The held-out examples must then not be those by
    /// which the result is judged: a choice made by them flatters it.
    #[must_use]
    pub fn best(self, best: Best) -> Self {
        Self { best: Some(best), ..self }
    }

    /// The same; `metrics.csv` calls the held-out examples so. Without it, `test`.
    #[must_use]
    pub fn held_out(self, name: &'static str) -> Self {
        Self { held_out: name, ..self }
    }

    /// The same, with this much time between two checkpoints within an epoch.
    #[must_use]
    pub fn every(self, every: Duration) -> Self {
        Self { every, ..self }
    }

    /// The same; the run stops after the step in which `stop` is set, with a checkpoint.
    #[must_use]
    pub fn stop_on(self, stop: &'a AtomicBool) -> Self {
        Self { stop: Some(stop), ..self }
    }

    /// Puts `trainer` where the checkpoint was taken, and takes over its times.
    ///
    /// # Errors
    /// The checkpoint is not one of such a run.
    pub fn resume<T: Task>(
        &mut self,
        state: RunState<C>,
        tensors: BTreeMap<String, Tensor>,
        trainer: &mut Trainer<T>,
    ) -> Result<(), NnError> {
        let restored = trainer.restore(state.progress, tensors);
        restored.map_err(|fault| fault.in_file(&self.folder.checkpoint()))?;
        self.times = state.times;
        Ok(())
    }

    /// Starts the clocks anew: time since [`Keeper::new`] went into preparations.
    pub fn start(&mut self) {
        let now = Instant::now();
        (self.total_since, self.epoch_since, self.step_since, self.saved) = (now, now, now, now);
    }

    /// How long the run has taken, up to the last step or epoch.
    pub fn times(&self) -> &RunTimes {
        &self.times
    }

    /// Whether the run is to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    fn save<T: Task>(&mut self, trainer: &Trainer<T>) -> Result<(), NnError> {
        let now = Instant::now();
        self.times.total += (now - self.total_since).as_secs_f64();
        self.total_since = now;
        let state = RunState {
            config: self.config.clone(),
            data: self.data.clone(),
            progress: trainer.progress().clone(),
            times: self.times.clone(),
        };
        self.folder.save(&state, &trainer.state())?;
        self.saved = Instant::now();
        Ok(())
    }

    fn save_best<T: Task>(&self, trainer: &Trainer<T>) -> Result<(), NnError> {
        let path = self.folder.file(BEST);
        match self.model {
            Some(spec) => Model::save_net(spec, trainer.evaluated(), &path),
            None => trainer.evaluated().save(&path),
        }
    }
}

impl<C: Serialize + Clone, T: Task> Observer<T> for Keeper<'_, C> {
    fn step(&mut self, trainer: &Trainer<T>, report: &StepReport) -> Result<ControlFlow<()>, NnError> {
        self.times.training += self.step_since.elapsed().as_secs_f64();
        self.times.examples += report.examples;
        self.times.waiting += report.waited;
        let stop = self.is_stopped();
        if stop || self.saved.elapsed() > self.every {
            self.save(trainer)?;
        }
        self.step_since = Instant::now();
        Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn epoch(&mut self, trainer: &Trainer<T>, report: &EpochReport) -> Result<ControlFlow<()>, NnError> {
        self.times.epochs.push(self.epoch_since.elapsed().as_secs_f64());
        let history = &trainer.progress().history;
        let is_best = |best: &Best| best.of(history).is_some_and(|(row, _)| row.epoch == report.epoch);
        if self.best.as_ref().is_some_and(is_best) {
            self.save_best(trainer)?;
        }
        // Before the checkpoint: a run that ends between the two writes them again.
        self.folder.write_metrics(history, &self.times.epochs, self.held_out)?;
        self.save(trainer)?;
        let now = Instant::now();
        (self.epoch_since, self.step_since) = (now, now);
        Ok(ControlFlow::Continue(()))
    }
}
