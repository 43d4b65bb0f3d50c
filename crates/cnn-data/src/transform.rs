//! Changes of an image between file and network: one transform, one file.
//!
//! A transform is plain data with torchvision's names for its options, so that a run's configuration holds it. Its random
//! numbers come from a stream that belongs to the example and the epoch: order, batch and threads change nothing.
//!
//! | stage | transforms |
//! |---|---|
//! | bytes to bytes, [`Transform::apply`]: size | [`Resize`], [`CenterCrop`], [`RandomCrop`], [`RandomResizedCrop`], [`Pad`] |
//! | the same: place | [`HorizontalFlip`], [`RandomRotation`], [`RandomAffine`], [`ElasticTransform`] |
//! | the same: shade and colour | [`ColorJitter`], [`Grayscale`], [`RandomGrayscale`], [`AutoContrast`], [`Equalize`], [`Invert`], [`Posterize`], [`Sharpness`], [`Solarize`] |
//! | the same: some of many | [`RandAugment`] |
//! | numbers, after normalisation, [`Transform::finish`] | [`PcaLighting`], [`RandomErasing`], [`Cutout`] |
//! | either | [`RandomApply`], [`RandomChoice`], and those of your own: [`Own`] |
//!
//! [`Preset`] has the usual augmentations by name, [`Frame::testing`] the usual way of testing.
//!
//! A pipeline takes all steps on bytes in their order, and then all steps on numbers in theirs:
//!
//! ```
//! use cnn_data::transform::{Pipeline, Transform};
//! let train: Pipeline = serde_json::from_str(
//!     r#"[
//!         {"type": "random_resized_crop", "size": 224},
//!         {"type": "horizontal_flip"},
//!         {"type": "color_jitter", "brightness": 0.4, "contrast": 0.4, "saturation": 0.4},
//!         {"type": "pca_lighting"},
//!         {"type": "random_erasing", "p": 0.25}
//!     ]"#,
//! ).unwrap();
//! train.validate()?;
//! # Ok::<(), cnn_data::DataError>(())
//! ```

mod adjust;
mod affine;
mod color;
mod containers;
mod crop;
mod elastic;
mod erase;
mod flip;
mod options;
mod own;
mod pad;
mod pca_lighting;
#[cfg(test)]
mod peers;
mod presets;
mod rand_augment;
mod random_resized_crop;
mod resize;
#[cfg(test)]
mod tests;
mod tone;
mod warp;
mod window;

pub use affine::{RandomAffine, RandomRotation};
pub use color::{ColorJitter, Grayscale, RandomGrayscale};
pub use containers::{RandomApply, RandomChoice};
pub use crop::{CenterCrop, RandomCrop};
pub use elastic::ElasticTransform;
pub use erase::{Cutout, Drawn, Erased, RandomErasing};
pub use flip::HorizontalFlip;
pub use options::Interpolation;
pub use own::{Own, OwnSpec, own, register};
pub use pad::Pad;
pub use pca_lighting::PcaLighting;
pub(crate) use presets::views_of;
pub use presets::{Frame, Preset, center_pipeline, training};
pub use rand_augment::RandAugment;
pub use random_resized_crop::RandomResizedCrop;
pub(crate) use resize::resize;
pub use resize::{Resize, Size};
pub use tone::{AutoContrast, Equalize, Invert, Posterize, Sharpness, Solarize};
pub(crate) use warp::warp;
pub use window::PaddingMode;

use crate::{DataError, Normalize, Picture};
use cnn_tensor::Random;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt::Debug;

/// One step from the image of a file to the input of a network. [`Own`] puts one of yours into a [`Pipeline`].
pub trait Transform: Debug + Send + Sync {
    /// Checks the options.
    ///
    /// # Errors
    /// One of them is outside its range.
    fn validate(&self) -> Result<(), DataError> {
        Ok(())
    }

    /// Whether anything is drawn at random. A step that says no must not draw: it is spared a stream for each image.
    fn is_random(&self) -> bool {
        true
    }

    /// Whether it is a step on numbers, [`Transform::finish`], and not on bytes. [`RandomApply`] and [`RandomChoice`] go by it.
    fn finishes(&self) -> bool {
        false
    }

    /// The image after the step. All random numbers come from `random`.
    ///
    /// # Errors
    /// The step cannot be taken with an image of that shape.
    fn apply<'a>(&self, picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        let _ = random;
        Ok(picture)
    }

    /// Changes the numbers of the image, `[c, h, w]`, after `normalize` made them: 0 is the mean, and `1 / 255` of a channel
    /// is `1 / 255 / std`.
    ///
    /// # Errors
    /// The step cannot be taken with an image of that shape.
    fn finish(
        &self,
        x: &mut [f32],
        shape: [usize; 3],
        normalize: &Normalize,
        random: &mut Random,
    ) -> Result<(), DataError> {
        let _ = (x, shape, normalize, random);
        Ok(())
    }
}

/// The description: a variant for each transform, and conversions both ways.
macro_rules! transforms {
    ($(#[$doc:meta])* $($name:ident = $kind:tt),* $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "type", remote = "Self", deny_unknown_fields)]
        #[non_exhaustive]
        pub enum TransformSpec {
            $(
                #[doc = concat!("[`", stringify!($name), "`].")]
                #[serde(rename = $kind)]
                $name($name),
            )*
            /// A transform of one's own.
            #[serde(skip)]
            Own(OwnSpec),
        }

        /// The kinds of the library's own transforms.
        const KINDS: &[&str] = &[$($kind),*];

        impl TransformSpec {
            /// The transform itself.
            fn as_transform(&self) -> &dyn Transform {
                match self {
                    $(Self::$name(transform) => transform,)*
                    Self::Own(transform) => transform,
                }
            }
        }

        $(impl From<$name> for TransformSpec {
            fn from(transform: $name) -> Self {
                Self::$name(transform)
            }
        })*
    };
}

transforms! {
    /// The transforms that are data: each a variant, its options beside its `type`.
    ///
    /// ```
    /// use cnn_data::transform::{HorizontalFlip, TransformSpec};
    /// let flip: TransformSpec = serde_json::from_str(r#"{"type": "horizontal_flip"}"#)?;
    /// assert_eq!(flip, HorizontalFlip { p: 0.5 }.into());
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    AutoContrast = "auto_contrast",
    CenterCrop = "center_crop",
    ColorJitter = "color_jitter",
    Cutout = "cutout",
    ElasticTransform = "elastic_transform",
    Equalize = "equalize",
    Grayscale = "grayscale",
    HorizontalFlip = "horizontal_flip",
    Invert = "invert",
    Pad = "pad",
    PcaLighting = "pca_lighting",
    Posterize = "posterize",
    RandAugment = "rand_augment",
    RandomAffine = "random_affine",
    RandomApply = "random_apply",
    RandomChoice = "random_choice",
    RandomCrop = "random_crop",
    RandomErasing = "random_erasing",
    RandomGrayscale = "random_grayscale",
    RandomResizedCrop = "random_resized_crop",
    RandomRotation = "random_rotation",
    Resize = "resize",
    Sharpness = "sharpness",
    Solarize = "solarize",
}

impl Serialize for TransformSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Own(spec) => spec.serialize(serializer),
            spec => Self::serialize(spec, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for TransformSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = Map::<String, Value>::deserialize(deserializer)?;
        let kind = keys.get("type").and_then(Value::as_str).unwrap_or_default().to_string();
        if kind.is_empty() || KINDS.contains(&kind.as_str()) {
            return Self::deserialize(Value::Object(keys)).map_err(D::Error::custom);
        }
        OwnSpec::read(&kind, keys).map(Self::Own).map_err(D::Error::custom)
    }
}

impl Transform for TransformSpec {
    fn validate(&self) -> Result<(), DataError> {
        self.as_transform().validate()
    }

    fn is_random(&self) -> bool {
        self.as_transform().is_random()
    }

    fn finishes(&self) -> bool {
        self.as_transform().finishes()
    }

    fn apply<'a>(&self, picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        self.as_transform().apply(picture, random)
    }

    fn finish(
        &self,
        x: &mut [f32],
        shape: [usize; 3],
        normalize: &Normalize,
        random: &mut Random,
    ) -> Result<(), DataError> {
        self.as_transform().finish(x, shape, normalize, random)
    }
}

/// Transforms one after the other: first [`Transform::apply`] of all of them, then [`Transform::finish`] of all.
///
/// Of a [`Resize`] before a [`CenterCrop`], or before a [`RandomCrop`] without margins, only the pixels of the crop are
/// computed where that saves much. They are the same bits.
///
/// ```
/// use cnn_data::transform::{HorizontalFlip, Pipeline, Transform};
/// use cnn_data::Picture;
/// use cnn_tensor::Random;
/// let always = Pipeline::new([HorizontalFlip { p: 1.0 }.into()])?;
/// let picture = Picture::new([1, 1, 3], vec![1, 2, 3])?;
/// assert_eq!(always.apply(picture, &mut Random::new(0, &[]))?.data(), [3, 2, 1]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pipeline {
    steps: Vec<TransformSpec>,
}

impl Pipeline {
    /// The transforms in their order.
    ///
    /// # Errors
    /// An option of one of them is outside its range.
    pub fn new(steps: impl IntoIterator<Item = TransformSpec>) -> Result<Self, DataError> {
        let pipeline = Self { steps: steps.into_iter().collect() };
        pipeline.validate()?;
        Ok(pipeline)
    }

    /// The transforms.
    pub fn steps(&self) -> &[TransformSpec] {
        &self.steps
    }
}

impl Transform for Pipeline {
    fn validate(&self) -> Result<(), DataError> {
        self.steps.iter().try_for_each(Transform::validate)
    }

    fn is_random(&self) -> bool {
        self.steps.iter().any(Transform::is_random)
    }

    fn finishes(&self) -> bool {
        self.steps.iter().all(Transform::finishes)
    }

    fn apply<'a>(&self, picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        let mut picture = picture;
        let mut steps = &self.steps[..];
        while let Some((step, rest)) = steps.split_first() {
            (picture, steps) = match (step, rest) {
                // Of an image that is cut at once, no more is resized than stays.
                (TransformSpec::Resize(resize), [TransformSpec::CenterCrop(crop), rest @ ..]) => {
                    let choose = |of| Ok((crop.corner(of)?, crop.size));
                    (resize.cropped(picture, choose)?, rest)
                }
                (TransformSpec::Resize(resize), [TransformSpec::RandomCrop(crop), rest @ ..])
                    if crop.padding == [0; 4] =>
                {
                    let choose = |of| Ok((crop.corner(of, random)?, crop.size));
                    (resize.cropped(picture, choose)?, rest)
                }
                _ => (step.apply(picture, random)?, rest),
            };
        }
        Ok(picture)
    }

    fn finish(
        &self,
        x: &mut [f32],
        shape: [usize; 3],
        normalize: &Normalize,
        random: &mut Random,
    ) -> Result<(), DataError> {
        self.steps.iter().try_for_each(|step| step.finish(x, shape, normalize, random))
    }
}
