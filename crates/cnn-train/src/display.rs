//! What a run shows: a bar with its rate and the time left, and lines above it. Each command says what stands in them.

use crate::fault::note;
use crate::progress::{self, Lines, clock};
use cnn_nn::{Keeper, NnError, Observer, Progress, RunTimes, StepReport, Task, Trainer};
use indicatif::ProgressBar;
use serde::Serialize;
use std::ops::ControlFlow;
use std::time::Instant;

/// The display of a run, which its [`Keeper`] keeps.
pub struct Display<'a, C> {
    keeper: Keeper<'a, C>,
    epochs: usize,
    /// Examples in an epoch, and what they are: `images`.
    examples: usize,
    unit: &'static str,
    bar: ProgressBar,
    /// The times of the processes before this one.
    earlier: RunTimes,
    /// When this process began.
    since: Instant,
    lines: Lines,
}

/// How fast this process trains.
#[derive(Clone, Copy)]
pub struct Pace {
    /// Examples in a second.
    pub rate: f64,
    /// The share of the time that is spent waiting for batches, in per cent.
    pub waiting: f64,
}

impl<'a, C: Serialize + Clone> Display<'a, C> {
    pub fn new(epochs: usize, examples: usize, unit: &'static str, keeper: Keeper<'a, C>) -> Self {
        let total = epochs.saturating_mul(examples) as u64;
        let bar = progress::bar(Some(total), "{msg} [{bar:30}] {percent:>3} %  {remaining} left");
        let (earlier, since, lines) = (keeper.times().clone(), Instant::now(), Lines::new());
        Self { keeper, epochs, examples, unit, bar, earlier, since, lines }
    }

    /// Says where a run goes on.
    pub fn resume(&self, progress: &Progress) {
        let Progress { epoch, seen, .. } = progress;
        self.line(&format!("resuming in epoch {} after {seen} {}", epoch + 1, self.unit));
        self.bar.set_position((epoch * self.examples + seen) as u64);
        self.bar.reset_eta();
    }

    /// Prints the head line and starts the clocks.
    pub fn start(&mut self, head: &str) {
        self.line(head);
        self.keeper.start();
        (self.since, self.lines) = (Instant::now(), Lines::new());
    }

    /// Clears the bar; how long the run took.
    pub fn finish(self) -> RunTimes {
        self.bar.finish_and_clear();
        let total = self.earlier.total + self.since.elapsed().as_secs_f64();
        RunTimes { total, ..self.keeper.times().clone() }
    }

    /// A line that stays, above the bar.
    pub fn line(&self, text: &str) {
        if self.bar.is_hidden() { note(text) } else { self.bar.println(text) }
    }

    /// Shows a step, by the `status` that begins the line, and keeps it.
    pub fn step<T: Task>(
        &mut self,
        trainer: &Trainer<T>,
        report: &StepReport,
        status: impl Fn(Pace) -> String,
    ) -> Result<ControlFlow<()>, NnError> {
        let flow = self.keeper.step(trainer, report)?;
        let (times, earlier) = (self.keeper.times(), &self.earlier);
        // The rate is this process's.
        let seconds = (times.training - earlier.training).max(1e-9);
        let pace = Pace {
            rate: (times.examples - earlier.examples) as f64 / seconds,
            waiting: 100.0 * (times.waiting - earlier.waiting) / seconds,
        };
        self.bar.inc(report.examples as u64);
        if !self.bar.is_hidden() {
            self.bar.set_message(status(pace));
        }
        let Progress { epoch, seen, .. } = *trainer.progress();
        let (epochs, all, unit) = (self.epochs, self.examples, self.unit);
        self.lines.note(&self.bar, || {
            let left = epochs.saturating_mul(all).saturating_sub(epoch * all + seen) as f64 / pace.rate;
            format!("{}  {seen}/{all} {unit}  {} left", status(pace), clock(left as u64))
        });
        if flow.is_break() {
            self.bar.finish_and_clear();
        }
        Ok(flow)
    }

    /// Keeps an epoch; with the seconds that it took.
    pub fn epoch<T: Task>(
        &mut self,
        trainer: &Trainer<T>,
        report: &cnn_nn::EpochReport,
    ) -> Result<(ControlFlow<()>, f64), NnError> {
        let flow = self.keeper.epoch(trainer, report)?;
        Ok((flow, self.keeper.times().epochs.last().copied().unwrap_or_default()))
    }
}
