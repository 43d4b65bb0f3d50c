//! People with their joints: the right side of the body in one colour, the left in another.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, OVERSAMPLING, Rect, TITLE};
use crate::color::{BLUE, FADED, INK, PAPER, VERMILION, mix};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

/// The side of the body that a line belongs to, the person's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BodySide {
    Right,
    Left,
    Middle,
}

/// A line of a figure, in pixels of its image: the centre of the first pixel is at (0.5, 0.5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bone {
    /// Its ends, `[x, y]`.
    pub ends: [[f32; 2]; 2],
    /// Its side of the body, which decides its colour.
    pub side: BodySide,
}

/// An image with a person's joints.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its pixels.
    pub image: RgbImage,
    /// The lines between the joints. A dot is drawn at each end.
    pub bones: Vec<Bone>,
    /// The words below it.
    pub label: String,
}

/// Figures under a heading.
#[derive(Clone, Debug)]
pub struct FigureRow {
    /// The heading.
    pub heading: String,
    /// The figures.
    pub figures: Vec<Figure>,
}

impl BodySide {
    /// Okabe and Ito, 2008: told apart by colour-blind readers, and on most photos.
    fn color(self) -> Rgb<u8> {
        match self {
            Self::Right => VERMILION,
            Self::Left => BLUE,
            Self::Middle => Rgb([240, 228, 66]),
        }
    }
}

/// Draws rows of figures, ten to a line.
///
/// A PNG 1600 pixels wide and as high as the rows need.
///
/// # Errors
/// The encoder fails.
pub fn figures(title: &str, facts: &str, rows: &[FigureRow]) -> Result<Vec<u8>, PictureError> {
    const COLUMNS: usize = 10;
    const SIDE: u32 = 140;
    const STEP: [u32; 2] = [SIDE + 9, SIDE + 40];
    const LEFT: u32 = 60;
    let lines = |row: &FigureRow| row.figures.len().div_ceil(COLUMNS) as u32;
    let height = 170 + rows.iter().map(|row| 60 + lines(row) * STEP[1]).sum::<u32>();
    let mut canvas = Canvas::new(1600, height + 20);
    canvas.text(LEFT as f32, 60.0, TITLE.fit(title, 1480.0), title);
    canvas.text(LEFT as f32, 112.0, LABEL.colored(FADED).fit(facts, 1180.0), facts);
    legend(&mut canvas, 1540.0, 112.0);
    let mut top = 170;
    for row in rows {
        canvas.text(LEFT as f32, (top + 14) as f32, HEADING.fit(&row.heading, 1480.0), &row.heading);
        top += 44;
        for (i, figure) in row.figures.iter().enumerate() {
            let (x, y) = (LEFT + (i % COLUMNS) as u32 * STEP[0], top + (i / COLUMNS) as u32 * STEP[1]);
            draw(&mut canvas, Rect { x, y, w: SIDE, h: SIDE }, figure);
            let style = LABEL.sized(21.0).centred().colored(FADED).fit(&figure.label, SIDE as f32);
            canvas.text((x + SIDE / 2) as f32, (y + SIDE + 18) as f32, style, &figure.label);
        }
        top += 16 + lines(row) * STEP[1];
    }
    canvas.png()
}

/// Draws one figure large.
///
/// A PNG 1200 pixels wide, or less for a high image, and at most 1200 high.
///
/// # Errors
/// The encoder fails.
pub fn figure(figure: &Figure) -> Result<Vec<u8>, PictureError> {
    const MOST: f64 = 1080.0;
    const LEAST: u32 = 560;
    let (w, h) = figure.image.dimensions();
    let zoom = MOST / f64::from(w.max(h).max(1));
    let [w, h] = [w, h].map(|side| (f64::from(side) * zoom).round().max(1.0) as u32);
    let width = (w + 40).max(LEAST);
    let mut canvas = Canvas::new(width, h + 80);
    draw(&mut canvas, Rect { x: (width - w) / 2, y: 20, w, h }, figure);
    let bottom = (h + 52) as f32;
    legend(&mut canvas, (width - 20) as f32, bottom);
    let style = LABEL.colored(FADED).fit(&figure.label, width as f32 - 330.0);
    canvas.text(20.0, bottom, style, &figure.label);
    canvas.png()
}

/// The names of the colours, right-aligned at `x`.
fn legend(canvas: &mut Canvas, x: f32, y: f32) {
    let mut right = x;
    for (side, name) in [(BodySide::Left, "left"), (BodySide::Right, "right")] {
        let style = LABEL.sized(25.0).right();
        canvas.text(right, y, style, name);
        right -= style.width(name) + 12.0;
        canvas.fill(Rect { x: (right - 34.0) as u32, y: y as u32 - 4, w: 34, h: 8 }, side.color());
        right -= 34.0 + 30.0;
    }
}

/// The figure inside a rectangle, undistorted.
fn draw(canvas: &mut Canvas, within: Rect, figure: &Figure) {
    let (width, height) = figure.image.dimensions();
    if width == 0 || height == 0 {
        return;
    }
    let zoom = f64::min(f64::from(within.w) / f64::from(width), f64::from(within.h) / f64::from(height));
    let [w, h] = [width, height].map(|side| (f64::from(side) * zoom).round().max(1.0) as u32 * OVERSAMPLING);
    // The lines are drawn at the size of the sheet, so that they are as thick on every image.
    let mut drawn = imageops::resize(&figure.image, w, h, FilterType::Triangle);
    let scale = [w as f32 / width as f32, h as f32 / height as f32];
    let thickness = (w.max(h) as f32 / 70.0).clamp(2.5, 14.0);
    let place = |[x, y]: [f32; 2]| [x * scale[0], y * scale[1]];
    let lines: Vec<([[f32; 2]; 2], Rgb<u8>)> =
        figure.bones.iter().map(|bone| (bone.ends.map(place), bone.side.color())).collect();
    // A dark rim makes the colours stand out on any photo.
    for (ends, _) in &lines {
        stroke(&mut drawn, *ends, thickness / 2.0 + 1.5, mix(INK, PAPER, 0.1), 0.55);
    }
    for (ends, color) in &lines {
        stroke(&mut drawn, *ends, thickness / 2.0, *color, 1.0);
    }
    for (ends, color) in &lines {
        for &end in ends {
            stroke(&mut drawn, [end; 2], thickness * 0.85, *color, 1.0);
            stroke(&mut drawn, [end; 2], thickness * 0.4, PAPER, 1.0);
        }
    }
    canvas.image(within, &drawn);
}

/// A line with round ends, smooth at its borders; `opacity` of it covers the image.
fn stroke(image: &mut RgbImage, [a, b]: [[f32; 2]; 2], radius: f32, color: Rgb<u8>, opacity: f32) {
    if ![a, b].iter().flatten().all(|v| v.is_finite()) {
        return;
    }
    let (w, h) = image.dimensions();
    let range = |axis: usize, limit: u32| {
        let (low, high) = (a[axis].min(b[axis]) - radius - 1.0, a[axis].max(b[axis]) + radius + 1.0);
        (low.max(0.0) as u32).min(limit)..(high.max(0.0).ceil().min(limit as f32)) as u32
    };
    let along = [b[0] - a[0], b[1] - a[1]];
    let length = along[0] * along[0] + along[1] * along[1];
    for y in range(1, h) {
        for x in range(0, w) {
            let at = [x as f32 + 0.5 - a[0], y as f32 + 0.5 - a[1]];
            let part = ((at[0] * along[0] + at[1] * along[1]) / length.max(1e-9)).clamp(0.0, 1.0);
            let distance = (at[0] - part * along[0]).hypot(at[1] - part * along[1]);
            let coverage = (radius + 0.5 - distance).clamp(0.0, 1.0) * opacity;
            if coverage > 0.0 {
                let pixel = image.get_pixel_mut(x, y);
                *pixel = mix(*pixel, color, coverage);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{centre, count, decode};

    /// A person of one arm on each side, of an image of that size.
    fn person(w: u32, h: u32) -> Figure {
        let [x, y] = [w, h].map(|side| side as f32);
        let bone = |from: [f32; 2], to: [f32; 2], side| Bone { ends: [from, to], side };
        Figure {
            image: RgbImage::from_pixel(w, h, Rgb([128; 3])),
            bones: vec![
                bone([0.25 * x, 0.2 * y], [0.25 * x, 0.8 * y], BodySide::Right),
                bone([0.75 * x, 0.2 * y], [0.75 * x, 0.8 * y], BodySide::Left),
            ],
            label: "a/rather/long/path/of/an/image.jpg".into(),
        }
    }

    #[test]
    fn sides_have_colours_where_the_joints_say() {
        let picture = decode(&figure(&person(200, 100)).unwrap());
        assert_eq!(picture.dimensions(), (1120, 620));
        let image = imageops::crop_imm(&picture, 20, 20, 1080, 540).to_image();
        for (color, x) in [(VERMILION, 0.25 * 1080.0), (BLUE, 0.75 * 1080.0)] {
            let [got_x, got_y] = centre(&image, color);
            assert!((got_x - x).abs() < 2.0 && (got_y - 270.0).abs() < 2.0, "{got_x} {got_y}");
            assert!(count(&image, color) > 1000);
        }
    }

    #[test]
    fn a_dot_is_drawn_where_it_is_in_the_image() {
        // Nine pixels of another colour, and a line of no length upon their centre.
        let mut image = RgbImage::from_pixel(40, 20, PAPER);
        (0..9).for_each(|i| image.put_pixel(29 + i % 3, 4 + i / 3, Rgb([255, 0, 255])));
        let bones = vec![Bone { ends: [[30.5, 5.5]; 2], side: BodySide::Right }];
        let plain = Figure { image: image.clone(), bones: vec![], label: String::new() };
        let pixel = decode(&figure(&plain).unwrap());
        let marked = decode(&figure(&Figure { bones, ..plain }).unwrap());
        let upper = |picture: &RgbImage| imageops::crop_imm(picture, 0, 0, 1120, 560).to_image();
        let (want, got) = (centre(&upper(&pixel), Rgb([255, 0, 255])), centre(&upper(&marked), VERMILION));
        assert!(want.iter().zip(got).all(|(a, b)| (a - b).abs() < 1.5), "{want:?} {got:?}");
    }

    #[test]
    fn sheets_hold_every_figure_and_odd_ones_do_no_harm() {
        let row = |n| FigureRow { heading: "best".into(), figures: vec![person(30, 40); n] };
        let sheet = decode(&figures("Poses", "of the test set", &[row(10), row(12), row(0)]).unwrap());
        assert_eq!(sheet.width(), 1600);
        assert!(count(&sheet, VERMILION) > 22 * 40);
        let mut odd = person(1, 3000);
        odd.bones.push(Bone { ends: [[f32::NAN, 1.0], [f32::INFINITY, 1e30]], side: BodySide::Middle });
        odd.bones.push(Bone { ends: [[-1e9, -1e9], [1e9, 1e9]], side: BodySide::Middle });
        assert!(decode(&figure(&odd).unwrap()).height() <= 1200);
        assert!(figure(&Figure { image: RgbImage::new(0, 0), ..odd.clone() }).is_ok());
    }
}
