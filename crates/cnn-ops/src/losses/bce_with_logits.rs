use super::{Loss, Reduction, Saved, elementwise};
use crate::OpError;
use crate::shared::check;
use cnn_tensor::{Shape, Tensor};
use serde::{Deserialize, Serialize};

/// Binary cross-entropy of `sigmoid(x)`, for independent labels, each of which an image has or does not have. PyTorch's
/// `nn.BCEWithLogitsLoss`.
///
/// With `p = sigmoid(x)`, the weight `w` and the positive weight `a` of the class, the sum over all elements of
///
/// ```text
/// loss = -w (a target ln(p) + (1 - target) ln(1 - p))
///      = w ((1 - target) x + (1 + (a - 1) target) ln(1 + e^-x))
/// dx   = w ((1 - target) - (1 + (a - 1) target) / (1 + e^x))
/// ```
///
/// so that nothing overflows. Classes are axis 1 of `[n, classes, ...]`; a tensor of lower rank has one. Targets are
/// probabilities, mostly 0 or 1, but may be any numbers. As in PyTorch, the mean divides by the number of elements,
/// not by the sum of the weights; a NaN gives NaN; at minus infinity the loss is NaN, and at infinity it is infinite, or NaN
/// for a target of 1.
///
/// ```
/// use cnn_ops::{BceWithLogits, Loss};
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 2], vec![0.0, 0.0])?;
/// let target = Tensor::from_vec([1, 2], vec![1.0, 0.0])?;
/// let op = BceWithLogits { pos_weight: Some(vec![3.0, 1.0]), ..BceWithLogits::default() };
/// let (mean, dx) = op.loss(&x, &target)?;
/// assert_eq!(mean, 2.0 * 2f64.ln());
/// assert_eq!(dx.data(), [-0.75, 0.25]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: D. R. Cox, "The Regression Analysis of Binary Sequences" (1958).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BceWithLogits {
    /// The weight of each class; all 1 without.
    pub weight: Option<Vec<f32>>,
    /// The weight of the positive answers of each class, relative to the negative ones; 1 without.
    pub pos_weight: Option<Vec<f32>>,
    /// How the losses are combined. The mean divides by the number of elements.
    pub reduction: Reduction,
}

const OP: &str = "bce_with_logits";

impl Loss<Tensor> for BceWithLogits {
    /// The sum of the losses over logits `x` and `target`, of any one shape.
    ///
    /// # Errors
    /// There is not one weight for each class, or `target` does not have the shape of `x`.
    fn forward(&self, x: &Tensor, target: &Tensor) -> Result<(f64, Saved), OpError> {
        let [classes, inner] = classes(x.shape());
        check::per_class(OP, "weight", self.weight.as_deref(), classes)?;
        check::per_class(OP, "pos_weight", self.pos_weight.as_deref(), classes)?;
        let of_class = |weights: &Option<Vec<f32>>, at: usize| {
            weights.as_ref().map_or(1.0, |weights| f64::from(weights[at / inner % classes]))
        };
        elementwise(OP, x, target, |at, x, target| {
            let (weight, positive) = (of_class(&self.weight, at), of_class(&self.pos_weight, at));
            let more = 1.0 + (positive - 1.0) * target;
            let softplus = (-x).max(0.0) + (-x.abs()).exp().ln_1p();
            let loss = (1.0 - target) * x + more * softplus;
            let dx = (1.0 - target) - more / (1.0 + x.exp());
            (weight * loss, weight * dx)
        })
    }

    /// For the mean, the number of elements; else 1.
    fn divisor(&self, target: &Tensor) -> f64 {
        self.reduction.divisor(target.shape().numel() as f64)
    }
}

/// The number of classes of `[n, classes, ...]`, and of elements that each has in an image.
fn classes(x: Shape) -> [usize; 2] {
    match check::channels(OP, "x", "[n, classes, ...]", x) {
        Ok([_, classes, inner]) => [classes, inner],
        Err(_) => [1, 1],
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
    fn oracle(op: &BceWithLogits, [classes, inner]: [usize; 2], x: &[f64], target: &[f64]) -> f64 {
        let of_class =
            |w: &Option<Vec<f32>>, at: usize| w.as_ref().map_or(1.0, |w| f64::from(w[at / inner % classes]));
        let loss = |(at, (x, target)): (usize, (&f64, &f64))| {
            let p = 1.0 / (1.0 + (-x).exp());
            let positive = of_class(&op.pos_weight, at) * target * p.ln();
            -of_class(&op.weight, at) * (positive + (1.0 - target) * (1.0 - p).ln())
        };
        x.iter().zip(target).enumerate().map(loss).sum()
    }

    fn weights(classes: usize) -> impl Strategy<Value = Option<Vec<f32>>> {
        prop::option::of(prop::collection::vec(-1.0..4.0f32, classes))
    }

    /// A shape of any rank, and weights for its classes.
    fn cases() -> impl Strategy<Value = (Shape, BceWithLogits)> {
        prop::collection::vec(0..4usize, 0..=6).prop_flat_map(|dims| {
            let classes = dims.get(1).map_or(1, |&classes| classes);
            let shape = Shape::new(&dims).unwrap();
            (Just(shape), weights(classes), weights(classes)).prop_map(|(shape, weight, pos_weight)| {
                (shape, BceWithLogits { weight, pos_weight, reduction: Reduction::Mean })
            })
        })
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition((shape, op) in cases(), scale in -2.0..2.0f32, large: bool, seed: u64) {
            let (mut x, mut target) = (distinct(shape, seed), distinct(shape, seed ^ 1));
            target.data_mut().iter_mut().for_each(|t| *t = t.abs());
            x.data_mut().iter_mut().for_each(|x| *x *= if large { 10.0 } else { 1.0 });
            let (classes, t64) = (classes(shape), to_f64(&target));
            compare(&x, scale, |x| op.forward(x, &target), |x| oracle(&op, classes, x, &t64));
        }

        #[test]
        fn absurd_shapes_are_errors(x in any_shape(), target in any_shape(), weights in 0..4usize) {
            prop_assume!(x.numel().saturating_add(target.numel()) < 100_000);
            let op = BceWithLogits { weight: Some(vec![1.0; weights]), ..BceWithLogits::default() };
            for target in [x, target] {
                let fits = x == target && weights == *x.dims().get(1).unwrap_or(&1);
                prop_assert_eq!(op.loss(&Tensor::zeros(x), &Tensor::zeros(target)).is_ok(), fits);
            }
        }
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let loss = |x, target| at(|x, target| BceWithLogits::default().loss(x, target), x, target);
        assert_eq!(loss(f32::MAX, 1.0), (0.0, 0.0));
        assert_eq!(loss(f32::MAX, 0.0), (f64::from(f32::MAX), 1.0));
        assert_eq!(loss(f32::MIN, 1.0), (f64::from(f32::MAX), -1.0));
        assert_eq!(loss(f32::MIN, 0.0), (0.0, 0.0));
    }

    #[test]
    fn an_answer_that_is_all_but_certain_keeps_its_digits() {
        let (loss, dx) = at(|x, target| BceWithLogits::default().loss(x, target), 40.0, 1.0);
        let rest = (-40f64).exp();
        assert!((loss / rest - 1.0).abs() < 1e-6 && (f64::from(dx) / -rest - 1.0).abs() < 1e-6);
    }

    #[test]
    fn nan_and_infinities() {
        let loss = |x, target| at(|x, target| BceWithLogits::default().loss(x, target), x, target).0;
        assert_eq!(loss(f32::INFINITY, 0.0), f64::INFINITY);
        assert_eq!(loss(f32::INFINITY, 0.5), f64::INFINITY);
        let nan = [
            (f32::INFINITY, 1.0),
            (f32::NEG_INFINITY, 0.0),
            (f32::NEG_INFINITY, 1.0),
            (f32::NAN, 1.0),
            (0.0, f32::NAN),
        ];
        assert!(nan.into_iter().all(|(x, target)| loss(x, target).is_nan()));
    }

    /// PyTorch 2.15: `F.binary_cross_entropy_with_logits(tensor([[1., -2.], [0.5, 3.]]), tensor([[1., 0.], [0.25, 1.]]),
    /// weight=tensor([2., 0.5]), pos_weight=tensor([3., 4.]))`.
    #[test]
    fn the_mean_is_that_of_pytorch() {
        let op = BceWithLogits {
            weight: Some(vec![2.0, 0.5]),
            pos_weight: Some(vec![3.0, 4.0]),
            reduction: Reduction::Mean,
        };
        let x = Tensor::from_vec([2, 2], vec![1.0, -2.0, 0.5, 3.0]).unwrap();
        let target = Tensor::from_vec([2, 2], vec![1.0, 0.0, 0.25, 1.0]).unwrap();
        let (mean, dx) = op.loss(&x, &target).unwrap();
        assert!((mean - PYTORCH.0).abs() < 1e-12, "{mean}");
        cnn_tensor::testing::assert_close(&dx, &PYTORCH.1);
    }
    const PYTORCH: (f64, [f64; 4]) =
        (1.053109946579657, [-0.403412132055, 0.014900365253, 0.091844498401, -0.023712936589]);

    #[test]
    fn reductions() {
        let (x, target) = (distinct([3, 5], 1), distinct([3, 5], 2));
        let op = BceWithLogits::default();
        let (sum, saved) = op.forward(&x, &target).unwrap();
        assert_eq!(op.loss(&x, &target).unwrap(), (sum / 15.0, saved.clone().backward(1.0 / 15.0)));
        let op = BceWithLogits { reduction: Reduction::Sum, ..op };
        assert_eq!(op.loss(&x, &target).unwrap(), (sum, saved.backward(1.0)));
        let (mean, dx) =
            BceWithLogits::default().loss(&Tensor::zeros([0, 3]), &Tensor::zeros([0, 3])).unwrap();
        assert!(mean.is_nan() && dx == Tensor::zeros([0, 3]));
    }

    #[test]
    fn threads_change_nothing() {
        let (x, target) = (distinct([70_000], 0), distinct([70_000], 1));
        assert_threads_change_nothing(|| BceWithLogits::default().forward(&x, &target).unwrap());
    }

    #[test]
    fn errors_say_what_is_expected() {
        let (x, target) = (Tensor::zeros([2, 3]), Tensor::zeros([3]));
        let message = |op: BceWithLogits| op.forward(&x, &target).unwrap_err().to_string();
        let two = || Some(vec![1.0; 2]);
        assert_eq!(
            message(BceWithLogits { weight: two(), ..BceWithLogits::default() }),
            "bce_with_logits: weight expects 3 entries, one for each class, got 2"
        );
        assert_eq!(
            message(BceWithLogits { pos_weight: two(), ..BceWithLogits::default() }),
            "bce_with_logits: pos_weight expects 3 entries, one for each class, got 2"
        );
        assert_eq!(
            message(BceWithLogits::default()),
            "bce_with_logits: target expects shape [2, 3], got [3]"
        );
    }
}
