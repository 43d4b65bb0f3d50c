//! Losses, which training minimises: the cost of outputs, given a target.
//!
//! | loss                     | target        | for                                          | of each element or image                 |
//! |--------------------------|---------------|----------------------------------------------|------------------------------------------|
//! | [`CrossEntropy`]         | labels        | one label, of an image or of every pixel     | `-ln softmax(x)[label]`                  |
//! | [`CrossEntropy`]         | probabilities | a distribution over the classes              | `-sum of target[k] ln softmax(x)[k]`     |
//! | [`MultiMargin`]          | labels        | one label, a margin above all other classes  | `max(0, margin - x[label] + x[k])^p`     |
//! | [`MapLoss`]              | labels        | one label, penalties of LeNet-5's RBF units  | `y[label] + ln(e^-j + sum of e^-y[k])`   |
//! | [`Contrastive`]          | 1, same, or 0 | two embeddings, near each other or far apart | `D^2 / 2` or `max(0, margin - D)^2 / 2`  |
//! | [`BceWithLogits`]        | probabilities | several labels for each image, yes or no     | cross-entropy of `sigmoid(x)`            |
//! | [`Mse`]                  | numbers       | regression                                   | `(x - target)^2`                         |
//! | [`L1`]                   | numbers       | regression with outliers                     | `abs(x - target)`                        |
//! | [`SmoothL1`], [`Huber`]  | numbers       | both                                         | squares near 0, absolute values beyond   |
//!
//! Labels, the numbers of classes, are a `[u32]`; probabilities and other numbers are a [`Tensor`](cnn_tensor::Tensor) of
//! the shape of `x`. Each row is a [`Loss`] of such a target.
//!
//! # Conventions
//!
//! - `forward` gives the *sum* of the losses, taken in f64 in a fixed order, and the gradient of that sum, which
//!   [`Saved::backward`](crate::losses::Saved::backward) scales. So a batch can be cut into parts.
//! - The reduction determines the `divisor` of the sum. `loss` returns the reduced loss of a whole batch, and its gradient.
//! - The mean of nothing is NaN, as in PyTorch, and its gradient is 0.
//! - NaN and infinity are values. A NaN anywhere makes the loss NaN.

mod bce_with_logits;
mod contrastive;
mod cross_entropy;
mod l1;
mod map_loss;
mod mse;
mod multi_margin;
mod smooth_l1;

pub use bce_with_logits::BceWithLogits;
pub use contrastive::Contrastive;
pub use cross_entropy::CrossEntropy;
pub use l1::L1;
pub use map_loss::MapLoss;
pub use mse::Mse;
pub use multi_margin::MultiMargin;
pub use smooth_l1::{Huber, SmoothL1};

use crate::OpError;
use crate::shared::check;
use crate::shared::work::worth_a_thread;
use cnn_tensor::{Recycled, Tensor, parallel, vector};
use serde::{Deserialize, Serialize};

/// How the losses of a batch are combined. In JSON `"mean"` or `"sum"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Their sum, divided by their number or their weights.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

impl Reduction {
    /// The divisor of the sum of `count` losses.
    ///
    /// ```
    /// use cnn_ops::Reduction;
    /// assert_eq!((Reduction::Mean.divisor(64.0), Reduction::Sum.divisor(64.0)), (64.0, 1.0));
    /// ```
    pub fn divisor(self, count: f64) -> f64 {
        match self {
            Self::Mean => count,
            Self::Sum => 1.0,
        }
    }
}

/// The cost of `x`, given a target: a sum over its elements, images or pixels, so that a batch can be cut into parts.
///
/// `T` is the kind of target: a [`Tensor`], or labels as `[u32]`. A batch that was cut is put together by adding the sums
/// of its parts, dividing by the divisor of the whole, and scaling each part's gradient by one over that.
///
/// ```
/// use cnn_ops::{Loss, MultiMargin};
/// use cnn_tensor::Tensor;
/// let (x, labels) = (Tensor::from_vec([2, 2], vec![0.5, 0.0, 0.0, 3.0])?, [0, 0]);
/// let loss: &dyn Loss<[u32]> = &MultiMargin::default();
/// let divisor = loss.divisor(&labels);
/// let mut mean = 0.0;
/// for image in 0..2 {
///     let (sum, saved) = loss.forward(&x.slice_batch(image, image + 1), &labels[image..=image])?;
///     mean += sum / divisor;
///     assert_eq!(saved.backward((1.0 / divisor) as f32).data(), [-0.25, 0.25]);
/// }
/// assert_eq!(mean, (0.25 + 2.0) / 2.0);
/// assert_eq!(loss.loss(&x, &labels)?.0, mean);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Your own loss; here, the sum of the outputs:
///
/// ```
/// use cnn_ops::losses::{Loss, Saved};
/// use cnn_ops::{Mse, OpError};
/// use cnn_tensor::Tensor;
/// struct Outputs;
/// impl Loss<()> for Outputs {
///     fn forward(&self, x: &Tensor, _: &()) -> Result<(f64, Saved), OpError> {
///         let sum = x.data().iter().map(|&x| f64::from(x)).sum();
///         Ok((sum, Saved::new(Tensor::full(x.shape(), 1.0))))
///     }
///     fn divisor(&self, _: &()) -> f64 {
///         2.0
///     }
/// }
/// let (half, dx) = Outputs.loss(&Tensor::from_vec([2], vec![1.0, 5.0])?, &())?;
/// assert_eq!((half, dx.data()), (3.0, &[0.5, 0.5][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Loss<T: ?Sized>: Send + Sync {
    /// The sum of the losses, and what the backward pass scales.
    ///
    /// # Errors
    /// An option is out of its range, or the shapes or values of `x` and `target` do not suit the loss.
    fn forward(&self, x: &Tensor, target: &T) -> Result<(f64, Saved), OpError>;

    /// The divisor of the sum, from the target of the whole batch.
    fn divisor(&self, target: &T) -> f64;

    /// The reduced loss of a whole batch and its gradient with respect to `x`, which is 0 for a divisor of 0.
    ///
    /// # Errors
    /// Those of `forward`.
    fn loss(&self, x: &Tensor, target: &T) -> Result<(f64, Tensor), OpError> {
        let (sum, saved) = self.forward(x, target)?;
        let divisor = self.divisor(target);
        let scale = if divisor == 0.0 { 0.0 } else { 1.0 / divisor };
        Ok((sum / divisor, saved.backward(scale as f32)))
    }
}

/// The gradient of the sum, which the backward pass of a loss scales.
#[derive(Clone, Debug)]
pub struct Saved {
    dx: Tensor,
}

impl Saved {
    /// From the gradient, with respect to `x`, of the sum of the losses.
    ///
    /// ```
    /// use cnn_ops::losses::Saved;
    /// use cnn_tensor::Tensor;
    /// let saved = Saved::new(Tensor::full([3], 2.0));
    /// assert_eq!(saved.backward(0.25).data(), [0.5; 3]);
    /// ```
    pub fn new(dx: Tensor) -> Self {
        Self { dx }
    }

    /// The gradient, with respect to `x`, of `scale` times the sum, in the saved memory. Pass one over the
    /// divisor of the whole batch.
    pub fn backward(self, scale: f32) -> Tensor {
        let mut dx = self.dx;
        vector::scale(scale, dx.data_mut());
        dx
    }
}

/// Elements that make a piece of work worth a thread, and whose losses are added before others.
const CHUNK: usize = worth_a_thread(1 << 14);

/// The sum of `f(i, x[i], target[i])`, which returns the loss of an element and its derivative with respect to `x`.
fn elementwise(
    op: &'static str,
    x: &Tensor,
    target: &Tensor,
    f: impl Fn(usize, f64, f64) -> (f64, f64) + Sync + Send,
) -> Result<(f64, Saved), OpError> {
    check::shape(op, "target", x.shape(), target)?;
    let mut dx = Tensor::scratch(x.shape());
    let mut sums = Recycled::filled(0.0, x.data().len().div_ceil(CHUNK));
    parallel::for_each_chunk_pair((&mut sums, 1), (dx.data_mut(), CHUNK), |i, sum, dx| {
        let pairs = x.data()[i * CHUNK..].iter().zip(&target.data()[i * CHUNK..]);
        for ((at, dx), (&x, &target)) in dx.iter_mut().enumerate().zip(pairs) {
            let (loss, derivative) = f(i * CHUNK + at, f64::from(x), f64::from(target));
            sum[0] += loss;
            *dx = derivative as f32;
        }
    });
    Ok((sums.iter().fold(0.0, |sum, part| sum + part), Saved::new(dx)))
}

/// 1, 0 or -1 as `x` is; NaN for NaN.
fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_scaled_where_it_is_unless_it_is_shared() {
        let dx = Tensor::full([40], 3.0);
        let at = dx.data().as_ptr();
        let saved = Saved::new(dx);
        let kept = saved.clone();
        assert_eq!(saved.backward(2.0), Tensor::full([40], 6.0));
        let dx = kept.backward(-1.0);
        assert_eq!((dx.data(), dx.data().as_ptr()), (&[-3.0; 40][..], at));
    }
}
