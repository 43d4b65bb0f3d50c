//! Changes of shape and order.

use crate::builder::{Builder, Call};
use crate::constant::Int;
use crate::fold;
use crate::value::{Batch, Value, extent, wrap};
use cnn_nn::spec::{self, cat, dropout, pad2d, pixel_shuffle, pixel_unshuffle};
use cnn_ops::pad2d::PadMode;
use cnn_ops::pixel_shuffle::Order;

pub fn concat(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let parts = (0..call.inputs.len()).map(|i| call.batch(i)).collect::<Result<Vec<_>, _>>()?;
    let first = parts.first().ok_or("there are no inputs")?;
    let axis = first.inner_axis(call.node.int("axis")?.ok_or("attribute axis is missing")?)?;
    Ok(vec![Value::Batch(builder.layer(&call.name(), cat(axis), &parts, Vec::new())?)])
}

pub fn split(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let x = call.batch(0)?;
    let axis = x.inner_axis(call.node.int_or("axis", 0)?)?;
    let (count, dim) = (call.node.outputs.len(), x.dims[axis]);
    let sizes = match call.ints("split", 1)? {
        Some(sizes) => sizes.into_iter().map(extent).collect::<Result<Vec<_>, _>>()?,
        None => {
            // Equal parts, but for the last.
            let stated = call.node.int("num_outputs")?;
            if stated.is_some_and(|stated| stated != count as i64) {
                return Err(format!("expected {count} outputs, got num_outputs {stated:?}"));
            }
            let size = dim.div_ceil(count.max(1));
            (0..count).map(|i| size.min(dim.saturating_sub(i * size))).collect()
        }
    };
    if sizes.len() != count {
        return Err(format!("expected {count} sizes, got {}", sizes.len()));
    }
    let parts = builder.layers(&call.name(), spec::split(axis, sizes), &[x], Vec::new(), count)?;
    Ok(parts.into_iter().map(Value::Batch).collect())
}

pub fn slice(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let mut x = call.batch(0)?.clone();
    for (axis, start, end, step) in fold::ranges(call, x.dims.len())? {
        let step = usize::try_from(step).ok().filter(|&step| step > 0).ok_or("the step is negative or 0")?;
        if axis == 0 {
            // Of the batch, all images.
            if start == 0 && step == 1 && end >= i64::from(i32::MAX) {
                continue;
            }
            return Err("some images of a batch cannot be taken".into());
        }
        let (start, end) = fold::clamp(start, end, x.dims[axis]);
        if (start, end, step) != (0, x.dims[axis], 1) {
            let layer = spec::slice(axis, start as isize, end as isize).step(step);
            x = builder.op(&call.name(), layer, &x)?;
        }
    }
    Ok(vec![Value::Batch(x)])
}

/// Positions that follow each other, or a single one, whose axis then goes.
pub fn gather(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (x, indices) = (call.batch(0)?, call.constant(1)?);
    let axis = x.inner_axis(call.node.int_or("axis", 0)?)?;
    let at = indices.known_ints()?.into_iter().map(|index| wrap(index, x.dims[axis]));
    let at = at.collect::<Result<Vec<usize>, _>>()?;
    let first = *at.first().ok_or("there are no indices")?;
    if !at.iter().copied().eq(first..first + at.len()) {
        return Err("indices that do not follow each other are not supported".into());
    }
    let layer = spec::slice(axis, first as isize, (first + at.len()) as isize);
    let y = builder.op(&call.name(), layer, x)?;
    let image = [&x.dims[1..axis], indices.dims(), &x.dims[axis + 1..]].concat();
    Ok(vec![Value::Batch(builder.reshape("gather", &y, &image)?)])
}

pub fn pad(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (x, node) = (call.batch(0)?, call.node);
    let pads = call.ints("pads", 1)?.ok_or("the pads are missing")?;
    let value = match call.optional(2)? {
        Some(value) => value.float()?,
        None => node.float_or("value", 0.0)?,
    };
    let rank = x.dims.len();
    let axes = match call.optional(3)? {
        Some(axes) => axes.known_ints()?.into_iter().map(|axis| x.axis(axis)).collect::<Result<_, _>>()?,
        None => (0..rank).collect::<Vec<_>>(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("expected {} pads, got {}", 2 * axes.len(), pads.len()));
    }
    let mut sides = vec![[0, 0]; rank];
    for (i, &axis) in axes.iter().enumerate() {
        sides[axis] = [extent(pads[i])?, extent(pads[axes.len() + i])?];
    }
    if sides[0] != [0, 0] {
        return Err("images cannot be added to a batch".into());
    }
    let mode = match node.text_or("mode", "constant")? {
        "constant" => PadMode::Constant(value),
        "reflect" => PadMode::Reflect,
        "edge" => PadMode::Replicate,
        other => return Err(format!("mode {other} is not supported")),
    };
    let name = call.name();
    if rank == 4 && sides[1] == [0, 0] {
        return Ok(vec![Value::Batch(builder.op(&name, pad2d([sides[2], sides[3]]).mode(mode), x)?)]);
    }
    if !matches!(mode, PadMode::Constant(_)) {
        return Err("modes other than constant need padding of rows and columns only".into());
    }
    // Along any axis, as rows of an image whose columns are all axes after it.
    let mut y = x.clone();
    for (axis, &padding) in sides.iter().enumerate().filter(|(_, padding)| **padding != [0, 0]) {
        let [outer, inner] =
            [&y.dims[1..axis], &y.dims[axis + 1..]].map(|dims| dims.iter().product::<usize>());
        let mut image = y.dims[1..].to_vec();
        image[axis - 1] += padding[0] + padding[1];
        let rows = builder.reshape("rows", &y, &[outer, y.dims[axis], inner])?;
        let padded = builder.op(&name, pad2d([padding, [0, 0]]).mode(mode), &rows)?;
        y = builder.reshape("unrows", &padded, &image)?;
    }
    Ok(vec![Value::Batch(y)])
}

/// The extents of a reshape, which must leave the batch as it is.
pub fn reshape(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let x = call.batch(0)?;
    let image = match call.node.op.as_str() {
        "Reshape" => reshaped(call, x)?,
        "Flatten" => {
            let axis = call.node.int_or("axis", 1)?;
            if axis != 1 && x.axis(axis)? != 1 {
                return Err("images of a batch cannot be joined".into());
            }
            vec![x.image()]
        }
        "Squeeze" => {
            let axes = call.ints("axes", 1)?;
            // The batch is not squeezed, though a file may have been made for one image.
            let axes = axes
                .unwrap_or_else(|| (1..x.dims.len()).filter(|&i| x.dims[i] == 1).map(|i| i as i64).collect());
            if axes.iter().any(|&axis| x.axis(axis) == Ok(0)) {
                return Err("the batch cannot be squeezed".into());
            }
            fold::squeezed(&x.dims, Some(axes))?[1..].to_vec()
        }
        _ => {
            let axes = call.ints("axes", 1)?.ok_or("the axes are missing")?;
            let rank = x.dims.len() + axes.len();
            if axes.iter().any(|&axis| wrap(axis, rank) == Ok(0)) {
                return Err("an axis before the batch is not supported".into());
            }
            fold::unsqueezed(&x.dims, &axes)?[1..].to_vec()
        }
    };
    Ok(vec![Value::Batch(builder.reshape(&call.name(), x, &image)?)])
}

fn reshaped(call: &Call<'_>, x: &Batch) -> Result<Vec<usize>, String> {
    let wanted = match call.inputs.len() {
        1 => call.node.ints("shape")?.ok_or("the shape is missing")?.iter().map(|&i| i.into()).collect(),
        _ => call.constant(1)?.as_ints()?.values.clone(),
    };
    let zeros_copy = !call.node.flag("allowzero", false)?;
    let (&first, rest) = wanted.split_first().ok_or("images of a batch cannot be joined")?;
    let rest = rest.iter().enumerate().map(|(i, dim)| match dim.known() {
        Some(0) if zeros_copy => {
            x.dims.get(i + 1).map(|&dim| dim as i64).ok_or_else(|| "0 copies no extent".to_string())
        }
        Some(dim) => Ok(dim),
        None => Err("images of a batch cannot be joined".into()),
    });
    let rest = rest.collect::<Result<Vec<i64>, String>>()?;
    let image = x.dims[1..].to_vec();
    // The first extent is the number of images: as such, as the file's fixed one, copied, or inferred.
    let is_batch = first == Int::BATCH
        || (first == Int::from(0) && zeros_copy)
        || first.known().is_some_and(|first| Some(first) == call.images);
    if is_batch {
        return fold::target(&image, &rest, false);
    }
    match first.known() {
        Some(-1) if !rest.contains(&-1) => fold::target(&image, &rest, false),
        _ => Err("the batch must stay the first axis".into()),
    }
}

pub fn transpose(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let x = call.batch(0)?;
    let order = fold::permutation(call, x.dims.len())?;
    if order.first() != Some(&0) {
        return Err("the batch must stay the first axis".into());
    }
    Ok(vec![Value::Batch(builder.permute(&call.name(), x, &order)?)])
}

/// To its own shape alone.
pub fn expand(_: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let x = call.batch(0)?;
    let wanted = &call.constant(1)?.as_ints()?.values;
    let own = |(i, dim): (usize, &Int)| match i {
        0 => *dim == Int::BATCH || *dim == Int::from(1),
        i => *dim == Int::from(1) || *dim == Int::from(x.dims[i] as i64),
    };
    if wanted.len() != x.dims.len() || !wanted.iter().enumerate().all(own) {
        return Err("other extents than the value's are not supported".into());
    }
    Ok(vec![Value::Batch(x.clone())])
}

/// The extents, of which the number of images is open.
pub fn shape(_: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let dims = call.batch(0)?.dims[1..].iter().map(|&dim| Int::from(dim as i64));
    let dims = std::iter::once(Int::BATCH).chain(dims).collect();
    Ok(vec![Value::Constant(fold::shape_of(call, dims)?)])
}

pub fn size(_: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let size = Int { batches: call.batch(0)?.image() as i64, rest: 0 };
    Ok(vec![Value::Constant(crate::constant::Constant::ints(Vec::new(), vec![size]))])
}

/// What leaves values as they are. Dropout is kept for training.
pub fn same(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let x = call.batch(0)?;
    match call.node.op.as_str() {
        "Cast" => {
            call.node.pass_over(&["saturate"]);
            let to = call.node.int("to")?.ok_or("attribute to is missing")?;
            if !fold::is_float(to)? {
                return Err("values are floats, and cannot be cast to whole numbers".into());
            }
        }
        "Dropout" => {
            call.single()?;
            call.node.pass_over(&["seed", "is_test"]);
            let ratio = match call.optional(1)? {
                Some(ratio) => ratio.float()?,
                None => call.node.float_or("ratio", 0.5)?,
            };
            if ratio > 0.0 {
                let y = builder.op(&call.name(), dropout(f64::from(ratio)), x)?;
                return Ok(vec![Value::Batch(y)]);
            }
        }
        _ => {}
    }
    Ok(vec![Value::Batch(x.clone())])
}

/// `blocksize^2` channels become a pixel's block.
pub fn depth_to_space(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let order = match call.node.text_or("mode", "DCR")? {
        "DCR" => Order::BlocksFirst,
        "CRD" => Order::ChannelsFirst,
        other => return Err(format!("attribute mode: got {other}")),
    };
    let layer = pixel_shuffle(blocksize(call)?).order(order);
    Ok(vec![Value::Batch(builder.op(&call.name(), layer, call.batch(0)?)?)])
}

/// The opposite of [`depth_to_space`] in its first mode.
pub fn space_to_depth(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let layer = pixel_unshuffle(blocksize(call)?).order(Order::BlocksFirst);
    Ok(vec![Value::Batch(builder.op(&call.name(), layer, call.batch(0)?)?)])
}

fn blocksize(call: &Call<'_>) -> Result<usize, String> {
    extent(call.node.int("blocksize")?.ok_or("attribute blocksize is missing")?)
}
