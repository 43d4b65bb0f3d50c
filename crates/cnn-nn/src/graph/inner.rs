//! The inner values of a graph by number, and gradients from one to another, for [`explain`](crate::explain).

use super::{Graph, Node, Plan, Trace};
use crate::explain::{Region, Rule};
use crate::{At, NnError};
use cnn_tensor::{Shape, Tensor};

/// A value, another one that it depends on, and the gradient of the first with respect to the second.
pub(crate) struct Gradient {
    pub of: Tensor,
    pub to: Tensor,
    pub gradient: Tensor,
}

/// A node that the explained output depends on.
#[derive(Clone, Debug)]
pub(crate) struct Inner<'a> {
    pub path: &'a str,
    pub kind: &'static str,
    /// The path of its layer, which differs from its own where layers are shared.
    pub layer: &'a str,
    /// The number of its first output.
    pub value: usize,
    pub reads: Vec<usize>,
}

impl Inner<'_> {
    /// Whether the [`Rule`] of a backward pass applies to it.
    pub fn is_rectifier(&self) -> bool {
        matches!(self.kind, "relu" | "relu6")
    }
}

impl Graph {
    /// The shape of every value, for one example.
    pub(crate) fn value_shapes(&self) -> Vec<Shape> {
        let mut shapes = self.inputs.clone();
        let seen = self.shapes(&self.inputs, |_, _, y| shapes.extend_from_slice(y));
        seen.expect("the layers took these shapes when they were built");
        shapes
    }

    /// The number of the first output, before any softmax.
    pub(crate) fn scores(&self) -> usize {
        let mut value = self.outputs[0].value;
        while let Some(node) = self.maker(value)
            && self.layers[node.layer].layer.kind().ends_with("softmax")
        {
            value = node.reads[0].value;
        }
        value
    }

    /// The nodes on which the value depends, in the order of execution, the one that makes it included.
    pub(crate) fn leading_to(&self, value: usize) -> Vec<Inner<'_>> {
        let mut wanted = vec![false; self.values];
        wanted[value] = true;
        let mut nodes = Vec::new();
        for node in self.nodes.iter().rev() {
            if wanted[node.outputs.clone()].contains(&true) {
                node.reads.iter().for_each(|read| wanted[read.value] = true);
                let entry = &self.layers[node.layer];
                let reads = node.reads.iter().map(|read| read.value).collect();
                let (path, kind, value) = (node.path.as_str(), entry.layer.kind(), node.outputs.start);
                nodes.push(Inner { path, kind, layer: &entry.path, value, reads });
            }
        }
        nodes.reverse();
        nodes
    }

    fn maker(&self, value: usize) -> Option<&Node> {
        self.nodes.iter().find(|node| node.outputs.contains(&value))
    }

    /// The value for `x`, as in evaluation.
    pub(crate) fn value_at(&self, x: &Tensor, value: usize) -> Result<Tensor, NnError> {
        // A plan without gradients: nothing is kept.
        let plan = Plan::of_value(self, usize::MAX);
        let mut seen = Some(x.clone()).filter(|_| value == 0);
        self.forward_seen(&plan, x.into(), At::default(), &mut Trace::default(), |node, y| {
            if node.outputs.contains(&value) {
                seen = y.get(value - node.outputs.start).cloned();
            }
        })?;
        seen.ok_or_else(not_computed)
    }

    /// The value `of` for `x`, as in evaluation; and its gradient with respect to the value `to`, by `rule`. `seed` makes the
    /// gradient of `of` from its value. Where `of` does not depend on `to`, the gradient is 0.
    pub(crate) fn gradient_at(
        &self,
        x: &Tensor,
        (of, to): (usize, usize),
        rule: Rule,
        seed: impl FnOnce(&Tensor) -> Result<Tensor, NnError>,
    ) -> Result<Gradient, NnError> {
        let plan = Plan::of_value(self, to);
        let (mut trace, mut seen) =
            (Trace::default(), [of, to].map(|value| Some(x.clone()).filter(|_| value == 0)));
        self.forward_seen(&plan, x.into(), At::default(), &mut trace, |node, y| {
            for (seen, value) in seen.iter_mut().zip([of, to]) {
                if node.outputs.contains(&value) {
                    *seen = y.get(value - node.outputs.start).cloned();
                }
            }
        })?;
        let [Some(value), Some(at)] = seen else { return Err(not_computed()) };
        let seeds = std::iter::once((of, Some(seed(&value)?)));
        let gradients = &mut plan.gradients(self);
        let gradient = self.go_back(rule, &plan, &mut trace, seeds, gradients)?[to].take();
        let gradient = gradient.unwrap_or_else(|| Tensor::zeros(at.shape()));
        Ok(Gradient { of: value, to: at, gradient })
    }

    /// The part of the graph's first input that the elements of the value at row and column `at` depend on. `None` if the value
    /// is not maps.
    pub(crate) fn receptive_field(
        &self,
        shapes: &[Shape],
        value: usize,
        [row, column]: [usize; 2],
    ) -> Option<Region> {
        let plane = |value: usize| shapes[value].nchw().map(|[_, _, h, w]| [h, w]);
        let [h, w] = plane(value)?;
        let mut seen: Vec<Option<Region>> = vec![None; self.values];
        seen[value] =
            Some(Region { rows: row.min(h)..(row + 1).min(h), columns: column.min(w)..(column + 1).min(w) });
        for node in self.nodes.iter().rev() {
            let reach = self.layers[node.layer].reach;
            for output in node.outputs.clone() {
                let Some(region) = seen[output].take() else { continue };
                for read in &node.reads {
                    // Lists of features have no rows and columns: each of them may depend on everything.
                    let part = match (plane(read.value), plane(output)) {
                        (Some(x), Some(y)) => reach.back(x, y, &region),
                        (Some([h, w]), None) => Region { rows: 0..h, columns: 0..w },
                        (None, _) => Region { rows: 0..1, columns: 0..1 },
                    };
                    let sum = seen[read.value].as_ref().map_or(part.clone(), |seen| seen.union(&part));
                    seen[read.value] = Some(sum);
                }
            }
        }
        seen[0].take()
    }
}

fn not_computed() -> NnError {
    let (what, rule) = ("a value that is looked at", "one that an output depends on");
    NnError::Setting { what, rule, got: "another".into() }
}
