#![forbid(unsafe_code)]
//! The operations of convolutional networks, forward and backward, without state.
//!
//! Every module is an operation, listed with the shapes that it maps; [`padding`] and [`OpError`] serve all of them. Only
//! [`update`] works on slices: the update rules of optimizers.
//!
//! # Conventions
//!
//! - An operation is plain data, its options under PyTorch's names. `new` takes the options that have no default, and a method of
//!   the option's name sets each of the others. Sizes are `[height, width]`, or one [number for both](Pair). Weights are
//!   arguments.
//! - `output_shape` returns the shape of the output, or an error. Invalid inputs never make an operation panic.
//! - `forward` is pure. Where `backward` needs more than the output or a shape, it also returns a `Saved`, and `infer`
//!   returns the output alone.
//! - `backward` returns `dx`, the gradient of the loss with respect to `x`, given `dy`. It *adds* into `dweight` and
//!   `dbias`, so that parts of a batch accumulate.
//! - NaN and infinity are values, not errors; each operation documents how it treats them.
//! - The same input gives the same bits on any number of threads.
//!
//! A small program: the edges of a picture.
//!
//! ```
//! use cnn_ops::Conv2d;
//! use cnn_tensor::Tensor;
//!
//! // A bright square of 2 x 2 pixels on a dark ground, and Laplace's operator, which sums to 0 on flat ground.
//! let x = Tensor::from_vec([1, 1, 4, 4], vec![
//!     0.0, 0.0, 0.0, 0.0,
//!     0.0, 1.0, 1.0, 0.0,
//!     0.0, 1.0, 1.0, 0.0,
//!     0.0, 0.0, 0.0, 0.0,
//! ])?;
//! let weight = Tensor::from_vec([1, 1, 3, 3], vec![
//!     0.0, -1.0, 0.0,
//!     -1.0, 4.0, -1.0,
//!     0.0, -1.0, 0.0,
//! ])?;
//! let op = Conv2d::new([3, 3]).padding(1);
//! let edges = op.infer(&x, &weight, None)?;
//! assert_eq!(edges.data(), [
//!     0.0, -1.0, -1.0, 0.0,
//!     -1.0, 2.0, 2.0, -1.0,
//!     -1.0, 2.0, 2.0, -1.0,
//!     0.0, -1.0, -1.0, 0.0,
//! ]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

/// `[n, c_in, h, w]` to `[n, c_out, oh, ow]`.
///
pub mod conv2d;
pub use conv2d::Conv2d;

/// `[n, c_in, h, w]` to `[n, c_out, oh, ow]`, mostly larger.
///
pub mod conv_transpose2d;
pub use conv_transpose2d::ConvTranspose2d;

/// As `conv2d`, by a table of connections between channels.
///
pub mod conv2d_table;
pub use conv2d_table::Conv2dTable;

/// `[n, in]` to `[n, out]`.
///
pub mod linear;

/// `[n, ..., m, k]` and `[n, ..., k, p]` to `[n, ..., m, p]`.
///
pub mod matmul;
pub use matmul::MatMul;

/// Whole numbers `[n, ...]` to rows of a table, `[n, ..., dim]`.
///
pub mod embedding;
pub use embedding::Embedding;

/// Sequences `[n, t, d]` to `[n, t, h]` and their last state.
///
pub mod lstm;
pub use lstm::Lstm;

/// Sequences `[n, t, d]` to `[n, t, h]` and their last state.
///
pub mod gru;
pub use gru::Gru;

/// `[n, in]` to `[n, out]`: squared distances from codes.
///
pub mod rbf;

/// `[n, c, h, w]` to `[n, c, oh, ow]`: the largest of each window.
///
pub mod max_pool2d;
pub use max_pool2d::MaxPool2d;

/// `[n, c, h, w]` and indices to `[n, c, oh, ow]`.
///
pub mod max_unpool2d;
pub use max_unpool2d::MaxUnpool2d;

/// `[n, c, h, w]` to `[n, c, oh, ow]`: the mean of each window.
///
pub mod avg_pool2d;
pub use avg_pool2d::AvgPool2d;

/// `[n, c, h, w]` to `[n, c, oh, ow]` of a given size, 1 x 1 too.
///
pub mod adaptive_pool2d;
pub use adaptive_pool2d::{AdaptiveAvgPool2d, AdaptiveMaxPool2d};

/// `[n, c, h, w]` to `[n, c, oh, ow]`, trained: LeNet-5's.
///
pub mod subsample;
pub use subsample::Subsample;

/// `[n, c]`, `[n, c, l]` or `[n, c, h, w]` to the same.
///
pub mod batch_norm;
pub use batch_norm::BatchNorm;

/// `[n, c]`, `[n, c, l]` or `[n, c, h, w]` to the same.
///
pub mod group_norm;
pub use group_norm::GroupNorm;

/// `[n, ...]` to the same.
///
pub mod layer_norm;
pub use layer_norm::LayerNorm;

/// `[n, c, l]` or `[n, c, h, w]` to the same.
///
pub mod local_response_norm;
pub use local_response_norm::LocalResponseNorm;

/// Any shape to the same, elements or channels dropped.
///
pub mod dropout;
pub use dropout::Dropout;

/// Any shape to the same: ReLU and its variants, tanh, GELU ...
///
pub mod activation;
pub use activation::Activation;

/// `[n, c, ...]` to the same, by a learnt slope.
///
pub mod prelu;

/// `[n, classes, ...]` to the same, over any axis; its logarithm too.
///
pub mod softmax;
pub use softmax::{LogSoftmax, Softmax};

/// `[n, c, h, w]` to `[n, 2 c]`: the expected position of each map.
///
pub mod soft_argmax2d;

/// `[n, ..., t]` and a mask to the same, over the last axis.
///
pub mod masked_softmax;

/// Two tensors to their sum, product, maximum ...; one of them without a batch, too.
///
pub mod arithmetic;
pub use arithmetic::{Arithmetic, ArithmeticBy};

/// `[n, ...]` to the same without some axes: their mean, sum, maximum, minimum or norm.
///
pub mod reduce;
pub use reduce::Reduce;

/// Several `[n, c_i, ...]` to `[n, sum of c_i, ...]`.
///
pub mod concat;
pub use concat::Concat;

/// `[n, c, ...]` to several `[n, c_i, ...]`.
///
pub mod split;
pub use split::Split;

/// Several `[n, ...]` to one with an axis more.
///
pub mod stack;
pub use stack::Stack;

/// `[n, c, ...]` to some positions of an axis.
///
pub mod slice;
pub use slice::Slice;

/// `[n, ...]` to the same with its axes in another order.
///
pub mod permute;
pub use permute::Permute;

/// `[n, c r r, h, w]` to `[n, c, h r, w r]`, and back.
///
pub mod pixel_shuffle;
pub use pixel_shuffle::{PixelShuffle, PixelUnshuffle};

/// `[n, c, h, w]` to `[n, c, oh, ow]`, more at each side.
///
pub mod pad2d;
pub use pad2d::Pad2d;

/// `[n, c, h, w]` to `[n, c, oh, ow]`, less at each side.
///
pub mod crop2d;
pub use crop2d::Crop2d;

/// `[n, c, h, w]` to `[n, c, oh, ow]`, nearest, bilinear or bicubic.
///
pub mod upsample2d;
pub use upsample2d::Upsample2d;

/// `[n, ...]` to `[n, m]` without a copy.
///
pub mod flatten;

/// `[n, ...]` to `[n, ...]` without a copy.
///
pub mod reshape;
pub use reshape::Reshape;

/// Outputs, and targets or labels, to the sum of losses.
///
pub mod losses;
pub use losses::{
    BceWithLogits, Contrastive, CrossEntropy, Huber, L1, Loss, MapLoss, Mse, MultiMargin, Reduction, SmoothL1,
};

/// A parameter to the cost of its size.
///
pub mod penalty;
pub use penalty::Penalty;

/// A parameter, its gradient and an optimizer's memory to those after one step.
///
pub mod update;

mod shared;

pub use shared::error::OpError;
pub use shared::padding::{self, Padding};
pub use shared::recurrent::{WeightGradients, Weights};
pub use shared::sizes::{Margins, Pair};
