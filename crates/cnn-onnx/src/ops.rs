//! Operators as layers.

mod activation;
mod conv;
mod elementwise;
mod linear;
mod norm;
mod pool;
mod reduce;
mod resize;
mod shape;
mod window;

use crate::builder::{Builder, Call};
use crate::value::Value;

/// Adds the layers of a node and returns its outputs.
pub type Import = fn(&mut Builder, &Call<'_>) -> Result<Vec<Value>, String>;

/// How the operator becomes layers, if it can.
pub fn operator(op: &str) -> Option<Import> {
    Some(match op {
        "Conv" => conv::conv,
        "ConvTranspose" => conv::conv_transpose,
        "Gemm" => linear::gemm,
        "MatMul" => linear::matmul,
        "BatchNormalization" => norm::batch,
        "InstanceNormalization" => norm::instance,
        "GroupNormalization" => norm::group,
        "LayerNormalization" => norm::layer,
        "LRN" => norm::local_response,
        "MaxPool" => pool::max,
        "AveragePool" => pool::average,
        "GlobalAveragePool" => pool::global_average,
        "GlobalMaxPool" => pool::global_max,
        "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Sum" | "Mean" => elementwise::arithmetic,
        "Concat" => shape::concat,
        "Split" => shape::split,
        "Slice" => shape::slice,
        "Gather" => shape::gather,
        "Pad" => shape::pad,
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => shape::reshape,
        "Transpose" => shape::transpose,
        "Expand" => shape::expand,
        "Shape" => shape::shape,
        "Size" => shape::size,
        "Identity" | "Dropout" | "Cast" => shape::same,
        "DepthToSpace" => shape::depth_to_space,
        "SpaceToDepth" => shape::space_to_depth,
        "Resize" | "Upsample" => resize::resize,
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceL1" | "ReduceL2" => reduce::reduce,
        "GlobalLpPool" => reduce::global_lp,
        _ => return activation::operator(op),
    })
}
