//! The attributes of windows that move over an image.

use crate::builder::Call;
use crate::value::{Batch, extent};
use cnn_ops::Padding;

/// A window over the two last axes.
pub struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub padding: Padding,
}

impl Window {
    /// The window of a node over images `[n, c, h, w]`; `kernel` is that of its weight.
    pub fn of(call: &Call<'_>, x: &Batch, kernel: Option<[usize; 2]>) -> Result<Self, String> {
        if x.dims.len() != 4 {
            return Err(format!("expected images [n, c, h, w], got {} axes", x.dims.len()));
        }
        let node = call.node;
        let stated = node.ints("kernel_shape")?.map(pair).transpose()?;
        let kernel = match (stated, kernel) {
            (Some(stated), Some(kernel)) if stated != kernel => {
                return Err(format!(
                    "attribute kernel_shape {stated:?} is not that of the weight, {kernel:?}"
                ));
            }
            (stated, kernel) => kernel.or(stated).ok_or("attribute kernel_shape is missing")?,
        };
        let stride = node.ints("strides")?.map_or(Ok([1, 1]), pair)?;
        let dilation = node.ints("dilations")?.map_or(Ok([1, 1]), pair)?;
        if stride.contains(&0) || dilation.contains(&0) || kernel.contains(&0) {
            return Err("a kernel, stride or dilation is 0".into());
        }
        let pads = node.ints("pads")?;
        let padding = match node.text_or("auto_pad", "NOTSET")? {
            "NOTSET" | "" => pads.map_or(Ok([[0; 2]; 2]), sides)?.into(),
            "VALID" => Padding::Valid,
            "SAME_UPPER" => Padding::Same,
            "SAME_LOWER" => Padding::SameLower,
            other => return Err(format!("attribute auto_pad: got {other}")),
        };
        Ok(Self { kernel, stride, dilation, padding })
    }
}

/// Two numbers: of rows and columns.
pub fn pair(ints: &[i64]) -> Result<[usize; 2], String> {
    match *ints {
        [rows, columns] => Ok([extent(rows)?, extent(columns)?]),
        _ => Err(format!("expected two numbers, for rows and columns, got {ints:?}")),
    }
}

/// Pads `[above, left, below, right]` as `[[above, below], [left, right]]`.
fn sides(ints: &[i64]) -> Result<[[usize; 2]; 2], String> {
    match *ints {
        [top, left, bottom, right] => Ok([[extent(top)?, extent(bottom)?], [extent(left)?, extent(right)?]]),
        _ => Err(format!("attribute pads: expected four numbers, got {ints:?}")),
    }
}
