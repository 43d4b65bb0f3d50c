//! `cargo xtask summary`: a network's table.

use crate::fault::{Fault, print};
use crate::models::{DatasetName, IMAGENET, ModelName};
use clap::ValueEnum;
use cnn_nn::{
    Model, ModelSpec, NnError, ParameterSource, Path as ParameterPath, Request, Sequential, Summary,
};
use cnn_tensor::Tensor;
use std::path::Path;

/// Print a network's layers, output shapes, parameters and multiply-accumulates for one image.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask summary lenet\n  cargo xtask summary resnet18\n  cargo xtask summary runs/lenet-mnist/model.safetensors"
)]
pub struct Args {
    /// lenet, lenet-tanh, lenet-1998, mlp, linear; for ImageNet alexnet, alexnet_2012, googlenet, mobilenet_v2,
    /// resnet18, resnet34, squeezenet1_0, squeezenet1_1, vgg11, vgg11_bn; or a weights file that train-lenet wrote.
    model: String,
    /// Print the rows as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let (spec, summary) = match (described(&args.model), Path::new(&args.model)) {
        (Some(spec), _) => {
            let summary = summarize(&spec)?;
            (spec, summary)
        }
        (None, path) if path.exists() => {
            let model = Model::load(path)?;
            let summary = model.summary()?;
            (model.spec, summary)
        }
        (None, _) => {
            let variants: Vec<_> =
                ModelName::value_variants().iter().filter_map(|m| m.to_possible_value()).collect();
            let mut names: Vec<_> = variants.iter().map(|name| name.get_name()).collect();
            names.extend(IMAGENET.map(|network| network.name));
            let (model, names) = (args.model, names.join(", "));
            return Err(Fault::usage(format!(
                "{model}: expected one of {names}, or an existing weights file"
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

/// The network of that name, for MNIST or ImageNet.
fn described(name: &str) -> Option<ModelSpec> {
    if let Ok(model) = ModelName::from_str(name, true) {
        return Some(model.spec(DatasetName::Mnist));
    }
    let network = cnn_zoo::Network::find(name)?;
    Some(network.published((0..1000).map(|class| class.to_string()).collect()))
}

/// The table of a network that need not compute: VGG-11 would draw 133 million numbers for it.
fn summarize(spec: &ModelSpec) -> Result<Summary, NnError> {
    struct Zeros;
    impl ParameterSource for Zeros {
        fn parameter(&mut self, _: ParameterPath<'_>, request: Request) -> Result<Tensor, NnError> {
            Ok(Tensor::zeros(request.shape))
        }
    }
    let [c, h, w] = spec.input.shape;
    let x = [1, c, h, w].into();
    Sequential::build_from(&spec.layers, x, ParameterPath::ROOT, &mut Zeros)?.summary(spec.input.shape)
}
