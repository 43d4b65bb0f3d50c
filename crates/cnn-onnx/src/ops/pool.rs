//! Pooling.

use super::window::Window;
use crate::builder::{Builder, Call};
use crate::value::Value;
use cnn_nn::spec::{adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, max_pool2d};

pub fn max(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    call.single()?;
    let (x, node) = (call.batch(0)?, call.node);
    let window = Window::of(call, x, None)?;
    node.pass_over(&["storage_order"]);
    let layer = max_pool2d(window.kernel)
        .stride(window.stride)
        .padding(window.padding)
        .dilation(window.dilation)
        .ceil_mode(node.flag("ceil_mode", false)?);
    Ok(vec![Value::Batch(builder.op(&call.name(), layer, x)?)])
}

pub fn average(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (x, node) = (call.batch(0)?, call.node);
    let window = Window::of(call, x, None)?;
    let layer = avg_pool2d(window.kernel)
        .stride(window.stride)
        .padding(window.padding)
        .dilation(window.dilation)
        .ceil_mode(node.flag("ceil_mode", false)?)
        .count_include_pad(node.flag("count_include_pad", false)?);
    Ok(vec![Value::Batch(builder.op(&call.name(), layer, x)?)])
}

pub fn global_average(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    Ok(vec![Value::Batch(builder.op(&call.name(), adaptive_avg_pool2d(1), call.batch(0)?)?)])
}

pub fn global_max(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    Ok(vec![Value::Batch(builder.op(&call.name(), adaptive_max_pool2d(1), call.batch(0)?)?)])
}
