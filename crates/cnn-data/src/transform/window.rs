//! A part of the plane in which an image lies: crops and paddings.

use super::options::setting;
use crate::{DataError, Picture};
use serde::{Deserialize, Serialize};

/// The pixels outside of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaddingMode {
    /// One shade, `fill`.
    #[default]
    Constant,
    /// The image mirrored about its outermost pixels, which are not repeated.
    Reflect,
    /// The outermost pixels, repeated.
    Edge,
}

/// The margins of an image and their content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Margins {
    /// Left, top, right, bottom.
    pub padding: [usize; 4],
    pub mode: PaddingMode,
    pub fill: u8,
}

impl Margins {
    /// Height and width of an image with its margins.
    ///
    /// # Errors
    /// There is nothing to reflect that far out.
    pub fn around(self, picture: &Picture<'_>) -> Result<[usize; 2], DataError> {
        let [_, h, w] = picture.shape();
        let [left, top, right, bottom] = self.padding;
        if self.mode == PaddingMode::Reflect && (left.max(right) >= w || top.max(bottom) >= h) {
            return Err(setting(
                "the padding by reflection",
                format!("less than the image, which is {h}x{w}"),
                format!("{:?}", self.padding),
            ));
        }
        Ok([h + top + bottom, w + left + right])
    }

    /// The part of size `[h, w]` of the image with its margins whose upper left corner is at row `top` and column `left`
    /// of the margins' own upper left corner. It must lie within the margins.
    pub fn crop(
        self,
        picture: &Picture<'_>,
        [top, left]: [usize; 2],
        [h, w]: [usize; 2],
    ) -> Picture<'static> {
        let [c, height, width] = picture.shape();
        // The place of output pixel (0, 0) in the image, less the margin: below 0 where it lies in the margin.
        let [pad_left, pad_top, ..] = self.padding;
        let source = |at: usize, margin: usize, extent: usize| -> Option<usize> {
            let inside = at.checked_sub(margin).filter(|&at| at < extent);
            inside.or_else(|| match self.mode {
                PaddingMode::Constant => None,
                PaddingMode::Edge => Some(at.saturating_sub(margin).min(extent - 1)),
                PaddingMode::Reflect if at < margin => Some(margin - at),
                PaddingMode::Reflect => Some(2 * (extent - 1) - (at - margin)),
            })
        };
        let mut window =
            Picture::filled([c, h, w], if self.mode == PaddingMode::Constant { self.fill } else { 0 });
        // Output columns that lie inside of the image.
        let start = pad_left.saturating_sub(left).min(w);
        let end = (pad_left + width).saturating_sub(left).clamp(start, w);
        let from = (left + start).saturating_sub(pad_left).min(width);
        for (channel, plane) in window.data_mut().chunks_exact_mut(h * w).enumerate() {
            let image = picture.plane(channel);
            for (y, row) in plane.chunks_exact_mut(w).enumerate() {
                let Some(y) = source(top + y, pad_top, height) else { continue };
                let image = &image[y * width..(y + 1) * width];
                row[start..end].copy_from_slice(&image[from..from + (end - start)]);
                if self.mode != PaddingMode::Constant {
                    for x in (0..start).chain(end..w) {
                        row[x] = source(left + x, pad_left, width).map_or(self.fill, |x| image[x]);
                    }
                }
            }
        }
        window
    }
}

/// The part of an image of size `[h, w]` whose upper left corner is at row `top` and column `left`; it must lie inside.
pub(super) fn crop(picture: &Picture<'_>, corner: [usize; 2], size: [usize; 2]) -> Picture<'static> {
    let margins = Margins { padding: [0; 4], mode: PaddingMode::Edge, fill: 0 };
    margins.crop(picture, corner, size)
}

/// Checks that an image, or one with its margins, is at least as large as the crop.
pub(super) fn check_crop(
    what: &'static str,
    [h, w]: [usize; 2],
    [height, width]: [usize; 2],
) -> Result<(), DataError> {
    if h <= height && w <= width {
        return Ok(());
    }
    Err(setting(what, format!("at most {height}x{width}, the size of the image"), format!("{h}x{w}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A pixel of the plane around an image, by the definitions alone: walk outwards from the image, one pixel at a time.
    fn seen(row: &[u8], mut at: isize, mode: PaddingMode, fill: u8) -> u8 {
        let last = row.len() as isize - 1;
        while !(0..=last).contains(&at) {
            match mode {
                PaddingMode::Constant => return fill,
                PaddingMode::Edge => at = at.clamp(0, last),
                PaddingMode::Reflect if at < 0 => at = -at,
                PaddingMode::Reflect => at = 2 * last - at,
            }
        }
        row[at as usize]
    }

    proptest! {
        /// First all margins, first the rows and then the columns, then the crop, against both at once.
        #[test]
        fn a_crop_of_an_image_with_margins_is_what_it_says(
            ([c, h, w], seed) in ([1..4usize, 1..7usize, 1..7usize], any::<u64>()),
            mode in prop::sample::select(vec![PaddingMode::Constant, PaddingMode::Edge, PaddingMode::Reflect]),
            (padding, corner, size) in (prop::array::uniform4(0..6usize), [0..20usize, 0..20usize], [1..20usize, 1..20usize]),
        ) {
            let mut random = cnn_tensor::Random::new(seed, &[]);
            let data: Vec<u8> = (0..c * h * w).map(|_| random.below(256) as u8).collect();
            let picture = Picture::new([c, h, w], data).unwrap();
            let margins = Margins { padding, mode, fill: 9 };
            let Ok([height, width]) = margins.around(&picture) else {
                let [left, top, right, bottom] = padding;
                prop_assert!(mode == PaddingMode::Reflect && (left >= w || right >= w || top >= h || bottom >= h));
                return Ok(());
            };
            let [top, left] = [corner[0] % height, corner[1] % width];
            let [crop_h, crop_w] = [size[0].min(height - top), size[1].min(width - left)];
            let crop = margins.crop(&picture, [top, left], [crop_h, crop_w]);
            for k in 0..c {
                for y in 0..crop_h {
                    for x in 0..crop_w {
                        let row = (top + y) as isize - padding[1] as isize;
                        let column = (left + x) as isize - padding[0] as isize;
                        let from_rows: Vec<u8> = picture.plane(k).chunks_exact(w).map(|r| seen(r, column, mode, 9)).collect();
                        prop_assert_eq!(crop.plane(k)[y * crop_w + x], seen(&from_rows, row, mode, 9));
                    }
                }
            }
        }
    }
}
