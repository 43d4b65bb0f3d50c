//! Layers for sequences: embeddings, recurrent layers, matrix products, masked softmax.

use super::{LayerSpec, described, yes};
use crate::Init;
use cnn_ops::MatMul;
use serde::{Deserialize, Serialize};

/// PyTorch's `nn.Embedding`: a row of a table for each index, `[n, ...]` to `[n, ..., embedding_dim]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingSpec {
    /// The number of rows of the table. Indices are smaller.
    pub num_embeddings: usize,
    /// The length of a row.
    pub embedding_dim: usize,
    /// A row that begins as zeros and gets no gradient, if there is one.
    #[serde(default)]
    pub padding_idx: Option<usize>,
    /// The initialisation of the other rows.
    #[serde(default = "normal")]
    pub init: Init,
}

fn normal() -> Init {
    Init::Normal(1.0)
}

/// PyTorch's `nn.LSTM` with one layer and one direction, batch first, without the number of input features.
///
/// Reads `x [n, t, d]`. With `mask`, it also reads a mask `[n, t]` of 0 and 1. Steps with 0 do not count: the state passes
/// over them, and their outputs are 0. With `initial`, it also reads `h0` and `c0`, `[n, h]`. The outputs are `y [n, t, h]`, and
/// the state after the last step, `h_n` and `c_n`, `[n, h]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LstmSpec {
    /// The size of the state.
    pub hidden_size: usize,
    /// Whether there are biases.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Whether the steps are taken from the last to the first.
    #[serde(default)]
    pub reverse: bool,
    /// Whether a mask is read.
    #[serde(default)]
    pub mask: bool,
    /// Whether the initial state is read; otherwise it is zeros.
    #[serde(default)]
    pub initial: bool,
}

/// PyTorch's `nn.GRU`: as [`LstmSpec`], but the state is only `h`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GruSpec {
    /// The size of the state.
    pub hidden_size: usize,
    /// Whether there are biases.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Whether the steps are taken from the last to the first.
    #[serde(default)]
    pub reverse: bool,
    /// Whether a mask is read.
    #[serde(default)]
    pub mask: bool,
    /// Whether the initial state is read; otherwise it is zeros.
    #[serde(default)]
    pub initial: bool,
}

/// A matrix product with its options: `matmul().transpose_b(true)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatMulSpec(pub MatMul);

described!(EmbeddingSpec => Embedding);
described!(LstmSpec => Lstm);
described!(GruSpec => Gru);
described!(MatMulSpec => Matmul, 0);

/// A table of `num_embeddings` rows of `embedding_dim` numbers.
pub fn embedding(num_embeddings: usize, embedding_dim: usize) -> EmbeddingSpec {
    EmbeddingSpec { num_embeddings, embedding_dim, padding_idx: None, init: normal() }
}

/// A long short-term memory over `[n, t, d]`, from the first step to the last, with biases and an initial state of zeros.
pub fn lstm(hidden_size: usize) -> LstmSpec {
    LstmSpec { hidden_size, bias: true, reverse: false, mask: false, initial: false }
}

/// A gated recurrent unit over `[n, t, d]`, from the first step to the last, with biases and an initial state of zeros.
pub fn gru(hidden_size: usize) -> GruSpec {
    GruSpec { hidden_size, bias: true, reverse: false, mask: false, initial: false }
}

impl EmbeddingSpec {
    /// Sets the row for padding, which begins as zeros and gets no gradient.
    #[must_use]
    pub fn padding_idx(self, padding_idx: usize) -> Self {
        Self { padding_idx: Some(padding_idx), ..self }
    }

    /// Sets the initialisation of the rows.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }
}

/// The options that both recurrent layers have.
macro_rules! recurrent {
    ($spec:ident) => {
        impl $spec {
            /// Sets whether there are biases.
            #[must_use]
            pub fn bias(self, bias: bool) -> Self {
                Self { bias, ..self }
            }

            /// Sets whether the steps are taken from the last to the first.
            #[must_use]
            pub fn reverse(self, reverse: bool) -> Self {
                Self { reverse, ..self }
            }

            /// Sets whether a mask is read, as an input after `x`.
            #[must_use]
            pub fn mask(self, mask: bool) -> Self {
                Self { mask, ..self }
            }

            /// Sets whether the initial state is read, as the last inputs.
            #[must_use]
            pub fn initial(self, initial: bool) -> Self {
                Self { initial, ..self }
            }
        }
    };
}
recurrent!(LstmSpec);
recurrent!(GruSpec);

/// The matrix product of two inputs, `[n, ..., m, k]` and `[n, ..., k, p]`; attention's `q k'` is `matmul().transpose_b(true)`.
pub fn matmul() -> MatMulSpec {
    MatMulSpec(MatMul::default())
}

impl MatMulSpec {
    /// Sets whether the first input is stored as `[n, ..., k, m]`.
    #[must_use]
    pub fn transpose_a(self, transpose_a: bool) -> Self {
        Self(self.0.transpose_a(transpose_a))
    }

    /// Sets whether the second input is stored as `[n, ..., p, k]`.
    #[must_use]
    pub fn transpose_b(self, transpose_b: bool) -> Self {
        Self(self.0.transpose_b(transpose_b))
    }
}

/// Softmax over the last axis, restricted to the entries that a second input selects: a mask of 0 and 1, `[n, t]` or of the
/// shape of the first input.
pub fn masked_softmax() -> LayerSpec {
    LayerSpec::MaskedSoftmax
}
