//! Profiles: the time and the memory of a training step or a prediction, layer by layer.
//!
//! ```
//! use cnn_nn::spec::{flatten, linear, relu};
//! use cnn_nn::{Batch, Classify, Graph, Profile, TrainSettings};
//! use cnn_tensor::Tensor;
//!
//! let layers = [flatten().named("flatten"), linear(50).named("fc1"), relu().named("relu"), linear(10).named("fc2")];
//! let net = Graph::build(layers, [1, 28, 28], 0)?;
//! let batch = Batch::new(Tensor::zeros([32, 1, 28, 28]), vec![3; 32]);
//! let profile = Profile::of_training(&net, Classify::default(), &batch, TrainSettings::default(), 5)?;
//! println!("{profile}");
//! assert_eq!(profile.layers[1].path, "fc1");
//! assert_eq!(profile.layers[1].macs, 32 * 784 * 50);
//! assert_eq!(profile.layers[1].output_bytes, 32 * 50 * 4);
//! # Ok::<(), cnn_nn::NnError>(())
//! ```

mod table;

use crate::probe::{GRADIENTS, LOSS, Node, OPTIMIZER, Recorder, THREADS, record};
use crate::{Batch, Classify, Graph, Layer, NnError, SummaryRow, Task, Tensors, TrainSettings, Trainer};
use cnn_tensor::parallel::{self, Threads};
use cnn_tensor::{MemoryUse, Shape, Tensor};
use serde::Serialize;
use std::collections::HashMap;
use std::time::Instant;

/// The cost of a step, layer by layer; `Display` draws the table.
///
/// Times are medians over rounds, in seconds. Where the pieces of a batch run on several threads at once, a layer's time is
/// the total over the threads divided by their number, so that the parts of a step still add up to the step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// Whether the step is a training step: forward, loss, backward and optimizer. Otherwise it is a prediction.
    pub training: bool,
    /// The number of images in the batch.
    pub images: usize,
    /// The number of threads that took part.
    pub threads: usize,
    /// The number of rounds.
    pub rounds: usize,
    /// The nodes of the network, in the order of execution.
    pub layers: Vec<LayerProfile>,
    /// The other parts of the step.
    pub rest: Vec<RestProfile>,
    /// The time of a whole step with the clocks running. The parts add up to it, apart from the differences between medians.
    pub step: f64,
    /// The time of a whole step without the clocks.
    pub step_without_clocks: f64,
    /// The peak number of bytes in use for tensors and for the kernels' own memory when one thread runs the step. Memory in use
    /// before the step is not counted: parameters, gradients, the optimizer's state and the batch.
    pub peak_bytes: u64,
}

/// The cost of a node, including everything inside its layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerProfile {
    /// The dotted path.
    pub path: String,
    /// The kind of layer.
    pub kind: &'static str,
    /// The shape of the output for the batch.
    #[serde(serialize_with = "crate::summary::dims")]
    pub output: Shape,
    /// The number of trained numbers.
    pub parameters: u64,
    /// The multiply-accumulates of the forward pass over the batch.
    pub macs: u64,
    /// The multiply-accumulates of the backward pass: once for the weight, and once for the input if its gradient is wanted. 0 in
    /// a prediction.
    pub backward_macs: u64,
    /// Seconds of the forward pass.
    pub forward: f64,
    /// Seconds of the backward pass.
    pub backward: f64,
    /// The share of the sum of all times, 0 to 1.
    pub share: f64,
    /// Bytes of the output.
    pub output_bytes: u64,
    /// Bytes allocated in the forward pass when one thread runs it: the output, the values kept for the backward pass, and the
    /// kernels' temporary memory. From the second step on this memory is recycled, not taken from the system.
    pub forward_bytes: u64,
    /// Bytes allocated in the backward pass, counted likewise.
    pub backward_bytes: u64,
}

impl LayerProfile {
    /// A layer without measurements.
    fn of_row(SummaryRow { path, kind, output, parameters, macs }: SummaryRow) -> Self {
        let output_bytes = (output.numel() * size_of::<f32>()) as u64;
        let [forward, backward, share] = [0.0; 3];
        let [backward_macs, forward_bytes, backward_bytes] = [0; 3];
        Self {
            path,
            kind,
            output,
            parameters,
            macs,
            backward_macs,
            forward,
            backward,
            share,
            output_bytes,
            forward_bytes,
            backward_bytes,
        }
    }

    /// Seconds of both passes.
    pub fn seconds(&self) -> f64 {
        self.forward + self.backward
    }

    /// Floating-point operations per second of the forward pass, in 10^9; `None` for layers with hardly any multiplications.
    /// A multiply-accumulate counts as two, whatever the algorithm does with it.
    pub fn forward_gflops(&self) -> Option<f64> {
        rate(self.macs, self.forward)
    }

    /// The same for the backward pass.
    pub fn backward_gflops(&self) -> Option<f64> {
        rate(self.backward_macs, self.backward)
    }
}

fn rate(macs: u64, seconds: f64) -> Option<f64> {
    (macs > 0 && seconds > 0.0).then(|| 2e-9 * macs as f64 / seconds)
}

/// A part of a step other than a layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RestProfile {
    /// `loss`; `gradients`: setting them to zero, and adding up those of the pieces of a batch; `optimizer`;
    /// `threads`: handing out pieces and waiting for the last; `between`: the time between the other parts.
    pub name: &'static str,
    /// Seconds.
    pub seconds: f64,
    /// The share of the sum of all times, 0 to 1.
    pub share: f64,
}

impl Profile {
    /// The profile of training steps on `batch`, as [`Trainer::step`] runs them, over `rounds` rounds. The network is not
    /// changed: a copy is trained.
    ///
    /// # Errors
    /// An error of [`Profiler::training`].
    pub fn of_training<T: Task>(
        net: &Graph,
        task: T,
        batch: &Batch<T::Target>,
        settings: TrainSettings,
        rounds: usize,
    ) -> Result<Self, NnError> {
        let mut profiler = Profiler::training(net.copy()?, task, batch.clone(), settings)?;
        (0..rounds).try_for_each(|_| profiler.round())?;
        profiler.profile()
    }

    /// The profile of predictions for `x`, as [`Graph::infer`] runs them, over `rounds` rounds.
    ///
    /// # Errors
    /// The network cannot take `x`.
    pub fn of_inference(net: &Graph, x: impl Into<Tensors>, rounds: usize) -> Result<Self, NnError> {
        let mut profiler = Profiler::inference(net.copy()?, x)?;
        (0..rounds).try_for_each(|_| profiler.round())?;
        profiler.profile()
    }

    /// The sum of the times of all parts, in seconds. Equal to [`Profile::step`], apart from the differences between medians.
    pub fn seconds(&self) -> f64 {
        let layers = self.layers.iter().map(LayerProfile::seconds);
        layers.chain(self.rest.iter().map(|rest| rest.seconds)).sum()
    }

    /// The cost of the clocks, as a share of the step without them. Can be below 0 where the machine's speed varies by more
    /// than that.
    pub fn cost_of_clocks(&self) -> f64 {
        self.step / self.step_without_clocks - 1.0
    }
}

/// Measures a [`Profile`] round by round, so that the caller can show its progress, or stop after enough time.
///
/// Each round runs one step with the clocks and one without.
///
/// ```
/// use cnn_nn::{Graph, Profiler, spec::linear};
/// use cnn_tensor::Tensor;
/// let net = Graph::build([linear(10).named("fc")], [784], 0)?;
/// let mut profiler = Profiler::inference(net, Tensor::zeros([64, 784]))?;
/// for round in 0..10 {
///     profiler.round()?;
///     eprintln!("{} of 10", round + 1);
/// }
/// let profile = profiler.profile()?;
/// assert_eq!((profile.rounds, profile.images), (10, 64));
/// assert!(profile.layers[0].forward_gflops().is_some_and(|rate| rate > 0.0));
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub struct Profiler<T: Task = Classify> {
    work: Work<T>,
    recorder: Recorder,
    rounds: Vec<Round>,
    /// For each node, the bytes allocated forward and backward.
    bytes: Vec<[u64; 2]>,
    peak: u64,
}

/// The work that is repeated.
enum Work<T: Task> {
    Training { trainer: Box<Trainer<T>>, batch: Batch<T::Target> },
    Inference { net: Box<Graph>, x: Tensors },
}

/// The measurements of one round.
struct Round {
    /// The times of the step with the clocks, and of the one without.
    steps: [f64; 2],
    /// For each node, the seconds of the forward pass, the backward pass and the rest.
    nodes: Vec<[f64; 3]>,
}

impl<T: Task> Work<T> {
    fn step(&mut self) -> Result<(), NnError> {
        match self {
            Self::Training { trainer, batch } => trainer.step(batch, 1).map(drop),
            Self::Inference { net, x } => Layer::infer(&**net, x.clone()).map(drop),
        }
    }

    fn net(&self) -> &Graph {
        match self {
            Self::Training { trainer, .. } => trainer.net(),
            Self::Inference { net, .. } => net,
        }
    }

    fn x(&self) -> &Tensors {
        match self {
            Self::Training { batch, .. } => &batch.inputs,
            Self::Inference { x, .. } => x,
        }
    }
}

impl Profiler {
    /// A profiler for predictions of `x`. Runs the first ones.
    ///
    /// # Errors
    /// The network cannot take `x`.
    pub fn inference(net: Graph, x: impl Into<Tensors>) -> Result<Self, NnError> {
        Self::new(Work::Inference { net: Box::new(net), x: x.into() })
    }
}

impl<T: Task> Profiler<T> {
    /// A profiler for training steps on `batch`. Runs the first ones, so that memory and caches are warm. Trains the network
    /// with the given settings, except for the number of epochs.
    ///
    /// # Errors
    /// An error of [`Trainer::new`] or [`Trainer::step`].
    pub fn training(
        net: Graph,
        task: T,
        batch: Batch<T::Target>,
        settings: TrainSettings,
    ) -> Result<Self, NnError> {
        let trainer = Box::new(Trainer::new(net, task, TrainSettings { epochs: 1, ..settings })?);
        Self::new(Work::Training { trainer, batch })
    }

    fn new(mut work: Work<T>) -> Result<Self, NnError> {
        /// The number of steps before the first round.
        const WARM_UP: usize = 2;
        let mut recorder = Recorder::new();
        (0..WARM_UP).try_for_each(|_| record(&mut recorder, || work.step()))?;
        let one = Threads::new(1)?;
        let (peak, bytes) = one.run(|| {
            let before = MemoryUse::restart_peak();
            record(&mut recorder, || work.step())?;
            let peak = (MemoryUse::of_this_thread().peak - before.held).max(0) as u64;
            let bytes = recorder.nodes.iter().map(|node| [node.forward.taken, node.backward.taken]);
            Ok::<_, NnError>((peak, bytes.collect()))
        })?;
        Ok(Self { work, recorder, rounds: Vec::new(), bytes, peak })
    }

    /// Runs one step with the clocks and one without; the order alternates.
    ///
    /// # Errors
    /// An error of the step, for example because the loss is no longer finite.
    pub fn round(&mut self) -> Result<(), NnError> {
        let Self { work, recorder, rounds, .. } = self;
        let mut steps = [0.0; 2];
        for half in 0..2 {
            let plain = half == rounds.len() % 2;
            let since = Instant::now();
            if plain { work.step() } else { record(recorder, || work.step()) }?;
            steps[usize::from(plain)] = since.elapsed().as_secs_f64();
        }
        let seconds = |node: &Node| [node.forward, node.backward, node.rest].map(|cost| cost.seconds);
        rounds.push(Round { steps, nodes: recorder.nodes.iter().map(seconds).collect() });
        Ok(())
    }

    /// The profile of the rounds so far.
    ///
    /// # Errors
    /// There was no round.
    pub fn profile(&self) -> Result<Profile, NnError> {
        let Some(last) = self.rounds.last() else {
            let (what, rule) = ("the rounds of a profile", "at least 1");
            return Err(NnError::Setting { what, rule, got: "none".into() });
        };
        let of_node = |node: usize| {
            // A node may have appeared after the first rounds.
            let pass = |pass: usize| {
                median(self.rounds.iter().map(|round| round.nodes.get(node).map_or(0.0, |node| node[pass])))
            };
            [pass(0), pass(1), pass(2)]
        };
        let times: Vec<[f64; 3]> = (0..last.nodes.len()).map(of_node).collect();
        let total: f64 = times.iter().flatten().sum();
        let layers = self.layers(&times, total)?;
        Ok(Profile {
            training: matches!(self.work, Work::Training { .. }),
            images: self.work.x().first().map_or(0, |x| x.shape().batch()),
            threads: parallel::threads(),
            rounds: self.rounds.len(),
            rest: self.rest(&times, &layers, total),
            layers,
            step: median(self.rounds.iter().map(|round| round.steps[0])),
            step_without_clocks: median(self.rounds.iter().map(|round| round.steps[1])),
            peak_bytes: self.peak,
        })
    }

    /// The rows of the network's summary, with the times of their nodes.
    fn layers(&self, times: &[[f64; 3]], total: f64) -> Result<Vec<LayerProfile>, NnError> {
        let shapes: Vec<Shape> = self.work.x().iter().map(Tensor::shape).collect();
        let rows: Vec<SummaryRow> = self.work.net().rows(&shapes)?;
        let mut layers: Vec<LayerProfile> = rows.into_iter().map(LayerProfile::of_row).collect();
        let rows: HashMap<String, usize> =
            layers.iter().enumerate().map(|(row, layer)| (layer.path.clone(), row)).collect();
        for (i, node) in self.recorder.nodes.iter().enumerate() {
            let Some(&row) = rows.get(&node.name) else { continue };
            let layer = &mut layers[row];
            let [forward, backward, _] = times.get(i).copied().unwrap_or_default();
            let [forward_bytes, backward_bytes] = self.bytes.get(i).copied().unwrap_or_default();
            layer.forward += forward;
            layer.backward += backward;
            layer.forward_bytes += forward_bytes;
            layer.backward_bytes += backward_bytes;
            if backward > 0.0 {
                let products = if node.first { 1 } else { 2 };
                layer.backward_macs = layer.macs.saturating_mul(products);
            }
        }
        layers.iter_mut().for_each(|layer| layer.share = layer.seconds() / total);
        Ok(layers)
    }

    /// The parts other than layers. Time that belongs to no part is `between` them.
    fn rest(&self, times: &[[f64; 3]], layers: &[LayerProfile], total: f64) -> Vec<RestProfile> {
        let names =
            [(LOSS, "loss"), (GRADIENTS, "gradients"), (OPTIMIZER, "optimizer"), (THREADS, "threads")];
        let mut parts: Vec<(&'static str, f64)> = Vec::new();
        for (own, name) in names {
            let node = self.recorder.nodes.iter().position(|node| node.name == own);
            parts.extend(node.and_then(|node| Some((name, times.get(node)?[2]))));
        }
        let known = layers.iter().map(LayerProfile::seconds).chain(parts.iter().map(|(_, seconds)| *seconds));
        parts.push(("between", total - known.sum::<f64>()));
        parts
            .into_iter()
            .map(|(name, seconds)| RestProfile { name, seconds, share: seconds / total })
            .collect()
    }
}

/// The median of some numbers, the mean of the middle two for an even count; 0 for none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => 0.0,
        (n, middle) if n % 2 == 1 => values[middle],
        (_, middle) => (values[middle - 1] + values[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests;
