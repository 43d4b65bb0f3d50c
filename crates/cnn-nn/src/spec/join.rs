//! Layers with several inputs or outputs, and layers that move numbers between axes.
//!
//! The first axis is the batch, which no layer moves or cuts.

use super::{LayerSpec, MaxPool2dSpec, described};
use cnn_ops::{Concat, Permute, Slice, Split, Stack};

/// The sum of two tensors. An axis of extent 1 is repeated to match the other tensor: `[n, c, h, w]` and `[n, c, 1, 1]`.
pub fn add() -> LayerSpec {
    LayerSpec::Add
}

/// The first of two tensors minus the second; shapes as for [`add`].
pub fn sub() -> LayerSpec {
    LayerSpec::Sub
}

/// The product of two tensors, element by element; shapes as for [`add`].
pub fn mul() -> LayerSpec {
    LayerSpec::Mul
}

/// The first of two tensors divided by the second, element by element; shapes as for [`add`].
pub fn div() -> LayerSpec {
    LayerSpec::Div
}

/// The larger of two tensors, element by element; shapes as for [`add`].
pub fn maximum() -> LayerSpec {
    LayerSpec::Maximum
}

/// The smaller of two tensors, element by element; shapes as for [`add`].
pub fn minimum() -> LayerSpec {
    LayerSpec::Minimum
}

/// Several tensors concatenated along axis `dim`: PyTorch's `torch.cat`.
pub fn cat(dim: usize) -> LayerSpec {
    LayerSpec::Cat(Concat::new(dim))
}

/// One tensor split along axis `dim` into parts of these extents, one output each: PyTorch's `torch.split`.
pub fn split(dim: usize, sizes: impl Into<Vec<usize>>) -> LayerSpec {
    LayerSpec::Split(Split::new(dim, sizes))
}

/// Several tensors of one shape stacked along a new axis `dim`: PyTorch's `torch.stack`.
pub fn stack(dim: usize) -> LayerSpec {
    LayerSpec::Stack(Stack::new(dim))
}

/// A slice with its options: `slice(1, 0, None).step(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceSpec(pub Slice);

described!(SliceSpec => Slice, 0);

/// The positions from `start` to before `end` of axis `dim`. Negative numbers count from its end, and `None` is the end.
pub fn slice(dim: usize, start: isize, end: impl Into<Option<isize>>) -> SliceSpec {
    SliceSpec(Slice::new(dim, start, end))
}

impl SliceSpec {
    /// Takes only every `step`-th of the positions.
    #[must_use]
    pub fn step(self, step: usize) -> Self {
        Self(self.0.step(step))
    }
}

/// The axes in another order, of which the first must be 0: PyTorch's `torch.permute`.
pub fn permute(dims: impl Into<Vec<usize>>) -> LayerSpec {
    LayerSpec::Permute(Permute::new(dims))
}

/// Two axes swapped, neither of them the first: PyTorch's `torch.transpose`.
pub fn transpose(a: usize, b: usize) -> LayerSpec {
    LayerSpec::Transpose { dims: [a, b] }
}

/// Max pooling with a second output, the positions of the maxima, for [`max_unpool2d`].
pub fn max_pool2d_with_indices(pool: MaxPool2dSpec) -> LayerSpec {
    LayerSpec::MaxPool2dWithIndices(pool.0)
}

/// Values placed where a pooling found its maxima. Reads the values, the pooling's second output, and a tensor with the height
/// and width of the output, usually the pooling's input.
pub fn max_unpool2d() -> LayerSpec {
    LayerSpec::MaxUnpool2d
}
