//! Graphs: layers that read each other's outputs by name.

use super::{LayerSpec, Listed, NamedSpec, by_position, described};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt;

/// A graph: named nodes, each with a layer and the outputs that it reads; any number of inputs and outputs.
///
/// Nodes may be listed in any order, but must not form a cycle. Inputs and nodes share one set of names. Two
///
/// ```
/// use cnn_nn::{Graph, spec::{add, conv2d, graph, relu}};
/// // A block with a connection that skips two layers.
/// let block = graph(["x"])
///     .node("conv1", conv2d(8, 3).padding(1), ["x"])
///     .node("relu", relu(), ["conv1"])
///     .node("conv2", conv2d(8, 3).padding(1), ["relu"])
///     .node("sum", add(), ["conv2", "x"])
///     .outputs(["sum"]);
/// let net = Graph::of(&block, [[8, 6, 6]], 0)?;
/// assert_eq!(net.output_shape()?.dims(), [1, 8, 6, 6]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphSpec {
    /// The names of the inputs.
    pub inputs: Vec<String>,
    /// The nodes.
    pub nodes: Vec<NodeSpec>,
    /// The outputs of the graph.
    pub outputs: Vec<Edge>,
}

described!(GraphSpec => Graph);

/// A graph with these inputs, but no nodes and outputs yet.
pub fn graph<const N: usize>(inputs: [&str; N]) -> GraphSpec {
    GraphSpec { inputs: inputs.map(String::from).into(), ..GraphSpec::default() }
}

impl GraphSpec {
    /// Adds a node that reads `from`: inputs and nodes by name, `"name:1"` for an output other than the first.
    #[must_use]
    pub fn node<'a>(
        self,
        name: &str,
        layer: impl Into<LayerSpec>,
        from: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        self.with(name, Compute::Layer(layer.into()), from)
    }

    /// Adds a node that shares the layer of the node `of`, and so its parameters.
    #[must_use]
    pub fn share<'a>(self, name: &str, of: &str, from: impl IntoIterator<Item = &'a str>) -> Self {
        self.with(name, Compute::Shares(of.into()), from)
    }

    /// A graph of layers in sequence. Of a layer with several outputs, the next one reads the first.
    pub fn chain(layers: impl IntoIterator<Item = impl Into<Listed>>) -> Self {
        let layers = by_position(layers);
        let mut input = "input".to_string();
        while layers.iter().any(|layer| layer.name == input) {
            input.push('_');
        }
        let mut from = Edge { node: input.clone(), slot: 0 };
        let nodes = layers.into_iter().map(|NamedSpec { name, layer }| {
            let next = Edge { node: name.clone(), slot: 0 };
            NodeSpec { name, compute: Compute::Layer(layer), from: vec![std::mem::replace(&mut from, next)] }
        });
        let nodes = nodes.collect();
        Self { inputs: vec![input], nodes, outputs: vec![from] }
    }

    fn with<'a>(mut self, name: &str, compute: Compute, from: impl IntoIterator<Item = &'a str>) -> Self {
        let from = from.into_iter().map(Edge::from).collect();
        self.nodes.push(NodeSpec { name: name.into(), compute, from });
        self
    }

    /// Sets the outputs.
    #[must_use]
    pub fn outputs<'a>(mut self, outputs: impl IntoIterator<Item = &'a str>) -> Self {
        self.outputs = outputs.into_iter().map(Edge::from).collect();
        self
    }
}

/// A node. In JSON, a layer's description with `"name"` and `"from": ["conv1", "pool:1"]`. A node that shares a layer has
/// `"shares": "conv1"` in place of the description.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSpec {
    /// The name: not empty, without a dot or a colon, and unique among its neighbours.
    pub name: String,
    /// The computation of the node.
    pub compute: Compute,
    /// The outputs that the node reads, in the order of its layer's inputs.
    pub from: Vec<Edge>,
}

/// The computation of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Compute {
    /// A layer that belongs to the node.
    Layer(LayerSpec),
    /// The layer of the node with this name, which is shared.
    Shares(String),
}

impl Serialize for NodeSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            name: &'a str,
            from: &'a [Edge],
            #[serde(flatten)]
            layer: Option<&'a LayerSpec>,
            #[serde(skip_serializing_if = "Option::is_none")]
            shares: Option<&'a str>,
        }
        let (layer, shares) = match &self.compute {
            Compute::Layer(layer) => (Some(layer), None),
            Compute::Shares(of) => (None, Some(of.as_str())),
        };
        Flat { name: &self.name, from: &self.from, layer, shares }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NodeSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys = Map::<String, Value>::deserialize(deserializer)?;
        let name = keys.get("name").and_then(Value::as_str).unwrap_or("?").to_string();
        let fault = |fault: &dyn fmt::Display| D::Error::custom(format!("node {name}: {fault}"));
        let from = keys.remove("from").ok_or_else(|| fault(&"missing field `from`"))?;
        let from = serde_json::from_value(from).map_err(|e| fault(&format_args!("from: {e}")))?;
        if let Some(of) = keys.remove("shares") {
            let of = of.as_str().ok_or_else(|| fault(&"`shares` expects the name of a node"))?.to_string();
            let unknown = keys.keys().find(|key| *key != "name");
            if let Some(key) = unknown {
                return Err(fault(&format_args!("unknown field `{key}` beside `shares`")));
            }
            let name = keys.remove("name").ok_or_else(|| fault(&"missing field `name`"))?;
            let name = serde_json::from_value(name).map_err(|e| fault(&e))?;
            return Ok(Self { name, compute: Compute::Shares(of), from });
        }
        let NamedSpec { name, layer } = NamedSpec::try_from(keys).map_err(D::Error::custom)?;
        Ok(Self { name, compute: Compute::Layer(layer), from })
    }
}

/// An output of a node, or an input of the graph. In JSON `"name"`, or `"name:1"` for an output other than the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The node or input.
    pub node: String,
    /// The number of the output, from 0.
    pub slot: usize,
}

impl From<&str> for Edge {
    fn from(text: &str) -> Self {
        let slot = text.rsplit_once(':').and_then(|(node, slot)| Some((node, slot.parse().ok()?)));
        let (node, slot) = slot.unwrap_or((text, 0));
        Self { node: node.into(), slot }
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.slot == 0 { f.write_str(&self.node) } else { write!(f, "{}:{}", self.node, self.slot) }
    }
}

impl Serialize for Edge {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Edge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(deserializer)?.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{conv2d, relu};

    #[test]
    fn json_is_short_and_comes_back() {
        let spec = graph(["a", "b"])
            .node("conv", conv2d(2, 3), ["a"])
            .share("twin", "conv", ["b"])
            .node("relu", relu(), ["twin:1"])
            .outputs(["conv", "relu"]);
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<GraphSpec>(&json).unwrap(), spec);
        let layer = LayerSpec::from(spec.clone());
        let json = serde_json::to_string(&layer).unwrap();
        assert!(json.contains(r#"{"name":"relu","from":["twin:1"],"type":"relu"}"#), "{json}");
        assert!(json.contains(r#"{"name":"twin","from":["b"],"shares":"conv"}"#), "{json}");
        assert_eq!(serde_json::from_str::<LayerSpec>(&json).unwrap(), layer);
    }

    #[test]
    fn faults_name_the_node() {
        let read = |json: &str| serde_json::from_str::<NodeSpec>(json).unwrap_err().to_string();
        assert_eq!(read(r#"{"name":"a","type":"relu"}"#), "node a: missing field `from`");
        assert_eq!(
            read(r#"{"name":"a","shares":"b","type":"relu","from":[]}"#),
            "node a: unknown field `type` beside `shares`"
        );
        assert!(read(r#"{"name":"a","type":"relu","slope":1,"from":[]}"#).contains("unknown field `slope`"));
        assert!(read(r#"{"name":"a","type":"relu","from":[1]}"#).starts_with("node a: from: "));
    }
}
