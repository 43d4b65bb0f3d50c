//! Gradients before a method uses them: a penalty on the weights, and clipping.

use super::check::{not_negative, require};
use super::method::{Step, sign};
use crate::NnError;
use cnn_tensor::simd::Simd;
use cnn_tensor::{Tensor, parallel};
use serde::{Deserialize, Serialize};

/// Gradient clipping, so that no single batch changes the weights by much.
///
/// In a description: `{"type": "norm", "max_norm": 1.0}`. Gradients are clipped when they are used, with the penalty included.
/// The gradients passed in are not changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Clip {
    /// All gradients times `min(1, max_norm / (norm + 1e-6))`, where `norm` is the Euclidean norm of all of them together
    /// (Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks", algorithm 1): PyTorch's
    /// `clip_grad_norm_` with `error_if_nonfinite`. The norm is a sum in f64, in a fixed order.
    Norm {
        /// The largest norm that is not reduced; above 0.
        max_norm: f64,
    },
    /// Every number of a gradient limited to `-clip_value` to `clip_value`: PyTorch's `clip_grad_value_`. NaN stays NaN.
    Value {
        /// The largest magnitude; above 0.
        clip_value: f64,
    },
}

impl Clip {
    /// Checks the options.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        let (what, bound) = match *self {
            Self::Norm { max_norm } => ("clip: max_norm", max_norm),
            Self::Value { clip_value } => ("clip: clip_value", clip_value),
        };
        let float = bound as f32;
        require(float > 0.0 && float.is_finite(), what, "a float above 0", bound)
    }
}

/// A penalty on large weights, added to the training loss: `l1 * sum |w| + l2 / 2 * sum w^2`.
///
/// The sums are over the parameters of two axes or more: the weights of convolutions and linear layers, but not biases or
/// the scales and shifts of normalizations. The gradient `l1 * sign(w) + l2 * w`, with `sign(0) = 0`, is added to that
/// of the loss, so it is part of clipping, momentum and averages. For plain SGD, `l2` is a weight decay.
/// [`cnn_ops::Penalty`] computes the same for one parameter. L1 drives unimportant weights to 0 (Tibshirani 1996,
/// "Regression shrinkage and selection via the lasso"), L2 makes all of them small (Krogh and Hertz 1991, "A simple weight
/// decay can improve generalization").
///
/// Reported losses are without the penalty, so that training and test can be compared;
/// [`StepReport::penalty`](crate::StepReport::penalty) has the penalty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Penalty {
    /// The factor of the sum of magnitudes; at least 0.
    pub l1: f64,
    /// The factor of half the sum of squares; at least 0.
    pub l2: f64,
}

impl Penalty {
    /// Checks the options.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        not_negative("penalty: l1", self.l1)?;
        not_negative("penalty: l2", self.l2)
    }

    /// Whether there is no penalty.
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The penalty on a parameter with this number of axes.
    pub(super) fn on(self, axes: usize) -> Self {
        if axes >= 2 { self } else { Self::default() }
    }
}

/// Sums over all gradients and weights before a step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    /// The sum of the squares of all gradients, with the penalty's included.
    pub squares: f64,
    /// The penalty.
    pub penalty: f64,
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.squares += other.squares;
        self.penalty += other.penalty;
    }
}

/// The number of elements that a thread takes at a time.
const PIECE: usize = 1 << 16;
/// The number of independent running sums, so that an addition need not wait for the one before it.
const WAYS: usize = 8;

impl Sums {
    /// The sums over one parameter, in an order that depends on its length alone.
    pub fn of(value: &Tensor, gradient: &Tensor, penalty: Penalty) -> Self {
        let (values, gradients) = (value.data(), gradient.data());
        let pieces = parallel::map(gradients.len().div_ceil(PIECE), |i| {
            let piece = i * PIECE..gradients.len().min((i + 1) * PIECE);
            if penalty.is_none() {
                Self { squares: squares(&gradients[piece]), penalty: 0.0 }
            } else {
                Self::penalized(&values[piece.clone()], &gradients[piece], penalty)
            }
        });
        let mut sums = Self::default();
        pieces.into_iter().for_each(|piece| sums += piece);
        sums
    }

    fn penalized(values: &[f32], gradients: &[f32], Penalty { l1, l2 }: Penalty) -> Self {
        let (mut squares, mut magnitudes, mut value_squares) = ([0.0; WAYS], [0.0; WAYS], [0.0; WAYS]);
        for (values, gradients) in values.chunks(WAYS).zip(gradients.chunks(WAYS)) {
            for (i, (&value, &gradient)) in values.iter().zip(gradients).enumerate() {
                let value = f64::from(value);
                let sign = if value == 0.0 { 0.0 } else { value.signum() };
                squares[i] += (f64::from(gradient) + l1 * sign + l2 * value).powi(2);
                magnitudes[i] += value.abs();
                value_squares[i] += value * value;
            }
        }
        let [squares, magnitudes, value_squares] =
            [squares, magnitudes, value_squares].map(|sums| sums.iter().sum::<f64>());
        Self { squares, penalty: l1 * magnitudes + l2 / 2.0 * value_squares }
    }
}

fn squares(x: &[f32]) -> f64 {
    let mut sums = [0.0; WAYS];
    let (groups, rest) = x.as_chunks::<WAYS>();
    for group in groups {
        for (sum, &x) in sums.iter_mut().zip(group) {
            *sum += f64::from(x) * f64::from(x);
        }
    }
    for (sum, &x) in sums.iter_mut().zip(rest) {
        *sum += f64::from(x) * f64::from(x);
    }
    sums.iter().sum()
}

/// The factor that reduces the norm of the gradients to `max_norm`, or 1.
pub(super) fn factor(norm: f64, max_norm: f64) -> f32 {
    (max_norm / (norm + 1e-6)).min(1.0) as f32
}

/// A step on gradients with the penalty's added, and then clipped.
#[derive(Clone, Copy)]
pub(super) struct Conditioned<T> {
    pub step: T,
    /// The penalty on this parameter.
    pub penalty: Penalty,
    /// The factor that reduces the norm; 1 changes no bit.
    pub factor: f32,
    /// The largest magnitude; infinity changes no bit.
    pub bound: f32,
}

impl<T: Step<N>, const N: usize> Step<N> for Conditioned<T> {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, memory: [S::V; N]) -> (S::V, [S::V; N]) {
        let Self { step, penalty: Penalty { l1, l2 }, factor, bound } = self;
        let g = s.mul_add(s.splat(l2 as f32), value, gradient);
        let g = s.mul_add(s.splat(l1 as f32), sign(s, value), g);
        let g = s.mul(s.splat(factor), g);
        let g = s.min(s.splat(bound), s.max(s.splat(-bound), g));
        step.apply(s, value, g, memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_tensor::testing::{distinct, to_f64};

    #[test]
    fn sums_are_those_of_the_definition_and_the_same_for_any_number_of_threads() {
        for n in [0, 1, 7, 8, 9, 1000, 2 * PIECE + 13] {
            let (mut value, gradient) = (distinct([n], 1), distinct([n], 2));
            value.data_mut().iter_mut().step_by(3).for_each(|v| *v = 0.0);
            for penalty in [Penalty::default(), Penalty { l1: 0.5, l2: 0.25 }, Penalty { l1: 0.0, l2: 2.0 }] {
                let Penalty { l1, l2 } = penalty;
                let sign = |w: f64| f64::from(w > 0.0) - f64::from(w < 0.0);
                let (mut squares, mut total) = (0.0, 0.0);
                for (w, g) in to_f64(&value).into_iter().zip(to_f64(&gradient)) {
                    squares += (g + l1 * sign(w) + l2 * w).powi(2);
                    total += l1 * w.abs() + l2 / 2.0 * w * w;
                }
                let [got, again] = [1, 3].map(|threads| {
                    let pool = parallel::Threads::new(threads).unwrap();
                    pool.run(|| Sums::of(&value, &gradient, penalty))
                });
                assert_eq!((got.squares, got.penalty), (again.squares, again.penalty));
                assert!((got.squares - squares).abs() <= 1e-12 * squares, "{n}: {got:?} {squares}");
                assert!((got.penalty - total).abs() <= 1e-12 * total, "{n}: {got:?} {total}");
            }
        }
    }

    #[test]
    fn only_norms_above_the_largest_are_cut() {
        assert_eq!(factor(0.0, 0.5), 1.0);
        assert_eq!(factor(0.5, 0.5), (0.5 / (0.5 + 1e-6)) as f32);
        assert_eq!(factor(2.0, 4.0), 1.0);
        assert_eq!(factor(1e30, 1.0), 1e-30);
    }

    #[test]
    fn descriptions_have_pytorchs_names() {
        let clips = [Clip::Norm { max_norm: 1.0 }, Clip::Value { clip_value: 0.5 }];
        let text = r#"[{"type":"norm","max_norm":1.0},{"type":"value","clip_value":0.5}]"#;
        assert_eq!(serde_json::to_string(&clips).unwrap(), text);
        assert_eq!(serde_json::from_str::<[Clip; 2]>(text).unwrap(), clips);
        assert!(serde_json::from_str::<Clip>(r#"{"type":"norm","max_norm":1,"norm_type":1}"#).is_err());
        let penalty: Penalty = serde_json::from_str(r#"{"l2":0.1}"#).unwrap();
        assert_eq!(penalty, Penalty { l1: 0.0, l2: 0.1 });
    }

    #[test]
    fn options_out_of_range_are_named() {
        let message = |clip: Clip| clip.validate().unwrap_err().to_string();
        for (bound, shown) in [(0.0, "0"), (-1.0, "-1"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
            let rule = format!("must be a float above 0, got {shown}");
            assert_eq!(message(Clip::Norm { max_norm: bound }), format!("clip: max_norm {rule}"));
            assert_eq!(message(Clip::Value { clip_value: bound }), format!("clip: clip_value {rule}"));
        }
        let message = |l1, l2| Penalty { l1, l2 }.validate().unwrap_err().to_string();
        assert_eq!(message(-1.0, 0.0), "penalty: l1 must be finite and at least 0, got -1");
        assert_eq!(message(0.0, f64::INFINITY), "penalty: l2 must be finite and at least 0, got inf");
    }
}
