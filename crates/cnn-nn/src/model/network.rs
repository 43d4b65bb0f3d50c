//! The file of a graph, for networks with any inputs and outputs.

use crate::checkpoint::{self, Saved};
use crate::spec::GraphSpec;
use crate::{Graph, Loaded, NnError};
use cnn_tensor::Shape;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The metadata that identifies such a file.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    /// The shape of each input, without the batch axis.
    inputs: Vec<Vec<usize>>,
    graph: GraphSpec,
}

pub(super) const FORMAT: &str = "cnn-graph";
const VERSION: u32 = 1;

impl Graph {
    /// Writes the network to a safetensors file, with its description in the metadata. An existing file at `path` stays intact
    /// until the new one is complete. Save a classifier of images as a [`Model`](crate::Model) instead, which includes the
    /// preprocessing.
    ///
    /// ```
    /// use cnn_nn::{Graph, spec::{graph, linear, sub}};
    /// // Two inputs that go through one and the same layer.
    /// let spec = graph(["a", "b"])
    ///     .node("trunk", linear(3), ["a"])
    ///     .share("twin", "trunk", ["b"])
    ///     .node("difference", sub(), ["trunk", "twin"])
    ///     .outputs(["difference"]);
    /// let net = Graph::of(&spec, [[4], [4]], 0)?;
    /// let file = tempfile::NamedTempFile::new()?;
    /// net.save(file.path())?;
    /// let again = Graph::load(file.path())?;
    /// assert_eq!((again.spec(), again.tensors()), (net.spec(), net.tensors()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), NnError> {
        let path = path.as_ref();
        let inputs = self.inputs().iter().map(|shape| shape.dims()[1..].to_vec()).collect();
        let header = Header { format: FORMAT.into(), version: VERSION, inputs, graph: self.spec().clone() };
        let description = serde_json::to_string(&header).map_err(|e| super::fault(path, e))?;
        checkpoint::save(path, &description, &self.tensors())
    }

    /// Loads a network from a file that [`Graph::save`] wrote.
    ///
    /// # Errors
    /// The file cannot be read, is not a safetensors file, does not describe a network of this library, or has a tensor too
    /// few or too many for the description.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, NnError> {
        let path = path.as_ref();
        Self::from_saved(checkpoint::load(path)?, path)
    }

    /// As [`Graph::load`], from the contents that [`checkpoint::load`] read from `path`. Errors name `path`.
    ///
    /// # Errors
    /// Those of [`Graph::load`], but for those of reading.
    pub fn from_saved(saved: Saved, path: &Path) -> Result<Self, NnError> {
        let Saved { description, tensors, .. } = saved.whole(path)?;
        let header: Header = super::header(description, path, (FORMAT, VERSION))?;
        let shapes = header.inputs.iter().map(|dims| Shape::new(&[&[1], &dims[..]].concat()));
        let shapes = shapes.collect::<Result<_, _>>().map_err(|e| super::fault(path, e))?;
        let mut source = Loaded { tensors };
        let net =
            Self::build_from(&header.graph, shapes, &mut source).map_err(|fault| fault.in_file(path))?;
        source.finish().map_err(|fault| fault.in_file(path))?;
        Ok(net)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{flatten, linear};
    use crate::{Input, Model, ModelSpec};

    fn refusal(header: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        checkpoint::save(file.path(), header, &[]).unwrap();
        let message = Graph::load(file.path()).unwrap_err().to_string();
        message.strip_prefix(&format!("{}: ", file.path().display())).expect("the file's name first").into()
    }

    #[test]
    fn other_files_are_told_apart() {
        let net = Graph::build([linear(2).named("fc")], [4], 0).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        net.save(file.path()).unwrap();
        let message = Model::load(file.path()).unwrap_err().to_string();
        assert!(message.ends_with("found \"cnn-graph\" version 1: Graph::load reads it"), "{message}");

        let input = Input::gray(2, 2, 0.5, 0.5);
        let layers = vec![flatten().named("flatten"), linear(2).named("fc")];
        let spec = ModelSpec { name: "tiny".into(), input, classes: vec!["a".into(), "b".into()], layers };
        Model::build(spec, 0).unwrap().save(file.path()).unwrap();
        let message = Graph::load(file.path()).unwrap_err().to_string();
        assert!(message.ends_with("found \"cnn-model\" version 1: Model::load reads it"), "{message}");

        let newer = r#"{"format":"cnn-graph","version":2,"more":true}"#;
        let later = "a later version of this library wrote it, and reads it";
        assert_eq!(
            refusal(newer),
            format!("expected format \"cnn-graph\" version 1, found \"cnn-graph\" version 2: {later}")
        );
    }

    #[test]
    fn descriptions_that_lie_are_refused() {
        let header = |inputs: &str, nodes: &str| {
            format!(
                r#"{{"format":"cnn-graph","version":1,"inputs":{inputs},
                "graph":{{"inputs":["x"],"nodes":[{nodes}],"outputs":["a"]}}}}"#
            )
        };
        let linear = r#"{"name":"a","type":"linear","out_features":1099511627776,"from":["x"]}"#;
        let message = refusal(&header("[[4]]", linear));
        assert!(message.contains("the model expects shape [1099511627776, 4]"), "{message}");
        let relu = r#"{"name":"a","type":"relu","from":["x"]}"#;
        let message = refusal(&header("[[1,1,1,1,1,1,1]]", relu));
        assert!(message.contains("at most 6"), "{message}");
        let message = refusal(&header("[]", relu));
        assert_eq!(message, "the number of inputs of a graph must be 1, got 0");
    }
}
