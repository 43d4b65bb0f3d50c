//! Files that PyTorch wrote.

use super::{Saved, elements};
use cnn_pth::Element;
use cnn_tensor::{Shape, Tensor};
use safetensors::tensor::Dtype;

/// The contents of a `.pth` file. The error says what was expected and what is there.
pub(super) fn parse(file: &[u8]) -> Result<Saved, String> {
    let cnn_pth::Contents { tensors, others, path } =
        cnn_pth::read(file).map_err(|error| error.to_string())?;
    let mut saved = Saved::default();
    for (name, tensor) in tensors {
        saved.types.insert(name.clone(), tensor.element.name().into());
        match converted(&tensor) {
            Ok(tensor) => _ = saved.tensors.insert(name, tensor),
            Err(fault) => _ = saved.unreadable.insert(name, fault),
        }
    }
    if !path.is_empty() {
        saved.notes.push(format!("the weights are those under {}", path.join(".")));
    }
    if !others.is_empty() {
        saved.notes.push(format!(
            "{} entries are no tensors, and left out: {}",
            others.len(),
            others.join(", ")
        ));
    }
    Ok(saved)
}

fn converted(from: &cnn_pth::Tensor) -> Result<Tensor, String> {
    let shape = Shape::new(&from.shape).map_err(|error| error.to_string())?;
    let mut tensor = Tensor::scratch(shape);
    let dtype = match from.element {
        Element::F64 => Dtype::F64,
        Element::F32 => Dtype::F32,
        Element::F16 => Dtype::F16,
        Element::BF16 => Dtype::BF16,
        Element::I64 => Dtype::I64,
        Element::I32 => Dtype::I32,
        Element::I16 => Dtype::I16,
        Element::I8 => Dtype::I8,
        Element::U8 => Dtype::U8,
        Element::Bool => Dtype::BOOL,
    };
    elements::fill(&mut tensor, dtype, &from.bytes)?;
    Ok(tensor)
}
