//! The folder of a training run: from it a run goes on that ended at any moment.
//!
//! | file | |
//! |---|---|
//! | `checkpoint.safetensors` | the [`RunState`] and the trainer's tensors |
//! | `best.safetensors` | the network of the best epoch, if a [`Keeper`] is told what is best |
//! | `metrics.csv` | a line for each epoch |
//! | `.lock` | held by the process that uses the folder, and free once it has ended, however it ended |
//!
//! Each file is written whole or not at all.

mod fingerprint;
mod keeper;

pub use fingerprint::{ClassCount, Fingerprint};
pub use keeper::{Best, Keeper};

use crate::checkpoint;
use crate::{EpochReport, NnError, Progress};
use cnn_tensor::Tensor;
use cnn_tensor::files::{remove_unfinished, write_atomically};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Where a run stands. With the trainer's tensors it is what a checkpoint holds. `C` is the program's own description of the
/// run, all that it needs to set the run up again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState<C> {
    /// The program's description of the run.
    pub config: C,
    /// The examples of each part of the data, by the part's name. A run must go on with the same; see
    /// [`Fingerprint::difference`].
    #[serde(default)]
    pub data: BTreeMap<String, Fingerprint>,
    /// How far the run has come.
    pub progress: Progress,
    /// How long it took so far.
    pub times: RunTimes,
}

/// How long a run has taken so far, interruptions left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunTimes {
    /// Seconds altogether.
    pub total: f64,
    /// Seconds of each finished epoch, its evaluation included.
    pub epochs: Vec<f64>,
    /// Seconds in training steps alone.
    pub training: f64,
    /// Examples trained on in those seconds.
    #[serde(alias = "images")]
    pub examples: usize,
    /// Seconds of them in which training waited for a batch.
    #[serde(default)]
    pub waiting: f64,
}

/// The folder of a run, locked: no other process has it open.
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
    /// The system frees the lock when the file is closed, which it is when the process ends.
    _lock: File,
}

const CHECKPOINT: &str = "checkpoint.safetensors";
const BEST: &str = "best.safetensors";
const METRICS: &str = "metrics.csv";
const LOCK: &str = ".lock";

impl RunFolder {
    /// Makes the folder if need be, shows that it can be written to before hours are spent, locks it, and removes what killed
    /// processes left half-written.
    ///
    /// # Errors
    /// The folder cannot be made or written to, or another process has it open.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NnError> {
        let path = path.as_ref().to_path_buf();
        let io = |source| NnError::Io { path: path.clone(), action: "make a folder to write to", source };
        std::fs::create_dir_all(&path).map_err(io)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join(LOCK));
        let lock = lock.map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let fault = "expected a folder that no run is using, but another process has locked it";
                return Err(NnError::File { path, fault: fault.into() });
            }
            // Some network file systems have no locks.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(io(e)),
        }
        let probe = path.join(".writable");
        std::fs::write(&probe, []).and_then(|()| std::fs::remove_file(&probe)).map_err(io)?;
        remove_unfinished(&path).map_err(io)?;
        Ok(Self { path, _lock: lock })
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The file that [`RunFolder::load`] reads.
    pub fn checkpoint(&self) -> PathBuf {
        self.file(CHECKPOINT)
    }

    /// Removes the checkpoint and metrics of an earlier run, so that they cannot be taken for this one's. Its weights stay until
    /// this run has its own.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn clear(&self) -> Result<(), NnError> {
        [CHECKPOINT, METRICS].iter().try_for_each(|name| self.remove(name))
    }

    /// Removes a file of an earlier run, if it is there.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), NnError> {
        match std::fs::remove_file(self.file(name)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(NnError::Io { path: self.file(name), action: "remove an earlier run's file", source })
            }
            _ => Ok(()),
        }
    }

    /// Writes the checkpoint: where a run stands, and the tensors of [`Trainer::state`](crate::Trainer::state).
    ///
    /// # Errors
    /// It cannot be written, or the configuration has no form in JSON.
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

    /// The checkpoint and its tensors; `None` if there is none.
    ///
    /// # Errors
    /// There is one that cannot be read: damaged, or of a newer version.
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

    /// Writes metrics.csv: a line for each epoch. `held_out` says how the examples are called by which each was judged:
    /// `test` or `validation`.
    ///
    /// # Errors
    /// It cannot be written.
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
