//! What a run works on: its images, and the description of its network, which depends on them.

use super::Config;
use crate::fault::Fault;
use crate::model_name::ModelName;
use crate::{datasets, nearest, weights};
use cnn_data::{Data, Dataset, Subset, fingerprint};
use cnn_nn::{Fingerprint, Model, ModelSpec};
use cnn_zoo::{NetworkName, Rename, Weights};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The images and the network of a run.
pub struct Material {
    pub data: Data,
    /// By which a checkpoint recognises the data.
    pub fingerprints: BTreeMap<String, Fingerprint>,
    /// What the network begins with.
    pub start: Start,
    pub spec: ModelSpec,
    /// The images to learn from.
    pub training: Arc<dyn Dataset>,
    /// The training images that are kept back, if the run has validation.
    pub kept: Option<Arc<dyn Dataset>>,
}

/// What a network begins with.
pub enum Start {
    /// Random weights.
    Fresh(NetworkName),
    /// The weights of a file for a network of the zoo.
    Weights { network: NetworkName, weights: Box<Weights>, file: PathBuf },
    /// A whole model, and its file.
    Model { model: Box<Model>, file: PathBuf },
}

impl Material {
    /// Opens the data, which must be the `earlier` ones of a run that goes on.
    pub fn gather(config: &Config, earlier: Option<&BTreeMap<String, Fingerprint>>) -> Result<Self, Fault> {
        if config.data_dir == datasets::folder(&config.dataset) {
            nearest::check_dataset(&config.dataset)?;
        }
        let mut data = datasets::open(&config.dataset, Some(&config.data_dir), config.classes_from)?;
        let fingerprints = fingerprints(&data);
        if let Some(earlier) = earlier {
            check_data(earlier, &fingerprints, config)?;
        }
        let start = Start::read(config)?;
        if let Some(own) = start.classes()?.filter(|_| !config.new_head) {
            // Its outputs have their classes.
            for set in [&mut data.train, &mut data.test] {
                *set = datasets::matched(set.clone(), &own, &config.dataset)?;
            }
        }
        let spec = start.spec(config, &data)?;
        let (training, kept) = match config.validation {
            Some(validation) => {
                let (training, kept) = validation.split(&data.train)?;
                (training, Some(kept))
            }
            None => (data.train.clone(), None),
        };
        let training: Arc<dyn Dataset> = match config.limit {
            Some(limit) => Arc::new(Subset::evenly(training, limit, config.training.seed)),
            None => training,
        };
        Ok(Self { data, fingerprints, start, spec, training, kept })
    }
}

impl Start {
    fn read(config: &Config) -> Result<Self, Fault> {
        let rename = config.rename.iter().map(|rule| rule.parse().map_err(Fault::usage));
        let rename = rename.collect::<Result<Vec<Rename>, _>>()?;
        let weights = match &config.weights {
            Some(file) => Some((weights::read(file, config.ignore_surplus, &rename)?, file.clone())),
            None => None,
        };
        Ok(match (&config.model, weights) {
            (ModelName::Zoo(network), None) => Self::Fresh(*network),
            (ModelName::Zoo(network), Some((weights, file))) => {
                Self::Weights { network: *network, weights: Box::new(weights), file }
            }
            (ModelName::File(model), None) => {
                Self::Model { model: Box::new(weights::of_file(model, config.size)?), file: model.path() }
            }
            // Those of an earlier run with the same model.
            (ModelName::File(named), Some((weights, file))) => {
                let name = weights::of_file(named, config.size)?.spec.name;
                let (model, _) = weights.into_model(None, Vec::new())?;
                if model.spec.name != name {
                    let got = &model.spec.name;
                    let message = format!("--weights: expected those of the model {name}, got {got}");
                    return Err(Fault::usage(message));
                }
                Self::Model { model: Box::new(model), file }
            }
        })
    }

    /// The classes of its outputs, if it has a description.
    fn classes(&self) -> Result<Option<Vec<String>>, Fault> {
        Ok(match self {
            Self::Fresh(_) => None,
            Self::Weights { weights, .. } => weights.description()?.map(|own| own.classes),
            Self::Model { model, .. } => Some(model.spec.classes.clone()),
        })
    }

    /// The description of the network that is trained.
    fn spec(&self, config: &Config, data: &Data) -> Result<ModelSpec, Fault> {
        let (classes, new_head) = (data.classes().to_vec(), config.new_head);
        match self {
            Self::Fresh(network) => {
                let spec = (network.spec)(config.input(data), classes.clone());
                Ok(if new_head { spec.with_head(classes)? } else { spec })
            }
            Self::Weights { network, weights, .. } => {
                Ok(weights.spec(network, Some(config.input(data)), classes, new_head)?)
            }
            Self::Model { model, file } => {
                let (expected, got) = (model.spec.input.shape[0], data.mean.len());
                if expected != got {
                    return Err(Fault::usage(format!(
                        "{}: expected images of {expected} channels, as {} takes, got {got}",
                        config.dataset,
                        file.display()
                    )));
                }
                Ok(if new_head { model.spec.with_head(classes)? } else { model.spec.clone() })
            }
        }
    }
}

/// Those of both parts.
fn fingerprints(data: &Data) -> BTreeMap<String, Fingerprint> {
    [("training", &data.train), ("test", &data.test)]
        .map(|(part, set)| (part.to_string(), fingerprint(set.as_ref())))
        .into()
}

/// Checks that a run goes on with the data that it began with.
fn check_data(
    earlier: &BTreeMap<String, Fingerprint>,
    now: &BTreeMap<String, Fingerprint>,
    config: &Config,
) -> Result<(), Fault> {
    for (part, earlier) in earlier {
        if let Some(difference) = now.get(part).and_then(|now| earlier.difference(now)) {
            return Err(Fault::usage(format!(
                "--resume: {} is not what the run began with: of the {part} images, {difference}; name the right place with \
                 --dataset or --data-dir, start a new run, or add --changed-data to go on with other images of the same classes",
                config.data_dir.display()
            )));
        }
    }
    Ok(())
}
