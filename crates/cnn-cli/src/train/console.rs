//! Watches a run: draws its progress, keeps its times, saves its checkpoints.

use super::folder::{Folder, RunState, Times};
use super::tested::Tested;
use super::{Config, INTERRUPTED};
use crate::fault::note;
use crate::progress::{self, Lines, clock};
use cnn_nn::{
    Batch, EpochReport, Model, ModelSpec, NnError, Observer, Progress, StepReport, Tensors, Trainer,
};
use indicatif::ProgressBar;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Between two checkpoints within an epoch.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(20);

/// The observer of a run.
pub struct Console<'a> {
    config: &'a Config,
    spec: &'a ModelSpec,
    folder: &'a Folder,
    train_images: usize,
    /// The last epoch's pass over the test set.
    tested: Option<Tested>,
    bar: ProgressBar,
    /// What was spent before this process, and up to the last epoch or checkpoint of this one.
    times: Times,
    /// When `times.total` was last brought up to date, when the epoch under way began, when the last step ended.
    total_since: Instant,
    epoch_since: Instant,
    step_since: Instant,
    /// Training seconds and images of this process: its rate.
    here: (f64, usize),
    /// Seconds of them in which training waited for a batch.
    waited: f64,
    last_checkpoint: Instant,
    lines: Lines,
}

impl<'a> Console<'a> {
    pub fn new(config: &'a Config, spec: &'a ModelSpec, folder: &'a Folder, train_images: usize) -> Self {
        let total = (config.training.epochs * train_images) as u64;
        let bar = progress::bar(Some(total), "{msg} [{bar:30}] {percent:>3} %  {remaining} left");
        let now = Instant::now();
        Self {
            config,
            spec,
            folder,
            train_images,
            tested: None,
            bar,
            times: Times::default(),
            total_since: now,
            epoch_since: now,
            step_since: now,
            here: (0.0, 0),
            waited: 0.0,
            last_checkpoint: now,
            lines: Lines::new(),
        }
    }

    /// Takes over the times of the run that goes on.
    pub fn resume(&mut self, state: RunState) {
        let Progress { epoch, seen, .. } = state.progress;
        self.line(&format!("resuming in epoch {} after {seen} images", epoch + 1));
        self.bar.set_position((epoch * self.train_images + seen) as u64);
        self.bar.reset_eta();
        self.times = state.times;
    }

    /// Prints the head line and starts the clocks.
    pub fn start(&mut self, head: &str) {
        self.line(head);
        let now = Instant::now();
        (self.total_since, self.epoch_since, self.step_since) = (now, now, now);
        (self.last_checkpoint, self.lines) = (now, Lines::new());
    }

    /// Clears the bar; how long the run took, and the last epoch's pass over the test set, if there was one.
    pub fn finish(mut self) -> (Times, Option<Tested>) {
        self.bar.finish_and_clear();
        self.update_total();
        (self.times, self.tested)
    }

    /// A line that stays, above the bar.
    fn line(&self, text: &str) {
        if self.bar.is_hidden() { note(text) } else { self.bar.println(text) }
    }

    fn update_total(&mut self) {
        self.times.total += self.total_since.elapsed().as_secs_f64();
        self.total_since = Instant::now();
    }

    fn save(&mut self, trainer: &Trainer) -> Result<(), NnError> {
        self.update_total();
        let (config, progress) = (self.config.clone(), trainer.progress().clone());
        let state = RunState { config, progress, times: self.times.clone() };
        self.folder.save_checkpoint(&state, trainer)?;
        self.last_checkpoint = Instant::now();
        Ok(())
    }

    fn rate(&self) -> f64 {
        self.here.1 as f64 / self.here.0.max(1e-9)
    }
}

impl Observer for Console<'_> {
    fn step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<ControlFlow<()>, NnError> {
        let seconds = self.step_since.elapsed().as_secs_f64();
        self.times.training += seconds;
        self.times.images += report.examples;
        self.times.waiting += report.waited;
        self.waited += report.waited;
        self.here = (self.here.0 + seconds, self.here.1 + report.examples);
        let (progress, epochs, rate) = (trainer.progress(), self.config.training.epochs, self.rate());
        let waiting = 100.0 * self.waited / self.here.0.max(1e-9);
        let status = || {
            let (epoch, loss) = (progress.epoch + 1, trainer.running().get("loss").unwrap_or_default());
            format!("epoch {epoch:>2}/{epochs}  loss {loss:.4}  {rate:>6.0} images/s  {waiting:.0} % waiting")
        };
        self.bar.inc(report.examples as u64);
        if !self.bar.is_hidden() {
            self.bar.set_message(status());
        }
        self.lines.note(&self.bar, || {
            let done = progress.epoch * self.train_images + progress.seen;
            let left = (epochs * self.train_images - done) as f64 / rate;
            let (seen, all) = (progress.seen, self.train_images);
            format!("{}  {seen}/{all} images  {} left", status(), clock(left as u64))
        });
        let stop = INTERRUPTED.load(Ordering::Relaxed);
        if stop || self.last_checkpoint.elapsed() > CHECKPOINT_EVERY {
            self.save(trainer)?;
        }
        if stop {
            self.bar.finish_and_clear();
            return Ok(ControlFlow::Break(()));
        }
        self.step_since = Instant::now();
        Ok(ControlFlow::Continue(()))
    }

    fn outputs(
        &mut self,
        trainer: &Trainer,
        batch: &Batch,
        first: usize,
        y: &Tensors,
    ) -> Result<(), NnError> {
        let is_last = trainer.progress().epoch + 1 == self.config.training.epochs;
        if !is_last || self.config.validation.is_some() {
            return Ok(());
        }
        self.tested.get_or_insert_with(|| Tested::new(&self.spec.classes)).add(batch, first, y)
    }

    fn epoch(&mut self, trainer: &Trainer, report: &EpochReport) -> Result<ControlFlow<()>, NnError> {
        let seconds = self.epoch_since.elapsed().as_secs_f64();
        self.times.epochs.push(seconds);
        let history = &trainer.progress().history;
        let of = |value: Option<f64>| value.unwrap_or_default();
        let held_out = self.config.held_out();
        // Of ten classes, five are no feat.
        let top5 = match self.spec.classes.len() {
            0..20 => String::new(),
            _ => format!("  top-5 {:.2} %", 100.0 * of(report.test("top5"))),
        };
        self.line(&format!(
            "epoch {:>2}/{}  train loss {:.4}  {held_out} loss {:.4}  {held_out} accuracy {:.2} %{top5}  {seconds:.1} s",
            report.epoch,
            self.config.training.epochs,
            of(report.train("loss")),
            of(report.test("loss")),
            100.0 * of(report.test("accuracy"))
        ));
        let earlier = &history[..history.len() - 1];
        if self.config.validation.is_some()
            && earlier.iter().all(|earlier| earlier.test("accuracy") < report.test("accuracy"))
        {
            save_model(self.spec, trainer, &self.folder.file("best.safetensors"))?;
        }
        // Before the checkpoint: a run that ends between the two writes them again.
        self.folder.write_metrics(history, &self.times.epochs, held_out)?;
        self.save(trainer)?;
        let now = Instant::now();
        (self.epoch_since, self.step_since) = (now, now);
        Ok(ControlFlow::Continue(()))
    }
}

/// Writes the trainer's network as a model file.
pub fn save_model(spec: &ModelSpec, trainer: &Trainer, path: &std::path::Path) -> Result<(), NnError> {
    Model::save_net(spec, trainer.evaluated(), path)
}
