//! What a run works on: photos, captions, words and features.

use super::features::{self, View};
use super::{Args, Config};
use crate::fault::Fault;
use crate::home;
use crate::weights;
use cnn::Features;
use cnn_data::{CaptionBatches, CaptionFile, CaptionedImages, Dataset, Vocabulary, words};
use cnn_nn::{Fingerprint, Model, Preprocess};
use cnn_search::Index;
use cnn_tensor::Tensor;
use std::collections::BTreeMap;
use std::path::Path;

/// Photos, captions, words and features.
pub struct Material {
    pub trunk: Model,
    /// The layer of the trunk whose outputs are the features, and how many there are.
    pub layer: String,
    pub length: usize,
    pub vocabulary: Vocabulary,
    pub train: Part,
    /// The features of the training photos, mirrored.
    mirrored: Index,
    pub dev: Part,
    pub test: Part,
    /// By which a checkpoint recognises the data.
    pub fingerprints: BTreeMap<String, Fingerprint>,
}

/// A part of the data.
pub struct Part {
    pub set: CaptionedImages,
    /// The words of the captions of each photo.
    pub captions: Vec<Vec<Vec<String>>>,
    pub features: Index,
}

impl Part {
    pub fn len(&self) -> usize {
        self.set.len()
    }
}

impl Material {
    /// Opens the data and computes the features that are not on disk.
    pub fn gather(args: &Args, config: &Config) -> Result<Self, Fault> {
        let file = CaptionFile::read(&args.tokens)?;
        let open = |list: &Path| CaptionedImages::open(&args.images, &file, Some(list));
        let sets = [open(&args.train)?, open(&args.dev)?, open(&args.test)?];
        check_apart(&sets)?;
        let mut trunk = weights::load(&args.weights)?;
        // The photos are seen whole, not their middle: captions name what is at the sides, too.
        if let Preprocess::ResizeCrop { resize } = &mut trunk.spec.input.preprocess {
            *resize = trunk.spec.input.shape[1].max(trunk.spec.input.shape[2]);
        }
        let features = Features::of(&trunk)?;
        let default = || home::runs().join("features");
        let folder = args.features.clone().unwrap_or_else(default);
        let mirrored = features::of(&features, &sets[0], View::Mirrored, &folder)?;
        let names = ["training", "dev", "test"].map(String::from);
        let fingerprints = names.into_iter().zip(sets.iter().map(CaptionedImages::fingerprint)).collect();
        let part = |set: CaptionedImages| -> Result<Part, Fault> {
            let captions =
                (0..set.len()).map(|i| set.captions(i).iter().map(|text| words(text)).collect()).collect();
            Ok(Part { features: features::of(&features, &set, View::Plain, &folder)?, captions, set })
        };
        let [train, dev, test] = sets.map(part);
        let (train, dev, test) = (train?, dev?, test?);
        let vocabulary = Vocabulary::of(train.captions.iter().flatten(), config.least);
        if vocabulary.words().len() == Vocabulary::of([[]; 0], 0).words().len() {
            return Err(Fault::usage(format!(
                "--least: expected words that occur {} times in the captions of training, got none",
                config.least
            )));
        }
        let (layer, length) = (features.layer_name().to_string(), train.features.length());
        Ok(Self { trunk, layer, length, vocabulary, train, mirrored, dev, test, fingerprints })
    }

    /// Checks that a run goes on with the data that it began with.
    pub fn check_against(&self, earlier: &BTreeMap<String, Fingerprint>) -> Result<(), Fault> {
        for (part, earlier) in earlier {
            if let Some(difference) = self.fingerprints.get(part).and_then(|now| earlier.difference(now)) {
                return Err(Fault::usage(format!(
                    "--resume: the {part} photos and captions are not those that the run began with: {difference}"
                )));
            }
        }
        Ok(())
    }

    /// The captions to learn from and those of the dev list.
    pub fn batches(&self, config: &Config) -> Result<(CaptionBatches, CaptionBatches), Fault> {
        const DEV_BATCH: usize = 128;
        let numbers = |part: &Part| -> Vec<Vec<Vec<u32>>> {
            let of_photo = |captions: &Vec<Vec<String>>| {
                captions.iter().map(|words| self.vocabulary.numbers(words)).collect()
            };
            part.captions.iter().map(of_photo).collect()
        };
        let seen = views(&[&self.train.features, &self.mirrored])?;
        let train = CaptionBatches::new(seen, numbers(&self.train), config.batch_size)?;
        let dev = CaptionBatches::new(views(&[&self.dev.features])?, numbers(&self.dev), DEV_BATCH)?;
        Ok((train.shuffle(config.training.seed), dev))
    }
}

/// Names the photos that are in two lists: a test on photos of training says nothing.
fn check_apart(sets: &[CaptionedImages; 3]) -> Result<(), Fault> {
    let mut seen = BTreeMap::new();
    for (set, list) in sets.iter().zip(["--train", "--dev", "--test"]) {
        for i in 0..set.len() {
            if let Some(other) = seen.insert(set.file_name(i).to_string(), list) {
                let name = cnn_tensor::text::one_line(set.file_name(i));
                return Err(Fault::usage(format!("{list}: expected other photos than {other}, got {name}")));
            }
        }
    }
    Ok(())
}

/// `[photos, views, features]`.
fn views(indices: &[&Index]) -> Result<Tensor, Fault> {
    let (photos, length) = (indices[0].len(), indices[0].length());
    let mut data = Vec::with_capacity(photos * indices.len() * length);
    for photo in 0..photos {
        indices.iter().for_each(|index| data.extend_from_slice(index.vector(photo)));
    }
    Ok(Tensor::from_vec([photos, indices.len(), length], data)?)
}
