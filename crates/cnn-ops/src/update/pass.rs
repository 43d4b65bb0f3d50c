//! The single pass over value, gradient and memory.

use super::adjusted::{Adjusted, Adjustment};
use super::step::Step;
use cnn_tensor::simd::{Kernel, Level, Simd};
use std::ops::Range;

/// Applies a step to elements, at the current SIMD level.
pub(super) fn run<const N: usize>(
    step: impl Step<N>,
    adjustment: Option<Adjustment>,
    value: &mut [f32],
    gradient: &[f32],
    memory: [&mut [f32]; N],
) {
    let same = memory.iter().all(|memory| memory.len() == value.len()) && gradient.len() == value.len();
    assert!(same, "update: value, gradient and memory have the same length");
    let level = Level::current();
    match adjustment {
        None => level.run(Pass { step, value, gradient, memory }),
        Some(adjustment) => level.run(Pass { step: Adjusted { step, adjustment }, value, gradient, memory }),
    }
}

/// Slices of the same length.
struct Pass<'a, T, const N: usize> {
    step: T,
    value: &'a mut [f32],
    gradient: &'a [f32],
    memory: [&'a mut [f32]; N],
}

impl<T: Step<N>, const N: usize> Kernel for Pass<'_, T, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let len = self.value.len();
        let whole = len - len % S::LANES;
        for start in (0..whole).step_by(S::LANES) {
            self.vector(s, start..start + S::LANES, S::load, S::store);
        }
        self.vector(s, whole..len, S::load_partial, S::store_partial);
    }
}

impl<T: Step<N>, const N: usize> Pass<'_, T, N> {
    /// The elements of `here`, at most a full vector.
    #[inline(always)]
    fn vector<S: Simd>(
        &mut self,
        s: S,
        here: Range<usize>,
        load: impl Fn(S, &[f32]) -> S::V,
        store: impl Fn(S, S::V, &mut [f32]),
    ) {
        let mut memory = [s.splat(0.0); N];
        for (v, old) in memory.iter_mut().zip(&self.memory) {
            *v = load(s, &old[here.clone()]);
        }
        let (value, gradient) = (load(s, &self.value[here.clone()]), load(s, &self.gradient[here.clone()]));
        let (value, memory) = self.step.apply(s, value, gradient, memory);
        store(s, value, &mut self.value[here.clone()]);
        for (v, new) in memory.into_iter().zip(&mut self.memory) {
            store(s, v, &mut new[here.clone()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::update::{Sgd, UpdateRule};

    const SGD: Sgd = Sgd { rate: 0.5, momentum: 0.5, add: 1.0, nesterov: false, weight_decay: 0.0 };

    #[test]
    #[should_panic = "value, gradient and memory have the same length"]
    fn a_short_gradient_is_refused() {
        SGD.update(None, &mut [0.0; 3], &[0.0; 2], []);
    }

    #[test]
    #[should_panic = "value, gradient and memory have the same length"]
    fn a_long_memory_is_refused() {
        SGD.update(None, &mut [0.0; 3], &[0.0; 3], [&mut [0.0; 4]]);
    }
}
