//! From bytes to numbers of mean 0 and deviation 1.

use crate::DataError;
use cnn_tensor::simd::Level;
use cnn_tensor::{Shape, Tensor, kernel};

/// `y = (x/255 - mean) / std` for each channel, computed as `x * scale + shift`.
///
/// ```
/// use cnn_data::Normalize;
/// let normalize = Normalize::new(&[0.5], &[0.25])?;
/// let x = normalize.tensor([1, 1, 1, 2], &[0, 255])?;
/// assert_eq!(x.data(), [-2.0, 2.0]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Normalize {
    channels: Vec<Affine>,
}

/// The map from bytes of a channel to numbers.
#[derive(Clone, Copy, Debug)]
struct Affine {
    std: f32,
    /// `1 / 255 / std`.
    scale: f32,
    /// `-mean / std`.
    shift: f32,
}

impl Affine {
    fn new(mean: f32, std: f32) -> Self {
        let scale = (1.0 / 255.0 / f64::from(std)) as f32;
        Self { std, scale, shift: -mean / std }
    }
}

kernel! {
    /// `x = byte * scale + shift`: plain code that the compiler turns into vectors of whatever the level has. The product
    /// is rounded before the sum at every level, so that all give the same bits.
    fn normalize<S>(_s, scale: f32, shift: f32, bytes: &[u8], x: &mut [f32]) {
        for (x, &byte) in x.iter_mut().zip(bytes) {
            *x = f32::from(byte) * scale + shift;
        }
    }
}

impl Normalize {
    /// With a mean and a deviation for each channel, where black is 0 and white is 1. Mean 0 and deviation 1 give
    /// pixels from 0 to 1.
    ///
    /// # Errors
    /// Both are empty, the two lengths differ, a mean is not finite, or a deviation is not a number above 0.
    pub fn new(mean: &[f32], std: &[f32]) -> Result<Self, DataError> {
        let setting =
            |what, rule: &str, got: String| Err(DataError::Setting { what, rule: rule.into(), got });
        if mean.is_empty() || mean.iter().any(|mean| !mean.is_finite()) {
            return setting("mean", "a finite number for each channel", format!("{mean:?}"));
        }
        if std.len() != mean.len() || std.iter().any(|&d| !(d > 0.0 && d.is_finite())) {
            let rule = "as many numbers above 0 as there are means";
            return setting("std", rule, format!("{std:?}"));
        }
        Ok(Self { channels: mean.iter().zip(std).map(|(&mean, &d)| Affine::new(mean, d)).collect() })
    }

    /// One channel, with constants of this crate.
    pub(crate) fn gray(mean: f32, std: f32) -> Self {
        Self { channels: vec![Affine::new(mean, std)] }
    }

    /// The same for any number of channels: pixels from 0 to 1.
    #[cfg(any(test, feature = "loader"))]
    pub(crate) fn unit(channels: usize) -> Self {
        Self { channels: vec![Affine::new(0.0, 1.0); channels] }
    }

    /// The number of channels.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// The deviation of a channel: one unit of a normalised number, where white is 1.
    ///
    /// # Panics
    /// It does not have that channel.
    pub fn std(&self, channel: usize) -> f32 {
        self.channels[channel].std
    }

    /// A batch of shape `[n, c, h, w]` from the bytes of its images, row-major.
    ///
    /// # Errors
    /// `c` is another number of channels, or `images` does not have the shape's number of bytes.
    pub fn tensor(&self, shape: [usize; 4], images: &[u8]) -> Result<Tensor, DataError> {
        let [_, c, h, w] = shape;
        self.check_channels(c)?;
        let elements = Shape::from(shape).numel();
        if images.len() != elements {
            let rule = format!("the bytes of shape {shape:?}");
            return Err(DataError::Setting { what: "images", rule, got: format!("{} bytes", images.len()) });
        }
        let mut x = Tensor::scratch(shape);
        let each = (c * h * w).max(1);
        for (image, x) in images.chunks_exact(each).zip(x.data_mut().chunks_exact_mut(each)) {
            self.image(image, x);
        }
        Ok(x)
    }

    pub(crate) fn check_channels(&self, c: usize) -> Result<(), DataError> {
        if c == self.channels() {
            return Ok(());
        }
        Err(DataError::Setting { what: "channels", rule: self.channels().to_string(), got: c.to_string() })
    }

    /// One image of this number of channels, `[c, h, w]`.
    pub(crate) fn image(&self, image: &[u8], x: &mut [f32]) {
        let plane = (image.len() / self.channels()).max(1);
        let level = Level::current();
        let planes = image.chunks_exact(plane).zip(x.chunks_exact_mut(plane));
        for (channel, (bytes, x)) in self.channels.iter().zip(planes) {
            normalize(level, channel.scale, channel.shift, bytes, x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_tensor::simd::with_level;

    #[test]
    fn every_channel_has_its_own_numbers() {
        let normalize = Normalize::new(&[0.0, 1.0], &[1.0, 0.5]).unwrap();
        let x = normalize.tensor([2, 2, 1, 2], &[0, 255, 0, 255, 255, 0, 255, 255]).unwrap();
        assert_eq!(x.data(), [0.0, 1.0, -2.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!((normalize.std(0), normalize.std(1)), (1.0, 0.5));
    }

    #[test]
    fn every_byte_is_what_the_formula_says_at_every_level() {
        let bytes: Vec<u8> = (0..=255).collect();
        for (mean, std) in [(0.0, 1.0), (0.1307, 0.3081), (0.5, 1.0 / 255.0), (-3.0, 1e-3)] {
            let normalize = Normalize::new(&[mean], &[std]).unwrap();
            let at = |level| with_level(level, || normalize.tensor([1, 1, 1, 256], &bytes).unwrap());
            let scalar = at(Level::all()[0]);
            for &level in Level::all() {
                assert_eq!(at(level).data(), scalar.data(), "{}", level.name());
            }
            let (mean, std) = (f64::from(mean), f64::from(std));
            for (byte, &x) in scalar.data().iter().enumerate() {
                let want = (byte as f64 / 255.0 - mean) / std;
                // The terms of the sum may be larger than their sum.
                let scale = (1.0 + mean.abs()) / std;
                assert!((f64::from(x) - want).abs() < 2e-7 * scale, "byte {byte}: {x} is not {want}");
            }
        }
    }

    #[test]
    fn numbers_that_cannot_be_used_are_refused() {
        let message = |mean: &[f32], std: &[f32]| Normalize::new(mean, std).unwrap_err().to_string();
        assert_eq!(message(&[], &[]), "mean must be a finite number for each channel, got []");
        assert_eq!(message(&[f32::NAN], &[1.0]), "mean must be a finite number for each channel, got [NaN]");
        let rule = "std must be as many numbers above 0 as there are means";
        assert_eq!(message(&[0.0], &[0.0]), format!("{rule}, got [0.0]"));
        assert_eq!(message(&[0.0], &[f32::INFINITY]), format!("{rule}, got [inf]"));
        assert_eq!(message(&[0.0], &[1.0, 1.0]), format!("{rule}, got [1.0, 1.0]"));
    }

    #[test]
    fn images_of_another_form_are_refused() {
        let message = |shape, bytes| Normalize::unit(1).tensor(shape, bytes).unwrap_err().to_string();
        assert_eq!(message([1, 3, 1, 1], &[0; 3]), "channels must be 1, got 3");
        assert_eq!(
            message([2, 1, 1, 1], &[0; 3]),
            "images must be the bytes of shape [2, 1, 1, 1], got 3 bytes"
        );
        assert_eq!(Normalize::unit(1).tensor([0, 1, 2, 2], &[]).unwrap().shape().dims(), [0, 1, 2, 2]);
        assert_eq!(Normalize::unit(1).tensor([2, 1, 0, 2], &[]).unwrap().shape().dims(), [2, 1, 0, 2]);
    }
}
