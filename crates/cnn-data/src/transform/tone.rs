//! Other shades for the same image.

use super::options::{check_probability, setting};
use super::{Transform, adjust};
use crate::{DataError, Picture};
use cnn_tensor::Random;
use serde::{Deserialize, Serialize};

fn half() -> f32 {
    0.5
}

/// A transform of shades that has a probability alone.
macro_rules! with_probability {
    ($(#[$doc:meta])* $name:ident, $what:literal, $adjust:path) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// How often, 0 to 1; every other image by default.
            pub p: f32,
        }

        impl Default for $name {
            fn default() -> Self {
                Self { p: half() }
            }
        }

        impl Transform for $name {
            fn validate(&self) -> Result<(), DataError> {
                check_probability($what, self.p)
            }

            fn apply<'a>(&self, mut picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
                if random.chance(self.p) {
                    $adjust(&mut picture);
                }
                Ok(picture)
            }
        }
    };
}

with_probability! {
    /// Spreads each channel's shades over all from black to white, as torchvision's `RandomAutocontrast`.
    ///
    /// ```
    /// use cnn_data::transform::{AutoContrast, Transform};
    /// use cnn_data::Picture;
    /// let picture = Picture::new([1, 1, 3], vec![100, 110, 150])?;
    /// let stretched = AutoContrast { p: 1.0 }.apply(picture, &mut cnn_tensor::Random::new(0, &[]))?;
    /// assert_eq!(stretched.data(), [0, 51, 255]);
    /// # Ok::<(), cnn_data::DataError>(())
    /// ```
    AutoContrast, "the probability of an auto contrast", adjust::auto_contrast
}

with_probability! {
    /// Makes the shades of each channel about equally frequent, as torchvision's `RandomEqualize`. An image of fewer than 255
    /// pixels stays as it is.
    ///
    /// ```
    /// use cnn_data::transform::{Equalize, Transform};
    /// use cnn_data::Picture;
    /// let picture = Picture::new([1, 1, 1020], (0..1020).map(|i| (i / 102) as u8).collect::<Vec<_>>())?;
    /// let equal = Equalize { p: 1.0 }.apply(picture, &mut cnn_tensor::Random::new(0, &[]))?;
    /// assert_eq!((equal.data()[0], equal.data()[500], equal.data()[1019]), (0, 136, 255));
    /// # Ok::<(), cnn_data::DataError>(())
    /// ```
    Equalize, "the probability of an equalisation", adjust::equalize
}

with_probability! {
    /// Exchanges light and dark, as torchvision's `RandomInvert`.
    ///
    /// ```
    /// use cnn_data::transform::{Invert, Transform};
    /// use cnn_data::Picture;
    /// let picture = Picture::new([1, 1, 3], vec![0, 100, 255])?;
    /// let inverted = Invert { p: 1.0 }.apply(picture, &mut cnn_tensor::Random::new(0, &[]))?;
    /// assert_eq!(inverted.data(), [255, 155, 0]);
    /// # Ok::<(), cnn_data::DataError>(())
    /// ```
    Invert, "the probability of an inversion", adjust::invert
}

/// Leaves the upper bits of each shade alone, as torchvision's `RandomPosterize`.
///
/// ```
/// use cnn_data::transform::{Posterize, Transform};
/// use cnn_data::Picture;
/// let picture = Picture::new([1, 1, 3], vec![63, 64, 255])?;
/// let posterized = Posterize { bits: 2, p: 1.0 }.apply(picture, &mut cnn_tensor::Random::new(0, &[]))?;
/// assert_eq!(posterized.data(), [0, 64, 192]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posterize {
    /// How many bits stay, 0 to 8.
    pub bits: u8,
    /// How often, 0 to 1; every other image by default.
    #[serde(default = "half")]
    pub p: f32,
}

impl Transform for Posterize {
    fn validate(&self) -> Result<(), DataError> {
        if self.bits > 8 {
            return Err(setting("the bits of a posterized image", "from 0 to 8", self.bits));
        }
        check_probability("the probability of a posterized image", self.p)
    }

    fn apply<'a>(&self, mut picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        if random.chance(self.p) {
            adjust::posterize(&mut picture, self.bits);
        }
        Ok(picture)
    }
}

/// Inverts light shades, as torchvision's `RandomSolarize`.
///
/// ```
/// use cnn_data::transform::{Solarize, Transform};
/// use cnn_data::Picture;
/// let picture = Picture::new([1, 1, 3], vec![127, 128, 255])?;
/// let solarized = Solarize { threshold: 128.0, p: 1.0 }.apply(picture, &mut cnn_tensor::Random::new(0, &[]))?;
/// assert_eq!(solarized.data(), [127, 127, 0]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Solarize {
    /// The darkest shade that is inverted, 0 to 255 (256: none).
    pub threshold: f32,
    /// How often, 0 to 1; every other image by default.
    #[serde(default = "half")]
    pub p: f32,
}

impl Transform for Solarize {
    fn validate(&self) -> Result<(), DataError> {
        if !(0.0..=256.0).contains(&self.threshold) {
            return Err(setting("the threshold of a solarized image", "from 0 to 256", self.threshold));
        }
        check_probability("the probability of a solarized image", self.p)
    }

    fn apply<'a>(&self, mut picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        if random.chance(self.p) {
            adjust::solarize(&mut picture, self.threshold);
        }
        Ok(picture)
    }
}

/// Smooths or sharpens, as torchvision's `RandomAdjustSharpness`.
///
/// ```
/// use cnn_data::transform::{Sharpness, Transform};
/// use cnn_data::Picture;
/// let mut dot = Picture::filled([1, 3, 3], 0);
/// dot.data_mut()[4] = 130;
/// let smooth = Sharpness { sharpness_factor: 0.0, p: 1.0 }.apply(dot, &mut cnn_tensor::Random::new(0, &[]))?;
/// assert_eq!(smooth.data(), [0, 0, 0, 0, 50, 0, 0, 0, 0]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharpness {
    /// Smoothed at 0, as it is at 1, sharper above.
    pub sharpness_factor: f32,
    /// How often, 0 to 1; every other image by default.
    #[serde(default = "half")]
    pub p: f32,
}

impl Transform for Sharpness {
    fn validate(&self) -> Result<(), DataError> {
        if !(self.sharpness_factor >= 0.0 && self.sharpness_factor.is_finite()) {
            return Err(setting("the factor of sharpness", "a number of at least 0", self.sharpness_factor));
        }
        check_probability("the probability of another sharpness", self.p)
    }

    fn apply<'a>(&self, mut picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        if random.chance(self.p) {
            adjust::sharpness(&mut picture, self.sharpness_factor);
        }
        Ok(picture)
    }
}
