//! Random colours.

use super::Transform;
use super::adjust;
use super::options::{about_0, about_1, check_probability, check_range};
use crate::{DataError, Picture};
use cnn_tensor::Random;
use serde::{Deserialize, Serialize};

/// Changes brightness, contrast, saturation and hue, each by a factor that is uniform within its bounds and in a random order,
/// as torchvision's `ColorJitter`. In a configuration, a single number `d` is `[1 - d, 1 + d]` for the factors, at least 0, and
/// `[-d, d]` for the hue. Gray images have neither saturation nor hue.
///
/// ```
/// use cnn_data::transform::{ColorJitter, Transform};
/// use cnn_data::Picture;
/// let jitter: ColorJitter = serde_json::from_str(r#"{"brightness": 0.4, "hue": 0.1}"#).unwrap();
/// assert_eq!((jitter.brightness, jitter.contrast, jitter.hue), ([0.6, 1.4], [1.0, 1.0], [-0.1, 0.1]));
/// let red = Picture::new([3, 1, 1], vec![255, 0, 0])?;
/// let third = ColorJitter { hue: [1.0 / 3.0; 2], ..ColorJitter::default() };
/// assert_eq!(third.apply(red, &mut cnn_tensor::Random::new(0, &[]))?.data(), [0, 255, 0]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColorJitter {
    /// Bounds of the factor of brightness: black at 0, as it is at 1.
    #[serde(deserialize_with = "about_1")]
    pub brightness: [f32; 2],
    /// Bounds of the factor of contrast: one shade of gray at 0, as it is at 1.
    #[serde(deserialize_with = "about_1")]
    pub contrast: [f32; 2],
    /// Bounds of the factor of saturation: gray at 0, as it is at 1.
    #[serde(deserialize_with = "about_1")]
    pub saturation: [f32; 2],
    /// Bounds of the number that is added to the hue, in turns of the colour circle, within `[-0.5, 0.5]`.
    #[serde(deserialize_with = "about_0")]
    pub hue: [f32; 2],
}

impl Default for ColorJitter {
    /// Nothing is changed.
    fn default() -> Self {
        Self { brightness: [1.0; 2], contrast: [1.0; 2], saturation: [1.0; 2], hue: [0.0; 2] }
    }
}

impl Transform for ColorJitter {
    fn validate(&self) -> Result<(), DataError> {
        check_range("the brightness of a color jitter", self.brightness, [0.0, f32::MAX])?;
        check_range("the contrast of a color jitter", self.contrast, [0.0, f32::MAX])?;
        check_range("the saturation of a color jitter", self.saturation, [0.0, f32::MAX])?;
        check_range("the hue of a color jitter", self.hue, [-0.5, 0.5])
    }

    fn apply<'a>(&self, mut picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        /// Changes a picture by a factor drawn.
        type Adjust = fn(&mut Picture<'_>, f32);
        let mut steps: [(Adjust, [f32; 2], f32); 4] = [
            (adjust::brightness, self.brightness, 1.0),
            (adjust::contrast, self.contrast, 1.0),
            (adjust::saturation, self.saturation, 1.0),
            (adjust::hue, self.hue, 0.0),
        ];
        random.shuffle(&mut steps);
        for (adjust, [low, high], nothing) in steps {
            let factor = random.uniform(low, high);
            if factor != nothing {
                adjust(&mut picture, factor);
            }
        }
        Ok(picture)
    }
}

/// Makes an image gray, as torchvision's `Grayscale`; see [`Picture::to_gray`] for the formula. One of other than three channels
/// stays as it is.
///
/// ```
/// use cnn_data::transform::{Grayscale, Transform};
/// use cnn_data::Picture;
/// let red = Picture::new([3, 1, 1], vec![255, 0, 0])?;
/// let gray = Grayscale { num_output_channels: 3 }.apply(red, &mut cnn_tensor::Random::new(0, &[]))?;
/// assert_eq!(gray.data(), [76, 76, 76]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grayscale {
    /// 1, or 3 for three equal channels.
    pub num_output_channels: usize,
}

impl Default for Grayscale {
    /// One channel.
    fn default() -> Self {
        Self { num_output_channels: 1 }
    }
}

impl Transform for Grayscale {
    fn validate(&self) -> Result<(), DataError> {
        match self.num_output_channels {
            1 | 3 => Ok(()),
            got => Err(super::options::setting("the channels of a gray image", "1 or 3", got)),
        }
    }

    fn is_random(&self) -> bool {
        false
    }

    fn apply<'a>(&self, picture: Picture<'a>, _: &mut Random) -> Result<Picture<'a>, DataError> {
        let gray = picture.to_gray();
        Ok(if self.num_output_channels == 3 { gray.to_rgb() } else { gray })
    }
}

/// Makes an image gray with probability `p`, keeping its three channels, as torchvision's `RandomGrayscale`.
///
/// ```
/// use cnn_data::transform::{RandomGrayscale, Transform};
/// use cnn_data::Picture;
/// let red = Picture::new([3, 1, 1], vec![255, 0, 0])?;
/// let gray = RandomGrayscale { p: 1.0 }.apply(red, &mut cnn_tensor::Random::new(0, &[]))?;
/// assert_eq!(gray.data(), [76, 76, 76]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomGrayscale {
    /// How often, 0 to 1.
    pub p: f32,
}

impl Default for RandomGrayscale {
    /// Every tenth image.
    fn default() -> Self {
        Self { p: 0.1 }
    }
}

impl Transform for RandomGrayscale {
    fn validate(&self) -> Result<(), DataError> {
        check_probability("the probability of a gray image", self.p)
    }

    fn apply<'a>(&self, picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        let gray = random.chance(self.p) && picture.channels() == 3;
        Ok(if gray { picture.to_gray().to_rgb() } else { picture })
    }
}
