//! Shows a run.

use super::Config;
use crate::display::{Display, Pace};
use cnn_nn::{EpochReport, Keeper, NnError, Observer, Progress, Sequence, StepReport, Trainer};
use std::ops::ControlFlow;

/// The observer of a run.
pub struct Console<'a> {
    epochs: usize,
    display: Display<'a, Config>,
}

impl<'a> Console<'a> {
    pub fn new(epochs: usize, keeper: Keeper<'a, Config>, captions: usize) -> Self {
        Self { epochs, display: Display::new(epochs, captions, "captions", keeper) }
    }

    /// [`Display::resume`].
    pub fn resume(&self, progress: &Progress) {
        self.display.resume(progress);
    }

    /// [`Display::start`].
    pub fn start(&mut self, head: &str) {
        self.display.start(head);
    }

    /// Clears the bar; the seconds that the run took.
    pub fn finish(self) -> f64 {
        self.display.finish().total
    }
}

impl Observer<Sequence> for Console<'_> {
    fn step(&mut self, trainer: &Trainer<Sequence>, report: &StepReport) -> Result<ControlFlow<()>, NnError> {
        let (epoch, epochs) = (trainer.progress().epoch + 1, self.epochs);
        self.display.step(trainer, report, |Pace { rate, .. }| {
            let loss = trainer.running().get("loss").unwrap_or_default();
            format!("epoch {epoch:>2}/{epochs}  loss {loss:.3}  {rate:>5.0} captions/s")
        })
    }

    fn epoch(
        &mut self,
        trainer: &Trainer<Sequence>,
        report: &EpochReport,
    ) -> Result<ControlFlow<()>, NnError> {
        let (flow, seconds) = self.display.epoch(trainer, report)?;
        let of = |value: Option<f64>| value.unwrap_or_default();
        self.display.line(&format!(
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
