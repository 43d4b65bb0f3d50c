//! Normalisations.

use crate::builder::{Builder, Call};
use crate::constant::Constant;
use crate::value::{Batch, Value, extent};
use cnn_nn::spec::{LayerSpec, batch_norm1d, batch_norm2d, group_norm, layer_norm, local_response_norm};
use cnn_tensor::Tensor;

/// The constant input `i`, `count` numbers.
fn numbers(call: &Call<'_>, i: usize, count: usize) -> Result<Tensor, String> {
    let constant = call.constant(i)?;
    if constant.dims() != [count] {
        return Err(format!("expected input {i} to have {count} numbers, got extents {:?}", constant.dims()));
    }
    constant.tensor(&[count])
}

fn channels(x: &Batch) -> Result<usize, String> {
    x.dims.get(1).copied().ok_or_else(|| "expected channels".into())
}

pub fn batch(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    call.single()?;
    let (x, node) = (call.batch(0)?, call.node);
    if node.flag("training_mode", false)? {
        return Err("training_mode is not supported".into());
    }
    if !node.flag("spatial", true)? {
        return Err("statistics for each element (spatial = 0) are not supported".into());
    }
    let eps = node.decimal_or("epsilon", 1e-5)?;
    // PyTorch's momentum is the weight of the new statistics. 1 - 0.9 is 0.1 but for a rounding.
    let momentum = ((1.0 - node.decimal_or("momentum", 0.9)?) * 1e6).round() / 1e6;
    let channels = channels(x)?;
    let mut tensors = Vec::new();
    for (i, name) in [(1, "weight"), (2, "bias"), (3, "running_mean"), (4, "running_var")] {
        tensors.push((name, numbers(call, i, channels)?));
    }
    tensors.push(("num_batches_tracked", Tensor::zeros([])));
    let layer: LayerSpec = match x.dims.len() {
        4 => batch_norm2d().eps(eps).momentum(momentum).into(),
        _ => batch_norm1d().eps(eps).momentum(momentum).into(),
    };
    Ok(vec![Value::Batch(builder.layer(&call.name(), layer, &[x], tensors)?)])
}

pub fn instance(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let x = call.batch(0)?;
    let channels = channels(x)?;
    let eps = call.node.decimal_or("epsilon", 1e-5)?;
    let tensors = vec![("weight", numbers(call, 1, channels)?), ("bias", numbers(call, 2, channels)?)];
    let layer = group_norm(channels).eps(eps);
    Ok(vec![Value::Batch(builder.layer(&call.name(), layer, &[x], tensors)?)])
}

pub fn group(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (x, node) = (call.batch(0)?, call.node);
    let channels = channels(x)?;
    let eps = node.decimal_or("epsilon", 1e-5)?;
    let groups = extent(node.int("num_groups")?.ok_or("attribute num_groups is missing")?)?;
    node.pass_over(&["stash_type"]);
    if groups == 0 || channels % groups != 0 {
        return Err(format!("expected groups that divide {channels} channels, got {groups}"));
    }
    // In opset 18 there is a number for each group.
    let of_channels = |i: usize| -> Result<Tensor, String> {
        if call.opset >= 21 {
            return numbers(call, i, channels);
        }
        let of_groups = numbers(call, i, groups)?;
        let size = channels / groups;
        let values = of_groups.data().iter().flat_map(|&v| vec![v; size]).collect();
        Constant::floats(vec![channels], values).tensor(&[channels])
    };
    let tensors = vec![("weight", of_channels(1)?), ("bias", of_channels(2)?)];
    let layer = group_norm(groups).eps(eps);
    Ok(vec![Value::Batch(builder.layer(&call.name(), layer, &[x], tensors)?)])
}

pub fn layer(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    call.single()?;
    let (x, node) = (call.batch(0)?, call.node);
    let eps = node.decimal_or("epsilon", 1e-5)?;
    let axis = x.inner_axis(node.int_or("axis", -1)?)?;
    node.pass_over(&["stash_type"]);
    let normalised = &x.dims[axis..];
    let of_shape = |constant: &Constant| match constant.dims() == normalised {
        true => constant.tensor(normalised),
        false => Err(format!("expected a scale of extents {normalised:?}, got {:?}", constant.dims())),
    };
    let weight = of_shape(call.constant(1)?)?;
    let bias = match call.optional(2)? {
        Some(bias) => of_shape(bias)?,
        None => Tensor::zeros(weight.shape()),
    };
    let layer = layer_norm().axes(normalised.len()).eps(eps);
    let tensors = vec![("weight", weight), ("bias", bias)];
    Ok(vec![Value::Batch(builder.layer(&call.name(), layer, &[x], tensors)?)])
}

pub fn local_response(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let node = call.node;
    let size = extent(node.int("size")?.ok_or("attribute size is missing")?)?;
    let layer = local_response_norm(size)
        .alpha(node.decimal_or("alpha", 1e-4)?)
        .beta(node.decimal_or("beta", 0.75)?)
        .k(node.decimal_or("bias", 1.0)?);
    Ok(vec![Value::Batch(builder.op(&call.name(), layer, call.batch(0)?)?)])
}
