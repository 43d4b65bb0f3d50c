//! Maps of numbers as images: what a sheet of explanations is made of.

use crate::PictureError;
use crate::color::{diverging, gray, heat, mix};
use crate::raster::{Range, plane};
use cnn_nn::explain::resized;
use cnn_tensor::Tensor;
use image::{Rgb, RgbImage};

/// The part of the numbers whose absolute value is within the scale; the rest, a few pixels that would leave the others pale, is
/// drawn in its strongest colour.
const WITHIN: f64 = 0.995;

/// A map `[1, 1, h, w]` of numbers from 0 up: black is 0, white the largest.
///
/// # Errors
/// The map has another shape, or no numbers.
pub fn bright(map: &Tensor) -> Result<RgbImage, PictureError> {
    let ([h, w], reach) = (one_plane(map)?, reach(map.data()));
    Ok(plane(map.data(), [h, w], |v| gray(v / reach)))
}

/// A map `[1, 1, h, w]` of signed numbers: blue is negative, white 0, red positive.
///
/// # Errors
/// The map has another shape, or no numbers.
pub fn signed(map: &Tensor) -> Result<RgbImage, PictureError> {
    let ([h, w], reach) = (one_plane(map)?, reach(map.data()));
    Ok(plane(map.data(), [h, w], |v| diverging(v / reach)))
}

/// Signed numbers with the channels of an image, `[1, 1, h, w]` or `[1, 3, h, w]`: mid-gray is 0. Other numbers of channels are
/// drawn by the first.
///
/// # Errors
/// The numbers have another shape, or there are none.
pub fn relief(map: &Tensor) -> Result<RgbImage, PictureError> {
    let reach = reach(map.data());
    colored(map, |v| 0.5 + 0.5 * v / reach)
}

/// An image `[1, 1, h, w]` or `[1, 3, h, w]` in which 0 is black and 1 white. Other numbers of channels are drawn by the first.
///
/// # Errors
/// The image has another shape, or no numbers.
pub fn image(numbers: &Tensor) -> Result<RgbImage, PictureError> {
    colored(numbers, |v| v)
}

/// A map `[1, 1, h, w]` over a photo, to whose size it is enlarged. The photo is dark and gray where the map is 0 or negative, and
/// glows where it is large.
///
/// # Errors
/// The map has another shape, or no numbers.
pub fn heat_over(photo: &RgbImage, map: &Tensor) -> Result<RgbImage, PictureError> {
    let largest = Range::of(map.data()).max;
    over(photo, map, |pixel, v| {
        let t = if largest > 0.0 { (v / largest).max(0.0) } else { 0.0 };
        mix(mix(Rgb([0; 3]), pixel, 0.55), heat(t), 0.75 * t.min(1.0).sqrt())
    })
}

/// A map `[1, 1, h, w]` of signed numbers over a photo, to whose size it is enlarged: blue is negative, red positive; the photo is
/// gray where the map is 0.
///
/// # Errors
/// The map has another shape, or no numbers.
pub fn signed_over(photo: &RgbImage, map: &Tensor) -> Result<RgbImage, PictureError> {
    let reach = Range::of(map.data()).reach();
    over(photo, map, |pixel, v| {
        let t = if reach > 0.0 { v / reach } else { 0.0 };
        // The scale's pale middle would draw bright lines where the map is nearly 0.
        mix(mix(Rgb([255; 3]), pixel, 0.7), diverging(t.signum() * (0.5 + 0.5 * t.abs())), 0.85 * t.abs())
    })
}

/// Each pixel of the photo, in gray, and the map's number there, as a colour.
fn over(
    photo: &RgbImage,
    map: &Tensor,
    color: impl Fn(Rgb<u8>, f32) -> Rgb<u8>,
) -> Result<RgbImage, PictureError> {
    one_plane(map)?;
    let (w, h) = photo.dimensions();
    let map = resized(map, [h as usize, w as usize]).map_err(|_| wrong("a photo with pixels", map))?;
    Ok(RgbImage::from_fn(w, h, |x, y| {
        let Rgb([r, g, b]) = photo[(x, y)];
        // Rec. 601 luma.
        let luma = 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b);
        let v = map.data()[(y * w + x) as usize];
        if v.is_nan() { crate::color::NOT_A_NUMBER } else { color(Rgb([luma.round() as u8; 3]), v) }
    }))
}

fn colored(map: &Tensor, unit: impl Fn(f32) -> f32) -> Result<RgbImage, PictureError> {
    let Some([1, c, h, w]) = map.shape().nchw().filter(|_| !map.data().is_empty()) else {
        return Err(wrong("numbers of shape [1, c, h, w], not empty", map));
    };
    let channels = if c == 3 { [0, 1, 2] } else { [0; 3] };
    Ok(RgbImage::from_fn(w as u32, h as u32, |x, y| {
        let at = |channel: usize| gray(unit(map.data()[(channel * h + y as usize) * w + x as usize]));
        let [r, g, b] = channels.map(at);
        if [r, g, b].contains(&crate::color::NOT_A_NUMBER) {
            return crate::color::NOT_A_NUMBER;
        }
        Rgb([r[0], g[1], b[2]])
    }))
}

/// The absolute value that nearly all numbers other than 0 are below; 1 if there are none.
fn reach(numbers: &[f32]) -> f32 {
    let mut sizes: Vec<f32> = numbers.iter().map(|v| v.abs()).filter(|v| *v > 0.0 && v.is_finite()).collect();
    sizes.sort_unstable_by(f32::total_cmp);
    sizes.get((sizes.len() as f64 * WITHIN) as usize).copied().unwrap_or(1.0)
}

fn one_plane(map: &Tensor) -> Result<[usize; 2], PictureError> {
    match map.shape().nchw() {
        Some([1, 1, h, w]) if h * w > 0 => Ok([h, w]),
        _ => Err(wrong("a map of shape [1, 1, h, w], not empty", map)),
    }
}

fn wrong(expected: &str, got: &Tensor) -> PictureError {
    PictureError::Data { picture: "views", expected: expected.into(), got: got.shape().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::{NOT_A_NUMBER, PAPER};

    fn map(numbers: &[f32]) -> Tensor {
        Tensor::from_slice([1, 1, 1, numbers.len()], numbers).unwrap()
    }

    fn grays(image: &RgbImage) -> Vec<u8> {
        image.pixels().map(|pixel| pixel[0]).collect()
    }

    #[test]
    fn scales_have_their_zero_where_they_say() {
        assert_eq!(grays(&bright(&map(&[0.0, 1.0, 2.0])).unwrap()), [0, 128, 255]);
        assert_eq!(grays(&relief(&map(&[0.0, -2.0, 2.0])).unwrap()), [128, 0, 255]);
        let image = signed(&map(&[0.0, -2.0, 1.0])).unwrap();
        assert_eq!([image[(0, 0)], image[(1, 0)], image[(2, 0)]], [PAPER, diverging(-1.0), diverging(0.5)]);
        assert_eq!(grays(&super::image(&map(&[0.0, 0.5, 7.0])).unwrap()), [0, 128, 255]);
    }

    #[test]
    fn colours_are_kept_and_other_channels_drawn_by_the_first() {
        let three = Tensor::from_vec([1, 3, 1, 1], vec![-1.0, 0.0, 1.0]).unwrap();
        assert_eq!(relief(&three).unwrap()[(0, 0)], Rgb([0, 128, 255]));
        let two = Tensor::from_vec([1, 2, 1, 1], vec![1.0, 0.0]).unwrap();
        assert_eq!(relief(&two).unwrap()[(0, 0)], Rgb([255; 3]));
    }

    #[test]
    fn one_pixel_does_not_leave_the_others_pale() {
        let mut numbers = vec![1.0; 1000];
        numbers[7] = 100.0;
        assert!(grays(&bright(&map(&numbers)).unwrap()).iter().all(|v| *v == 255));
        let mut numbers = vec![0.0; 1000];
        numbers[7] = 3.0;
        let drawn = grays(&bright(&map(&numbers)).unwrap());
        assert_eq!((drawn[7], drawn[8]), (255, 0));
    }

    #[test]
    fn maps_lie_over_their_photo_unmirrored() {
        let photo = RgbImage::from_pixel(8, 4, Rgb([200; 3]));
        let corner = Tensor::from_vec([1, 1, 2, 2], vec![0.0, 4.0, 0.0, -4.0]).unwrap();
        let image = heat_over(&photo, &corner).unwrap();
        assert_eq!(image.dimensions(), (8, 4));
        assert_eq!([image[(0, 0)], image[(0, 3)], image[(7, 3)]], [Rgb([110; 3]); 3], "the dark photo");
        let Rgb([r, _, b]) = image[(7, 0)];
        assert!(r > 200 && r > b + 50, "{:?}", image[(7, 0)]);
        let image = signed_over(&photo, &corner).unwrap();
        let [red, blue, none] = [image[(7, 0)], image[(7, 3)], image[(0, 0)]];
        assert!(
            red[0] > red[2] + 80 && blue[2] > blue[0] + 80 && none[0] == none[2],
            "{red:?} {blue:?} {none:?}"
        );
    }

    #[test]
    fn odd_numbers_and_shapes() {
        assert_eq!(bright(&map(&[f32::NAN, 1.0])).unwrap()[(0, 0)], NOT_A_NUMBER);
        assert_eq!(relief(&map(&[f32::NAN])).unwrap()[(0, 0)], NOT_A_NUMBER);
        let photo = RgbImage::from_pixel(2, 2, PAPER);
        assert_eq!(heat_over(&photo, &map(&[f32::NAN])).unwrap()[(0, 0)], NOT_A_NUMBER);
        assert_eq!(grays(&bright(&map(&[0.0; 3])).unwrap()), [0; 3]);
        assert_eq!(grays(&relief(&map(&[0.0; 3])).unwrap()), [128; 3]);
        for wrong in [Tensor::zeros([3]), Tensor::zeros([1, 2, 2, 2]), Tensor::zeros([1, 1, 0, 2])] {
            assert!(bright(&wrong).is_err() && signed(&wrong).is_err() && heat_over(&photo, &wrong).is_err());
        }
        assert!(heat_over(&RgbImage::new(0, 0), &map(&[1.0])).is_err());
        assert_eq!(
            signed(&Tensor::zeros([3])).unwrap_err().to_string(),
            "views: expected a map of shape [1, 1, h, w], not empty, got [3]"
        );
    }
}
