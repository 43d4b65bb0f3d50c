//! A few of many distortions, all of one strength.

use super::affine::{Affine, nearest};
use super::options::setting;
use super::{Interpolation, Transform, adjust};
use crate::{DataError, Picture};
use cnn_tensor::Random;
use serde::{Deserialize, Serialize};

/// Applies `num_ops` operations, each drawn from fourteen, with one strength for all, as torchvision's `RandAugment`: the identity,
/// shear and shift along x and along y, rotation, brightness, colour, contrast, sharpness, posterize, solarize, auto contrast,
/// equalize. Where an operation has two directions, each is as likely as the other.
///
/// ```
/// use cnn_data::transform::{RandAugment, Transform};
/// use cnn_data::Picture;
/// let augment: RandAugment = serde_json::from_str("{}").unwrap();
/// assert_eq!((augment.num_ops, augment.magnitude, augment.num_magnitude_bins), (2, 9, 31));
/// let picture = augment.apply(Picture::filled([3, 32, 32], 7), &mut cnn_tensor::Random::new(0, &[]))?;
/// assert_eq!(picture.shape(), [3, 32, 32]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// Source: E. Cubuk, B. Zoph, J. Shlens, Q. Le, "RandAugment: Practical Automated Data Augmentation with a Reduced Search
/// Space", NeurIPS 2020; the list and the strengths are torchvision's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandAugment {
    /// How many operations, one after the other; at most 64.
    pub num_ops: usize,
    /// The strength: one of the bins, from 0.
    pub magnitude: usize,
    /// Into how many bins the strength is divided, at least 2.
    pub num_magnitude_bins: usize,
    /// How shears, shifts and rotations read pixels, nearest by default.
    pub interpolation: Interpolation,
    /// The shade outside of the image, black by default.
    pub fill: u8,
}

impl Default for RandAugment {
    /// Two operations at strength 9 of 30.
    fn default() -> Self {
        Self { num_ops: 2, magnitude: 9, num_magnitude_bins: 31, interpolation: nearest(), fill: 0 }
    }
}

/// The operations, in torchvision's order.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
}

use Operation::*;

const OPERATIONS: [Operation; 14] = [
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
];

impl Operation {
    /// Whether its strength has a sign.
    fn is_signed(self) -> bool {
        !matches!(self, Identity | Posterize | Solarize | AutoContrast | Equalize)
    }

    /// The strength at `share` of the largest one, for an image of height `h` and width `w`.
    fn magnitude(self, share: f64, [h, w]: [usize; 2]) -> f64 {
        match self {
            Identity | AutoContrast | Equalize => 0.0,
            ShearX | ShearY => 0.3 * share,
            TranslateX => 150.0 / 331.0 * w as f64 * share,
            TranslateY => 150.0 / 331.0 * h as f64 * share,
            Rotate => 30.0 * share,
            Brightness | Color | Contrast | Sharpness => 0.9 * share,
            Posterize => 8.0 - (4.0 * share).round_ties_even(),
            Solarize => 255.0 * (1.0 - share),
        }
    }

    fn apply<'a>(
        self,
        mut picture: Picture<'a>,
        magnitude: f64,
        interpolation: Interpolation,
        fill: u8,
    ) -> Picture<'a> {
        let [_, h, w] = picture.shape();
        let affine = |affine: Affine| affine.apply(&picture, interpolation, fill);
        // Shears are about the upper left corner.
        let center = [-(w as f64) / 2.0, -(h as f64) / 2.0];
        let degrees = || magnitude.atan().to_degrees();
        let factor = 1.0 + magnitude as f32;
        match self {
            Identity => {}
            ShearX => return affine(Affine { center, shear: [degrees(), 0.0], ..Affine::default() }),
            ShearY => return affine(Affine { center, shear: [0.0, degrees()], ..Affine::default() }),
            TranslateX => return affine(Affine { translate: [magnitude.trunc(), 0.0], ..Affine::default() }),
            TranslateY => return affine(Affine { translate: [0.0, magnitude.trunc()], ..Affine::default() }),
            Rotate => return affine(Affine { angle: -magnitude, ..Affine::default() }),
            Brightness => adjust::brightness(&mut picture, factor),
            Color => adjust::saturation(&mut picture, factor),
            Contrast => adjust::contrast(&mut picture, factor),
            Sharpness => adjust::sharpness(&mut picture, factor),
            Posterize => adjust::posterize(&mut picture, magnitude as u8),
            Solarize => adjust::solarize(&mut picture, magnitude as f32),
            AutoContrast => adjust::auto_contrast(&mut picture),
            Equalize => adjust::equalize(&mut picture),
        }
        picture
    }
}

impl Transform for RandAugment {
    fn validate(&self) -> Result<(), DataError> {
        if self.num_ops > 64 {
            return Err(setting("num_ops of a rand augment", "at most 64", self.num_ops));
        }
        if self.num_magnitude_bins < 2 {
            return Err(setting(
                "num_magnitude_bins of a rand augment",
                "at least 2",
                self.num_magnitude_bins,
            ));
        }
        if self.magnitude >= self.num_magnitude_bins {
            let rule = format!("below {}, the number of bins", self.num_magnitude_bins);
            return Err(setting("the magnitude of a rand augment", rule, self.magnitude));
        }
        self.interpolation.check_sampling("the interpolation of a rand augment")
    }

    fn apply<'a>(&self, mut picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        let share = self.magnitude as f64 / (self.num_magnitude_bins - 1) as f64;
        for _ in 0..self.num_ops {
            let operation = OPERATIONS[random.below(OPERATIONS.len())];
            let [_, h, w] = picture.shape();
            let mut magnitude = operation.magnitude(share, [h, w]);
            if operation.is_signed() && random.chance(0.5) {
                magnitude = -magnitude;
            }
            picture = operation.apply(picture, magnitude, self.interpolation, self.fill);
        }
        Ok(picture)
    }
}

/// Each operation's name, its strength at a share of the largest, and whether it has a sign.
#[cfg(test)]
pub(super) fn strengths(share: f64, size: [usize; 2]) -> Vec<(String, f64, bool)> {
    let of = |operation: Operation| {
        (format!("{operation:?}"), operation.magnitude(share, size), operation.is_signed())
    };
    OPERATIONS.map(of).to_vec()
}
