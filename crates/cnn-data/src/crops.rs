//! Several crops of one image, for testing.

use crate::{DataError, Picture};
use serde::{Deserialize, Serialize};

/// The views of an image whose answers are averaged.
///
/// ```
/// use cnn_data::{Crops, Picture};
/// let picture = Picture::new([1, 1, 3], vec![1, 2, 3])?;
/// let views = Crops::Ten { size: [1, 1] }.of(&picture)?;
/// let pixels: Vec<u8> = views.iter().map(|view| view.data()[0]).collect();
/// assert_eq!(pixels, [1, 3, 1, 3, 2, 3, 1, 3, 1, 2]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// Source: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012,
/// section 4.1; the order is torchvision's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Crops {
    /// The image as it is, and with left and right exchanged.
    Mirrored,
    /// The four corners and the centre: upper left, upper right, lower left, lower right, centre.
    Five {
        /// Height and width of each.
        size: [usize; 2],
    },
    /// The five, and the five of the image with left and right exchanged.
    Ten {
        /// Height and width of each.
        size: [usize; 2],
    },
}

impl Crops {
    /// How many crops there are.
    pub fn count(self) -> usize {
        match self {
            Self::Mirrored => 2,
            Self::Five { .. } => 5,
            Self::Ten { .. } => 10,
        }
    }

    /// The crops of an image.
    ///
    /// # Errors
    /// The image is smaller than a crop.
    pub fn of(self, picture: &Picture<'_>) -> Result<Vec<Picture<'static>>, DataError> {
        let [_, height, width] = picture.shape();
        let mirrored = || {
            let mut mirrored = picture.clone();
            mirrored.data_mut().chunks_exact_mut(width).for_each(<[u8]>::reverse);
            mirrored
        };
        let [h, w] = match self {
            Self::Mirrored => return Ok(vec![picture.clone().into_owned(), mirrored().into_owned()]),
            Self::Five { size } | Self::Ten { size } => size,
        };
        if h == 0 || w == 0 || h > height || w > width {
            let rule = format!("from 1x1 to {height}x{width}, the size of the image");
            return Err(DataError::Setting { what: "the crops", rule, got: format!("{h}x{w}") });
        }
        let (down, right) = (height - h, width - w);
        // As torchvision rounds, half to even.
        let half = |v: usize| (v as f64 / 2.0).round_ties_even() as usize;
        let corners = [(0, 0), (0, right), (down, 0), (down, right), (half(down), half(right))];
        let five = |picture: &Picture<'_>| {
            corners.map(|(top, left)| {
                let mut crop = Picture::filled([picture.channels(), h, w], 0);
                let planes = crop.data_mut().chunks_exact_mut(h * w);
                for (channel, plane) in planes.enumerate() {
                    let rows = picture.plane(channel).chunks_exact(width).skip(top);
                    plane
                        .chunks_exact_mut(w)
                        .zip(rows)
                        .for_each(|(to, from)| to.copy_from_slice(&from[left..left + w]));
                }
                crop
            })
        };
        let mut views = five(picture).to_vec();
        if matches!(self, Self::Ten { .. }) {
            views.extend(five(&mirrored()));
        }
        Ok(views)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_lie_in_the_corners_and_the_centre_of_every_channel() {
        // Pixel (r, c) of channel k is 100 k + 10 r + c.
        let data: Vec<u8> = (0..2)
            .flat_map(|k| (0..4).flat_map(move |r| (0..6).map(move |c| 100 * k + 10 * r + c)))
            .collect();
        let picture = Picture::new([2, 4, 6], data).unwrap();
        let views = Crops::Ten { size: [1, 3] }.of(&picture).unwrap();
        let rows: Vec<&[u8]> = views.iter().map(|view| view.plane(1)).collect();
        let want: [[u8; 3]; 10] = [
            [100, 101, 102],
            [103, 104, 105],
            [130, 131, 132],
            [133, 134, 135],
            // 3 rows are left over: half of them is 1.5, to even 2. 3 columns likewise.
            [122, 123, 124],
            [105, 104, 103],
            [102, 101, 100],
            [135, 134, 133],
            [132, 131, 130],
            [123, 122, 121],
        ];
        assert_eq!(rows, want);
        assert_eq!(Crops::Five { size: [1, 3] }.of(&picture).unwrap(), views[..5]);
        let [same, mirrored] = &Crops::Mirrored.of(&picture).unwrap()[..] else { panic!("two views") };
        assert_eq!((same, mirrored.plane(1)[..6].to_vec()), (&picture, vec![105, 104, 103, 102, 101, 100]));
        let message = Crops::Five { size: [5, 3] }.of(&picture).unwrap_err().to_string();
        assert_eq!(message, "the crops must be from 1x1 to 4x6, the size of the image, got 5x3");
    }
}
