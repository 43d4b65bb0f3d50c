//! What of a graph takes part in training.

use super::Graph;
use crate::Role;
use cnn_tensor::Tensor;

/// What of a graph takes part in training: where gradients are wanted, and which layers are held as they are.
///
/// Of what no trained parameter comes before, nothing is kept and nothing computed on the way back.
///
/// ```
/// use cnn_nn::{Graph, Plan, spec::{linear, relu}};
/// let net = Graph::build([linear(3).named("a"), relu().named("relu"), linear(2).named("b")], [4], 0)?;
/// let plan = Plan::new(&net, &[false, false, true, true], false); // b alone is trained
/// assert_eq!(plan.gradients(&net)[2].shape().dims(), [2, 3]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// By parameter: whether it is trained.
    trained: Vec<bool>,
    /// By node: whether gradients go back through it.
    pub(super) active: Vec<bool>,
    /// By node: which of its inputs' gradients are wanted.
    pub(super) wants: Vec<Vec<bool>>,
    /// By input of the graph: whether its gradient is wanted.
    pub(super) inputs: bool,
    /// By layer: whether it is held.
    pub(super) held: Vec<bool>,
}

impl Plan {
    /// For training of those parameters, by number in the order of [`Graph::visit`]; `inputs` says whether the gradients with
    /// respect to the graph's inputs are wanted.
    ///
    /// # Panics
    /// `trained` is not one for each parameter.
    pub fn new(graph: &Graph, trained: &[bool], inputs: bool) -> Self {
        let count = graph.layers.last().map_or(0, |entry| entry.parameters.end);
        assert_eq!(trained.len(), count, "one for each parameter");
        // Whether a gradient with respect to the value leads to somebody who wants it.
        let mut leads = vec![false; graph.values];
        leads[..graph.inputs.len()].fill(inputs);
        let (mut active, mut wants) = (Vec::new(), Vec::new());
        for node in &graph.nodes {
            let read: Vec<bool> = node.reads.iter().map(|read| leads[read.value]).collect();
            let own = trained[graph.layers[node.layer].parameters.clone()].contains(&true);
            let goes_back = node.needed && (own || read.contains(&true));
            leads[node.outputs.clone()].fill(goes_back);
            active.push(goes_back);
            wants.push(read);
        }
        let held = vec![false; graph.layers.len()];
        Self { trained: trained.to_vec(), active, wants, inputs, held }
    }

    /// The same with layers held as they are in training, too: those of which a parameter or buffer has a name that `held`
    /// takes. Batch normalisation then goes by its running statistics and keeps them.
    #[must_use]
    pub fn holding(mut self, graph: &Graph, held: impl Fn(&str) -> bool) -> Self {
        for (entry, layer_held) in graph.layers.iter().zip(&mut self.held) {
            entry.layer.visit(&mut |name, _, _| *layer_held |= held(&super::state::join(&entry.path, name)));
        }
        self
    }

    /// Whether each parameter is trained, by number.
    pub fn trained(&self) -> &[bool] {
        &self.trained
    }

    /// Whether an image's output depends on the other images of the batch.
    pub fn couples_images(&self, graph: &Graph) -> bool {
        let running = graph.nodes.iter().filter(|node| node.needed && !self.held[node.layer]);
        running.into_iter().any(|node| graph.layers[node.layer].layer.nature().couples_images)
    }

    /// A gradient of zeros for each parameter; an empty tensor where none is computed.
    pub fn gradients(&self, graph: &Graph) -> Vec<Tensor> {
        let mut gradients = Vec::new();
        for (number, entry) in graph.layers.iter().enumerate() {
            let mut nodes = graph.nodes.iter().zip(&self.active).filter(|(node, _)| node.layer == number);
            let own = self.trained[entry.parameters.clone()].contains(&true);
            let active = own || nodes.any(|(_, active)| *active);
            entry.layer.visit(&mut |_, role, tensor| {
                if role == Role::Parameter {
                    gradients.push(if active { Tensor::zeros(tensor.shape()) } else { Tensor::default() });
                }
            });
        }
        gradients
    }
}
