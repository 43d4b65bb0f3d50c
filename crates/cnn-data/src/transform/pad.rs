//! Margins around an image.

use super::window::{Margins, PaddingMode};
use super::{Transform, options};
use crate::{DataError, Picture};
use cnn_tensor::Random;
use serde::{Deserialize, Serialize};

/// Adds margins, as torchvision's `Pad`.
///
/// ```
/// use cnn_data::transform::{Pad, PaddingMode, Transform};
/// use cnn_data::Picture;
/// let picture = Picture::new([1, 1, 3], vec![1, 2, 3])?;
/// let pad = Pad { padding: [2, 0, 1, 0], fill: 0, padding_mode: PaddingMode::Reflect };
/// assert_eq!(pad.apply(picture, &mut cnn_tensor::Random::new(0, &[]))?.data(), [3, 2, 1, 2, 3, 2]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pad {
    /// Left, top, right, bottom; also one number for all, or `[left and right, top and bottom]`.
    #[serde(deserialize_with = "options::padding")]
    pub padding: [usize; 4],
    /// The shade of constant margins, black by default.
    #[serde(default)]
    pub fill: u8,
    /// The content of the margins.
    #[serde(default)]
    pub padding_mode: PaddingMode,
}

impl Transform for Pad {
    fn validate(&self) -> Result<(), DataError> {
        options::check_padding(self.padding)
    }

    fn is_random(&self) -> bool {
        false
    }

    fn apply<'a>(&self, picture: Picture<'a>, _: &mut Random) -> Result<Picture<'a>, DataError> {
        let margins = Margins { padding: self.padding, mode: self.padding_mode, fill: self.fill };
        let size = margins.around(&picture)?;
        options::check_pixels("a padded image", size)?;
        Ok(margins.crop(&picture, [0, 0], size))
    }
}
