//! From a file to a graph description and tensors.

use crate::builder::{Builder, Call, drop_unused};
use crate::constant::Constant;
use crate::file::is_own;
use crate::node::Node;
use crate::report::{Report, Unsupported};
use crate::value::{Batch, Value};
use crate::{Onnx, OnnxError, Port, fold, ops, proto};
use cnn_nn::spec::GraphSpec;
use cnn_nn::{Graph, Loaded};
use cnn_tensor::text::one_line;
use cnn_tensor::{Shape, Tensor};
use prost::Message;
use std::collections::{BTreeMap, HashMap, HashSet};

/// An imported network.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The graph. Its inputs and outputs are in the file's order.
    pub graph: GraphSpec,
    /// The tensors of its layers, by dotted name.
    pub tensors: BTreeMap<String, Tensor>,
    /// The inputs' names in the file, and the extents of an image of each.
    pub inputs: Vec<(String, Vec<usize>)>,
    /// The outputs' names in the file, and the extents of an image of each.
    pub outputs: Vec<(String, Vec<usize>)>,
    /// Which nodes became layers.
    pub report: Report,
}

impl Imported {
    /// The network.
    ///
    /// # Errors
    /// A layer cannot be built, which [`Onnx::import`] would have found.
    pub fn build(&self) -> Result<Graph, OnnxError> {
        let shape = |(_, image): &(String, Vec<usize>)| Shape::new(&[&[1], &image[..]].concat());
        let shapes =
            self.inputs.iter().map(shape).collect::<Result<_, _>>().map_err(cnn_nn::NnError::from)?;
        let mut source = Loaded { tensors: self.tensors.clone() };
        let net = Graph::build_from(&self.graph, shapes, &mut source)?;
        source.finish()?;
        Ok(net)
    }
}

impl Onnx {
    /// Brings the network into a graph of this library's layers. Where the file leaves extents of an input open, `images` has
    /// those of its images, without the batch, by the input's name.
    ///
    /// # Errors
    /// A tensor is damaged, names do not fit together, or nodes are not supported: all of those are listed.
    pub fn import(&self, images: &BTreeMap<String, Vec<usize>>) -> Result<Imported, OnnxError> {
        let (imported, report) = self.look(images)?;
        imported.ok_or_else(|| OnnxError::Unsupported(Box::new(report)))
    }

    /// Which nodes can be imported, for inputs as in [`Onnx::import`].
    ///
    /// # Errors
    /// A tensor is damaged, or names do not fit together.
    pub fn report(&self, images: &BTreeMap<String, Vec<usize>>) -> Result<Report, OnnxError> {
        Ok(self.look(images)?.1)
    }

    fn look(&self, images: &BTreeMap<String, Vec<usize>>) -> Result<(Option<Imported>, Report), OnnxError> {
        let mut import =
            Import { file: self, builder: Builder::default(), values: HashMap::new(), images: None };
        import.initializers()?;
        let inputs = import.inputs(images)?;
        let nodes = self.nodes()?;
        let mut report = Report { opset: self.opset, ..Report::default() };
        for i in order(&nodes, &import.values)? {
            import.node(&nodes[i], i, &mut report)?;
        }
        if !report.unsupported.is_empty() {
            return Ok((None, report));
        }
        let outputs = import.outputs()?;
        let Builder { spec, tensors, .. } = import.builder;
        let imported = Imported { graph: spec, tensors, inputs, outputs, report: report.clone() };
        Ok((Some(imported), report))
    }

    fn nodes(&self) -> Result<Vec<Node>, OnnxError> {
        let node = |(i, bytes): (usize, &prost::bytes::Bytes)| {
            let node = proto::Node::decode(bytes.clone()).map_err(|fault| format!("node {i}: {fault}"))?;
            Node::new(node, i)
        };
        self.graph.node.iter().enumerate().map(node).collect::<Result<_, _>>().map_err(OnnxError::file)
    }
}

/// An import under way.
struct Import<'a> {
    file: &'a Onnx,
    builder: Builder,
    /// The values by their names in the file.
    values: HashMap<String, Value>,
    /// The number of images that the inputs state, if they do.
    images: Option<i64>,
}

impl Import<'_> {
    fn initializers(&mut self) -> Result<(), OnnxError> {
        for (i, bytes) in self.file.graph.initializer.iter().enumerate() {
            let tensor = proto::Tensor::decode(bytes.clone())
                .map_err(|fault| OnnxError::file(format!("initializer {i}: {fault}")))?;
            let constant = Constant::read(&tensor, &self.file.folder).map_err(OnnxError::file)?;
            self.builder.read = self.builder.read.saturating_add(constant.numel());
            self.define(&tensor.name, Value::Constant(constant))?;
        }
        Ok(())
    }

    fn inputs(
        &mut self,
        images: &BTreeMap<String, Vec<usize>>,
    ) -> Result<Vec<(String, Vec<usize>)>, OnnxError> {
        let mut inputs = Vec::new();
        let mut stated = HashSet::new();
        for Port { name, dims } in &self.file.inputs {
            let image = image_of(name, dims, images.get(name)).map_err(OnnxError::file)?;
            stated.insert(dims.first().copied().flatten());
            let batch = self.builder.input(name, [&[1], &image[..]].concat());
            self.define(name, Value::Batch(batch))?;
            inputs.push((name.clone(), image));
        }
        if let Some(name) = images.keys().find(|name| !inputs.iter().any(|(known, _)| known == *name)) {
            let names: Vec<String> = inputs.iter().map(|(name, _)| one_line(name).to_string()).collect();
            let (name, names) = (one_line(name), names.join(", "));
            return Err(OnnxError::file(format!("expected an input of the model ({names}), got {name}")));
        }
        if let (1, Some(Some(images))) = (stated.len(), stated.into_iter().next()) {
            self.images = i64::try_from(images).ok();
        }
        Ok(inputs)
    }

    fn define(&mut self, name: &str, value: Value) -> Result<(), OnnxError> {
        match self.values.insert(name.into(), value) {
            None => Ok(()),
            Some(_) => Err(OnnxError::file(format!("the value {} is there twice", one_line(name)))),
        }
    }

    /// Adds what a node computes, or says why not.
    fn node(&mut self, node: &Node, number: usize, report: &mut Report) -> Result<(), OnnxError> {
        let value = |name: &'_ String| match self.values.get(name) {
            None if name.is_empty() => Ok(None),
            None => Err(name.clone()),
            Some(value) => Ok(Some(value.clone())),
        };
        let inputs = node.inputs.iter().map(value).collect::<Result<Vec<_>, _>>();
        let inputs = inputs.map_err(|name| {
            OnnxError::file(format!("node {}: no node makes {}", one_line(&node.name), one_line(&name)))
        })?;
        let outputs = node.outputs.iter().filter(|name| !name.is_empty());
        let values = match self.compute(node, inputs) {
            Ok(Some(values)) => {
                report.fine += 1;
                values
            }
            Ok(None) => {
                report.behind += 1;
                vec![Value::Unknown; node.outputs.len()]
            }
            Err(reason) => {
                let name = if node.name.is_empty() { format!("number {number}") } else { node.name.clone() };
                let operator = match is_own(&node.domain) {
                    true => node.op.clone(),
                    false => format!("{}:{}", node.domain, node.op),
                };
                report.unsupported.push(Unsupported { node: name, operator, reason });
                vec![Value::Unknown; node.outputs.len()]
            }
        };
        for (name, value) in outputs.zip(values) {
            self.define(name, value)?;
        }
        Ok(())
    }

    /// The outputs of a node; `None` if it reads those of an unsupported one.
    fn compute(&mut self, node: &Node, inputs: Vec<Option<Value>>) -> Result<Option<Vec<Value>>, String> {
        if !is_own(&node.domain) {
            return Err("operators of other domains are not supported".into());
        }
        let (fold, import) = (fold::operator(&node.op), ops::operator(&node.op));
        if fold.is_none() && import.is_none() {
            return Err("the operator is not supported".into());
        }
        if inputs.iter().flatten().any(|value| matches!(value, Value::Unknown)) {
            return Ok(None);
        }
        let call = Call { node, opset: self.file.opset, inputs, images: self.images };
        let is_known = call.inputs.iter().flatten().all(|value| matches!(value, Value::Constant(_)));
        let values = match (fold, import) {
            (Some(fold), _) if is_known => {
                call.single()?;
                let constant = fold(&call, &self.file.folder)?;
                if node.op == "Constant" {
                    self.builder.read = self.builder.read.saturating_add(constant.numel());
                }
                self.builder.take(constant.numel())?;
                vec![Value::Constant(constant)]
            }
            (_, Some(import)) => import(&mut self.builder, &call)?,
            _ => return Err("expected constant inputs, got one that depends on the network's input".into()),
        };
        node.all_read()?;
        if values.len() < node.outputs.len() {
            return Err(format!("expected at most {} outputs, got {}", values.len(), node.outputs.len()));
        }
        Ok(Some(values))
    }

    fn outputs(&mut self) -> Result<Vec<(String, Vec<usize>)>, OnnxError> {
        let mut outputs = Vec::new();
        for Port { name, .. } in &self.file.outputs {
            let Some(value) = self.values.get(name) else {
                return Err(OnnxError::file(format!("no node makes the output {}", one_line(name))));
            };
            let Value::Batch(Batch { edge, dims }) = value else {
                let fault = format!("the output {} does not depend on an input", one_line(name));
                return Err(OnnxError::file(fault));
            };
            self.builder.spec.outputs.push(edge.clone());
            outputs.push((name.clone(), dims[1..].to_vec()));
        }
        if outputs.is_empty() {
            return Err(OnnxError::file("the model has no outputs"));
        }
        drop_unused(&mut self.builder.spec, &mut self.builder.tensors);
        Ok(outputs)
    }
}

/// The extents of an image of an input, as the file and the caller state them.
fn image_of(name: &str, dims: &[Option<usize>], given: Option<&Vec<usize>>) -> Result<Vec<usize>, String> {
    let port = Port { name: name.into(), dims: dims.to_vec() };
    let fits = |image: &[usize]| {
        dims.is_empty()
            || (image.len() + 1 == dims.len()
                && image
                    .iter()
                    .zip(&dims[1..])
                    .all(|(&got, stated)| stated.is_none_or(|stated| stated == got)))
    };
    let image =
        match given {
            Some(image) if fits(image) => image.clone(),
            Some(image) => {
                return Err(format!("input {port}: expected other extents of an image than {image:?}"));
            }
            None if dims.is_empty() => {
                return Err(format!("input {port}: the file states no shape; state the extents of an image"));
            }
            None => dims[1..].iter().copied().collect::<Option<_>>().ok_or_else(|| {
                format!("input {port}: the file leaves extents open; state those of an image")
            })?,
        };
    let numel = image.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
    match numel {
        Some(1..=LARGEST) if image.len() < Shape::MAX_RANK => Ok(image),
        _ => Err(format!("input {port}: expected at most 5 axes and 1 to 2^28 numbers of an image")),
    }
}

/// The most numbers of an image.
const LARGEST: usize = 1 << 28;

/// The nodes in an order in which each comes after those that it reads.
fn order(nodes: &[Node], known: &HashMap<String, Value>) -> Result<Vec<usize>, OnnxError> {
    let mut maker: HashMap<&str, usize> = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        for output in node.outputs.iter().filter(|name| !name.is_empty()) {
            if known.contains_key(output) || maker.insert(output, i).is_some() {
                return Err(OnnxError::file(format!("the value {} is there twice", one_line(output))));
            }
        }
    }
    // Depth first, with a stack of its own: files may be deep.
    let (mut done, mut begun) = (vec![false; nodes.len()], vec![false; nodes.len()]);
    let mut order = Vec::with_capacity(nodes.len());
    for first in 0..nodes.len() {
        let mut stack = vec![first];
        while let Some(&i) = stack.last() {
            let open = |input: &String| maker.get(input.as_str()).copied().filter(|&maker| !done[maker]);
            if done[i] {
                stack.pop();
            } else if begun[i] {
                if nodes[i].inputs.iter().any(|input| open(input).is_some()) {
                    let name = one_line(&nodes[i].name);
                    return Err(OnnxError::file(format!("the nodes form a cycle through {name}")));
                }
                done[i] = true;
                order.push(i);
                stack.pop();
            } else {
                begun[i] = true;
                let wanted = nodes[i].inputs.iter().filter_map(open);
                for maker in wanted {
                    if begun[maker] {
                        let name = one_line(&nodes[maker].name);
                        return Err(OnnxError::file(format!("the nodes form a cycle through {name}")));
                    }
                    stack.push(maker);
                }
            }
        }
    }
    Ok(order)
}
