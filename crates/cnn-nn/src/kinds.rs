//! The names of the library's layers.

use cnn_ops::Activation;

/// The kinds that descriptions know without being told.
pub(crate) fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().chain(Activation::NAMES).copied()
}

/// Those that are variants of [`LayerSpec`](crate::LayerSpec): all but the activations.
pub(crate) const KINDS: &[&str] = &[
    "conv2d",
    "conv2d_table",
    "conv_transpose2d",
    "linear",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_unpool2d",
    "avg_pool2d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "global_avg_pool2d",
    "global_max_pool2d",
    "subsample",
    "max_pool_unpool2d",
    "batch_norm1d",
    "batch_norm2d",
    "local_response_norm",
    "layer_norm",
    "group_norm",
    "dropout",
    "dropout2d",
    "prelu",
    "softmax",
    "log_softmax",
    "rbf",
    "flatten",
    "reshape",
    "pad2d",
    "crop2d",
    "upsample2d",
    "embedding",
    "lstm",
    "gru",
    "matmul",
    "masked_softmax",
    "permute",
    "transpose",
    "slice",
    "add",
    "sub",
    "mul",
    "div",
    "cat",
    "split",
    "stack",
    "graph",
    "sequential",
    "residual",
    "concat",
];
