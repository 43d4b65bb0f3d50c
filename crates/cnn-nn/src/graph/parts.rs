//! A graph taken apart, for programs that write it in another form.

use super::Graph;
use crate::{LayerSpec, Role};
use cnn_tensor::{Shape, Tensor};

/// A node of a graph whose containers are taken apart.
///
/// Values are numbered: first the graph's inputs, then the outputs of each node, in the order of execution.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// The dotted path of the node.
    pub path: &'a str,
    /// The dotted path of its layer: another node's, where that one's layer is shared. The tensors' names begin with it.
    pub owner: &'a str,
    /// The layer's description, never a container.
    pub layer: &'a LayerSpec,
    /// The layer's tensors, with their names in the layer.
    pub tensors: Vec<(String, Role, &'a Tensor)>,
    /// The values that it reads, and their shapes for one image.
    pub reads: Vec<(usize, Shape)>,
    /// The values that it makes, and their shapes for one image.
    pub makes: Vec<(usize, Shape)>,
}

impl<'a> Part<'a> {
    /// The layer's tensor of that name, if it has one.
    pub fn tensor(&self, name: &str) -> Option<&'a Tensor> {
        self.tensors.iter().find(|(of, _, _)| of == name).map(|(_, _, tensor)| *tensor)
    }
}

impl Graph {
    /// The nodes on which an output depends, in the order of execution.
    ///
    /// ```
    /// use cnn_nn::{Graph, spec::{linear, relu}};
    /// let net = Graph::build([linear(3).named("fc"), relu().named("relu")], [2], 0)?;
    /// let parts = net.parts();
    /// assert_eq!((parts[0].path, parts[0].tensors[0].0.as_str()), ("fc", "weight"));
    /// assert_eq!((parts[1].reads[0].0, parts[1].makes[0].0), (1, 2));
    /// assert_eq!(net.output_values(), [2]);
    /// # Ok::<(), cnn_nn::NnError>(())
    /// ```
    pub fn parts(&self) -> Vec<Part<'_>> {
        let mut parts = Vec::with_capacity(self.nodes.len());
        let mut nodes = self.nodes.iter();
        self.shapes(&self.inputs, |_, x, y| {
            let Some(node) = nodes.next().filter(|node| node.needed) else { return };
            let entry = &self.layers[node.layer];
            let mut tensors = Vec::new();
            entry.layer.visit(&mut |name, role, tensor| tensors.push((name.to_string(), role, tensor)));
            let reads = node.reads.iter().map(|read| read.value).zip(x.iter().copied()).collect();
            let makes = node.outputs.clone().zip(y.iter().copied()).collect();
            parts.push(Part {
                path: &node.path,
                owner: &entry.path,
                layer: &entry.spec,
                tensors,
                reads,
                makes,
            });
        })
        .expect("the layers took these shapes when they were built");
        parts
    }

    /// The numbers of the values that are the graph's outputs, as [`Graph::parts`] counts them.
    pub fn output_values(&self) -> Vec<usize> {
        self.outputs.iter().map(|read| read.value).collect()
    }
}
