//! `cargo xtask summary`: a network's table.

use crate::fault::{Fault, print};
use crate::networks::{self, ModelName, Size};
use cnn_data::MnistFamily;
use cnn_nn::{
    Graph, Input, Model, ModelSpec, NnError, ParameterSource, Path as ParameterPath, Request, Summary,
};
use cnn_tensor::Tensor;
use std::path::Path;

/// Print a network's layers, output shapes, parameters and multiply-accumulates for one image.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask summary lenet\n  cargo xtask summary resnet18\n  cargo xtask summary runs/lenet-mnist/model.safetensors"
)]
pub struct Args {
    #[arg(help = format!("{}; or a weights file that a training run wrote", networks::names()))]
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
            let summary = model.summary();
            (model.spec, summary)
        }
        (None, _) => {
            let (model, names) = (args.model, networks::names());
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

/// The network of that name, for the images that it is made for.
pub fn described(name: &str) -> Option<ModelSpec> {
    let model: ModelName = name.parse().ok()?;
    let numbered = |count: usize| (0..count).map(|class| class.to_string()).collect();
    let mnist = MnistFamily::Mnist;
    Some(match model.size {
        Size::Any => model.spec(Input::gray(28, 28, mnist.mean(), mnist.std()), numbered(10)),
        Size::Lenet1998 => model.spec(cnn_zoo::lenet::input_1998(), numbered(10)),
        Size::ImageNet(side) => {
            model.spec(Input { shape: [3, side, side], ..cnn_zoo::imagenet_input() }, numbered(1000))
        }
    })
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
    Ok(Graph::chain(spec.layers.clone(), x, &mut Zeros)?.summary())
}
