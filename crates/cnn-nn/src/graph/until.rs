//! Evaluation up to one node: features of a hidden layer.

use super::Graph;
use crate::probe::{Pass, pass};
use crate::{NnError, Tensors};
use cnn_tensor::Tensor;
use cnn_tensor::text::{hint, one_line};

impl Graph {
    /// The output of the node at the dotted path `name` for `x`, as in evaluation, for a network with one input. Only nodes on
    /// which it depends are run, and each value is freed after its last reader.
    ///
    /// ```
    /// use cnn_nn::{Graph, spec::{linear, relu}};
    /// use cnn_tensor::Tensor;
    /// let net = Graph::build([linear(20).named("fc1"), relu().named("relu"), linear(3).named("fc2")], [8], 0)?;
    /// assert_eq!(net.infer_until(&Tensor::zeros([5, 8]), "relu")?.shape().dims(), [5, 20]);
    /// let error = net.infer_until(&Tensor::zeros([5, 8]), "relu1").unwrap_err().to_string();
    /// assert_eq!(error, r#"the layer must be one of fc1, relu, fc2, got relu1; is "relu" meant?"#);
    /// # Ok::<(), cnn_nn::NnError>(())
    /// ```
    ///
    /// # Errors
    /// There is no such node, it has several outputs, the network has several inputs, or a layer cannot take its input.
    pub fn infer_until(&self, x: &Tensor, name: &str) -> Result<Tensor, NnError> {
        let target = self.node_named(name)?;
        self.check_inputs(1)?;
        // The readers of each value among the nodes that the target depends on. Nodes come after those that they read.
        let mut readers = vec![0; self.values];
        self.nodes[target].outputs.clone().for_each(|value| readers[value] = 1);
        let mut wanted = vec![false; target + 1];
        for (i, node) in self.nodes[..=target].iter().enumerate().rev() {
            wanted[i] = readers[node.outputs.clone()].iter().any(|&readers| readers > 0);
            if wanted[i] {
                node.reads.iter().for_each(|read| readers[read.value] += 1);
            }
        }
        let mut values: Vec<Option<Tensor>> = vec![None; self.values];
        values[0] = Some(x.clone()).filter(|_| readers[0] > 0);
        for (i, node) in self.nodes[..=target].iter().enumerate().filter(|(i, _)| wanted[*i]) {
            let inputs: Tensors = node
                .reads
                .iter()
                .map(|read| {
                    readers[read.value] -= 1;
                    let value = &mut values[read.value];
                    let taken = if readers[read.value] == 0 { value.take() } else { value.clone() };
                    taken.expect("nodes come after those that they read")
                })
                .collect();
            let y = pass(&node.path, Pass::Forward, || self.layers[node.layer].layer.infer(inputs));
            let y = y.and_then(|y| node.checked(y)).map_err(|fault| fault.within(&node.path))?;
            if i == target {
                return y.only("the number of outputs").map_err(|fault| fault.within(&node.path));
            }
            for (value, y) in node.outputs.clone().zip(y) {
                values[value] = Some(y).filter(|_| readers[value] > 0);
            }
        }
        unreachable!("the target is wanted")
    }

    /// The path of the node whose output the classifier reads: the features of an image, by which it is told apart from
    /// others. The classifier is the last node with weights. `None` if there is none, or if it reads the network's input.
    ///
    /// ```
    /// use cnn_nn::{Graph, spec::{linear, relu, softmax}};
    /// let net = Graph::build([linear(20).named("fc1"), relu().named("relu"), linear(3).named("fc2")], [8], 0)?;
    /// assert_eq!(net.before_classifier(), Some("relu"));
    /// # Ok::<(), cnn_nn::NnError>(())
    /// ```
    pub fn before_classifier(&self) -> Option<&str> {
        let has_weights = |layer: usize| {
            let mut weights = false;
            // Biases, scales and statistics are lists.
            self.layers[layer].layer.visit(&mut |_, _, tensor| weights |= tensor.shape().rank() > 1);
            weights
        };
        let classifier = self.nodes.iter().rev().find(|node| node.needed && has_weights(node.layer))?;
        let read = classifier.reads.first()?.value;
        let maker = self.nodes.iter().find(|node| node.outputs.contains(&read))?;
        Some(&maker.path)
    }

    /// The place of the node at that path.
    fn node_named(&self, name: &str) -> Result<usize, NnError> {
        self.nodes.iter().position(|node| node.path == name).ok_or_else(|| {
            let names = || self.nodes.iter().map(|node| node.path.as_str());
            let rule = format!("one of {}", names().map(one_line).collect::<Vec<_>>().join(", "));
            NnError::Name { what: "the layer", rule, got: format!("{name}{}", hint(name, names())) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{NamedSpec, add, conv2d, graph, linear, max_pool2d, relu, residual};
    use crate::{LayerSpec, layers};
    use cnn_tensor::testing::distinct;

    fn same_as_activations(net: &Graph, x: &Tensor) {
        let all = net.activations(x).unwrap();
        assert!(!all.is_empty());
        for (name, y) in all {
            assert_eq!(net.infer_until(x, name).unwrap(), y, "{name}");
        }
    }

    #[test]
    fn every_node_gives_what_it_gives_in_the_whole_network() {
        let chain: Vec<NamedSpec> = layers![
            conv2d(3, 3),
            relu(),
            residual([LayerSpec::from(conv2d(3, 3).padding(1)).named("0"), relu().named("1")]),
            max_pool2d(2),
            crate::spec::flatten(),
            linear(4).named("fc"),
        ];
        same_as_activations(&Graph::build(chain, [2, 8, 8], 3).unwrap(), &distinct([3, 2, 8, 8], 1));
        // A value with several readers, a layer applied twice.
        let spec = graph(["x"])
            .node("a", linear(5), ["x"])
            .node("b", relu(), ["a"])
            .node("c", linear(5), ["b"])
            .share("again", "c", ["c"])
            .node("sum", add(), ["a", "again"])
            .outputs(["sum"]);
        same_as_activations(&Graph::of(&spec, [[5]], 3).unwrap(), &distinct([2, 5], 1));
    }

    #[test]
    fn nodes_that_the_target_does_not_need_are_not_run() {
        // `wide` cannot take a batch of this width: the error shows whether it is run.
        let spec = graph(["x"])
            .node("wide", linear(3), ["x"])
            .node("early", relu(), ["x"])
            .node("late", relu(), ["early"])
            .outputs(["wide", "late"]);
        let net = Graph::of(&spec, [[4]], 0).unwrap();
        let x = distinct([2, 7], 1);
        assert_eq!(net.infer_until(&x, "late").unwrap().shape().dims(), [2, 7]);
        assert!(net.infer_until(&x, "wide").unwrap_err().to_string().starts_with("wide: linear: "));
    }

    #[test]
    fn networks_of_several_inputs_are_refused() {
        let spec = graph(["a", "b"]).node("sum", add(), ["a", "b"]).outputs(["sum"]);
        let net = Graph::of(&spec, [[4], [4]], 0).unwrap();
        let message = net.infer_until(&distinct([2, 4], 1), "sum").unwrap_err().to_string();
        assert_eq!(message, "the number of inputs must be 2, got 1");
    }

    #[test]
    fn the_classifier_is_the_last_node_with_weights() {
        let last = |layers: Vec<NamedSpec>| {
            Graph::build(layers, [2, 8, 8], 0).unwrap().before_classifier().map(String::from)
        };
        let fully = layers![conv2d(3, 3).named("conv"), relu().named("relu"), conv2d(9, 1).named("score")];
        assert_eq!(last(fully), Some("relu".into()));
        assert_eq!(last(layers![conv2d(3, 3)]), None);
        assert_eq!(last(layers![relu()]), None);
    }
}
