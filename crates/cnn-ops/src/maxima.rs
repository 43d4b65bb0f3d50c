//! Where maxima were: what the max poolings remember.

use crate::pooling::Pieces;
use crate::{OpError, check};
use cnn_tensor::{Buffer, Shape, Tensor, parallel};

/// What the backward pass of a max pooling reads: which input element won each window.
#[derive(Clone, Debug)]
pub struct Saved {
    pub(crate) x: Shape,
    pub(crate) y: Shape,
    pub(crate) indices: Buffer<u32>,
}

impl Saved {
    /// For each output element, in row-major order, the position of its maximum in the input plane: `row * w + column`.
    ///
    /// These are PyTorch's `return_indices`, and what [`MaxUnpool2d`](crate::MaxUnpool2d) takes.
    pub fn indices(&self) -> &[u32] {
        self.indices.as_slice()
    }

    /// The shape of the input.
    pub fn x_shape(&self) -> Shape {
        self.x
    }

    /// `dx` from `dy`, for a backward pass that expects outputs of shape `y`: adds each `dy` to the element that won.
    pub(crate) fn scatter(&self, op: &'static str, y: Shape, dy: &Tensor) -> Result<Tensor, OpError> {
        if self.y != y {
            return Err(OpError::Shape { op, what: "saved", expected: y, got: self.y });
        }
        check::shape(op, "dy", y, dy)?;
        let mut dx = Tensor::scratch(self.x);
        let [x_plane, y_plane] = [plane(self.x), plane(self.y)];
        let pieces = Pieces::new(x_plane, y_plane);
        parallel::for_each_chunk(dx.data_mut(), pieces.x, |i, dx| {
            dx.fill(0.0);
            let (dy, indices) = (&dy.data()[i * pieces.y..], &self.indices()[i * pieces.y..]);
            let planes = dy.chunks_exact(y_plane).zip(indices.chunks_exact(y_plane));
            for (dx, (dy, indices)) in dx.chunks_exact_mut(x_plane).zip(planes) {
                for (dy, &index) in dy.iter().zip(indices) {
                    dx[index as usize] += dy;
                }
            }
        });
        Ok(dx)
    }
}

/// Elements of a plane of `[n, c, h, w]`.
pub(crate) fn plane(shape: Shape) -> usize {
    shape.dims().iter().skip(2).fold(1, |plane: usize, &extent| plane.saturating_mul(extent))
}

/// Whether `v` takes the place of `max`, a maximum of elements before it: a tie goes to the earlier element, and a NaN
/// beats everything before it.
#[inline(always)]
pub(crate) fn wins(v: f32, max: f32) -> bool {
    (v > max) | v.is_nan()
}

/// `[n, c, h, w]` of the argument `x` of a max pooling, whose positions in a plane fit 32 bits.
pub(crate) fn nchw(op: &'static str, x: Shape) -> Result<[usize; 4], OpError> {
    let nchw @ [_, _, h, w] = check::nchw(op, "x", x)?;
    if u32::try_from(h.saturating_mul(w)).is_err() {
        let unit = "elements per plane at most";
        let (expected, got) = (u32::MAX as usize, h.saturating_mul(w));
        return Err(OpError::Extent { op, what: "x", unit, expected, got });
    }
    Ok(nchw)
}
