//! A white sheet with rectangles, images, text and charts.
//!
//! Everything is drawn at twice the size and averaged down at the end, which smooths the chart's lines. Positions
//! and sizes are in pixels of the finished picture; x runs to the right and y downwards.

use crate::PictureError;
use crate::color::{GRID, INK, PAPER, mix};
use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use image::codecs::png::{CompressionType, FilterType as PngFilter, PngEncoder};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use plotters::coord::Shift;
use plotters::prelude::{BitMapBackend, DrawingArea, IntoDrawingArea};
use std::sync::LazyLock;

/// Pixels drawn along each axis for one pixel of the picture.
pub const OVERSAMPLING: u32 = 2;

/// The sheet.
pub struct Canvas {
    pixels: RgbImage,
}

/// A rectangle: left, top, width, height.
#[derive(Clone, Copy, Debug)]
pub struct Rect {
    pub x: u32,
    pub y: u32,
    pub w: u32,
    pub h: u32,
}

/// The size, colour, weight and alignment of text.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Distance from the top of the tallest letter to the bottom of the deepest, in pixels.
    pub size: f32,
    pub color: Rgb<u8>,
    /// How far the pen is smeared to the right, in pixels: the font comes in one weight, a light one.
    pub weight: f32,
    /// The place of the text's anchor along its width: 0 is the left end, 1 the right.
    pub align: f32,
}

/// A picture's heading.
pub const TITLE: Style = Style { size: 44.0, color: INK, weight: 1.0, align: 0.0 };
/// The heading of a part.
pub const HEADING: Style = Style { size: 32.0, weight: 0.8, ..TITLE };
/// Names, numbers and notes.
pub const LABEL: Style = Style { size: 27.0, weight: 0.5, ..TITLE };

impl Style {
    pub const fn sized(self, size: f32) -> Self {
        Self { size, ..self }
    }

    pub const fn colored(self, color: Rgb<u8>) -> Self {
        Self { color, ..self }
    }

    /// The text's middle is at the given x.
    pub const fn centred(self) -> Self {
        Self { align: 0.5, ..self }
    }

    /// The text's right end is at the given x.
    pub const fn right(self) -> Self {
        Self { align: 1.0, ..self }
    }

    /// The same style, or a smaller one in which `text` is at most `width` pixels wide.
    pub fn fit(self, text: &str, width: f32) -> Self {
        let natural = self.width(text);
        if natural > width { self.sized(self.size * width / natural) } else { self }
    }

    /// The width of `text`, in pixels.
    pub fn width(self, text: &str) -> f32 {
        self.typeset(text).1 / OVERSAMPLING as f32
    }

    /// The glyphs of `text`, from the origin, and the place of the next one, in pixels of the canvas.
    fn typeset(self, text: &str) -> (Vec<Glyph>, f32) {
        let font = FONT.as_scaled(PxScale::from(self.size * OVERSAMPLING as f32));
        let (mut glyphs, mut x) = (Vec::<Glyph>::new(), 0.0);
        for id in text.chars().map(|c| font.glyph_id(c)) {
            x += glyphs.last().map_or(0.0, |previous| font.kern(previous.id, id));
            glyphs.push(id.with_scale_and_position(font.scale(), point(x, 0.0)));
            x += font.h_advance(id);
        }
        (glyphs, x)
    }
}

/// Ubuntu Light (Ubuntu Font Licence 1.0). Text is set here and not by the plotting library, which packs letters
/// without their side bearings: "said9" for "said 9".
static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT).expect("the font is part of the program")
});

/// The height of the font's capitals and digits, as a part of its size.
const CAP_HEIGHT: f32 = 0.62;

impl Canvas {
    /// A white sheet.
    pub fn new(width: u32, height: u32) -> Self {
        Self { pixels: RgbImage::from_pixel(width * OVERSAMPLING, height * OVERSAMPLING, PAPER) }
    }

    /// Fills a rectangle, as far as it lies on the sheet.
    pub fn fill(&mut self, Rect { x, y, w, h }: Rect, color: Rgb<u8>) {
        let ends = |start: u32, length: u32, limit: u32| {
            (start * OVERSAMPLING).min(limit)..((start + length) * OVERSAMPLING).min(limit)
        };
        for y in ends(y, h, self.pixels.height()) {
            for x in ends(x, w, self.pixels.width()) {
                self.pixels.put_pixel(x, y, color);
            }
        }
    }

    /// Draws `image` inside a thin frame, undistorted, as large as the rectangle allows and in its middle. Small images
    /// keep their square pixels; photos are scaled smoothly. An image without pixels is not drawn.
    ///
    /// The rectangle must leave one pixel at the left and above for the frame.
    pub fn image(&mut self, within: Rect, image: &RgbImage) {
        let (width, height) = image.dimensions();
        if width == 0 || height == 0 {
            return;
        }
        let zoom = f64::min(f64::from(within.w) / f64::from(width), f64::from(within.h) / f64::from(height));
        let [w, h] = [width, height].map(|extent| (f64::from(extent) * zoom).round().max(1.0) as u32);
        let (x, y) = (within.x + (within.w - w) / 2, within.y + (within.h - h) / 2);
        self.fill(Rect { x: x - 1, y: y - 1, w: w + 2, h: h + 2 }, GRID);
        let filter = if zoom >= 2.0 || zoom == 1.0 { FilterType::Nearest } else { FilterType::Triangle };
        let scaled = imageops::resize(image, w * OVERSAMPLING, h * OVERSAMPLING, filter);
        imageops::replace(&mut self.pixels, &scaled, (x * OVERSAMPLING).into(), (y * OVERSAMPLING).into());
    }

    /// Writes one line of text whose capitals are centred on `y`.
    pub fn text(&mut self, x: f32, y: f32, style: Style, text: &str) {
        let scale = OVERSAMPLING as f32;
        let (glyphs, width) = style.typeset(text);
        let left = x * scale - style.align * width;
        let baseline = (y + style.size * CAP_HEIGHT / 2.0) * scale;
        let strokes = (style.weight * scale).round() as u32;
        for mut glyph in glyphs {
            glyph.position.x += left - strokes as f32 / 2.0;
            glyph.position.y = baseline;
            for _ in 0..=strokes {
                self.stroke(glyph.clone(), style.color);
                glyph.position.x += 1.0;
            }
        }
    }

    fn stroke(&mut self, glyph: Glyph, color: Rgb<u8>) {
        let Some(outline) = FONT.outline_glyph(glyph) else { return }; // a space
        let corner = outline.px_bounds().min;
        outline.draw(|x, y, coverage| {
            let (x, y) = (x as i32 + corner.x as i32, y as i32 + corner.y as i32);
            if let (Ok(x), Ok(y)) = (x.try_into(), y.try_into())
                && let Some(pixel) = self.pixels.get_pixel_mut_checked(x, y)
            {
                *pixel = mix(*pixel, color, coverage);
            }
        });
    }

    /// The sheet as an area of the plotting library. Its pixels are smaller by the factor [`OVERSAMPLING`].
    pub fn chart_area(&mut self) -> DrawingArea<BitMapBackend<'_>, Shift> {
        let size = self.pixels.dimensions();
        BitMapBackend::with_buffer(&mut self.pixels, size).into_drawing_area()
    }

    /// The pixels of the finished picture.
    pub fn picture(&self) -> RgbImage {
        let (w, h) = self.pixels.dimensions();
        imageops::thumbnail(&self.pixels, w / OVERSAMPLING, h / OVERSAMPLING)
    }

    /// The finished picture.
    ///
    /// # Errors
    /// The encoder fails.
    pub fn png(&self) -> Result<Vec<u8>, PictureError> {
        let mut png = Vec::new();
        let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Best, PngFilter::Adaptive);
        self.picture().write_with_encoder(encoder)?;
        Ok(png)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{centre, count, decode};

    const RED: Rgb<u8> = Rgb([255, 0, 0]);

    #[test]
    fn the_picture_has_the_size_asked_for_and_rectangles_land_where_they_should() {
        let mut canvas = Canvas::new(40, 30);
        canvas.fill(Rect { x: 5, y: 10, w: 3, h: 2 }, RED);
        canvas.fill(Rect { x: 38, y: 29, w: 100, h: 100 }, RED);
        let picture = decode(&canvas.png().unwrap());
        assert_eq!(picture.dimensions(), (40, 30));
        assert_eq!(count(&picture, RED), 3 * 2 + 2);
        assert_eq!([picture[(5, 10)], picture[(7, 11)], picture[(39, 29)]], [RED; 3]);
    }

    #[test]
    fn images_keep_their_orientation_and_their_hard_edges() {
        let mut image = RgbImage::from_pixel(3, 2, PAPER);
        image.put_pixel(2, 0, RED); // top right
        let mut canvas = Canvas::new(40, 30);
        canvas.image(Rect { x: 10, y: 10, w: 12, h: 8 }, &image);
        let picture = decode(&canvas.png().unwrap());
        assert_eq!(count(&picture, RED), 4 * 4);
        assert_eq!(centre(&picture, RED), [10.0 + 9.5, 10.0 + 1.5]);
    }

    #[test]
    fn images_are_not_distorted() {
        let mut canvas = Canvas::new(40, 30);
        canvas.image(Rect { x: 10, y: 10, w: 12, h: 12 }, &RgbImage::from_pixel(4, 2, RED));
        canvas.image(Rect { x: 1, y: 1, w: 5, h: 5 }, &RgbImage::new(0, 3));
        let picture = decode(&canvas.png().unwrap());
        assert_eq!(count(&picture, RED), 12 * 6);
        assert_eq!(centre(&picture, RED), [15.5, 15.5]);
    }

    #[test]
    fn large_images_are_shrunk_smoothly() {
        let stripes = RgbImage::from_fn(400, 400, |x, _| Rgb([if x % 2 == 0 { 255 } else { 0 }; 3]));
        let mut canvas = Canvas::new(40, 40);
        canvas.image(Rect { x: 10, y: 10, w: 20, h: 20 }, &stripes);
        let gray = decode(&canvas.png().unwrap())[(20, 20)];
        assert!((120..=135).contains(&gray[0]), "{gray:?}");
    }

    #[test]
    fn text_is_aligned_and_reads_from_left_to_right() {
        let ink = |style: Style| {
            let mut canvas = Canvas::new(200, 40);
            canvas.text(100.0, 20.0, style, "HHH.");
            let picture = decode(&canvas.png().unwrap());
            let dark: Vec<_> = picture.enumerate_pixels().filter(|(_, _, p)| p[0] < 128).collect();
            assert!(!dark.is_empty());
            let rows = dark.iter().map(|p| p.1);
            let (top, bottom) = (rows.clone().min().unwrap(), rows.max().unwrap());
            assert!(
                (39..=40).contains(&(top + bottom)),
                "capitals are centred on y, got rows {top} to {bottom}"
            );
            (dark.iter().map(|p| p.0).min().unwrap(), dark.iter().map(|p| p.0).max().unwrap())
        };
        assert!(ink(LABEL).0 >= 100);
        assert!(ink(LABEL.right()).1 <= 100);
        let (left, right) = ink(LABEL.centred());
        assert!(left < 90 && right > 110);
    }

    #[test]
    fn text_that_does_not_fit_is_made_smaller_or_cut_off() {
        let text = "a rather long class name";
        assert!(LABEL.fit(text, 50.0).width(text) < 51.0);
        assert_eq!(LABEL.fit("4", 50.0).size, LABEL.size);
        let mut canvas = Canvas::new(20, 20);
        canvas.text(-30.0, -3.0, TITLE, text);
        assert_eq!(decode(&canvas.png().unwrap()).dimensions(), (20, 20));
    }
}
