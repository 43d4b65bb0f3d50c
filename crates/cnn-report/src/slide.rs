//! A kernel that slides over an image, window by window.

use crate::PictureError;
use crate::animation::animation;
use crate::canvas::{Canvas, HEADING, LABEL, TITLE};
use crate::color::{FADED, GRID, INK, PAPER, VERMILION, gray};
use crate::grid::{Cell, Grid, number};
use crate::raster::{Range, Signed};
use cnn_tensor::{Tensor, parallel};
use image::{Rgb, RgbImage};

/// A convolution of one plane by one kernel.
#[derive(Clone, Debug)]
pub struct Slide {
    /// The image with its padding, `[1, 1, h, w]`.
    pub image: Tensor,
    /// The rows and columns of zeros on each side of it, which are part of `image`.
    pub padding: [usize; 2],
    /// `[1, 1, kh, kw]`.
    pub kernel: Tensor,
    /// Rows and columns from one window to the next.
    pub stride: [usize; 2],
    /// The result, `[1, 1, oh, ow]`.
    pub map: Tensor,
}

/// The sheet: image, kernel and feature map, and below them each window with its products and their sum, as many as the sheet
/// has room for.
///
/// A PNG 1600 pixels wide, and hardly more than 6000 pixels high.
///
/// # Errors
/// The shapes do not fit each other, the image is too wide for the sheet, or the encoder fails.
pub fn slide(title: &str, slide: &Slide) -> Result<Vec<u8>, PictureError> {
    let planes = Planes::of(slide)?;
    let [[h, w], [kh, kw], [oh, ow]] = [planes.image, planes.kernel, planes.map];
    // Windows lie as their sums do in the feature map, if the sheet is wide enough.
    let (columns, room) = ((w + kw) as u32, 1480 + GAP);
    let across = (room / (columns * SIDES.start() + SUM + GAP)).clamp(1, ow as u32);
    let side = ((room / across - GAP - SUM) / columns).clamp(*SIDES.start(), *SIDES.end());
    let panel = [columns * side + SUM, h.max(kh) as u32 * side + 96];
    let above = side.min(1280 / (columns + ow as u32));
    let top = 210 + h.max(kh).max(oh) as u32 * above + 84;
    let all = (oh * ow) as u32;
    let windows = all.min(across * (HIGHEST.saturating_sub(top) / panel[1]).max(1));
    let mut canvas = Canvas::new(1600, top + windows.div_ceil(across) * panel[1]);
    let shown = if windows < all { format!("; the first {windows} of {all} windows") } else { String::new() };
    canvas.text(60.0, 60.0, TITLE.fit(title, 1480.0), title);
    canvas.text(60.0, 112.0, LABEL.colored(FADED), &(planes.note() + &shown));

    let mut x = 60;
    for (name, columns) in [("image", w), ("kernel", kw), ("feature map", ow)] {
        let grid = Grid { at: [x, 210], columns, cell: [above; 2] };
        canvas.text(x as f32, 180.0, HEADING.sized(28.0), name);
        match name {
            "image" => planes.draw_image(&mut canvas, grid, None),
            "kernel" => planes.draw_kernel(&mut canvas, grid),
            _ => planes.draw_map(&mut canvas, grid, oh * ow),
        }
        x += (columns as u32 * above).max(HEADING.sized(28.0).width(name) as u32) + 60;
    }
    for i in 0..windows {
        let at = [60 + i % across * (panel[0] + GAP), top + i / across * panel[1]];
        let [row, column] = [i as usize / ow, i as usize % ow];
        let heading = format!("row {}, column {}", row + 1, column + 1);
        canvas.text(at[0] as f32, at[1] as f32 - 24.0, LABEL.colored(FADED).sized(23.0), &heading);
        let image = Grid { at, columns: w, cell: [side; 2] };
        planes.draw_image(&mut canvas, image, Some([row, column]));
        let products = Grid { at: [at[0] + w as u32 * side + 24, at[1]], columns: kw, ..image };
        planes.draw_products(&mut canvas, products, [row, column]);
        let sum = format!("= {}", number(slide.map.data()[i as usize]));
        let x = (products.at[0] + kw as u32 * side + 10) as f32;
        let y = (at[1] + kh as u32 * side / 2) as f32;
        canvas.text(x, y, HEADING.fit(&sum, 110.0), &sum);
    }
    canvas.png()
}

/// The animation: one window after the other, with its products, their sum, and the feature map as far as it is known. An
/// animated PNG of 1600 x 760 pixels, which browsers play again and again.
///
/// # Errors
/// The shapes do not fit each other, or the encoder fails.
pub fn slide_animation(title: &str, slide: &Slide) -> Result<Vec<u8>, PictureError> {
    let planes = Planes::of(slide)?;
    let windows = slide.map.data().len();
    let frame = |i: usize| -> (RgbImage, u16) {
        (planes.frame(title, i), if i + 1 == windows { 3000 } else { 1200 })
    };
    let frames = parallel::map(windows, frame);
    animation(&frames)
}

/// The least and the most side of a square of a window on the sheet.
const SIDES: std::ops::RangeInclusive<u32> = 40..=56;
/// The height from which on windows are left out.
const HIGHEST: u32 = 6000;
/// The room for the sum of a window.
const SUM: u32 = 150;
/// Pixels between two windows on it.
const GAP: u32 = 30;

/// A slide whose shapes have been checked.
struct Planes<'a> {
    slide: &'a Slide,
    image: [usize; 2],
    kernel: [usize; 2],
    map: [usize; 2],
    /// The scales of the numbers.
    pixels: Range,
    weights: Signed,
    sums: Signed,
}

impl<'a> Planes<'a> {
    fn of(slide: &'a Slide) -> Result<Self, PictureError> {
        let plane = |tensor: &Tensor| match tensor.shape().nchw() {
            Some([1, 1, h, w]) if h * w > 0 => Some([h, w]),
            _ => None,
        };
        let shapes = [&slide.image, &slide.kernel, &slide.map].map(plane);
        let [Some(image), Some(kernel), Some(map)] = shapes else { return Err(slide.misfit()) };
        let windows = |i: usize| Some(image[i].checked_sub(kernel[i])? / slide.stride[i].max(1) + 1);
        let fits = [0, 1].map(windows) == map.map(Some) && image[1] + kernel[1] <= 32;
        if !fits || slide.stride.contains(&0) {
            return Err(slide.misfit());
        }
        let [pixels, weights, sums] = [&slide.image, &slide.kernel, &slide.map].map(Tensor::data);
        let (pixels, weights, sums) = (Range::of(pixels), Signed::of(weights), Signed::of(sums));
        Ok(Self { slide, image, kernel, map, pixels, weights, sums })
    }

    /// The sizes, in words.
    fn note(&self) -> String {
        let Slide { stride, padding, .. } = self.slide;
        let size = |[h, w]: [usize; 2]| format!("{h} x {w}");
        let padded = |i: usize| self.image[i] - 2 * padding[i].min(self.image[i] / 2);
        let both = |[down, across]: [usize; 2]| match down == across {
            true => down.to_string(),
            false => format!("{down} down, {across} across"),
        };
        format!(
            "image {}, kernel {}, stride {}, padding {}: feature map {}",
            size([padded(0), padded(1)]),
            size(self.kernel),
            both(*stride),
            both(*padding),
            size(self.map)
        )
    }

    /// One picture of the animation: the window of number `i`.
    fn frame(&self, title: &str, i: usize) -> RgbImage {
        const TOP: u32 = 220;
        let mut canvas = Canvas::new(1600, 760);
        canvas.text(60.0, 60.0, TITLE.fit(title, 1480.0), title);
        canvas.text(60.0, 112.0, LABEL.colored(FADED), &self.note());
        let [[h, w], [kh, kw], [oh, ow]] = [self.image, self.kernel, self.map];
        let (columns, rows) = ((w + 2 * kw + ow) as u32, h.max(kh).max(oh) as u32);
        let side = (1180 / columns).min(400 / rows).min(76);
        let window = [i / ow, i % ow];
        let mut x = 60;
        for (name, columns) in [("image", w), ("kernel", kw), ("products", kw), ("feature map", ow)] {
            let grid = Grid { at: [x, TOP], columns, cell: [side; 2] };
            canvas.text(x as f32, TOP as f32 - 32.0, HEADING.sized(28.0), name);
            match name {
                "image" => self.draw_image(&mut canvas, grid, Some(window)),
                "kernel" => self.draw_kernel(&mut canvas, grid),
                "products" => self.draw_products(&mut canvas, grid, window),
                _ => self.draw_map(&mut canvas, grid, i + 1),
            }
            x += (columns as u32 * side).max(HEADING.sized(28.0).width(name) as u32) + 66;
        }
        let [row, column] = window;
        let place = format!("row {}, column {}", row + 1, column + 1);
        canvas.text(60.0, 672.0, LABEL.colored(FADED), &place);
        let sum = self.sum(i);
        canvas.text(60.0, 714.0, HEADING.fit(&sum, 1480.0), &sum);
        canvas.picture()
    }

    /// The sum of a window in full: `1 + 0 + ... = 4`.
    fn sum(&self, i: usize) -> String {
        let window = [i / self.map[1], i % self.map[1]];
        let products: Vec<String> = self.products(window).map(number).collect();
        format!("{} = {}", products.join(" + "), number(self.slide.map.data()[i]))
    }

    fn products(&self, window: [usize; 2]) -> impl Iterator<Item = f32> {
        let [kh, kw] = self.kernel;
        let weights = self.slide.kernel.data();
        let [top, left] = self.corner(window);
        let pixels = self.slide.image.data();
        let taps = (0..kh).flat_map(move |row| (0..kw).map(move |column| [row, column]));
        taps.map(move |[row, column]| {
            weights[row * kw + column] * pixels[(top + row) * self.image[1] + left + column]
        })
    }

    /// The first row and column of a window.
    fn corner(&self, [row, column]: [usize; 2]) -> [usize; 2] {
        [row * self.slide.stride[0], column * self.slide.stride[1]]
    }

    /// The image; with a window, its frame and the kernel's numbers in it.
    fn draw_image(&self, canvas: &mut Canvas, grid: Grid, window: Option<[usize; 2]>) {
        let [[h, w], [kh, kw]] = [self.image, self.kernel];
        let corner = window.map(|window| self.corner(window));
        let [above, before] = self.slide.padding;
        let cells = self.slide.image.data().iter().enumerate().map(|(i, &pixel)| {
            let [row, column] = [i / w, i % w];
            let padding = row < above || row + above >= h || column < before || column + before >= w;
            let color = if padding { PADDING } else { gray(0.42 + 0.58 * self.pixels.unit(pixel)) };
            let tap = corner.and_then(|[top, left]| {
                let (row, column) = (row.checked_sub(top)?, column.checked_sub(left)?);
                (row < kh && column < kw).then(|| self.slide.kernel.data()[row * kw + column])
            });
            let below = tap.map_or(String::new(), |weight| format!("\u{d7}{}", number(weight)));
            Cell { below, ..Cell::new(color, number(pixel)) }
        });
        grid.draw(canvas, cells);
        grid.frame(canvas, 0..h, 0..w, GRID, 1);
        if let Some([top, left]) = corner {
            grid.frame(canvas, top..top + kh, left..left + kw, VERMILION, 4);
        }
    }

    fn draw_kernel(&self, canvas: &mut Canvas, grid: Grid) {
        let cell = |&weight: &f32| Cell::new(self.weights.color(weight), number(weight));
        grid.draw(canvas, self.slide.kernel.data().iter().map(cell));
        grid.frame(canvas, 0..self.kernel[0], 0..self.kernel[1], GRID, 1);
    }

    fn draw_products(&self, canvas: &mut Canvas, grid: Grid, window: [usize; 2]) {
        grid.draw(canvas, self.products(window).map(|product| Cell::new(PAPER, number(product))));
        grid.frame(canvas, 0..self.kernel[0], 0..self.kernel[1], VERMILION, 4);
    }

    /// The first `known` numbers of the feature map, the last of them framed unless all are known from the start.
    fn draw_map(&self, canvas: &mut Canvas, grid: Grid, known: usize) {
        let [oh, ow] = self.map;
        let cells = self.slide.map.data().iter().enumerate().map(|(i, &sum)| match i < known {
            true => Cell::new(self.sums.color(sum), number(sum)),
            false => Cell::new(UNKNOWN, ""),
        });
        grid.draw(canvas, cells);
        grid.frame(canvas, 0..oh, 0..ow, INK, 1);
    }
}

/// Zeros around the image.
const PADDING: Rgb<u8> = Rgb([226, 233, 245]);
/// Sums that are still to come.
const UNKNOWN: Rgb<u8> = Rgb([246, 247, 249]);

impl Slide {
    fn misfit(&self) -> PictureError {
        PictureError::Data {
            picture: "slide",
            expected: "an image, a kernel and a feature map of shape [1, 1, h, w] that fit each other and the sheet's 32 columns"
                .into(),
            got: format!(
                "{}, {} and {} with stride {:?}",
                self.image.shape(),
                self.kernel.shape(),
                self.map.shape(),
                self.stride
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{count, decode};

    fn tensor(rows: usize, columns: usize, numbers: &[f32]) -> Tensor {
        Tensor::from_slice([1, 1, rows, columns], numbers).unwrap()
    }

    fn example() -> Slide {
        Slide {
            image: tensor(2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            padding: [0, 0],
            kernel: tensor(2, 2, &[1.0, 0.0, 0.0, -1.0]),
            stride: [1, 1],
            map: tensor(1, 2, &[-4.0, -4.0]),
        }
    }

    #[test]
    fn sums_are_written_in_full() {
        let slide = example();
        let planes = Planes::of(&slide).unwrap();
        assert_eq!(planes.sum(1), "2 + 0 + 0 + \u{2212}6 = \u{2212}4");
        assert_eq!(planes.note(), "image 2 x 3, kernel 2 x 2, stride 1, padding 0: feature map 1 x 2");
    }

    #[test]
    fn the_sheet_has_a_framed_window_for_each_number_of_the_map() {
        let picture = decode(&slide("Sliding", &example()).unwrap());
        let frame = |rows: u32, columns: u32| {
            let [w, h] = [columns * 56 - 3 + 8, rows * 56 - 3 + 8];
            (2 * 4 * (w + h) - 4 * 16) as usize
        };
        // The window and its products; small numbers in the windows have the same colour.
        let framed = count(&picture, VERMILION);
        let expected = 2 * 2 * frame(2, 2);
        assert!((expected..expected + 2 * 4 * 250).contains(&framed), "{framed}, {expected}");
        assert_eq!(picture.width(), 1600);
    }

    #[test]
    fn many_windows_are_cut_to_what_fits() {
        let many = Slide {
            image: Tensor::zeros([1, 1, 16, 16]),
            kernel: Tensor::zeros([1, 1, 7, 7]),
            map: Tensor::zeros([1, 1, 10, 10]),
            ..example()
        };
        let picture = decode(&slide("Many", &many).unwrap());
        assert!((5000..=6000).contains(&picture.height()), "{}", picture.height());
    }

    #[test]
    fn odd_numbers_and_paddings_have_pictures_and_misfits_are_errors() {
        let odd = Slide {
            image: Tensor::full([1, 1, 3, 3], f32::NAN),
            padding: [1, 1],
            map: Tensor::full([1, 1, 2, 2], f32::INFINITY),
            kernel: Tensor::full([1, 1, 2, 2], 1e30),
            ..example()
        };
        assert!(slide("Odd", &odd).is_ok() && slide_animation("Odd", &odd).is_ok());
        for wrong in [
            Slide { map: Tensor::zeros([1, 1, 1, 1]), ..example() },
            Slide { stride: [0, 1], ..example() },
            Slide { image: Tensor::zeros([1, 1, 1, 1]), ..example() },
            Slide { kernel: Tensor::zeros([2, 2]), ..example() },
        ] {
            assert!(slide("", &wrong).unwrap_err().to_string().starts_with("slide: expected an image"));
            assert!(slide_animation("", &wrong).is_err());
        }
    }
}
