//! Stochastic gradient descent with momentum.

use super::step::Step;
use cnn_tensor::simd::Simd;

/// A step of stochastic gradient descent, without memory or with the momentum `v` (Sutskever et al. 2013, "On the importance of
/// initialization and momentum in deep learning", eq. 1 to 4, with the learning rate applied after the momentum).
///
/// ```text
/// g = gradient + weight_decay * value
/// v = momentum * v + add * g                             without momentum, v = g
/// value -= rate * v                                      or, with nesterov, rate * (g + momentum * v)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// The learning rate.
    pub rate: f32,
    /// The share of the momentum that is kept; unused without memory, as are the next two.
    pub momentum: f32,
    /// The share of the gradient that is added to the momentum: `1 - dampening`, or 1 in the first step.
    pub add: f32,
    /// Whether to look ahead by one more step of momentum.
    pub nesterov: bool,
    /// The L2 penalty added to the gradient.
    pub weight_decay: f32,
}

impl Step<0> for Sgd {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, _: [S::V; 0]) -> (S::V, [S::V; 0]) {
        let g = s.mul_add(s.splat(self.weight_decay), value, gradient);
        (s.mul_add(s.splat(-self.rate), g, value), [])
    }
}

impl Step<1> for Sgd {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, [v]: [S::V; 1]) -> (S::V, [S::V; 1]) {
        let momentum = s.splat(self.momentum);
        let g = s.mul_add(s.splat(self.weight_decay), value, gradient);
        let v = s.mul_add(momentum, v, s.mul(s.splat(self.add), g));
        let change = if self.nesterov { s.mul_add(momentum, v, g) } else { v };
        (s.mul_add(s.splat(-self.rate), change, value), [v])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::testing::assert_follows;

    #[test]
    fn a_step_follows_the_definition() {
        for nesterov in [false, true] {
            let rule = Sgd { rate: 0.5, momentum: 0.75, add: 0.25, nesterov, weight_decay: 0.125 };
            assert_follows(rule, |w, g, []| (w - 0.5 * (g + 0.125 * w), []));
            assert_follows(rule, |w, g, [v]| {
                let g = g + 0.125 * w;
                let v = 0.75 * v + 0.25 * g;
                (w - 0.5 * if nesterov { g + 0.75 * v } else { v }, [v])
            });
        }
    }
}
