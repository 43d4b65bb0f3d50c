//! Gradients before a method uses them: a penalty on the weights, and clipping.

use super::check::{not_negative, require};
use crate::NnError;
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

/// The factor that reduces the norm of the gradients to `max_norm`, or 1.
pub(super) fn factor(norm: f64, max_norm: f64) -> f32 {
    (max_norm / (norm + 1e-6)).min(1.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

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
