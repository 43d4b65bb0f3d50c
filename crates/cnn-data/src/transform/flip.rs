//! Left and right exchanged.

use super::Transform;
use super::options::check_probability;
use crate::{DataError, Picture};
use cnn_tensor::Random;
use serde::{Deserialize, Serialize};

/// Exchanges left and right with probability `p`, as torchvision's `RandomHorizontalFlip`.
///
/// ```
/// use cnn_data::transform::{HorizontalFlip, Transform};
/// use cnn_data::Picture;
/// let picture = Picture::new([1, 2, 2], vec![1, 2, 3, 4])?;
/// let flipped = HorizontalFlip { p: 1.0 }.apply(picture, &mut cnn_tensor::Random::new(0, &[]))?;
/// assert_eq!(flipped.data(), [2, 1, 4, 3]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HorizontalFlip {
    /// How often, 0 to 1.
    pub p: f32,
}

impl Default for HorizontalFlip {
    /// Every other image.
    fn default() -> Self {
        Self { p: 0.5 }
    }
}

impl Transform for HorizontalFlip {
    fn validate(&self) -> Result<(), DataError> {
        check_probability("the probability of a horizontal flip", self.p)
    }

    fn apply<'a>(&self, mut picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        if random.chance(self.p) {
            let width = picture.width();
            picture.data_mut().chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        Ok(picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_images_are_flipped_each_in_all_channels() {
        let mut flipped = 0;
        for seed in 0..2000 {
            let picture = Picture::new([3, 1, 2], vec![1, 2, 3, 4, 5, 6]).unwrap();
            let after =
                HorizontalFlip::default().apply(picture.clone(), &mut Random::new(seed, &[])).unwrap();
            match after.data() {
                [2, 1, 4, 3, 6, 5] => flipped += 1,
                other => assert_eq!(other, picture.data()),
            }
        }
        assert!((900..1100).contains(&flipped), "{flipped} of 2000");
    }

    #[test]
    fn a_probability_is_one() {
        let message = HorizontalFlip { p: 1.5 }.validate().unwrap_err().to_string();
        assert_eq!(
            message,
            "the probability of a horizontal flip must be a probability from 0 to 1, got 1.5"
        );
        assert!(HorizontalFlip { p: f32::NAN }.validate().is_err());
    }
}
