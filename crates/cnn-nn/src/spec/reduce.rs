//! Axes reduced to one number.

use super::described;
use crate::LayerSpec;
use cnn_ops::Reduce;
use cnn_ops::reduce::{Over, Statistic};
use serde::{Deserialize, Serialize};

/// A mean, sum or extremum with its options: `mean([2, 3]).keepdim(true)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReduceSpec(Of, Over);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Mean,
    Sum,
    Max,
    Min,
}

impl From<ReduceSpec> for LayerSpec {
    fn from(ReduceSpec(of, over): ReduceSpec) -> Self {
        match of {
            Of::Mean => Self::Mean(over),
            Of::Sum => Self::Sum(over),
            Of::Max => Self::Amax(over),
            Of::Min => Self::Amin(over),
        }
    }
}

impl ReduceSpec {
    /// Sets whether the axes stay, with an extent of 1.
    #[must_use]
    pub fn keepdim(mut self, keepdim: bool) -> Self {
        self.1.keepdim = keepdim;
        self
    }

    /// This layer with a name.
    pub fn named(self, name: &str) -> crate::spec::NamedSpec {
        LayerSpec::from(self).named(name)
    }
}

fn over(dims: impl Into<Vec<usize>>) -> Over {
    Over { dims: dims.into(), keepdim: false }
}

/// The mean over axes, which are counted with the batch: PyTorch's `torch.mean`.
pub fn mean(dims: impl Into<Vec<usize>>) -> ReduceSpec {
    ReduceSpec(Of::Mean, over(dims))
}

/// The sum over axes: PyTorch's `torch.sum`.
pub fn sum(dims: impl Into<Vec<usize>>) -> ReduceSpec {
    ReduceSpec(Of::Sum, over(dims))
}

/// The maximum over axes: PyTorch's `torch.amax`.
pub fn amax(dims: impl Into<Vec<usize>>) -> ReduceSpec {
    ReduceSpec(Of::Max, over(dims))
}

/// The minimum over axes: PyTorch's `torch.amin`.
pub fn amin(dims: impl Into<Vec<usize>>) -> ReduceSpec {
    ReduceSpec(Of::Min, over(dims))
}

/// A norm over axes: PyTorch's `torch.linalg.vector_norm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormSpec {
    /// 1: the sum of the magnitudes; 2: the root of the sum of the squares.
    #[serde(default = "two")]
    pub p: usize,
    /// At least one axis, each once, counted with the batch, which is not among them.
    pub dims: Vec<usize>,
    /// Whether they stay, with an extent of 1.
    #[serde(default)]
    pub keepdim: bool,
}

fn two() -> usize {
    2
}

described!(NormSpec => Norm);

/// The Euclidean norm over axes: the root of the sum of the squares.
pub fn norm(dims: impl Into<Vec<usize>>) -> NormSpec {
    NormSpec { p: 2, dims: dims.into(), keepdim: false }
}

impl NormSpec {
    /// The operation; `None` if `p` is neither 1 nor 2.
    pub fn options(&self) -> Option<Reduce> {
        let to = match self.p {
            1 => Statistic::L1,
            2 => Statistic::L2,
            _ => return None,
        };
        Some(Reduce::new(to, self.dims.clone()).keepdim(self.keepdim))
    }

    /// Sets which norm: 1 or 2.
    #[must_use]
    pub fn p(self, p: usize) -> Self {
        Self { p, ..self }
    }

    /// Sets whether the axes stay, with an extent of 1.
    #[must_use]
    pub fn keepdim(self, keepdim: bool) -> Self {
        Self { keepdim, ..self }
    }
}
