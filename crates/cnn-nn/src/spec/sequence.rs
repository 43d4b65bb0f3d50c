//! What sequences need: embeddings, recurrent layers, products of matrices, attention's softmax.

use super::{LayerSpec, described, yes};
use crate::Init;
use cnn_ops::MatMul;
use serde::{Deserialize, Serialize};

/// PyTorch's `nn.Embedding`: a row of a table for each whole number, `[n, ...]` to `[n, ..., embedding_dim]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingSpec {
    /// Rows of the table; indices are below.
    pub num_embeddings: usize,
    /// Numbers in a row.
    pub embedding_dim: usize,
    /// The row that begins as zeros and gets no gradient, if there is one.
    #[serde(default)]
    pub padding_idx: Option<usize>,
    /// How the other rows begin.
    #[serde(default = "normal")]
    pub init: Init,
}

fn normal() -> Init {
    Init::Normal(1.0)
}

/// PyTorch's `nn.LSTM` of one layer and direction, batch first, without the number of input features.
///
/// Reads `x [n, t, d]`; with `mask`, also a mask `[n, t]` of 0 and 1, whose zeros are steps that do not count: the state passes
/// over them and their outputs are 0; with `initial`, also `h0` and `c0`, `[n, h]`. Gives `y [n, t, h]`, and the state after the
/// last step, `h_n` and `c_n`, `[n, h]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LstmSpec {
    /// Numbers in the state.
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
    /// Whether the initial state is read; else it is zeros.
    #[serde(default)]
    pub initial: bool,
}

/// PyTorch's `nn.GRU`: as [`LstmSpec`], with a state of `h` alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GruSpec {
    /// Numbers in the state.
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
    /// Whether the initial state is read; else it is zeros.
    #[serde(default)]
    pub initial: bool,
}

described!(EmbeddingSpec => Embedding);
described!(LstmSpec => Lstm);
described!(GruSpec => Gru);

/// A table of `num_embeddings` rows of `embedding_dim` numbers.
pub fn embedding(num_embeddings: usize, embedding_dim: usize) -> EmbeddingSpec {
    EmbeddingSpec { num_embeddings, embedding_dim, padding_idx: None, init: normal() }
}

/// A long short-term memory over `[n, t, d]`, from the first step to the last, with biases, of a state of zeros.
pub fn lstm(hidden_size: usize) -> LstmSpec {
    LstmSpec { hidden_size, bias: true, reverse: false, mask: false, initial: false }
}

/// A gated recurrent unit over `[n, t, d]`, from the first step to the last, with biases, of a state of zeros.
pub fn gru(hidden_size: usize) -> GruSpec {
    GruSpec { hidden_size, bias: true, reverse: false, mask: false, initial: false }
}

impl EmbeddingSpec {
    /// The same with a row for padding.
    #[must_use]
    pub fn padding_idx(self, row: usize) -> Self {
        Self { padding_idx: Some(row), ..self }
    }
}

/// The options that both recurrent layers have.
macro_rules! recurrent {
    ($spec:ident) => {
        impl $spec {
            /// The same without biases.
            #[must_use]
            pub fn no_bias(self) -> Self {
                Self { bias: false, ..self }
            }

            /// The same from the last step to the first.
            #[must_use]
            pub fn reverse(self) -> Self {
                Self { reverse: true, ..self }
            }

            /// The same with a mask as an input after `x`.
            #[must_use]
            pub fn masked(self) -> Self {
                Self { mask: true, ..self }
            }

            /// The same with the initial state as last inputs.
            #[must_use]
            pub fn initial(self) -> Self {
                Self { initial: true, ..self }
            }
        }
    };
}
recurrent!(LstmSpec);
recurrent!(GruSpec);

/// The matrix product of two inputs, `[n, ..., m, k]` and `[n, ..., k, p]`.
pub fn matmul() -> LayerSpec {
    LayerSpec::Matmul(MatMul::default())
}

/// The matrix product of two inputs, the second of which is stored as `[n, ..., p, k]`: attention's `q k'`.
pub fn matmul_transposed() -> LayerSpec {
    LayerSpec::Matmul(MatMul { transpose_b: true, ..MatMul::default() })
}

/// Softmax over the last axis, of the entries that a second input lets through: a mask of 0 and 1, `[n, t]` or of the shape of
/// the first.
pub fn masked_softmax() -> LayerSpec {
    LayerSpec::MaskedSoftmax
}
