//! `cargo xtask summary`: a network's table.

use crate::fault::{Fault, print};
use crate::models::{DatasetName, ModelName};
use clap::ValueEnum;
use cnn_nn::Model;
use std::path::Path;

/// Print a network's layers, output shapes, parameters and multiply-accumulates for one image.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask summary lenet\n  cargo xtask summary runs/lenet-mnist/model.safetensors"
)]
pub struct Args {
    /// lenet, lenet-tanh, mlp or linear, or a weights file that train-lenet wrote.
    model: String,
    /// Print the rows as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let model = match ModelName::from_str(&args.model, true) {
        Ok(name) => Model::build(name.spec(DatasetName::Mnist), 0)?,
        Err(_) if Path::new(&args.model).exists() => Model::load(Path::new(&args.model))?,
        Err(_) => {
            let names: Vec<_> =
                ModelName::value_variants().iter().filter_map(|m| m.to_possible_value()).collect();
            let names: Vec<_> = names.iter().map(|name| name.get_name()).collect();
            let names = names.join(", ");
            return Err(Fault::usage(format!(
                "{}: expected one of {names}, or an existing weights file",
                args.model
            )));
        }
    };
    let summary = model.summary()?;
    if args.json {
        print(serde_json::to_string(&summary)?);
    } else {
        print(
            format!("{} for images of shape {:?}\n\n{summary}", model.spec.name, model.spec.input.shape)
                .trim_end(),
        );
    }
    Ok(())
}
