//! Convolutions.

use super::window::{Window, pair};
use crate::builder::{Builder, Call};
use crate::value::{Value, extent};
use cnn_nn::spec::{conv_transpose2d, conv2d};
use cnn_ops::Padding;
use cnn_tensor::Tensor;

/// Weight and bias with the names of a layer's parameters.
fn tensors<'a>(call: &Call<'_>, outputs: usize) -> Result<Vec<(&'a str, Tensor)>, String> {
    let weight = call.constant(1)?;
    let mut tensors = vec![("weight", weight.tensor(weight.dims())?)];
    if let Some(bias) = call.optional(2)? {
        if bias.dims() != [outputs] {
            return Err(format!("expected a bias of {outputs} numbers, got extents {:?}", bias.dims()));
        }
        tensors.push(("bias", bias.tensor(&[outputs])?));
    }
    Ok(tensors)
}

pub fn conv(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (x, weight) = (call.batch(0)?, call.constant(1)?);
    let &[outputs, _, kh, kw] = weight.dims() else {
        return Err(format!("expected a weight [out, in, h, w], got extents {:?}", weight.dims()));
    };
    let window = Window::of(call, x, Some([kh, kw]))?;
    let groups = extent(call.node.int_or("group", 1)?)?;
    let tensors = tensors(call, outputs)?;
    let layer = conv2d(outputs, window.kernel)
        .stride(window.stride)
        .dilation(window.dilation)
        .padding(window.padding)
        .groups(groups)
        .bias(tensors.len() > 1);
    Ok(vec![Value::Batch(builder.layer(&call.name(), layer, &[x], tensors)?)])
}

pub fn conv_transpose(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (x, weight) = (call.batch(0)?, call.constant(1)?);
    let &[_, of_group, kh, kw] = weight.dims() else {
        return Err(format!("expected a weight [in, out, h, w], got extents {:?}", weight.dims()));
    };
    let window = Window::of(call, x, Some([kh, kw]))?;
    let groups = extent(call.node.int_or("group", 1)?)?;
    let output_padding = call.node.ints("output_padding")?.map_or(Ok([0, 0]), pair)?;
    if call.node.ints("output_shape")?.is_some() {
        return Err("attribute output_shape is not supported".into());
    }
    if matches!(window.padding, Padding::Same | Padding::SameLower) {
        return Err("attribute auto_pad is not supported".into());
    }
    let outputs = of_group.checked_mul(groups).ok_or("the number of groups is too large")?;
    let tensors = tensors(call, outputs)?;
    let layer = conv_transpose2d(outputs, window.kernel)
        .stride(window.stride)
        .dilation(window.dilation)
        .padding(window.padding)
        .output_padding(output_padding)
        .groups(groups)
        .bias(tensors.len() > 1);
    Ok(vec![Value::Batch(builder.layer(&call.name(), layer, &[x], tensors)?)])
}
