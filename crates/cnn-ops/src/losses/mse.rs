use super::{Loss, Reduction, Saved, elementwise};
use crate::OpError;
use cnn_tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The squared error: the sum of `(x - target)^2`; its derivative is `2 (x - target)`. PyTorch's `nn.MSELoss`.
///
/// ```
/// use cnn_ops::{Loss, Mse};
/// use cnn_tensor::Tensor;
/// let (x, target) = (Tensor::from_vec([2], vec![1.0, 5.0])?, Tensor::from_vec([2], vec![1.0, 2.0])?);
/// let (mean, dx) = Mse::default().loss(&x, &target)?;
/// assert_eq!(mean, 4.5);
/// assert_eq!(dx.data(), [0.0, 3.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: A. M. Legendre, "Nouvelles méthodes pour la détermination des orbites des comètes" (1805), appendix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mse {
    /// How the losses are combined. The mean divides by the number of elements.
    pub reduction: Reduction,
}

impl Loss<Tensor> for Mse {
    /// The sum of the losses over `x` and `target`, of any one shape.
    ///
    /// # Errors
    /// `target` does not have the shape of `x`.
    fn forward(&self, x: &Tensor, target: &Tensor) -> Result<(f64, Saved), OpError> {
        elementwise("mse", x, target, |_, x, target| ((x - target).powi(2), 2.0 * (x - target)))
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

    /// The definition, in f64.
    fn oracle(x: &[f64], target: &[f64]) -> f64 {
        x.iter().zip(target).map(|(x, target)| (x - target) * (x - target)).sum()
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(n in 0..80usize, scale in -2.0..2.0f32, seed: u64) {
            let (x, target) = (distinct([n], seed), distinct([n], seed ^ 1));
            compare(&x, scale, |x| Mse::default().forward(x, &target), |x| oracle(x, &to_f64(&target)));
        }

        #[test]
        fn any_one_shape_is_taken(x in any_shape(), target in any_shape()) {
            prop_assume!(x.numel().saturating_add(target.numel()) < 100_000);
            for target in [x, target] {
                let loss = Mse::default().loss(&Tensor::zeros(x), &Tensor::zeros(target));
                prop_assert_eq!(loss.map(|(_, dx)| dx.shape()).ok(), (x == target).then_some(x));
            }
        }
    }

    #[test]
    fn reductions() {
        let (x, target) = (distinct([3, 5], 1), distinct([3, 5], 2));
        let (sum, saved) = Mse::default().forward(&x, &target).unwrap();
        assert_eq!(
            Mse::default().loss(&x, &target).unwrap(),
            (sum / 15.0, saved.clone().backward(1.0 / 15.0))
        );
        let op = Mse { reduction: Reduction::Sum };
        assert_eq!(op.loss(&x, &target).unwrap(), (sum, saved.backward(1.0)));
    }

    #[test]
    fn the_mean_of_nothing_is_nan() {
        let (mean, dx) = Mse::default().loss(&Tensor::zeros([0, 3]), &Tensor::zeros([0, 3])).unwrap();
        assert!(mean.is_nan() && dx == Tensor::zeros([0, 3]));
        let sum = Mse { reduction: Reduction::Sum };
        assert_eq!(sum.loss(&Tensor::zeros([0]), &Tensor::zeros([0])).unwrap().0, 0.0);
    }

    #[test]
    fn nan_and_infinities() {
        let loss = |x, target| at(|x, target| Mse::default().loss(x, target), x, target);
        assert_eq!(loss(f32::INFINITY, 0.0), (f64::INFINITY, f32::INFINITY));
        let (nan, dnan) = loss(f32::INFINITY, f32::INFINITY);
        assert!(nan.is_nan() && dnan.is_nan());
        let (nan, dnan) = loss(f32::NAN, 0.0);
        assert!(nan.is_nan() && dnan.is_nan());
        assert_eq!(loss(f32::MAX, 0.0).0, f64::from(f32::MAX).powi(2));
    }

    #[test]
    fn threads_change_nothing() {
        let (x, target) = (distinct([70_000], 0), distinct([70_000], 1));
        assert_threads_change_nothing(|| Mse::default().forward(&x, &target).unwrap());
    }

    #[test]
    fn errors_say_what_is_expected() {
        let error = Mse::default().forward(&Tensor::zeros([2, 3]), &Tensor::zeros([3])).unwrap_err();
        assert_eq!(error.to_string(), "mse: target expects shape [2, 3], got [3]");
    }

    #[test]
    fn descriptions_may_leave_the_reduction_out() {
        assert_eq!(serde_json::from_str::<Mse>("{}").unwrap(), Mse::default());
        let sum = serde_json::from_str::<Mse>(r#"{"reduction":"sum"}"#).unwrap();
        assert_eq!(sum, Mse { reduction: Reduction::Sum });
    }
}
