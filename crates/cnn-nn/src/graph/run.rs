//! The executor: evaluation, forward and backward passes, node by node.

use super::{Graph, Node, Plan, Read};
use crate::explain::Rule;
use crate::probe::{Pass, pass};
use crate::{At, Gradients, Grads, Kept, NnError, Tensors};
use cnn_ops::arithmetic;
use cnn_tensor::{Recycled, Tensor};

/// The values that a forward pass of a graph keeps for the backward pass. Its memory is reused in the next step.
#[derive(Default)]
pub struct Trace {
    /// For each node, the values that its layer keeps.
    kept: Vec<Kept>,
    /// The values still to be read; in the backward pass, their gradients.
    values: Vec<Option<Tensor>>,
}

impl Graph {
    /// The outputs for `x`, as in evaluation. Calls `f` with each node's path and first output.
    pub(super) fn watch<'a>(
        &'a self,
        x: Tensors,
        mut f: impl FnMut(&'a str, &Tensor),
    ) -> Result<Tensors, NnError> {
        let infer = |_: usize, node: &'a Node, x| {
            let y = self.layers[node.layer].layer.infer(x)?;
            y.first().into_iter().for_each(|y| f(&node.path, y));
            Ok(y)
        };
        // A chain does not need the table of values.
        match self.is_chain {
            true => self.run(x, &mut Vec::new(), infer),
            false => self.run(x, &mut Recycled::with_capacity(self.values), infer),
        }
    }

    /// Calls `apply` for one node after the other, with its inputs. Returns the graph's outputs. `values` holds the values still
    /// to be read. Values that only the next node reads are passed on directly.
    fn run<'a>(
        &'a self,
        x: Tensors,
        values: &mut Vec<Option<Tensor>>,
        mut apply: impl FnMut(usize, &'a Node, Tensors) -> Result<Tensors, NnError>,
    ) -> Result<Tensors, NnError> {
        self.check_inputs(x.len())?;
        values.clear();
        // The latest values, and the node that produced them; `None` for the graph's inputs.
        let (mut made, mut maker): (Tensors, Option<&Node>) = (x, None);
        for (i, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.needed) {
            let x = match node.straight {
                true => made,
                false => {
                    self.put(made, maker, values);
                    node.take_inputs(values)
                }
            };
            let y = pass(&node.path, Pass::Forward, || apply(i, node, x));
            made = y.and_then(|y| node.checked(y)).map_err(|fault| fault.within(&node.path))?;
            maker = Some(node);
        }
        if self.ends_straight {
            return Ok(made);
        }
        self.put(made, maker, values);
        let outputs = self.outputs.iter().map(|read| take(values, *read)).collect();
        values.clear();
        Ok(outputs)
    }

    /// Stores the outputs of a node, or the inputs of the graph, in the table.
    fn put(&self, made: Tensors, maker: Option<&Node>, values: &mut Vec<Option<Tensor>>) {
        values.resize_with(self.values, || None);
        let Some(node) = maker else {
            return values.iter_mut().zip(made).for_each(|(value, x)| *value = Some(x));
        };
        for ((value, y), read) in values[node.outputs.clone()].iter_mut().zip(made).zip(&node.read) {
            *value = Some(y).filter(|_| *read);
        }
    }

    /// The outputs for `x`, as in training. `trace` stores the values that [`Graph::backward_with`] reads.
    ///
    /// # Errors
    /// A layer cannot take its input; the error names it.
    pub fn forward_with(
        &self,
        plan: &Plan,
        x: Tensors,
        at: At,
        trace: &mut Trace,
    ) -> Result<Tensors, NnError> {
        self.forward_seen(plan, x, at, trace, |_, _| {})
    }

    /// As [`Graph::forward_with`]. Calls `see` with each node and its outputs.
    pub(super) fn forward_seen(
        &self,
        plan: &Plan,
        x: Tensors,
        at: At,
        trace: &mut Trace,
        mut see: impl FnMut(&Node, &Tensors),
    ) -> Result<Tensors, NnError> {
        let Trace { kept, values } = trace;
        kept.resize_with(self.nodes.len(), Kept::default);
        self.run(x, values, |i, node, x| {
            let y = self.step_forward(plan, i, node, x, at, &mut kept[i])?;
            see(node, &y);
            Ok(y)
        })
    }

    /// The outputs of node `i` for `x`, as in training.
    fn step_forward(
        &self,
        plan: &Plan,
        i: usize,
        node: &Node,
        x: Tensors,
        at: At,
        kept: &mut Kept,
    ) -> Result<Tensors, NnError> {
        let (layer, held) = (&self.layers[node.layer].layer, plan.held[node.layer]);
        let at = At { application: node.application, held, ..at };
        if plan.active[i] {
            return layer.forward(x, at, kept);
        }
        // A node without a backward pass keeps only the values that `settle` reads.
        let nature = layer.nature();
        if held || !(nature.training_differs || nature.settles) {
            kept.clear();
            return layer.infer(x);
        }
        let y = layer.forward(x, at, kept);
        if !nature.settles {
            kept.clear();
        }
        y
    }

    /// The gradients with respect to the inputs, if `plan` wants them, given those with respect to the outputs of the last
    /// [`Graph::forward_with`] with the same plan and trace. Adds the gradients of the parameters to `gradients`, by number.
    ///
    /// # Errors
    /// There was no forward pass, or a gradient has another shape than its output.
    pub fn backward_with(
        &self,
        plan: &Plan,
        trace: &mut Trace,
        dy: Gradients,
        gradients: &mut [Tensor],
    ) -> Result<Gradients, NnError> {
        self.backward_by(Rule::Plain, plan, trace, dy, gradients)
    }

    /// As [`Graph::backward_with`], by another rule than the derivative.
    pub(super) fn backward_by(
        &self,
        rule: Rule,
        plan: &Plan,
        trace: &mut Trace,
        dy: Gradients,
        gradients: &mut [Tensor],
    ) -> Result<Gradients, NnError> {
        if dy.len() != self.outputs.len() {
            let (what, expected) = ("the number of gradients", self.outputs.len());
            return Err(NnError::Count { what, expected, got: dy.len() });
        }
        let seeds = self.outputs.iter().map(|read| read.value).zip(dy);
        let values = self.go_back(rule, plan, trace, seeds, gradients)?;
        Ok(values[..self.inputs.len()].iter_mut().map(|dx| dx.take().filter(|_| plan.inputs)).collect())
    }

    /// Passes the gradients `seeds` of values, by number, back through the active nodes. Returns the gradients of the values that
    /// no active node made.
    pub(super) fn go_back<'a>(
        &self,
        rule: Rule,
        plan: &Plan,
        trace: &'a mut Trace,
        seeds: impl Iterator<Item = (usize, Option<Tensor>)>,
        gradients: &mut [Tensor],
    ) -> Result<&'a mut [Option<Tensor>], NnError> {
        let Trace { kept, values } = trace;
        kept.resize_with(self.nodes.len(), Kept::default);
        values.clear();
        values.resize_with(self.values, || None);
        for (value, dy) in seeds {
            add(&mut values[value], dy)?;
        }
        for (i, node) in self.nodes.iter().enumerate().rev().filter(|&(i, _)| plan.active[i]) {
            let dy: Gradients = values[node.outputs.clone()].iter_mut().map(Option::take).collect();
            let entry = &self.layers[node.layer];
            if dy.iter().all(Option::is_none) {
                if !entry.layer.nature().settles {
                    kept[i].clear();
                }
                continue;
            }
            let wants = &plan.wants[i];
            let kind = if wants.contains(&true) { Pass::Backward } else { Pass::BackwardFirst };
            let mut grads = Grads::new(&mut gradients[entry.parameters.clone()], wants).with_rule(rule);
            let dx = pass(&node.path, kind, || entry.layer.backward(&mut kept[i], dy, &mut grads));
            let dx = dx.map_err(|fault| fault.within(&node.path))?;
            let wanted = node.reads.iter().zip(dx).zip(wants).filter(|(_, wanted)| **wanted);
            for ((read, dx), _) in wanted {
                add(&mut values[read.value], dx).map_err(|fault| fault.within(&node.path))?;
            }
        }
        Ok(values)
    }

    /// Calls [`Layer::settle`](crate::Layer::settle) for each layer, so that it takes over statistics of the step's batch.
    ///
    /// # Errors
    /// `trace` does not hold the values of a forward pass of this graph.
    pub fn settle_with(&mut self, plan: &Plan, trace: &mut Trace) -> Result<(), NnError> {
        for (node, kept) in self.nodes.iter().zip(&mut trace.kept).filter(|(node, _)| node.needed) {
            let layer = &mut self.layers[node.layer].layer;
            if layer.nature().settles && !plan.held[node.layer] {
                layer.settle(kept).map_err(|fault| fault.within(&node.path))?;
            }
        }
        Ok(())
    }
}

impl Node {
    fn take_inputs(&self, values: &mut [Option<Tensor>]) -> Tensors {
        self.reads.iter().map(|read| take(values, *read)).collect()
    }
}

/// The value: moved for its last reader, shared for others.
fn take(values: &mut [Option<Tensor>], read: Read) -> Tensor {
    let value = &mut values[read.value];
    let taken = if read.last { value.take() } else { value.clone() };
    taken.expect("nodes come after those that they read")
}

/// Adds a gradient to the sum over the value's other readers.
fn add(sum: &mut Option<Tensor>, dx: Option<Tensor>) -> Result<(), NnError> {
    *sum = match (sum.take(), dx) {
        (Some(sum), Some(dx)) => Some(arithmetic::add(sum, &dx)?),
        (sum, dx) => sum.or(dx),
    };
    Ok(())
}
