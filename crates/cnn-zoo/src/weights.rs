//! Published weights: files of other libraries, with their names of the parameters.

use crate::network::{Network, Takes};
use crate::squeezenet;
use cnn_nn::checkpoint::{self, Saved};
use cnn_nn::{Model, ModelSpec, NnError, Origin};
use cnn_tensor::Tensor;
use std::collections::BTreeMap;
use std::path::Path;

/// The network `name` (see [`Network::for_imagenet`]) with the weights of the safetensors file at `path`. The file may be
///
/// - a model that this library saved: it has its own description, input and classes, and `classes` is ignored;
/// - a `state_dict` with torchvision's names;
/// - SqueezeNet 1.0 with Caffe's names, which [`squeezenet::from_caffe`] describes.
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
/// There is no network of that name; the file cannot be read or holds another network; a tensor is missing, surplus or of
/// another shape. The error names the tensor and the file.
pub fn load_weights(name: &str, path: &Path, classes: Vec<String>) -> Result<Model, NnError> {
    let network = find(name)?;
    let saved = checkpoint::load(path)?;
    if saved.description.is_some() {
        return own(network, saved, path);
    }
    let (spec, tensors) = published(network, saved.tensors, classes);
    Model::from_tensors(spec, tensors).map_err(|fault| fault.in_file(path))
}

/// The network `name` for classes other than those of its weights. The layers before the classifier get the weights of the
/// file at `path`; a fresh linear layer ([`ModelSpec::with_head`]), drawn by `seed`, replaces the classifier. Also returns
/// the parameters that come from the file and those that are fresh.
///
/// The file is one that [`load_weights`] takes, or a part of one; the tensors of its classifier are ignored.
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
/// Those of [`load_weights`], except that the file may lack some of the tensors, but not all.
pub fn load_trunk(
    name: &str,
    path: &Path,
    classes: Vec<String>,
    seed: u64,
) -> Result<(Model, Origin), NnError> {
    let network = find(name)?;
    let saved = checkpoint::load(path)?;
    let (spec, mut tensors) = if saved.description.is_some() {
        let model = own(network, saved, path)?;
        (model.spec, model.net.tensors().into_iter().collect())
    } else {
        published(network, saved.tensors, Vec::new())
    };
    let with_head = spec.with_head(classes)?;
    // Tensors of layers that the head replaces are dropped. A name that the network never had stays, and is an error.
    let replaced = |name: &str| {
        let layer = name.split('.').next();
        let is_in = |spec: &ModelSpec| spec.layers.iter().any(|other| Some(other.name.as_str()) == layer);
        is_in(&spec) && !(is_in(&with_head) && layer != Some("head"))
    };
    tensors.retain(|name, _| !replaced(name));
    let (model, origin) = Model::build_with(with_head, seed, tensors).map_err(|fault| fault.in_file(path))?;
    if origin.taken.is_empty() {
        let fault = format!("expected parameters of {} before its classifier, got none", network.name);
        return Err(NnError::File { path: path.into(), fault });
    }
    Ok((model, origin))
}

fn find(name: &str) -> Result<&'static Network, NnError> {
    let is_for_imagenet = |network: &&Network| matches!(network.takes, Takes::ImageNet(_));
    Network::find(name).filter(is_for_imagenet).ok_or_else(|| {
        let names = Network::for_imagenet().map(|network| network.name).collect::<Vec<_>>().join(", ");
        let (what, rule) = ("the name of a network", "one for ImageNet");
        NnError::Setting { what, rule, got: format!("{name}; there are {names}") }
    })
}

/// The model in a file that this library wrote.
fn own(network: &Network, saved: Saved, path: &Path) -> Result<Model, NnError> {
    let model = Model::from_saved(saved, path)?;
    if model.spec.name != network.name {
        let fault =
            format!("expected the weights of {}, got a model named {}", network.name, model.spec.name);
        return Err(NnError::File { path: path.into(), fault });
    }
    Ok(model)
}

/// The description that fits the tensors of another library's file, and the tensors under its names.
fn published(
    network: &Network,
    tensors: BTreeMap<String, Tensor>,
    classes: Vec<String>,
) -> (ModelSpec, BTreeMap<String, Tensor>) {
    match network.name {
        "squeezenet1_0" if squeezenet::is_of_caffe(&tensors) => {
            (squeezenet::caffe(classes), squeezenet::rename_caffe(tensors))
        }
        "squeezenet1_0" | "squeezenet1_1" => {
            (network.published(classes), squeezenet::rename_torchvision(tensors))
        }
        _ => (network.published(classes), tensors),
    }
}
