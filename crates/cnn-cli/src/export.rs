//! `cnn export`: a model in another library's form.

use crate::fault::{Fault, deliver};
use crate::save::{make_folder_of, save};
use crate::{nearest, weights};
use cnn_nn::{Model, ModelSpec, checkpoint};
use cnn_onnx::{Described, Export, export};
use cnn_tensor::Tensor;
use cnn_train::onnx::Preparation;
use cnn_zoo::{Network, NetworkName, Rename};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Write a model as ONNX, as tensors for PyTorch, or as a model file of this program.
///
/// The ONNX file takes any number of images, begins with the network's input after its preprocessing, and ends with the scores
/// before softmax. The names of the classes and the preprocessing are in its metadata, where this program finds them again.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn export runs/lenet-mnist/model.safetensors --onnx lenet.onnx
  cnn export resnet18-f37072fd.pth --model resnet18 --onnx resnet18.onnx --fold-batch-norm
  cnn export resnet18-f37072fd.pth --model resnet18 --safetensors resnet18.safetensors
  cnn export model.onnx --preprocess imagenet --model-file model.safetensors

In Python:
  onnxruntime.InferenceSession('lenet.onnx').run(None, {'input': images})
  module.load_state_dict(safetensors.torch.load_file('resnet18.safetensors'), strict=True)")]
pub struct Args {
    /// The model's file, ONNX too; or, with --model, weights published for that network.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The network of the zoo that the weights were published for.
    #[arg(long, value_name = "NAME", value_parser = nearest::network)]
    model: Option<NetworkName>,
    /// A text file with the names of the network's classes, a line each [default: the model file's, or ImageNet's].
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    #[command(flatten)]
    preparation: Preparation,
    /// For an ONNX file that leaves them open: height and width of the images.
    #[arg(long, value_name = "N")]
    size: Option<usize>,
    /// Rename tensors of the file: a regular expression and its replacement; may be given more than once.
    #[arg(long, value_name = "FROM=TO")]
    rename: Vec<Rename>,
    /// Write an ONNX model.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["safetensors", "model_file"])]
    onnx: Option<PathBuf>,
    /// Make batch normalisation part of the layers before it, where it can be.
    #[arg(long, requires = "onnx")]
    fold_batch_norm: bool,
    /// Write the tensors alone, in PyTorch's layouts; with torchvision's names, where it has the network.
    #[arg(long, value_name = "FILE")]
    safetensors: Option<PathBuf>,
    /// Write a model file, as training does.
    #[arg(long, value_name = "FILE")]
    model_file: Option<PathBuf>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Written {
    model: String,
    classes: usize,
    input: [usize; 3],
    parameters: u64,
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    path: PathBuf,
    bytes: usize,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let Args { file, model, classes, preparation, size, rename, json, .. } = args;
    let Args { onnx, fold_batch_norm, safetensors, model_file, .. } = args;
    for out in onnx.iter().chain(&safetensors).chain(&model_file) {
        if is_same(out, &file) {
            return Err(Fault::usage(format!(
                "{}: expected another file than the model itself",
                out.display()
            )));
        }
    }
    let model = weights::load(&weights::Args {
        weights: Some(file),
        model: model.map(Into::into),
        classes,
        preparation,
        size,
        rename,
        ..weights::Args::default()
    })?;
    let mut files = Vec::new();
    if let Some(path) = onnx {
        let contents = to_onnx(&model, fold_batch_norm)?;
        save(&path, &contents)?;
        files.push(File { bytes: contents.len(), path });
    }
    if let Some(path) = safetensors {
        make_folder_of(&path)?;
        checkpoint::save_tensors(&path, &for_pytorch(&model))?;
        files.push(File { bytes: path.metadata()?.len() as usize, path });
    }
    if let Some(path) = model_file {
        make_folder_of(&path)?;
        model.save(&path)?;
        files.push(File { bytes: path.metadata()?.len() as usize, path });
    }
    let written = Written {
        model: model.spec.name.clone(),
        classes: model.spec.classes.len(),
        input: model.spec.input.shape,
        parameters: model.net.parameter_count() as u64,
        files,
    };
    deliver(&written.in_words(), &written, json)
}

/// Whether two paths name one file that exists.
fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// The tensors by the names of torchvision's module.
fn for_pytorch(model: &Model) -> Vec<(String, Tensor)> {
    let network = Network::find(&model.spec.name);
    let name = |name: String| network.map_or(name.clone(), |network| network.torchvision_name(&name));
    model.net.tensors().into_iter().map(|(own, tensor)| (name(own), tensor)).collect()
}

fn to_onnx(model: &Model, fold_batch_norm: bool) -> Result<Vec<u8>, Fault> {
    let ModelSpec { name, input, classes, .. } = model.spec.clone();
    let described = serde_json::to_string(&Described { name, input, classes })?;
    let metadata = vec![(Described::KEY.into(), described)];
    let options = Export { metadata, fold_batch_norm, ..Export::default() };
    export(&model.net, &options).map_err(|fault| Fault { status: 1, message: fault.to_string() })
}

impl Written {
    fn in_words(&self) -> String {
        let [c, h, w] = self.input;
        let head = format!(
            "{}: {} parameters, images of {c} x {h} x {w}, {} classes",
            self.model, self.parameters, self.classes
        );
        let files = self.files.iter().map(|File { path, bytes }| {
            format!("written: {} ({:.1} MB)", path.display(), *bytes as f64 / 1e6)
        });
        std::iter::once(head).chain(files).collect::<Vec<_>>().join("\n")
    }
}
