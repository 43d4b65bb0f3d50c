//! From a picture to a model's input, as the model's file says.

use crate::transform::{Pipeline, Transform, center_pipeline, views_of};
use crate::{Crops, DataError, Dataset, Digit, Loader, Normalize, Picture};
use cnn_nn::{Input, Preprocess};
use cnn_tensor::{Random, Tensor};
use std::path::Path;

/// The preprocessing that a model's [`Input`] describes: the one for test images and for predictions.
///
/// It is a [`Transform`], so that a [`Loader`](crate::Loader) applies it to a whole set, each picture by itself.
///
/// ```
/// use cnn_data::{Picture, ToInput};
/// use cnn_nn::Input;
/// let input = Input::new([3, 8, 8], &[0.5; 3], &[0.25; 3]);
/// let gray = Picture::filled([1, 20, 30], 255);
/// let x = ToInput::new(&input)?.tensor(gray)?;
/// assert_eq!((x.shape().dims(), x.data()[0]), (&[1, 3, 8, 8][..], 2.0));
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ToInput {
    input: Input,
    /// Whether a digit is looked for, first of all.
    digit: bool,
    pipeline: Pipeline,
    crops: Option<Crops>,
    normalize: Normalize,
}

impl ToInput {
    /// One view of each picture.
    ///
    /// # Errors
    /// The input cannot be used.
    pub fn new(input: &Input) -> Result<Self, DataError> {
        Self::with_views(input, 1)
    }

    /// So many views of each picture: 1; 2, itself and its mirror image; 5, the corners and the middle; or 10, these and their
    /// mirror images. [`ToInput::crops`] has them.
    ///
    /// # Errors
    /// The input cannot be used, or there is another number of views.
    pub fn with_views(input: &Input, views: usize) -> Result<Self, DataError> {
        input.validate().map_err(|fault| DataError::Setting {
            what: "a model's input",
            rule: "one that can be used".into(),
            got: fault.to_string(),
        })?;
        let [_, h, w] = input.shape;
        let size = [h, w];
        let resize = match input.preprocess {
            Preprocess::ResizeCrop { resize } => resize,
            Preprocess::Digit => h.max(w),
        };
        // Corners are to lie outside the middle.
        let wide = if resize > h.max(w) { resize } else { Preprocess::short_side(size) };
        let (pipeline, crops) = views_of(views, center_pipeline(resize, size), wide, size)?;
        pipeline.validate()?;
        let normalize = Normalize::new(&input.mean, &input.std)?;
        let digit = input.preprocess == Preprocess::Digit;
        Ok(Self { input: input.clone(), digit, pipeline, crops, normalize })
    }

    /// The views to take of each picture, if more than one.
    pub fn crops(&self) -> Option<Crops> {
        self.crops
    }

    /// The same for images of `set`. Where all of them [have](Dataset::shape) the model's own shape, as those of a small set that
    /// it was trained on, no digit is looked for in them: they are in its form.
    #[must_use]
    pub fn suited_to(mut self, set: &dyn Dataset) -> Self {
        self.digit &= set.shape() != Some(self.input.shape);
        self
    }

    /// The batches of a data set as the model takes them, by preprocessing [that suits it](ToInput::suited_to).
    ///
    /// # Errors
    /// Those of [`Loader::new`].
    pub fn loader(self, set: impl Dataset + 'static, batch_size: usize) -> Result<Loader, DataError> {
        let fits = set.shape() == Some(self.input.shape);
        let this = self.suited_to(&set);
        let mut loader = Loader::new(set, batch_size)?.normalize(this.normalize.clone());
        if let Some(crops) = this.crops {
            loader = loader.crops(crops);
        }
        // Where nothing is scaled, the middle of an image that fits is the image.
        let [_, h, w] = this.input.shape;
        let scaled = match (this.input.preprocess, this.crops) {
            (_, Some(Crops::Five { .. } | Crops::Ten { .. })) => true,
            (Preprocess::Digit, _) => false,
            (Preprocess::ResizeCrop { resize }, _) => resize != h.min(w),
        };
        if fits && !scaled { Ok(loader) } else { Ok(loader.transform(this, 0)?.workers(2)) }
    }

    /// The first view of a picture as the model takes it, `[1, c, h, w]`.
    ///
    /// # Errors
    /// The picture has other channels than the model and is neither gray nor of three channels, or shows no digit where one is
    /// expected.
    pub fn tensor(&self, picture: Picture<'_>) -> Result<Tensor, DataError> {
        let [c, h, w] = self.input.shape;
        let picture = self.apply(picture, &mut Random::new(0, &[]))?;
        self.normalize.tensor([1, c, h, w], picture.data())
    }

    /// [`ToInput::tensor`] of an image file: JPEG, PNG, WebP or BMP.
    ///
    /// # Errors
    /// The file cannot be read or decoded; or those of [`ToInput::tensor`]. The file is named.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Tensor, DataError> {
        let path = path.as_ref();
        let image = path.display().to_string();
        self.tensor(Picture::read(path)?).map_err(|fault| match fault {
            DataError::Image { fault, .. } => DataError::Image { image, fault },
            other => DataError::Image { image, fault: other.to_string() },
        })
    }
}

impl Transform for ToInput {
    fn validate(&self) -> Result<(), DataError> {
        self.pipeline.validate()
    }

    fn is_random(&self) -> bool {
        false
    }

    fn apply<'a>(&self, picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        let picture = match self.digit {
            true => {
                let digit = Digit::from_picture(&picture)?;
                Picture::new([1, Digit::SIDE, Digit::SIDE], digit.pixels().to_vec())?
            }
            false => picture,
        };
        let picture = self.pipeline.apply(picture, random)?;
        Ok(match self.input.shape[0] {
            1 => picture.to_gray(),
            3 => picture.to_rgb(),
            _ => picture,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::Frame;
    use proptest::prelude::*;

    fn picture(c: usize, h: usize, w: usize, seed: u64) -> Picture<'static> {
        let mut random = Random::new(seed, &["picture"]);
        Picture::new([c, h, w], (0..c * h * w).map(|_| random.below(256) as u8).collect::<Vec<_>>()).unwrap()
    }

    proptest! {
        #[test]
        fn it_is_what_training_tests_by(
            (h, w) in (20usize..90, 20usize..90), side in prop_oneof![Just(40usize), Just(64)], seed: u64,
            views in prop_oneof![Just(1usize), Just(2), Just(5), Just(10)],
        ) {
            let input = Input::new([3, side, side], &[0.5; 3], &[0.25; 3]);
            let (pipeline, crops) = Frame::new(None, Some(side)).testing(views).unwrap();
            let to_input = ToInput::with_views(&input, views).unwrap();
            prop_assert_eq!(to_input.crops(), crops);
            let random = || Random::new(0, &[]);
            let want = pipeline.apply(picture(3, h, w, seed), &mut random()).unwrap();
            prop_assert_eq!(to_input.apply(picture(3, h, w, seed), &mut random()).unwrap(), want);
        }
    }

    #[test]
    fn a_banner_is_what_its_middle_is() {
        let banner = picture(3, 40, 3000, 5);
        let input = Input::new([3, 224, 224], &[0.5; 3], &[0.25; 3]);
        for views in [1, 2, 5, 10] {
            let to_input = ToInput::with_views(&input, views).unwrap();
            let prepared = to_input.apply(banner.clone(), &mut Random::new(0, &[])).unwrap();
            let wide = [3, 256, 19_200];
            assert_eq!(prepared.shape(), if views < 5 { [3, 224, 224] } else { wide });
        }
        // The middle does not depend on pixels that far away.
        let part: Vec<u8> = banner.data().chunks(3000).flat_map(|row| &row[1400..1600]).copied().collect();
        let part = Picture::new([3, 40, 200], part).unwrap();
        let to_input = ToInput::new(&input).unwrap();
        let prepared = |picture| to_input.apply(picture, &mut Random::new(0, &[])).unwrap();
        assert_eq!(prepared(banner), prepared(part));
    }

    #[test]
    fn images_of_small_sets_stay_as_they_are() {
        let input = Input::new([3, 32, 32], &[0.5; 3], &[0.25; 3]);
        let image = picture(3, 32, 32, 1);
        let to_input = ToInput::new(&input).unwrap();
        let want = to_input.normalize.tensor([1, 3, 32, 32], image.data()).unwrap();
        assert_eq!(to_input.tensor(image.clone()).unwrap().data(), want.data());
        let ten = ToInput::with_views(&Input::new([3, 28, 28], &[0.5; 3], &[0.25; 3]), 10).unwrap();
        assert_eq!(ten.apply(image, &mut Random::new(0, &[])).unwrap().shape(), [3, 32, 32]);
    }

    #[test]
    fn a_digit_is_brought_into_form_and_one_in_form_stays() {
        let to_input = ToInput::new(&Input::gray(28, 28, 0.0, 1.0)).unwrap();
        let mut form = vec![0u8; 28 * 28];
        for y in 4..24 {
            form[28 * y + 13..][..3].fill(255);
        }
        let same = to_input.tensor(Picture::new([1, 28, 28], form.clone()).unwrap()).unwrap();
        assert!(same.data().iter().zip(&form).all(|(x, &byte)| (x * 255.0).round() == f32::from(byte)));
        let dark_on_light: Vec<u8> = form.iter().map(|v| 255 - v).collect();
        let again = to_input.tensor(Picture::new([1, 28, 28], dark_on_light).unwrap()).unwrap();
        let ink = |x: &Tensor| x.data().iter().sum::<f32>();
        assert!((ink(&again) - ink(&same)).abs() < 1.0 && again.data()[14 * 28 + 14] == 1.0);
        assert!(to_input.tensor(Picture::filled([1, 28, 28], 7)).unwrap_err().to_string().contains("digit"));
    }

    #[test]
    fn images_of_a_set_in_the_models_shape_are_taken_as_they_are_and_others_searched_for_a_digit() {
        let input = Input::gray(28, 28, 0.0, 1.0);
        // Dark on light, so not in MNIST's form.
        let mut bytes = vec![250u8; 28 * 28];
        (4..20).for_each(|y| bytes[28 * y + 3..][..4].fill(10));
        let set =
            crate::InMemoryDataset::new([1, 1, 28, 28], bytes.clone(), vec![0], vec!["one".into()]).unwrap();
        let batch = |views: usize| {
            let loader = ToInput::with_views(&input, views).unwrap().loader(set.clone(), 1).unwrap();
            cnn_nn::Batches::epoch(&loader, 0, 0).next().unwrap().unwrap().inputs[0].clone()
        };
        let raw = Normalize::new(&[0.0], &[1.0]).unwrap().tensor([1, 1, 28, 28], &bytes).unwrap();
        assert_eq!(batch(1).data(), raw.data());
        assert_eq!(batch(2).data()[..28 * 28], *raw.data());
        assert_eq!(batch(10).shape().dims(), [10, 1, 28, 28]);
        assert!(batch(10).data()[0] > 0.9, "the paper stays light");

        // A picture by itself is searched for its digit, whatever views are taken.
        let picture = || Picture::new([1, 28, 28], bytes.clone()).unwrap();
        for views in [1, 2, 10] {
            let to_input = ToInput::with_views(&input, views).unwrap();
            assert_eq!(
                to_input.apply(picture(), &mut Random::new(0, &[])).unwrap().data()[0],
                0,
                "paper is black, {views} views"
            );
        }
    }

    #[test]
    fn other_inputs_and_views_are_refused() {
        let input = Input::gray(8, 8, 0.5, 0.5);
        assert!(ToInput::with_views(&input, 3).unwrap_err().to_string().contains("1, 2, 5 or 10, got 3"));
        assert!(ToInput::new(&Input { std: vec![0.0], ..input }).is_err());
    }
}
