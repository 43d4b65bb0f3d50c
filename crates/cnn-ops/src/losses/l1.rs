use super::{Loss, Reduction, Saved, elementwise, sign};
use crate::OpError;
use cnn_tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The absolute error: the sum of `|x - target|`. PyTorch's `nn.L1Loss`.
///
/// The derivative is the sign of `x - target`: 0 where they are equal, as in PyTorch, and NaN for NaN, where PyTorch has
/// 0.
///
/// ```
/// use cnn_ops::{L1, Loss};
/// use cnn_tensor::Tensor;
/// let (x, target) = (Tensor::from_vec([2], vec![1.0, -5.0])?, Tensor::from_vec([2], vec![1.0, 2.0])?);
/// let (mean, dx) = L1::default().loss(&x, &target)?;
/// assert_eq!(mean, 3.5);
/// assert_eq!(dx.data(), [0.0, -0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: P. S. Laplace, "Théorie analytique des probabilités", second supplement (1818).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L1 {
    /// How the losses are combined. The mean divides by the number of elements.
    pub reduction: Reduction,
}

impl Loss<Tensor> for L1 {
    /// The sum of the losses over `x` and `target`, of any one shape.
    ///
    /// # Errors
    /// `target` does not have the shape of `x`.
    fn forward(&self, x: &Tensor, target: &Tensor) -> Result<(f64, Saved), OpError> {
        elementwise("l1", x, target, |_, x, target| ((x - target).abs(), sign(x - target)))
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
    use crate::shared::testing::{any_number_of_rejects, any_shape, everywhere, whole_numbers};
    use cnn_tensor::testing::{distinct, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(x: &[f64], target: &[f64]) -> f64 {
        x.iter().zip(target).map(|(x, target)| (x - target).abs()).sum()
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(n in 0..80usize, scale in -2.0..2.0f32, seed: u64) {
            let (x, mut target) = (distinct([n], seed), distinct([n], seed ^ 1));
            // No difference is 0.
            target.data_mut().iter_mut().for_each(|target| *target += 0.5 / n as f32);
            compare(&x, scale, |x| L1::default().forward(x, &target), |x| oracle(x, &to_f64(&target)));
        }

        #[test]
        fn whole_numbers_are_exact(n in 0..200usize, seed: u64) {
            let (x, target) = (whole_numbers([n], 3, seed), whole_numbers([n], 3, seed ^ 1));
            let pairs = to_f64(&x).into_iter().zip(to_f64(&target));
            let signs: Vec<f64> = pairs.map(|(x, target)| f64::from(x > target) - f64::from(x < target)).collect();
            let want = oracle(&to_f64(&x), &to_f64(&target));
            everywhere(|| {
                let (sum, saved) = L1::default().forward(&x, &target).unwrap();
                assert_eq!(sum, want);
                crate::shared::testing::assert_exact("dx", &saved.backward(1.0), &signs);
            });
        }

        #[test]
        fn any_one_shape_is_taken(x in any_shape(), target in any_shape()) {
            prop_assume!(x.numel().saturating_add(target.numel()) < 100_000);
            for target in [x, target] {
                let loss = L1::default().loss(&Tensor::zeros(x), &Tensor::zeros(target));
                prop_assert_eq!(loss.map(|(_, dx)| dx.shape()).ok(), (x == target).then_some(x));
            }
        }
    }

    #[test]
    fn equal_numbers_nan_and_infinities() {
        let loss = |x, target| at(|x, target| L1::default().loss(x, target), x, target);
        assert_eq!(loss(2.0, 2.0), (0.0, 0.0));
        assert_eq!(loss(0.0, f32::INFINITY), (f64::INFINITY, -1.0));
        for (x, target) in [(f32::NAN, 0.0), (0.0, f32::NAN), (f32::INFINITY, f32::INFINITY)] {
            let (nan, dnan) = loss(x, target);
            assert!(nan.is_nan() && dnan.is_nan());
        }
    }

    #[test]
    fn reductions() {
        let (x, target) = (distinct([3, 5], 1), distinct([3, 5], 2));
        let (sum, saved) = L1::default().forward(&x, &target).unwrap();
        assert_eq!(
            L1::default().loss(&x, &target).unwrap(),
            (sum / 15.0, saved.clone().backward(1.0 / 15.0))
        );
        let op = L1 { reduction: Reduction::Sum };
        assert_eq!(op.loss(&x, &target).unwrap(), (sum, saved.backward(1.0)));
        let (mean, dx) = L1::default().loss(&Tensor::zeros([0]), &Tensor::zeros([0])).unwrap();
        assert!(mean.is_nan() && dx == Tensor::zeros([0]));
    }

    #[test]
    fn threads_change_nothing() {
        let (x, target) = (distinct([70_000], 0), distinct([70_000], 1));
        assert_threads_change_nothing(|| L1::default().forward(&x, &target).unwrap());
    }

    #[test]
    fn errors_say_what_is_expected() {
        let error = L1::default().forward(&Tensor::zeros([2, 3]), &Tensor::zeros([3])).unwrap_err();
        assert_eq!(error.to_string(), "l1: target expects shape [2, 3], got [3]");
    }
}
