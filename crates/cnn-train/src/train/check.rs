//! Faults that would end a run later are found before its first step.

use super::Config;
use crate::fault::Fault;
use cnn_data::Dataset;
use cnn_nn::{At, Kept, Model, RunFolder, RunState};
use cnn_tensor::text::hint;
use cnn_tensor::{Shape, Tensor};
use serde::de::DeserializeOwned;

/// Checks that there are at least two classes, images of each, and a whole batch, and that the network can learn from the last
/// batch of an epoch.
pub fn before_training(config: &Config, training: &dyn Dataset, model: &Model) -> Result<(), Fault> {
    let (images, batch, set) = (training.len(), config.batch_size, &config.dataset);
    let classes = training.classes();
    if classes.len() < 2 {
        let found = classes.first().map_or("none".into(), |class| format!("only {class}"));
        return Err(Fault::usage(format!("{set}: expected at least two classes to tell apart, got {found}")));
    }
    let counts = training.class_counts();
    let empty: Vec<&str> = classes
        .iter()
        .zip(&counts)
        .filter(|(_, count)| **count == 0)
        .map(|(class, _)| class.as_str())
        .collect();
    if let Some(class) = empty.first() {
        let others = empty.len() - 1;
        let more = if others == 0 { String::new() } else { format!(" and for {others} others") };
        let remedy = match (config.limit, config.validation) {
            (Some(limit), _) => format!(": raise --limit above {limit}, or leave it out"),
            (None, Some(validation)) => format!(": keep back less than --validation {validation}"),
            (None, None) => ": add some, or remove the class".into(),
        };
        return Err(Fault::usage(format!(
            "{set}: expected training images for each class, got none for {class}{more}{remedy}"
        )));
    }
    if config.drop_last && images < batch {
        return Err(Fault::usage(format!(
            "--drop-last: expected at least a batch of {batch} training images, got {images}: lower --batch-size"
        )));
    }
    let last = if config.drop_last || images % batch == 0 { batch } else { images % batch };
    // Of two images and more, every layer can learn that can learn from any batch.
    if last == 1 {
        let shape = Shape::from(model.spec.input.shape);
        let one = Tensor::zeros(Shape::new(&[&[1], shape.dims()].concat())?);
        if let Err(fault) = model.net.forward_one(one, At::default(), &mut Kept::default()) {
            return Err(Fault::usage(format!(
                "the network cannot learn from one image alone, as the last batch of {images} images by {batch} would be \
                 ({fault}): add --drop-last, or choose another --batch-size"
            )));
        }
    }
    Ok(())
}

/// Checks that a folder holds no run, which a new one would replace.
pub fn holds_no_run(folder: &RunFolder) -> Result<(), Fault> {
    no_run_in::<Config>(folder, |config| config.training.epochs)
}

/// [`holds_no_run`] for runs of any configuration, which says for how many epochs.
pub fn no_run_in<C: DeserializeOwned>(folder: &RunFolder, epochs: fn(&C) -> usize) -> Result<(), Fault> {
    let (path, another) = (folder.path().display(), "or name another folder with --out");
    match folder.load::<C>() {
        Ok(None) => Ok(()),
        Err(fault) => Err(Fault::usage(format!("{fault}; add --overwrite to start over, {another}"))),
        Ok(Some((RunState { progress, config, .. }, _))) => Err(Fault::usage(match epochs(&config) {
            epochs if progress.epoch < epochs => format!(
                "{path} holds a run that was interrupted in epoch {} of {epochs}: add --resume to go on, --overwrite to start \
                 over, {another}",
                progress.epoch + 1,
            ),
            epochs => {
                format!(
                    "{path} holds a finished run of {epochs} epochs: add --overwrite to train anew, {another}"
                )
            }
        })),
    }
}

/// Checks that each prefix of `--freeze` begins the name of a parameter.
pub fn frozen(prefixes: &[String], model: &Model) -> Result<(), Fault> {
    let names: Vec<String> = model.net.tensors().into_iter().map(|(name, _)| name).collect();
    for prefix in prefixes {
        if !names.iter().any(|name| name.starts_with(prefix.as_str())) {
            let layers: Vec<&str> = model.spec.layers.iter().map(|layer| layer.name.as_str()).collect();
            let near = hint(prefix, layers.iter().copied());
            let layers = layers.join(", ");
            return Err(Fault::usage(format!(
                "--freeze: expected how the name of a parameter begins (layers: {layers}), got {prefix}{near}"
            )));
        }
    }
    Ok(())
}
