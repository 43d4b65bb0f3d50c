use super::{Loss, Reduction, Saved, elementwise, sign};
use crate::OpError;
use crate::shared::check;
use cnn_tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The squared error near 0, the absolute error beyond: with `d = x - target`, the sum of `d^2 / (2 beta)` where
/// `|d| < beta`, else `|d| - beta / 2`. PyTorch's `nn.SmoothL1Loss`.
///
/// The derivative is `d / beta`, or the sign of `d`. With `beta = 0` it is the absolute error. Where `d` is NaN, so are
/// both.
///
/// ```
/// use cnn_ops::{Loss, SmoothL1};
/// use cnn_tensor::Tensor;
/// let (x, target) = (Tensor::from_vec([2], vec![0.5, -5.0])?, Tensor::zeros([2]));
/// let (mean, dx) = SmoothL1::default().loss(&x, &target)?;
/// assert_eq!(mean, (0.125 + 4.5) / 2.0);
/// assert_eq!(dx.data(), [0.25, -0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: R. Girshick, "Fast R-CNN", ICCV 2015, eq. 3.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmoothL1 {
    /// The difference from which the loss is straight; at least 0. 1 unless given.
    pub beta: f64,
    /// How the losses are combined. The mean divides by the number of elements.
    pub reduction: Reduction,
}

impl Default for SmoothL1 {
    fn default() -> Self {
        Self { beta: 1.0, reduction: Reduction::Mean }
    }
}

impl Loss<Tensor> for SmoothL1 {
    /// The sum of the losses over `x` and `target`, of any one shape.
    ///
    /// # Errors
    /// `beta` is negative or NaN, or `target` does not have the shape of `x`.
    fn forward(&self, x: &Tensor, target: &Tensor) -> Result<(f64, Saved), OpError> {
        let beta = self.beta;
        check::number("smooth_l1", "beta", "at least 0", beta, beta >= 0.0)?;
        elementwise("smooth_l1", x, target, |_, x, target| {
            let d = x - target;
            if d.abs() < beta { (d * d / (2.0 * beta), d / beta) } else { (d.abs() - beta / 2.0, sign(d)) }
        })
    }

    /// For the mean, the number of elements; else 1.
    fn divisor(&self, target: &Tensor) -> f64 {
        self.reduction.divisor(target.shape().numel() as f64)
    }
}

/// Huber's loss, `delta` times [`SmoothL1`] with `beta = delta`: with `d = x - target`, the sum of `d^2 / 2` where
/// `|d| <= delta`, else `delta (|d| - delta / 2)`. PyTorch's `nn.HuberLoss`.
///
/// The derivative is `d`, clipped to `-delta` and `delta`. Where `d` is NaN, so are both.
///
/// ```
/// use cnn_ops::{Huber, Loss};
/// use cnn_tensor::Tensor;
/// let (x, target) = (Tensor::from_vec([2], vec![0.5, -5.0])?, Tensor::zeros([2]));
/// let huber = Huber { delta: 2.0, ..Huber::default() };
/// let (mean, dx) = huber.loss(&x, &target)?;
/// assert_eq!(mean, (0.125 + 8.0) / 2.0);
/// assert_eq!(dx.data(), [0.25, -1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: P. Huber, "Robust Estimation of a Location Parameter" (1964), section 3.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Huber {
    /// The difference up to which errors are squared; above 0. 1 unless given.
    pub delta: f64,
    /// How the losses are combined. The mean divides by the number of elements.
    pub reduction: Reduction,
}

impl Default for Huber {
    fn default() -> Self {
        Self { delta: 1.0, reduction: Reduction::Mean }
    }
}

impl Loss<Tensor> for Huber {
    /// The sum of the losses over `x` and `target`, of any one shape.
    ///
    /// # Errors
    /// `delta` is not above 0, or `target` does not have the shape of `x`.
    fn forward(&self, x: &Tensor, target: &Tensor) -> Result<(f64, Saved), OpError> {
        let delta = self.delta;
        check::number("huber", "delta", "above 0", delta, delta > 0.0)?;
        elementwise("huber", x, target, |_, x, target| {
            let d = x - target;
            if d.abs() <= delta {
                (d * d / 2.0, d)
            } else {
                (delta * (d.abs() - delta / 2.0), delta * sign(d))
            }
        })
    }

    /// For the mean, the number of elements; else 1.
    fn divisor(&self, target: &Tensor) -> f64 {
        self.reduction.divisor(target.shape().numel() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::shared::testing::{any_number_of_rejects, any_shape};
    use cnn_tensor::testing::{distinct, to_f64};
    use proptest::prelude::*;

    /// The definition of both, in f64: Huber's loss, and that divided by beta.
    fn huber(delta: f64, x: &[f64], target: &[f64]) -> f64 {
        let of_difference = |d: f64| {
            if d.abs() <= delta { d * d / 2.0 } else { delta * d.abs() - delta * delta / 2.0 }
        };
        x.iter().zip(target).map(|(x, target)| of_difference(x - target)).sum()
    }

    fn smooth_l1(beta: f64, x: &[f64], target: &[f64]) -> f64 {
        huber(beta, x, target) / beta
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        // Both losses and their derivatives are continuous, so numbers near the kink do no harm.
        #[test]
        fn match_the_definition(n in 0..60usize, width in 0.05..3.0f64, scale in -2.0..2.0f32, seed: u64) {
            let (x, target) = (distinct([n], seed), distinct([n], seed ^ 1));
            let t64 = to_f64(&target);
            let op = SmoothL1 { beta: width, ..SmoothL1::default() };
            compare(&x, scale, |x| op.forward(x, &target), |x| smooth_l1(width, x, &t64));
            let op = Huber { delta: width, ..Huber::default() };
            compare(&x, scale, |x| op.forward(x, &target), |x| huber(width, x, &t64));
        }

        #[test]
        fn absurd_options_are_errors(option in prop::num::f64::ANY, x in any_shape(), target in any_shape()) {
            prop_assume!(x.numel().saturating_add(target.numel()) < 100_000);
            for target in [x, target] {
                let tensors = (Tensor::zeros(x), Tensor::zeros(target));
                let smooth = SmoothL1 { beta: option, ..SmoothL1::default() };
                prop_assert_eq!(smooth.loss(&tensors.0, &tensors.1).is_ok(), x == target && option >= 0.0);
                let huber = Huber { delta: option, ..Huber::default() };
                prop_assert_eq!(huber.loss(&tensors.0, &tensors.1).is_ok(), x == target && option > 0.0);
            }
        }
    }

    fn at_beta(beta: f64, x: f32) -> (f64, f32) {
        at(|x, target| SmoothL1 { beta, ..SmoothL1::default() }.loss(x, target), x, 0.0)
    }

    fn at_delta(delta: f64, x: f32) -> (f64, f32) {
        at(|x, target| Huber { delta, ..Huber::default() }.loss(x, target), x, 0.0)
    }

    #[test]
    fn at_the_kink_both_sides_agree() {
        assert_eq!((at_beta(2.0, 2.0), at_beta(2.0, -2.0)), ((1.0, 1.0), (1.0, -1.0)));
        assert_eq!((at_delta(2.0, 2.0), at_delta(2.0, -2.0)), ((2.0, 2.0), (2.0, -2.0)));
    }

    #[test]
    fn without_beta_it_is_the_absolute_error() {
        assert_eq!((at_beta(0.0, -3.0), at_beta(0.0, 0.0)), ((3.0, -1.0), (0.0, 0.0)));
    }

    #[test]
    fn nan_and_infinities() {
        for at in [at_beta, at_delta] {
            assert_eq!(at(1.0, f32::NEG_INFINITY), (f64::INFINITY, -1.0));
            let (nan, dnan) = at(1.0, f32::NAN);
            assert!(nan.is_nan() && dnan.is_nan());
        }
    }

    #[test]
    fn reductions() {
        let (x, target) = (distinct([3, 5], 1), distinct([3, 5], 2));
        let (sum, saved) = SmoothL1::default().forward(&x, &target).unwrap();
        assert_eq!(
            SmoothL1::default().loss(&x, &target).unwrap(),
            (sum / 15.0, saved.clone().backward(1.0 / 15.0))
        );
        let op = Huber { reduction: Reduction::Sum, ..Huber::default() };
        let (sum, saved) = op.forward(&x, &target).unwrap();
        assert_eq!(op.loss(&x, &target).unwrap(), (sum, saved.backward(1.0)));
        let (mean, dx) = Huber::default().loss(&Tensor::zeros([0]), &Tensor::zeros([0])).unwrap();
        assert!(mean.is_nan() && dx == Tensor::zeros([0]));
    }

    #[test]
    fn threads_change_nothing() {
        let (x, target) = (distinct([70_000], 0), distinct([70_000], 1));
        assert_threads_change_nothing(|| SmoothL1::default().forward(&x, &target).unwrap());
        assert_threads_change_nothing(|| Huber::default().forward(&x, &target).unwrap());
    }

    #[test]
    fn errors_say_what_is_expected() {
        let (x, target) = (Tensor::zeros([2, 3]), Tensor::zeros([3]));
        let message = |result: Result<(f64, Saved), OpError>| result.unwrap_err().to_string();
        let smooth = |beta| message(SmoothL1 { beta, ..SmoothL1::default() }.forward(&x, &target));
        assert_eq!(smooth(-1.0), "smooth_l1: beta must be at least 0, got -1");
        assert_eq!(smooth(f64::NAN), "smooth_l1: beta must be at least 0, got NaN");
        assert_eq!(smooth(1.0), "smooth_l1: target expects shape [2, 3], got [3]");
        let huber = |delta| message(Huber { delta, ..Huber::default() }.forward(&x, &target));
        assert_eq!(huber(0.0), "huber: delta must be above 0, got 0");
        assert_eq!(huber(1.0), "huber: target expects shape [2, 3], got [3]");
    }

    #[test]
    fn descriptions_may_leave_options_out() {
        assert_eq!(serde_json::from_str::<SmoothL1>("{}").unwrap(), SmoothL1::default());
        let huber = serde_json::from_str::<Huber>(r#"{"delta":0.5,"reduction":"sum"}"#).unwrap();
        assert_eq!(huber, Huber { delta: 0.5, reduction: Reduction::Sum });
    }
}
