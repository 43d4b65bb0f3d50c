//! Checks that several operations share. `output_shape` of each operation calls them; nothing else validates.

use crate::OpError;
use cnn_tensor::{Shape, Tensor, TensorError};

/// `[n, c, h, w]` of the argument `what`, whose products of extents do not overflow, zeros left out or not.
pub(crate) fn nchw(op: &'static str, what: &'static str, shape: Shape) -> Result<[usize; 4], OpError> {
    let extents = shape.nchw().ok_or(OpError::Rank { op, what, expected: "[n, c, h, w]", got: shape })?;
    if elements_of_an_image(shape) > Shape::MAX_NUMEL {
        return Err(OpError::Tensor { op, fault: TensorError::TooLarge { shape } });
    }
    Ok(extents)
}

/// The elements of one image, as if no extent were 0: what loops over planes and rows multiply.
fn elements_of_an_image(shape: Shape) -> usize {
    let extents = shape.dims().iter().skip(1);
    extents.fold(1, |product: usize, &extent| product.saturating_mul(extent.max(1)))
}

/// `[rows, columns]` of the argument `what`, whose axes are called `expected`.
pub(crate) fn matrix(
    op: &'static str,
    what: &'static str,
    expected: &'static str,
    shape: Shape,
) -> Result<[usize; 2], OpError> {
    shape.matrix().ok_or(OpError::Rank { op, what, expected, got: shape })
}

/// That the argument `what` has exactly the shape `expected`.
pub(crate) fn shape(
    op: &'static str,
    what: &'static str,
    expected: impl Into<Shape>,
    tensor: &Tensor,
) -> Result<(), OpError> {
    let (expected, got) = (expected.into(), tensor.shape());
    if got == expected { Ok(()) } else { Err(OpError::Shape { op, what, expected, got }) }
}

/// That no extent of the pair `[height, width]` is 0.
pub(crate) fn at_least_1(op: &'static str, option: &'static str, pair: [usize; 2]) -> Result<(), OpError> {
    if pair.contains(&0) {
        return Err(OpError::Option { op, option, rule: "at least 1", got: format!("{pair:?}") });
    }
    Ok(())
}

/// A shape that an operation may make: one that memory can address, and no more than [`LARGEST_OUTPUT`] for one image,
/// so that no option, however absurd, takes memory out of proportion to the batch.
pub(crate) fn output(op: &'static str, shape: impl Into<Shape>) -> Result<Shape, OpError> {
    let shape = shape.into().checked().map_err(|fault| OpError::Tensor { op, fault })?;
    if elements_of_an_image(shape) > LARGEST_OUTPUT {
        let rule = "at most 2^28 elements for one image";
        return Err(OpError::Option { op, option: "the output", rule, got: shape.to_string() });
    }
    Ok(shape)
}

/// The most elements that an operation may make of one image: 1 GiB.
const LARGEST_OUTPUT: usize = 1 << 28;

/// The number of positions of a window of `kernel` elements, `dilation` apart, along an axis of `extent` elements
/// with `padding` on both sides: `(extent + 2 padding - dilation (kernel - 1) - 1) / stride + 1`, rounded down.
pub(crate) fn positions(
    op: &'static str,
    extent: usize,
    [kernel, stride, padding, dilation]: [usize; 4],
) -> Result<usize, OpError> {
    let window = (kernel - 1).saturating_mul(dilation).saturating_add(1);
    let padding = padding.saturating_mul(2);
    match extent.saturating_add(padding).checked_sub(window) {
        Some(free) => Ok(free / stride + 1),
        None => Err(OpError::Window { op, window, padding, extent }),
    }
}

/// That an option obeys its rule.
pub(crate) fn rule(
    op: &'static str,
    option: &'static str,
    rule: &'static str,
    obeyed: bool,
    got: impl std::fmt::Display,
) -> Result<(), OpError> {
    if obeyed { Ok(()) } else { Err(OpError::Option { op, option, rule, got: got.to_string() }) }
}
