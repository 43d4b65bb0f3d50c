//! Layers that move values, change their shape or join them.

use super::writer::{Writer, float, int, ints, text};
use cnn_ops::pad2d::PadMode;
use cnn_ops::upsample2d::{Coordinates, Interpolation, Rounding, Target};
use cnn_ops::{Crop2d, MatMul, Pad2d, Slice, Split, Upsample2d};

/// Extents and axes as the file has them.
pub fn signed(extents: &[usize]) -> Vec<i64> {
    extents.iter().map(|&extent| extent as i64).collect()
}

/// `[n, image...]`; 0 keeps the number of images.
pub fn reshape(w: &mut Writer, x: &str, image: &[usize]) -> String {
    let shape = w.ints("shape", &[&[0], &signed(image)[..]].concat());
    w.node("Reshape", &[x, &shape], vec![])
}

pub fn transpose(w: &mut Writer, x: &str, dims: &[usize]) -> String {
    w.node("Transpose", &[x], vec![ints("perm", dims)])
}

/// With the last two of `rank` axes swapped, if wanted.
fn flipped(w: &mut Writer, x: &str, rank: usize, wanted: bool) -> String {
    if !wanted {
        return x.into();
    }
    let mut dims: Vec<usize> = (0..rank).collect();
    dims.swap(rank - 2, rank - 1);
    transpose(w, x, &dims)
}

pub fn matmul(w: &mut Writer, options: &MatMul, [a, b]: [&str; 2], rank: usize) -> String {
    let a = flipped(w, a, rank, options.transpose_a);
    let b = flipped(w, b, rank, options.transpose_b);
    w.node("MatMul", &[&a, &b], vec![])
}

pub fn slice(w: &mut Writer, x: &str, options: &Slice) -> String {
    let inputs = [
        w.ints("starts", &[options.start as i64]),
        w.ints("ends", &[options.end.map_or(i64::MAX, |end| end as i64)]),
        w.ints("axes", &[options.dim as i64]),
        w.ints("steps", &[options.step as i64]),
    ];
    let [starts, ends, axes, steps] = inputs.each_ref().map(String::as_str);
    w.node("Slice", &[x, starts, ends, axes, steps], vec![])
}

/// Rows and columns taken away.
pub fn crop(w: &mut Writer, x: &str, options: &Crop2d, [h, width]: [usize; 2]) -> String {
    let [[top, bottom], [left, right]] = options.margins;
    let starts = w.ints("starts", &signed(&[top, left]));
    let ends = w.ints("ends", &signed(&[h - bottom, width - right]));
    let axes = w.ints("axes", &[2, 3]);
    w.node("Slice", &[x, &starts, &ends, &axes], vec![])
}

pub fn split(w: &mut Writer, x: &str, options: &Split) -> Vec<String> {
    let sizes = w.ints("sizes", &signed(&options.sizes));
    w.node_with("Split", &[x, &sizes], options.sizes.len(), vec![int("axis", options.dim as i64)])
}

pub fn stack(w: &mut Writer, xs: &[String], dim: usize) -> String {
    let axes = w.ints("axes", &[dim as i64]);
    let parts: Vec<String> = xs.iter().map(|x| w.node("Unsqueeze", &[x, &axes], vec![])).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    w.node("Concat", &parts, vec![int("axis", dim as i64)])
}

pub fn pad(w: &mut Writer, x: &str, options: &Pad2d) -> Result<String, String> {
    let [[top, bottom], [left, right]] = options.padding;
    let (mode, value) = match options.mode {
        PadMode::Zeros => ("constant", 0.0),
        PadMode::Constant(value) => ("constant", value),
        PadMode::Reflect => ("reflect", 0.0),
        PadMode::Replicate => ("edge", 0.0),
        #[allow(unreachable_patterns)]
        ref other => return Err(format!("mode {other:?} has no operator")),
    };
    let pads = w.ints("pads", &signed(&[0, 0, top, left, 0, 0, bottom, right]));
    if mode != "constant" {
        return Ok(w.node("Pad", &[x, &pads], vec![text("mode", mode)]));
    }
    let value = w.scalar("value", value);
    Ok(w.node("Pad", &[x, &pads, &value], vec![text("mode", mode)]))
}

pub fn upsample(w: &mut Writer, x: &str, options: &Upsample2d) -> Result<String, String> {
    let nearest = options.mode == Interpolation::Nearest;
    let mode = match options.mode {
        Interpolation::Nearest => "nearest",
        Interpolation::Bilinear => "linear",
        Interpolation::Bicubic => "cubic",
    };
    let coordinates = match options.coordinates {
        Some(Coordinates::HalfPixel) => "half_pixel",
        Some(Coordinates::PytorchHalfPixel) => "pytorch_half_pixel",
        Some(Coordinates::AlignCorners) => "align_corners",
        Some(Coordinates::Asymmetric) => "asymmetric",
        None if nearest => "asymmetric",
        None if options.align_corners => "align_corners",
        None => "half_pixel",
    };
    let mut attributes = vec![text("mode", mode), text("coordinate_transformation_mode", coordinates)];
    if nearest {
        let rounding = match options.rounding {
            None | Some(Rounding::Floor) => "floor",
            Some(Rounding::Ceil) => "ceil",
            Some(Rounding::RoundPreferFloor) => "round_prefer_floor",
            Some(Rounding::RoundPreferCeil) => "round_prefer_ceil",
        };
        attributes.push(text("nearest_mode", rounding));
    }
    Ok(match options.target {
        Target::Scale([rows, columns]) => {
            let path = format!("{}.scales", w.path);
            let scales = w.floats(&path, &[4], &[1.0, 1.0, rows as f32, columns as f32]);
            w.node("Resize", &[x, "", &scales], attributes)
        }
        Target::Size(size) => {
            let sizes = w.ints("sizes", &signed(&size));
            attributes.push(ints("axes", &[2, 3]));
            w.node("Resize", &[x, "", "", &sizes], attributes)
        }
    })
}

/// Local response normalisation, which PyTorch and ONNX define alike.
pub fn local_response(w: &mut Writer, x: &str, options: &cnn_ops::LocalResponseNorm) -> String {
    let attributes = vec![
        int("size", options.size as i64),
        float("alpha", options.alpha),
        float("beta", options.beta),
        float("bias", options.k),
    ];
    w.node("LRN", &[x], attributes)
}

/// Pixels to channels, of which those of one channel are neighbours if `channels_first`: an order that ONNX's operator lacks.
pub fn unshuffle(
    w: &mut Writer,
    x: &str,
    factor: usize,
    channels_first: bool,
    [_, c, h, width]: [usize; 4],
) -> String {
    if !channels_first {
        return w.node("SpaceToDepth", &[x], vec![int("blocksize", factor as i64)]);
    }
    let blocks = reshape(w, x, &[c, h / factor, factor, width / factor, factor]);
    let channels = transpose(w, &blocks, &[0, 1, 3, 5, 2, 4]);
    reshape(w, &channels, &[c * factor * factor, h / factor, width / factor])
}
