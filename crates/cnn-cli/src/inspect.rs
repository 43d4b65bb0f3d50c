//! `cnn inspect`: the tensors in a file, or the network in an ONNX file.

mod onnx;

use crate::fault::{Fault, note, print};
use crate::nearest;
use cnn_nn::{ModelSpec, NnError, checkpoint};
use cnn_tensor::text::one_line;
use cnn_train::onnx::is_onnx;
use cnn_zoo::{NetworkName, Rename, Takes, Weights};
use serde::Serialize;
use std::path::PathBuf;

/// List the tensors in a file of weights: a model of this library, another safetensors file, or PyTorch's .pth and .pt. Of an ONNX
/// file, show the network.
///
/// With --model it says whether they fit that network, which are missing, which have no place, and which of these have the shape of
/// a missing one.
///
/// Of an ONNX file it shows inputs, outputs, metadata, and the other files that it needs; every node that cannot be computed here, with
/// the reason; and the table of layers, with shapes, parameters and multiply-accumulates.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn inspect runs/lenet-mnist/model.safetensors
  cnn inspect resnet18-f37072fd.pth --model resnet18
  cnn inspect theirs.pth --model resnet18 --rename '^backbone\\.=' --json | jq .fits
  cnn inspect model.onnx --size 224")]
pub struct Args {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A network of the zoo that the weights may be for.
    #[arg(long, value_name = "NAME", value_parser = nearest::network)]
    model: Option<NetworkName>,
    /// Rename the tensors before: a regular expression and its replacement; may be given more than once.
    #[arg(long, value_name = "FROM=TO", requires = "model")]
    rename: Vec<Rename>,
    /// For an ONNX file that leaves them open: height and width of the images.
    #[arg(long, value_name = "N")]
    size: Option<usize>,
    /// For an ONNX file that leaves them open: the extents of an image of the input NAME, such as 3,224,224.
    #[arg(long, value_name = "NAME=C,H,W", value_parser = onnx::extents)]
    input_shape: Vec<(String, Vec<usize>)>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Contents {
    file: PathBuf,
    bytes: u64,
    /// Whether it has a checksum, which was verified.
    verified: bool,
    model: Option<Described>,
    numbers: u64,
    tensors: Vec<Listed>,
    notes: Vec<String>,
    /// With `--model`.
    fits: Option<bool>,
    misfit: Option<String>,
}

/// The model that the file describes.
#[derive(Serialize)]
struct Described {
    name: String,
    classes: usize,
    input: [usize; 3],
}

#[derive(Serialize)]
struct Listed {
    name: String,
    element: String,
    /// `None` if the tensor cannot be read.
    shape: Option<Vec<usize>>,
    fault: Option<String>,
}

pub fn run(args: Args) -> Result<(), Fault> {
    if is_onnx(&args.file) {
        if args.model.is_some() {
            return Err(Fault::usage("--model: expected with a file of weights, got an ONNX file"));
        }
        return onnx::run(&args.file, args.size, &args.input_shape, args.json);
    }
    if args.size.is_some() || !args.input_shape.is_empty() {
        return Err(Fault::usage("--size, --input-shape: expected with an ONNX file"));
    }
    let contents = look_into(&args)?;
    for line in &contents.notes {
        note(line);
    }
    if args.json {
        print(serde_json::to_string(&contents)?);
    } else {
        print(contents.in_words());
    }
    match contents.misfit {
        Some(_) if args.json => {
            Err(Fault { status: 1, message: "the tensors do not fit the network".into() })
        }
        Some(message) => Err(Fault { status: 1, message }),
        None => Ok(()),
    }
}

fn look_into(args: &Args) -> Result<Contents, Fault> {
    let Args { file, model, rename, .. } = args;
    let saved = checkpoint::load(file)?;
    let model_of_file = match &saved.description {
        // Other files of this library have a description, too, such as checkpoints.
        Some(_) => ModelSpec::of_saved(&saved, file).ok(),
        None => None,
    };
    let weights = || Weights::of(file, saved.clone()).rename(rename);
    let misfit = model.map(|network| Ok::<_, Fault>(fits(weights()?, &network)?)).transpose()?.flatten();
    let tensors: Vec<Listed> = saved
        .types
        .iter()
        .map(|(name, element)| Listed {
            name: name.clone(),
            element: element.clone(),
            shape: saved.tensors.get(name).map(|tensor| tensor.shape().dims().to_vec()),
            fault: saved.unreadable.get(name).cloned(),
        })
        .collect();
    Ok(Contents {
        file: file.clone(),
        bytes: file.metadata()?.len(),
        verified: saved.is_verified,
        model: model_of_file.map(|spec| Described {
            name: spec.name,
            classes: spec.classes.len(),
            input: spec.input.shape,
        }),
        numbers: saved.tensors.values().map(|tensor| tensor.data().len() as u64).sum(),
        tensors,
        notes: saved.notes,
        fits: model.map(|_| misfit.is_none()),
        misfit,
    })
}

/// Why the tensors do not fit the network, if they do not.
fn fits(weights: Weights, network: &NetworkName) -> Result<Option<String>, NnError> {
    let classes = match weights.description()? {
        Some(_) => Vec::new(),
        None => {
            let count = if matches!(network.takes, Takes::ImageNet(_)) { 1000 } else { 10 };
            (0..count).map(|class| class.to_string()).collect()
        }
    };
    Ok(weights.into_model(Some(network), classes).err().map(|fault| fault.to_string()))
}

impl Contents {
    fn in_words(&self) -> String {
        let mut lines = vec![format!(
            "{}: {} tensors, {} numbers, {} bytes, {}",
            self.file.display(),
            self.tensors.len(),
            self.numbers,
            self.bytes,
            if self.verified { "checksum right" } else { "no checksum" }
        )];
        if let Some(Described { name, classes, input: [c, h, w] }) = &self.model {
            lines.push(format!("a model: {name}, for images of {c} x {h} x {w} and {classes} classes"));
        }
        lines.push(String::new());
        let names: Vec<String> = self.tensors.iter().map(|tensor| one_line(&tensor.name)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        for (name, Listed { element, shape, fault, .. }) in names.iter().zip(&self.tensors) {
            let shape = match (shape, fault) {
                (Some(shape), _) => format!("{shape:?}"),
                (None, Some(fault)) => fault.clone(),
                (None, None) => String::new(),
            };
            lines.push(format!("{name:width$}  {element:8}  {shape}"));
        }
        if self.fits == Some(true) {
            lines.extend([String::new(), "all tensors fit the network".into()]);
        }
        lines.join("\n").trim_end().into()
    }
}
