//! Sums, differences, products and quotients.

use crate::builder::{Builder, Call};
use crate::constant::Constant;
use crate::value::{Batch, Value};
use cnn_nn::spec::{self, LayerSpec, arithmetic_by};
use cnn_ops::Arithmetic;

pub fn arithmetic(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (op, name) = (operation(&call.node.op), call.name());
    let mut values = call.inputs.iter().flatten();
    let mut y = values.next().ok_or("there are no inputs")?.clone();
    for value in values {
        y = Value::Batch(match (&y, value) {
            (Value::Batch(a), Value::Batch(b)) => two(builder, &name, op, a, b)?,
            (Value::Batch(x), Value::Constant(constant)) => by(builder, &name, op, x, constant, false)?,
            (Value::Constant(constant), Value::Batch(x)) => by(builder, &name, op, x, constant, true)?,
            _ => return Err("expected at most one constant before a value of the batch".into()),
        });
    }
    if let (Value::Batch(sum), "Mean") = (&y, call.node.op.as_str()) {
        let count = Constant::floats(Vec::new(), vec![call.inputs.len() as f32]);
        y = Value::Batch(by(builder, &name, Arithmetic::Div, sum, &count, false)?);
    }
    Ok(vec![y])
}

/// The operation of an operator; sums are also those of which a mean is made.
fn operation(op: &str) -> Arithmetic {
    match op {
        "Sub" => Arithmetic::Sub,
        "Mul" => Arithmetic::Mul,
        "Div" => Arithmetic::Div,
        "Max" => Arithmetic::Maximum,
        "Min" => Arithmetic::Minimum,
        _ => Arithmetic::Add,
    }
}

/// Two values of one rank.
fn two(builder: &mut Builder, name: &str, op: Arithmetic, a: &Batch, b: &Batch) -> Result<Batch, String> {
    if a.dims.len() != b.dims.len() {
        return Err(format!("values of extents {:?} and {:?}, whose batch is not aligned", a.dims, b.dims));
    }
    let layer: LayerSpec = match op {
        Arithmetic::Add => spec::add(),
        Arithmetic::Sub => spec::sub(),
        Arithmetic::Mul => spec::mul(),
        Arithmetic::Div => spec::div(),
        Arithmetic::Maximum => spec::maximum(),
        Arithmetic::Minimum => spec::minimum(),
    };
    builder.layer(name, layer, &[a, b], Vec::new())
}

/// A value and a constant. Constants of several numbers, such as a layer's scale, are trained on; single ones are not.
fn by(
    builder: &mut Builder,
    name: &str,
    op: Arithmetic,
    x: &Batch,
    constant: &Constant,
    reversed: bool,
) -> Result<Batch, String> {
    let mut shape = constant.dims();
    // Axes are aligned from the last on. The constant has no batch.
    while shape.len() >= x.dims.len() && shape[0] == 1 {
        shape = &shape[1..];
    }
    if shape.len() >= x.dims.len() {
        return Err(format!("a constant of extents {:?} has an axis for the batch", constant.dims()));
    }
    let is_one = shape.iter().all(|&dim| dim == 1);
    let shape = if is_one { &[] } else { shape };
    let tensors = vec![("weight", constant.tensor(shape)?)];
    let layer = arithmetic_by(op, shape).reversed(reversed).trained(!is_one);
    builder.layer(name, layer, &[x], tensors)
}
