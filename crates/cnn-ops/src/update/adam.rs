//! Adam and AdamW: steps scaled by running averages of the gradient and its square.

use super::step::{Step, shrunk};
use cnn_tensor::simd::Simd;

/// A step of Adam (Kingma and Ba 2015, "Adam: a method for stochastic optimization", algorithm 1), with `m` and `v` as memory.
///
/// ```text
/// g = gradient + weight_decay * value
/// m = m + add[0] * (g - m)
/// v = keep * v + add[1] * g^2
/// value -= rate * m / (scale * sqrt(v) + eps)
/// ```
///
/// With a third tensor, the largest `v` so far takes the place of `v` in the last line (AMSGrad: Reddi, Kale and Kumar 2018, "On
/// the convergence of Adam and beyond", algorithm 2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// `beta2`, the share of `v` that is kept.
    pub keep: f32,
    /// `1 - beta1` and `1 - beta2`, the shares of `g` and its square in `m` and `v`.
    pub add: [f32; 2],
    /// The learning rate over `1 - beta1^t`, for step number `t` from 1.
    pub rate: f32,
    /// `1 / sqrt(1 - beta2^t)`.
    pub scale: f32,
    /// Added to the denominator.
    pub eps: f32,
    /// The L2 penalty added to the gradient.
    pub weight_decay: f32,
}

impl Adam {
    /// `m` and `v` updated with the gradient.
    #[inline(always)]
    fn averages<S: Simd>(self, s: S, value: S::V, gradient: S::V, [m, v]: [S::V; 2]) -> [S::V; 2] {
        let g = s.mul_add(s.splat(self.weight_decay), value, gradient);
        let m = s.mul_add(s.splat(self.add[0]), s.sub(g, m), m);
        [m, s.mul_add(s.splat(self.add[1]), s.mul(g, g), s.mul(s.splat(self.keep), v))]
    }

    /// The value moved along `m`; the larger `v`, the smaller the move.
    #[inline(always)]
    fn moved<S: Simd>(self, s: S, value: S::V, m: S::V, v: S::V) -> S::V {
        let denominator = s.mul_add(s.sqrt(v), s.splat(self.scale), s.splat(self.eps));
        s.mul_add(s.splat(-self.rate), s.div(m, denominator), value)
    }
}

impl Step<2> for Adam {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, memory: [S::V; 2]) -> (S::V, [S::V; 2]) {
        let [m, v] = self.averages(s, value, gradient, memory);
        (self.moved(s, value, m, v), [m, v])
    }
}

impl Step<3> for Adam {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, [m, v, top]: [S::V; 3]) -> (S::V, [S::V; 3]) {
        let [m, v] = self.averages(s, value, gradient, [m, v]);
        let top = s.max(v, top);
        (self.moved(s, value, m, top), [m, v, top])
    }
}

/// A step of Adam with decoupled weight decay (Loshchilov and Hutter 2019, "Decoupled weight decay regularization",
/// algorithm 2): `value -= shrink * value`, then Adam's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// The rest of the step.
    pub adam: Adam,
    /// The share of the value that is subtracted: the learning rate times the weight decay.
    pub shrink: f32,
}

impl<const N: usize> Step<N> for AdamW
where
    Adam: Step<N>,
{
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, memory: [S::V; N]) -> (S::V, [S::V; N]) {
        self.adam.apply(s, shrunk(s, self.shrink, value), gradient, memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::testing::assert_follows;

    /// The definition for one number, with the largest `v` so far.
    fn amsgrad(weight_decay: f64, shrink: f64) -> impl Fn(f64, f64, [f64; 3]) -> (f64, [f64; 3]) {
        move |w, g, [m, v, top]| {
            let w = w - shrink * w;
            let g = g + weight_decay * w;
            let (m, v) = (0.5 * m + 0.5 * g, 0.75 * v + 0.25 * g * g);
            let top = v.max(top);
            (w - 0.5 * m / (1.5 * top.sqrt() + 0.125), [m, v, top])
        }
    }

    /// The definition for one number, with the `v` of this step.
    fn plain(weight_decay: f64, shrink: f64) -> impl Fn(f64, f64, [f64; 2]) -> (f64, [f64; 2]) {
        move |w, g, [m, v]| {
            let (w, [m, v, _]) = amsgrad(weight_decay, shrink)(w, g, [m, v, 0.0]);
            (w, [m, v])
        }
    }

    #[test]
    fn a_step_follows_the_definition() {
        let adam =
            Adam { keep: 0.75, add: [0.5, 0.25], rate: 0.5, scale: 1.5, eps: 0.125, weight_decay: 0.125 };
        assert_follows(adam, plain(0.125, 0.0));
        assert_follows(adam, amsgrad(0.125, 0.0));
        let adamw = AdamW { adam: Adam { weight_decay: 0.0, ..adam }, shrink: 0.25 };
        assert_follows(adamw, plain(0.0, 0.25));
        assert_follows(adamw, amsgrad(0.0, 0.25));
    }
}
