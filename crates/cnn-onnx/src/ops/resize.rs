//! Other heights and widths.

use crate::builder::{Builder, Call};
use crate::value::{Value, extent};
use cnn_nn::spec::{upsample2d, upsample2d_to_size};
use cnn_ops::upsample2d::Interpolation;

pub fn resize(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (x, node) = (call.batch(0)?, call.node);
    let upsample = node.op == "Upsample" || call.opset < 11;
    if x.dims.len() != 4 {
        return Err(format!("expected images [n, c, h, w], got {} axes", x.dims.len()));
    }
    let scales = if upsample {
        match call.optional(1)? {
            Some(scales) => Some(scales.to_floats()?.values.clone()),
            None => node.floats("scales")?.map(<[f32]>::to_vec),
        }
    } else {
        call.optional(2)?.map(|scales| Ok::<_, String>(scales.to_floats()?.values.clone())).transpose()?
    };
    let scales = scales.filter(|scales| !scales.is_empty());
    let sizes = if upsample { None } else { call.optional(3)?.map(|sizes| sizes.as_ints()).transpose()? };
    let mode = node.text_or("mode", "nearest")?;
    // Up to opset 10 pixels have the coordinates of their left upper corners.
    let coordinates =
        if upsample { "asymmetric" } else { node.text_or("coordinate_transformation_mode", "half_pixel")? };
    let rounding = if upsample { "floor" } else { node.text_or("nearest_mode", "round_prefer_floor")? };
    if node.flag("antialias", false)? {
        return Err("antialias is not supported".into());
    }
    if node.ints("axes")?.is_some() || node.text_or("keep_aspect_ratio_policy", "stretch")? != "stretch" {
        return Err("attributes axes and keep_aspect_ratio_policy are not supported".into());
    }
    node.pass_over(&["cubic_coeff_a", "exclude_outside", "extrapolation_value"]);
    // By a whole factor, the coordinates of pixels' centres, rounded down at the half, are those of their corners.
    let is_whole = |scale: f32| scale >= 1.0 && scale.fract() == 0.0;
    let by = match (&scales, sizes) {
        (Some(scales), _) if scales.len() == 4 && scales[..2] == [1.0, 1.0] => [scales[2], scales[3]],
        (None, Some(sizes)) if sizes.values.len() == 4 => {
            let size = |i: usize| sizes.values[i].known().ok_or_else(crate::constant::of_the_batch);
            let ratio = |i: usize| Ok::<_, String>(extent(size(i)?)? as f32 / x.dims[i] as f32);
            if size(1)? != x.dims[1] as i64 {
                return Err("other sizes of the channels are not supported".into());
            }
            [ratio(2)?, ratio(3)?]
        }
        _ => return Err("expected scales or sizes for four axes, of which batch and channels stay".into()),
    };
    let (mode, align) = match (mode, coordinates, rounding) {
        ("nearest", "asymmetric", "floor") => (Interpolation::Nearest, false),
        ("nearest", "half_pixel" | "pytorch_half_pixel", _) if by.iter().all(|&scale| is_whole(scale)) => {
            (Interpolation::Nearest, false)
        }
        ("nearest", "asymmetric", "round_prefer_floor")
            if by.iter().all(|&scale| scale == 1.0 || scale == 2.0) =>
        {
            (Interpolation::Nearest, false)
        }
        ("linear" | "bilinear", "half_pixel" | "pytorch_half_pixel", _) => (Interpolation::Bilinear, false),
        ("linear" | "bilinear", "align_corners", _) => (Interpolation::Bilinear, true),
        _ => return Err(format!("mode {mode}, {coordinates}, {rounding} is not supported")),
    };
    let layer = match sizes {
        Some(_) if scales.is_none() => {
            upsample2d_to_size([0, 1].map(|i| (by[i] * x.dims[2 + i] as f32).round() as usize))
        }
        _ => upsample2d(by.map(f64::from)),
    };
    let layer = layer.mode(mode).align_corners(align);
    Ok(vec![Value::Batch(builder.op(&call.name(), layer, x)?)])
}
