//! Shows a run: draws its progress, and gathers the last epoch's outputs.

use super::Config;
use super::tested::Tested;
use crate::display::{Display, Pace};
use cnn_nn::{
    Batch, EpochReport, Keeper, ModelSpec, NnError, Observer, Progress, RunTimes, StepReport, Tensors,
    Trainer,
};
use std::ops::ControlFlow;

/// The observer of a run.
pub struct Console<'a> {
    config: &'a Config,
    spec: &'a ModelSpec,
    display: Display<'a, Config>,
    /// The last epoch's pass over the test set.
    tested: Option<Tested>,
}

impl<'a> Console<'a> {
    pub fn new(
        config: &'a Config,
        spec: &'a ModelSpec,
        keeper: Keeper<'a, Config>,
        train_images: usize,
    ) -> Self {
        let display = Display::new(config.training.epochs, train_images, "images", keeper);
        Self { config, spec, display, tested: None }
    }

    /// [`Display::resume`].
    pub fn resume(&self, progress: &Progress) {
        self.display.resume(progress);
    }

    /// [`Display::start`].
    pub fn start(&mut self, head: &str) {
        self.display.start(head);
    }

    /// Clears the bar; how long the run took, and the last epoch's pass over the test set, if there was one.
    pub fn finish(self) -> (RunTimes, Option<Tested>) {
        (self.display.finish(), self.tested)
    }
}

impl Observer for Console<'_> {
    fn step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<ControlFlow<()>, NnError> {
        let (epoch, epochs) = (trainer.progress().epoch + 1, self.config.training.epochs);
        self.display.step(trainer, report, |Pace { rate, waiting }| {
            let loss = trainer.running().get("loss").unwrap_or_default();
            format!("epoch {epoch:>2}/{epochs}  loss {loss:.4}  {rate:>6.0} images/s  {waiting:.0} % waiting")
        })
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
        let (flow, seconds) = self.display.epoch(trainer, report)?;
        let of = |value: Option<f64>| value.unwrap_or_default();
        let held_out = self.config.held_out();
        // Of ten classes, five are no feat.
        let top5 = match self.spec.classes.len() {
            0..20 => String::new(),
            _ => format!("  top-5 {:.2} %", 100.0 * of(report.test("top5"))),
        };
        self.display.line(&format!(
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
