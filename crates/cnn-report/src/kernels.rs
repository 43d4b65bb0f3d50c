//! An image under hand-made convolution kernels.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, Rect, TITLE};
use crate::color::{FADED, gray};
use crate::grid::{Cell, GAP, Grid};
use crate::raster::{Range, Signed, plane};
use cnn_tensor::Tensor;

/// An image after a convolution, and the kernel.
#[derive(Clone, Debug)]
pub struct Filtered {
    /// The kernel's name.
    pub name: String,
    /// `[1, 1, kh, kw]`.
    pub kernel: Tensor,
    /// The result, `[1, 1, h, w]`. In the original, 0 is black and 1 is white.
    pub image: Tensor,
    /// The map from its numbers to grays.
    pub tone: Tone,
}

/// A map from numbers to grays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// 0 is black and 1 white, and numbers outside are clamped: for kernels whose weights sum to 1.
    Clamp,
    /// 0 is black, 1 and -1 are white: for edges of either direction.
    Magnitude,
    /// -1 is black, 0 mid-gray and 1 white: for edges with their direction.
    MidGray,
    /// The smallest number is black and the largest white: for kernels of any sum.
    Range,
}

impl Tone {
    /// The tone in which a kernel's result is seen best, by the sum of its weights.
    pub fn of(weights: &[f32]) -> Self {
        let sum: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
        match sum {
            sum if (sum - 1.0).abs() < 1e-3 => Self::Clamp,
            sum if sum.abs() < 1e-3 => Self::MidGray,
            _ => Self::Range,
        }
    }

    /// From 0, black, to 1, white; `range` is that of all numbers of the image.
    fn unit(self, range: Range, number: f32) -> f32 {
        match self {
            Self::Clamp => number,
            Self::Magnitude => number.abs(),
            Self::MidGray => 0.5 + 0.5 * number,
            Self::Range => range.unit(number),
        }
    }

    fn note(self, range: Range) -> String {
        match self {
            Self::Clamp => "0 black, 1 white".into(),
            Self::Magnitude => "|x|: 0 black, \u{b1}1 white".into(),
            Self::MidGray => "\u{2212}1 black, 0 gray, 1 white".into(),
            Self::Range => format!("{:.2} black, {:.2} white", range.min, range.max).replace('-', "\u{2212}"),
        }
    }
}

/// The largest kernel whose numbers are written out.
const WRITTEN: usize = 5;

/// The images side by side, each under its name and above its kernel's numbers.
///
/// A PNG 1600 pixels wide, of four images a row: 1140 pixels high for two rows of 3 x 3 kernels.
///
/// # Errors
/// A kernel or an image has another shape or no elements, or the encoder fails.
pub fn kernels(title: &str, results: &[Filtered]) -> Result<Vec<u8>, PictureError> {
    const COLUMNS: u32 = 4;
    const SIZE: [u32; 2] = [320, 240];
    const STEP: u32 = SIZE[0] + 66;

    let results = results.iter().map(Planes::of).collect::<Result<Vec<_>, _>>()?;
    let tallest = results.iter().map(Planes::written_rows).max().unwrap_or(0) as u32;
    let step = SIZE[1] + 150 + tallest * CELL[1];
    let rows = (results.len() as u32).div_ceil(COLUMNS);
    let mut canvas = Canvas::new(1600, 132 + rows * step);
    canvas.text(60.0, 60.0, TITLE, title);
    for (i, result) in (0..).zip(&results) {
        let (x, y) = (60 + i % COLUMNS * STEP, 160 + i / COLUMNS * step);
        let Planes { filtered: Filtered { name, tone, .. }, .. } = result;
        canvas.text(x as f32, y as f32 - 26.0, HEADING.fit(name, SIZE[0] as f32), name);
        canvas.image(Rect { x, y, w: SIZE[0], h: SIZE[1] }, &result.picture());
        result.write_kernel(&mut canvas, x, y + SIZE[1] + 20);
        let below = y + SIZE[1] + 46 + tallest * CELL[1];
        let note = tone.note(result.range());
        canvas.text(x as f32, below as f32, LABEL.sized(24.0).colored(FADED), &note);
    }
    canvas.png()
}

/// The box of one number of a kernel, in pixels; narrower where the divisor would have no room.
const CELL: [u32; 2] = [64, 38];
/// The most that a kernel takes with its divisor, in pixels.
const WIDTH: u32 = 360;

/// A result whose shapes have been checked.
struct Planes<'a> {
    filtered: &'a Filtered,
    kernel: [usize; 2],
    image: [usize; 2],
}

impl<'a> Planes<'a> {
    fn of(filtered: &'a Filtered) -> Result<Self, PictureError> {
        let plane_of = |what: &str, tensor: &Tensor| match tensor.shape().nchw() {
            Some([1, 1, h, w]) if h * w > 0 => Ok([h, w]),
            _ => Err(PictureError::Data {
                picture: "kernels",
                expected: format!("{what} of shape [1, 1, h, w], not empty"),
                got: tensor.shape().to_string(),
            }),
        };
        Ok(Self {
            filtered,
            kernel: plane_of("a kernel", &filtered.kernel)?,
            image: plane_of("an image", &filtered.image)?,
        })
    }

    fn range(&self) -> Range {
        Range::of(self.filtered.image.data())
    }

    fn picture(&self) -> image::RgbImage {
        let (tone, range) = (self.filtered.tone, self.range());
        plane(self.filtered.image.data(), self.image, |number| gray(tone.unit(range, number)))
    }

    fn written_rows(&self) -> usize {
        if self.kernel.iter().all(|&extent| extent <= WRITTEN) { self.kernel[0] } else { 1 }
    }

    fn write_kernel(&self, canvas: &mut Canvas, x: u32, y: u32) {
        let [kh, kw] = self.kernel;
        if kh > WRITTEN || kw > WRITTEN {
            canvas.text(x as f32, y as f32 + 19.0, LABEL.colored(FADED), &format!("{kh} x {kw} numbers"));
            return;
        }
        let numbers = self.filtered.kernel.data();
        let scale = Signed::of(numbers);
        let (texts, divisor) = write_numbers(numbers);
        let (divided, style) = (format!("/ {divisor}"), LABEL.sized(32.0));
        let taken = if divisor > 1 { style.width(&divided).ceil() as u32 + 12 } else { 0 };
        let cell = [CELL[0].min((WIDTH - taken) / kw as u32), CELL[1]];
        let cells =
            texts.into_iter().zip(numbers).map(|(text, &weight)| Cell::new(scale.color(weight), text));
        Grid { at: [x, y], columns: kw, cell }.draw(canvas, cells);
        if divisor > 1 {
            let (x, y) = (x + kw as u32 * cell[0] + 12, y as f32 + (kh as u32 * CELL[1] - GAP) as f32 / 2.0);
            canvas.text(x as f32, y, style, &divided);
        }
    }
}

/// The numbers as whole ones over a common divisor of at most 1024, or else to two places.
fn write_numbers(numbers: &[f32]) -> (Vec<String>, u32) {
    let whole = |divisor: u32| {
        numbers.iter().all(|number| {
            let multiple = number * divisor as f32;
            (multiple - multiple.round()).abs() < 1e-4 && multiple.abs() < 1e4
        })
    };
    let write = |number: f32, places: usize| {
        // The sum with zero turns a negative zero into a positive one.
        format!("{:.places$}", number + 0.0).replace('-', "\u{2212}")
    };
    match (1..=1024).find(|&divisor| whole(divisor)) {
        Some(divisor) => {
            (numbers.iter().map(|number| write((number * divisor as f32).round(), 0)).collect(), divisor)
        }
        None => (numbers.iter().map(|&number| write(number, 2)).collect(), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::NOT_A_NUMBER;
    use crate::testing::{count, decode};
    use image::Rgb;

    fn filtered(kernel: Tensor, image: Tensor, tone: Tone) -> Filtered {
        Filtered { name: "kernel".into(), kernel, image, tone }
    }

    #[test]
    fn images_keep_their_orientation_and_obey_their_tone() {
        // 4 x 3 numbers, so that the image fills its box: 1 at the top right, -1 at the bottom left.
        let mut image = Tensor::zeros([1, 1, 3, 4]);
        image.data_mut()[3] = 1.0;
        image.data_mut()[8] = -1.0;
        let grays = |tone| {
            let result = filtered(Tensor::full([1, 1, 3, 3], 1.0), image.clone(), tone);
            let picture = decode(&kernels("Kernels", &[result]).unwrap());
            assert_eq!(picture.dimensions(), (1600, 132 + 504));
            [(300, 40), (40, 200), (40, 40)].map(|(x, y)| picture[(60 + x, 160 + y)].0[0])
        };
        assert_eq!(grays(Tone::Clamp), [255, 0, 0]);
        assert_eq!(grays(Tone::Magnitude), [255, 255, 0]);
        assert_eq!(grays(Tone::MidGray), [255, 0, 128]);
        assert_eq!(grays(Tone::Range), [255, 0, 128]);
    }

    #[test]
    fn the_sum_of_the_weights_decides_the_tone() {
        let tones = [&[0.25; 4][..], &[1.0, -2.0, 1.0], &[1.0, 1.0], &[f32::NAN]].map(Tone::of);
        assert_eq!(tones, [Tone::Clamp, Tone::MidGray, Tone::Range, Tone::Range]);
    }

    #[test]
    fn numbers_are_written_as_in_the_books() {
        let (texts, divisor) = write_numbers(&[1.0 / 16.0, 2.0 / 16.0, 4.0 / 16.0]);
        assert_eq!((texts.join(" ").as_str(), divisor), ("1 2 4", 16));
        let (texts, divisor) = write_numbers(&[-1.0, 0.0, 8.0, -0.0]);
        assert_eq!((texts.join(" ").as_str(), divisor), ("\u{2212}1 0 8 0", 1));
        let (texts, divisor) = write_numbers(&[std::f32::consts::FRAC_1_SQRT_2, f32::NAN]);
        assert_eq!((texts.join(" ").as_str(), divisor), ("0.71 NaN", 1));
    }

    #[test]
    fn odd_kernels_and_images_give_a_picture() {
        assert_eq!(decode(&kernels("No kernels", &[]).unwrap()).dimensions(), (1600, 132));
        let results = [
            filtered(Tensor::full([1, 1, 1, 1], f32::NAN), Tensor::full([1, 1, 3, 4], f32::NAN), Tone::Clamp),
            filtered(Tensor::zeros([1, 1, 7, 7]), Tensor::zeros([1, 1, 900, 12]), Tone::MidGray),
        ];
        let picture = decode(&kernels("Odd", &results).unwrap());
        assert!(count(&picture, NOT_A_NUMBER) >= 320 * 240);
        assert_eq!(picture[(60 + 386 + 160, 160 + 120)], Rgb([128; 3]));
    }

    #[test]
    fn shapes_must_be_planes() {
        let ok = Tensor::zeros([1, 1, 3, 3]);
        let error =
            kernels("Kernels", &[filtered(Tensor::zeros([3, 3]), ok.clone(), Tone::Clamp)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "kernels: expected a kernel of shape [1, 1, h, w], not empty, got [3, 3]"
        );
        assert!(kernels("Kernels", &[filtered(ok, Tensor::zeros([1, 1, 0, 3]), Tone::Clamp)]).is_err());
    }
}
