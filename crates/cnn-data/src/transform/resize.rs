//! Images of another size.

mod region;

use super::options::{MAX_SIDE, check_pixels, check_sides, setting};
use super::window::crop;
use super::{Interpolation, Transform};
use crate::{DataError, Picture};
use cnn_tensor::simd::Level;
use cnn_tensor::{Random, kernel};
use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x4};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fmt::Display;

/// The size that an image gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected the length of the shorter side, or [height, width]")]
pub enum Size {
    /// The length of the shorter side; the other one follows in proportion, rounded down.
    Short(usize),
    /// Height and width.
    Exact([usize; 2]),
}

/// Makes an image larger or smaller, as torchvision's `Resize` does with Pillow's images: results differ from Pillow's by
/// at most one grey level. (The nearest pixel may be another one where two are equally near: Pillow leaves that to rounding.)
///
/// ```
/// use cnn_data::transform::{Resize, Transform};
/// use cnn_data::Picture;
/// let resize: Resize = serde_json::from_str(r#"{"size": 256}"#).unwrap();
/// let picture = resize.apply(Picture::filled([3, 512, 1000], 7), &mut cnn_tensor::Random::new(0, &[]))?;
/// assert_eq!((picture.shape(), picture.data()[0]), ([3, 256, 500], 7));
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// The shorter side, or height and width.
    pub size: Size,
    /// The most that the longer side may become; the shorter one is then less than its `size`. Only where `size` is one
    /// number, and above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<usize>,
    /// How pixels come about; bilinear by default.
    #[serde(default = "bilinear")]
    pub interpolation: Interpolation,
}

fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}

impl Resize {
    /// To that size, bilinearly.
    pub fn new(size: Size) -> Self {
        Self { size, max_size: None, interpolation: Interpolation::Bilinear }
    }

    /// Height and width of the result for an image of that height and width.
    fn target(self, [h, w]: [usize; 2]) -> [usize; 2] {
        let side = match self.size {
            Size::Exact(sides) => return sides,
            Size::Short(side) => side,
        };
        let (short, long) = (h.min(w), h.max(w));
        // As torchvision computes it: in floating point, rounded towards 0.
        let scaled = |of: usize, to: usize, from: usize| ((of * to) as f64 / from as f64) as usize;
        let (mut new_short, mut new_long) = (side, scaled(side, long, short));
        if let Some(most) = self.max_size.filter(|&most| new_long > most) {
            (new_short, new_long) = (scaled(most, new_short, new_long).max(1), most);
        }
        if h <= w { [new_short, new_long] } else { [new_long, new_short] }
    }
}

/// The largest side of a resized image of which a part is kept. Each of its pixels is weighed, to find the largest weight.
const MAX_SIDE_OF_WHOLE: usize = 1 << 24;
/// Computing a part is worth its slower arithmetic where it is at most one part in so many of the whole.
const WORTH: usize = 8;

impl Resize {
    /// The part that `choose` takes of the resized image: given its height and width, it gives the upper left corner and the
    /// size. The same pixels as those of the whole image cut; but where the part is small, no others are computed.
    pub(super) fn cropped<'a>(
        self,
        picture: Picture<'a>,
        choose: impl FnOnce([usize; 2]) -> Result<([usize; 2], [usize; 2]), DataError>,
    ) -> Result<Picture<'a>, DataError> {
        self.validate()?;
        let [_, h, w] = picture.shape();
        let target = self.target([h, w]);
        if let Some(side) = target.iter().find(|&&side| side > MAX_SIDE_OF_WHOLE) {
            return Err(setting("a resized image", format!("at most {MAX_SIDE_OF_WHOLE} pixels long"), side));
        }
        let (corner, size) = choose(target)?;
        let [whole, kept] = [target, size].map(|[h, w]| h * w);
        if target == [h, w] || kept * WORTH > whole {
            let resized = self.apply(picture, &mut Random::new(0, &[]))?;
            return Ok(if size == target { resized } else { crop(&resized, corner, size) });
        }
        Ok(match self.interpolation {
            Interpolation::Nearest => nearest(&picture, ([0, 0], [h, w]), target, (corner, size)),
            other => region::region(&picture, target, corner, size, other),
        })
    }
}

impl Transform for Resize {
    fn validate(&self) -> Result<(), DataError> {
        let what = "the size to resize to";
        match self.size {
            Size::Short(side) => check_sides(what, &[side])?,
            Size::Exact(sides) => check_sides(what, &sides)?,
        }
        match (self.max_size, self.size) {
            (Some(most), Size::Short(side)) if side < most && most <= MAX_SIDE => Ok(()),
            (Some(most), Size::Short(side)) => {
                Err(setting("max_size", format!("above {side}, the size, and at most {MAX_SIDE}"), most))
            }
            (Some(most), Size::Exact(_)) => {
                Err(setting("max_size", "left out where size is [height, width]", most))
            }
            (None, _) => Ok(()),
        }
    }

    fn is_random(&self) -> bool {
        false
    }

    fn apply<'a>(&self, picture: Picture<'a>, _: &mut Random) -> Result<Picture<'a>, DataError> {
        self.validate()?;
        let [_, h, w] = picture.shape();
        let target = self.target([h, w]);
        check_pixels("a resized image", target)?;
        if target == [h, w] {
            return Ok(picture);
        }
        resize(&picture, ([0, 0], [h, w]), target, self.interpolation)
    }
}

/// Memory that resizing keeps from one image to the next.
#[derive(Default)]
struct Scratch {
    resizer: Resizer,
    /// The part to be resized and the result, where pixels are packed.
    source: Vec<u8>,
    target: Vec<u8>,
}

/// Scratch memory beyond this is given back after an image, so that one huge image is not paid for ever after.
const KEPT: usize = 16 << 20;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The part of an image whose upper left corner and size, `[h, w]`, are given, at another size. Pixels outside of the part
/// have no influence.
///
/// This is the only caller of the resizer, for pixels of two types. Its untyped call would compile it for all the others too,
/// which takes minutes.
pub(crate) fn resize(
    picture: &Picture<'_>,
    part: ([usize; 2], [usize; 2]),
    target: [usize; 2],
    interpolation: Interpolation,
) -> Result<Picture<'static>, DataError> {
    match interpolation {
        Interpolation::Nearest => Ok(nearest(picture, part, target, ([0, 0], target))),
        Interpolation::Bilinear => filtered(picture, part, target, FilterType::Bilinear),
        Interpolation::Area => filtered(picture, part, target, FilterType::Box),
        Interpolation::Bicubic => {
            // The cubic overshoots, and values above white or below black are cut off after each pass. So the order of the passes
            // shows; Pillow begins with the rows.
            let ((_, [h, _]), [_, w]) = (part, target);
            let rows = filtered(picture, part, [h, w], FilterType::CatmullRom)?;
            filtered(&rows, ([0, 0], [h, w]), target, FilterType::CatmullRom)
        }
    }
}

fn filtered(
    picture: &Picture<'_>,
    part: ([usize; 2], [usize; 2]),
    target: [usize; 2],
    filter: FilterType,
) -> Result<Picture<'static>, DataError> {
    // Of four channels none is opacity.
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
    let [c, h, w] = picture.shape();
    let mut resized = Picture::filled([c, target[0], target[1]], 0);
    let pixels = target[0] * target[1];
    SCRATCH.with_borrow_mut(|Scratch { resizer, source, target: packed }| {
        if c == 3 {
            let (_, size) = part;
            pack(picture, part, source);
            packed.resize(4 * pixels, 0);
            convolve::<U8x4>(resizer, &options, (source, size), ([0, 0], size), (packed, target))?;
            let (red, rest) = resized.data_mut().split_at_mut(pixels);
            let (green, blue) = rest.split_at_mut(pixels);
            unpack(Level::current(), packed, [red, green, blue]);
        } else {
            for (channel, plane) in resized.data_mut().chunks_exact_mut(pixels).enumerate() {
                let source = (picture.plane(channel), [h, w]);
                convolve::<U8>(resizer, &options, source, part, (plane, target))?;
            }
        }
        for buffer in [source, packed].into_iter().filter(|buffer| buffer.capacity() > KEPT) {
            *buffer = Vec::new();
        }
        if resizer.size_of_internal_buffers() > KEPT {
            resizer.reset_internal_buffers();
        }
        Ok(resized)
    })
}

/// A part of an image of pixels `P` at the size of another one; sizes are `[h, w]`.
fn convolve<P: PixelTrait>(
    resizer: &mut Resizer,
    options: &ResizeOptions,
    (source, [height, width]): (&[u8], [usize; 2]),
    ([top, left], [h, w]): ([usize; 2], [usize; 2]),
    (target, [target_h, target_w]): (&mut [u8], [usize; 2]),
) -> Result<(), DataError> {
    let fault = |fault: &dyn Display| setting("an image to resize", "one that can be resized", fault);
    let number = |extent: usize| u32::try_from(extent).map_err(|e| fault(&e));
    let source =
        TypedImageRef::<P>::from_buffer(number(width)?, number(height)?, source).map_err(|e| fault(&e))?;
    let part = TypedCroppedImage::new(source, number(left)?, number(top)?, number(w)?, number(h)?);
    let part = part.map_err(|e| fault(&e))?;
    let target = TypedImage::<P>::from_buffer(number(target_w)?, number(target_h)?, target);
    let mut target = target.map_err(|e| fault(&e))?;
    resizer.resize_typed(&part, &mut target, options).map_err(|e| fault(&e))
}

/// The pixels of a part of an image of three channels, in four bytes each, of which the last one is anything: resizing those
/// takes a third of the time that three planes take, and packing little.
fn pack(picture: &Picture<'_>, ([top, left], [h, w]): ([usize; 2], [usize; 2]), packed: &mut Vec<u8>) {
    packed.resize(4 * h * w, 0);
    let level = Level::current();
    for (y, row) in packed.chunks_exact_mut(4 * w).enumerate() {
        let start = (top + y) * picture.width() + left;
        pack_row(level, std::array::from_fn(|channel| &picture.plane(channel)[start..start + w]), row);
    }
}

kernel! {
    fn pack_row<S>(_s, planes: [&[u8]; 3], packed: &mut [u8]) {
        let [red, green, blue] = planes;
        let (pixels, _) = packed.as_chunks_mut::<4>();
        for (((pixel, &r), &g), &b) in pixels.iter_mut().zip(red).zip(green).zip(blue) {
            *pixel = [r, g, b, 0];
        }
    }
}

kernel! {
    fn unpack<S>(_s, packed: &[u8], planes: [&mut [u8]; 3]) {
        let [red, green, blue] = planes;
        let (pixels, _) = packed.as_chunks::<4>();
        for (((&pixel, r), g), b) in pixels.iter().zip(red).zip(green).zip(blue) {
            [*r, *g, *b, _] = pixel;
        }
    }
}

/// The pixel in which the centre of each new pixel lies; on the border of two, the right and the lower one. Of the new pixels,
/// those of a rectangle whose upper left corner and size are given.
fn nearest(
    picture: &Picture<'_>,
    ([top, left], [h, w]): ([usize; 2], [usize; 2]),
    [target_h, target_w]: [usize; 2],
    ([y0, x0], [kept_h, kept_w]): ([usize; 2], [usize; 2]),
) -> Picture<'static> {
    let [c, _, width] = picture.shape();
    // In whole numbers: a centre that is exactly on a border stays there.
    let under = |i: usize, from: usize, to: usize| (2 * i + 1) * from / (2 * to);
    let columns: Vec<usize> = (x0..x0 + kept_w).map(|x| left + under(x, w, target_w)).collect();
    let mut resized = Picture::filled([c, kept_h, kept_w], 0);
    for (channel, plane) in resized.data_mut().chunks_exact_mut(kept_h * kept_w).enumerate() {
        for (y, row) in (y0..).zip(plane.chunks_exact_mut(kept_w)) {
            let start = (top + under(y, h, target_h)) * width;
            let source = &picture.plane(channel)[start..start + width];
            row.iter_mut().zip(&columns).for_each(|(to, &x)| *to = source[x]);
        }
    }
    resized
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shorter_side_has_the_size_and_the_longer_one_a_bound() {
        let target =
            |size, max_size, sides| Resize { max_size, ..Resize::new(Size::Short(size)) }.target(sides);
        assert_eq!(target(256, None, [375, 500]), [256, 341]);
        assert_eq!(target(256, None, [500, 375]), [341, 256]);
        assert_eq!(target(256, None, [300, 300]), [256, 256]);
        assert_eq!(target(256, Some(300), [375, 500]), [225, 300]);
        assert_eq!(target(256, Some(341), [375, 500]), [256, 341]);
        assert_eq!(target(5, Some(6), [1, 1000]), [1, 6], "never nothing");
        assert_eq!(Resize::new(Size::Exact([3, 9])).target([500, 375]), [3, 9]);
    }

    /// The definition in f64: weights of a filter over the source, normalised, along one axis.
    fn weights(from: usize, to: usize, filter: Interpolation) -> Vec<Vec<f64>> {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let bell = |x: f64| {
            let d = x.abs();
            match filter {
                Interpolation::Bilinear => (1.0 - d).max(0.0),
                Interpolation::Bicubic if d < 1.0 => (1.5 * d - 2.5) * d * d + 1.0,
                Interpolation::Bicubic if d < 2.0 => ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0,
                Interpolation::Bicubic => 0.0,
                // The pixel at the border belongs to its left neighbour.
                _ => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            }
        };
        let row = |i: usize| -> Vec<f64> {
            let centre = (i as f64 + 0.5) * scale;
            let raw: Vec<f64> = (0..from).map(|k| bell((k as f64 + 0.5 - centre) / stretch)).collect();
            let sum: f64 = raw.iter().sum();
            raw.iter().map(|v| v / sum).collect()
        };
        (0..to).map(row).collect()
    }

    proptest! {
        #[test]
        fn pixels_are_weighted_sums(
            ([c, h, w], [to_h, to_w], seed) in ([1..5usize, 1..14usize, 1..14usize], [1..14usize, 1..14usize], any::<u64>()),
            filter in prop::sample::select(vec![Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Area]),
        ) {
            let mut random = Random::new(seed, &[]);
            let data: Vec<u8> = (0..c * h * w).map(|_| random.below(256) as u8).collect();
            let picture = Picture::new([c, h, w], data).unwrap();
            let resized = resize(&picture, ([0, 0], [h, w]), [to_h, to_w], filter).unwrap();
            let (down, across) = (weights(h, to_h, filter), weights(w, to_w, filter));
            // The two passes round to bytes and cut off in between.
            let byte = |v: f64| v.clamp(0.0, 255.0);
            for k in 0..c {
                for (x, across) in across.iter().enumerate() {
                    let row = |y: usize| -> f64 {
                        (0..w).map(|i| across[i] * f64::from(picture.plane(k)[y * w + i])).sum()
                    };
                    let column: Vec<f64> = (0..h).map(row).map(byte).collect();
                    for (y, down) in down.iter().enumerate() {
                        let want = byte(column.iter().zip(down).map(|(v, weight)| v * weight).sum());
                        let got = f64::from(resized.plane(k)[y * to_w + x]);
                        prop_assert!((got - want).abs() < 1.3, "{got} is not {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_nearest_pixel_is_the_one_under_the_centre() {
        let picture = Picture::new([1, 1, 4], vec![0, 1, 2, 3]).unwrap();
        let resized = |w| resize(&picture, ([0, 0], [1, 4]), [1, w], Interpolation::Nearest).unwrap();
        assert_eq!(resized(8).data(), [0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(resized(3).data(), [0, 2, 3]);
        assert_eq!(resized(2).data(), [1, 3], "on a border, the right one");
    }

    /// Pixels beside the part have no influence on it.
    #[test]
    fn a_part_is_an_image_of_its_own() {
        for c in 1..=4 {
            let mut picture = Picture::filled([c, 9, 9], 255);
            (0..c * 9)
                .filter(|y| (2..7).contains(&(y % 9)))
                .for_each(|y| picture.data_mut()[y * 9 + 3..][..3].fill(100));
            for interpolation in
                [Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Area, Interpolation::Nearest]
            {
                for target in [[2, 2], [11, 7], [5, 3], [5, 9], [8, 3]] {
                    let part = resize(&picture, ([2, 3], [5, 3]), target, interpolation).unwrap();
                    assert!(part.data().iter().all(|&v| v == 100), "{interpolation:?}");
                }
            }
        }
    }
}
