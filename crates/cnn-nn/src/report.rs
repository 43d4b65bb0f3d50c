//! Results of a run: named metrics, epoch by epoch.

use crate::{NnError, Score, Task};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Named numbers, in a fixed order.
///
/// ```
/// let metrics: cnn_nn::Metrics = serde_json::from_str(r#"{"loss": 0.5, "accuracy": 0.75}"#)?;
/// assert_eq!(metrics.get("accuracy"), Some(0.75));
/// assert_eq!(metrics.names().collect::<Vec<_>>(), ["loss", "accuracy"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(Vec<(String, f64)>);

impl Metrics {
    /// The number with this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The names and numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The loss and the metrics of a task, computed from a score; those without any count are left out.
    pub(crate) fn of<T: Task + ?Sized>(task: &T, score: &Score) -> Self {
        let names = ["loss".to_string()].into_iter().chain(task.metrics());
        let counted = names.zip(score.sums()).enumerate().filter(|(_, (_, [_, count]))| *count != 0.0);
        let metrics = counted.map(|(i, (name, [sum, count]))| {
            (name, if i == 0 { task.mean_loss(score) } else { task.finish(i - 1, sum / count) })
        });
        Self(metrics.collect())
    }

    /// Checks that all numbers are finite.
    pub(crate) fn check(&self, of: &'static str) -> Result<(), NnError> {
        match self.iter().find(|(_, value)| !value.is_finite()) {
            None => Ok(()),
            Some((name, value)) => {
                let rule = "finite numbers: look at the inputs and the weights";
                Err(NnError::Setting { what: of, rule, got: format!("{name} {value}") })
            }
        }
    }
}

impl<N: Into<String>> FromIterator<(N, f64)> for Metrics {
    fn from_iter<I: IntoIterator<Item = (N, f64)>>(metrics: I) -> Self {
        Self(metrics.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;
        impl<'de> Visitor<'de> for Named {
            type Value = Metrics;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("numbers by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metrics, A::Error> {
                let mut metrics: Vec<(String, f64)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, f64>()? {
                    if metrics.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("duplicate field `{name}`")));
                    }
                    metrics.push((name, value));
                }
                Ok(Metrics(metrics))
            }
        }
        deserializer.deserialize_map(Named)
    }
}

/// The metrics of one epoch.
///
/// ```
/// let text = r#"{"epoch": 1, "train_loss": 0.4, "train_accuracy": 0.9, "test_loss": 0.3, "test_accuracy": 0.95}"#;
/// let report: cnn_nn::EpochReport = serde_json::from_str(text)?;
/// assert_eq!((report.epoch, report.test("accuracy")), (1, Some(0.95)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The metrics: `train_...`, each example scored at the time of its step, and `test_...`, after the epoch.
    #[serde(flatten)]
    pub metrics: Metrics,
}

impl EpochReport {
    pub(crate) fn new(epoch: usize, train: &Metrics, test: &Metrics) -> Self {
        let named = |part, metrics: &Metrics| {
            metrics.iter().map(move |(name, value)| (format!("{part}_{name}"), value)).collect::<Vec<_>>()
        };
        let metrics = named("train", train).into_iter().chain(named("test", test)).collect();
        Self { epoch, metrics }
    }

    /// A metric of the training examples, or their `loss`.
    pub fn train(&self, metric: &str) -> Option<f64> {
        self.of("train_", metric)
    }

    /// A metric of the test examples, or their `loss`.
    pub fn test(&self, metric: &str) -> Option<f64> {
        self.of("test_", metric)
    }

    fn of(&self, part: &str, metric: &str) -> Option<f64> {
        let known = |name: &str| name.strip_prefix(part) == Some(metric);
        self.metrics.iter().find(|(name, _)| known(name)).map(|(_, value)| value)
    }
}

/// The progress of a run. Together with the tensors of [`Trainer::state`](crate::Trainer::state), it is all that resuming needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Saved")]
pub struct Progress {
    /// The number of finished epochs.
    pub epoch: usize,
    /// The number of batches of the current epoch that are done.
    pub step: usize,
    /// The number of examples seen in the current epoch.
    pub seen: usize,
    /// The sums and counts of the current epoch: for the loss, then for the metrics in their order.
    pub sums: Vec<[f64; 2]>,
    /// The reports of the finished epochs.
    pub history: Vec<EpochReport>,
}

/// The fields of a file. Version 0.1 had the sum of losses and the number of examples classified right.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    epoch: usize,
    step: usize,
    seen: usize,
    #[serde(default)]
    sums: Vec<[f64; 2]>,
    #[serde(default)]
    loss: Option<f64>,
    #[serde(default)]
    correct: Option<usize>,
    history: Vec<EpochReport>,
}

impl From<Saved> for Progress {
    fn from(Saved { epoch, step, seen, mut sums, loss, correct, history }: Saved) -> Self {
        if let (Some(loss), Some(correct), true) = (loss, correct, seen > 0) {
            sums = vec![[loss, seen as f64], [correct as f64, seen as f64]];
        }
        Self { epoch, step, seen, sums, history }
    }
}

impl Progress {
    /// Adds the score of a batch.
    pub(crate) fn add(&mut self, score: &Score) {
        let sums = score.sums();
        if self.sums.len() < sums.len() {
            self.sums.resize(sums.len(), [0.0; 2]);
        }
        for (total, sum) in self.sums.iter_mut().zip(sums) {
            total[0] += sum[0];
            total[1] += sum[1];
        }
    }

    /// The metrics of the current epoch so far.
    pub(crate) fn running<T: Task + ?Sized>(&self, task: &T) -> Metrics {
        let mut score = Score::default();
        for (i, [sum, count]) in self.sums.iter().enumerate() {
            match i.checked_sub(1) {
                None => score.loss(*sum, *count),
                Some(metric) => score.add(metric, *sum, *count),
            }
        }
        Metrics::of(task, &score)
    }

    pub(crate) fn finish_epoch(&mut self, train: &Metrics, test: &Metrics) {
        self.history.push(EpochReport::new(self.epoch + 1, train, test));
        self.epoch += 1;
        (self.step, self.seen) = (0, 0);
        self.sums.fill([0.0; 2]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_of_version_0_1_is_read() {
        let old = r#"{"epoch":1,"step":2,"seen":128,"loss":64.5,"correct":100,"history":[{"epoch":1,
            "train_loss":0.5,"train_accuracy":0.8,"test_loss":0.25,"test_accuracy":0.9,"test_top5":1.0}]}"#;
        let progress: Progress = serde_json::from_str(old).unwrap();
        assert_eq!(progress.sums, [[64.5, 128.0], [100.0, 128.0]]);
        assert_eq!(progress.history[0].test("top5"), Some(1.0));
        let again: Progress = serde_json::from_str(&serde_json::to_string(&progress).unwrap()).unwrap();
        assert_eq!(again, progress);
        assert!(serde_json::from_str::<Progress>(&old.replace("seen", "sean")).is_err());
    }
}
