//! Which parts of a graph take part in training.

use super::Graph;
use crate::Role;
use cnn_tensor::Tensor;

/// Which parts of a graph take part in training: where gradients are wanted, and which layers are held fixed.
///
/// Nodes that do not depend on a trained parameter keep nothing and have no backward pass.
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
    /// For each parameter, whether it is trained.
    trained: Vec<bool>,
    /// For each node, whether gradients go back through it.
    pub(super) active: Vec<bool>,
    /// For each node, which inputs' gradients are wanted.
    pub(super) wants: Vec<Vec<bool>>,
    /// Whether the gradients with respect to the graph's inputs are wanted.
    pub(super) inputs: bool,
    /// For each layer, whether it is held fixed, which is to behave as in evaluation.
    pub(super) held: Vec<bool>,
}

impl Plan {
    /// The plan for training the parameters for which `trained` is true, in the order of [`Graph::visit`]. `inputs` says whether
    /// the gradients with respect to the graph's inputs are wanted.
    ///
    /// # Panics
    /// The length of `trained` is not the number of parameters.
    pub fn new(graph: &Graph, trained: &[bool], inputs: bool) -> Self {
        Self::leading_to(graph, trained, inputs, None)
    }

    /// The plan for gradients with respect to one value, an input or the output of a node, with all layers held fixed.
    pub(crate) fn of_value(graph: &Graph, value: usize) -> Self {
        let count = graph.layers.last().map_or(0, |entry| entry.parameters.end);
        let mut plan = Self::leading_to(graph, &vec![false; count], false, Some(value));
        plan.held.fill(true);
        plan
    }

    fn leading_to(graph: &Graph, trained: &[bool], inputs: bool, value: Option<usize>) -> Self {
        let count = graph.layers.last().map_or(0, |entry| entry.parameters.end);
        assert_eq!(trained.len(), count, "one for each parameter");
        // Whether a gradient with respect to the value is needed for a wanted gradient.
        let mut leads = vec![false; graph.values];
        leads[..graph.inputs.len()].fill(inputs);
        leads.iter_mut().enumerate().for_each(|(i, leads)| *leads |= Some(i) == value);
        let (mut active, mut wants) = (Vec::new(), Vec::new());
        for node in &graph.nodes {
            let read: Vec<bool> = node.reads.iter().map(|read| leads[read.value]).collect();
            let own = trained[graph.layers[node.layer].parameters.clone()].contains(&true);
            let goes_back = node.needed && (own || read.contains(&true));
            for output in node.outputs.clone() {
                leads[output] |= goes_back;
            }
            active.push(goes_back);
            wants.push(read);
        }
        let held = vec![false; graph.layers.len()];
        Self { trained: trained.to_vec(), active, wants, inputs, held }
    }

    /// The same plan with layers held fixed: those with a parameter or buffer whose name `held` accepts. In training, batch
    /// normalisation then uses its running statistics and does not update them.
    #[must_use]
    pub fn holding(mut self, graph: &Graph, held: impl Fn(&str) -> bool) -> Self {
        for (entry, layer_held) in graph.layers.iter().zip(&mut self.held) {
            entry.layer.visit(&mut |name, _, _| *layer_held |= held(&super::state::join(&entry.path, name)));
        }
        self
    }

    /// For each parameter, whether it is trained.
    pub fn trained(&self) -> &[bool] {
        &self.trained
    }

    /// Whether an image's output depends on the other images of the batch.
    pub fn couples_images(&self, graph: &Graph) -> bool {
        let running = graph.nodes.iter().filter(|node| node.needed && !self.held[node.layer]);
        running.into_iter().any(|node| graph.layers[node.layer].layer.nature().couples_images)
    }

    /// A gradient of zeros for each parameter; an empty tensor for those that are not trained.
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
