//! A graph as a layer, so that it can be checked like one.

use super::{Graph, Trace};
use crate::{At, Gradients, Grads, Kept, Layer, Nature, NnError, Role, Shapes, Tensors};
use cnn_tensor::{Shape, Tensor};

impl Layer for Graph {
    fn kind(&self) -> &'static str {
        "graph"
    }

    fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
        self.shapes(x, |_, _, _| {})
    }

    fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
        self.watch(x, |_, _| {})
    }

    fn forward(&self, x: Tensors, at: At, kept: &mut Kept) -> Result<Tensors, NnError> {
        self.forward_with(&self.plan, x, at, kept.get_or_default::<Trace>())
    }

    /// Returns the gradients with respect to all inputs, whichever are wanted.
    fn backward(&self, kept: &mut Kept, dy: Gradients, grads: &mut Grads<'_>) -> Result<Gradients, NnError> {
        self.backward_by(grads.rule(), &self.plan, kept.get_mut()?, dy, grads.all())
    }

    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        Graph::visit(self, &mut |name, role, tensor| f(&name.to_string(), role, tensor));
    }

    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        Graph::visit_mut(self, &mut |name, role, tensor| f(&name.to_string(), role, tensor));
    }

    fn settle(&mut self, kept: &mut Kept) -> Result<(), NnError> {
        let plan = self.plan.clone();
        self.settle_with(&plan, kept.get_mut()?)
    }

    fn nature(&self) -> Nature {
        let running = self.nodes.iter().filter(|node| node.needed);
        running.fold(Nature::default(), |sum, node| {
            let Nature { couples_images, training_differs, settles } = self.layers[node.layer].layer.nature();
            Nature {
                couples_images: sum.couples_images || couples_images,
                training_differs: sum.training_differs || training_differs,
                settles: sum.settles || settles,
            }
        })
    }

    fn macs(&self, x: &[Shape]) -> u64 {
        self.rows(x).map_or(0, |rows| rows.iter().fold(0, |sum, row| sum.saturating_add(row.macs)))
    }
}
