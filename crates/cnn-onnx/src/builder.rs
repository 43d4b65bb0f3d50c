//! The graph under construction.

use crate::constant::Constant;
use crate::names::Names;
use crate::node::Node;
use crate::value::{Batch, Value};
use cnn_nn::spec::{Compute, Edge, GraphSpec, LayerSpec, NodeSpec};
use cnn_nn::{Graph, Layer, Loaded};
use cnn_tensor::{Shape, Tensor};
use std::collections::{BTreeMap, HashSet};

/// The graph so far, with the tensors of its layers.
#[derive(Default)]
pub struct Builder {
    pub spec: GraphSpec,
    pub tensors: BTreeMap<String, Tensor>,
    names: Names,
    /// Numbers of the file's tensors, and those of all layers so far.
    pub read: usize,
    taken: usize,
}

/// Numbers that layers may have, and constants that are computed, for each number of the file's tensors; and beyond those. A small
/// file could otherwise use one tensor for many layers.
const SHARED: usize = 16;
const BEYOND: usize = 1 << 20;

impl Builder {
    /// A name like `wanted` that no node has: neither empty, nor with a dot or colon.
    pub fn name(&mut self, wanted: &str) -> String {
        let plain = |c: char| if c.is_alphanumeric() || c == '-' { c } else { '_' };
        let mut name: String = wanted.chars().take(200).map(plain).collect();
        name = name.trim_matches('_').into();
        if name.is_empty() {
            name = "node".into();
        }
        self.names.unique(&name)
    }

    /// Accounts for numbers that the file does not hold as such.
    pub fn take(&mut self, numel: usize) -> Result<(), String> {
        self.taken = self.taken.saturating_add(numel);
        let most = SHARED.saturating_mul(self.read).saturating_add(BEYOND);
        match self.taken <= most {
            true => Ok(()),
            false => Err(format!("the network's tensors are more than {SHARED} times those of the file")),
        }
    }

    /// Adds an input, for images of these extents.
    pub fn input(&mut self, name: &str, dims: Vec<usize>) -> Batch {
        let name = self.name(name);
        self.spec.inputs.push(name.clone());
        Batch { edge: Edge { node: name, slot: 0 }, dims }
    }

    /// Adds a layer with its tensors, and returns its `N` outputs.
    pub fn layers(
        &mut self,
        name: &str,
        layer: impl Into<LayerSpec>,
        from: &[&Batch],
        tensors: Vec<(&str, Tensor)>,
        outputs: usize,
    ) -> Result<Vec<Batch>, String> {
        let layer = layer.into();
        let shapes = from.iter().map(|batch| Shape::new(&batch.dims)).collect::<Result<Vec<_>, _>>();
        let shapes = shapes.map_err(|e| e.to_string())?;
        let shapes = output_shapes(&layer, shapes, &tensors, outputs)?;
        self.take(tensors.iter().map(|(_, tensor)| tensor.shape().numel()).sum())?;
        let name = self.name(name);
        self.tensors.extend(tensors.into_iter().map(|(part, tensor)| (format!("{name}.{part}"), tensor)));
        let from = from.iter().map(|batch| batch.edge.clone()).collect();
        self.spec.nodes.push(NodeSpec { name: name.clone(), compute: Compute::Layer(layer), from });
        let output = |(slot, shape): (usize, &Shape)| Batch {
            edge: Edge { node: name.clone(), slot },
            dims: shape.dims().to_vec(),
        };
        Ok(shapes.iter().enumerate().map(output).collect())
    }

    /// Adds a layer with one output.
    pub fn layer(
        &mut self,
        name: &str,
        layer: impl Into<LayerSpec>,
        from: &[&Batch],
        tensors: Vec<(&str, Tensor)>,
    ) -> Result<Batch, String> {
        Ok(self.layers(name, layer, from, tensors, 1)?.remove(0))
    }

    /// Adds a layer without tensors, with one input and one output.
    pub fn op(&mut self, name: &str, layer: impl Into<LayerSpec>, x: &Batch) -> Result<Batch, String> {
        self.layer(name, layer, &[x], Vec::new())
    }

    /// Gives each image these extents.
    pub fn reshape(&mut self, name: &str, x: &Batch, image: &[usize]) -> Result<Batch, String> {
        if x.dims[1..] == *image {
            return Ok(x.clone());
        }
        if image.len() == 1 {
            return self.op(name, LayerSpec::Flatten, x);
        }
        let shape = image.iter().map(|&extent| Some(extent)).collect();
        self.op(name, LayerSpec::Reshape(cnn_ops::Reshape { shape }), x)
    }

    /// The axes in another order; the batch stays the first.
    pub fn permute(&mut self, name: &str, x: &Batch, dims: &[usize]) -> Result<Batch, String> {
        if dims.iter().copied().eq(0..dims.len()) {
            return Ok(x.clone());
        }
        self.op(name, cnn_nn::spec::permute(dims), x)
    }
}

/// Leaves out nodes on which no output depends, and their tensors. Each node comes after those that it reads.
pub fn drop_unused(spec: &mut GraphSpec, tensors: &mut BTreeMap<String, Tensor>) {
    let mut used: HashSet<String> = spec.outputs.iter().map(|Edge { node, .. }| node.clone()).collect();
    for node in spec.nodes.iter().rev() {
        if used.contains(&node.name) {
            used.extend(node.from.iter().map(|edge| edge.node.clone()));
        }
    }
    spec.nodes.retain(|node| used.contains(&node.name));
    tensors.retain(|name, _| name.split('.').next().is_some_and(|node| used.contains(node)));
}

/// The shapes of a layer's outputs, of which there must be `count`.
fn output_shapes(
    layer: &LayerSpec,
    shapes: Vec<Shape>,
    tensors: &[(&str, Tensor)],
    count: usize,
) -> Result<Vec<Shape>, String> {
    let inputs: Vec<String> = (0..shapes.len()).map(|i| format!("x{i}")).collect();
    let from = inputs.iter().map(|name| Edge { node: name.clone(), slot: 0 }).collect();
    let nodes = vec![NodeSpec { name: "y".into(), compute: Compute::Layer(layer.clone()), from }];
    let outputs = (0..count).map(|slot| Edge { node: "y".into(), slot }).collect();
    let named = tensors.iter().map(|(name, tensor)| (format!("y.{name}"), tensor.clone()));
    let mut source = Loaded { tensors: named.collect() };
    // The name is this function's own.
    let plain = |fault: cnn_nn::NnError| fault.to_string().trim_start_matches("y: ").replace("y.", "");
    let graph = Graph::build_from(&GraphSpec { inputs, nodes, outputs }, shapes.clone(), &mut source)
        .map_err(plain)?;
    source.finish().map_err(plain)?;
    Ok(graph.output_shapes(&shapes).map_err(plain)?.to_vec())
}

/// A node that is being imported, with the values that it reads.
pub struct Call<'a> {
    pub node: &'a Node,
    pub opset: i64,
    /// `None` where an input is left out.
    pub inputs: Vec<Option<Value>>,
    /// The number of images that the file states, if it does.
    pub images: Option<i64>,
}

impl Call<'_> {
    /// The name for the node's layer: that of its weight's module if there is one, as in `features.0` of `features.0.weight`.
    pub fn name(&self) -> String {
        let Node { name, op, inputs, .. } = self.node;
        let module = inputs.get(1).and_then(|weight| weight.strip_suffix(".weight"));
        match (module, name.as_str()) {
            (Some(module), _) => module.into(),
            (None, "") => op.to_lowercase(),
            (None, name) => name.into(),
        }
    }

    fn value(&self, i: usize) -> Option<&Value> {
        self.inputs.get(i).and_then(Option::as_ref)
    }

    /// The input `i`, which changes from batch to batch.
    pub fn batch(&self, i: usize) -> Result<&Batch, String> {
        match self.value(i) {
            Some(Value::Batch(batch)) => Ok(batch),
            Some(_) => Err(format!("expected input {i} to depend on the network's input, got a constant")),
            None => Err(format!("input {i} is missing")),
        }
    }

    /// The constant input `i`, if it is there.
    pub fn optional(&self, i: usize) -> Result<Option<&Constant>, String> {
        match self.value(i) {
            Some(Value::Constant(constant)) => Ok(Some(constant)),
            Some(_) => Err(format!(
                "expected input {i} to be a constant, got one that depends on the network's input"
            )),
            None => Ok(None),
        }
    }

    /// The constant input `i`.
    pub fn constant(&self, i: usize) -> Result<&Constant, String> {
        self.optional(i)?.ok_or_else(|| format!("input {i} is missing"))
    }

    /// Whole numbers that are an attribute in older operators and an input in newer ones.
    pub fn ints(&self, attribute: &'static str, input: usize) -> Result<Option<Vec<i64>>, String> {
        match self.optional(input)? {
            Some(constant) => constant.known_ints().map(Some),
            None => Ok(self.node.ints(attribute)?.map(<[i64]>::to_vec)),
        }
    }

    /// Checks that only the first of the node's outputs is used.
    pub fn single(&self) -> Result<(), String> {
        match self.node.outputs.iter().skip(1).find(|name| !name.is_empty()) {
            None => Ok(()),
            Some(_) => Err("outputs other than the first are not supported".into()),
        }
    }
}
