//! Shows a run; keeping it is the [`Keeper`]'s.

use super::Config;
use crate::fault::note;
use crate::progress::{self, Lines, clock};
use cnn_nn::{EpochReport, Keeper, NnError, Observer, Progress, RunTimes, Sequence, StepReport, Trainer};
use indicatif::ProgressBar;
use std::ops::ControlFlow;
use std::time::Instant;

/// The observer of a run.
pub struct Console<'a> {
    keeper: Keeper<'a, Config>,
    epochs: usize,
    captions: usize,
    bar: ProgressBar,
    /// The times of the processes before this one.
    earlier: RunTimes,
    since: Instant,
    lines: Lines,
}

impl<'a> Console<'a> {
    pub fn new(epochs: usize, keeper: Keeper<'a, Config>, captions: usize) -> Self {
        let total = epochs.saturating_mul(captions) as u64;
        let bar = progress::bar(Some(total), "{msg} [{bar:30}] {percent:>3} %  {remaining} left");
        let (earlier, since, lines) = (keeper.times().clone(), Instant::now(), Lines::new());
        Self { keeper, epochs, captions, bar, earlier, since, lines }
    }

    /// Says where a run goes on.
    pub fn resume(&self, progress: &Progress) {
        let Progress { epoch, seen, .. } = progress;
        self.line(&format!("resuming in epoch {} after {seen} captions", epoch + 1));
        self.bar.set_position((epoch * self.captions + seen) as u64);
        self.bar.reset_eta();
    }

    /// Prints the head line and starts the clocks.
    pub fn start(&mut self, head: &str) {
        self.line(head);
        self.keeper.start();
        (self.since, self.lines) = (Instant::now(), Lines::new());
    }

    /// Clears the bar; the seconds that the run took.
    pub fn finish(self) -> f64 {
        self.bar.finish_and_clear();
        self.earlier.total + self.since.elapsed().as_secs_f64()
    }

    /// A line that stays, above the bar.
    fn line(&self, text: &str) {
        if self.bar.is_hidden() { note(text) } else { self.bar.println(text) }
    }
}

impl Observer<Sequence> for Console<'_> {
    fn step(&mut self, trainer: &Trainer<Sequence>, report: &StepReport) -> Result<ControlFlow<()>, NnError> {
        let flow = self.keeper.step(trainer, report)?;
        let (times, earlier) = (self.keeper.times(), &self.earlier);
        // The rate is this process's.
        let rate = (times.examples - earlier.examples) as f64 / (times.training - earlier.training).max(1e-9);
        let progress = trainer.progress();
        let status = || {
            let loss = trainer.running().get("loss").unwrap_or_default();
            format!("epoch {:>2}/{}  loss {loss:.3}  {rate:>5.0} captions/s", progress.epoch + 1, self.epochs)
        };
        self.bar.inc(report.examples as u64);
        if !self.bar.is_hidden() {
            self.bar.set_message(status());
        }
        self.lines.note(&self.bar, || {
            let done = progress.epoch * self.captions + progress.seen;
            let left = self.epochs.saturating_mul(self.captions).saturating_sub(done) as f64 / rate;
            format!("{}  {}/{} captions  {} left", status(), progress.seen, self.captions, clock(left as u64))
        });
        if flow.is_break() {
            self.bar.finish_and_clear();
        }
        Ok(flow)
    }

    fn epoch(
        &mut self,
        trainer: &Trainer<Sequence>,
        report: &EpochReport,
    ) -> Result<ControlFlow<()>, NnError> {
        let flow = self.keeper.epoch(trainer, report)?;
        let seconds = self.keeper.times().epochs.last().copied().unwrap_or_default();
        let of = |value: Option<f64>| value.unwrap_or_default();
        self.line(&format!(
            "epoch {:>2}/{}  train loss {:.3}  dev loss {:.3}  {:.1} % of the words right  {seconds:.1} s",
            report.epoch,
            self.epochs,
            of(report.train("loss")),
            of(report.test("loss")),
            100.0 * of(report.test("accuracy"))
        ));
        Ok(flow)
    }
}
