//! A classifier of images as a [`Model`], with its preprocessing and class names.

use crate::builder::drop_unused;
use crate::{Imported, Onnx, OnnxError, Port};
use cnn_nn::spec::{Compute, Edge, GraphSpec, LayerSpec, NamedSpec, NodeSpec, cat, flatten, permute, slice};
use cnn_nn::{Input, Model, ModelSpec};
use cnn_tensor::text::one_line;
use cnn_tensor::{Shape, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The parts of a [`ModelSpec`] that ONNX has no place for. They are the value of a file's metadata key [`Described::KEY`], in JSON.
///
/// ```
/// use cnn_onnx::Described;
/// let text = r#"{"name": "tiny", "classes": ["dark", "light"],
///     "input": {"shape": [1, 4, 4], "mean": [0.5], "std": [0.5], "preprocess": {"type": "resize_crop", "resize": 4}}}"#;
/// let described: Described = serde_json::from_str(text)?;
/// assert_eq!(described.input.shape, [1, 4, 4]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// The architecture's name.
    pub name: String,
    /// The input, with its preprocessing.
    pub input: Input,
    /// The classes' names, one for each output. None: they are numbered from 0.
    pub classes: Vec<String>,
}

impl Described {
    /// The key of the metadata.
    pub const KEY: &'static str = "cnn";

    /// The description in the metadata of a file, if it is there.
    ///
    /// # Errors
    /// The value is not such a description.
    pub fn of(file: &Onnx) -> Result<Option<Self>, OnnxError> {
        let Some(text) = file.metadata.get(Self::KEY) else { return Ok(None) };
        let described = serde_json::from_str(text).map_err(|e| {
            OnnxError::file(format!("metadata {}: expected a model's description: {e}", Self::KEY))
        })?;
        Ok(Some(described))
    }
}

/// The order of an image's channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channels {
    /// Red, green, blue, as everywhere in this library; or any other number of channels.
    #[default]
    Rgb,
    /// Blue, green, red. The model still takes red, green and blue, and swaps them first.
    Bgr,
}

/// A classifier, and notes on the changes that made it one, for people to check.
pub type Classifier = (Model, Vec<String>);

impl Onnx {
    /// Channels, height and width of the images that the model takes. Where the file leaves height and width open, they are `size`.
    ///
    /// # Errors
    /// The model does not have one input of images and one output; `size` is missing, or contradicts the file.
    pub fn image_shape(&self, size: Option<[usize; 2]>) -> Result<[usize; 3], OnnxError> {
        Ok(Images::of(self, size)?.shape)
    }

    /// The model as a classifier of images of the described shape.
    ///
    /// A last softmax or log-softmax over the classes is left out: a model's outputs are the numbers before it. An input `[h, w, c]`
    /// becomes `[c, h, w]`. Layers that all later ones depend on are layers of the model; what lies between them is a graph.
    ///
    /// # Errors
    /// Those of [`Onnx::import`]; or the model does not have one input of images and one output of a number for each class.
    pub fn classifier(&self, described: Described, channels: Channels) -> Result<Classifier, OnnxError> {
        let Described { name, input, mut classes } = described;
        input.validate()?;
        let [c, h, w] = input.shape;
        let images = Images::of(self, Some([h, w]))?;
        if images.shape != input.shape {
            return Err(OnnxError::file(format!(
                "expected images of {:?}, got a description of {:?}",
                images.shape, input.shape
            )));
        }
        let mut imported = self.import(&BTreeMap::from([(images.name.clone(), images.image())]))?;
        let mut notes = Vec::new();
        let count = outputs_of(&imported)?;
        let (is_flat, softmax) = shorten_tail(&mut imported, count)?;
        if let Some(softmax) = softmax {
            notes.push(format!("the last {softmax} is left out: outputs are the numbers before it"));
        }
        if classes.is_empty() {
            classes = (0..count).map(|class| class.to_string()).collect();
            notes.push(format!("the classes have no names: they are 0 to {}", count.saturating_sub(1)));
        }
        if classes.len() != count {
            return Err(OnnxError::file(format!("expected {count} names of classes, got {}", classes.len())));
        }
        let Imported { mut graph, tensors, .. } = imported;
        if images.is_last {
            before(&mut graph, "channels_last", permute([0, 2, 3, 1]));
        }
        match (channels, c) {
            (Channels::Rgb, _) => {}
            (Channels::Bgr, 3) => swap_channels(&mut graph),
            (Channels::Bgr, c) => {
                return Err(OnnxError::file(format!(
                    "expected three channels for blue, green and red, got {c}"
                )));
            }
        }
        let (mut layers, tensors) = chain(graph, tensors);
        if !is_flat {
            let names = layers.iter().map(|layer| layer.name.as_str()).collect();
            layers.push(flatten().named(&unique("flatten", &names)));
        }
        Ok((Model::from_tensors(ModelSpec { name, input, classes, layers }, tensors)?, notes))
    }
}

/// The input of a classifier of images.
struct Images {
    name: String,
    shape: [usize; 3],
    /// Whether the file has the channels last.
    is_last: bool,
}

impl Images {
    fn of(file: &Onnx, size: Option<[usize; 2]>) -> Result<Self, OnnxError> {
        let [port @ Port { name, dims }] = &file.inputs[..] else {
            return Err(OnnxError::file(format!(
                "expected one input, of images, got {}",
                listed(&file.inputs)
            )));
        };
        let &[_, a, b, c] = &dims[..] else {
            return Err(OnnxError::file(format!("expected an input of images [n, c, h, w], got {port}")));
        };
        if file.outputs.len() != 1 {
            let rule = "expected one output, of a number for each class of an image";
            return Err(OnnxError::file(format!("{rule}, got {}", listed(&file.outputs))));
        }
        let may_be_channels = |dim| matches!(dim, Some(1 | 3));
        let is_last = may_be_channels(c) && !may_be_channels(a);
        let (channels, stated) = if is_last { (c, [a, b]) } else { (a, [b, c]) };
        let channels = channels.ok_or_else(|| {
            OnnxError::file(format!("input {port}: the file leaves the number of channels open"))
        })?;
        let side = |i: usize| match (stated[i], size.map(|size| size[i])) {
            (Some(stated), Some(given)) if stated != given => Err(OnnxError::file(format!(
                "input {port}: expected images of its own height and width, got {given}"
            ))),
            (Some(side), _) | (None, Some(side)) => Ok(side),
            (None, None) => Err(OnnxError::file(format!(
                "input {port}: the file leaves height or width open; state those of an image"
            ))),
        };
        Ok(Self { name: name.clone(), shape: [channels, side(0)?, side(1)?], is_last })
    }

    /// The extents of an image in the file's order.
    fn image(&self) -> Vec<usize> {
        let [c, h, w] = self.shape;
        if self.is_last { vec![h, w, c] } else { vec![c, h, w] }
    }
}

fn listed(ports: &[Port]) -> String {
    match ports {
        [] => "none".into(),
        ports => ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// The number of classes: the only extent of the only output that is not 1.
fn outputs_of(imported: &Imported) -> Result<usize, OnnxError> {
    match &imported.outputs[..] {
        [(_, dims)] if is_line(dims) => Ok(dims.iter().product()),
        outputs => {
            let shown = |(name, dims): &(String, Vec<usize>)| format!("{} {dims:?}", one_line(name));
            let got: Vec<String> = outputs.iter().map(shown).collect();
            let rule = "expected one output, of a number for each class of an image";
            Err(OnnxError::file(format!("{rule}, got {}", got.join(", "))))
        }
    }
}

/// Whether at most one extent is not 1: then shape and order of the axes do not change the order of the numbers.
fn is_line(dims: &[usize]) -> bool {
    !dims.is_empty() && dims.iter().filter(|&&dim| dim != 1).count() <= 1
}

/// Leaves out the layers at the end that do not change the outputs or their order, and a softmax over all of them. Returns whether
/// the output is then `[n, classes]`, and the name of the softmax.
fn shorten_tail(imported: &mut Imported, classes: usize) -> Result<(bool, Option<&'static str>), OnnxError> {
    let rows = imported.build()?.summary().rows;
    let shapes: HashMap<&str, Shape> = rows.iter().map(|row| (row.path.as_str(), row.output)).collect();
    let nodes: HashMap<&str, &NodeSpec> =
        imported.graph.nodes.iter().map(|node| (node.name.as_str(), node)).collect();
    let (mut end, mut softmax) = (&imported.graph.outputs[0], None);
    while let Some(NodeSpec { compute: Compute::Layer(layer), from, .. }) = nodes.get(end.node.as_str()) {
        let [from] = &from[..] else { break };
        let Some(shape) = shapes.get(from.node.as_str()).filter(|_| from.slot == 0) else { break };
        let probabilities = match layer {
            LayerSpec::Softmax(over) => Some(("softmax", over.dim)),
            LayerSpec::LogSoftmax(over) => Some(("log-softmax", over.dim)),
            LayerSpec::Reshape(_) | LayerSpec::Permute(_) | LayerSpec::Flatten => None,
            _ => break,
        };
        // Only one softmax, and only over the classes.
        let is_over_classes = |dim: usize| softmax.is_none() && shape.dims().get(dim) == Some(&classes);
        if !is_line(&shape.dims()[1..]) || probabilities.is_some_and(|(_, dim)| !is_over_classes(dim)) {
            break;
        }
        softmax = probabilities.map(|(name, _)| name).or(softmax);
        end = from;
    }
    let is_flat = shapes.get(end.node.as_str()).is_some_and(|shape| shape.dims().len() == 2);
    imported.graph.outputs = vec![end.clone()];
    drop_unused(&mut imported.graph, &mut imported.tensors);
    Ok((is_flat, softmax))
}

/// A name that is not taken.
fn unique(wanted: &str, taken: &HashSet<&str>) -> String {
    let mut name = wanted.to_string();
    while taken.contains(name.as_str()) {
        name.push('_');
    }
    name
}

fn names(graph: &GraphSpec) -> HashSet<&str> {
    graph.inputs.iter().chain(graph.nodes.iter().map(|node| &node.name)).map(String::as_str).collect()
}

/// Puts nodes that read the input before all others, which then read the last of them.
fn insert(graph: &mut GraphSpec, nodes: Vec<NodeSpec>) {
    let Some(last) = nodes.last().map(|node| node.name.clone()) else { return };
    let input = graph.inputs[0].clone();
    let edges = graph.nodes.iter_mut().flat_map(|node| &mut node.from).chain(&mut graph.outputs);
    edges.filter(|edge| edge.node == input).for_each(|edge| edge.node.clone_from(&last));
    graph.nodes.splice(0..0, nodes);
}

fn before(graph: &mut GraphSpec, name: &str, layer: LayerSpec) {
    let from = vec![Edge { node: graph.inputs[0].clone(), slot: 0 }];
    let name = unique(name, &names(graph));
    insert(graph, vec![NodeSpec { name, compute: Compute::Layer(layer), from }]);
}

/// Red, green and blue to blue, green and red, which the graph takes.
fn swap_channels(graph: &mut GraphSpec) {
    let node = |name: &str, layer: LayerSpec, from: &[&str]| {
        let from = from.iter().map(|node| Edge { node: node.to_string(), slot: 0 }).collect();
        NodeSpec { name: name.into(), compute: Compute::Layer(layer), from }
    };
    let [blue, green, red, bgr] = ["blue", "green", "red", "bgr"].map(|name| unique(name, &names(graph)));
    let input = graph.inputs[0].clone();
    let plane = |name: &str, at: isize| node(name, slice(1, at, at + 1).into(), &[&input]);
    let joined = node(&bgr, cat(1), &[&blue, &green, &red]);
    insert(graph, vec![plane(&blue, 2), plane(&green, 1), plane(&red, 0), joined]);
}

/// The graph as layers in sequence: a node through which all values pass is a layer, and the nodes between two of those are a graph.
fn chain(graph: GraphSpec, tensors: BTreeMap<String, Tensor>) -> (Vec<NamedSpec>, BTreeMap<String, Tensor>) {
    let cuts = cuts(&graph);
    let taken: HashSet<String> = names(&graph).into_iter().map(String::from).collect();
    let mut layers = Vec::new();
    // The block in which a node lies.
    let mut blocks: HashMap<String, String> = HashMap::new();
    let mut before = graph.inputs[0].clone();
    let mut nodes = graph.nodes.into_iter();
    let (mut done, mut number) = (0, 0);
    for cut in cuts {
        let mut part: Vec<NodeSpec> = nodes.by_ref().take(cut + 1 - done).collect();
        done = cut + 1;
        let Some(last) = part.last().map(|node| node.name.clone()) else { continue };
        let is_single = part.len() == 1 && part[0].from.len() == 1;
        match (is_single, part.pop()) {
            (true, Some(NodeSpec { name, compute: Compute::Layer(layer), .. })) => {
                layers.push(layer.named(&name));
            }
            (_, node) => {
                part.extend(node);
                number += 1;
                let mut name = format!("block{number}");
                while taken.contains(&name) {
                    name.push('_');
                }
                blocks.extend(part.iter().map(|node| (node.name.clone(), name.clone())));
                let outputs = vec![Edge { node: last.clone(), slot: 0 }];
                let block = GraphSpec { inputs: vec![before], nodes: part, outputs };
                layers.push(LayerSpec::Graph(block).named(&name));
            }
        }
        before = last;
    }
    let path = |(name, tensor): (String, Tensor)| {
        let block = name.split('.').next().and_then(|node| blocks.get(node));
        (block.map_or_else(|| name.clone(), |block| format!("{block}.{name}")), tensor)
    };
    (layers, tensors.into_iter().map(path).collect())
}

/// The numbers of the nodes through whose first output all values pass, the last node among them. Nodes come after those that they
/// read.
fn cuts(graph: &GraphSpec) -> Vec<usize> {
    let place: HashMap<&str, usize> =
        graph.nodes.iter().enumerate().map(|(i, node)| (node.name.as_str(), i)).collect();
    let count = graph.nodes.len();
    // Of each node, the last reader of its first output, and of all outputs of the earlier nodes and of its own other ones.
    let mut others = vec![0; count];
    let mut of_input = 0;
    let mut reads = |edge: &Edge, reader: usize| match place.get(edge.node.as_str()) {
        None => of_input = reader,
        Some(&i) if edge.slot == 0 && i + 1 == count => {}
        Some(&i) if edge.slot == 0 => others[i + 1] = others[i + 1].max(reader),
        Some(&i) => others[i] = others[i].max(reader),
    };
    for (reader, node) in graph.nodes.iter().enumerate() {
        node.from.iter().for_each(|edge| reads(edge, reader));
    }
    graph.outputs.iter().for_each(|edge| reads(edge, count));
    let mut last = of_input;
    let mut is_cut = |(i, &others): (usize, &usize)| {
        last = last.max(others);
        (last <= i).then_some(i)
    };
    others.iter().enumerate().filter_map(&mut is_cut).collect()
}
