//! The values that nodes read and write.

use crate::constant::Constant;
use cnn_nn::spec::Edge;

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// Known on import.
    Constant(Constant),
    /// Computed for each batch.
    Batch(Batch),
    /// The output of a node that is not supported.
    Unknown,
}

/// An output of a node of the imported graph.
#[derive(Clone, Debug)]
pub struct Batch {
    pub edge: Edge,
    /// The extents for one image: the first is 1 and stands for the batch.
    pub dims: Vec<usize>,
}

impl Batch {
    /// Elements of one image.
    pub fn image(&self) -> usize {
        self.dims.iter().product()
    }

    /// The axis that a number of the file means: from the end if it is negative.
    pub fn axis(&self, axis: i64) -> Result<usize, String> {
        wrap(axis, self.dims.len())
    }

    /// As [`Batch::axis`], but not the batch.
    pub fn inner_axis(&self, axis: i64) -> Result<usize, String> {
        match self.axis(axis)? {
            0 => Err("expected another axis than the batch".into()),
            axis => Ok(axis),
        }
    }
}

/// An axis of `rank`, counted from the end if it is negative.
pub fn wrap(axis: i64, rank: usize) -> Result<usize, String> {
    let from_start = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    let axis_of = from_start.and_then(|axis| usize::try_from(axis).ok()).filter(|&axis| axis < rank);
    axis_of.ok_or_else(|| format!("expected an axis of {rank}, got {axis}"))
}

/// A number that is an extent or a position.
pub fn extent(value: i64) -> Result<usize, String> {
    usize::try_from(value).map_err(|_| format!("expected a number of at least 0, got {value}"))
}
