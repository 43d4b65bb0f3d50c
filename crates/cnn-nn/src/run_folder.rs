//! The folder of a training run, from which an interrupted run continues.
//!
//! | file | |
//! |---|---|
//! | `checkpoint.safetensors` | the [`RunState`] and the trainer's tensors |
//! | `best.safetensors` | the network of the best epoch, if a [`Keeper`] is told how to find it |
//! | `metrics.csv` | a line for each epoch |
//! | `.lock` | held by the process that uses the folder; free when that process has ended in any way |
//!
//! Every file is written atomically.

mod fingerprint;
mod keeper;

pub use fingerprint::{ClassCount, Fingerprint};
pub use keeper::{Best, Keeper};

use crate::checkpoint;
use crate::{EpochReport, NnError, Progress};
use cnn_tensor::Tensor;
use cnn_tensor::files::{FolderLock, remove_unfinished, write_atomically};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The state of a run. A checkpoint holds it together with the trainer's tensors. `C` is the program's own description of the
/// run, with everything needed to set the run up again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState<C> {
    /// The program's description of the run.
    pub config: C,
    /// Fingerprints of the parts of the data, by the part's name. A resumed run must use the same data; see
    /// [`Fingerprint::difference`].
    #[serde(default)]
    pub data: BTreeMap<String, Fingerprint>,
    /// The progress of the run.
    pub progress: Progress,
    /// The time that the run has taken so far.
    pub times: RunTimes,
}

/// The time that a run has taken so far, without interruptions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunTimes {
    /// Seconds in total.
    pub total: f64,
    /// Seconds of each finished epoch, its evaluation included.
    pub epochs: Vec<f64>,
    /// Seconds of training steps only.
    pub training: f64,
    /// The number of examples trained on in those seconds.
    #[serde(alias = "images")]
    pub examples: usize,
    /// Seconds of training in which it waited for a batch.
    #[serde(default)]
    pub waiting: f64,
}

/// The folder of a run, locked: no other process can open it.
///
/// ```
/// # use cnn_nn::{Batch, Batches, NnError};
/// # use cnn_tensor::Tensor;
/// # struct Points;
/// # impl Batches for Points {
/// #     fn examples(&self) -> usize { 4 }
/// #     fn batches(&self) -> usize { 1 }
/// #     fn epoch(&self, _: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
/// #         let x = Tensor::from_vec([4, 2], vec![0.0, 1.0, 1.0, 0.0, 0.2, 0.9, 0.8, 0.1]).expect("8 numbers");
/// #         Box::new(std::iter::once(Ok(Batch::new(x, vec![1, 0, 1, 0]))).skip(skip))
/// #     }
/// # }
/// # let folder = tempfile::tempdir()?;
/// # let (path, train, validation) = (folder.path().join("runs/points"), Points, Points);
/// use cnn_nn::{Best, Classify, Graph, Keeper, RunFolder, TrainSettings, Trainer, spec::linear};
///
/// let settings = TrainSettings { epochs: 3, learning_rate: 0.5, ..TrainSettings::default() };
/// let net = Graph::build([linear(2).named("fc")], [2], settings.seed)?;
/// let mut trainer = Trainer::new(net, Classify::default(), settings.clone())?;
///
/// let folder = RunFolder::open(&path)?;
/// let mut keeper = Keeper::new(&folder, settings).best(Best::highest("accuracy"));
/// match folder.load()? {
///     // The process before this one did not come to the end.
///     Some((state, tensors)) => keeper.resume(state, tensors, &mut trainer)?,
///     None => folder.clear()?,
/// }
/// trainer.fit(&train, &validation, &mut keeper)?;
/// assert!(folder.file("best.safetensors").exists());
/// # assert_eq!(std::fs::read_to_string(folder.file("metrics.csv"))?.lines().count(), 4);
/// # assert!(RunFolder::open(&path).unwrap_err().to_string().contains("another process"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: FolderLock,
}

const CHECKPOINT: &str = "checkpoint.safetensors";
const BEST: &str = "best.safetensors";
const METRICS: &str = "metrics.csv";

impl RunFolder {
    /// Creates the folder if necessary, checks that it can be written to, locks it, and removes partly written files of killed
    /// processes.
    ///
    /// # Errors
    /// The folder cannot be created or written to, or another process has it open.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NnError> {
        let path = path.as_ref().to_path_buf();
        let io = |source| NnError::Io { path: path.clone(), action: "make a folder to write to", source };
        std::fs::create_dir_all(&path).map_err(io)?;
        let Some(lock) = FolderLock::take(&path).map_err(io)? else {
            let fault = "expected a folder that no run is using, but another process has locked it";
            return Err(NnError::File { path, fault: fault.into() });
        };
        let probe = path.join(".writable");
        std::fs::write(&probe, []).and_then(|()| std::fs::remove_file(&probe)).map_err(io)?;
        remove_unfinished(&path).map_err(io)?;
        Ok(Self { path, _lock: lock })
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The path of the checkpoint, which [`RunFolder::load`] reads.
    pub fn checkpoint(&self) -> PathBuf {
        self.file(CHECKPOINT)
    }

    /// Removes the checkpoint and metrics of an earlier run, so that they cannot be taken for those of this run. Its weights stay
    /// until this run replaces them.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn clear(&self) -> Result<(), NnError> {
        [CHECKPOINT, METRICS].iter().try_for_each(|name| self.remove(name))
    }

    /// Removes a file of an earlier run, if it exists.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), NnError> {
        match std::fs::remove_file(self.file(name)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(NnError::Io { path: self.file(name), action: "remove an earlier run's file", source })
            }
            _ => Ok(()),
        }
    }

    /// Writes the checkpoint: the state of the run, and the tensors of [`Trainer::state`](crate::Trainer::state).
    ///
    /// # Errors
    /// The file cannot be written, or the configuration cannot be written as JSON.
    pub fn save<C: Serialize>(
        &self,
        state: &RunState<C>,
        tensors: &[(String, Tensor)],
    ) -> Result<(), NnError> {
        let path = self.checkpoint();
        let description = serde_json::to_string(state)
            .map_err(|e| NnError::File { path: path.clone(), fault: format!("the configuration: {e}") })?;
        checkpoint::save(&path, &description, tensors)
    }

    /// The state and the tensors of the checkpoint; `None` if there is no checkpoint.
    ///
    /// # Errors
    /// The checkpoint cannot be read: it is damaged, or of a newer version.
    #[expect(clippy::type_complexity, reason = "a state and what goes with it")]
    pub fn load<C: DeserializeOwned>(
        &self,
    ) -> Result<Option<(RunState<C>, BTreeMap<String, Tensor>)>, NnError> {
        let path = self.checkpoint();
        let saved = match checkpoint::load(&path) {
            Err(NnError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            saved => saved?,
        };
        let fault = |fault| NnError::File { path: path.clone(), fault };
        let description =
            saved.description.ok_or_else(|| fault("expected the checkpoint of a run, got weights".into()))?;
        let state = serde_json::from_str(&description)
            .map_err(|e| fault(format!("expected the checkpoint of a run: {e}")))?;
        Ok(Some((state, saved.tensors)))
    }

    /// Writes metrics.csv: a line for each epoch. `held_out` is the name of the held-out examples: `test` or `validation`.
    ///
    /// # Errors
    /// The file cannot be written.
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

#[cfg(test)]
mod tests;
