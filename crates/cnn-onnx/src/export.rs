//! From a graph to a file.

mod activation;
mod fold;
mod layers;
mod shape;
mod writer;

use crate::{OnnxError, proto};
use cnn_nn::Graph;
use cnn_tensor::Shape;
use cnn_tensor::text::one_line;
use prost::Message;
use writer::Writer;

/// What a file says beside the network.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// The names of the inputs; `input`, or `input_0`, `input_1` and so on where there are none.
    pub inputs: Vec<String>,
    /// The names of the outputs; `output`, or `output_0`, `output_1` and so on where there are none.
    pub outputs: Vec<String>,
    /// Keys and values that other programs pass over.
    pub metadata: Vec<(String, String)>,
    /// Whether batch normalisation becomes part of the layer before it, where it can: fewer operators, and numbers that differ by
    /// roundings.
    pub fold_batch_norm: bool,
}

/// A layer that ONNX has no operator for, or none that this library writes.
struct Refusal {
    path: String,
    kind: String,
    reason: String,
}

/// The file of `net` in ONNX, for any number of images.
///
/// The operators are those of opset 18, or as much newer as a layer needs: `gelu` 20, `group_norm` 21. Dropout is left out, since it
/// does nothing in inference.
///
/// ```
/// use cnn_nn::{Graph, spec::{linear, relu}};
/// use cnn_onnx::{Export, Onnx, export};
/// let net = Graph::build([linear(3).named("fc"), relu().named("relu")], [2], 0)?;
/// let file = Onnx::read(export(&net, &Export::default())?)?;
/// assert_eq!(file.inputs[0].to_string(), "input [?, 2]");
/// let again = file.import(&Default::default())?.build()?;
/// let x = cnn_tensor::Tensor::full([5, 2], 1.0);
/// assert_eq!(again.infer(&x)?, net.infer(&x)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Layers that cannot be written, all of them; or a file of 2 GiB or more, which the format cannot hold.
pub fn export(net: &Graph, options: &Export) -> Result<Vec<u8>, OnnxError> {
    let mut writer = Writer::default();
    let names = |given: &[String], count: usize, stem: &str| -> Vec<String> {
        match (given.len() == count, count) {
            (true, _) => given.to_vec(),
            (false, 1) => vec![stem.into()],
            (false, count) => (0..count).map(|i| format!("{stem}_{i}")).collect(),
        }
    };
    let inputs = names(&options.inputs, net.inputs().len(), "input");
    for (value, name) in inputs.iter().enumerate() {
        writer.names.reserve(name);
        writer.set(value, name.clone());
    }
    let outputs = names(&options.outputs, net.outputs().len(), "output");
    outputs.iter().for_each(|name| writer.names.reserve(name));
    let mut refusals = Vec::new();
    let mut parts = net.parts();
    let folds = if options.fold_batch_norm { fold::folds(&parts, &net.output_values()) } else { Vec::new() };
    for fold in &folds {
        parts[fold.layer].tensors = fold.tensors();
    }
    for (i, part) in parts.iter().enumerate() {
        if folds.iter().any(|fold| fold.norm == i) {
            let x = writer.value(part.reads[0].0).to_string();
            writer.set(part.makes[0].0, x);
            continue;
        }
        if let Err(reason) = layers::write(&mut writer, part) {
            refusals.push(Refusal { path: part.path.into(), kind: part.layer.kind(), reason });
            // For the layers after it, which are looked at too.
            part.makes.iter().for_each(|&(value, _)| writer.set(value, String::new()));
        }
    }
    if !refusals.is_empty() {
        return Err(OnnxError::file(in_words(&refusals)));
    }
    for (value, name) in net.output_values().into_iter().zip(&outputs) {
        let made = writer.value(value).to_string();
        writer.node_into("Identity", &[&made], name, Vec::new());
    }
    let ports = |names: &[String], shapes: &[Shape]| {
        names.iter().zip(shapes).map(|(name, shape)| port(name, *shape)).collect()
    };
    let graph = proto::Graph {
        node: writer.nodes.iter().map(|node| node.encode_to_vec().into()).collect(),
        name: "network".into(),
        initializer: writer.initializers,
        input: ports(&inputs, net.inputs()),
        output: ports(&outputs, &net.outputs()),
        sparse_initializer: Vec::new(),
    };
    let entry = |(key, value): &(String, String)| proto::Entry { key: key.clone(), value: value.clone() };
    let metadata = options.metadata.iter().map(entry);
    let model = proto::Model {
        // The version of the format that came with the operators.
        ir_version: match writer.opset {
            ..=18 => 8,
            19..=20 => 9,
            _ => 10,
        },
        producer_name: "cnn".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: graph.encode_to_vec().into(),
        opset_import: vec![proto::OperatorSet { domain: String::new(), version: writer.opset }],
        metadata_props: metadata.collect(),
        functions: Vec::new(),
    };
    const MOST: usize = i32::MAX as usize;
    if model.encoded_len() > MOST {
        return Err(OnnxError::file(
            "the network has more than 2 GiB of weights, which an ONNX file cannot hold",
        ));
    }
    Ok(model.encode_to_vec())
}

/// An input or output, with the number of images open.
fn port(name: &str, shape: Shape) -> proto::ValueInfo {
    let open = proto::Dimension { dim_value: None, dim_param: Some("N".into()) };
    let dim = |&dim: &usize| proto::Dimension { dim_value: Some(dim as i64), dim_param: None };
    let dim = std::iter::once(open).chain(shape.dims()[1..].iter().map(dim)).collect();
    let tensor_type = proto::TensorType { elem_type: proto::FLOAT, shape: Some(proto::Dimensions { dim }) };
    proto::ValueInfo { name: name.into(), r#type: Some(proto::Type { tensor_type: Some(tensor_type) }) }
}

fn in_words(refusals: &[Refusal]) -> String {
    let mut text = format!("{} layers cannot be written as ONNX:", refusals.len());
    for Refusal { path, kind, reason } in refusals {
        text += &format!("\n  {kind} {}: {}", one_line(path), one_line(reason));
    }
    text
}
