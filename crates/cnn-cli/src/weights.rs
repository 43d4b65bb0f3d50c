//! Weights files: this library's own, and those published for a network of the zoo.

use crate::fault::Fault;
use cnn_data::imagenet;
use cnn_nn::{Model, checkpoint};
use cnn_zoo::{NetworkName, Takes};
use std::path::Path;

/// The model in a file that a training run wrote, or the network `model` with the weights published for it.
pub fn load(model: Option<NetworkName>, file: &Path) -> Result<Model, Fault> {
    let Some(model) = model else {
        let saved = checkpoint::load(file)?;
        if saved.description.is_none() {
            return Err(Fault::usage(format!(
                "{}: expected a model with its description, as training writes it; of weights that come without one, name \
                 the network with --model",
                file.display()
            )));
        }
        return Ok(Model::from_saved(saved, file)?);
    };
    if !matches!(model.takes, Takes::ImageNet(_)) {
        return Err(Fault::usage(format!(
            "--model: expected a network for ImageNet, of which there are published weights, got {model}; the files that \
             training writes need no --model"
        )));
    }
    let classes = imagenet::classes().iter().map(ToString::to_string).collect();
    Ok(cnn_zoo::load_weights(model.name, file, classes)?)
}
