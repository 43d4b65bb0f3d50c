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

/// The elements of one image, as if no extent were 0: the product that loops over planes and rows compute.
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

/// `[n, c, rest]` of the argument `what` of rank 2 or more, whose axes are called `expected`: `rest` is the product of all
/// extents after the second, saturating.
pub(crate) fn channels(
    op: &'static str,
    what: &'static str,
    expected: &'static str,
    shape: Shape,
) -> Result<[usize; 3], OpError> {
    match *shape.dims() {
        [n, c, ref rest @ ..] => Ok([n, c, rest.iter().fold(1, |a: usize, &b| a.saturating_mul(b))]),
        _ => Err(OpError::Rank { op, what, expected, got: shape }),
    }
}

/// Checks that there is one label for each of `count` positions, `inner` of which belong to each image, and that each is below
/// the number of classes or equal to `ignored`.
pub(crate) fn labels(
    op: &'static str,
    labels: &[u32],
    [count, inner, classes]: [usize; 3],
    ignored: Option<u32>,
) -> Result<(), OpError> {
    if labels.len() != count {
        return Err(OpError::Extent {
            op,
            what: "labels",
            unit: "entries",
            expected: count,
            got: labels.len(),
        });
    }
    let wrong = |&label: &u32| label as usize >= classes && Some(label) != ignored;
    match labels.iter().position(wrong) {
        Some(at) => Err(OpError::Label { op, label: labels[at], image: at / inner.max(1), classes }),
        None => Ok(()),
    }
}

/// Checks that there are as many numbers as classes.
pub(crate) fn per_class(
    op: &'static str,
    what: &'static str,
    weights: Option<&[f32]>,
    classes: usize,
) -> Result<(), OpError> {
    match weights {
        Some(weights) if weights.len() != classes => {
            let (unit, got) = ("entries, one for each class", weights.len());
            Err(OpError::Extent { op, what, unit, expected: classes, got })
        }
        _ => Ok(()),
    }
}

/// Checks that an option that is a number follows its rule; a NaN follows none.
pub(crate) fn number(
    op: &'static str,
    option: &'static str,
    rule: &'static str,
    value: f64,
    follows: bool,
) -> Result<(), OpError> {
    if follows { Ok(()) } else { Err(OpError::Option { op, option, rule, got: value.to_string() }) }
}

/// Checks that the argument `what` has exactly the shape `expected`.
pub(crate) fn shape(
    op: &'static str,
    what: &'static str,
    expected: impl Into<Shape>,
    tensor: &Tensor,
) -> Result<(), OpError> {
    let (expected, got) = (expected.into(), tensor.shape());
    if got == expected { Ok(()) } else { Err(OpError::Shape { op, what, expected, got }) }
}

/// Checks that every number of the argument `what` is one of those that `expected` describes.
pub(crate) fn elements(
    op: &'static str,
    what: &'static str,
    tensor: &Tensor,
    fits: impl Fn(f32) -> bool,
    expected: impl FnOnce() -> String,
) -> Result<(), OpError> {
    let Some(at) = tensor.data().iter().position(|&v| !fits(v)) else { return Ok(()) };
    let got = tensor.data()[at].to_string();
    Err(OpError::Element { op, what, expected: expected(), got, at: position(tensor.shape(), at) })
}

/// The position along each axis of element `at` of the row-major order.
fn position(shape: Shape, mut at: usize) -> String {
    let mut position = vec![0; shape.rank()];
    for (position, &extent) in position.iter_mut().zip(shape.dims()).rev() {
        *position = at % extent;
        at /= extent;
    }
    format!("{position:?}")
}

/// Checks that a mask has the shape `expected` and holds nothing but 0 and 1.
pub(crate) fn mask(op: &'static str, expected: impl Into<Shape>, mask: &Tensor) -> Result<(), OpError> {
    shape(op, "mask", expected, mask)?;
    elements(op, "mask", mask, |v| v == 0.0 || v == 1.0, || "0 or 1".to_owned())
}

/// Checks that no extent of the pair `[height, width]` is 0.
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

/// The shape of an input, as that of the gradient which a backward pass makes on no other evidence than `dy`: within the
/// bounds of [`output`], or without elements.
pub(crate) fn gradient(op: &'static str, x: Shape) -> Result<Shape, OpError> {
    if x.numel() == 0 { Ok(x) } else { output(op, x) }
}

/// The most elements that an operation may make of one image: 1 GiB.
const LARGEST_OUTPUT: usize = 1 << 28;

/// Checks that an option obeys its rule.
pub(crate) fn rule(
    op: &'static str,
    option: &'static str,
    rule: &'static str,
    obeyed: bool,
    got: impl std::fmt::Display,
) -> Result<(), OpError> {
    if obeyed { Ok(()) } else { Err(OpError::Option { op, option, rule, got: got.to_string() }) }
}

/// The number of positions of a window of `kernel` elements, `dilation` apart, along an axis of `extent` elements with
/// `before + after` elements of padding: `(before + extent + after - dilation (kernel - 1) - 1) / stride + 1`, rounded
/// down. Where there is one, no position counted on the padded axis overflows.
pub(crate) fn positions(
    op: &'static str,
    extent: usize,
    [before, after]: [usize; 2],
    [kernel, stride, dilation]: [usize; 3],
) -> Result<usize, OpError> {
    let padding = before.saturating_add(after);
    let padded = extent.saturating_add(padding);
    if padded == usize::MAX {
        let rule = "such that the padded extent can be counted";
        return Err(OpError::Option { op, option: "padding", rule, got: format!("{before} + {after}") });
    }
    let window = (kernel - 1).saturating_mul(dilation).saturating_add(1);
    match padded.checked_sub(window) {
        Some(free) => Ok(free / stride + 1),
        None => Err(OpError::Window { op, window, padding, extent }),
    }
}
