//! Shows a stage's run.

use super::config::Config;
use super::stage::Joints;
use crate::display::{Display, Pace};
use cnn_nn::{EpochReport, Keeper, NnError, Observer, Progress, StepReport, Trainer};
use std::ops::ControlFlow;

/// The observer of a stage's run.
pub struct Console<'a> {
    epochs: usize,
    display: Display<'a, Config>,
}

impl<'a> Console<'a> {
    /// For stage `stage`, from 1, with so many views in an epoch.
    pub fn new(stage: usize, config: &Config, keeper: Keeper<'a, Config>, views: usize) -> Self {
        let epochs = config.stages[stage - 1].training.epochs;
        Self { epochs, display: Display::new(epochs, views, "views", keeper) }
    }

    /// [`Display::resume`], unless the stage has come to its end.
    pub fn resume(&self, progress: &Progress) {
        if progress.epoch < self.epochs {
            self.display.resume(progress);
        }
    }

    /// [`Display::start`].
    pub fn start(&mut self, head: &str) {
        self.display.start(head);
    }

    /// Clears the bar.
    pub fn finish(self) {
        self.display.finish();
    }
}

impl Observer<Joints> for Console<'_> {
    fn step(&mut self, trainer: &Trainer<Joints>, report: &StepReport) -> Result<ControlFlow<()>, NnError> {
        let (epoch, epochs) = (trainer.progress().epoch + 1, self.epochs);
        self.display.step(trainer, report, |Pace { rate, .. }| {
            let loss = trainer.running().get("loss").unwrap_or_default();
            format!("epoch {epoch:>2}/{epochs}  loss {loss:.4}  {rate:>4.0} views/s")
        })
    }

    fn epoch(&mut self, trainer: &Trainer<Joints>, report: &EpochReport) -> Result<ControlFlow<()>, NnError> {
        let (flow, seconds) = self.display.epoch(trainer, report)?;
        let of = |value: Option<f64>| value.unwrap_or_default();
        // Of the square's side.
        self.display.line(&format!(
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
