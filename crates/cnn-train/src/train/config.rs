//! What a run is made of: with it and the data, the run can be repeated bit for bit.

use super::options::Options;
pub use super::options::ScheduleName;
use super::validation::Validation;
use crate::augment;
use crate::datasets;
use crate::fault::Fault;
use crate::model_name::ModelName;
use crate::weights;
use cnn_data::transform::Frame;
use cnn_data::transform::Pipeline;
use cnn_data::{ClassesFrom, Crops, Mix, PathText};
use cnn_data::{Data, DatasetName};
use cnn_nn::{Graph, Input, OptimizerSpec, ParameterGroup, Plateau, Preprocess, Schedule, TrainSettings};
use cnn_ops::CrossEntropy;
use cnn_zoo::Takes;
use cnn_zoo::{OptimizerName, Recipe};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The configuration of a run, as config.json holds it. Threads are no part of it: they change nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Config {
    /// The version of this program.
    pub version: String,
    pub model: ModelName,
    pub dataset: DatasetName,
    #[serde(with = "path")]
    pub data_dir: PathBuf,
    /// Which folders are the classes.
    #[serde(default)]
    pub classes_from: ClassesFrom,
    /// Height and width of what the network takes; `None` for the data set's own.
    pub size: Option<usize>,
    /// A file of weights to begin with.
    #[serde(with = "optional_path")]
    pub weights: Option<PathBuf>,
    /// Whether tensors of that file may have no place in the network.
    #[serde(default)]
    pub ignore_surplus: bool,
    /// New names for that file's tensors: `FROM=TO`, with a regular expression.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rename: Vec<String>,
    /// A single linear layer in the place of the classifier.
    pub new_head: bool,
    /// How many times lower the first layer's learning rate is than the last one's; running statistics are held, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr_fall: Option<f32>,
    pub batch_size: usize,
    pub training: TrainSettings,
    /// Class weights, label smoothing and what else the cross-entropy of training may have.
    #[serde(default)]
    pub loss: CrossEntropy,
    /// The transforms of training images, and of test images, before normalisation.
    pub augment: Pipeline,
    pub test: Pipeline,
    pub crops: Option<Crops>,
    pub mix: Option<Mix>,
    /// Train on this many images only, of each class as many.
    pub limit: Option<usize>,
    /// Whether a last batch that is not full is left out of each epoch.
    #[serde(default)]
    pub drop_last: bool,
    /// Training images kept back, by which the best epoch is chosen.
    #[serde(default)]
    pub validation: Option<Validation>,
    /// Whether images that cannot be decoded are passed over.
    pub skip_bad_images: bool,
}

/// Paths that need not be UTF-8.
mod path {
    use super::*;

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        PathText::from(path.to_path_buf()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        PathText::deserialize(deserializer).map(PathBuf::from)
    }
}

mod optional_path {
    use super::*;

    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.clone().map(PathText::from).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        Option::<PathText>::deserialize(deserializer).map(|path| path.map(PathBuf::from))
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys = Map::<String, Value>::deserialize(deserializer)?;
        // Runs that began under version 0.1.0 had the loss among the settings of training.
        let among_settings = keys.get_mut("training").and_then(Value::as_object_mut);
        if let Some(loss) = among_settings.and_then(|training| training.remove("loss")) {
            keys.insert("loss".into(), loss);
        }
        Self::deserialize(Value::Object(keys)).map_err(D::Error::custom)
    }
}

impl Config {
    /// The options given, and the recipe for the others.
    pub fn new(model: impl Into<ModelName>, options: &Options) -> Result<Self, Fault> {
        let model = model.into();
        let dataset = options.dataset.clone().unwrap_or("mnist".into());
        let recipe = recipe(&model, &dataset, options.transfers());
        let (optimizer, learning_rate) = recipe.optimizer(options.optimizer.unwrap_or(OptimizerName::Sgd));
        let Recipe { epochs, batch_size, schedule, loss, groups, .. } = recipe;
        let fresh = Self {
            version: env!("CARGO_PKG_VERSION").into(),
            size: size(&model, &dataset, options.size)?,
            model: model.clone(),
            data_dir: datasets::folder(&dataset),
            classes_from: ClassesFrom::default(),
            dataset,
            weights: None,
            ignore_surplus: false,
            rename: Vec::new(),
            new_head: false,
            lr_fall: None,
            batch_size,
            training: TrainSettings {
                epochs,
                learning_rate,
                schedule,
                optimizer,
                groups,
                ..TrainSettings::default()
            },
            loss,
            augment: Pipeline::default(),
            test: Pipeline::default(),
            crops: None,
            mix: None,
            limit: None,
            drop_last: false,
            validation: None,
            skip_bad_images: false,
        };
        let augment = Some(options.augment.clone().unwrap_or_else(|| recipe.augment.into()));
        // The learning rate depends on the held-out images, so they must not be the test set.
        let by_plateau = match options.schedule {
            Some(schedule) => schedule == ScheduleName::Plateau,
            None => matches!(fresh.training.schedule, Schedule::ReduceOnPlateau(_)),
        };
        let validation = options.validation.or(by_plateau.then_some(Validation::TENTH));
        let crops = Some(options.crops.clone().unwrap_or_else(|| recipe.crops.into()));
        fresh.with(&model, &Options { augment, crops, validation, ..options.clone() })
    }

    /// The configuration in a file that an earlier run wrote.
    pub fn read(file: &Path) -> Result<Self, Fault> {
        let fault = |e: &dyn std::fmt::Display| Fault {
            status: 1,
            message: format!("{}: expected the config.json of a run: {e}", file.display()),
        };
        let text = std::fs::read_to_string(file).map_err(|e| fault(&e))?;
        serde_json::from_str(&text).map_err(|e| fault(&e))
    }

    /// The same, changed by the options that were given.
    pub fn with(mut self, model: &ModelName, options: &Options) -> Result<Self, Fault> {
        self.model = self.model.renamed(model).ok_or_else(|| {
            let (ours, wanted) = (self.model.title(), model.title());
            Fault::usage(format!("the run is one of {ours}, expected {wanted}"))
        })?;
        if let Some(dataset) = &options.dataset {
            self.dataset.clone_from(dataset);
            self.data_dir = datasets::folder(dataset);
        }
        set(&mut self.data_dir, &options.data_dir);
        set(&mut self.classes_from, &options.classes_from.choice());
        let training = &mut self.training;
        set(&mut training.epochs, &options.epochs);
        set(&mut self.batch_size, &options.batch_size);
        if let Some(name) = options.optimizer {
            let transfers = self.new_head || self.lr_fall.is_some() || options.transfers();
            let recipe = recipe(model, &self.dataset, transfers);
            (training.optimizer, training.learning_rate) = recipe.optimizer(name);
        }
        set(&mut training.learning_rate, &options.lr);
        if let Some(decay) = options.weight_decay {
            *weight_decay(&mut training.optimizer) = decay;
        }
        if let Some(name) = options.schedule {
            training.schedule = schedule(name);
        }
        set(&mut training.seed, &options.seed);
        set(&mut self.loss.label_smoothing, &options.label_smoothing);
        let training = &mut self.training;
        for prefix in &options.freeze {
            let group = ParameterGroup::frozen(format!("{prefix}*"));
            if !training.groups.contains(&group) {
                training.groups.push(group);
            }
        }
        if options.freeze_trunk {
            // A parameter belongs to the first group that takes it.
            let groups = [ParameterGroup::named("head.*"), ParameterGroup::frozen("*").holding_statistics()];
            for group in groups {
                if !training.groups.contains(&group) {
                    training.groups.push(group);
                }
            }
        }
        self.lr_fall = options.lr_fall.or(self.lr_fall);
        if let Some(file) = &options.weights {
            self.weights = Some(file.clone());
        }
        self.new_head |= options.new_head;
        self.ignore_surplus |= options.ignore_surplus;
        if !options.rename.is_empty() {
            self.rename = options.rename.iter().map(ToString::to_string).collect();
        }
        self.skip_bad_images |= options.skip_bad_images;
        self.drop_last |= options.drop_last;
        self.limit = options.limit.or(self.limit);
        if let Some(mix) = &options.mix {
            self.mix = augment::mix(mix)?;
        }
        self.validation = options.validation.or(self.validation);
        self.size = options.size.or(self.size);
        if options.size == Some(0) {
            return Err(Fault::usage("--size: expected at least 1, got 0"));
        }
        if options.size.is_some() && options.augment.is_none() {
            let message = "--size: expected --augment as well, to change the size of an earlier run's images";
            return Err(Fault::usage(message));
        }
        // Transforms depend on the size, so all of them are made anew if any of this changes.
        if options.size.is_some() || options.augment.is_some() || options.crops.is_some() {
            let frame = Frame::new(self.dataset.side(), self.size);
            if let Some(preset) = &options.augment {
                self.augment = augment::training(preset, frame)?;
            }
            let crops = options.crops.clone().or(self.crops.map(|crops| crops.count().to_string()));
            let views = crops.and_then(|crops| crops.parse().ok()).unwrap_or(1);
            (self.test, self.crops) = frame.testing(views)?;
        }
        Ok(self)
    }

    /// Checks that every number can be used.
    pub fn validate(&self) -> Result<(), Fault> {
        let TrainSettings { epochs, learning_rate, .. } = self.training;
        let counts = [("--epochs", Some(epochs)), ("--batch-size", Some(self.batch_size))];
        for (option, value) in counts.into_iter().chain([("--limit", self.limit)]) {
            if value == Some(0) {
                return Err(Fault::usage(format!("{option}: expected at least 1, got 0")));
            }
        }
        if !(learning_rate.is_finite() && learning_rate > 0.0) {
            return Err(Fault::usage(format!("--lr: expected a number above 0, got {learning_rate}")));
        }
        if let Some(fall) = self.lr_fall.filter(|fall| !(fall.is_finite() && *fall >= 1.0)) {
            return Err(Fault::usage(format!("--lr-fall: expected a number of at least 1, got {fall}")));
        }
        let smoothing = self.loss.label_smoothing;
        if !(0.0..=1.0).contains(&smoothing) {
            return Err(Fault::usage(format!("--label-smoothing: expected 0 to 1, got {smoothing}")));
        }
        self.training.validate().map_err(Fault::usage)
    }

    /// The name of the images on which each epoch is evaluated.
    pub fn held_out(&self) -> &'static str {
        if self.validation.is_some() { "validation" } else { "test" }
    }

    /// The network's input for images of this data set.
    pub fn input(&self, data: &Data) -> Input {
        if let Takes::Digits(input) = self.model.takes() {
            return input();
        }
        let Data { mean, std, .. } = data;
        let [c, h, w] = match (self.size, data.shape) {
            (Some(side), shape) => [shape.map_or(mean.len(), |[c, ..]| c), side, side],
            (None, Some(shape)) => shape,
            // Photos of any size have a size to be brought to: `size` gives it.
            (None, None) => [mean.len(), 224, 224],
        };
        let preprocess = match &self.dataset {
            DatasetName::Named(set) if set.shape()[1] == h && set.is_in_mnists_form() => Preprocess::Digit,
            DatasetName::Named(set) if set.shape()[1] == h => Preprocess::ResizeCrop { resize: h },
            _ => Preprocess::ResizeCrop { resize: Preprocess::short_side([h, w]) },
        };
        Input { preprocess, ..Input::new([c, h, w], mean, std) }
    }

    /// The settings of training for this network: with the groups that `lr_fall` asks for.
    pub fn settings_for(&self, net: &Graph) -> TrainSettings {
        let mut settings = self.training.clone();
        if let Some(fall) = self.lr_fall {
            let mut names = Vec::new();
            net.parameters(&mut |name, tensor| {
                let (name, axes) = (name.to_string(), tensor.shape().rank());
                if !settings.groups.iter().any(|group| group.takes(&name, axes)) {
                    names.push(name);
                }
            });
            settings.groups.extend(ParameterGroup::falling(names.iter().map(String::as_str), fall));
        }
        settings
    }

    /// The folder of the run, unless the user names one.
    pub fn default_folder(&self) -> String {
        format!("{}-{}", self.model, self.dataset.short())
    }

    /// The same run where its files lie now: paths are no part of what a run is.
    pub fn with_paths_of(&self, other: &Self) -> Self {
        let mut same = Self {
            model: self.model.moved_to(&other.model),
            data_dir: other.data_dir.clone(),
            weights: other.weights.clone(),
            ..self.clone()
        };
        if let (DatasetName::Images(_), DatasetName::Images(_)) = (&self.dataset, &other.dataset) {
            same.dataset.clone_from(&other.dataset);
        }
        same
    }
}

/// The settings in which another configuration differs, as `batch_size 64 instead of 32`.
pub fn differences(mine: &impl Serialize, others: &impl Serialize) -> String {
    let (mine, others) = (serde_json::to_value(mine), serde_json::to_value(others));
    let (Ok(mine), Ok(others)) = (mine, others) else { return "other settings".into() };
    let mut differing = Vec::new();
    differing_below("", &mine, &others, &mut differing);
    differing.join(", ")
}

/// Walks down two values to where they differ.
fn differing_below(
    path: &str,
    mine: &serde_json::Value,
    others: &serde_json::Value,
    found: &mut Vec<String>,
) {
    use serde_json::Value::{Array, Object};
    match (mine, others) {
        (mine, others) if mine == others => {}
        (Object(mine), Object(others)) if mine.keys().eq(others.keys()) => {
            for (key, value) in mine {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                differing_below(&path, value, &others[key], found);
            }
        }
        // Of objects, such as the stages of a cascade; a list of numbers is one setting.
        (Array(mine), Array(others)) if mine.len() == others.len() && mine.iter().all(|v| v.is_object()) => {
            for (i, (mine, others)) in mine.iter().zip(others).enumerate() {
                differing_below(&format!("{path}.{i}"), mine, others, found);
            }
        }
        _ => found.push(format!("{path} {mine} instead of {others}")),
    }
}

fn set<T: Clone>(value: &mut T, wanted: &Option<T>) {
    if let Some(wanted) = wanted {
        value.clone_from(wanted);
    }
}

/// How the network is trained on that data set; if it `transfers`, from trained features.
pub fn recipe(model: &ModelName, dataset: &DatasetName, transfers: bool) -> Recipe {
    if transfers { Recipe::transfer() } else { model.recipe(datasets::images(dataset)) }
}

/// Height and width to which images are brought: where they have none in common, or none that the network takes. A file's network
/// takes its own, which are `wanted` where the file leaves them open.
fn size(model: &ModelName, dataset: &DatasetName, wanted: Option<usize>) -> Result<Option<usize>, Fault> {
    Ok(match (model, dataset) {
        (ModelName::File(file), _) => match weights::shape_of(file, wanted)? {
            [_, h, w] if h == w && wanted.is_none_or(|wanted| wanted == h) => Some(h),
            [_, h, w] if h == w => {
                return Err(Fault::usage(format!("--size: expected the {h} of {}", file.path().display())));
            }
            [_, h, w] => {
                let path = file.path();
                let message =
                    format!("{}: expected a network for square images, got {h} x {w}", path.display());
                return Err(Fault { status: 1, message });
            }
        },
        (ModelName::Zoo(network), _) if let Takes::ImageNet(input) = network.takes => Some(input().shape[1]),
        (_, DatasetName::Images(_)) => Some(64),
        _ => None,
    })
}

pub fn schedule(name: ScheduleName) -> Schedule {
    match name {
        ScheduleName::OneCycle => Schedule::OneCycle { warmup: 0.2 },
        ScheduleName::Cosine => Schedule::Cosine,
        ScheduleName::Plateau => {
            Schedule::ReduceOnPlateau(Plateau { factor: 0.1, patience: 3, ..Plateau::default() })
        }
        ScheduleName::Constant => Schedule::Constant,
    }
}

fn weight_decay(optimizer: &mut OptimizerSpec) -> &mut f64 {
    match optimizer {
        OptimizerSpec::Sgd(o) => &mut o.weight_decay,
        OptimizerSpec::Adam(o) => &mut o.weight_decay,
        OptimizerSpec::AdamW(o) => &mut o.weight_decay,
        OptimizerSpec::RmsProp(o) => &mut o.weight_decay,
        OptimizerSpec::Adagrad(o) => &mut o.weight_decay,
        OptimizerSpec::Lion(o) => &mut o.weight_decay,
    }
}
