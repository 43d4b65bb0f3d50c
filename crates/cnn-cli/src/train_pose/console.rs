//! Shows a stage's run: a bar with the time left, and a line for each epoch. Keeping it is the [`Keeper`]'s.

use super::config::Config;
use super::stage::Joints;
use crate::fault::note;
use crate::progress::{self, Lines, clock};
use cnn_nn::{EpochReport, Keeper, NnError, Observer, Progress, StepReport, Trainer};
use indicatif::ProgressBar;
use std::ops::ControlFlow;

pub struct Console<'a> {
    keeper: Keeper<'a, Config>,
    epochs: usize,
    /// Views in an epoch.
    views: usize,
    bar: ProgressBar,
    /// The training time and the views of the processes before this one.
    earlier: (f64, usize),
    lines: Lines,
}

impl<'a> Console<'a> {
    /// For stage `stage`, from 1.
    pub fn new(stage: usize, config: &Config, keeper: Keeper<'a, Config>, views: usize) -> Self {
        let epochs = config.stages[stage - 1].training.epochs;
        let total = epochs.saturating_mul(views) as u64;
        let bar = progress::bar(Some(total), "{msg} [{bar:30}] {percent:>3} %  {remaining} left");
        let earlier = (keeper.times().training, keeper.times().examples);
        Self { keeper, epochs, views, bar, earlier, lines: Lines::new() }
    }

    /// Says where a run goes on.
    pub fn resume(&self, progress: &Progress) {
        let Progress { epoch, seen, .. } = progress;
        self.bar.set_position((epoch * self.views + seen) as u64);
        self.bar.reset_eta();
        if *epoch < self.epochs {
            self.line(&format!("resuming in epoch {} after {seen} views", epoch + 1));
        }
    }

    /// Prints the head line and starts the clocks.
    pub fn start(&mut self, head: &str) {
        self.line(head);
        self.keeper.start();
    }

    /// Clears the bar.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }

    /// A line that stays, above the bar.
    fn line(&self, text: &str) {
        if self.bar.is_hidden() { note(text) } else { self.bar.println(text) }
    }
}

impl Observer<Joints> for Console<'_> {
    fn step(&mut self, trainer: &Trainer<Joints>, report: &StepReport) -> Result<ControlFlow<()>, NnError> {
        let flow = self.keeper.step(trainer, report)?;
        let times = self.keeper.times();
        let rate = (times.examples - self.earlier.1) as f64 / (times.training - self.earlier.0).max(1e-9);
        let (progress, epochs, views) = (trainer.progress(), self.epochs, self.views);
        let status = || {
            let loss = trainer.running().get("loss").unwrap_or_default();
            format!("epoch {:>2}/{epochs}  loss {loss:.4}  {rate:>4.0} views/s", progress.epoch + 1)
        };
        self.bar.inc(report.examples as u64);
        if !self.bar.is_hidden() {
            self.bar.set_message(status());
        }
        self.lines.note(&self.bar, || {
            let done = progress.epoch * views + progress.seen;
            let left = epochs.saturating_mul(views).saturating_sub(done) as f64 / rate;
            format!("{}  {}/{views} views  {} left", status(), progress.seen, clock(left as u64))
        });
        if flow.is_break() {
            self.bar.finish_and_clear();
        }
        Ok(flow)
    }

    fn epoch(&mut self, trainer: &Trainer<Joints>, report: &EpochReport) -> Result<ControlFlow<()>, NnError> {
        let flow = self.keeper.epoch(trainer, report)?;
        let seconds = self.keeper.times().epochs.last().copied().unwrap_or_default();
        let of = |value: Option<f64>| value.unwrap_or_default();
        // Of the square's side.
        self.line(&format!(
            "epoch {:>2}/{}  training loss {:.4}  validation loss {:.4}  a coordinate is off by {:.2} %  {seconds:.1} s",
            report.epoch,
            self.epochs,
            of(report.train("loss")),
            of(report.test("loss")),
            100.0 * of(report.test("mae")),
        ));
        Ok(flow)
    }
}
