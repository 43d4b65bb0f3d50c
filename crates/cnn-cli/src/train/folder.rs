//! The folder of a run. Every file in it is written whole or not at all.

use super::Config;
use crate::fault::Fault;
use cnn_nn::checkpoint;
use cnn_nn::{EpochReport, NnError, Progress, Trainer};
use cnn_tensor::Tensor;
use cnn_tensor::files::write_atomically;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A run's tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// Where a run stands; with its tensors, what a checkpoint holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState {
    pub config: Config,
    pub progress: Progress,
    pub times: Times,
}

/// How long a run has taken so far, interruptions left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// Seconds altogether.
    pub total: f64,
    /// Seconds of each finished epoch, its evaluation included.
    pub epochs: Vec<f64>,
    /// Seconds in training steps alone, and the images trained on in them.
    pub training: f64,
    pub images: usize,
    /// Seconds of them in which training waited for a batch.
    #[serde(default)]
    pub waiting: f64,
}

/// The folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

const CHECKPOINT: &str = "checkpoint.safetensors";
const METRICS: &str = "metrics.csv";

impl Folder {
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes the folder and shows that it can be written to, before hours are spent.
    pub fn create(&self) -> Result<(), Fault> {
        let fault = |e: std::io::Error| Fault {
            status: 1,
            message: format!("{}: expected a folder that can be written to: {e}", self.0.display()),
        };
        std::fs::create_dir_all(&self.0).map_err(fault)?;
        let probe = self.file(".writable");
        std::fs::write(&probe, []).and_then(|()| std::fs::remove_file(&probe)).map_err(fault)
    }

    /// Removes the checkpoint and metrics of an earlier run, so that they cannot be taken for this one's. Its weights
    /// stay until this run has its own.
    pub fn clear(&self) -> Result<(), Fault> {
        [CHECKPOINT, METRICS].iter().try_for_each(|name| self.remove(name))
    }

    /// Removes a file of an earlier run, if it is there.
    pub fn remove(&self, name: &str) -> Result<(), Fault> {
        let file = self.file(name);
        if !file.exists() {
            return Ok(());
        }
        std::fs::remove_file(&file).map_err(|e| Fault {
            status: 1,
            message: format!("{}: cannot remove the earlier run's file: {e}", file.display()),
        })
    }

    pub fn write_config(&self, config: &Config) -> Result<(), NnError> {
        let json = serde_json::to_string_pretty(config).unwrap_or_default();
        Ok(write_atomically(&self.file("config.json"), (json + "\n").as_bytes())?)
    }

    pub fn save_checkpoint(&self, state: &RunState, trainer: &Trainer) -> Result<(), NnError> {
        let description = serde_json::to_string(state).unwrap_or_default();
        checkpoint::save(&self.file(CHECKPOINT), &description, &trainer.state())
    }

    pub fn load_checkpoint(&self) -> Result<(RunState, Tensors), Fault> {
        let file = self.file(CHECKPOINT);
        if !file.exists() {
            let message = format!("--resume: expected {} of an earlier run, found none", file.display());
            return Err(Fault { status: 1, message });
        }
        let saved = checkpoint::load(&file)?;
        let description = saved.description.unwrap_or_default();
        let state = serde_json::from_str(&description).map_err(|e| self.checkpoint_fault(e))?;
        Ok((state, saved.tensors))
    }

    /// That the checkpoint does not hold what it should.
    pub fn checkpoint_fault(&self, fault: impl std::fmt::Display) -> Fault {
        let file = self.file(CHECKPOINT);
        Fault { status: 1, message: format!("{}: expected the checkpoint of a run: {fault}", file.display()) }
    }

    /// The state of the run in the folder, if it is an unfinished one.
    pub fn unfinished(&self) -> Option<RunState> {
        let (state, _) = self.load_checkpoint().ok()?;
        (state.progress.epoch < state.config.training.epochs).then_some(state)
    }

    /// Writes metrics.csv: a line for each epoch; `held_out` says what it was judged by, `test` or `validation`.
    pub fn write_metrics(
        &self,
        history: &[EpochReport],
        seconds: &[f64],
        held_out: &str,
    ) -> Result<(), NnError> {
        let name = |name: &str| match name.strip_prefix("test_") {
            Some(metric) => format!("{held_out}_{metric}"),
            None => name.into(),
        };
        let names: Vec<String> =
            history.first().map_or(Vec::new(), |row| row.metrics.names().map(name).collect());
        let mut csv = format!("epoch,{},seconds\n", names.join(","));
        for (row, seconds) in history.iter().zip(seconds) {
            csv += &format!("{},", row.epoch);
            for (_, value) in row.metrics.iter() {
                csv += &format!("{value:.6},");
            }
            csv += &format!("{seconds:.3}\n");
        }
        Ok(write_atomically(&self.file(METRICS), csv.as_bytes())?)
    }
}
