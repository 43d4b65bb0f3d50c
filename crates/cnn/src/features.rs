//! Features of images, and indices of them: retrieval.

use crate::Error;
use cnn_data::{DataError, Dataset, Picture, ToInput};
use cnn_nn::{Model, NnError};
use cnn_search::{Index, Item, Metric, Origin, SearchError};
use cnn_tensor::{Tensor, parallel, vector};
use std::path::Path;

/// The features of images: the outputs of one layer of a network. Images that look alike to the network have features that are near
/// each other (Krizhevsky et al. 2012, figure 4).
///
/// Maps `[c, h, w]` are averaged over space, to a number for each channel, unless [`Features::whole_maps`] asks otherwise.
///
/// ```
/// use cnn::prelude::*;
/// use cnn::search::Metric;
/// let mnist = DatasetName::from("mnist").open("../../datasets/mnist")?;
/// let test = Subset::evenly(mnist.test.clone(), 300, 0);
/// let lenet = zoo::lenet5(Input::gray(28, 28, mnist.mean[0], mnist.std[0]), mnist.classes().to_vec());
/// let model = Model::build(lenet, 0)?; // or Model::load("runs/lenet-mnist/model.safetensors")
///
/// let features = Features::of(&model)?;
/// let index = features.index(&test)?;
/// let query = features.of_example(&test, 7)?;
/// let hits = index.nearest(&query, 5, Metric::Cosine)?;
/// assert_eq!((features.layer_name(), hits[0].number), ("act4", 7)); // the image itself
/// # Ok::<(), cnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Features<'a> {
    model: &'a Model,
    /// `None`: the network's input itself.
    layer: Option<String>,
    whole_maps: bool,
    to_input: ToInput,
}

/// Images whose features are computed together, and by one thread.
const BATCH: usize = 256;
const PIECE: usize = 64;

/// The name of the features that no layer computes.
const PIXELS: &str = "(pixels)";

/// The longest side of images whose pixels are compared.
const SIDE: usize = 32;

/// An event while an index is made.
#[derive(Debug)]
pub enum Indexed {
    /// So many images more are in the index.
    Images(usize),
    /// An image cannot be read and is left out.
    Unreadable(DataError),
}

impl<'a> Features<'a> {
    /// The features that the model's classifier reads.
    ///
    /// # Errors
    /// The classifier reads the network's input, or the input cannot be used.
    pub fn of(model: &'a Model) -> Result<Self, Error> {
        let layer = model.net.before_classifier().map(String::from).ok_or_else(|| {
            Error::Description(format!(
                "{}: expected a layer before the classifier, got none",
                model.spec.name
            ))
        })?;
        Ok(Self { layer: Some(layer), ..Self::of_pixels(model)? })
    }

    /// The pixels as the network takes them, averaged over cells where an image has more than 32 rows or columns: the baseline of
    /// retrieval, for which the network's weights do not matter.
    ///
    /// # Errors
    /// The model's input cannot be used.
    pub fn of_pixels(model: &'a Model) -> Result<Self, Error> {
        Ok(Self { model, layer: None, whole_maps: false, to_input: ToInput::new(&model.spec.input)? })
    }

    /// The outputs of the layer at this dotted path instead.
    ///
    /// # Errors
    /// There is no such layer; the error lists those that there are.
    pub fn layer(self, name: &str) -> Result<Self, Error> {
        let this = Self { layer: Some(name.into()), ..self };
        // One image tells whether the layer exists and has one output.
        let [c, h, w] = this.model.spec.input.shape;
        this.of_batch(&Tensor::zeros([1, c, h, w]))?;
        Ok(this)
    }

    /// Whether maps are taken whole: as different places count, only images of the same composition are then near.
    #[must_use]
    pub fn whole_maps(self, whole_maps: bool) -> Self {
        Self { whole_maps, ..self }
    }

    /// The features of which `index` was made, of a model that must be the same.
    ///
    /// # Errors
    /// The index was made by another model, or by other weights.
    pub fn of_index(model: &'a Model, index: &Index) -> Result<Self, Error> {
        let origin = index.origin();
        let fingerprint = model.fingerprint()?;
        if origin.fingerprint != fingerprint {
            let same = if origin.model == model.spec.name { "other weights of " } else { "" };
            return Err(Error::Parameter(format!(
                "the index: expected one of the features of {} ({fingerprint:08x}), got one of {same}{} ({:08x})",
                model.spec.name, origin.model, origin.fingerprint
            )));
        }
        let pixels = Self::of_pixels(model)?;
        let features = if origin.layer == PIXELS { pixels } else { pixels.layer(&origin.layer)? };
        Ok(features.whole_maps(origin.whole_maps))
    }

    /// The dotted path of the layer; `(pixels)` for pixels.
    pub fn layer_name(&self) -> &str {
        self.layer.as_deref().unwrap_or(PIXELS)
    }

    /// The origin of an index of these features, without the data set's.
    ///
    /// # Errors
    /// Those of [`Model::fingerprint`].
    pub fn origin(&self) -> Result<Origin, Error> {
        Ok(Origin {
            model: self.model.spec.name.clone(),
            fingerprint: self.model.fingerprint()?,
            layer: self.layer_name().into(),
            whole_maps: self.whole_maps,
            ..Origin::default()
        })
    }

    /// The features of a batch `[n, c, h, w]` as the model takes it: `[n, features]`.
    ///
    /// # Errors
    /// A layer cannot take its input.
    pub fn of_batch(&self, x: &Tensor) -> Result<Tensor, Error> {
        let y = match &self.layer {
            Some(layer) => self.model.net.infer_until(x, layer)?,
            None => return flat(shrunk(x)?),
        };
        match y.shape().nchw() {
            Some([n, c, h, w]) if !self.whole_maps => {
                let cells = (h * w).max(1);
                let means = y.data().chunks_exact(cells).map(|map| vector::sum(map) / cells as f32);
                Ok(Tensor::from_vec([n, c], means.collect())?)
            }
            _ => flat(y),
        }
    }

    /// The features of the image in a file: JPEG, PNG, WebP or BMP of any size.
    ///
    /// # Errors
    /// The file cannot be read or decoded, or a layer cannot take its input.
    pub fn read(&self, image: impl AsRef<Path>) -> Result<Vec<f32>, Error> {
        Ok(self.of_batch(&self.to_input.read(image)?)?.data().to_vec())
    }

    /// The features of a picture in memory.
    ///
    /// # Errors
    /// The picture has other channels than the model and neither one nor three, or a layer cannot take its input.
    pub fn of_picture(&self, picture: Picture<'_>) -> Result<Vec<f32>, Error> {
        Ok(self.of_batch(&self.to_input.tensor(picture)?)?.data().to_vec())
    }

    /// The features of example `i` of a set, as [`Features::index`] computes them.
    ///
    /// # Errors
    /// The example cannot be read, or those of [`Features::of_picture`].
    ///
    /// # Panics
    /// There is no such example.
    pub fn of_example(&self, set: &dyn Dataset, i: usize) -> Result<Vec<f32>, Error> {
        let x = self.to_input.clone().suited_to(set).tensor(set.picture(i)?)?;
        Ok(self.of_batch(&x)?.data().to_vec())
    }

    /// An index of the features of a set.
    ///
    /// # Errors
    /// An image cannot be read, a feature is infinite or not a number, or a layer cannot take its input.
    pub fn index(&self, set: impl Dataset) -> Result<Index, Error> {
        let origin = self.origin()?;
        self.index_with(&set, origin, Metric::default(), &mut |event| match event {
            Indexed::Unreadable(fault) => Err(fault.into()),
            Indexed::Images(_) => Ok(()),
        })
    }

    /// [`Features::index`] with an origin and a metric. `watch` is told how far it is, and decides about images that cannot be
    /// read: an error ends the work. A set of one class without a name ([`ImageFiles::unlabelled`](cnn_data::ImageFiles)) has no
    /// labels.
    ///
    /// # Errors
    /// An error of `watch`; or those of [`Features::index`].
    pub fn index_with(
        &self,
        set: &dyn Dataset,
        origin: Origin,
        metric: Metric,
        watch: &mut dyn FnMut(Indexed) -> Result<(), Error>,
    ) -> Result<Index, Error> {
        let labelled = set.classes() != [String::new()];
        let classes = if labelled { set.classes().to_vec() } else { vec![] };
        let to_input = self.to_input.clone().suited_to(set);
        let mut index = None;
        for first in (0..set.len()).step_by(BATCH) {
            let count = BATCH.min(set.len() - first);
            let inputs =
                parallel::map(count, |i| set.picture(first + i).and_then(|picture| to_input.tensor(picture)));
            let (mut numbers, mut images) = (Vec::new(), Vec::new());
            for (i, input) in inputs.into_iter().enumerate() {
                match input {
                    Ok(x) => {
                        numbers.push(first + i);
                        images.push(x);
                    }
                    Err(fault) => watch(Indexed::Unreadable(of_image(&set.name(first + i), fault)))?,
                }
            }
            for (numbers, features) in numbers.chunks(PIECE).zip(self.of_images(&images)?) {
                let length = features.shape().numel() / numbers.len();
                let index = match &mut index {
                    Some(index) => index,
                    None => index.insert(Index::new(origin.clone(), metric, classes.clone(), length)?),
                };
                for (&number, vector) in numbers.iter().zip(features.data().chunks_exact(length)) {
                    let label = labelled.then(|| set.label(number));
                    index.push(Item { name: set.name(number), label, position: number as u64 }, vector)?;
                }
            }
            watch(Indexed::Images(numbers.len()))?;
        }
        index.ok_or_else(|| Error::Io("an index: expected images, got none that can be read".into()))
    }

    /// The features of images as the model takes them, piece by piece.
    fn of_images(&self, images: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        let [c, h, w] = self.model.spec.input.shape;
        let pieces = parallel::map(images.len().div_ceil(PIECE), |i| -> Result<Tensor, Error> {
            let images = &images[i * PIECE..images.len().min((i + 1) * PIECE)];
            let data: Vec<f32> = images.iter().flat_map(|image| image.data()).copied().collect();
            self.of_batch(&Tensor::from_vec([images.len(), c, h, w], data)?)
        });
        pieces.into_iter().collect()
    }
}

/// The fault with the image's name, where the fault does not have it.
fn of_image(name: &str, fault: DataError) -> DataError {
    let text = fault.to_string();
    if text.contains(name) { fault } else { DataError::Image { image: name.into(), fault: text } }
}

/// `[n, features]`.
fn flat(y: Tensor) -> Result<Tensor, Error> {
    let n = y.shape().batch();
    let features = y.shape().numel().checked_div(n).unwrap_or(0);
    Ok(Tensor::from_vec([n, features], y.data().to_vec())?)
}

/// Maps of at most [`SIDE`] rows and columns: the means over cells of about the same size.
fn shrunk(x: &Tensor) -> Result<Tensor, Error> {
    let [n, c, h, w] = x.shape().nchw().ok_or_else(|| {
        let (what, rule) = ("images", "[n, c, h, w]");
        NnError::Setting { what, rule, got: x.shape().to_string() }
    })?;
    let (rows, columns) = (h.min(SIDE), w.min(SIDE));
    let mut means = Vec::with_capacity(n * c * rows * columns);
    for map in x.data().chunks_exact((h * w).max(1)) {
        for i in 0..rows {
            let of_rows = i * h / rows..(i + 1) * h / rows;
            for j in 0..columns {
                let of_columns = j * w / columns..(j + 1) * w / columns;
                let cells = (of_rows.len() * of_columns.len()) as f32;
                let sum: f32 = of_rows.clone().flat_map(|y| &map[y * w..][of_columns.clone()]).sum();
                means.push(sum / cells);
            }
        }
    }
    Ok(Tensor::from_vec([n, c, rows, columns], means)?)
}

impl From<SearchError> for Error {
    fn from(error: SearchError) -> Self {
        let message = error.to_string();
        match error {
            SearchError::Setting { .. } => Self::Description(message),
            SearchError::NotFinite { .. } => Self::NotFinite(message),
            _ => Self::Io(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_data::InMemoryDataset;
    use cnn_nn::spec::{conv2d, flatten, global_avg_pool2d, linear, relu};
    use cnn_nn::{Input, ModelSpec, layers};
    use cnn_tensor::parallel::Threads;

    fn model(seed: u64) -> Model {
        let layers = layers![
            conv2d(4, 3).named("conv"),
            relu().named("relu"),
            global_avg_pool2d().named("pool"),
            flatten().named("flatten"),
            linear(2).named("fc"),
        ];
        let classes = ["a", "b"].map(String::from).to_vec();
        let spec = ModelSpec { name: "tiny".into(), input: Input::gray(6, 6, 0.5, 0.25), classes, layers };
        Model::build(spec, seed).unwrap()
    }

    fn set(n: usize) -> InMemoryDataset {
        let pixels = (0..36 * n).map(|i| ((i * i * 31 + i * 7) % 251) as u8).collect();
        let classes = ["a", "b"].map(String::from).to_vec();
        InMemoryDataset::new([n, 1, 6, 6], pixels, (0..n as u32).map(|i| i % 2).collect(), classes).unwrap()
    }

    #[test]
    fn means_of_maps_are_what_pooling_gives_and_threads_change_nothing() {
        let model = model(1);
        let features = Features::of(&model).unwrap();
        assert_eq!(features.layer_name(), "flatten");
        let pooled = features.index(set(150)).unwrap();
        let of_maps = features.clone().layer("relu").unwrap();
        let means = of_maps.index(set(150)).unwrap();
        assert_eq!((pooled.length(), means.length()), (4, 4));
        for (a, b) in pooled.vectors().iter().zip(means.vectors()) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
        assert_eq!(of_maps.whole_maps(true).index(set(3)).unwrap().length(), 4 * 4 * 4);
        let one = Threads::new(1).unwrap().run(|| features.index(set(150)).unwrap());
        assert_eq!(one, pooled);
        assert_eq!((pooled.class(1), pooled.item(149).position), (Some("b"), 149));
    }

    #[test]
    fn only_the_model_of_an_index_answers_for_it() {
        let (model, other) = (model(1), model(2));
        let index = Features::of(&model).unwrap().layer("relu").unwrap().index(set(9)).unwrap();
        let features = Features::of_index(&model, &index).unwrap();
        let query = features.of_example(&set(9), 4).unwrap();
        assert_eq!(index.nearest(&query, 1, Metric::Euclidean).unwrap()[0].number, 4);
        let pixels = Features::of_pixels(&model).unwrap().index(set(9)).unwrap();
        let again = Features::of_index(&model, &pixels).unwrap();
        assert_eq!((again.layer_name(), pixels.length()), ("(pixels)", 36));
        let message = Features::of_index(&other, &index).unwrap_err().to_string();
        assert!(message.contains("got one of other weights of tiny ("), "{message}");
        let message = Features::of(&model).unwrap().layer("rleu").unwrap_err().to_string();
        assert_eq!(
            message,
            "the layer must be one of conv, relu, pool, flatten, fc, got rleu; is \"relu\" meant?"
        );
    }

    #[test]
    fn large_images_are_compared_by_the_means_of_cells() {
        let x = Tensor::from_vec([1, 1, 2, 66], (0..132).map(|i| (i / 66 * 100 + i % 66) as f32).collect());
        let y = shrunk(&x.unwrap()).unwrap();
        assert_eq!(y.shape().dims(), [1, 1, 2, 32]);
        // Columns 0 and 1, and in the second row the last three, 63 to 65.
        assert_eq!((y.data()[0], y.data()[63]), (0.5, 164.0));
    }
}
