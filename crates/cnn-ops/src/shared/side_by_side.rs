//! Copies between tensors and their concatenation along an axis; shared by concat, split and stack.
//!
//! Before the axis, `outer` positions; at each of them, the whole is one run of numbers from each part.

use crate::OpError;
use crate::shared::check;
use crate::shared::work::worth_a_thread;
use cnn_tensor::{Recycled, Shape, Tensor, parallel};
use std::borrow::Borrow;

/// Checks that `dim` names an axis beside the batch.
pub(crate) fn check_dim(op: &'static str, what: &'static str, dim: usize, x: Shape) -> Result<(), OpError> {
    check::rule(op, "dim", "an axis other than the batch, axis 0", dim != 0, dim)?;
    if dim < x.rank() {
        return Ok(());
    }
    // As many axes as it takes.
    let expected = match dim {
        1 => "[n, c, ...]",
        2 => "a shape of rank 3 or more",
        3 => "a shape of rank 4 or more",
        4 => "a shape of rank 5 or more",
        5 => "a shape of rank 6",
        _ => return check::rule(op, "dim", "at most 5, the last of six axes", false, dim),
    };
    Err(OpError::Rank { op, what, expected, got: x })
}

/// The shape with another extent along an axis.
pub(crate) fn with_extent(op: &'static str, x: Shape, dim: usize, extent: usize) -> Result<Shape, OpError> {
    let mut dims = [0; Shape::MAX_RANK];
    let dims = &mut dims[..x.rank()];
    dims.copy_from_slice(x.dims());
    dims[dim] = extent;
    Shape::new(dims).map_err(|fault| OpError::Tensor { op, fault })
}

/// Checks that there is at least one part.
pub(crate) fn at_least_one(op: &'static str, option: &'static str, count: usize) -> Result<(), OpError> {
    check::rule(op, option, "at least 1", count > 0, count)
}

/// The shape of the parts side by side, which differ in the extent along `dim` alone; `what` they are.
pub(crate) fn joined(
    op: &'static str,
    what: &'static str,
    dim: usize,
    parts: &[Shape],
) -> Result<Shape, OpError> {
    at_least_one(op, "the number of inputs", parts.len())?;
    let (first, mut extent) = (parts[0], 0_usize);
    for &part in parts {
        check_dim(op, what, dim, part)?;
        check_dim(op, what, dim, first)?;
        let expected = with_extent(op, first, dim, part.dims()[dim])?;
        if part != expected {
            return Err(OpError::Shape { op, what, expected, got: part });
        }
        extent = extent.saturating_add(part.dims()[dim]);
    }
    check::output(op, with_extent(op, first, dim, extent)?)
}

/// Checks that the extents of the parts add up to that of the whole, `what`, along `dim`.
pub(crate) fn check_sizes(
    op: &'static str,
    what: &'static str,
    whole: Shape,
    dim: usize,
    sizes: &[usize],
) -> Result<(), OpError> {
    check_dim(op, what, dim, whole)?;
    let (got, expected) =
        (whole.dims()[dim], sizes.iter().fold(0, |sum: usize, &size| sum.saturating_add(size)));
    if got != expected {
        let unit = if dim == 1 { "channels" } else { "positions along dim" };
        return Err(OpError::Extent { op, what, unit, expected, got });
    }
    Ok(())
}

/// The positions before an axis.
pub(crate) fn outer(x: Shape, dim: usize) -> usize {
    x.dims()[..dim].iter().fold(1, |product: usize, &extent| product.saturating_mul(extent))
}

/// `y`, at each of `outer` positions a run of each of the parts.
pub(crate) fn join(y: Shape, outer: usize, parts: &[impl Borrow<Tensor> + Sync]) -> Tensor {
    let mut y = Tensor::scratch(y);
    let whole = run(y.shape(), outer);
    let rows = rows_per_chunk(whole);
    // Single numbers are not worth a copy of a run each.
    let singles = parts.iter().all(|x| run(x.borrow().shape(), outer) == 1);
    parallel::for_each_chunk(y.data_mut(), rows * whole, |i, y| {
        if singles {
            for (at, x) in parts.iter().map(Borrow::borrow).enumerate() {
                let ys = y[at..].iter_mut().step_by(whole);
                ys.zip(&x.data()[i * rows..]).for_each(|(y, x)| *y = *x);
            }
            return;
        }
        for (row, mut y) in y.chunks_exact_mut(whole).enumerate() {
            for x in parts.iter().map(Borrow::borrow) {
                let (own, rest) = y.split_at_mut(run(x.shape(), outer));
                own.copy_from_slice(&x.data()[(i * rows + row) * own.len()..][..own.len()]);
                y = rest;
            }
        }
    });
    y
}

/// The parts of `y`, of the shapes given, which together have its elements.
pub(crate) fn cut(y: &Tensor, outer: usize, parts: impl ExactSizeIterator<Item = Shape>) -> Recycled<Tensor> {
    let (whole, mut start) = (run(y.shape(), outer), 0);
    let mut cut = Recycled::with_capacity(parts.len());
    for shape in parts {
        let (own, mut x) = (run(shape, outer), Tensor::scratch(shape));
        let rows = rows_per_chunk(own);
        parallel::for_each_chunk(x.data_mut(), rows * own, |i, x| {
            if own == 1 {
                let ys = y.data()[i * rows * whole + start..].iter().step_by(whole);
                return x.iter_mut().zip(ys).for_each(|(x, y)| *x = *y);
            }
            for (row, x) in x.chunks_exact_mut(own).enumerate() {
                x.copy_from_slice(&y.data()[(i * rows + row) * whole + start..][..own]);
            }
        });
        start += own;
        cut.push(x);
    }
    cut
}

/// Elements at one of `outer` positions; 0 where there are none.
fn run(x: Shape, outer: usize) -> usize {
    x.numel().checked_div(outer).unwrap_or(0)
}

/// Positions that make a piece of work worth a thread.
fn rows_per_chunk(run: usize) -> usize {
    const WORTH_A_THREAD: usize = worth_a_thread(1 << 17);
    (WORTH_A_THREAD / run.max(1)).max(1)
}
