//! Functions of each element, and softmax.

use super::Import;
use crate::builder::{Builder, Call};
use crate::value::Value;
use cnn_nn::spec::{self, LayerSpec, log_softmax_over, softmax_over};
use cnn_ops::Activation;
use cnn_ops::activation::Approximate;

/// The operators of this file.
pub fn operator(op: &str) -> Option<Import> {
    Some(match op {
        "Relu" => |builder, call| add(builder, call, Activation::Relu),
        "Sigmoid" => |builder, call| add(builder, call, Activation::Sigmoid),
        "Tanh" => |builder, call| add(builder, call, Activation::Tanh),
        "HardSwish" => |builder, call| add(builder, call, Activation::HardSwish),
        "LeakyRelu" => |builder, call| {
            let slope = call.node.float_or("alpha", 0.01)?;
            add(builder, call, Activation::LeakyRelu { slope })
        },
        "Elu" => |builder, call| {
            let alpha = call.node.float_or("alpha", 1.0)?;
            add(builder, call, Activation::Elu { alpha })
        },
        "Selu" => selu,
        "Celu" => |builder, call| {
            let alpha = call.node.float_or("alpha", 1.0)?;
            add(builder, call, Activation::Celu { alpha })
        },
        "ThresholdedRelu" => |builder, call| {
            let threshold = call.node.float_or("alpha", 1.0)?;
            add(builder, call, Activation::Threshold { threshold, value: 0.0 })
        },
        "Mish" => |builder, call| add(builder, call, Activation::Mish),
        "Softsign" => |builder, call| add(builder, call, Activation::Softsign),
        "Erf" => |builder, call| add(builder, call, Activation::Erf),
        "Exp" => |builder, call| add(builder, call, Activation::Exp),
        "Log" => |builder, call| add(builder, call, Activation::Log),
        "Sqrt" => |builder, call| add(builder, call, Activation::Sqrt),
        "Abs" => |builder, call| add(builder, call, Activation::Abs),
        "Neg" => |builder, call| add(builder, call, Activation::Neg),
        "Reciprocal" => |builder, call| add(builder, call, Activation::Reciprocal),
        "Pow" => |builder, call| {
            let exponent = call.constant(1)?.float()?;
            add(builder, call, Activation::Power { exponent })
        },
        "Softplus" => |builder, call| add(builder, call, Activation::Softplus { beta: 1.0, threshold: 20.0 }),
        "Gelu" => gelu,
        "HardSigmoid" => hard_sigmoid,
        "Clip" => clip,
        "PRelu" => prelu,
        "Softmax" => |builder, call| probabilities(builder, call, softmax_over),
        "LogSoftmax" => |builder, call| probabilities(builder, call, log_softmax_over),
        _ => return None,
    })
}

fn add(builder: &mut Builder, call: &Call<'_>, activation: Activation) -> Result<Vec<Value>, String> {
    let y = builder.op(&call.name(), LayerSpec::Activation(activation), call.batch(0)?)?;
    Ok(vec![Value::Batch(y)])
}

fn gelu(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let approximate = match call.node.text_or("approximate", "none")? {
        "none" => Approximate::None,
        "tanh" => Approximate::Tanh,
        other => return Err(format!("attribute approximate: got {other}")),
    };
    add(builder, call, Activation::Gelu { approximate })
}

fn hard_sigmoid(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (alpha, beta) = (call.node.float_or("alpha", 0.2)?, call.node.float_or("beta", 0.5)?);
    add(builder, call, Activation::HardSigmoid { alpha, beta })
}

/// With the paper's constants, which no exporter changes.
fn selu(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (alpha, gamma) = (call.node.float_or("alpha", ALPHA)?, call.node.float_or("gamma", GAMMA)?);
    if (alpha, gamma) != (ALPHA, GAMMA) {
        return Err(format!("expected alpha {ALPHA} and gamma {GAMMA}, got {alpha} and {gamma}"));
    }
    add(builder, call, Activation::Selu)
}

/// SELU's constants as ONNX states them.
const ALPHA: f32 = 1.673_263_2;
const GAMMA: f32 = 1.050_701;

/// Attributes up to opset 10, inputs since.
fn clip(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let bound = |name, input, default| match call.optional(input)? {
        Some(bound) => bound.float(),
        None => call.node.float_or(name, default),
    };
    match (bound("min", 1, f32::MIN)?, bound("max", 2, f32::MAX)?) {
        (0.0, 6.0) => add(builder, call, Activation::Relu6),
        (0.0, f32::MAX..) => add(builder, call, Activation::Relu),
        (min_val, max_val) => add(builder, call, Activation::Hardtanh { min_val, max_val }),
    }
}

fn prelu(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (x, slope) = (call.batch(0)?, call.constant(1)?);
    let channels = x.dims.get(1).copied().unwrap_or(1);
    let numel: usize = slope.dims().iter().product();
    // The slopes are broadcast, as [c, 1, 1] or one number.
    let per_channel = numel != 1;
    let of_channels = || {
        let mut dims = vec![1; x.dims.len() - 1];
        dims[0] = channels;
        slope.dims() == dims || slope.dims() == [&[1], &dims[..]].concat()
    };
    if per_channel && !of_channels() {
        return Err(format!(
            "expected a slope for each of {channels} channels, got extents {:?}",
            slope.dims()
        ));
    }
    let tensors = vec![("weight", slope.tensor(&[numel])?)];
    let layer = spec::prelu().per_channel(per_channel);
    Ok(vec![Value::Batch(builder.layer(&call.name(), layer, &[x], tensors)?)])
}

/// Softmax over an axis. Up to opset 12 the axes from there on count as one.
fn probabilities(
    builder: &mut Builder,
    call: &Call<'_>,
    layer: fn(usize) -> LayerSpec,
) -> Result<Vec<Value>, String> {
    let (x, name) = (call.batch(0)?, call.name());
    let default = if call.opset < 13 { 1 } else { -1 };
    let axis = x.inner_axis(call.node.int_or("axis", default)?)?;
    if call.opset >= 13 || x.dims[axis + 1..].iter().all(|&dim| dim == 1) {
        return Ok(vec![Value::Batch(builder.op(&name, layer(axis), x)?)]);
    }
    let [outer, inner] = [&x.dims[1..axis], &x.dims[axis..]].map(|dims| dims.iter().product::<usize>());
    let flat = builder.reshape("rows", x, &[outer, inner])?;
    let y = builder.op(&name, layer(2), &flat)?;
    Ok(vec![Value::Batch(builder.reshape("unrows", &y, &x.dims[1..])?)])
}
