//! Several tasks at once, each on its own output.

use super::{Score, Target, Task};
use crate::{Gradients, List, NnError, Tensors};
use cnn_tensor::{Recycled, Tensor, vector};
use std::marker::PhantomData;
use std::ops::Range;

/// Several tasks, each on one output of the network, in order. Their losses are added with weights: for the auxiliary heads of
/// GoogLeNet, or a class and a box. The metrics of the first task keep their names; those of the others are prefixed with the
/// name of their task.
///
/// ```
/// use cnn_nn::{Classes, Classify, Regress, Task, Weighted, on};
/// use cnn_tensor::Tensor;
/// let heads = Weighted::new(Classify::default()).with("aux1", 0.3, Classify::default());
/// assert_eq!(heads.metrics(), ["accuracy", "top5", "aux1_loss", "aux1_accuracy", "aux1_top5"]);
///
/// // Where the targets differ, each task says which is its own.
/// let both = Weighted::new(on(|target: &(Classes, Tensor)| &target.0, Classify::default()))
///     .with("box", 0.5, on(|target: &(Classes, Tensor)| &target.1, Regress::<cnn_ops::Mse>::default()));
/// assert_eq!(both.metrics()[2..], ["box_loss", "box_mae", "box_rmse"]);
/// ```
pub struct Weighted<T: Target> {
    first: Box<dyn Task<Target = T>>,
    others: Vec<Part<T>>,
}

struct Part<T: Target> {
    name: String,
    weight: f32,
    /// The index of the metric that holds the task's loss. The task's own metrics follow.
    at: usize,
    task: Box<dyn Task<Target = T>>,
}

impl<T: Target> Weighted<T> {
    /// A task on the first output, with weight 1.
    pub fn new(task: impl Task<Target = T> + 'static) -> Self {
        Self { first: Box::new(task), others: Vec::new() }
    }

    /// Adds a task on the next output, whose loss is multiplied by `weight`.
    #[must_use]
    pub fn with(mut self, name: &str, weight: f32, task: impl Task<Target = T> + 'static) -> Self {
        let at = self.metrics().len();
        self.others.push(Part { name: name.into(), weight, at, task: Box::new(task) });
        self
    }

    fn check(&self, y: &Tensors) -> Result<(), NnError> {
        let (what, expected) = ("the outputs of several tasks", 1 + self.others.len());
        if y.len() == expected { Ok(()) } else { Err(NnError::Count { what, expected, got: y.len() }) }
    }
}

impl<T: Target> Part<T> {
    /// Adds the task's own score to that of all tasks, as metrics.
    fn add(&self, own: &Score, score: &mut Score) {
        for (i, [sum, count]) in own.sums().iter().enumerate() {
            score.add(self.at + i, *sum, *count);
        }
    }

    /// Extracts the task's own score from that of all tasks.
    fn own(&self, score: &Score) -> Score {
        let mut own = Score::default();
        let [sum, count] = score.metric(self.at);
        own.loss(sum, count);
        for i in 0..self.task.metrics().len() {
            let [sum, count] = score.metric(self.at + 1 + i);
            own.add(i, sum, count);
        }
        own
    }
}

impl<T: Target> Task for Weighted<T> {
    type Target = T;

    fn metrics(&self) -> Vec<String> {
        let mut names = self.first.metrics();
        for Part { name, task, .. } in &self.others {
            names.push(format!("{name}_loss"));
            names.extend(task.metrics().iter().map(|metric| format!("{name}_{metric}")));
        }
        names
    }

    /// The divisors of all tasks, concatenated.
    fn divisors(&self, target: &T) -> List<f64> {
        let others = self.others.iter().flat_map(|part| part.task.divisors(target));
        self.first.divisors(target).into_iter().chain(others).collect()
    }

    fn loss(
        &self,
        y: Tensors,
        target: &T,
        part: Range<usize>,
        divisors: &[f64],
        score: &mut Score,
    ) -> Result<Gradients, NnError> {
        self.check(&y)?;
        let mut gradients = Recycled::with_capacity(y.len());
        let mut y = y.into_iter();
        let mut next = || y.next().expect("as many as tasks").into();
        let (own, mut divisors) = divisors.split_at(self.first.divisors(target).len());
        gradients.extend(self.first.loss(next(), target, part.clone(), own, score)?);
        for other in &self.others {
            let (own, rest) = divisors.split_at(other.task.divisors(target).len());
            divisors = rest;
            let mut scored = Score::default();
            let mut dy = other.task.loss(next(), target, part.clone(), own, &mut scored)?;
            dy.iter_mut().flatten().for_each(|dy| vector::scale(other.weight, dy.data_mut()));
            gradients.extend(dy);
            other.add(&scored, score);
        }
        Ok(gradients.into_iter().collect())
    }

    fn score(&self, y: &Tensors, target: &T, part: Range<usize>, score: &mut Score) -> Result<(), NnError> {
        self.check(y)?;
        self.first.score(&(&y[0]).into(), target, part.clone(), score)?;
        for (other, y) in self.others.iter().zip(&y[1..]) {
            let mut scored = Score::default();
            other.task.score(&y.into(), target, part.clone(), &mut scored)?;
            other.add(&scored, score);
        }
        Ok(())
    }

    /// The weighted sum of the tasks' mean losses. A task without any count is left out.
    fn mean_loss(&self, score: &Score) -> f64 {
        let others = self.others.iter().map(|part| (part, part.own(score)));
        let counted = others.filter(|(_, own)| own.losses()[1] != 0.0);
        let losses = counted.map(|(part, own)| f64::from(part.weight) * part.task.mean_loss(&own));
        self.first.mean_loss(score) + losses.sum::<f64>()
    }

    /// Each output, combined by its task.
    fn merge_views(&self, y: Tensors, views: usize) -> Result<Tensors, NnError> {
        self.check(&y)?;
        let tasks = [&self.first].into_iter().chain(self.others.iter().map(|part| &part.task));
        let merged =
            tasks.zip(y).map(|(task, y)| task.merge_views(y.into(), views)?.only("the outputs of a task"));
        Ok(merged.collect::<Result<Vec<Tensor>, _>>()?.into_iter().collect())
    }

    fn finish(&self, metric: usize, mean: f64) -> f64 {
        match self.others.iter().rev().find(|part| part.at <= metric) {
            Some(part) if part.at < metric => part.task.finish(metric - part.at - 1, mean),
            Some(_) => mean,
            None => self.first.finish(metric, mean),
        }
    }
}

/// A task on a part of a larger target; made by [`on`].
pub struct On<T, K, F> {
    of: F,
    task: K,
    target: PhantomData<fn(&T)>,
}

/// `task` on the part of a larger target that `of` selects.
pub fn on<T: Target, K: Task, F: Fn(&T) -> &K::Target + Send + Sync>(of: F, task: K) -> On<T, K, F> {
    On { of, task, target: PhantomData }
}

impl<T: Target, K: Task, F: Fn(&T) -> &K::Target + Send + Sync> Task for On<T, K, F> {
    type Target = T;

    fn metrics(&self) -> Vec<String> {
        self.task.metrics()
    }

    fn divisors(&self, target: &T) -> List<f64> {
        self.task.divisors((self.of)(target))
    }

    fn loss(
        &self,
        y: Tensors,
        target: &T,
        part: Range<usize>,
        divisors: &[f64],
        score: &mut Score,
    ) -> Result<Gradients, NnError> {
        self.task.loss(y, (self.of)(target), part, divisors, score)
    }

    fn score(&self, y: &Tensors, target: &T, part: Range<usize>, score: &mut Score) -> Result<(), NnError> {
        self.task.score(y, (self.of)(target), part, score)
    }

    fn mean_loss(&self, score: &Score) -> f64 {
        self.task.mean_loss(score)
    }

    fn merge_views(&self, y: Tensors, views: usize) -> Result<Tensors, NnError> {
        self.task.merge_views(y, views)
    }

    fn finish(&self, metric: usize, mean: f64) -> f64 {
        self.task.finish(metric, mean)
    }
}
