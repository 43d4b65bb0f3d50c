//! Nodes and initializers under construction.

use crate::names::Names;
use crate::proto::{self, AttributeType};
use cnn_tensor::Tensor;
use prost::Message;
use prost::bytes::Bytes;
use std::collections::HashMap;

/// A graph's nodes and tensors so far.
pub struct Writer {
    pub nodes: Vec<proto::Node>,
    pub initializers: Vec<Bytes>,
    pub opset: i64,
    /// The names of the network's values, by their numbers.
    values: HashMap<usize, String>,
    pub names: Names,
    /// The layers' tensors that are written, by their dotted names: layers may be shared.
    parameters: HashMap<String, String>,
    /// The prefix of new names: the path of the part that is written.
    pub path: String,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            initializers: Vec::new(),
            opset: 18,
            values: HashMap::new(),
            names: Names::default(),
            parameters: HashMap::new(),
            path: String::new(),
        }
    }
}

impl Writer {
    pub fn set(&mut self, value: usize, name: String) {
        self.values.insert(value, name);
    }

    pub fn value(&self, value: usize) -> &str {
        self.values.get(&value).map_or("", String::as_str)
    }

    /// Asks for operators of at least this version.
    pub fn needs(&mut self, opset: i64) {
        self.opset = self.opset.max(opset);
    }

    /// Adds a node with one output, and returns that one's name.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<proto::Attribute>) -> String {
        let output = self.names.unique(&format!("{}.{op}", self.path));
        self.node_into(op, inputs, &output, attributes);
        output
    }

    /// Adds a node with the output `output`.
    pub fn node_into(&mut self, op: &str, inputs: &[&str], output: &str, attributes: Vec<proto::Attribute>) {
        self.push(op, inputs, vec![output.into()], attributes);
    }

    /// Adds a node with several outputs, and returns their names.
    pub fn node_with(
        &mut self,
        op: &str,
        inputs: &[&str],
        outputs: usize,
        attributes: Vec<proto::Attribute>,
    ) -> Vec<String> {
        let outputs: Vec<String> =
            (0..outputs).map(|_| self.names.unique(&format!("{}.{op}", self.path))).collect();
        self.push(op, inputs, outputs.clone(), attributes);
        outputs
    }

    fn push(&mut self, op: &str, inputs: &[&str], output: Vec<String>, attribute: Vec<proto::Attribute>) {
        self.nodes.push(proto::Node {
            input: inputs.iter().map(|&name| name.into()).collect(),
            // Names of nodes need not differ from those of values.
            name: output[0].clone(),
            output,
            op_type: op.into(),
            attribute,
            domain: String::new(),
        });
    }

    /// Adds a tensor of floats under a name like `wanted`, and returns the name.
    pub fn floats(&mut self, wanted: &str, dims: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        self.tensor(wanted, dims, proto::FLOAT, bytes)
    }

    /// Adds a tensor of whole numbers, and returns its name.
    pub fn ints(&mut self, wanted: &str, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let wanted = format!("{}.{wanted}", self.path);
        self.tensor(&wanted, &[values.len()], proto::INT64, bytes)
    }

    /// Adds one number, and returns its name.
    pub fn scalar(&mut self, wanted: &str, value: f32) -> String {
        let wanted = format!("{}.{wanted}", self.path);
        self.floats(&wanted, &[], &[value])
    }

    /// Adds a layer's tensor under its dotted name, once.
    pub fn parameter(&mut self, owner: &str, name: &str, tensor: &Tensor) -> String {
        let dotted = format!("{owner}.{name}");
        if let Some(known) = self.parameters.get(&dotted) {
            return known.clone();
        }
        let name = self.floats(&dotted, tensor.shape().dims(), tensor.data());
        self.parameters.insert(dotted, name.clone());
        name
    }

    fn tensor(&mut self, wanted: &str, dims: &[usize], data_type: i32, bytes: Vec<u8>) -> String {
        let name = self.names.unique(wanted);
        let tensor = proto::Tensor {
            dims: dims.iter().map(|&dim| dim as i64).collect(),
            data_type,
            name: name.clone(),
            raw_data: Some(bytes.into()),
            ..proto::Tensor::default()
        };
        self.initializers.push(tensor.encode_to_vec().into());
        name
    }
}

/// An attribute of whole numbers.
pub fn ints(name: &str, values: &[usize]) -> proto::Attribute {
    let ints = values.iter().map(|&value| value as i64).collect();
    proto::Attribute { ints, ..attribute(name, AttributeType::Ints) }
}

/// An attribute of one whole number.
pub fn int(name: &str, value: i64) -> proto::Attribute {
    proto::Attribute { i: value, ..attribute(name, AttributeType::Int) }
}

/// An attribute of one float.
pub fn float(name: &str, value: f64) -> proto::Attribute {
    proto::Attribute { f: value as f32, ..attribute(name, AttributeType::Float) }
}

/// An attribute of text.
pub fn text(name: &str, value: &str) -> proto::Attribute {
    proto::Attribute { s: value.to_string().into(), ..attribute(name, AttributeType::String) }
}

fn attribute(name: &str, r#type: AttributeType) -> proto::Attribute {
    proto::Attribute { name: name.into(), r#type: r#type as i32, ..proto::Attribute::default() }
}
