//! Training, testing and predicting with a model.

use crate::Error;
use cnn_data::transform::Pipeline;
use cnn_data::{Dataset, Loader, Picture, ToInput, match_classes};
use cnn_nn::{Batches, Classify, EpochReport, Metrics, Model, NnError, TrainSettings, Trainer, evaluate};
use cnn_ops::softmax::softmax;
use cnn_tensor::Tensor;
use std::path::Path;
use std::sync::Arc;

/// Images at a time in a test.
const TEST_BATCH: usize = 256;

/// Training, testing and predicting by a [`Model`], with the preprocessing of its own description throughout.
pub trait ModelExt {
    /// Trains on `train` and evaluates on `validation` after each epoch. Returns the report of each epoch. The model changes only
    /// if there is no error.
    ///
    /// # Errors
    /// The data do not suit the model, cannot be read, or the loss becomes infinite or not a number.
    fn fit(
        &mut self,
        train: impl Dataset + 'static,
        validation: impl Dataset + 'static,
        options: impl Into<FitOptions>,
    ) -> Result<Vec<EpochReport>, Error>;

    /// The loss and the metrics on a data set.
    ///
    /// # Errors
    /// The data do not suit the model, or cannot be read.
    fn evaluate(&self, test: impl Dataset + 'static) -> Result<Metrics, Error>;

    /// The classes of the image in a file, with probabilities: JPEG, PNG, WebP or BMP of any size.
    ///
    /// # Errors
    /// The file cannot be read or decoded.
    fn predict(&self, image: impl AsRef<Path>) -> Result<Prediction, Error>;

    /// [`ModelExt::predict`] for a picture in memory.
    ///
    /// # Errors
    /// The picture has another number of channels than the model, and neither one nor three.
    fn predict_picture(&self, picture: Picture<'_>) -> Result<Prediction, Error>;
}

/// How [`ModelExt::fit`] trains. Settings alone are options, too: `settings.into()`.
#[derive(Clone, Debug)]
pub struct FitOptions {
    /// Images per step.
    pub batch_size: usize,
    /// Random changes of the training images; they must give images of the model's size. `None`: no changes.
    pub augment: Option<Pipeline>,
    /// Epochs, learning rate, optimizer and the rest.
    pub settings: TrainSettings,
}

impl Default for FitOptions {
    /// 64 images per step, as they are.
    fn default() -> Self {
        Self { batch_size: 64, augment: None, settings: TrainSettings::default() }
    }
}

impl From<TrainSettings> for FitOptions {
    fn from(settings: TrainSettings) -> Self {
        Self { settings, ..Self::default() }
    }
}

impl ModelExt for Model {
    fn fit(
        &mut self,
        train: impl Dataset + 'static,
        validation: impl Dataset + 'static,
        options: impl Into<FitOptions>,
    ) -> Result<Vec<EpochReport>, Error> {
        let FitOptions { batch_size, augment, settings } = options.into();
        let train = matched(self, train)?;
        let seed = settings.seed;
        let loader = ToInput::new(&self.spec.input)?.loader(train, batch_size)?.shuffle(seed);
        let train = match augment {
            Some(augment) => loader.transform(augment, seed)?,
            None => loader,
        };
        let validation = tests(self, validation)?;
        let mut trainer = Trainer::new(self.net.copy()?, Classify::default(), settings)?;
        trainer.fit(&train, &validation, &mut ())?;
        let history = trainer.progress().history.clone();
        self.net = trainer.evaluated().copy()?;
        Ok(history)
    }

    fn evaluate(&self, test: impl Dataset + 'static) -> Result<Metrics, Error> {
        Ok(evaluate(&self.net, &Classify::default(), &tests(self, test)? as &dyn Batches)?)
    }

    fn predict(&self, image: impl AsRef<Path>) -> Result<Prediction, Error> {
        answer(self, &ToInput::new(&self.spec.input)?.read(image)?)
    }

    fn predict_picture(&self, picture: Picture<'_>) -> Result<Prediction, Error> {
        answer(self, &ToInput::new(&self.spec.input)?.tensor(picture)?)
    }
}

fn answer(model: &Model, x: &Tensor) -> Result<Prediction, Error> {
    let probabilities = softmax(&model.net.infer(x)?)?;
    let classes = model.spec.classes.iter().cloned();
    let mut ranking: Vec<(String, f32)> = classes.zip(probabilities.iter().copied()).collect();
    if let Some((class, probability)) = ranking.iter().find(|(_, probability)| !probability.is_finite()) {
        let got = format!("{probability} for {class}");
        let (what, rule) = ("probabilities", "finite numbers: look at the image and the weights");
        return Err(NnError::Setting { what, rule, got }.into());
    }
    // The sort is stable: of equal probabilities the first class wins, as everywhere.
    ranking.sort_by(|a, b| b.1.total_cmp(&a.1));
    match ranking.is_empty() {
        true => Err(Error::Description(format!("{}: expected classes, got none", model.spec.name))),
        false => Ok(Prediction { ranking }),
    }
}

fn tests(model: &Model, set: impl Dataset + 'static) -> Result<Loader, Error> {
    Ok(ToInput::new(&model.spec.input)?.loader(matched(model, set)?, TEST_BATCH)?)
}

/// Labels are numbers: classes are matched by name.
fn matched(model: &Model, set: impl Dataset + 'static) -> Result<Arc<dyn Dataset>, Error> {
    Ok(match_classes(Arc::new(set), &model.spec.classes)?.set)
}

/// The classes of an image, as a model predicts them.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// At least one, the likeliest first.
    ranking: Vec<(String, f32)>,
}

impl Prediction {
    /// The likeliest class.
    pub fn class(&self) -> &str {
        &self.ranking[0].0
    }

    /// Its probability, 0 to 1.
    pub fn probability(&self) -> f32 {
        self.ranking[0].1
    }

    /// Every class with its probability, the likeliest first.
    pub fn ranking(&self) -> &[(String, f32)] {
        &self.ranking
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_data::InMemoryDataset;
    use cnn_nn::spec::{flatten, linear};
    use cnn_nn::{Input, ModelSpec};

    fn classes() -> Vec<String> {
        ["dark", "light"].map(String::from).to_vec()
    }

    fn model() -> Model {
        let layers = vec![flatten().named("flatten"), linear(2).named("fc")];
        let input = Input::gray(2, 2, 0.5, 0.25);
        Model::build(ModelSpec { name: "linear".into(), input, classes: classes(), layers }, 0).unwrap()
    }

    /// Images of 2 x 2, of which every other one is light.
    fn set(n: usize, classes: Vec<String>) -> InMemoryDataset {
        let pixels =
            (0..4 * n).map(|i| if i / 4 % 2 == 1 { 200 + i as u8 % 50 } else { i as u8 % 60 }).collect();
        InMemoryDataset::new([n, 1, 2, 2], pixels, (0..n as u32).map(|i| i % 2).collect(), classes).unwrap()
    }

    #[test]
    fn a_model_learns_and_then_says_the_same_by_every_way() {
        let mut model = model();
        let settings = TrainSettings { epochs: 20, learning_rate: 0.2, ..TrainSettings::default() };
        let options = FitOptions { batch_size: 4, ..settings.into() };
        let history = model.fit(set(40, classes()), set(10, classes()), options).unwrap();
        assert_eq!((history.len(), history[19].test("accuracy")), (20, Some(1.0)));
        let metrics = model.evaluate(set(10, classes())).unwrap();
        assert_eq!(metrics.get("loss"), history[19].test("loss"));
        let light = model.predict_picture(Picture::filled([1, 2, 2], 220)).unwrap();
        assert_eq!((light.class(), light.ranking().len()), ("light", 2));
        assert!(light.probability() > 0.5);

        // A file of another size and colour.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("night.png");
        image::RgbImage::from_pixel(30, 20, image::Rgb([10, 10, 10])).save(&file).unwrap();
        assert_eq!(model.predict(&file).unwrap().class(), "dark");
        assert!(matches!(model.predict(folder.path().join("none.png")), Err(Error::Io(_))));
    }

    #[test]
    fn classes_are_matched_by_name_and_others_are_an_error() {
        let mut model = model();
        let before = model.net.tensors();
        let as_it_is = model.evaluate(set(4, classes())).unwrap();
        // The same images under the same names, whose numbers are swapped.
        let images = (0..4).flat_map(|i| set(4, classes()).image(i).to_vec()).collect();
        let turned = ["light", "dark"].map(String::from).to_vec();
        let swapped = InMemoryDataset::new([4, 1, 2, 2], images, vec![1, 0, 1, 0], turned).unwrap();
        assert_eq!(model.evaluate(swapped).unwrap(), as_it_is);
        let others = ["dark", "gray"].map(String::from).to_vec();
        let fault = model.evaluate(set(4, others.clone())).unwrap_err();
        assert_eq!(fault.to_string(), "a class must be one that the model knows (dark, light), got gray");
        assert!(model.fit(set(4, classes()), set(4, others), TrainSettings::default()).is_err());
        assert_eq!(model.net.tensors(), before);
    }
}
