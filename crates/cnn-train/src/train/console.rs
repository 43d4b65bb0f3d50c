//! Shows a run: draws its progress, and gathers the last epoch's outputs. Keeping it is the [`Keeper`]'s.

use super::Config;
use super::tested::Tested;
use crate::fault::note;
use crate::progress::{self, Lines, clock};
use cnn_nn::{
    Batch, EpochReport, Keeper, ModelSpec, NnError, Observer, Progress, RunTimes, StepReport, Tensors,
    Trainer,
};
use indicatif::ProgressBar;
use std::ops::ControlFlow;
use std::time::Instant;

/// The observer of a run.
pub struct Console<'a> {
    config: &'a Config,
    spec: &'a ModelSpec,
    keeper: Keeper<'a, Config>,
    train_images: usize,
    /// The last epoch's pass over the test set.
    tested: Option<Tested>,
    bar: ProgressBar,
    /// The times of the processes before this one.
    earlier: RunTimes,
    /// When this process began.
    since: Instant,
    lines: Lines,
}

impl<'a> Console<'a> {
    pub fn new(
        config: &'a Config,
        spec: &'a ModelSpec,
        keeper: Keeper<'a, Config>,
        train_images: usize,
    ) -> Self {
        let total = config.training.epochs.saturating_mul(train_images) as u64;
        let bar = progress::bar(Some(total), "{msg} [{bar:30}] {percent:>3} %  {remaining} left");
        let earlier = keeper.times().clone();
        Self {
            config,
            spec,
            keeper,
            train_images,
            tested: None,
            bar,
            earlier,
            since: Instant::now(),
            lines: Lines::new(),
        }
    }

    /// Says where a run goes on.
    pub fn resume(&self, progress: &Progress) {
        let Progress { epoch, seen, .. } = progress;
        self.line(&format!("resuming in epoch {} after {seen} images", epoch + 1));
        self.bar.set_position((epoch * self.train_images + seen) as u64);
        self.bar.reset_eta();
    }

    /// Prints the head line and starts the clocks.
    pub fn start(&mut self, head: &str) {
        self.line(head);
        self.keeper.start();
        (self.since, self.lines) = (Instant::now(), Lines::new());
    }

    /// Clears the bar; how long the run took, and the last epoch's pass over the test set, if there was one.
    pub fn finish(self) -> (RunTimes, Option<Tested>) {
        self.bar.finish_and_clear();
        let total = self.earlier.total + self.since.elapsed().as_secs_f64();
        (RunTimes { total, ..self.keeper.times().clone() }, self.tested)
    }

    /// A line that stays, above the bar.
    fn line(&self, text: &str) {
        if self.bar.is_hidden() { note(text) } else { self.bar.println(text) }
    }
}

impl Observer for Console<'_> {
    fn step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<ControlFlow<()>, NnError> {
        let flow = self.keeper.step(trainer, report)?;
        let (times, earlier) = (self.keeper.times(), &self.earlier);
        // The rate is this process's.
        let seconds = (times.training - earlier.training).max(1e-9);
        let rate = (times.examples - earlier.examples) as f64 / seconds;
        let waiting = 100.0 * (times.waiting - earlier.waiting) / seconds;
        let (progress, epochs) = (trainer.progress(), self.config.training.epochs);
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
            let left = epochs.saturating_mul(self.train_images).saturating_sub(done) as f64 / rate;
            let (seen, all) = (progress.seen, self.train_images);
            format!("{}  {seen}/{all} images  {} left", status(), clock(left as u64))
        });
        if flow.is_break() {
            self.bar.finish_and_clear();
        }
        Ok(flow)
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
        let flow = self.keeper.epoch(trainer, report)?;
        let seconds = self.keeper.times().epochs.last().copied().unwrap_or_default();
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
        Ok(flow)
    }
}
