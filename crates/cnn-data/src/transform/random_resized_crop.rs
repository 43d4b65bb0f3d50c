//! A part of random size and form, at one size.

use super::options::{check_range, check_sides, sides};
use super::resize::resize;
use super::{Interpolation, Transform};
use crate::{DataError, Picture};
use cnn_tensor::Random;
use serde::{Deserialize, Serialize};

/// Cuts out a part of random area and aspect ratio and resizes it, as torchvision's `RandomResizedCrop`: what networks are
/// trained with on ImageNet.
///
/// The area is uniform in `scale`, as a share of the image's; the logarithm of the ratio of width to height is uniform in
/// that of `ratio`; the place is uniform. Ten draws are tried for one that fits into the image; after them it is the largest
/// part in the middle whose ratio is allowed.
///
/// ```
/// use cnn_data::transform::{RandomResizedCrop, Transform};
/// use cnn_data::Picture;
/// let crop: RandomResizedCrop = serde_json::from_str(r#"{"size": 224}"#).unwrap();
/// assert_eq!((crop.scale, crop.ratio), ([0.08, 1.0], [3.0 / 4.0, 4.0 / 3.0]));
/// let picture = crop.apply(Picture::filled([3, 375, 500], 7), &mut cnn_tensor::Random::new(0, &[]))?;
/// assert_eq!(picture.shape(), [3, 224, 224]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// Source: C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6; the algorithm is torchvision's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomResizedCrop {
    /// Height and width of the result; a single number is a square.
    #[serde(deserialize_with = "sides")]
    pub size: [usize; 2],
    /// Bounds of the part's area, as a share of the image's; `[0.08, 1]` by default.
    #[serde(default = "default_scale")]
    pub scale: [f32; 2],
    /// Bounds of width over height; `[3/4, 4/3]` by default.
    #[serde(default = "default_ratio")]
    pub ratio: [f32; 2],
    /// How pixels come about; bilinear by default.
    #[serde(default = "default_interpolation")]
    pub interpolation: Interpolation,
}

fn default_scale() -> [f32; 2] {
    [0.08, 1.0]
}

fn default_ratio() -> [f32; 2] {
    [3.0 / 4.0, 4.0 / 3.0]
}

fn default_interpolation() -> Interpolation {
    Interpolation::Bilinear
}

impl RandomResizedCrop {
    /// With the default bounds.
    pub fn new(size: [usize; 2]) -> Self {
        Self { size, scale: default_scale(), ratio: default_ratio(), interpolation: default_interpolation() }
    }

    /// The upper left corner and the size of a part of an image of height `h` and width `w`.
    fn draw(&self, [h, w]: [usize; 2], random: &mut Random) -> ([usize; 2], [usize; 2]) {
        let (height, width) = (h as f64, w as f64);
        let round = |v: f64| v.round_ties_even() as usize;
        let [low, high] = self.ratio.map(f32::ln);
        for _ in 0..10 {
            let area = height * width * f64::from(random.uniform(self.scale[0], self.scale[1]));
            let ratio = f64::from(random.uniform(low, high)).exp();
            let (part_w, part_h) = (round((area * ratio).sqrt()), round((area / ratio).sqrt()));
            if (1..=w).contains(&part_w) && (1..=h).contains(&part_h) {
                return ([random.below(h - part_h + 1), random.below(w - part_w + 1)], [part_h, part_w]);
            }
        }
        let [least, most] = self.ratio.map(f64::from);
        let (part_h, part_w) = if width / height < least {
            (round(width / least).clamp(1, h), w)
        } else if width / height > most {
            (h, round(height * most).clamp(1, w))
        } else {
            (h, w)
        };
        ([(h - part_h) / 2, (w - part_w) / 2], [part_h, part_w])
    }
}

impl Transform for RandomResizedCrop {
    fn validate(&self) -> Result<(), DataError> {
        check_sides("the size of a resized crop", &self.size)?;
        check_range("the scale of a resized crop", self.scale, [0.0, 1.0])?;
        check_range("the ratio of a resized crop", self.ratio, [1e-3, 1e3])
    }

    fn apply<'a>(&self, picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        let [_, h, w] = picture.shape();
        let part = self.draw([h, w], random);
        resize(&picture, part, self.size, self.interpolation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_ratios_and_places_are_uniform_within_their_bounds() {
        let crop =
            RandomResizedCrop { scale: [0.1, 0.5], ratio: [0.5, 2.0], ..RandomResizedCrop::new([4, 4]) };
        let mut random = Random::new(0, &[]);
        let (mut areas, mut logs, mut tops) = (vec![], vec![], vec![]);
        for _ in 0..4000 {
            let ([top, left], [h, w]) = crop.draw([400, 600], &mut random);
            assert!(top + h <= 400 && left + w <= 600);
            areas.push((h * w) as f64 / 240_000.0);
            logs.push((w as f64 / h as f64).log2());
            tops.push(top as f64 / (400 - h).max(1) as f64);
        }
        let within = |values: &[f64], low: f64, high: f64, slack: f64| {
            assert!(values.iter().all(|v| (low - slack..=high + slack).contains(v)));
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            assert!((mean - (low + high) / 2.0).abs() < 0.03 * (high - low), "{mean}");
        };
        within(&areas, 0.1, 0.5, 0.003);
        within(&tops, 0.0, 1.0, 0.0);
        // The tallest of the largest do not fit.
        assert!(logs.iter().all(|v| (-1.01..=1.01).contains(v)));
        assert!(logs.iter().any(|&v| v < -0.9) && logs.iter().any(|&v| v > 0.9));
    }

    #[test]
    fn what_never_fits_becomes_the_largest_part_in_the_middle() {
        let crop = RandomResizedCrop::new([4, 4]);
        let mut random = Random::new(0, &[]);
        // Twice as wide as allowed, and as high.
        let whole = RandomResizedCrop { scale: [1.0, 1.0], ..crop };
        assert_eq!(whole.draw([300, 800], &mut random), ([0, 200], [300, 400]));
        assert_eq!(whole.draw([800, 300], &mut random), ([200, 0], [400, 300]));
        // No area at all: the whole image, whose ratio is allowed.
        let nothing = RandomResizedCrop { scale: [0.0, 0.0], ..crop };
        assert_eq!(nothing.draw([30, 40], &mut random), ([0, 0], [30, 40]));
        assert_eq!(nothing.draw([1, 50], &mut random), ([0, 24], [1, 1]));
        for shape in [[1, 1, 1], [2, 1, 9000], [3, 9000, 1]] {
            let after = crop.apply(Picture::filled(shape, 7), &mut random).unwrap();
            assert!(after.shape() == [shape[0], 4, 4] && after.data().iter().all(|&v| v == 7));
        }
    }

    #[test]
    fn the_whole_at_its_own_size_is_the_image() {
        let whole =
            RandomResizedCrop { scale: [1.0, 1.0], ratio: [1.0, 1.0], ..RandomResizedCrop::new([3, 3]) };
        let picture = Picture::new([1, 3, 3], (0..9).collect::<Vec<_>>()).unwrap();
        assert_eq!(whole.apply(picture.clone(), &mut Random::new(0, &[])).unwrap(), picture);
    }
}
