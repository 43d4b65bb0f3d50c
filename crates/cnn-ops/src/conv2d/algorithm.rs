//! The interface of an algorithm, and the list of algorithms.

use super::{Extents, depthwise, im2col, lanes, polyphase, rows, winograd};
use cnn_tensor::Tensor;
use std::fmt::Debug;

/// All algorithms, in the order in which they are asked. The last one computes every convolution.
pub(super) const ALGORITHMS: [&dyn Algorithm; 6] = [
    &depthwise::Depthwise,
    &lanes::Lanes,
    &winograd::Winograd,
    &polyphase::Polyphase,
    &rows::Rows,
    &im2col::Im2col,
];

/// A way to compute a convolution and its gradients.
///
/// A new one is a file that implements this, or mostly [`Separate`], and an entry of [`ALGORITHMS`]. The tests of this module then run it wherever
/// it is possible.
pub(super) trait Algorithm: Debug + Send + Sync {
    /// Whether it can compute this convolution; the passes rely on that.
    fn is_possible(&self, e: &Extents) -> bool;

    /// Whether it is possible, and faster at this shape than those after it, by measurement (docs/performance.md).
    fn suits(&self, e: &Extents) -> bool;

    /// Whether each gradient is a pass of its own, and that of the input reads no `x`.
    fn is_separate(&self) -> bool {
        false
    }

    /// Writes `y = conv(x) + bias`. Returns `x` as [`Algorithm::backward`] reads it.
    fn forward(&self, e: &Extents, x: &Tensor, weight: &[f32], bias: Option<&[f32]>, y: &mut [f32])
    -> Tensor;

    /// Adds the weight's gradient into `dweight` and writes the input's to `dx`, as far as wanted. `x` is what
    /// [`Algorithm::forward`] returned. Neither input nor output is empty.
    fn backward(
        &self,
        e: &Extents,
        x: &Tensor,
        weight: &[f32],
        dy: &[f32],
        dweight: Option<&mut [f32]>,
        dx: Option<&mut [f32]>,
    );
}

/// An algorithm that keeps the input as it is, and of which each gradient is a pass of its own. It is an [`Algorithm`] by that.
pub(super) trait Separate: Debug + Send + Sync {
    /// [`Algorithm::is_possible`].
    fn is_possible(&self, e: &Extents) -> bool;

    /// [`Algorithm::suits`].
    fn suits(&self, e: &Extents) -> bool;

    /// Writes `y = conv(x) + bias`.
    fn forward(&self, e: &Extents, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]);

    /// Adds the weight's gradient into `dweight`.
    fn weight_gradient(&self, e: &Extents, x: &[f32], dy: &[f32], dweight: &mut [f32]);

    /// Writes the input's gradient to `dx`.
    fn input_gradient(&self, e: &Extents, weight: &[f32], dy: &[f32], dx: &mut [f32]);
}

impl<A: Separate> Algorithm for A {
    fn is_separate(&self) -> bool {
        true
    }

    fn is_possible(&self, e: &Extents) -> bool {
        Separate::is_possible(self, e)
    }

    fn suits(&self, e: &Extents) -> bool {
        Separate::suits(self, e)
    }

    fn forward(
        &self,
        e: &Extents,
        x: &Tensor,
        weight: &[f32],
        bias: Option<&[f32]>,
        y: &mut [f32],
    ) -> Tensor {
        Separate::forward(self, e, x.data(), weight, bias, y);
        x.clone()
    }

    fn backward(
        &self,
        e: &Extents,
        x: &Tensor,
        weight: &[f32],
        dy: &[f32],
        dweight: Option<&mut [f32]>,
        dx: Option<&mut [f32]>,
    ) {
        if let Some(dweight) = dweight {
            self.weight_gradient(e, x.data(), dy, dweight);
        }
        if let Some(dx) = dx {
            self.input_gradient(e, weight, dy, dx);
        }
    }
}

/// The fastest algorithm for this convolution.
pub(super) fn fastest(e: &Extents) -> &'static dyn Algorithm {
    ALGORITHMS.into_iter().find(|algorithm| algorithm.suits(e)).unwrap_or(&im2col::Im2col)
}

/// The fastest of those with separate gradients.
pub(super) fn fastest_separate(e: &Extents) -> &'static dyn Algorithm {
    let suits = |algorithm: &&dyn Algorithm| algorithm.is_separate() && algorithm.suits(e);
    ALGORITHMS.into_iter().find(suits).unwrap_or(&im2col::Im2col)
}
