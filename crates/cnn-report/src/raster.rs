//! Planes of tensors as small images, and the scales of their colours.

use crate::PictureError;
use crate::canvas::{Canvas, LABEL, Rect, Style};
use crate::color::{FADED, NOT_A_NUMBER, diverging, gray};
use cnn_tensor::Tensor;
use image::{Rgb, RgbImage};

/// A plane of numbers, `[height, width]`, as an image in which each number has the colour that `color` gives it.
///
/// # Panics
/// The plane does not have `height * width` numbers.
pub fn plane(numbers: &[f32], [height, width]: [usize; 2], color: impl Fn(f32) -> Rgb<u8>) -> RgbImage {
    assert_eq!(numbers.len(), height * width, "numbers in a plane of {height} x {width}");
    RgbImage::from_fn(width as u32, height as u32, |x, y| color(numbers[y as usize * width + x as usize]))
}

/// One image, `[1, 1, h, w]` in gray or `[1, 3, h, w]` in colour. Its smallest number is drawn black and its largest
/// white, which undoes any normalisation.
///
/// # Errors
/// The tensor has another shape, or no elements.
pub fn photo(picture: &'static str, image: &Tensor) -> Result<RgbImage, PictureError> {
    let Some([1, channels @ (1 | 3), h, w]) = image.shape().nchw().filter(|_| !image.data().is_empty())
    else {
        return Err(PictureError::Data {
            picture,
            expected: "an image of shape [1, 1, h, w] or [1, 3, h, w]".into(),
            got: image.shape().to_string(),
        });
    };
    let range = Range::of(image.data());
    Ok(RgbImage::from_fn(w as u32, h as u32, |x, y| {
        let at = |channel: usize| gray(range.unit(image.data()[(channel * h + y as usize) * w + x as usize]));
        let colors = [at(0), at(channels / 2), at(channels - 1)];
        if colors.contains(&NOT_A_NUMBER) {
            NOT_A_NUMBER
        } else {
            Rgb([colors[0][0], colors[1][1], colors[2][2]])
        }
    }))
}

/// The smallest and the largest finite number of a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub min: f32,
    pub max: f32,
}

impl Range {
    /// The range of `numbers`; `0..0` if none is finite.
    pub fn of(numbers: &[f32]) -> Self {
        let finite = || numbers.iter().copied().filter(|number| number.is_finite());
        Self { min: finite().reduce(f32::min).unwrap_or(0.0), max: finite().reduce(f32::max).unwrap_or(0.0) }
    }

    /// The largest absolute value.
    pub fn reach(self) -> f32 {
        self.max.max(-self.min)
    }

    /// The place of `number` between the smallest, 0, and the largest, 1; 0 if those are equal.
    pub fn unit(self, number: f32) -> f32 {
        let width = self.max - self.min;
        if width > 0.0 || number.is_nan() { (number - self.min) / width } else { 0.0 }
    }
}

/// The scale of signed numbers: blue at `-reach`, white at zero, red at `reach`.
#[derive(Clone, Copy, Debug)]
pub struct Signed {
    reach: f32,
}

impl Signed {
    /// The smallest scale that contains all of `numbers`.
    pub fn of(numbers: &[f32]) -> Self {
        Self { reach: Range::of(numbers).reach() }
    }

    pub fn color(self, number: f32) -> Rgb<u8> {
        diverging(self.unit(number))
    }

    /// The place of `number` between `-reach`, -1, and `reach`, 1.
    pub fn unit(self, number: f32) -> f32 {
        // A reach of 0 means that no number is finite and other than zero; then any reach will do.
        if self.reach > 0.0 { number / self.reach } else { number }
    }

    /// Draws the scale as a strip with its three numbers below.
    pub fn legend(self, canvas: &mut Canvas, at: Rect) {
        for i in 0..at.w {
            let color = diverging(2.0 * (i as f32 + 0.5) / at.w as f32 - 1.0);
            canvas.fill(Rect { x: at.x + i, w: 1, ..at }, color);
        }
        for (part, number) in [(0.0, -self.reach), (0.5, 0.0), (1.0, self.reach)] {
            let x = at.x as f32 + part * at.w as f32;
            let style = Style { align: part, ..LABEL.colored(FADED) };
            canvas.text(x, (at.y + at.h) as f32 + 22.0, style, &signed(number));
        }
    }
}

/// A number with its sign and two decimal places, or three below 0.1; zero has no sign.
pub fn signed(number: f32) -> String {
    if number == 0.0 {
        return "0".into();
    }
    let places = if number.abs() < 0.1 { 3 } else { 2 };
    format!("{number:+.places$}").replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::PAPER;

    #[test]
    fn a_plane_is_neither_mirrored_nor_turned() {
        let image = plane(&[0.0, 0.0, 1.0, 0.5, 0.0, 0.0], [2, 3], gray);
        assert_eq!(image.dimensions(), (3, 2));
        assert_eq!(image[(2, 0)], Rgb([255; 3]));
        assert_eq!(image[(0, 1)], Rgb([128; 3]));
    }

    #[test]
    fn a_photo_fills_the_range_from_black_to_white() {
        let image = Tensor::from_vec([1, 1, 1, 3], vec![-2.0, 0.0, 2.0]).unwrap();
        let photo = photo("test", &image).unwrap();
        assert_eq!([photo[(0, 0)], photo[(1, 0)], photo[(2, 0)]], [0, 128, 255].map(|v| Rgb([v; 3])));
    }

    #[test]
    fn a_photo_may_have_colours() {
        let image = Tensor::from_vec([1, 3, 1, 1], vec![0.0, 0.5, 1.0]).unwrap();
        assert_eq!(photo("test", &image).unwrap()[(0, 0)], Rgb([0, 128, 255]));
    }

    #[test]
    fn a_photo_of_another_shape_is_an_error() {
        let error = photo("mistakes", &Tensor::zeros([2, 1, 3, 3])).unwrap_err();
        let expected = "mistakes: expected an image of shape [1, 1, h, w] or [1, 3, h, w], got [2, 1, 3, 3]";
        assert_eq!(error.to_string(), expected);
        assert!(photo("test", &Tensor::zeros([1, 1, 0, 3])).is_err());
        assert!(photo("test", &Tensor::zeros([1, 2, 3, 3])).is_err());
    }

    #[test]
    fn numbers_that_are_not_finite_do_not_stretch_the_range() {
        let range = Range::of(&[f32::NAN, -1.0, f32::INFINITY, 3.0]);
        assert_eq!(range, Range { min: -1.0, max: 3.0 });
        assert_eq!(range.reach(), 3.0);
        assert_eq!(range.unit(1.0), 0.5);
        assert_eq!(Range::of(&[f32::NAN]).unit(5.0), 0.0);
        assert!(Range::of(&[]).unit(f32::NAN).is_nan());
    }

    #[test]
    fn the_signed_scale_is_shared_and_centred_at_zero() {
        let scale = Signed::of(&[-4.0, 1.0]);
        assert_eq!(scale.color(0.0), PAPER);
        assert_eq!(scale.color(-4.0), diverging(-1.0));
        assert_eq!(scale.color(2.0), diverging(0.5));
        assert_eq!(Signed::of(&[0.0]).color(0.0), PAPER);
    }

    #[test]
    fn signs_are_typographic() {
        assert_eq!([signed(-0.5), signed(0.0), signed(0.0312)], ["\u{2212}0.50", "0", "+0.031"]);
    }
}
