//! A file: the model's graph, its operators' versions and metadata.

use crate::OnnxError;
use crate::external::Folder;
use crate::proto::{self, Dimension};
use cnn_tensor::text::one_line;
use prost::Message;
use prost::bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

/// A model's file. Nodes and tensors are not looked at before [`import`](Onnx::import).
pub struct Onnx {
    pub(crate) graph: proto::Graph,
    pub(crate) folder: Folder,
    /// The version of the operators of `ai.onnx`.
    pub opset: i64,
    /// The program that wrote the file, and its version.
    pub producer: String,
    /// The metadata that the writer added, such as class names.
    pub metadata: BTreeMap<String, String>,
    /// The inputs: those that are no weights.
    pub inputs: Vec<Port>,
    /// The outputs.
    pub outputs: Vec<Port>,
}

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// The name.
    pub name: String,
    /// The extents; `None` where the file leaves one open. Without any where it says nothing.
    pub dims: Vec<Option<usize>>,
}

impl Onnx {
    /// Reads the file at `path`. Tensors in other files are read by [`import`](Onnx::import), if they lie in the same folder.
    ///
    /// # Errors
    /// The file cannot be read, or is no ONNX model.
    pub fn open(path: &Path) -> Result<Self, OnnxError> {
        let contents = std::fs::read(path).map_err(|source| OnnxError::Io {
            path: path.into(),
            action: "read",
            source,
        })?;
        Self::parse(contents, Folder::of(path))
    }

    /// Reads a file with these contents, which must hold all tensors.
    ///
    /// # Errors
    /// It is no ONNX model.
    pub fn read(contents: Vec<u8>) -> Result<Self, OnnxError> {
        Self::parse(contents, Folder::none())
    }

    /// The other files in which tensors of the model lie, as the model names them.
    pub fn external_files(&self) -> BTreeSet<String> {
        let entries = heads(&self.graph).flat_map(|tensor| tensor.external_data);
        entries.filter(|entry| entry.key == "location").map(|entry| entry.value).collect()
    }

    fn parse(contents: Vec<u8>, folder: Folder) -> Result<Self, OnnxError> {
        let length = contents.len();
        let damaged = |what: &str, fault: prost::DecodeError| {
            OnnxError::file(format!(
                "expected an ONNX model, got {length} bytes whose {what} cannot be read: {fault}"
            ))
        };
        let model = proto::Model::decode(Bytes::from(contents)).map_err(|fault| damaged("model", fault))?;
        if model.graph.is_empty() {
            return Err(OnnxError::file(format!(
                "expected an ONNX model, got {length} bytes without a graph"
            )));
        }
        if !model.functions.is_empty() {
            return Err(OnnxError::file("functions of the model's own are not supported"));
        }
        let graph = proto::Graph::decode(model.graph).map_err(|fault| damaged("graph", fault))?;
        if !graph.sparse_initializer.is_empty() {
            return Err(OnnxError::file("sparse initializers are not supported"));
        }
        let opset = opset(&model.opset_import)?;
        let metadata = model.metadata_props.into_iter().map(|entry| (entry.key, entry.value)).collect();
        let producer = [model.producer_name, model.producer_version].join(" ").trim().into();
        // Older files list weights among the inputs.
        let weights: HashSet<String> = heads(&graph).map(|tensor| tensor.name).collect();
        let mut inputs = ports(&graph.input);
        inputs.retain(|port| !weights.contains(&port.name));
        let outputs = ports(&graph.output);
        Ok(Self { graph, folder, opset, producer, metadata, inputs, outputs })
    }
}

/// The initializers without their elements; [`Onnx::import`] says which cannot be read.
fn heads(graph: &proto::Graph) -> impl Iterator<Item = proto::TensorHead> {
    graph.initializer.iter().filter_map(|bytes| proto::TensorHead::decode(bytes.clone()).ok())
}

/// The version of the operators of `ai.onnx`, of which 7 to 23 are read.
fn opset(imports: &[proto::OperatorSet]) -> Result<i64, OnnxError> {
    let own = imports.iter().find(|import| is_own(&import.domain));
    let version = own.map(|import| import.version);
    version.filter(|version| (7..=23).contains(version)).ok_or_else(|| {
        let got = version.map_or("none".into(), |version| version.to_string());
        OnnxError::file(format!("expected operators of opset 7 to 23, got {got}"))
    })
}

/// Whether a domain is that of the operators of `ai.onnx`.
pub(crate) fn is_own(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

fn ports(infos: &[proto::ValueInfo]) -> Vec<Port> {
    let extent = |dim: &Dimension| dim.dim_value.and_then(|value| usize::try_from(value).ok());
    infos
        .iter()
        .map(|info| {
            let tensor = info.r#type.as_ref().and_then(|of| of.tensor_type.as_ref());
            let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
            let dims = shape.map_or(Vec::new(), |shape| shape.dim.iter().map(extent).collect());
            Port { name: info.name.clone(), dims }
        })
        .collect()
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let extent = |dim: &Option<usize>| dim.map_or("?".into(), |dim| dim.to_string());
        let dims: Vec<String> = self.dims.iter().map(extent).collect();
        write!(f, "{} [{}]", one_line(&self.name), dims.join(", "))
    }
}
