//! A running average of the weights.

use crate::optim::{STEP, pack, unpack};
use crate::{Graph, NnError, Role};
use cnn_ops::update;
use cnn_tensor::{Recycled, Tensor, parallel};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An exponential moving average of the weights, evaluated and saved in their place: PyTorch's `swa_utils.AveragedModel` with
/// `get_ema_avg_fn` (Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging", with weights that fall
/// by `decay` a step).
///
/// ```text
/// average = value                                        after the first step
/// average = decay * average + (1 - decay) * value        after every other
/// ```
///
/// An average over about `1 / (1 - decay)` steps is less noisy than the weights of any one of them. Buffers, such as the
/// running statistics of batch normalisation, are averaged as the weights are (PyTorch's `use_buffers`). Buffers without
/// axes are counters, and are copied.
///
/// ```
/// assert_eq!(cnn_nn::Average::default().decay, 0.999);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Average {
    /// The share of the average that is kept in each step, from 0 to below 1.
    pub decay: f64,
}

impl Default for Average {
    /// A decay of 0.999.
    fn default() -> Self {
        Self { decay: 0.999 }
    }
}

impl Average {
    /// Checks the options.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        let (what, rule) = ("average: decay", "from 0 to below 1");
        let holds = (0.0..1.0).contains(&self.decay);
        if holds { Ok(()) } else { Err(NnError::Setting { what, rule, got: self.decay.to_string() }) }
    }
}

/// The network that holds the averages.
pub(super) struct Averaged {
    net: Graph,
    /// `1 - decay`.
    add: f32,
    /// The number of steps averaged over.
    steps: u64,
}

/// The number of elements that a thread takes at a time.
const PIECE: usize = 1 << 16;
/// The prefix of parameters' and buffers' names in a saved state.
const VALUE: &str = "value.";

impl Averaged {
    /// The average of a network that has not taken a step, which is the network itself.
    pub fn new(net: &Graph, average: Average) -> Result<Self, NnError> {
        let mut net = net.copy()?;
        // A copy of the numbers: while they are shared, the next write would have to copy them.
        net.visit_mut(&mut |_, _, tensor| {
            tensor.data_mut();
        });
        Ok(Self { net, add: (1.0 - average.decay) as f32, steps: 0 })
    }

    pub fn net(&self) -> &Graph {
        &self.net
    }

    pub fn into_net(self) -> Graph {
        self.net
    }

    /// Updates the averages from weights and buffers after a step, in one pass.
    pub fn update(&mut self, net: &Graph) {
        let (first, add) = (self.steps == 0, self.add);
        self.steps += 1;
        let mut count = 0;
        net.visit(&mut |_, _, _| count += 1);
        let mut tensors = Recycled::with_capacity(count);
        net.visit(&mut |_, _, tensor| tensors.push(tensor.clone()));
        let mut tensors = tensors.drain(..);
        self.net.visit_mut(&mut |_, role, average| {
            let tensor = tensors.next().expect("the average has the network's tensors");
            let counts = role == Role::Buffer && average.shape().rank() == 0;
            if first || counts {
                return average.data_mut().copy_from_slice(tensor.data());
            }
            parallel::for_each_chunk(average.data_mut(), PIECE, |i, average| {
                let piece = &tensor.data()[i * PIECE..][..average.len()];
                update::average(add, piece, average);
            });
        });
    }

    /// The number of steps averaged over (`step`) and, after the first step, the averages (`value.conv1.weight`).
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let averages = self.net.tensors().into_iter().filter(|_| self.steps > 0);
        let averages = averages.map(|(name, tensor)| (format!("{VALUE}{name}"), tensor));
        [(STEP.to_string(), pack(self.steps))].into_iter().chain(averages).collect()
    }

    /// Restores the state that [`Averaged::state`] gave, for a network already restored.
    pub fn restore(&mut self, mut state: BTreeMap<String, Tensor>, net: &Graph) -> Result<(), NnError> {
        let fault = |name: &str, expected, got| NnError::parameter(format!("average.{name}"), expected, got);
        let steps = state.remove(STEP).ok_or_else(|| fault(STEP, Some([2].into()), None))?;
        let steps = unpack(&steps)?;
        let mut averages = net.tensors();
        for (name, average) in averages.iter_mut().filter(|_| steps > 0) {
            let (name, shape) = (format!("{VALUE}{name}"), average.shape());
            match state.remove(&name) {
                Some(tensor) if tensor.shape() == shape => *average = tensor,
                other => return Err(fault(&name, Some(shape), other.map(|tensor| tensor.shape()))),
            }
        }
        if let Some((name, tensor)) = state.first_key_value() {
            return Err(fault(name, None, Some(tensor.shape())));
        }
        self.net.restore(averages.into_iter().collect())?;
        self.steps = steps;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::batch_norm1d;
    use cnn_tensor::parallel::Threads;
    use cnn_tensor::simd::{Level, with_level};

    /// Numbers of step `t`, in parameters and in buffers, of which one counts.
    fn net(t: f32) -> Graph {
        let mut net = Graph::build([batch_norm1d().named("layer")], [PIECE + 5], 0).unwrap();
        net.visit_mut(&mut |name, role, tensor| {
            let counts = name.to_string() == "layer.num_batches_tracked";
            let number = |i: usize| match role {
                Role::Parameter => t + i as f32 / 1024.0,
                Role::Buffer if counts => t,
                Role::Buffer => 8.0 * t,
            };
            tensor.data_mut().iter_mut().enumerate().for_each(|(i, v)| *v = number(i));
        });
        net
    }

    #[test]
    fn buffers_are_averaged_unless_they_count_and_the_network_shares_nothing_that_is_written() {
        for &level in Level::all() {
            let run = |threads| {
                let first = net(1.0);
                let mut averaged = Averaged::new(&first, Average { decay: 0.75 }).unwrap();
                Threads::new(threads)
                    .unwrap()
                    .run(|| [&first, &net(2.0), &net(3.0)].into_iter().for_each(|net| averaged.update(net)));
                assert_eq!(first.tensors(), net(1.0).tensors());
                averaged.net().tensors()
            };
            let (one, three) = with_level(level, || (run(1), run(3)));
            assert_eq!(one, three);
            // 1, then 1.25, then 1.6875: all exact.
            let [(_, weight), (_, bias), (_, mean), (_, var), (_, count)] = &one[..] else {
                panic!("{} tensors", one.len())
            };
            for parameter in [weight, bias] {
                let want = |(i, v): (usize, &f32)| *v == 1.6875 + i as f32 / 1024.0;
                assert!(parameter.data().iter().enumerate().all(want), "{level:?}");
            }
            assert!([mean, var].iter().all(|buffer| buffer.data().iter().all(|v| *v == 13.5)), "{level:?}");
            assert_eq!(count.data(), [3.0]);
        }
    }

    #[test]
    fn a_state_holds_buffers_too() {
        let mut averaged = Averaged::new(&net(1.0), Average::default()).unwrap();
        [1.0, 2.0].into_iter().for_each(|t| averaged.update(&net(t)));
        let mut again = Averaged::new(&net(5.0), Average::default()).unwrap();
        again.restore(averaged.state().into_iter().collect(), &net(2.0)).unwrap();
        assert_eq!(again.state(), averaged.state());
        let names: Vec<_> = again.state().into_iter().map(|(name, _)| name).collect();
        let tensors = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"];
        let values = tensors.map(|name| format!("value.layer.{name}"));
        assert_eq!(names, [&["step".to_string()][..], &values].concat());
    }
}
