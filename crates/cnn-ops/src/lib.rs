#![forbid(unsafe_code)]
//! The operations of convolutional networks, forward and backward, without state.
//!
//! | operation                                    | maps                                                          |
//! |----------------------------------------------|---------------------------------------------------------------|
//! | [`Conv2d`]                                   | `[n, c_in, h, w]` to `[n, c_out, oh, ow]`                     |
//! | [`ConvTranspose2d`]                          | `[n, c_in, h, w]` to `[n, c_out, oh, ow]`, mostly larger      |
//! | [`Conv2dTable`]                              | as `Conv2d`, by a table of connections between channels       |
//! | [`linear`]                                   | `[n, in]` to `[n, out]`                                       |
//! | [`MatMul`]                                   | `[n, ..., m, k]` and `[n, ..., k, p]` to `[n, ..., m, p]`     |
//! | [`Embedding`]                                | whole numbers `[n, ...]` to rows of a table, `[n, ..., dim]`  |
//! | [`Lstm`], [`Gru`]                            | sequences `[n, t, d]` to `[n, t, h]` and their last state     |
//! | [`rbf`]                                      | `[n, in]` to `[n, out]`: squared distances from codes         |
//! | [`MaxPool2d`], [`AvgPool2d`]                 | `[n, c, h, w]` to `[n, c, oh, ow]`                            |
//! | [`AdaptiveMaxPool2d`], [`AdaptiveAvgPool2d`] | `[n, c, h, w]` to `[n, c, oh, ow]`, global too                |
//! | [`MaxUnpool2d`]                              | `[n, c, h, w]` and indices to `[n, c, oh, ow]`                |
//! | [`Subsample`]                                | `[n, c, h, w]` to `[n, c, oh, ow]`, trained: LeNet-5's        |
//! | [`BatchNorm`], [`GroupNorm`]                 | `[n, c]`, `[n, c, l]` or `[n, c, h, w]` to the same           |
//! | [`LayerNorm`]                                | `[n, ...]` to the same                                        |
//! | [`LocalResponseNorm`]                        | `[n, c, l]` or `[n, c, h, w]` to the same                     |
//! | [`Dropout`]                                  | any shape to the same, elements or channels dropped           |
//! | [`Activation`]                               | any shape to the same: ReLU and its kin, tanh, GELU ...       |
//! | [`prelu`]                                    | `[n, c, ...]` to the same, by a learnt slope                  |
//! | [`mod@softmax`]                              | `[n, classes, ...]` to the same; its logarithm too            |
//! | [`masked_softmax`]                           | `[n, ..., t]` and a mask to the same, over the last axis      |
//! | [`Arithmetic`]                               | two tensors to sum, difference, product or quotient           |
//! | [`Concat`], [`Split`]                        | several `[n, c_i, ...]` to `[n, sum of c_i, ...]`, and back   |
//! | [`Stack`]                                    | several `[n, ...]` to one with an axis more                   |
//! | [`Slice`]                                    | `[n, c, ...]` to some positions of an axis                    |
//! | [`Permute`]                                  | `[n, ...]` to the same with its axes in another order         |
//! | [`Pad2d`], [`Crop2d`]                        | `[n, c, h, w]` to `[n, c, oh, ow]`, more or less at each side |
//! | [`Upsample2d`]                               | `[n, c, h, w]` to `[n, c, oh, ow]`, nearest or bilinear       |
//! | [`mod@flatten`], [`Reshape`]                 | `[n, ...]` to `[n, ...]` without a copy                       |
//! | [`losses`]                                   | outputs, and targets or labels, to the sum of losses          |
//! | [`Penalty`]                                  | a parameter to what its size costs                            |
//!
//! # Conventions
//!
//! - An operation is plain data, its options under PyTorch's names; pairs are `[height, width]`. Weights are
//!   arguments.
//! - `output_shape` says what comes out, or what is wrong. Nothing that is wrong with an input makes an operation panic.
//! - `forward` is pure. Where the output or a shape does not suffice for `backward`, it also returns a `Saved`; `infer`
//!   is then the same without it.
//! - `backward` returns `dx`, the gradient of the loss with respect to `x`, given `dy`. It *adds* into `dweight` and
//!   `dbias`, so that parts of a batch accumulate.
//! - NaN and infinity are values, not errors; each operation documents what becomes of them.
//! - The same input gives the same bits on any number of threads.
//!
//! The smallest useful program: the edges of a small picture.
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
//! let op = Conv2d::new([3, 3]).with_padding(1);
//! let edges = op.infer(&x, &weight, None)?;
//! assert_eq!(edges.data(), [
//!     0.0, -1.0, -1.0, 0.0,
//!     -1.0, 2.0, 2.0, -1.0,
//!     -1.0, 2.0, 2.0, -1.0,
//!     0.0, -1.0, -1.0, 0.0,
//! ]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod activation;
pub mod adaptive_pool2d;
pub mod arithmetic;
pub mod avg_pool2d;
mod axes;
pub mod batch_norm;
mod bias;
mod check;
pub mod concat;
pub mod conv2d;
pub mod conv2d_table;
pub mod conv_transpose2d;
pub mod crop2d;
pub mod dropout;
pub mod embedding;
mod error;
mod exponential;
pub mod flatten;
pub mod group_norm;
pub mod gru;
mod lanes;
pub mod layer_norm;
pub mod linear;
pub mod local_response_norm;
pub mod losses;
pub mod lstm;
pub mod masked_softmax;
pub mod matmul;
pub mod max_pool2d;
pub mod max_unpool2d;
mod normalize;
pub mod pad2d;
pub mod padding;
mod pairs;
pub mod penalty;
pub mod permute;
mod pooling;
mod positions;
pub mod prelu;
pub mod rbf;
mod recurrent;
pub mod reshape;
mod side_by_side;
pub mod slice;
pub mod softmax;
pub mod split;
pub mod stack;
pub mod subsample;
#[cfg(test)]
mod testing;
pub mod upsample2d;
mod vectors;
mod work;

pub use activation::Activation;
pub use adaptive_pool2d::{AdaptiveAvgPool2d, AdaptiveMaxPool2d};
pub use arithmetic::Arithmetic;
pub use avg_pool2d::AvgPool2d;
pub use batch_norm::BatchNorm;
pub use concat::Concat;
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::Conv2d;
pub use conv2d_table::Conv2dTable;
pub use crop2d::Crop2d;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use error::OpError;
pub use group_norm::GroupNorm;
pub use gru::Gru;
pub use layer_norm::LayerNorm;
pub use local_response_norm::LocalResponseNorm;
pub use losses::{
    BceWithLogits, Contrastive, CrossEntropy, Huber, L1, Loss, MapLoss, Mse, MultiMargin, Reduction, SmoothL1,
};
pub use lstm::Lstm;
pub use matmul::MatMul;
pub use max_pool2d::MaxPool2d;
pub use max_unpool2d::MaxUnpool2d;
pub use pad2d::Pad2d;
pub use padding::Padding;
pub use penalty::Penalty;
pub use permute::Permute;
pub use recurrent::{WeightGradients, Weights};
pub use reshape::Reshape;
pub use slice::Slice;
pub use split::Split;
pub use stack::Stack;
pub use subsample::Subsample;
pub use upsample2d::Upsample2d;
