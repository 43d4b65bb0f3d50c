//! Lion: steps of one size, in the direction of a sign.

use super::step::{Step, shrunk, sign};
use cnn_tensor::simd::Simd;

/// A step of Lion (Chen et al. 2023, "Symbolic discovery of optimization algorithms", algorithm 2), with `m` as memory.
///
/// ```text
/// c = m + add[0] * (gradient - m)
/// value -= shrink * value + rate * sign(c)               sign(0) = 0
/// m = m + add[1] * (gradient - m)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lion {
    /// `1 - beta1` and `1 - beta2`, the shares of the gradient in the direction and in `m`.
    pub add: [f32; 2],
    /// The learning rate.
    pub rate: f32,
    /// The share of the value that is subtracted: the learning rate times the weight decay.
    pub shrink: f32,
}

impl Step<1> for Lion {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, [m]: [S::V; 1]) -> (S::V, [S::V; 1]) {
        let [c, m] = self.add.map(|add| s.mul_add(s.splat(add), s.sub(gradient, m), m));
        (s.mul_add(s.splat(-self.rate), sign(s, c), shrunk(s, self.shrink, value)), [m])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::UpdateRule;
    use crate::update::testing::assert_follows;

    const RULE: Lion = Lion { add: [0.5, 0.25], rate: 0.5, shrink: 0.125 };

    #[test]
    fn a_step_follows_the_definition() {
        assert_follows(RULE, |w, g, [m]: [f64; 1]| {
            let c = 0.5 * m + 0.5 * g;
            // Closer to 0, the sign depends on a rounding error.
            let sign = if c.abs() < 1e-6 { f64::NAN } else { c.signum() };
            (w - 0.125 * w - 0.5 * sign, [0.75 * m + 0.25 * g])
        });
    }

    #[test]
    fn a_direction_of_0_moves_nothing() {
        let (rule, mut value, mut m) = (Lion { shrink: 0.0, ..RULE }, [3.0], [0.0]);
        rule.update(None, &mut value, &[0.0], [&mut m]);
        assert_eq!((value, m), ([3.0], [0.0]));
    }
}
