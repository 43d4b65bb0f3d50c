//! Matrix products.

use crate::builder::{Builder, Call};
use crate::value::Value;
use cnn_nn::spec::{self, linear};
use cnn_tensor::{Shape, Tensor};

/// The transpose of a matrix.
fn transposed(matrix: &Tensor) -> Result<Tensor, String> {
    let &[rows, columns] = matrix.shape().dims() else { return Err("expected a matrix".into()) };
    let data = matrix.data();
    let values = (0..columns).flat_map(|j| (0..rows).map(move |i| data[i * columns + j])).collect();
    Tensor::from_vec(Shape::from([columns, rows]), values).map_err(|e| e.to_string())
}

/// The constant matrix of a product as a layer's weight `[out, in]`.
fn weight(call: &Call<'_>, is_weight: bool, factor: f32) -> Result<Tensor, String> {
    let matrix = call.constant(1)?;
    if matrix.dims().len() != 2 {
        return Err(format!("expected a matrix, got extents {:?}", matrix.dims()));
    }
    let mut weight = matrix.tensor(matrix.dims())?;
    if !is_weight {
        weight = transposed(&weight)?;
    }
    if factor != 1.0 {
        weight.data_mut().iter_mut().for_each(|v| *v *= factor);
    }
    Ok(weight)
}

/// `alpha a b + beta c`.
pub fn gemm(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (x, node) = (call.batch(0)?, call.node);
    let (alpha, beta) = (node.float_or("alpha", 1.0)?, node.float_or("beta", 1.0)?);
    if node.flag("transA", false)? {
        return Err("attribute transA is not supported".into());
    }
    let weight = weight(call, node.flag("transB", false)?, alpha)?;
    let outputs = weight.shape().dims()[0];
    let mut tensors = vec![("weight", weight)];
    if let Some(bias) = call.optional(2)? {
        let values = bias.to_floats()?;
        let of_row = match bias.dims() {
            [] | [1] | [1, 1] => vec![values.values[0]; outputs],
            [n] | [1, n] if *n == outputs => values.values.clone(),
            dims => return Err(format!("expected a bias of {outputs} numbers, got extents {dims:?}")),
        };
        let of_row = of_row.into_iter().map(|v| v * beta).collect();
        tensors.push(("bias", Tensor::from_vec([outputs], of_row).map_err(|e| e.to_string())?));
    }
    let layer = linear(outputs).bias(tensors.len() > 1);
    Ok(vec![Value::Batch(builder.layer(&call.name(), layer, &[x], tensors)?)])
}

fn of_two(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (a, b) = (call.batch(0)?, call.batch(1)?);
    Ok(vec![Value::Batch(builder.layer(&call.name(), spec::matmul(), &[a, b], Vec::new())?)])
}

pub fn matmul(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    if call.batch(1).is_ok() {
        return of_two(builder, call);
    }
    let x = call.batch(0)?;
    let weight = weight(call, false, 1.0)?;
    let &[outputs, inputs] = weight.shape().dims() else { return Err("expected a matrix".into()) };
    if x.dims.len() < 2 || x.dims.last() != Some(&inputs) {
        return Err(format!("expected {inputs} numbers along the last axis, got extents {:?}", x.dims));
    }
    let steps = x.dims.len() > 2;
    // Products over the last axis of any number of others.
    let rows: usize = x.dims[1..x.dims.len() - 1].iter().product();
    let flat = if x.dims.len() > 3 { builder.reshape("rows", x, &[rows, inputs])? } else { x.clone() };
    let layer = linear(outputs).bias(false).steps(steps);
    let y = builder.layer(&call.name(), layer, &[&flat], vec![("weight", weight)])?;
    let mut image = x.dims[1..].to_vec();
    if let Some(last) = image.last_mut() {
        *last = outputs;
    }
    Ok(vec![Value::Batch(builder.reshape("unrows", &y, &image)?)])
}
