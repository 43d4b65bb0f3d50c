//! Builds nodes from a description: resolves names, takes containers apart, infers shapes, builds layers.

use super::{Entry, Graph, Node};
use crate::spec::{
    Compute, Edge, GraphSpec, LayerSpec, MaxPoolUnpool2dSpec, NamedSpec, NodeSpec, ResidualSpec,
};
use crate::{NnError, ParameterSource, Parameters, Path, layers};
use cnn_ops::OpError;
use cnn_tensor::Shape;
use cnn_tensor::text::hint;
use std::collections::{HashMap, HashSet};

/// The largest number of parts of a graph: layers, containers, and the values that they read and produce. A description whose
/// parts are shared could otherwise describe far more parts than it has letters.
const MOST_PARTS: usize = 1 << 16;

/// A graph under construction.
struct Builder<'a> {
    source: &'a mut dyn ParameterSource,
    layers: Vec<Entry>,
    /// The layers by their paths.
    known: HashMap<String, usize>,
    /// The number of nodes of each layer.
    applied: Vec<u64>,
    /// The number of parts so far, of at most [`MOST_PARTS`].
    parts: usize,
    nodes: Vec<Node>,
    /// The shape of each value for one image: of the inputs, then of each node's outputs.
    shapes: Vec<Shape>,
}

/// The place of a part: the path of its nodes, and the path of its layers. The two differ where layers are shared.
#[derive(Clone, Copy)]
struct Place<'a> {
    node: Path<'a>,
    layer: Path<'a>,
}

impl Place<'_> {
    fn join<'b>(&'b self, name: &'b str) -> Place<'b> {
        Place { node: self.node.join(name), layer: self.layer.join(name) }
    }
}

/// Builds the described graph, for inputs of the shapes `x` (with the batch axis), with parameters from `source`.
pub(super) fn build(
    spec: &GraphSpec,
    x: Vec<Shape>,
    source: &mut dyn ParameterSource,
) -> Result<Graph, NnError> {
    let mut builder = Builder {
        source,
        layers: Vec::new(),
        known: HashMap::new(),
        applied: Vec::new(),
        parts: 0,
        nodes: Vec::new(),
        shapes: x.clone(),
    };
    let inputs: Vec<usize> = (0..x.len()).collect();
    let place = Place { node: Path::ROOT, layer: Path::ROOT };
    let outputs = builder.graph(spec, place, &inputs)?;
    let Builder { layers, nodes, shapes, .. } = builder;
    Ok(Graph::assemble(spec.clone(), x, layers, nodes, shapes.len(), outputs))
}

impl Builder<'_> {
    /// Adds the nodes of a layer that reads the values `x`. Returns its output values.
    fn lower(&mut self, spec: &LayerSpec, at: Place<'_>, x: &[usize]) -> Result<Vec<usize>, NnError> {
        self.count(1 + x.len())?;
        match spec {
            LayerSpec::Sequential { layers } => {
                check_names(layers.iter().map(|layer| layer.name.as_str()))?;
                self.chain(layers, at, x)
            }
            LayerSpec::Residual(spec) => self.residual(spec, at, x),
            LayerSpec::Concat { branches } => self.concat(branches, at, x),
            LayerSpec::MaxPoolUnpool2d(spec) => self.max_pool_unpool2d(spec, at, x),
            LayerSpec::Graph(spec) => self.graph(spec, at, x),
            leaf => self.leaf(leaf, at, x),
        }
    }

    fn count(&mut self, parts: usize) -> Result<(), NnError> {
        self.parts += parts;
        if self.parts > MOST_PARTS {
            let (what, rule) = ("the layers and values of a graph", "at most 65,536");
            return Err(NnError::Setting { what, rule, got: "more".into() });
        }
        Ok(())
    }

    /// Adds layers one after the other. Of a layer with several outputs, the next one reads the first.
    fn chain(&mut self, layers: &[NamedSpec], at: Place<'_>, x: &[usize]) -> Result<Vec<usize>, NnError> {
        let mut values = x.to_vec();
        for (i, NamedSpec { name, layer }) in layers.iter().enumerate() {
            if i > 0 {
                values.truncate(1);
            }
            values = self.lower(layer, at.join(name), &values).map_err(|fault| fault.within(name))?;
        }
        Ok(values)
    }

    fn residual(&mut self, spec: &ResidualSpec, at: Place<'_>, x: &[usize]) -> Result<Vec<usize>, NnError> {
        let ResidualSpec { layers, shortcut, after } = spec;
        let all = layers.iter().chain(shortcut.as_deref()).chain(after);
        check_names(all.map(|spec| spec.name.as_str()))?;
        let shortcut = shortcut.as_deref().map_or(&[][..], std::slice::from_ref);
        let (body, shortcut) = (self.chain(layers, at, x)?, self.chain(shortcut, at, x)?);
        let sum = self.leaf(&crate::spec::add(), at, &[&body[..], &shortcut].concat())?;
        self.chain(after, at, &sum)
    }

    fn concat(&mut self, branches: &[NamedSpec], at: Place<'_>, x: &[usize]) -> Result<Vec<usize>, NnError> {
        check_names(branches.iter().map(|spec| spec.name.as_str()))?;
        let mut parts = Vec::with_capacity(branches.len());
        for branch in branches {
            parts.extend(self.chain(std::slice::from_ref(branch), at, x)?);
        }
        self.leaf(&crate::spec::cat(1), at, &parts)
    }

    fn max_pool_unpool2d(
        &mut self,
        spec: &MaxPoolUnpool2dSpec,
        at: Place<'_>,
        x: &[usize],
    ) -> Result<Vec<usize>, NnError> {
        let MaxPoolUnpool2dSpec { pool, layers } = spec;
        check_names(layers.iter().map(|spec| spec.name.as_str()))?;
        // The node of the pooling needs a name that no layer has.
        let mut name = "max_pool2d".to_string();
        while layers.iter().any(|spec| spec.name == name) {
            name.push('_');
        }
        let pooled = self.leaf(&LayerSpec::MaxPool2dWithIndices(*pool), at.join(&name), x)?;
        let body = self.chain(layers, at, &pooled[..1])?;
        let (expected, got) = (self.shapes[pooled[0]], body.first().map(|&value| self.shapes[value]));
        if let Some(got) = got.filter(|got| *got != expected) {
            let (op, what) = ("max_pool_unpool2d", "what lies between pooling and unpooling");
            return Err(OpError::Shape { op, what, expected, got }.into());
        }
        self.leaf(&LayerSpec::MaxUnpool2d, at, &[&body[..], &pooled[1..], x].concat())
    }

    fn graph(&mut self, spec: &GraphSpec, at: Place<'_>, x: &[usize]) -> Result<Vec<usize>, NnError> {
        check_graph_names(spec)?;
        if spec.inputs.len() != x.len() {
            let what = "the number of inputs of a graph";
            return Err(NnError::Count { what, expected: spec.inputs.len(), got: x.len() });
        }
        let inputs = spec.inputs.iter().zip(x).map(|(name, &value)| (name.as_str(), vec![value]));
        let mut values: HashMap<&str, Vec<usize>> = inputs.collect();
        let numbers = numbers(spec);
        check_edges(spec, &numbers)?;
        for i in order(spec, &numbers)? {
            let node = &spec.nodes[i];
            let from = node.from.iter().map(|edge| value(&values, edge));
            let of_node = |fault: NnError| fault.within(&node.name);
            let from = from.collect::<Result<Vec<usize>, _>>().map_err(of_node)?;
            let (layer, owner) = layer_of(spec, &numbers, node).map_err(of_node)?;
            let here = Place { node: at.node.join(&node.name), layer: at.layer.join(owner) };
            values.insert(&node.name, self.lower(layer, here, &from).map_err(of_node)?);
        }
        let outputs = spec.outputs.iter().map(|edge| value(&values, edge));
        let outputs: Vec<usize> = outputs.collect::<Result<_, _>>()?;
        if outputs.is_empty() {
            let (what, rule) = ("the outputs of a graph", "at least one");
            return Err(NnError::Setting { what, rule, got: "none".into() });
        }
        self.count(outputs.len())?;
        Ok(outputs)
    }

    /// Adds the node of a single layer. The layer is built unless it is shared and already known.
    fn leaf(&mut self, spec: &LayerSpec, at: Place<'_>, x: &[usize]) -> Result<Vec<usize>, NnError> {
        let shapes: Vec<Shape> = x.iter().map(|&value| self.shapes[value]).collect();
        let path = at.layer.to_string();
        let layer = match self.known.get(&path) {
            Some(&layer) => layer,
            None => {
                let mut parameters = Parameters::new(at.layer, self.source);
                let layer = layers::build(spec, &shapes, &mut parameters)?;
                self.known.insert(path.clone(), self.layers.len());
                self.layers.push(Entry::new(path, layer, spec));
                self.applied.push(0);
                self.layers.len() - 1
            }
        };
        let outputs = self.layers[layer].layer.output_shapes(&shapes)?;
        self.count(outputs.len())?;
        let first = self.shapes.len();
        self.shapes.extend(outputs.iter().copied());
        let outputs = first..self.shapes.len();
        self.nodes.push(Node::new(at.node.to_string(), layer, self.applied[layer], x, outputs.clone()));
        self.applied[layer] += 1;
        Ok(outputs.collect())
    }
}

/// The index of the node with each name.
type Numbers<'a> = HashMap<&'a str, usize>;

fn numbers(spec: &GraphSpec) -> Numbers<'_> {
    spec.nodes.iter().enumerate().map(|(i, node)| (node.name.as_str(), i)).collect()
}

/// The layer of a node, and the name of the node that owns it.
fn layer_of<'a>(
    spec: &'a GraphSpec,
    numbers: &Numbers<'_>,
    node: &'a NodeSpec,
) -> Result<(&'a LayerSpec, &'a str), NnError> {
    match &node.compute {
        Compute::Layer(layer) => Ok((layer, &node.name)),
        Compute::Shares(of) => match numbers.get(of.as_str()).map(|&i| &spec.nodes[i]) {
            Some(NodeSpec { compute: Compute::Layer(layer), name, .. }) => Ok((layer, name)),
            _ => {
                let names = spec.nodes.iter().filter(|node| matches!(node.compute, Compute::Layer(_)));
                let got = quoted(of, names.map(|node| node.name.as_str()));
                let rule = "a node of the same graph with its own layer";
                Err(NnError::Setting { what: "the node whose layer is shared", rule, got })
            }
        },
    }
}

/// A name that was not found, with the nearest existing name if there is a likely one.
fn quoted<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> String {
    format!("\"{wrong}\"{}", hint(wrong, names))
}

/// The value that an edge refers to.
fn value(values: &HashMap<&str, Vec<usize>>, edge: &Edge) -> Result<usize, NnError> {
    let slots = &values[edge.node.as_str()];
    slots.get(edge.slot).copied().ok_or_else(|| {
        let what = "the output of a node that is read";
        let got =
            format!("output {} of {}, which has {} (counted from 0)", edge.slot, edge.node, slots.len());
        NnError::Setting { what, rule: "one that it has", got }
    })
}

/// Checks that nodes and outputs read existing nodes and inputs.
fn check_edges(spec: &GraphSpec, numbers: &Numbers<'_>) -> Result<(), NnError> {
    let inputs: HashSet<&str> = spec.inputs.iter().map(String::as_str).collect();
    let readers = spec.nodes.iter().flat_map(|node| node.from.iter().map(move |edge| (Some(node), edge)));
    for (reader, edge) in readers.chain(spec.outputs.iter().map(|edge| (None, edge))) {
        let name = edge.node.as_str();
        if !numbers.contains_key(name) && !inputs.contains(name) {
            let names = spec.inputs.iter().chain(spec.nodes.iter().map(|node| &node.name));
            let (what, rule) = ("the source of a node or an output", "a node or an input of the graph");
            let fault = NnError::Setting { what, rule, got: quoted(name, names.map(String::as_str)) };
            return Err(match reader {
                Some(node) => fault.within(&node.name),
                None => fault,
            });
        }
    }
    Ok(())
}

/// The nodes in an order in which each comes after those that it reads; the given order where possible.
fn order(spec: &GraphSpec, numbers: &Numbers<'_>) -> Result<Vec<usize>, NnError> {
    // Depth first, without recursion: a description may be a long chain in reverse.
    let (mut order, mut state) = (Vec::with_capacity(spec.nodes.len()), vec![State::New; spec.nodes.len()]);
    for root in 0..spec.nodes.len() {
        let mut open = vec![(root, 0)];
        while let Some((node, next)) = open.last_mut() {
            let node = *node;
            if *next == 0 && state[node] == State::Done {
                open.pop();
                continue;
            }
            state[node] = State::Open;
            let from = spec.nodes[node].from.get(*next);
            *next += 1;
            match from.map(|edge| numbers.get(edge.node.as_str())) {
                Some(Some(&read)) if state[read] == State::Open => {
                    let cycle = open.iter().skip_while(|(node, _)| *node != read);
                    let mut names: Vec<&str> =
                        cycle.map(|(node, _)| spec.nodes[*node].name.as_str()).collect();
                    names.push(names[0]);
                    let (what, rule) = ("a graph", "without cycles");
                    return Err(NnError::Setting { what, rule, got: names.join(" reads ") });
                }
                Some(Some(&read)) if state[read] == State::New => open.push((read, 0)),
                Some(_) => {}
                None => {
                    state[node] = State::Done;
                    order.push(node);
                    open.pop();
                }
            }
        }
    }
    Ok(order)
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Open,
    Done,
}

/// Checks that a name is at most 1000 characters long. Names are for people: one that fills pages is a mistake or an attack.
pub(crate) fn check_length(what: &'static str, name: &str) -> Result<(), NnError> {
    const LONGEST: usize = 1000;
    let length = name.chars().count();
    if length <= LONGEST {
        return Ok(());
    }
    let begin: String = name.chars().take(40).collect();
    let got = format!("one of {length} characters that begins with {begin}");
    Err(NnError::Setting { what, rule: "at most 1000 characters long", got })
}

/// Checks that names are not empty, are unique, and have no dot, so that dotted paths are unique.
fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), NnError> {
    let mut seen = HashSet::new();
    for name in names {
        if name.is_empty() || name.contains('.') || !seen.insert(name) {
            let rule = "neither empty nor used twice, and without a dot";
            return Err(NnError::Setting { what: "the name of a layer", rule, got: format!("{name:?}") });
        }
        check_length("the name of a layer", name)?;
    }
    Ok(())
}

/// The same for a graph, where a colon is not allowed either: edges have one before the number of an output.
fn check_graph_names(spec: &GraphSpec) -> Result<(), NnError> {
    let names = || spec.inputs.iter().chain(spec.nodes.iter().map(|node| &node.name)).map(String::as_str);
    if let Some(name) = names().find(|name| Edge::from(*name).node != **name) {
        let rule = "one that does not end in a colon and a number, as edges to another output do";
        return Err(NnError::Setting { what: "the name of a node", rule, got: format!("{name:?}") });
    }
    check_names(names())
}
