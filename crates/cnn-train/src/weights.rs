//! Files of models and weights: this library's own, ONNX, and those published for a network of the zoo.

use crate::fault::{Fault, note};
use crate::home;
use crate::model_name::{self, ModelFile, ModelName};
use crate::onnx::{self, Preparation};
use cnn_data::{CifarFamily, imagenet};
use cnn_nn::{Model, ModelSpec, NnError, Origin};
use cnn_zoo::{Beginning, Network, NetworkName, Rename, Takes, Weights};
use std::path::{Path, PathBuf};

/// The options of commands that use a trained network.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct Args {
    /// The model file that a training run wrote, or an ONNX file; or, with --model NAME, weights published for that network [default: those of cnn fetch weights NAME].
    #[arg(long, value_name = "FILE", required_unless_present = "model")]
    pub weights: Option<PathBuf>,
    /// The model file in place of --weights; or the network of the zoo that the weights were published for.
    #[arg(long, value_name = "FILE|NAME", value_parser = model_name::model)]
    pub model: Option<ModelName>,
    /// A text file with the names of the network's classes, a line each [default: the model file's, or ImageNet's; 0, 1 and so on of an ONNX file without].
    #[arg(long, value_name = "FILE")]
    pub classes: Option<PathBuf>,
    /// List tensors that the network has no place for, instead of stopping.
    #[arg(long)]
    pub ignore_surplus: bool,
    /// Rename tensors of the file: a regular expression and its replacement; may be given more than once.
    #[arg(long, value_name = "FROM=TO")]
    pub rename: Vec<Rename>,
    #[command(flatten)]
    pub preparation: Preparation,
    /// For an ONNX file that leaves them open: height and width of the images.
    #[arg(long, value_name = "N")]
    pub size: Option<usize>,
    /// Whether the range of an ONNX file's inputs does not matter, but the layers alone.
    #[arg(skip)]
    pub layers_only: bool,
}

/// Reads a weights file.
pub fn read(file: &Path, ignore_surplus: bool, rename: &[Rename]) -> Result<Weights, Fault> {
    let weights = Weights::read(file)?.rename(rename)?;
    Ok(if ignore_surplus { weights.ignore_surplus() } else { weights })
}

/// The model in a file that a training run wrote or another program as ONNX, or the network `model` with the weights published for
/// it; says what was done to make them fit.
pub fn load(args: &Args) -> Result<Model, Fault> {
    let Args { classes, ignore_surplus, rename, preparation, size, .. } = args;
    let (file, network) = named(args)?;
    let classes = classes.as_ref().map(|file| read_classes(file)).transpose()?;
    if onnx::is_onnx(&file) {
        if *ignore_surplus || !rename.is_empty() || network.is_some() {
            return Err(Fault::usage(format!(
                "--model NAME, --rename, --ignore-surplus: expected with a file of weights; {} is a whole model",
                file.display()
            )));
        }
        return onnx::classifier(&file, preparation, *size, classes, args.layers_only);
    }
    preparation.refuse(*size, &file)?;
    let weights = read(&file, *ignore_surplus, rename)?;
    let classes = match network {
        None if !weights.is_described() => {
            return Err(Fault::usage(format!(
                "{}: expected a model with its description, as training writes it; of weights that come without one, name \
                 the network with --model",
                file.display()
            )));
        }
        Some(network) if !weights.is_described() => match network.takes {
            Takes::ImageNet(_) => classes.unwrap_or_else(|| owned(imagenet::classes())),
            Takes::Cifar(_) => classes.unwrap_or_else(|| owned(CifarFamily::Cifar10.classes())),
            Takes::Any | Takes::Digits(_) | Takes::Frames(_) => {
                let names: Vec<&str> =
                    Network::with_published_weights().map(|network| network.name).collect();
                return Err(Fault::usage(format!(
                    "--model: expected a network with published weights ({}), got {network}; the files that training writes \
                     need no --model",
                    names.join(", ")
                )));
            }
        },
        _ => classes.unwrap_or_default(),
    };
    let (model, notes) = weights.into_model(network.as_deref(), classes).map_err(advise)?;
    for line in notes {
        note(format!("{}: {line}", file.display()));
    }
    Ok(model)
}

/// The file that the options name, and the network that it has weights for, if it is not a model.
fn named(args: &Args) -> Result<(PathBuf, Option<NetworkName>), Fault> {
    match (&args.weights, &args.model) {
        (Some(file), None) => Ok((file.clone(), None)),
        (Some(file), Some(ModelName::Zoo(network))) => Ok((file.clone(), Some(*network))),
        (None, Some(ModelName::File(model))) => Ok((model.path(), None)),
        (Some(_), Some(ModelName::File(model))) => Err(Fault::usage(format!(
            "--model: expected the name of a network beside --weights, got the file {}",
            model.path().display()
        ))),
        (None, Some(ModelName::Zoo(network))) => Ok((fetched(*network)?, Some(*network))),
        (None, None) => Err(Fault::usage("--model or --weights: expected a model's file, none was named")),
    }
}

/// The published weights of a network that `cnn fetch weights` has downloaded.
pub fn fetched(network: NetworkName) -> Result<PathBuf, Fault> {
    fetched_into(&home::weights(), network)
}

fn fetched_into(folder: &Path, network: NetworkName) -> Result<PathBuf, Fault> {
    let Some(weights) = network.torchvision_weights() else {
        return Err(Fault::usage(format!(
            "--weights: expected a file of weights for {network}, of which torchvision publishes none; or --model FILE, a whole model"
        )));
    };
    let file = folder.join(weights.file);
    if file.is_file() {
        return Ok(file);
    }
    Err(Fault::usage(format!(
        "--weights: expected a file of weights for {network}, and {} is not there: cnn fetch weights {network} downloads it",
        file.display()
    )))
}

/// The model in a file, whole.
pub fn of_file(model: &ModelFile, size: Option<usize>) -> Result<Model, Fault> {
    let size = size.filter(|_| onnx::is_onnx(&model.path()));
    let (preparation, model) = (model.preparation.clone(), Some(ModelName::File(model.clone())));
    load(&Args { model, preparation, size, ..Args::default() })
}

/// Channels, height and width of the images that the model in a file takes.
pub fn shape_of(model: &ModelFile, size: Option<usize>) -> Result<[usize; 3], Fault> {
    let path = model.path();
    if onnx::is_onnx(&path) {
        return onnx::shape(&path, &model.preparation, size);
    }
    model.preparation.refuse(None, &path)?;
    match Weights::read(&path)?.description()? {
        Some(spec) => Ok(spec.input.shape),
        None => Err(Fault::usage(format!(
            "{}: expected a model with its description, as training writes it; of weights that come without one, name the \
             network with --model and the file with --weights",
            path.display()
        ))),
    }
}

/// The network of `spec` with the weights that it begins with, and which these are; says what was done to make them fit.
pub fn begin(
    weights: Weights,
    file: &Path,
    network: &Network,
    spec: &ModelSpec,
    new_head: bool,
    seed: u64,
) -> Result<(Model, Origin), Fault> {
    let begun = weights.begin(network, Some(spec.input.clone()), spec.classes.clone(), new_head, seed);
    let Beginning { model, origin, notes } = begun.map_err(advise)?;
    for line in notes {
        note(format!("{}: {line}", file.display()));
    }
    Ok((model, origin))
}

/// An error of weights that do not fit, with the option that helps.
pub fn advise(fault: NnError) -> Fault {
    let message = fault.to_string();
    let advice = if message.contains("; by their shapes ") {
        "; --rename FROM=TO gives tensors other names"
    } else if message.contains("the network has no place for") && !message.contains(" missing; ") {
        "; add --ignore-surplus to leave out what the network has no place for"
    } else if message.contains("the model expects shape [1000") {
        "; name the classes of a network for others with --classes FILE, or begin a training with --new-head"
    } else {
        ""
    };
    Fault { status: 1, message: message + advice }
}

fn owned(classes: &[&str]) -> Vec<String> {
    classes.iter().map(ToString::to_string).collect()
}

/// The lines of a text file.
fn read_classes(file: &Path) -> Result<Vec<String>, Fault> {
    let fault = |fault: &dyn std::fmt::Display| Fault {
        status: 1,
        message: format!(
            "{}: expected a text file with the name of a class in each line: {fault}",
            file.display()
        ),
    };
    let text = std::fs::read_to_string(file).map_err(|e| fault(&e))?;
    let classes: Vec<String> = text.lines().map(|line| line.trim().to_string()).collect();
    match classes.iter().position(String::is_empty) {
        Some(line) => Err(fault(&format!("line {} is empty", line + 1))),
        None if classes.is_empty() => Err(fault(&"it is empty")),
        None => Ok(classes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloaded_weights_are_found_and_missing_ones_say_how_to_get_them() {
        let folder = tempfile::tempdir().unwrap();
        let find = |name: &str| fetched_into(folder.path(), name.parse().unwrap());
        let file = folder.path().join("squeezenet1_1-b8a52dc0.pth");
        let fault = find("squeezenet1_1").unwrap_err();
        let expected = format!(
            "--weights: expected a file of weights for squeezenet1_1, and {} is not there: cnn fetch weights squeezenet1_1 \
             downloads it",
            file.display()
        );
        assert_eq!((fault.status, fault.message), (2, expected));
        // A part is not a file of weights yet.
        std::fs::write(folder.path().join("squeezenet1_1-b8a52dc0.pth.part"), b"").unwrap();
        assert!(find("squeezenet1_1").is_err());
        std::fs::write(&file, b"").unwrap();
        assert_eq!(find("squeezenet1_1").unwrap(), file);
        let fault = find("lenet").unwrap_err().message;
        assert!(fault.contains("for lenet, of which torchvision publishes none"), "{fault}");
    }
}
