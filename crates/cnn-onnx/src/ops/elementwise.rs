//! Sums, differences, products and quotients.

use crate::builder::{Builder, Call};
use crate::value::{Batch, Value};
use cnn_nn::spec::{self, LayerSpec};

pub fn arithmetic(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let layer = || -> LayerSpec {
        match call.node.op.as_str() {
            "Sub" => spec::sub(),
            "Mul" => spec::mul(),
            "Div" => spec::div(),
            _ => spec::add(),
        }
    };
    if call.node.op == "Mean" {
        return Err("the operator is not supported".into());
    }
    let mut y = call.batch(0)?.clone();
    for i in 1..call.inputs.len() {
        y = two(builder, &call.name(), layer(), &y, call.batch(i)?)?;
    }
    Ok(vec![Value::Batch(y)])
}

/// Two values of one rank.
fn two(builder: &mut Builder, name: &str, layer: LayerSpec, a: &Batch, b: &Batch) -> Result<Batch, String> {
    if a.dims.len() != b.dims.len() {
        return Err(format!("values of extents {:?} and {:?}, whose batch is not aligned", a.dims, b.dims));
    }
    builder.layer(name, layer, &[a, b], Vec::new())
}
