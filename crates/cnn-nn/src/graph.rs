//! The network: a graph of layers that read each other's outputs.

mod build;
mod inner;
mod layer;
mod parts;
mod plan;
mod run;
mod state;
mod until;

pub(crate) use build::check_length;
pub(crate) use inner::Inner;
pub use parts::Part;
pub use plan::Plan;
pub use run::Trace;
pub use state::Name;

use crate::explain::Reach;
use crate::spec::{GraphSpec, LayerSpec, Listed};
use crate::{At, Fresh, Kept, Layer, List, NnError, ParameterSource, Role, Shapes, Summary, SummaryRow};
use cnn_tensor::{Shape, Tensor};
use std::fmt;
use std::ops::Range;

/// A network: layers that read each other's outputs. A graph is itself a [`Layer`].
///
/// It is built from a description: a chain of layers ([`Graph::build`]) or a [`GraphSpec`] ([`Graph::of`]). Containers such as
/// `residual` are taken apart into a single list of nodes, in which each node comes after those that it reads. A value is freed
/// after its last reader, and nodes that no output depends on are not run.
///
/// ```
/// use cnn_nn::{Graph, spec::{linear, relu}};
/// use cnn_tensor::Tensor;
/// // Only the input's shape is given; the layers' own are inferred.
/// let net = Graph::build([linear(200).named("fc1"), relu().named("relu"), linear(10).named("fc2")], [784], 0)?;
/// assert_eq!(net.infer(&Tensor::zeros([32, 784]))?.shape().dims(), [32, 10]);
///
/// let error = Graph::build([linear(10).named("fc")], [1, 28, 28], 0).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "fc: linear: x expects [n, features] (a flatten layer makes it so), got shape [1, 1, 28, 28]",
/// );
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub struct Graph {
    spec: GraphSpec,
    /// The shape of each input, for a batch of one.
    inputs: Vec<Shape>,
    layers: Vec<Entry>,
    /// In the order of execution.
    nodes: Vec<Node>,
    /// The number of values: the inputs, then the outputs of each node.
    values: usize,
    /// The values that are the graph's outputs.
    outputs: Vec<Read>,
    /// Whether the graph's outputs are exactly the outputs of the last node.
    ends_straight: bool,
    /// Whether each node reads exactly the outputs of the one before.
    is_chain: bool,
    /// The plan for training all parameters.
    plan: Plan,
}

/// A layer in the graph.
struct Entry {
    /// The dotted path.
    path: String,
    layer: Box<dyn Layer>,
    spec: LayerSpec,
    /// The range of its parameters' numbers in the graph.
    parameters: Range<usize>,
    reach: Reach,
}

impl Entry {
    fn new(path: String, layer: Box<dyn Layer>, spec: &LayerSpec) -> Self {
        Self { path, layer, spec: spec.clone(), parameters: 0..0, reach: Reach::of(spec) }
    }
}

/// One application of a layer.
struct Node {
    /// The dotted path.
    path: String,
    layer: usize,
    /// How many earlier nodes apply the same layer.
    application: u64,
    reads: Vec<Read>,
    /// The values that the node produces.
    outputs: Range<usize>,
    /// For each output, whether it is read.
    read: Vec<bool>,
    /// Whether an output of the graph depends on it.
    needed: bool,
    /// Whether the node reads exactly the outputs of the needed node before it, and no later node reads these.
    straight: bool,
}

/// A value that is read.
#[derive(Clone, Copy)]
struct Read {
    value: usize,
    /// Whether this is the value's last reader.
    last: bool,
}

impl Node {
    fn new(path: String, layer: usize, application: u64, reads: &[usize], outputs: Range<usize>) -> Self {
        let reads = reads.iter().map(|&value| Read { value, last: false }).collect();
        let read = vec![false; outputs.len()];
        Self { path, layer, application, reads, outputs, read, needed: false, straight: false }
    }

    /// The outputs of the layer, after checking that their number is the one stated when the graph was built.
    fn checked<T: Send + 'static>(&self, given: List<T>) -> Result<List<T>, NnError> {
        let (what, expected, got) = ("the number of outputs", self.outputs.len(), given.len());
        if got == expected { Ok(given) } else { Err(NnError::Count { what, expected, got }) }
    }
}

impl Graph {
    /// Builds a chain of layers with random parameters, for an input of shape `x` (without the batch axis). Layers without a name
    /// are named by their position: `0`, `1` and so on.
    ///
    /// # Errors
    /// A layer cannot take its input; the error names the layer, the expected input and the actual one. Or a name is
    /// empty, has a dot or occurs twice.
    pub fn build<const N: usize>(
        layers: impl IntoIterator<Item = impl Into<Listed>>,
        x: [usize; N],
        seed: u64,
    ) -> Result<Self, NnError> {
        Self::chain(layers, batch_of_one(&x)?, &mut Fresh { seed })
    }

    /// Builds a chain of layers with parameters from `source`, for an input of shape `x` (with the batch axis).
    ///
    /// # Errors
    /// An error of [`Graph::build`], or the source lacks a parameter.
    pub fn chain(
        layers: impl IntoIterator<Item = impl Into<Listed>>,
        x: Shape,
        source: &mut dyn ParameterSource,
    ) -> Result<Self, NnError> {
        Self::build_from(&GraphSpec::chain(layers), vec![x], source)
    }

    /// Builds the described graph with random parameters, for inputs of these shapes (without the batch axis).
    ///
    /// # Errors
    /// A name is missing, used twice or has a dot; nodes form a cycle; a node reads an output that does not exist, or an input
    /// that its layer cannot take. The error names the node, the rule and the numbers.
    pub fn of<X: AsRef<[usize]>>(
        spec: &GraphSpec,
        x: impl IntoIterator<Item = X>,
        seed: u64,
    ) -> Result<Self, NnError> {
        let x = x.into_iter().map(|x| batch_of_one(x.as_ref())).collect::<Result<_, _>>()?;
        Self::build_from(spec, x, &mut Fresh { seed })
    }

    /// Builds the described graph with parameters from `source`, for inputs of these shapes (with the batch axis).
    ///
    /// # Errors
    /// An error of [`Graph::of`], or the source lacks a parameter.
    pub fn build_from(
        spec: &GraphSpec,
        x: Vec<Shape>,
        source: &mut dyn ParameterSource,
    ) -> Result<Self, NnError> {
        build::build(spec, x, source)
    }

    /// Derives data from the nodes: the last reader of each value, which nodes are needed, and the numbers of the parameters.
    fn assemble(
        spec: GraphSpec,
        inputs: Vec<Shape>,
        mut layers: Vec<Entry>,
        mut nodes: Vec<Node>,
        values: usize,
        outputs: Vec<usize>,
    ) -> Self {
        let mut read_later = vec![false; values];
        let mut last = |value: usize| !std::mem::replace(&mut read_later[value], true);
        let mut outputs: Vec<Read> =
            outputs.into_iter().rev().map(|value| Read { value, last: last(value) }).collect();
        outputs.reverse();
        for node in nodes.iter_mut().rev() {
            // All readers of its outputs have been visited. Nodes that are not needed were skipped.
            node.read.copy_from_slice(&read_later[node.outputs.clone()]);
            node.needed = node.read.contains(&true);
            if node.needed {
                for read in node.reads.iter_mut().rev() {
                    read.last = !std::mem::replace(&mut read_later[read.value], true);
                }
            }
        }
        // Finds the nodes that read exactly the outputs of the one before.
        let mut made = 0..inputs.len();
        for node in nodes.iter_mut().filter(|node| node.needed) {
            node.straight = are_all_of(&node.reads, &made);
            made = node.outputs.clone();
        }
        let ends_straight = are_all_of(&outputs, &made);
        let is_chain = ends_straight && nodes.iter().all(|node| node.straight || !node.needed);
        let mut count = 0;
        for entry in &mut layers {
            let first = count;
            entry.layer.visit(&mut |_, role, _| count += usize::from(role == Role::Parameter));
            entry.parameters = first..count;
        }
        let plan = Plan::default();
        let mut graph = Self { spec, inputs, layers, nodes, values, outputs, ends_straight, is_chain, plan };
        graph.plan = Plan::new(&graph, &vec![true; count], true);
        graph
    }

    /// The description.
    pub fn spec(&self) -> &GraphSpec {
        &self.spec
    }

    /// The shapes of the inputs that the graph was built for, with a batch axis of 1.
    pub fn inputs(&self) -> &[Shape] {
        &self.inputs
    }

    /// The shapes of the outputs, for one example of the inputs that the graph was built for.
    pub fn outputs(&self) -> Shapes {
        self.output_shapes(&self.inputs).expect("the layers took these shapes when they were built")
    }

    /// The shape of [`Graph::outputs`] of a graph with one output.
    ///
    /// # Errors
    /// The graph has several outputs.
    pub fn output_shape(&self) -> Result<Shape, NnError> {
        self.outputs().only("the number of outputs")
    }

    /// The dotted path and the kind of each node, in the order of execution.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.nodes.iter().map(|node| (node.path.as_str(), self.layers[node.layer].layer.kind()))
    }

    /// The output for `x`, as in evaluation, for a network with one input and one output.
    ///
    /// # Errors
    /// The network has several inputs or outputs, or a layer cannot take its input.
    pub fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        // The clone only increases a reference count. The first layer that writes finds the memory shared, and copies.
        self.infer_owned(x.clone())
    }

    /// As [`Graph::infer`], taking ownership of the input, whose memory the output may reuse.
    ///
    /// # Errors
    /// The errors of [`Graph::infer`].
    pub fn infer_owned(&self, x: Tensor) -> Result<Tensor, NnError> {
        Layer::infer(self, x.into())?.only("the number of outputs")
    }

    /// The output for `x`, as in training, for a network with one input and one output. `kept` stores the values that
    /// [`Layer::backward`] reads.
    ///
    /// # Errors
    /// The errors of [`Graph::infer`].
    pub fn forward_one(&self, x: Tensor, at: At, kept: &mut Kept) -> Result<Tensor, NnError> {
        Layer::forward(self, x.into(), at, kept)?.only("the number of outputs")
    }

    /// The path of each node and its output for `x`, as in evaluation, for a network with one input.
    ///
    /// # Errors
    /// A layer cannot take its input.
    pub fn activations(&self, x: &Tensor) -> Result<Vec<(&str, Tensor)>, NnError> {
        let mut seen = Vec::with_capacity(self.nodes.len());
        self.watch(x.into(), |path, y| seen.push((path, y.clone())))?;
        Ok(seen)
    }

    /// The table of layers, output shapes, parameters and multiply-accumulates, for one example.
    pub fn summary(&self) -> Summary {
        let rows = self.rows(&self.inputs).expect("the layers took these shapes when they were built");
        Summary { rows }
    }

    /// A row for each node, for inputs of the shapes `x`. Shared parameters are counted once.
    pub(crate) fn rows(&self, x: &[Shape]) -> Result<Vec<SummaryRow>, NnError> {
        let mut rows = Vec::with_capacity(self.nodes.len());
        self.shapes(x, |node, x, y| {
            let layer = &self.layers[node.layer].layer;
            let mut parameters = 0;
            layer.visit(&mut |_, role, tensor| {
                let counts = role == Role::Parameter && node.application == 0;
                parameters += if counts { tensor.shape().numel() as u64 } else { 0 };
            });
            let (path, kind, macs) = (node.path.clone(), layer.kind(), layer.macs(x));
            let output = y.first().copied().unwrap_or([0].into());
            rows.push(SummaryRow { path, kind, output, parameters, macs });
        })?;
        Ok(rows)
    }

    /// Calls `f` for each node with the shapes of its inputs and outputs. Returns the shapes of the graph's outputs.
    fn shapes(&self, x: &[Shape], mut f: impl FnMut(&Node, &[Shape], &[Shape])) -> Result<Shapes, NnError> {
        self.check_inputs(x.len())?;
        let mut values = Vec::with_capacity(self.values);
        values.extend_from_slice(x);
        for node in &self.nodes {
            let x: Vec<Shape> = node.reads.iter().map(|read| values[read.value]).collect();
            let y = self.layers[node.layer].layer.output_shapes(&x);
            let y = y.and_then(|y| node.checked(y)).map_err(|fault| fault.within(&node.path))?;
            f(node, &x, &y);
            values.extend_from_slice(&y);
        }
        Ok(self.outputs.iter().map(|read| values[read.value]).collect())
    }

    fn check_inputs(&self, got: usize) -> Result<(), NnError> {
        let (what, expected) = ("the number of inputs", self.inputs.len());
        if got == expected { Ok(()) } else { Err(NnError::Count { what, expected, got }) }
    }
}

/// Whether `reads` are exactly the values `made`, each read for the last time.
fn are_all_of(reads: &[Read], made: &Range<usize>) -> bool {
    let in_order = || reads.iter().zip(made.clone()).all(|(read, made)| read.value == made && read.last);
    reads.len() == made.len() && in_order()
}

/// `[1, x...]`.
pub(crate) fn batch_of_one(x: &[usize]) -> Result<Shape, NnError> {
    Ok(Shape::new(&[&[1], x].concat())?)
}

/// The paths and kinds of the nodes.
impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.nodes()).finish()
    }
}

#[cfg(test)]
mod tests;
