//! A network with everything needed to use it: input, preprocessing and class names; and its file.

mod input;
mod network;
mod transfer;

pub use input::{Input, Preprocess};
pub use transfer::Origin;

use crate::checkpoint::{self, Saved};
use crate::graph::{batch_of_one, check_length};
use crate::spec::{GraphSpec, NamedSpec};
use crate::{Fresh, Graph, Loaded, NnError, ParameterSource, Summary};
use cnn_tensor::{Shape, Tensor};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The description of a model, which the metadata of its file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// The architecture's name: `lenet5`.
    pub name: String,
    /// The input, with its preprocessing.
    pub input: Input,
    /// The classes' names, one for each output.
    pub classes: Vec<String>,
    /// The layers.
    pub layers: Vec<NamedSpec>,
}

impl ModelSpec {
    /// The description in a file that [`Model::save`] wrote.
    ///
    /// # Errors
    /// There is no description, or it is not one of this library. The error names `path` as the file.
    pub fn of_saved(saved: &Saved, path: &Path) -> Result<Self, NnError> {
        let Header { model, .. } = header(saved.description.clone(), path, (FORMAT, VERSION))?;
        Ok(model)
    }
}

/// A network with its description.
///
/// ```
/// use cnn_nn::{Input, Model, ModelSpec, spec::{flatten, linear}};
/// let spec = ModelSpec {
///     name: "linear".into(),
///     input: Input::gray(2, 2, 0.5, 0.5),
///     classes: vec!["dark".into(), "light".into()],
///     layers: vec![flatten().named("flatten"), linear(2).named("fc")],
/// };
/// let model = Model::build(spec, 0)?;
/// let file = tempfile::NamedTempFile::new()?;
/// model.save(file.path())?;
/// assert_eq!(Model::load(file.path())?.spec, model.spec);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Model {
    /// The description.
    pub spec: ModelSpec,
    /// The network.
    pub net: Graph,
}

/// The metadata that identifies a file of this library.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    model: ModelSpec,
}

const FORMAT: &str = "cnn-model";
const VERSION: u32 = 1;

impl Model {
    /// Builds the described model with random parameters.
    ///
    /// # Errors
    /// A layer cannot take its input, the number of outputs is not the number of classes, there are no classes, a name has more
    /// than 1,000 characters, the normalisation does not have one number for each channel, or the outputs of all layers for one
    /// image take more than 1 GiB.
    pub fn build(spec: ModelSpec, seed: u64) -> Result<Self, NnError> {
        Self::build_from(spec, &mut Fresh { seed })
    }

    fn build_from(spec: ModelSpec, source: &mut dyn ParameterSource) -> Result<Self, NnError> {
        spec.input.validate()?;
        if spec.classes.is_empty() {
            let (what, rule) = ("the classes of a model", "at least one");
            return Err(NnError::Setting { what, rule, got: "none".into() });
        }
        check_length("the name of a model", &spec.name)?;
        spec.classes.iter().try_for_each(|class| check_length("the name of a class", class))?;
        let net = Graph::chain(spec.layers.clone(), batch_of_one(&spec.input.shape)?, source)?;
        let y = net.output_shape()?;
        if y != Shape::from([1, spec.classes.len()]) {
            let got = format!("shape {y} for {} classes", spec.classes.len());
            return Err(NnError::Setting { what: "the output", rule: "one number for each class", got });
        }
        check_memory(&net)?;
        Ok(Self { spec, net })
    }

    /// The table of layers, output shapes, parameters and multiply-accumulates.
    pub fn summary(&self) -> Summary {
        self.net.summary()
    }

    /// A checksum over description and weights: of equal models equal, of others most likely another. Data computed by a model, such
    /// as an index of features, can name their model by it.
    ///
    /// # Errors
    /// The description cannot be written as JSON, which only a layer of a program's own can cause.
    pub fn fingerprint(&self) -> Result<u32, NnError> {
        let unwritable = |e: serde_json::Error| {
            let (what, rule) = ("the description of a model", "one that JSON can hold");
            NnError::Setting { what, rule, got: e.to_string() }
        };
        let description = serde_json::to_string(&self.spec).map_err(unwritable)?;
        Ok(checkpoint::checksum(&description, &self.net.tensors()))
    }

    /// Writes the model to a safetensors file, with its description in the metadata. An existing file at `path` stays intact
    /// until the new one is complete.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), NnError> {
        Self::save_net(&self.spec, &self.net, path.as_ref())
    }

    /// As [`Model::save`], for a network that its trainer still owns.
    ///
    /// # Errors
    /// The file cannot be written, or `net` does not have the layers of `spec`.
    pub fn save_net(spec: &ModelSpec, net: &Graph, path: &Path) -> Result<(), NnError> {
        if *net.spec() != GraphSpec::chain(spec.layers.clone()) {
            let (what, rule) = ("the network", "the one that its description describes");
            return Err(NnError::Setting { what, rule, got: format!("{net:?}") });
        }
        let header = Header { format: FORMAT.into(), version: VERSION, model: spec.clone() };
        let description = serde_json::to_string(&header).map_err(|e| fault(path, e))?;
        checkpoint::save(path, &description, &net.tensors())
    }

    /// Loads a model from a file that [`Model::save`] wrote.
    ///
    /// # Errors
    /// The file cannot be read, is not a safetensors file, does not describe a model of this library, or has a tensor
    /// too few or too many for the description.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, NnError> {
        let path = path.as_ref();
        Self::from_saved(checkpoint::load(path)?, path)
    }

    /// As [`Model::load`], from the contents that [`checkpoint::load`] read from `path`. Errors name `path`.
    ///
    /// # Errors
    /// The file does not describe a model of this library, or has a tensor too few or too many for the description.
    pub fn from_saved(saved: Saved, path: &Path) -> Result<Self, NnError> {
        let saved = saved.whole(path)?;
        let spec = ModelSpec::of_saved(&saved, path)?;
        Self::from_tensors(spec, saved.tensors).map_err(|fault| fault.in_file(path))
    }

    /// Builds the described model with the given tensors, by their dotted names. They may come from another library: from the
    /// `state_dict` of a PyTorch module that uses the same names.
    ///
    /// ```
    /// use cnn_nn::{Input, Model, ModelSpec, spec::{flatten, linear}};
    /// use cnn_tensor::Tensor;
    /// use std::collections::BTreeMap;
    /// let spec = ModelSpec {
    ///     name: "linear".into(),
    ///     input: Input::gray(2, 2, 0.5, 0.5),
    ///     classes: vec!["dark".into(), "light".into()],
    ///     layers: vec![flatten().named("flatten"), linear(2).named("fc")],
    /// };
    /// // Of a file: checkpoint::load(path)?.tensors
    /// let weight = ("fc.weight".to_string(), Tensor::full([2, 4], 0.5));
    /// let bias = ("fc.bias".to_string(), Tensor::zeros([2]));
    /// let model = Model::from_tensors(spec.clone(), BTreeMap::from([weight.clone(), bias]))?;
    /// assert_eq!(model.net.tensors()[0], weight);
    ///
    /// let error = Model::from_tensors(spec, BTreeMap::from([weight])).unwrap_err();
    /// let fault = "parameter fc.bias: the model expects shape [2], the file has none of that name";
    /// assert_eq!(error.to_string(), format!("fc: {fault}"));
    /// # Ok::<(), cnn_nn::NnError>(())
    /// ```
    ///
    /// # Errors
    /// An error of [`Model::build`]; or a tensor is missing, surplus or of another shape. The error names it.
    pub fn from_tensors(spec: ModelSpec, tensors: BTreeMap<String, Tensor>) -> Result<Self, NnError> {
        let mut source = Loaded { tensors };
        let model = Self::build_from(spec, &mut source)?;
        source.finish()?;
        Ok(model)
    }
}

/// Checks that the outputs of all layers are small enough. A few words in a file can describe layers that ask for gigabytes.
fn check_memory(net: &Graph) -> Result<(), NnError> {
    const MOST: u128 = 1 << 28;
    let outputs = net.summary().rows.iter().map(|row| row.output.numel() as u128).sum::<u128>();
    if outputs <= MOST {
        return Ok(());
    }
    let (what, rule) = ("the outputs of all layers", "at most 2^28 numbers (1 GiB) for one image");
    Err(NnError::Setting { what, rule, got: outputs.to_string() })
}

/// The description in a file's metadata, if the file has this format and version.
fn header<T: DeserializeOwned>(
    description: Option<String>,
    path: &Path,
    (format, version): (&str, u32),
) -> Result<T, NnError> {
    /// The fields that all formats share.
    #[derive(Deserialize)]
    struct Kind {
        format: String,
        version: u32,
    }
    let description = description.ok_or_else(|| {
        fault(
            path,
            "expected the description of a model in the metadata, found none; was it saved by this library?",
        )
    })?;
    let unreadable = |e| fault(path, format!("expected the description of a model in the metadata: {e}"));
    let found: Kind = serde_json::from_str(&description).map_err(unreadable)?;
    if (found.format.as_str(), found.version) != (format, version) {
        let advice = match found.format.as_str() {
            same if same == format => ": a later version of this library wrote it, and reads it",
            FORMAT => ": Model::load reads it",
            network::FORMAT => ": Graph::load reads it",
            _ => "",
        };
        let got = format!("{:?} version {}", found.format, found.version);
        return Err(fault(
            path,
            format!("expected format \"{format}\" version {version}, found {got}{advice}"),
        ));
    }
    serde_json::from_str(&description).map_err(unreadable)
}

fn fault(path: &Path, fault: impl ToString) -> NnError {
    NnError::File { path: path.into(), fault: fault.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{LayerSpec, conv2d, flatten, global_avg_pool2d, graph, linear, mul, sigmoid};
    use cnn_tensor::Tensor;
    use std::collections::BTreeMap;

    fn spec() -> ModelSpec {
        ModelSpec {
            name: "tiny".into(),
            input: Input::gray(4, 4, 0.5, 0.25),
            classes: vec!["a".into(), "b".into()],
            layers: vec![conv2d(3, 3).named("conv"), flatten().named("flatten"), linear(2).named("fc")],
        }
    }

    #[test]
    fn a_saved_model_comes_back_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.safetensors"), folder.path().join("b.safetensors"));
        let model = Model::build(spec(), 3).unwrap();
        model.save(&a).unwrap();
        let again = Model::load(&a).unwrap();
        assert_eq!(again.net.tensors(), model.net.tensors());
        again.save(&b).unwrap();
        assert_eq!(std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
    }

    #[test]
    fn fingerprints_tell_weights_and_descriptions_apart() {
        let of = |spec: ModelSpec, seed| Model::build(spec, seed).unwrap().fingerprint().unwrap();
        assert_eq!(of(spec(), 3), of(spec(), 3));
        let renamed = ModelSpec { classes: vec!["a".into(), "c".into()], ..spec() };
        assert!(of(spec(), 3) != of(spec(), 4) && of(spec(), 3) != of(renamed, 3));
    }

    #[test]
    fn a_model_with_a_graph_in_it_comes_back() {
        let gate = graph(["x"])
            .node("squeeze", global_avg_pool2d(), ["x"])
            .node("conv", conv2d(3, 1), ["squeeze"])
            .share("again", "conv", ["conv"])
            .node("gate", sigmoid(), ["again"])
            .node("scaled", mul(), ["x", "gate"])
            .outputs(["scaled"]);
        let mut spec = spec();
        spec.layers.insert(1, LayerSpec::from(gate).named("excite"));
        let file = tempfile::NamedTempFile::new().unwrap();
        let model = Model::build(spec, 3).unwrap();
        model.save(file.path()).unwrap();
        let again = Model::load(file.path()).unwrap();
        assert_eq!((&again.spec, again.net.tensors()), (&model.spec, model.net.tensors()));
        assert_eq!(again.net.tensors()[2].0, "excite.conv.weight");
        let x = cnn_tensor::testing::distinct([2, 1, 4, 4], 1);
        assert_eq!(again.net.infer(&x).unwrap(), model.net.infer(&x).unwrap());
        // Its weights make it a part of the trunk.
        let names: Vec<String> =
            model.with_head(vec!["c".into()], 1).unwrap().net.tensors().into_iter().map(|t| t.0).collect();
        assert_eq!(
            names,
            [
                "conv.weight",
                "conv.bias",
                "excite.conv.weight",
                "excite.conv.bias",
                "head.weight",
                "head.bias"
            ]
        );
    }

    /// Writes `tensors` under the description `header` and says why they do not load.
    fn refusal(header: &str, tensors: &[(String, Tensor)]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        checkpoint::save(file.path(), header, tensors).unwrap();
        let message = Model::load(file.path()).unwrap_err().to_string();
        message.strip_prefix(&format!("{}: ", file.path().display())).expect("the file's name first").into()
    }

    fn header(model: ModelSpec) -> String {
        serde_json::to_string(&Header { format: FORMAT.into(), version: VERSION, model }).unwrap()
    }

    #[test]
    fn another_models_weights_are_refused_by_name() {
        let model = Model::build(spec(), 3).unwrap();
        let tensors: BTreeMap<_, _> = model.net.tensors().into_iter().collect();
        let with = |change: fn(&mut BTreeMap<String, Tensor>)| {
            let mut tensors = tensors.clone();
            change(&mut tensors);
            refusal(&header(spec()), &tensors.into_iter().collect::<Vec<_>>())
        };
        assert_eq!(
            with(|t| drop(t.remove("fc.bias"))),
            "fc: parameter fc.bias: the model expects shape [2], the file has none of that name"
        );
        assert_eq!(
            with(|t| drop(t.insert("fc.bias".into(), Tensor::zeros([3])))),
            "fc: parameter fc.bias: the model expects shape [2], the file has shape [3]"
        );
        assert_eq!(
            with(|t| drop(t.insert("other".into(), Tensor::zeros([3])))),
            "parameter other: the model expects none of that name, the file has shape [3]"
        );
    }

    #[test]
    fn descriptions_that_lie_are_refused_without_allocating() {
        let mut huge = spec();
        huge.layers[2] = linear(1 << 40).named("fc");
        let message = refusal(&header(huge), &Model::build(spec(), 0).unwrap().net.tensors());
        assert!(message.contains("the model expects shape [1099511627776, 12]"), "{message}");
        assert!(refusal("[]", &[]).starts_with("expected the description of a model in the metadata"));
        let newer = header(spec()).replace("\"version\":1", "\"version\":2");
        assert_eq!(
            refusal(&newer, &[]),
            "expected format \"cnn-model\" version 1, found \"cnn-model\" version 2: \
             a later version of this library wrote it, and reads it"
        );
    }

    #[test]
    fn what_a_file_says_cannot_break_the_line() {
        let unknown = refusal(r#"{"for\nmat": 1}"#, &[]);
        assert!(unknown.contains("unknown field") || unknown.contains("missing field"), "{unknown}");
        let mut named = spec();
        named.layers[2] = linear(3).named("f\u{1b}[31m\nc");
        let tensors = Model::build(spec(), 0).unwrap().net.tensors();
        for message in [unknown, refusal(&header(named), &tensors)] {
            assert!(!message.contains(char::is_control), "{message:?}");
        }
        let unknown = header(spec()).replace("\"classes\"", "\"cla\\nsses\"");
        assert!(refusal(&unknown, &[]).contains(r"unknown field `cla\nsses`"));
    }

    #[test]
    fn classes_and_normalisation_must_fit() {
        let mut wrong = spec();
        wrong.classes.pop();
        let message = Model::build(wrong, 0).unwrap_err().to_string();
        assert_eq!(message, "the output must be one number for each class, got shape [1, 2] for 1 classes");
        let mut wrong = spec();
        wrong.input.std = vec![0.0];
        assert!(Model::build(wrong, 0).unwrap_err().to_string().starts_with("the normalisation must be"));
        let mut wrong = spec();
        wrong.input.shape = [1, 0, 4];
        let message = Model::build(wrong, 0).unwrap_err().to_string();
        assert_eq!(message, "the input must be at least one channel, row and column, got [1, 0, 4]");
    }

    #[test]
    fn another_network_is_not_saved_under_this_description() {
        let other = Graph::build([linear(2).named("fc")], [4], 0).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let message = Model::save_net(&spec(), &other, file.path()).unwrap_err().to_string();
        assert!(
            message.starts_with("the network must be the one that its description describes"),
            "{message}"
        );
    }
}
