//! An 8-bit image between decoder and batch.

use crate::DataError;
use cnn_tensor::kernel;
use cnn_tensor::simd::Level;
use std::borrow::Cow;

/// An image of one byte for each channel of a pixel: planes `[c, h, w]`, row-major, so that each transform works on one
/// plane after the other. One channel is gray; three are red, green and blue.
///
/// It may borrow its bytes from a data set in memory; the first transform that changes them makes a copy.
///
/// ```
/// use cnn_data::Picture;
/// let gray = Picture::new([1, 2, 2], vec![0, 50, 100, 255])?;
/// let rgb = gray.to_rgb();
/// assert_eq!((rgb.shape(), rgb.plane(2)), ([3, 2, 2], &[0, 50, 100, 255][..]));
/// assert_eq!(rgb.to_gray().data(), [0, 50, 100, 255]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture<'a> {
    shape: [usize; 3],
    data: Cow<'a, [u8]>,
}

impl<'a> Picture<'a> {
    /// The image of `shape` `[c, h, w]`.
    ///
    /// # Errors
    /// An extent is 0, or `data` does not have the shape's number of bytes.
    pub fn new(shape: [usize; 3], data: impl Into<Cow<'a, [u8]>>) -> Result<Self, DataError> {
        let data = data.into();
        let bytes = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
        if bytes != Some(data.len()) || data.is_empty() {
            return Err(DataError::Setting {
                what: "a picture",
                rule: format!("at least one pixel, and the bytes of shape {shape:?}"),
                got: format!("{} bytes", data.len()),
            });
        }
        Ok(Self { shape, data })
    }

    /// An image of `shape` `[c, h, w]`, every byte `value`.
    ///
    /// # Panics
    /// An extent is 0.
    pub fn filled(shape: [usize; 3], value: u8) -> Picture<'static> {
        assert!(!shape.contains(&0), "a picture of shape {shape:?}");
        Picture { shape, data: vec![value; shape.iter().product()].into() }
    }

    /// Planes, one after the other, from the form of decoders: the channels of a pixel side by side.
    ///
    /// # Errors
    /// An extent is 0, or `pixels` does not have the shape's number of bytes.
    pub fn from_interleaved(shape: [usize; 3], pixels: &[u8]) -> Result<Picture<'static>, DataError> {
        // Checked by the same rule, before anything is allocated.
        Picture::new(shape, pixels)?;
        let [c, h, w] = shape;
        let mut data = vec![0; pixels.len()];
        match c {
            1 => data.copy_from_slice(pixels),
            3 => {
                let (red, rest) = data.split_at_mut(h * w);
                let (green, blue) = rest.split_at_mut(h * w);
                separate(Level::current(), pixels.as_chunks().0, red, green, blue);
            }
            _ => {
                for (i, plane) in data.chunks_exact_mut(h * w).enumerate() {
                    plane.iter_mut().zip(pixels[i..].iter().step_by(c)).for_each(|(to, &from)| *to = from);
                }
            }
        }
        Ok(Picture { shape, data: data.into() })
    }

    /// The channels of a pixel side by side, as files and screens have them.
    pub fn to_interleaved(&self) -> Vec<u8> {
        let [c, h, w] = self.shape;
        let mut pixels = vec![0; self.data.len()];
        for (i, plane) in self.data.chunks_exact(h * w).enumerate() {
            pixels[i..].iter_mut().step_by(c).zip(plane).for_each(|(to, &from)| *to = from);
        }
        pixels
    }

    /// The extents, `[c, h, w]`; none of them is 0.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The number of channels.
    pub fn channels(&self) -> usize {
        self.shape[0]
    }

    /// The height in pixels.
    pub fn height(&self) -> usize {
        self.shape[1]
    }

    /// The width in pixels.
    pub fn width(&self) -> usize {
        self.shape[2]
    }

    /// All bytes, `[c, h, w]`, row-major.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// All bytes, to change; copied first if they are borrowed.
    pub fn data_mut(&mut self) -> &mut [u8] {
        self.data.to_mut()
    }

    /// The bytes of one channel, `[h, w]`.
    ///
    /// # Panics
    /// The picture does not have that channel.
    pub fn plane(&self, channel: usize) -> &[u8] {
        let [_, h, w] = self.shape;
        &self.data[channel * h * w..(channel + 1) * h * w]
    }

    /// The same image, owning its bytes.
    pub fn into_owned(self) -> Picture<'static> {
        Picture { shape: self.shape, data: self.data.into_owned().into() }
    }

    /// Three channels: a gray image in each of them, others as they are.
    #[must_use]
    pub fn to_rgb(self) -> Self {
        match self.shape {
            [1, h, w] => Self { shape: [3, h, w], data: self.data.repeat(3).into() },
            _ => self,
        }
    }

    /// One channel: the luma of red, green and blue by ITU-R BT.601, `(299 R + 587 G + 114 B) / 1000`, rounded; images
    /// of other than three channels as they are.
    #[must_use]
    pub fn to_gray(self) -> Self {
        let [3, h, w] = self.shape else { return self };
        let (r, g, b) = (self.plane(0), self.plane(1), self.plane(2));
        let luma = |((&r, &g), &b): ((&u8, &u8), &u8)| {
            ((299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b) + 500) / 1000) as u8
        };
        let data: Vec<u8> = r.iter().zip(g).zip(b).map(luma).collect();
        Self { shape: [1, h, w], data: data.into() }
    }
}

/// Pixels per round of [`separate`]: as many bytes as a vector register has at the widest level.
const ROUND: usize = 64;

kernel! {
    /// The three channels of pixels, each in its plane.
    fn separate<S>(_s, pixels: &[[u8; 3]], red: &mut [u8], green: &mut [u8], blue: &mut [u8]) {
        let (rounds, rest) = pixels.as_chunks::<ROUND>();
        let (reds, red) = red.as_chunks_mut::<ROUND>();
        let (greens, green) = green.as_chunks_mut::<ROUND>();
        let (blues, blue) = blue.as_chunks_mut::<ROUND>();
        for (((r, g), b), pixels) in reds.iter_mut().zip(greens).zip(blues).zip(rounds) {
            for i in 0..ROUND {
                [r[i], g[i], b[i]] = pixels[i];
            }
        }
        for (((r, g), b), &pixel) in red.iter_mut().zip(green).zip(blue).zip(rest) {
            [*r, *g, *b] = pixel;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleaving_and_back_is_the_identity() {
        for c in 1..=4 {
            let pixels: Vec<u8> = (0..c as u8 * 6).collect();
            let picture = Picture::from_interleaved([c, 2, 3], &pixels).unwrap();
            assert_eq!(picture.plane(c - 1)[5], c as u8 * 6 - 1);
            assert_eq!(picture.plane(0)[1], c as u8);
            assert_eq!(picture.to_interleaved(), pixels);
        }
    }

    #[test]
    fn gray_is_the_luma() {
        let primaries =
            Picture::new([3, 1, 4], vec![255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255]).unwrap();
        assert_eq!(primaries.to_gray().data(), [76, 150, 29, 255]);
    }

    #[test]
    fn shapes_and_bytes_must_agree() {
        let message = |shape, bytes: usize| Picture::new(shape, vec![0; bytes]).unwrap_err().to_string();
        assert_eq!(
            message([1, 2, 2], 3),
            "a picture must be at least one pixel, and the bytes of shape [1, 2, 2], got 3 bytes"
        );
        assert!(message([1, 0, 2], 0).contains("at least one pixel"));
        assert!(message([usize::MAX, 2, 2], 0).contains("at least one pixel"));
        assert!(Picture::from_interleaved([3, usize::MAX, 2], &[]).is_err());
    }

    #[test]
    fn a_borrowed_picture_is_copied_when_it_is_changed() {
        let bytes = [1, 2];
        let mut picture = Picture::new([1, 1, 2], &bytes[..]).unwrap();
        picture.data_mut()[0] = 9;
        assert_eq!((picture.data(), bytes), (&[9, 2][..], [1, 2]));
    }
}
