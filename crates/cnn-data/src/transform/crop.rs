//! Parts of an image, at their own scale.

use super::options::{check_sides, sides};
use super::window::{Margins, PaddingMode, check_crop, crop};
use super::{Transform, options};
use crate::{DataError, Picture};
use cnn_tensor::Random;
use serde::{Deserialize, Serialize};

/// Cuts out the middle, as torchvision's `CenterCrop`; an odd pixel that is left over goes to an even side. An image that is
/// smaller than `size` is an error, where torchvision pads it with black.
///
/// ```
/// use cnn_data::transform::{CenterCrop, Transform};
/// use cnn_data::Picture;
/// let picture = Picture::new([1, 1, 5], vec![1, 2, 3, 4, 5])?;
/// let crop = CenterCrop { size: [1, 3] };
/// assert_eq!(crop.apply(picture, &mut cnn_tensor::Random::new(0, &[]))?.data(), [2, 3, 4]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CenterCrop {
    /// Height and width; a single number is a square.
    #[serde(deserialize_with = "sides")]
    pub size: [usize; 2],
}

impl Transform for CenterCrop {
    fn validate(&self) -> Result<(), DataError> {
        check_sides("the size of a centre crop", &self.size)
    }

    fn is_random(&self) -> bool {
        false
    }

    fn apply<'a>(&self, picture: Picture<'a>, _: &mut Random) -> Result<Picture<'a>, DataError> {
        let [_, height, width] = picture.shape();
        let corner = self.corner([height, width])?;
        if self.size == [height, width] {
            return Ok(picture);
        }
        Ok(crop(&picture, corner, self.size))
    }
}

impl CenterCrop {
    /// The upper left corner of the crop of an image of height and width `of`.
    pub(super) fn corner(&self, of: [usize; 2]) -> Result<[usize; 2], DataError> {
        check_crop("a centre crop", self.size, of)?;
        // As torchvision rounds, half to even.
        let half = |v: usize| (v as f64 / 2.0).round_ties_even() as usize;
        Ok([0, 1].map(|axis| half(of[axis] - self.size[axis])))
    }
}

/// Cuts out a part anywhere in the image, or in the image with margins, as torchvision's `RandomCrop`.
///
/// As in training on CIFAR-10: 32x32 out of 40x40.
///
/// ```
/// use cnn_data::transform::{PaddingMode, RandomCrop, Transform};
/// use cnn_data::Picture;
/// let crop: RandomCrop = serde_json::from_str(r#"{"size": 32, "padding": 4, "padding_mode": "reflect"}"#).unwrap();
/// assert_eq!((crop.padding, crop.padding_mode), ([4; 4], PaddingMode::Reflect));
/// let picture = crop.apply(Picture::filled([3, 32, 32], 7), &mut cnn_tensor::Random::new(0, &[]))?;
/// assert_eq!((picture.shape(), picture.data()[0]), ([3, 32, 32], 7));
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomCrop {
    /// Height and width; a single number is a square.
    #[serde(deserialize_with = "sides")]
    pub size: [usize; 2],
    /// Margins: left, top, right, bottom; also one number for all, or `[left and right, top and bottom]`. None by default.
    #[serde(default, deserialize_with = "options::padding")]
    pub padding: [usize; 4],
    /// The content of the margins.
    #[serde(default)]
    pub padding_mode: PaddingMode,
    /// The shade of constant margins, black by default.
    #[serde(default)]
    pub fill: u8,
}

impl RandomCrop {
    /// Of the image itself, without margins.
    pub fn new(size: [usize; 2]) -> Self {
        Self { size, padding: [0; 4], padding_mode: PaddingMode::Constant, fill: 0 }
    }
}

impl Transform for RandomCrop {
    fn validate(&self) -> Result<(), DataError> {
        check_sides("the size of a random crop", &self.size)?;
        options::check_padding(self.padding)
    }

    fn apply<'a>(&self, picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        let margins = Margins { padding: self.padding, mode: self.padding_mode, fill: self.fill };
        let around = margins.around(&picture)?;
        let corner = self.corner(around, random)?;
        if self.size == around && self.padding == [0; 4] {
            return Ok(picture);
        }
        Ok(margins.crop(&picture, corner, self.size))
    }
}

impl RandomCrop {
    /// The upper left corner of the crop of an image that has, with its margins, height and width `of`.
    pub(super) fn corner(&self, of: [usize; 2], random: &mut Random) -> Result<[usize; 2], DataError> {
        check_crop("a random crop", self.size, of)?;
        if self.size == of && self.padding == [0; 4] {
            return Ok([0; 2]);
        }
        Ok([0, 1].map(|axis| random.below(of[axis] - self.size[axis] + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixel `i` of a row is `i`, in as many rows.
    fn columns(h: usize, w: usize) -> Picture<'static> {
        Picture::new([1, h, w], (0..h * w).map(|i| (i % w) as u8).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn the_centre_is_rounded_to_even_pixels() {
        for (width, size, want) in [(5, 3, 1), (4, 3, 0), (6, 3, 2), (3, 3, 0)] {
            let crop = CenterCrop { size: [1, size] };
            let after = crop.apply(columns(2, width), &mut Random::new(0, &[])).unwrap();
            assert_eq!((after.shape(), after.data()[0]), ([1, 1, size], want), "{size} of {width}");
        }
    }

    #[test]
    fn every_place_of_a_crop_is_equally_likely() {
        let crop = RandomCrop { padding: [2, 0, 1, 0], fill: 99, ..RandomCrop::new([1, 4]) };
        let mut counts = [0; 3];
        for seed in 0..3000 {
            let after = crop.apply(columns(1, 3), &mut Random::new(seed, &[])).unwrap();
            // 99 99 0 1 2 99
            let place =
                [[99, 99, 0, 1], [99, 0, 1, 2], [0, 1, 2, 99]].iter().position(|place| place == after.data());
            counts[place.unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
        // Without margins, an image of that very size is left alone.
        let crop = RandomCrop::new([1, 3]);
        assert_eq!(crop.apply(columns(1, 3), &mut Random::new(0, &[])).unwrap(), columns(1, 3));
    }
}
