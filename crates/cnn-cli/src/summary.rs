//! `cnn summary`: a network's table.

use crate::fault::{Fault, note, print};
use crate::{nearest, weights};
use cnn_data::MnistFamily;
use cnn_nn::{Graph, Input, ModelSpec, NnError, Summary, Zeros};
use cnn_tensor::text::hint;
use cnn_train::onnx;
use cnn_zoo::{NETWORKS, Network, NetworkName, Takes, Weights};
use std::path::Path;

/// Print a network's layers, output shapes, parameters and multiply-accumulates for one image.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cnn summary lenet\n  cnn summary resnet18\n  cnn summary runs/lenet-mnist/model.safetensors\n  cnn summary model.onnx --size 224"
)]
pub struct Args {
    #[arg(help = format!("{}; or a model file, ONNX or one that a training run wrote", Network::names()))]
    model: String,
    /// The network of the zoo that a file of weights was published for.
    #[arg(long = "model", value_name = "NAME", value_parser = nearest::network)]
    network: Option<NetworkName>,
    /// For an ONNX file that leaves them open: height and width of the images.
    #[arg(long, value_name = "N")]
    size: Option<usize>,
    /// Print the rows as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let (spec, summary) = match (described(&args.model), Path::new(&args.model)) {
        (Some(_), _) if args.size.is_some() => {
            return Err(Fault::usage("--size: expected with an ONNX file, got the name of a network"));
        }
        (Some(spec), _) => {
            let summary = summarize(&spec)?;
            (spec, summary)
        }
        (None, path) if path.exists() => {
            if !onnx::is_onnx(path) && !Weights::read(path)?.is_verified() {
                note(format!("{}: has no checksum, so damage to it would not be found", path.display()));
            }
            let (weights, model, size) = (Some(path.into()), args.network.map(Into::into), args.size);
            let args = weights::Args { weights, model, size, layers_only: true, ..weights::Args::default() };
            let model = weights::load(&args)?;
            let summary = model.summary();
            (model.spec, summary)
        }
        (None, _) => {
            let (model, names) = (args.model, Network::names());
            let near = hint(&model, NETWORKS.iter().map(|network| network.name));
            return Err(Fault::usage(format!(
                "{model}: expected one of {names}, or an existing weights file{near}"
            )));
        }
    };
    if args.json {
        print(serde_json::to_string(&summary)?);
    } else {
        print(format!("{} for images of shape {:?}\n\n{summary}", spec.name, spec.input.shape).trim_end());
    }
    Ok(())
}

/// The network of that name, for the images that it is made for.
pub fn described(name: &str) -> Option<ModelSpec> {
    let model: NetworkName = name.parse().ok()?;
    let numbered = |count: usize| (0..count).map(|class| class.to_string()).collect();
    let mnist = MnistFamily::Mnist;
    let input = model.input().unwrap_or_else(|| Input::gray(28, 28, mnist.mean(), mnist.std()));
    let classes = if matches!(model.takes, Takes::ImageNet(_)) { 1000 } else { 10 };
    Some((model.spec)(input, numbered(classes)))
}

/// The table of a network that need not compute: VGG-11 would draw 133 million numbers for it.
fn summarize(spec: &ModelSpec) -> Result<Summary, NnError> {
    let [c, h, w] = spec.input.shape;
    let x = [1, c, h, w].into();
    Ok(Graph::chain(spec.layers.clone(), x, &mut Zeros)?.summary())
}
