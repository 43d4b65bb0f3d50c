//! What a run works on: its images, and the description of its network, which depends on them.

use super::Config;
use crate::fault::Fault;
use crate::{datasets, nearest, weights};
use cnn_data::{Data, Dataset, Subset, fingerprint};
use cnn_nn::{Fingerprint, ModelSpec};
use cnn_zoo::{Rename, Weights};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The images and the network of a run.
pub struct Material {
    pub data: Data,
    /// By which a checkpoint recognises the data.
    pub fingerprints: BTreeMap<String, Fingerprint>,
    /// The weights to begin with, if a file has them.
    pub weights: Option<Weights>,
    pub spec: ModelSpec,
    /// The images to learn from.
    pub training: Arc<dyn Dataset>,
    /// The training images that are kept back, if the run has validation.
    pub kept: Option<Arc<dyn Dataset>>,
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
        let weights = config.weights.as_ref();
        let rename = config.rename.iter().map(|rule| rule.parse().map_err(Fault::usage));
        let rename = rename.collect::<Result<Vec<Rename>, _>>()?;
        let weights = weights.map(|file| weights::read(file, config.ignore_surplus, &rename)).transpose()?;
        let own = weights.as_ref().filter(|_| !config.new_head).map(Weights::description).transpose()?;
        if let Some(own) = own.flatten() {
            // Its outputs have their classes.
            for set in [&mut data.train, &mut data.test] {
                *set = datasets::matched(set.clone(), &own.classes, &config.dataset)?;
            }
        }
        let (input, classes) = (config.input(&data), data.classes().to_vec());
        let spec = match &weights {
            Some(weights) => weights.spec(&config.model, Some(input), classes, config.new_head)?,
            None => config.spec(&data)?,
        };
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
        Ok(Self { data, fingerprints, weights, spec, training, kept })
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
