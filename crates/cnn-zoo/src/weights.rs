//! Weights in files, of this library and of others: the one place that decides whether they fit a network.

mod names;

pub use names::Rename;

use crate::network::Network;
use crate::{convnext, densenet, squeezenet};
use cnn_nn::checkpoint::{self, Saved};
use cnn_nn::{Input, Model, ModelSpec, NnError, Origin};
use cnn_tensor::Tensor;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What wrappers and training programs put before every name.
const PREFIXES: [&str; 8] =
    ["module.", "_orig_mod.", "model.", "backbone.", "net.", "network.", "state_dict.", "student."];

/// What the names of a network's auxiliary classifiers begin with. Files have them, since they help training; the networks here, which
/// are those of prediction, do not.
const AUXILIARY: [(&str, &[&str]); 2] =
    [("googlenet", &["aux1.", "aux2."]), ("inception_v3", &["AuxLogits."])];

/// The weights in a safetensors file, or in one of PyTorch's, which may be
///
/// - a model that this library saved, with its own description, input and classes;
/// - a `state_dict` by torchvision's names, or by those names with a prefix that all have: `module.`, `model.`, `backbone.`,
///   `_orig_mod.` and the like. The prefix is taken off;
/// - SqueezeNet 1.0 by Caffe's names, which [`squeezenet::from_caffe`] describes.
///
/// Every tensor of the file must have its place in the network, and every parameter of the network its tensor. Tensors of auxiliary
/// classifiers, which GoogLeNet and Inception v3 have in training, are passed over, and the notes say so.
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    saved: Saved,
    notes: Vec<String>,
    ignore_surplus: bool,
}

/// A network that begins with the weights of a file.
#[derive(Debug)]
pub struct Beginning {
    /// The network.
    pub model: Model,
    /// Which of its parameters the file gave.
    pub origin: Origin,
    /// What was done to make the weights fit, for people to check.
    pub notes: Vec<String>,
}

impl Weights {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// It cannot be read, is neither a safetensors nor a PyTorch file, or is damaged.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, NnError> {
        let path = path.as_ref();
        Ok(Self::of(path, checkpoint::load(path)?))
    }

    /// The contents of the file at `path`, which are read already.
    pub fn of(path: &Path, mut saved: Saved) -> Self {
        let mut notes = std::mem::take(&mut saved.notes);
        if saved.description.is_none() {
            while let Some(prefix) = common_prefix(&saved) {
                let rest = |name: &str| name[prefix.len()..].to_string();
                saved.tensors =
                    saved.tensors.iter().map(|(name, tensor)| (rest(name), tensor.clone())).collect();
                saved.unreadable =
                    saved.unreadable.iter().map(|(name, fault)| (rest(name), fault.clone())).collect();
                notes.push(format!("the prefix {prefix} is taken off all names"));
            }
        }
        Self { path: path.into(), saved, notes, ignore_surplus: false }
    }

    /// The same; tensors that have no place in the network are listed in the notes, and are not an error.
    #[must_use]
    pub fn ignore_surplus(self) -> Self {
        Self { ignore_surplus: true, ..self }
    }

    /// The same with new names, by all rules in turn.
    ///
    /// # Errors
    /// A rule renames nothing, or two tensors get the same name; the model is described, and its names are its own.
    pub fn rename(mut self, rules: &[Rename]) -> Result<Self, NnError> {
        if rules.is_empty() {
            return Ok(self);
        }
        if self.is_described() {
            return Err(self.fault(
                "expected another library's file to rename tensors of, got a model with its description"
                    .into(),
            ));
        }
        let mut used = vec![false; rules.len()];
        let tensors = std::mem::take(&mut self.saved.tensors);
        self.saved.tensors = names::rename(tensors, rules, &mut used).map_err(|fault| self.fault(fault))?;
        let unreadable = std::mem::take(&mut self.saved.unreadable);
        self.saved.unreadable =
            names::rename(unreadable, rules, &mut used).map_err(|fault| self.fault(fault))?;
        if let Some(unused) = used.iter().position(|used| !used) {
            return Err(
                self.fault(format!("expected a tensor for --rename {} to rename, got none", rules[unused]))
            );
        }
        let rules: Vec<String> = rules.iter().map(ToString::to_string).collect();
        self.notes.push(format!("tensors are renamed by {}", rules.join(" and ")));
        Ok(self)
    }

    /// Whether this library wrote the file as a model, with its description.
    pub fn is_described(&self) -> bool {
        self.saved.description.is_some()
    }

    /// Whether the file has a checksum, which is then right.
    pub fn is_verified(&self) -> bool {
        self.saved.is_verified
    }

    /// The description of a model that this library saved; `None` of another library's file.
    ///
    /// # Errors
    /// The description cannot be read.
    pub fn description(&self) -> Result<Option<ModelSpec>, NnError> {
        self.is_described().then(|| ModelSpec::of_saved(&self.saved, &self.path)).transpose()
    }

    /// The whole network: of a model that this library saved, as it is described there; otherwise `network`, for the input with
    /// which it was published, and for `classes`. A described model takes `classes`, too, if there are any. The second result is
    /// what was done to make the weights fit.
    ///
    /// # Errors
    /// The file is not of that network; a tensor is missing, surplus, of another shape or of a type that cannot be read. It is
    /// named, and so is the file.
    pub fn into_model(
        mut self,
        network: Option<&Network>,
        classes: Vec<String>,
    ) -> Result<(Model, Vec<String>), NnError> {
        if self.is_described() {
            let mut model = self.described(network)?;
            let (ours, given) = (model.spec.classes.len(), classes.len());
            match given {
                0 => {}
                _ if given == ours => model.spec.classes = classes,
                _ => return Err(self.fault(format!("expected {ours} names of classes, got {given}"))),
            }
            return Ok((model, self.notes));
        }
        let Some(network) = network else {
            return Err(
                self.fault("expected a model with its description, or the name of the network".into())
            );
        };
        let (spec, tensors) = published(network, std::mem::take(&mut self.saved.tensors), None, classes);
        let Beginning { model, notes, .. } = self.fit(network, spec, tensors, false, 0)?;
        Ok((model, notes))
    }

    /// The description with which [`Weights::begin`] begins. A model that this library saved keeps its layers, unless it gets a new
    /// head.
    ///
    /// # Errors
    /// The network's classifier cannot be replaced: see [`ModelSpec::with_head`].
    pub fn spec(
        &self,
        network: &Network,
        input: Option<Input>,
        classes: Vec<String>,
        new_head: bool,
    ) -> Result<ModelSpec, NnError> {
        if let Some(own) = self.description()?.filter(|own| !new_head && is_named(own, network)) {
            // Its classifier may be a new head already.
            return Ok(ModelSpec { input: input.unwrap_or(own.input), classes, ..own });
        }
        let tensors = if self.is_described() { BTreeMap::new() } else { self.saved.tensors.clone() };
        let (spec, _) = published(network, tensors, input, classes);
        if new_head { spec.with_head(spec.classes.clone()) } else { Ok(spec) }
    }

    /// The network `network` for images of `input`, or else of the form with which it was published, and for `classes`, with these
    /// weights. With a new head its classifier gives
    /// way to a fresh linear layer ([`ModelSpec::with_head`]), drawn by `seed`; what the file holds of a classifier is then not
    /// looked at, but the layers before it must all be there.
    ///
    /// # Errors
    /// Those of [`Weights::into_model`].
    pub fn begin(
        mut self,
        network: &Network,
        input: Option<Input>,
        classes: Vec<String>,
        new_head: bool,
        seed: u64,
    ) -> Result<Beginning, NnError> {
        let spec = self.spec(network, input.clone(), classes.clone(), new_head)?;
        let (whole, tensors) = if self.is_described() {
            let model = self.described(Some(network))?;
            (model.spec, model.net.tensors().into_iter().collect())
        } else {
            published(network, std::mem::take(&mut self.saved.tensors), input, classes)
        };
        let mut tensors = tensors;
        if new_head {
            let replaced: Vec<String> = layers_of(&whole).filter(|name| !is_kept(&spec, name)).collect();
            let is_of_trunk =
                |name: &String| !replaced.iter().any(|layer| Some(&**layer) == name.split('.').next());
            tensors.retain(|name, _| is_of_trunk(name));
            self.saved.unreadable.retain(|name, _| is_of_trunk(name));
        }
        self.fit(network, spec, tensors, new_head, seed)
    }

    /// A network whose trunk begins with these weights, such as one of [`POSE_NETWORKS`](crate::POSE_NETWORKS): everything before the
    /// layer `head`, whose parameters are drawn by `seed`. Tensors of other layers, such as a classifier's, are not looked at. A
    /// model of that name that this library saved gives all its weights.
    ///
    /// ```
    /// use cnn_nn::Model;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("mobilenet.safetensors");
    /// let classes = vec!["ant".to_string(), "bee".to_string()];
    /// Model::build(cnn_zoo::mobilenet_v2(cnn_zoo::imagenet_input(), classes), 7)?.save(&path)?;
    /// let outputs = vec!["head_x".to_string(), "head_y".to_string()];
    /// let spec = cnn_zoo::pose_mobilenet_v2(cnn_zoo::pose::pose_input(), outputs);
    /// let beginning = cnn_zoo::Weights::read(&path)?.begin_trunk(spec, 0)?;
    /// assert!(beginning.origin.fresh.iter().all(|name| name.starts_with("head.")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A parameter of the trunk is missing or of another shape; the error names it, and the file.
    pub fn begin_trunk(mut self, spec: ModelSpec, seed: u64) -> Result<Beginning, NnError> {
        let whole = self.description()?.is_some_and(|own| own.name == spec.name);
        let name = spec.name.clone();
        self.saved.tensors.retain(|name, _| whole || !name.starts_with("head."));
        let built = Model::build_taking(spec, seed, &mut self.saved.tensors);
        let (model, origin) = built.map_err(|fault| fault.in_file(&self.path))?;
        let may_lack =
            |name: &str| name.ends_with("num_batches_tracked") || !whole && name.starts_with("head.");
        let lacking: Vec<&String> = origin.fresh.iter().filter(|name| !may_lack(name)).collect();
        if let Some(first) = lacking.first() {
            let (taken, all) = (origin.taken.len(), origin.taken.len() + lacking.len());
            let fault = format!(
                "expected all {all} parameters of {name} before its head, got {taken}: {first} is missing"
            );
            return Err(self.fault(fault));
        }
        Ok(Beginning { model, origin, notes: self.notes })
    }

    /// The network described with all of these tensors, but for those that may be missing or surplus.
    fn fit(
        mut self,
        network: &Network,
        spec: ModelSpec,
        mut tensors: BTreeMap<String, Tensor>,
        new_head: bool,
        seed: u64,
    ) -> Result<Beginning, NnError> {
        let built = Model::build_taking(spec, seed, &mut tensors);
        let (model, origin) = built.map_err(|fault| fault.in_file(&self.path))?;
        let is_auxiliary = |name: &String| {
            AUXILIARY
                .iter()
                .any(|(of, begin)| *of == network.name && begin.iter().any(|begin| name.starts_with(begin)))
        };
        let held = tensors.len() + self.saved.unreadable.len();
        tensors.retain(|name, _| !is_auxiliary(name));
        self.saved.unreadable.retain(|name, _| !is_auxiliary(name));
        let passed_over = held - tensors.len() - self.saved.unreadable.len();
        if passed_over > 0 {
            self.notes.push(format!(
                "{passed_over} tensors of auxiliary classifiers, which only help training, are not used"
            ));
        }
        // A count that only newer versions of PyTorch write.
        let may_lack =
            |name: &str| name.ends_with("num_batches_tracked") || new_head && name.starts_with("head.");
        let lacking: Vec<&String> = origin.fresh.iter().filter(|name| !may_lack(name)).collect();
        for name in &lacking {
            if let Some(fault) = self.saved.unreadable.get(*name) {
                return Err(self.fault(format!("tensor {name}: {fault}")));
            }
        }
        let mut surplus: BTreeMap<&String, String> =
            tensors.iter().map(|(name, tensor)| (name, tensor.shape().to_string())).collect();
        surplus.extend(self.saved.unreadable.iter().map(|(name, fault)| (name, format!("({fault})"))));
        if !lacking.is_empty() || !surplus.is_empty() && !self.ignore_surplus {
            let shapes: BTreeMap<String, String> = model
                .net
                .tensors()
                .into_iter()
                .map(|(name, tensor)| (name, tensor.shape().to_string()))
                .collect();
            let all = origin.taken.len() + lacking.len();
            let lacking = lacking.into_iter().map(|name| (name.clone(), shapes[name].clone())).collect();
            let surplus = surplus.into_iter().map(|(name, shape)| (name.clone(), shape)).collect();
            let part = if new_head { " before its classifier" } else { "" };
            let title = format!("{}{part}", network.name);
            return Err(self.fault(names::mismatch(&title, all, &lacking, &surplus)));
        }
        if !surplus.is_empty() {
            let names: Vec<&str> = surplus.keys().map(|name| name.as_str()).collect();
            self.notes.push(format!("{} tensors are not used: {}", names.len(), names.join(", ")));
        }
        Ok(Beginning { model, origin, notes: self.notes })
    }

    /// The model of a file that this library wrote.
    fn described(&mut self, network: Option<&Network>) -> Result<Model, NnError> {
        let model = Model::from_saved(std::mem::take(&mut self.saved), &self.path)?;
        match network {
            Some(network) if !is_named(&model.spec, network) => Err(self.fault(format!(
                "expected the weights of {}, got a model named {}",
                network.name, model.spec.name
            ))),
            _ => Ok(model),
        }
    }

    fn fault(&self, fault: String) -> NnError {
        NnError::File { path: self.path.clone(), fault }
    }
}

/// A prefix that wrappers add, if every name has it.
fn common_prefix(saved: &Saved) -> Option<&'static str> {
    let mut names = saved.tensors.keys().chain(saved.unreadable.keys()).peekable();
    names.peek()?;
    let names: Vec<&String> = names.collect();
    PREFIXES
        .into_iter()
        .find(|prefix| names.iter().all(|name| name.len() > prefix.len() && name.starts_with(prefix)))
}

/// Whether the description is of that network, which may have been saved under the name of its function.
fn is_named(spec: &ModelSpec, network: &Network) -> bool {
    spec.name == (network.spec)(spec.input.clone(), spec.classes.clone()).name
}

fn layers_of(spec: &ModelSpec) -> impl Iterator<Item = String> + '_ {
    spec.layers.iter().map(|layer| layer.name.clone())
}

/// Whether a layer of a network is there, too, when its head is another: as it was, not as a new head.
fn is_kept(with_head: &ModelSpec, name: &str) -> bool {
    name != "head" && layers_of(with_head).any(|layer| layer == name)
}

/// The network `name` (see [`Network::with_published_weights`]) with the [`Weights`] of the file at `path`, for `classes`; a model that
/// this library saved has its own if `classes` is empty.
///
/// ```
/// use cnn_nn::Model;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("squeezenet.safetensors");
/// let classes = vec!["ant".to_string(), "bee".to_string()];
/// let model = Model::build(cnn_zoo::squeezenet1_1(cnn_zoo::imagenet_input(), classes.clone()), 7)?;
/// model.save(&path)?;
/// let again = cnn_zoo::load_weights("squeezenet1_1", &path, Vec::new())?;
/// assert_eq!(again.spec.classes, classes);
///
/// let error = cnn_zoo::load_weights("resnet18", &path, Vec::new()).unwrap_err();
/// let fault = "expected the weights of resnet18, got a model named squeezenet1_1";
/// assert_eq!(error.to_string(), format!("{}: {fault}", path.display()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// There is no network of that name; the file cannot be read or holds another one; a tensor is missing, surplus or of
/// another shape. It is named, and so is the file.
pub fn load_weights(name: &str, path: &Path, classes: Vec<String>) -> Result<Model, NnError> {
    let network = find(name)?;
    let (model, _) = Weights::read(path)?.into_model(Some(network), classes)?;
    Ok(model)
}

/// The network `name` for other classes than its weights were trained for: the layers before the classifier with the
/// weights of the file at `path`, and a fresh linear layer in the classifier's place ([`ModelSpec::with_head`]), drawn by
/// `seed`. Also says which parameters the file gave.
///
/// The files are those of [`load_weights`]; what they hold of the classifier is not looked at, and need not be there.
///
/// ```
/// use cnn_nn::Model;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("squeezenet.safetensors");
/// let digits = (0..10).map(|digit| digit.to_string()).collect();
/// Model::build(cnn_zoo::squeezenet1_1(cnn_zoo::imagenet_input(), digits), 7)?.save(&path)?;
/// let classes = vec!["ant".to_string(), "bee".to_string()];
/// let (model, origin) = cnn_zoo::load_trunk("squeezenet1_1", &path, classes, 0)?;
/// assert_eq!(origin.fresh, ["head.weight", "head.bias"]);
/// assert_eq!(model.spec.classes, ["ant", "bee"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`load_weights`], but that the file may lack the classifier.
pub fn load_trunk(
    name: &str,
    path: &Path,
    classes: Vec<String>,
    seed: u64,
) -> Result<(Model, Origin), NnError> {
    let network = find(name)?;
    let Beginning { model, origin, .. } = Weights::read(path)?.begin(network, None, classes, true, seed)?;
    Ok((model, origin))
}

fn find(name: &str) -> Result<&'static Network, NnError> {
    Network::with_published_weights()
        .find(|network| Network::find(name).is_some_and(|found| found.name == network.name))
        .ok_or_else(|| {
            let names: Vec<&str> = Network::with_published_weights().map(|network| network.name).collect();
            let names = names.join(", ");
            let (what, rule) = ("the name of a network", "one with published weights");
            NnError::Setting { what, rule, got: format!("{name}; there are {names}") }
        })
}

/// The description that the tensors of another library's file go with, and the tensors by its names.
fn published(
    network: &Network,
    tensors: BTreeMap<String, Tensor>,
    input: Option<Input>,
    classes: Vec<String>,
) -> (ModelSpec, BTreeMap<String, Tensor>) {
    let published = |input: Option<Input>| input.unwrap_or_else(|| network.published(Vec::new()).input);
    match network.name {
        "squeezenet1_0" if squeezenet::is_of_caffe(&tensors) => {
            let caffe = squeezenet::caffe(classes);
            // The weights were trained on numbers of that mean and scale.
            let Input { mean, std, .. } = caffe.input.clone();
            let input = input.map_or(caffe.input.clone(), |input| Input { mean, std, ..input });
            (ModelSpec { input, ..caffe }, squeezenet::rename_caffe(tensors))
        }
        "squeezenet1_0" | "squeezenet1_1" => {
            ((network.spec)(published(input), classes), squeezenet::rename_torchvision(tensors))
        }
        "convnext_tiny" => ((network.spec)(published(input), classes), convnext::rename_torchvision(tensors)),
        "densenet121" => ((network.spec)(published(input), classes), densenet::rename_published(tensors)),
        _ => ((network.spec)(published(input), classes), tensors),
    }
}
