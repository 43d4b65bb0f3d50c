//! What demos that train small networks share: their options, their images, and their progress.

use crate::datasets;
use crate::fault::{Fault, note};
use crate::progress::{self, Lines};
use crate::threads::threads;
use cnn_data::{Data, Dataset, DatasetName, Loader, Normalize, Subset};
use cnn_nn::{NnError, OptimizerSpec, Sgd, TrainSettings};
use cnn_tensor::parallel::Threads;
use indicatif::ProgressBar;
use std::path::PathBuf;
use std::sync::Arc;

/// The options of such a demo.
#[derive(clap::Args)]
#[group(skip)]
pub struct Options {
    /// The data set, one of small images that is known by name.
    #[arg(long, value_name = "NAME", default_value = "mnist")]
    dataset: DatasetName,
    /// The folder with its files [default: datasets/NAME].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Fixes the choice of images and all that is drawn at random; the same seed gives the same numbers, bit for bit.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Threads; they change the time and nothing else [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object on stdout, and everything else on stderr.
    #[arg(long)]
    pub json: bool,
}

/// A data set of images of one size.
pub struct Study {
    pub data: Data,
    /// `[c, h, w]`.
    pub shape: [usize; 3],
    /// The name of the data set.
    pub title: String,
    pub seed: u64,
    pub pool: Threads,
}

impl Study {
    pub fn open(options: &Options) -> Result<Self, Fault> {
        let (_, pool) = threads(options.threads)?;
        let data = datasets::open(&options.dataset, options.data_dir.as_deref(), Default::default())?;
        let Some(shape) = data.shape else {
            let names = datasets::names();
            return Err(Fault::usage(format!("--dataset: expected one of {names}, got {}", options.dataset)));
        };
        Ok(Self { data, shape, title: options.dataset.title(), seed: options.seed, pool })
    }

    /// `count` of the images of a part of the data set, as many of each class.
    pub fn some(
        &self,
        part: &Arc<dyn Dataset>,
        option: &str,
        count: usize,
    ) -> Result<Arc<dyn Dataset>, Fault> {
        let (least, most) = (self.data.classes().len(), part.len());
        if !(least..=most).contains(&count) {
            return Err(Fault::usage(format!("{option}: expected {least} to {most} images, got {count}")));
        }
        Ok(Arc::new(Subset::evenly(part.clone(), count, self.seed)))
    }

    /// Normalised batches of images, in their order.
    pub fn loader(&self, images: Arc<dyn Dataset>, batch_size: usize) -> Result<Loader, Fault> {
        let normalize = Normalize::new(&self.data.mean, &self.data.std)?;
        Ok(Loader::new(images, batch_size)?.normalize(normalize))
    }

    /// Settings of a training by gradient descent with momentum.
    pub fn settings(&self, epochs: usize, learning_rate: f32) -> TrainSettings {
        let optimizer = OptimizerSpec::Sgd(Sgd { momentum: 0.9, ..Sgd::default() });
        TrainSettings { epochs, learning_rate, optimizer, seed: self.seed, ..TrainSettings::default() }
    }
}

/// Whether a training ended because its numbers grew beyond all bounds.
pub fn diverged(fault: &NnError) -> bool {
    match fault {
        NnError::NotFinite { .. } => true,
        NnError::Setting { rule, .. } => rule.starts_with("finite numbers"),
        _ => false,
    }
}

/// How far a demo is.
pub struct Steps {
    bar: ProgressBar,
    lines: Lines,
}

impl Steps {
    /// `total` steps, called `what`.
    pub fn new(total: usize, what: &str) -> Self {
        let template = format!("{{pos}}/{{len}} {what} [{{bar:30}}] {{remaining}} left");
        Self { bar: progress::bar(Some(total as u64), &template), lines: Lines::new() }
    }

    /// One more is done.
    pub fn advance(&mut self) {
        let Self { bar, lines } = self;
        bar.inc(1);
        lines.note(bar, || format!("{} of {} steps done", bar.position(), bar.length().unwrap_or(0)));
    }

    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// Prints a line of a demo's table: on stderr if stdout is for JSON.
pub fn say(json: bool, line: impl std::fmt::Display) {
    if json { note(line) } else { crate::fault::print(line) }
}
