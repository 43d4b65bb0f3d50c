//! Other heights and widths.

use crate::builder::{Builder, Call};
use crate::constant::{Array, Int};
use crate::value::{Batch, Value, extent};
use cnn_nn::spec::{upsample2d, upsample2d_to_size};
use cnn_ops::upsample2d::{Coordinates, Interpolation, Rounding};

/// The last two axes, which are resized, among those that a list is for.
fn rows_and_columns<T: Copy>(list: &[T], axes: &[usize], stays: impl Fn(usize, T) -> bool) -> Option<[T; 2]> {
    let of = |axis: usize| axes.iter().position(|&listed| listed == axis).and_then(|i| list.get(i)).copied();
    let others = axes.iter().zip(list).filter(|(axis, _)| **axis < 2);
    let all_stay = others.into_iter().all(|(&axis, &value)| stays(axis, value));
    if list.len() == axes.len() && all_stay { Some([of(2)?, of(3)?]) } else { None }
}

pub fn resize(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (x, node) = (call.batch(0)?, call.node);
    // Up to opset 10 pixels have the coordinates of their left upper corners.
    let is_old = node.op == "Upsample" || call.opset < 11;
    if x.dims.len() != 4 {
        return Err(format!("expected images [n, c, h, w], got {} axes", x.dims.len()));
    }
    let axes = match node.ints("axes")? {
        Some(axes) => axes.iter().map(|&axis| x.axis(axis)).collect::<Result<Vec<_>, _>>()?,
        None => vec![0, 1, 2, 3],
    };
    let mode = match node.text_or("mode", "nearest")? {
        "nearest" => Interpolation::Nearest,
        "linear" | "bilinear" => Interpolation::Bilinear,
        "cubic" => Interpolation::Bicubic,
        other => return Err(format!("mode {other} is not supported")),
    };
    let coordinates =
        if is_old { "asymmetric" } else { node.text_or("coordinate_transformation_mode", "half_pixel")? };
    let coordinates = match coordinates {
        "half_pixel" => Coordinates::HalfPixel,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        other => return Err(format!("coordinate_transformation_mode {other} is not supported")),
    };
    let rounding = if is_old { "floor" } else { node.text_or("nearest_mode", "round_prefer_floor")? };
    let rounding = match rounding {
        "floor" => Rounding::Floor,
        "ceil" => Rounding::Ceil,
        "round_prefer_floor" => Rounding::RoundPreferFloor,
        "round_prefer_ceil" => Rounding::RoundPreferCeil,
        other => return Err(format!("nearest_mode {other} is not supported")),
    };
    options(call, mode)?;
    let layer = match (scales(call, is_old)?, sizes(call, is_old)?) {
        (Some(scales), _) => {
            let by = rows_and_columns(&scales, &axes, |_, scale| scale == 1.0);
            upsample2d(by.ok_or("expected scales of rows and columns alone")?.map(f64::from))
        }
        (None, Some(sizes)) => upsample2d_to_size(size(&sizes.values, &axes, x)?),
        (None, None) => return Err("scales and sizes are missing".into()),
    };
    let layer = layer.mode(mode);
    let layer = match (mode, coordinates, rounding) {
        // PyTorch's own.
        (Interpolation::Nearest, Coordinates::Asymmetric, Rounding::Floor) => layer,
        (Interpolation::Nearest, ..) => layer.coordinates(coordinates).rounding(rounding),
        (_, Coordinates::HalfPixel, _) => layer,
        (_, Coordinates::AlignCorners, _) => layer.align_corners(true),
        _ => layer.coordinates(coordinates),
    };
    Ok(vec![Value::Batch(builder.op(&call.name(), layer, x)?)])
}

/// Checks the options that have one value here.
fn options(call: &Call<'_>, mode: Interpolation) -> Result<(), String> {
    let node = call.node;
    if node.flag("antialias", false)? || node.flag("exclude_outside", false)? {
        return Err("antialias and exclude_outside are not supported".into());
    }
    if node.text_or("keep_aspect_ratio_policy", "stretch")? != "stretch" {
        return Err("keep_aspect_ratio_policy is not supported".into());
    }
    let a = node.decimal_or("cubic_coeff_a", -0.75)?;
    if mode == Interpolation::Bicubic && a != -0.75 {
        return Err(format!("cubic_coeff_a: expected -0.75, got {a}"));
    }
    // Of another coordinate mode.
    node.pass_over(&["extrapolation_value"]);
    Ok(())
}

fn scales(call: &Call<'_>, is_old: bool) -> Result<Option<Vec<f32>>, String> {
    let constant = call.optional(if is_old { 1 } else { 2 })?;
    let scales = match constant {
        Some(scales) => Some(scales.to_floats()?.values.clone()),
        None if is_old => call.node.floats("scales")?.map(<[f32]>::to_vec),
        None => None,
    };
    Ok(scales.filter(|scales| !scales.is_empty()))
}

fn sizes<'a>(call: &'a Call<'_>, is_old: bool) -> Result<Option<&'a Array<Int>>, String> {
    if is_old { Ok(None) } else { call.optional(3)?.map(|sizes| sizes.as_ints()).transpose() }
}

fn size(sizes: &[Int], axes: &[usize], x: &Batch) -> Result<[usize; 2], String> {
    let stays = |axis: usize, size: Int| match axis {
        0 => size == Int::BATCH || size == Int::from(1),
        axis => size == Int::from(x.dims[axis] as i64),
    };
    let size = rows_and_columns(sizes, axes, stays).ok_or("expected sizes of rows and columns alone")?;
    let known = |size: Int| extent(size.known().ok_or_else(crate::constant::of_the_batch)?);
    Ok([known(size[0])?, known(size[1])?])
}
