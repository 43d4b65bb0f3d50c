//! Adagrad: steps scaled by the sum of all squared gradients so far.

use super::step::Step;
use cnn_tensor::simd::Simd;

/// A step of Adagrad (Duchi, Hazan and Singer 2011, "Adaptive subgradient methods for online learning and stochastic
/// optimization", the diagonal form of figure 1), with the sum of the squared gradients as memory.
///
/// ```text
/// g = gradient + weight_decay * value
/// sum = sum + g^2
/// value -= rate * g / (sqrt(sum) + eps)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adagrad {
    /// The learning rate after its decay.
    pub rate: f32,
    /// Added to the denominator.
    pub eps: f32,
    /// The L2 penalty added to the gradient.
    pub weight_decay: f32,
}

impl Step<1> for Adagrad {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, [sum]: [S::V; 1]) -> (S::V, [S::V; 1]) {
        let g = s.mul_add(s.splat(self.weight_decay), value, gradient);
        let sum = s.mul_add(g, g, sum);
        let denominator = s.add(s.sqrt(sum), s.splat(self.eps));
        (s.mul_add(s.splat(-self.rate), s.div(g, denominator), value), [sum])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::UpdateRule;
    use crate::update::testing::assert_follows;

    #[test]
    fn a_step_follows_the_definition() {
        let rule = Adagrad { rate: 0.5, eps: 0.125, weight_decay: 0.25 };
        assert_follows(rule, |w, g, [sum]| {
            let g: f64 = g + 0.25 * w;
            let sum = sum + g * g;
            (w - 0.5 * g / (sum.sqrt() + 0.125), [sum])
        });
    }

    #[test]
    fn a_gradient_of_0_from_the_start_moves_nothing() {
        let (rule, mut value, mut sum) = (Adagrad { rate: 0.5, eps: 1e-10, weight_decay: 0.0 }, [3.0], [0.0]);
        rule.update(None, &mut value, &[0.0], [&mut sum]);
        assert_eq!((value, sum), ([3.0], [0.0]));
    }
}
