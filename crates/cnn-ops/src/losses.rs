//! Losses other than [`cross_entropy`](crate::cross_entropy).
//!
//! | loss                     | for                                               | of each element or image                 |
//! |--------------------------|---------------------------------------------------|------------------------------------------|
//! | [`Mse`]                  | regression                                        | `(x - target)^2`                         |
//! | [`L1`]                   | regression with outliers                          | `|x - target|`                           |
//! | [`SmoothL1`], [`Huber`]  | both                                              | squares near 0, absolute values beyond   |
//! | [`BceWithLogits`]        | several labels for each image, yes or no          | cross-entropy of `sigmoid(x)`            |
//! | [`MultiMargin`]          | one label, a margin above all other classes       | `max(0, margin - x[label] + x[k])^p`     |
//! | [`MapLoss`]              | one label, penalties of LeNet-5's RBF units       | `y[label] + ln(e^-j + sum of e^-y[k])`   |
//!
//! # Conventions
//!
//! - `forward` gives the *sum* of the losses, taken in f64 in a fixed order, and what [`Saved::backward`] reads: the
//!   gradient of `scale` times that sum. So a batch can be cut into parts.
//! - The reduction says by what the sum is divided: `divisor`. `loss` does all of it for a whole batch: the reduced loss,
//!   and its gradient.
//! - The mean of nothing is NaN, as in PyTorch, and its gradient is 0.
//! - NaN and infinity are values. A NaN anywhere makes the loss NaN.

mod bce_with_logits;
mod l1;
mod map_loss;
mod mse;
mod multi_margin;
mod smooth_l1;

pub use bce_with_logits::BceWithLogits;
pub use l1::L1;
pub use map_loss::MapLoss;
pub use mse::Mse;
pub use multi_margin::MultiMargin;
pub use smooth_l1::{Huber, SmoothL1};

use crate::work::worth_a_thread;
use crate::{OpError, check};
use cnn_tensor::{Tensor, parallel, vector};
use serde::{Deserialize, Serialize};

/// What becomes of the losses of a batch. In JSON `"mean"` or `"sum"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Their sum, divided by how many there are or by what they weigh.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

impl Reduction {
    /// What the sum is divided by where there are `count` losses.
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

    /// The sum, divided, and the gradient of that by a backward pass that takes the scale: 0 for a divisor of 0.
    pub(crate) fn apply(sum: f64, divisor: f64, backward: impl Fn(f32) -> Tensor) -> (f64, Tensor) {
        let scale = if divisor == 0.0 { 0.0 } else { 1.0 / divisor };
        (sum / divisor, backward(scale as f32))
    }
}

/// What the backward pass of a loss reads.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The gradient of the sum.
    dx: Tensor,
}

impl Saved {
    /// The gradient, with respect to `x`, of `scale` times the sum. Pass one over the divisor of the whole batch.
    pub fn backward(&self, scale: f32) -> Tensor {
        let mut dx = self.dx.clone();
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
    let mut sums = vec![0.0; x.data().len().div_ceil(CHUNK)];
    parallel::for_each_chunk_pair((&mut sums, 1), (dx.data_mut(), CHUNK), |i, sum, dx| {
        let pairs = x.data()[i * CHUNK..].iter().zip(&target.data()[i * CHUNK..]);
        for ((at, dx), (&x, &target)) in dx.iter_mut().enumerate().zip(pairs) {
            let (loss, derivative) = f(i * CHUNK + at, f64::from(x), f64::from(target));
            sum[0] += loss;
            *dx = derivative as f32;
        }
    });
    Ok((sums.iter().fold(0.0, |sum, part| sum + part), Saved { dx }))
}

/// 1, 0 or -1 as `x` is; NaN for NaN.
fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// Adds to a loss that compares two tensors what follows from its `forward` and its `reduction`.
macro_rules! of_two_tensors {
    ($loss:ident) => {
        impl $loss {
            /// What the sum is divided by for `elements` elements of `x`, of the whole batch.
            pub fn divisor(&self, elements: usize) -> f64 {
                self.reduction.divisor(elements as f64)
            }

            /// The reduced loss of a whole batch and its gradient with respect to `x`.
            ///
            /// # Errors
            /// Those of `forward`.
            pub fn loss(
                &self,
                x: &cnn_tensor::Tensor,
                target: &cnn_tensor::Tensor,
            ) -> Result<(f64, cnn_tensor::Tensor), crate::OpError> {
                let (sum, saved) = self.forward(x, target)?;
                let divisor = self.divisor(x.shape().numel());
                Ok(crate::Reduction::apply(sum, divisor, |scale| saved.backward(scale)))
            }
        }
    };
}
use of_two_tensors;

/// Adds to a loss of logits and labels what follows from its `forward` and its `reduction`.
macro_rules! of_labels {
    ($loss:ident) => {
        impl $loss {
            /// What the sum is divided by for `images` images, of the whole batch.
            pub fn divisor(&self, images: usize) -> f64 {
                self.reduction.divisor(images as f64)
            }

            /// The reduced loss of a whole batch and its gradient with respect to `x`.
            ///
            /// # Errors
            /// Those of `forward`.
            pub fn loss(
                &self,
                x: &cnn_tensor::Tensor,
                labels: &[u32],
            ) -> Result<(f64, cnn_tensor::Tensor), crate::OpError> {
                let (sum, saved) = self.forward(x, labels)?;
                let divisor = self.divisor(labels.len());
                Ok(crate::Reduction::apply(sum, divisor, |scale| saved.backward(scale)))
            }
        }
    };
}
use of_labels;

#[cfg(test)]
mod testing;
