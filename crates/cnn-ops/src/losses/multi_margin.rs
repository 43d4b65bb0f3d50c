use super::{CHUNK, Loss, Reduction, Saved, sign};
use crate::OpError;
use crate::shared::check;
use crate::shared::positions::Positions;
use cnn_tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The hinge loss of several classes: the right class's output should exceed each of the others by a margin. PyTorch's
/// `nn.MultiMarginLoss`.
///
/// With `y` the label of an image, the sum over images of
///
/// ```text
/// loss      = weight[y] / classes * sum over k != y of max(0, z[k])^p      with z[k] = margin - x[y] + x[k]
/// dx[k]     = weight[y] / classes * p z[k]^(p - 1) where z[k] > 0, else 0
/// dx[y]     = -(sum of the other dx)
/// ```
///
/// Where an output is just at the margin, its derivative is 0, as in PyTorch. The mean divides by the number of images,
/// not by the sum of the weights. A NaN gives NaN; PyTorch leaves the classes out whose `z` is NaN.
///
/// ```
/// use cnn_ops::{Loss, MultiMargin};
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 4], vec![0.5, 2.0, 1.5, -3.0])?;
/// let (mean, dx) = MultiMargin::default().loss(&x, &[1])?;
/// assert_eq!(mean, 0.5 / 4.0);
/// assert_eq!(dx.data(), [0.0, -0.25, 0.25, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: K. Crammer and Y. Singer, "On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines"
/// (2001); in the form summed over classes: J. Weston and C. Watkins, "Support Vector Machines for Multi-Class Pattern
/// Recognition" (1999).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultiMargin {
    /// The power of each excess: 1 or 2. 1 unless given.
    pub p: u32,
    /// The margin by which the right class's output should exceed the others. 1 unless given.
    pub margin: f64,
    /// A weight for each class; all 1 without.
    pub weight: Option<Vec<f32>>,
    /// How the losses are combined. The mean divides by the number of images.
    pub reduction: Reduction,
}

impl Default for MultiMargin {
    fn default() -> Self {
        Self { p: 1, margin: 1.0, weight: None, reduction: Reduction::Mean }
    }
}

const OP: &str = "multi_margin";

impl Loss<[u32]> for MultiMargin {
    /// The sum of the losses over outputs `x [n, classes]` and the `n` right classes, counted from 0.
    ///
    /// # Errors
    /// `p` is neither 1 nor 2, `margin` is NaN, `x` is not of rank 2, there is not one weight for each class or one label
    /// for each image, or a label is not below `classes`.
    fn forward(&self, x: &Tensor, labels: &[u32]) -> Result<(f64, Saved), OpError> {
        let [n, classes] = check::matrix(OP, "x", "[n, classes]", x.shape())?;
        check::number(OP, "p", "1 or 2", f64::from(self.p), matches!(self.p, 1 | 2))?;
        check::number(OP, "margin", "a number", self.margin, !self.margin.is_nan())?;
        check::per_class(OP, "weight", self.weight.as_deref(), classes)?;
        check::labels(OP, labels, [n, 1, classes], None)?;
        let positions = Positions::new(OP, "x", x.shape())?;
        let (sum, dx) = positions.losses([x], CHUNK, |image, [x], dx| {
            let label = labels[image] as usize;
            let weight = self.weight.as_ref().map_or(1.0, |weights| f64::from(weights[label]));
            self.of_image(x, label, weight / classes as f64, dx)
        });
        Ok((sum, Saved::new(dx)))
    }

    /// For the mean, the number of images; else 1.
    fn divisor(&self, labels: &[u32]) -> f64 {
        self.reduction.divisor(labels.len() as f64)
    }
}

impl MultiMargin {
    /// The loss of one image, times `factor`, and its gradient to `dx`.
    fn of_image(&self, x: &[f32], label: usize, factor: f64, dx: &mut [f32]) -> f64 {
        let (mut loss, mut total) = (0.0, 0.0);
        for (k, dx) in dx.iter_mut().enumerate() {
            let z = self.margin - f64::from(x[label]) + f64::from(x[k]);
            // A NaN stays NaN.
            let excess = if k == label || z <= 0.0 { 0.0 } else { z };
            let (power, derivative) =
                if self.p == 1 { (excess, sign(excess)) } else { (excess * excess, 2.0 * excess) };
            loss += factor * power;
            total += factor * derivative;
            *dx = (factor * derivative) as f32;
        }
        dx[label] = -total as f32;
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::shared::testing::{any_number_of_rejects, any_shape};
    use cnn_tensor::Shape;
    use cnn_tensor::testing::{assert_close, distinct};
    use proptest::prelude::*;

    /// The definition, in f64.
    fn oracle(op: &MultiMargin, classes: usize, x: &[f64], labels: &[u32]) -> f64 {
        let of_image = |(x, &label): (&[f64], &u32)| {
            let y = label as usize;
            let excess = |k: usize| (op.margin - x[y] + x[k]).max(0.0).powi(op.p as i32);
            let sum: f64 = (0..classes).filter(|&k| k != y).map(excess).sum();
            op.weight.as_ref().map_or(1.0, |w| f64::from(w[y])) * sum / classes as f64
        };
        x.chunks(classes).zip(labels).map(of_image).sum()
    }

    fn cases() -> impl Strategy<Value = (MultiMargin, usize, Vec<u32>)> {
        (1..7usize).prop_flat_map(|classes| {
            let weight = prop::option::of(prop::collection::vec(-1.0..3.0f32, classes));
            let op = (1..3u32, -1.0..2.0f64, weight).prop_map(|(p, margin, weight)| MultiMargin {
                p,
                margin,
                weight,
                reduction: Reduction::Mean,
            });
            (op, Just(classes), prop::collection::vec(0..classes as u32, 0..8))
        })
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition((op, classes, labels) in cases(), scale in -2.0..2.0f32, seed: u64) {
            let x = distinct([labels.len(), classes], seed);
            // No output lies within a difference step of its margin.
            let at_margin = |(x, &label): (&[f32], &u32)| {
                x.iter().any(|&k| (op.margin - f64::from(x[label as usize]) + f64::from(k)).abs() < 1e-4)
            };
            prop_assume!(!x.data().chunks(classes).zip(&labels).any(at_margin));
            compare(&x, scale, |x| op.forward(x, &labels), |x| oracle(&op, classes, x, &labels));
        }

        #[test]
        fn absurd_options_are_errors(
            (p, margin) in (prop_oneof![1..4u32, any::<u32>()], prop::num::f64::ANY),
            shape in any_shape(),
            label in prop_oneof![0..4u32, any::<u32>()],
            weights in prop::option::of(0..4usize),
        ) {
            prop_assume!(shape.numel() < 100_000 && shape.batch() < 100_000);
            let weight = weights.map(|n| vec![1.0; n]);
            let op = MultiMargin { p, margin, weight, reduction: Reduction::Mean };
            let loss = op.loss(&Tensor::zeros(shape), &vec![label; shape.batch()]);
            let fits = |[n, classes]: [usize; 2]| {
                weights.is_none_or(|w| w == classes) && (n == 0 || (label as usize) < classes)
            };
            let fine = matches!(p, 1 | 2) && !margin.is_nan() && shape.matrix().is_some_and(fits);
            prop_assert_eq!(loss.is_ok(), fine);
        }
    }

    /// PyTorch 2.15: `F.multi_margin_loss(tensor([[1., 2., 1.5], [3., 1., -1.]]), tensor([1, 2]), p, margin=1.5,
    /// weight=tensor([1., 2., 3.]))`.
    #[test]
    fn the_mean_is_that_of_pytorch() {
        let x = Tensor::from_vec([2, 3], vec![1.0, 2.0, 1.5, 3.0, 1.0, -1.0]).unwrap();
        let third = 1.0 / 3.0;
        let want = [
            (1, 5.0, [third, -2.0 * third, third, 0.5, 0.5, -1.0]),
            (2, 65.0 / 3.0, [third, -1.0, 2.0 * third, 5.5, 3.5, -9.0]),
        ];
        for (p, loss, gradient) in want {
            let weight = Some(vec![1.0, 2.0, 3.0]);
            let op = MultiMargin { p, margin: 1.5, weight, reduction: Reduction::Mean };
            let (mean, dx) = op.loss(&x, &[1, 2]).unwrap();
            assert!((mean - loss).abs() < 1e-12);
            assert_close(&dx, &gradient);
        }
    }

    fn example(x: &[f32]) -> (f64, Vec<f32>) {
        let x = Tensor::from_slice([1, x.len()], x).unwrap();
        let (loss, dx) = MultiMargin::default().loss(&x, &[1]).unwrap();
        (loss, dx.data().to_vec())
    }

    #[test]
    fn just_at_the_margin_the_derivative_is_zero() {
        assert_eq!(example(&[1.0, 2.0]), (0.0, vec![0.0, 0.0]));
    }

    #[test]
    fn nan_and_infinities() {
        for bad in [[f32::NAN, 0.0], [0.0, f32::NAN], [f32::INFINITY; 2]] {
            let (loss, dx) = example(&bad);
            assert!(loss.is_nan() && dx.iter().all(|dx| dx.is_nan()), "{bad:?}");
        }
        assert_eq!(example(&[f32::INFINITY, 0.0]), (f64::INFINITY, vec![0.5, -0.5]));
        assert_eq!(example(&[f32::NEG_INFINITY, 0.0]), (0.0, vec![0.0, 0.0]));
    }

    #[test]
    fn reductions() {
        let (x, labels) = (distinct([4, 3], 1), [0, 2, 1, 1]);
        let op = MultiMargin::default();
        let (sum, saved) = op.forward(&x, &labels).unwrap();
        assert_eq!(op.loss(&x, &labels).unwrap(), (sum / 4.0, saved.clone().backward(0.25)));
        let op = MultiMargin { reduction: Reduction::Sum, ..op };
        assert_eq!(op.loss(&x, &labels).unwrap(), (sum, saved.backward(1.0)));
        let (mean, dx) = MultiMargin::default().loss(&Tensor::zeros([0, 3]), &[]).unwrap();
        assert!(mean.is_nan() && dx == Tensor::zeros([0, 3]));
    }

    #[test]
    fn threads_change_nothing() {
        let x = distinct([700, 100], 0);
        let labels: Vec<u32> = (0..700).map(|i| i % 100).collect();
        assert_threads_change_nothing(|| MultiMargin::default().forward(&x, &labels).unwrap());
    }

    #[test]
    fn errors_say_what_is_expected() {
        let x = Tensor::zeros([2, 3]);
        let message =
            |op: &MultiMargin, x: &Tensor, labels: &[u32]| op.forward(x, labels).unwrap_err().to_string();
        let op = MultiMargin::default();
        let vector = Tensor::zeros(Shape::from([3]));
        assert_eq!(message(&op, &vector, &[0]), "multi_margin: x expects [n, classes], got shape [3]");
        assert_eq!(message(&op, &x, &[0]), "multi_margin: labels expects 2 entries, got 1");
        assert_eq!(
            message(&op, &x, &[0, 3]),
            "multi_margin: label 3 of image 1 must be below the number of classes, 3"
        );
        let cubic = MultiMargin { p: 3, ..op.clone() };
        assert_eq!(message(&cubic, &x, &[0, 0]), "multi_margin: p must be 1 or 2, got 3");
        let unknown = MultiMargin { margin: f64::NAN, ..op.clone() };
        assert_eq!(message(&unknown, &x, &[0, 0]), "multi_margin: margin must be a number, got NaN");
        let weighted = MultiMargin { weight: Some(vec![1.0]), ..op };
        assert_eq!(
            message(&weighted, &x, &[0, 0]),
            "multi_margin: weight expects 3 entries, one for each class, got 1"
        );
    }

    #[test]
    fn descriptions_may_leave_options_out() {
        assert_eq!(serde_json::from_str::<MultiMargin>("{}").unwrap(), MultiMargin::default());
    }
}
