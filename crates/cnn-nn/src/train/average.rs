//! A running average of the weights.

use super::AVERAGE;
use crate::optim::{STEP, pack, unpack};
use crate::{Layer, NnError, Path, Sequential};
use cnn_tensor::simd::Level;
use cnn_tensor::{Recycled, Tensor, parallel};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An exponential moving average of the weights, which is what is evaluated and saved (Polyak and Juditsky 1992,
/// "Acceleration of stochastic approximation by averaging", with weights that fall by `decay` a step): PyTorch's
/// `swa_utils.AveragedModel` with `get_ema_avg_fn`.
///
/// ```text
/// average = value                                        after the first step
/// average = decay * average + (1 - decay) * value        after every other
/// ```
///
/// An average over about `1 / (1 - decay)` steps is less noisy than the weights of any one of them. Buffers, such as the
/// running statistics of batch normalisation, are averaged as the weights are (PyTorch's `use_buffers`); those without
/// axes, which count, are copied.
///
/// ```
/// assert_eq!(cnn_nn::Average::default().decay, 0.999);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Average {
    /// How much of the average is kept in each step, from 0 to below 1.
    pub decay: f64,
}

impl Default for Average {
    /// A decay of 0.999.
    fn default() -> Self {
        Self { decay: 0.999 }
    }
}

impl Average {
    /// That the options can be used.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        let (what, rule) = ("average: decay", "from 0 to below 1");
        let holds = (0.0..1.0).contains(&self.decay);
        if holds { Ok(()) } else { Err(NnError::Setting { what, rule, got: self.decay.to_string() }) }
    }
}

/// The network of averages.
pub(super) struct Averaged {
    net: Sequential,
    /// `1 - decay`.
    add: f32,
    /// Steps averaged over.
    steps: u64,
}

/// Elements that a thread takes at a time.
const PIECE: usize = 1 << 16;
/// What precedes the name of a parameter or buffer in a saved state.
const VALUE: &str = "value.";

impl Averaged {
    /// Of a network that has not taken a step: as yet the network itself.
    pub fn new(net: &Sequential, average: Average) -> Self {
        let mut net = net.copy();
        // Its own numbers: while they are shared, whoever writes next has to copy them.
        let own = |tensor: &mut Tensor| {
            tensor.data_mut();
        };
        net.visit_mut(Path::ROOT, &mut |_, parameter| own(&mut parameter.value));
        net.visit_buffers_mut(Path::ROOT, &mut |_, buffer| own(buffer));
        Self { net, add: (1.0 - average.decay) as f32, steps: 0 }
    }

    pub fn net(&self) -> &Sequential {
        &self.net
    }

    pub fn into_net(self) -> Sequential {
        self.net
    }

    /// Takes in weights and buffers after a step, in one pass.
    pub fn update(&mut self, net: &Sequential) {
        let (first, add) = (self.steps == 0, self.add);
        self.steps += 1;
        let mut count = 0;
        net.visit(Path::ROOT, &mut |_, _| count += 1);
        net.visit_buffers(Path::ROOT, &mut |_, _| count += 1);
        let mut tensors = Recycled::with_capacity(count);
        net.visit(Path::ROOT, &mut |_, parameter| tensors.push(parameter.value.clone()));
        net.visit_buffers(Path::ROOT, &mut |_, buffer| tensors.push(buffer.clone()));
        let mut tensors = tensors.drain(..);
        let mut update = |average: &mut Tensor, copy: bool| {
            let tensor = tensors.next().expect("the average has the network's tensors");
            if copy {
                return average.data_mut().copy_from_slice(tensor.data());
            }
            parallel::for_each_chunk(average.data_mut(), PIECE, |i, average| {
                let piece = &tensor.data()[i * PIECE..][..average.len()];
                approach(Level::current(), add, piece, average);
            });
        };
        self.net.visit_mut(Path::ROOT, &mut |_, parameter| update(&mut parameter.value, first));
        self.net.visit_buffers_mut(Path::ROOT, &mut |_, buffer| {
            let counts = buffer.shape().dims().is_empty();
            update(buffer, first || counts);
        });
    }

    /// The number of steps averaged over (`step`) and, from the first one on, the averages (`value.conv1.weight`).
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let averages = self.net.tensors().into_iter().filter(|_| self.steps > 0);
        let averages = averages.map(|(name, tensor)| (format!("{VALUE}{name}"), tensor));
        [(STEP.to_string(), pack(self.steps))].into_iter().chain(averages).collect()
    }

    /// Takes back what [`Averaged::state`] gave, for a network already restored.
    pub fn restore(&mut self, mut state: BTreeMap<String, Tensor>, net: &Sequential) -> Result<(), NnError> {
        let fault = |name: &str, expected, got| NnError::parameter(format!("{AVERAGE}{name}"), expected, got);
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

cnn_tensor::kernel! {
    /// `y += add * (x - y)`: exact where both are equal.
    fn approach<S>(s, add: f32, x: &[f32], y: &mut [f32]) {
        let add = s.splat(add);
        let (mut xs, mut ys) = (x.chunks_exact(S::LANES), y.chunks_exact_mut(S::LANES));
        for (x, y) in xs.by_ref().zip(ys.by_ref()) {
            let old = s.load(y);
            s.store(s.mul_add(add, s.sub(s.load(x), old), old), y);
        }
        let (x, y) = (xs.remainder(), ys.into_remainder());
        let old = s.load_partial(y);
        s.store_partial(s.mul_add(add, s.sub(s.load_partial(x), old), old), y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parameter;
    use cnn_tensor::Shape;
    use cnn_tensor::parallel::Threads;
    use cnn_tensor::simd::with_level;

    /// A parameter and two buffers, of which one counts.
    #[derive(Clone)]
    struct Counting(Parameter, [Tensor; 2]);

    impl Layer for Counting {
        fn kind(&self) -> &'static str {
            "counting"
        }
        fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
            Ok(x)
        }
        fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
            Ok(x.clone())
        }
        fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
            Ok(x)
        }
        fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
            Ok(dy)
        }
        fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
            f(path.join("weight"), &self.0);
        }
        fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
            f(path.join("weight"), &mut self.0);
        }
        fn visit_buffers<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Tensor)) {
            self.1.iter().zip(["mean", "count"]).for_each(|(buffer, name)| f(path.join(name), buffer));
        }
        fn visit_buffers_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Tensor)) {
            self.1.iter_mut().zip(["mean", "count"]).for_each(|(buffer, name)| f(path.join(name), buffer));
        }
        fn replicate(&self) -> Box<dyn Layer> {
            Box::new(self.clone())
        }
    }

    /// Numbers of step `t`.
    fn net(t: f32) -> Sequential {
        let mut weight = Tensor::zeros([PIECE + 5]);
        weight.data_mut().iter_mut().enumerate().for_each(|(i, v)| *v = t + i as f32 / 1024.0);
        let layer = Counting(Parameter::new(weight), [Tensor::full([2], 8.0 * t), Tensor::full([], t)]);
        Sequential::new(vec![("layer".into(), Box::new(layer))]).unwrap()
    }

    #[test]
    fn buffers_are_averaged_unless_they_count_and_the_network_shares_nothing_that_is_written() {
        for &level in Level::all() {
            let run = |threads| {
                let first = net(1.0);
                let mut averaged = Averaged::new(&first, Average { decay: 0.75 });
                Threads::new(threads)
                    .unwrap()
                    .run(|| [&first, &net(2.0), &net(3.0)].into_iter().for_each(|net| averaged.update(net)));
                assert_eq!(first.tensors(), net(1.0).tensors());
                averaged.net().tensors()
            };
            let (one, three) = with_level(level, || (run(1), run(3)));
            assert_eq!(one, three);
            // 1, then 1.25, then 1.6875: all exact.
            let [(_, weight), (_, mean), (_, count)] = &one[..] else { panic!("{} tensors", one.len()) };
            assert!(
                weight.data().iter().enumerate().all(|(i, v)| *v == 1.6875 + i as f32 / 1024.0),
                "{level:?}"
            );
            assert_eq!((mean.data(), count.data()), (&[13.5, 13.5][..], &[3.0][..]));
        }
    }

    #[test]
    fn a_state_holds_buffers_too() {
        let mut averaged = Averaged::new(&net(1.0), Average::default());
        [1.0, 2.0].into_iter().for_each(|t| averaged.update(&net(t)));
        let mut again = Averaged::new(&net(5.0), Average::default());
        again.restore(averaged.state().into_iter().collect(), &net(2.0)).unwrap();
        assert_eq!(again.state(), averaged.state());
        let names: Vec<_> = again.state().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["step", "value.layer.weight", "value.layer.mean", "value.layer.count"]);
    }
}
