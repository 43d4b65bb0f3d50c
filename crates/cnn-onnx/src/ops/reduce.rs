//! Reductions over axes.

use crate::builder::{Builder, Call};
use crate::value::Value;
use cnn_nn::spec::{LayerSpec, adaptive_avg_pool2d, amax, amin, mean, norm, sum};

/// Axes are an attribute in older operators and an input in newer ones. The batch is not reduced.
pub fn reduce(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (x, node) = (call.batch(0)?, call.node);
    let axes = call.ints("axes", 1)?.filter(|axes| !axes.is_empty());
    if node.flag("noop_with_empty_axes", false)? && axes.is_none() {
        return Ok(vec![Value::Batch(x.clone())]);
    }
    let axes = axes.ok_or("the batch cannot be reduced, which is one of all axes")?;
    let mut dims = axes.into_iter().map(|axis| x.inner_axis(axis)).collect::<Result<Vec<_>, _>>()?;
    dims.sort_unstable();
    let keep = node.flag("keepdims", true)?;
    let layer: LayerSpec = match node.op.as_str() {
        // The layer that a new head finds, and the faster one.
        "ReduceMean" if keep && x.dims.len() == 4 && dims == [2, 3] => adaptive_avg_pool2d(1),
        "ReduceMean" => mean(dims).keepdim(keep).into(),
        "ReduceSum" => sum(dims).keepdim(keep).into(),
        "ReduceMax" => amax(dims).keepdim(keep).into(),
        "ReduceMin" => amin(dims).keepdim(keep).into(),
        "ReduceL1" => norm(dims).p(1).keepdim(keep).into(),
        _ => norm(dims).keepdim(keep).into(),
    };
    Ok(vec![Value::Batch(builder.op(&call.name(), layer, x)?)])
}

/// The norm of each channel.
pub fn global_lp(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>, String> {
    let x = call.batch(0)?;
    let p = usize::try_from(call.node.int_or("p", 2)?).map_err(|_| "attribute p is negative")?;
    let layer = norm((2..x.dims.len()).collect::<Vec<_>>()).p(p).keepdim(true);
    Ok(vec![Value::Batch(builder.op(&call.name(), layer, x)?)])
}
