//! RMSprop: steps scaled by a running average of the squared gradient.

use super::step::Step;
use cnn_tensor::simd::Simd;

/// A step of RMSprop (Tieleman and Hinton 2012, "Neural networks for machine learning", lecture 6e), with the mean square `s` as
/// memory and, with momentum, `b`.
///
/// ```text
/// g = gradient + weight_decay * value
/// s = keep * s + add * g^2
/// q = g / (sqrt(s + below) + beside)
/// b = momentum * b + q                                   without momentum, b = q
/// value -= rate * b
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// The learning rate.
    pub rate: f32,
    /// `alpha`, the share of the averages that is kept.
    pub keep: f32,
    /// `1 - alpha`.
    pub add: f32,
    /// Added below the root; 0 where `beside` is not.
    pub below: f32,
    /// Added to the root; 0 where `below` is not.
    pub beside: f32,
    /// The share of the last change that is kept; unused where the memory has no place for it.
    pub momentum: f32,
    /// The L2 penalty added to the gradient.
    pub weight_decay: f32,
}

/// [`RmsProp`] in the form that divides by the standard deviation (Graves 2013, "Generating sequences with recurrent neural
/// networks", eq. 38 to 45), with the variance, the mean `a` of the gradients and, with momentum, `b` as memory.
///
/// ```text
/// variance = keep * (variance + add * (g - a)^2)
/// a = a + add * (g - a)
/// q = g / (sqrt(variance + below) + beside)
/// ```
///
/// This equals the paper's `s - a^2`. Where `g` hardly changes, the difference of `s` and `a^2` would consist of rounding errors,
/// sometimes below 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CenteredRmsProp(pub RmsProp);

impl RmsProp {
    #[inline(always)]
    fn gradient<S: Simd>(self, s: S, value: S::V, gradient: S::V) -> S::V {
        s.mul_add(s.splat(self.weight_decay), value, gradient)
    }

    #[inline(always)]
    fn quotient<S: Simd>(self, s: S, g: S::V, square: S::V) -> S::V {
        s.div(g, s.add(s.sqrt(s.add(square, s.splat(self.below))), s.splat(self.beside)))
    }

    #[inline(always)]
    fn moved<S: Simd>(self, s: S, value: S::V, change: S::V) -> S::V {
        s.mul_add(s.splat(-self.rate), change, value)
    }

    /// The quotient `q`, and the mean square.
    #[inline(always)]
    fn scaled<S: Simd>(self, s: S, value: S::V, gradient: S::V, square: S::V) -> (S::V, S::V) {
        let g = self.gradient(s, value, gradient);
        let square = s.mul_add(s.splat(self.add), s.mul(g, g), s.mul(s.splat(self.keep), square));
        (self.quotient(s, g, square), square)
    }
}

impl CenteredRmsProp {
    /// The quotient `q`, and variance and mean.
    #[inline(always)]
    fn scaled<S: Simd>(
        self,
        s: S,
        value: S::V,
        gradient: S::V,
        [variance, mean]: [S::V; 2],
    ) -> (S::V, [S::V; 2]) {
        let (keep, add) = (s.splat(self.0.keep), s.splat(self.0.add));
        let g = self.0.gradient(s, value, gradient);
        let away = s.sub(g, mean);
        let variance = s.mul(keep, s.mul_add(add, s.mul(away, away), variance));
        let mean = s.mul_add(add, away, mean);
        (self.0.quotient(s, g, variance), [variance, mean])
    }
}

impl Step<1> for RmsProp {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, [square]: [S::V; 1]) -> (S::V, [S::V; 1]) {
        let (q, square) = self.scaled(s, value, gradient, square);
        (self.moved(s, value, q), [square])
    }
}

impl Step<2> for RmsProp {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, [square, b]: [S::V; 2]) -> (S::V, [S::V; 2]) {
        let (q, square) = self.scaled(s, value, gradient, square);
        let b = s.mul_add(s.splat(self.momentum), b, q);
        (self.moved(s, value, b), [square, b])
    }
}

impl Step<2> for CenteredRmsProp {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, memory: [S::V; 2]) -> (S::V, [S::V; 2]) {
        let (q, memory) = self.scaled(s, value, gradient, memory);
        (self.0.moved(s, value, q), memory)
    }
}

impl Step<3> for CenteredRmsProp {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, memory: [S::V; 3]) -> (S::V, [S::V; 3]) {
        let [variance, mean, b] = memory;
        let (q, [variance, mean]) = self.scaled(s, value, gradient, [variance, mean]);
        let b = s.mul_add(s.splat(self.0.momentum), b, q);
        (self.0.moved(s, value, b), [variance, mean, b])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::UpdateRule;
    use crate::update::testing::assert_follows;

    const RULE: RmsProp = RmsProp {
        rate: 0.5,
        keep: 0.75,
        add: 0.25,
        below: 0.0,
        beside: 0.125,
        momentum: 0.5,
        weight_decay: 0.25,
    };

    #[test]
    fn a_step_follows_the_definition() {
        for in_root in [false, true] {
            let (below, beside) = if in_root { (0.125, 0.0) } else { (0.0, 0.125) };
            let rule = RmsProp { below, beside, ..RULE };
            let quotient = |g: f64, square: f64| g / ((square + f64::from(below)).sqrt() + f64::from(beside));
            let plain = |w: f64, g: f64, s: f64| {
                let g = g + 0.25 * w;
                let s = 0.75 * s + 0.25 * g * g;
                (quotient(g, s), s)
            };
            assert_follows(rule, |w, g, [s]| {
                let (q, s) = plain(w, g, s);
                (w - 0.5 * q, [s])
            });
            assert_follows(rule, |w, g, [s, b]| {
                let (q, s) = plain(w, g, s);
                let b = 0.5 * b + q;
                (w - 0.5 * b, [s, b])
            });
            // By the mean square, from which the variance is the difference.
            let centered = |w: f64, g: f64, [variance, a]: [f64; 2]| {
                let g = g + 0.25 * w;
                let s = 0.75 * (variance + a * a) + 0.25 * g * g;
                let a = 0.75 * a + 0.25 * g;
                (quotient(g, s - a * a), [s - a * a, a])
            };
            assert_follows(CenteredRmsProp(rule), |w, g, memory: [f64; 2]| {
                let (q, memory) = centered(w, g, memory);
                (w - 0.5 * q, memory)
            });
            assert_follows(CenteredRmsProp(rule), |w, g, [variance, a, b]: [f64; 3]| {
                let (q, [variance, a]) = centered(w, g, [variance, a]);
                let b = 0.5 * b + q;
                (w - 0.5 * b, [variance, a, b])
            });
        }
    }

    /// The difference of mean square and squared mean would be off by tenths, or its root NaN.
    #[test]
    fn the_variance_of_a_gradient_that_hardly_changes_has_all_its_digits() {
        let rule = CenteredRmsProp(RmsProp { keep: 0.9, add: 0.1, weight_decay: 0.0, ..RULE });
        let ([mut got_variance, mut got_mean], mut variance, mut mean) = ([[0.0]; 2], 0.0, 0.0);
        for t in 0..400 {
            let g = 1000.0 + (t % 2) as f32 / 64.0;
            rule.update(None, &mut [0.0], &[g], [&mut got_variance, &mut got_mean]);
            let away = f64::from(g) - mean;
            variance = 0.9 * (variance + 0.1 * away * away);
            mean += 0.1 * away;
        }
        assert!(variance < 1e-4, "{variance}");
        let [got] = got_variance.map(f64::from);
        assert!((got - variance).abs() <= 0.02 * variance, "{got} {variance}");
    }
}
