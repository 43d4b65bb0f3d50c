//! Pooling.

use super::window::Window;
use crate::builder::{Builder, Call};
use crate::value::{Batch, Value};
use cnn_nn::spec::{adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, max_pool2d, pad2d};
use cnn_ops::pad2d::PadMode;

/// The padding that a pooling takes, after padding `x` with `filling` where it is not even or more than half the kernel.
fn padded(
    builder: &mut Builder,
    x: &Batch,
    window: &Window,
    filling: f32,
) -> Result<(Batch, [usize; 2]), String> {
    let sides = window.sides(x);
    match Window::even(sides) {
        Some(padding) if (0..2).all(|i| padding[i] <= window.kernel[i] / 2) => Ok((x.clone(), padding)),
        _ => {
            let layer = pad2d(sides).mode(PadMode::Constant(filling));
            Ok((builder.op("pad", layer, x)?, [0, 0]))
        }
    }
}

pub fn max(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    call.single()?;
    let (x, node) = (call.batch(0)?, call.node);
    let window = Window::of(call, x, None)?;
    let ceil = node.flag("ceil_mode", false)?;
    node.pass_over(&["storage_order"]);
    let (x, padding) = padded(builder, x, &window, f32::MIN)?;
    let layer = max_pool2d(window.kernel)
        .stride(window.stride)
        .padding(padding)
        .dilation(window.dilation)
        .ceil_mode(ceil);
    Ok(vec![Value::Batch(builder.op(&call.name(), layer, &x)?)])
}

pub fn average(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (x, node) = (call.batch(0)?, call.node);
    let window = Window::of(call, x, None)?;
    let ceil = node.flag("ceil_mode", false)?;
    let count_padding = node.flag("count_include_pad", false)?;
    if window.dilation != [1, 1] {
        return Err("dilation is not supported".into());
    }
    let sides = window.sides(x);
    let (padded, padding) = padded(builder, x, &window, 0.0)?;
    if padded.dims != x.dims && !count_padding {
        return Err(format!("padding of {sides:?} that is not counted is not supported"));
    }
    let layer = avg_pool2d(window.kernel)
        .stride(window.stride)
        .padding(padding)
        .ceil_mode(ceil)
        .count_include_pad(count_padding);
    Ok(vec![Value::Batch(builder.op(&call.name(), layer, &padded)?)])
}

pub fn global_average(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    Ok(vec![Value::Batch(builder.op(&call.name(), adaptive_avg_pool2d(1), call.batch(0)?)?)])
}

pub fn global_max(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    Ok(vec![Value::Batch(builder.op(&call.name(), adaptive_max_pool2d(1), call.batch(0)?)?)])
}
