//! Images with the likeliest classes of each.

use crate::PictureError;
use crate::canvas::{Canvas, LABEL, Rect, TITLE};
use crate::color::{BLUE, FADED, GRID, PAPER, mix};
use image::RgbImage;

/// An image and a network's answer.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// Its pixels.
    pub image: RgbImage,
    /// Its name.
    pub name: String,
    /// Classes and their probabilities, 0 to 1, the likeliest first.
    pub ranking: Vec<(String, f32)>,
}

/// Classes that are drawn for an image.
const CLASSES: usize = 5;

/// Draws each image with its five likeliest classes and their probabilities as bars: a single image large, several as a sheet in
/// two columns.
///
/// A PNG 1600 pixels wide: 860 high for one image, 300 for each row of a sheet.
///
/// # Errors
/// The encoder fails.
pub fn predictions(title: &str, facts: &str, images: &[Predicted]) -> Result<Vec<u8>, PictureError> {
    let rows = (images.len() as u32).div_ceil(2);
    let height = if images.len() == 1 { 860 } else { 170 + rows * 300 };
    let mut canvas = Canvas::new(1600, height);
    canvas.text(60.0, 60.0, TITLE.fit(title, 1480.0), title);
    canvas.text(60.0, 112.0, LABEL.colored(FADED).fit(facts, 1480.0), facts);
    if let [only] = images {
        canvas.image(Rect { x: 60, y: 160, w: 760, h: 640 }, &only.image);
        canvas.text(890.0, 180.0, LABEL.sized(25.0).colored(FADED).fit(&only.name, 650.0), &only.name);
        bars(&mut canvas, only, Rect { x: 890, y: 230, w: 650, h: 112 }, 34.0);
        return canvas.png();
    }
    for (i, image) in (0..).zip(images) {
        let (x, y) = (60 + i % 2 * 760, 160 + i / 2 * 300);
        canvas.image(Rect { x, y, w: 260, h: 260 }, &image.image);
        let style = LABEL.sized(20.0).colored(FADED).fit(&image.name, 430.0);
        canvas.text((x + 284) as f32, (y + 12) as f32, style, &image.name);
        bars(&mut canvas, image, Rect { x: x + 284, y: y + 30, w: 430, h: 47 }, 22.0);
    }
    canvas.png()
}

/// The classes one below the other, each in a space of the size of `at`.
fn bars(canvas: &mut Canvas, image: &Predicted, at: Rect, size: f32) {
    let thick = at.h / 5;
    for (i, (class, probability)) in (0..).zip(image.ranking.iter().take(CLASSES)) {
        let y = at.y + i * at.h;
        let text = (y + at.h / 3) as f32;
        let percent = format!("{:.1} %", 100.0 * probability);
        let style = LABEL.sized(size);
        canvas.text((at.x + at.w) as f32, text, style.right(), &percent);
        let room = at.w as f32 - style.width("100.0 %") - 12.0;
        canvas.text(at.x as f32, text, style.fit(class, room), class);
        let bar = Rect { y: y + at.h * 2 / 3, h: thick, ..at };
        canvas.fill(bar, mix(PAPER, GRID, 0.6));
        let part = (probability.clamp(0.0, 1.0) * at.w as f32).round() as u32;
        canvas.fill(Rect { w: part, ..bar }, if i == 0 { BLUE } else { mix(PAPER, BLUE, 0.55) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{count, decode};
    use image::Rgb;

    fn predicted(probability: f32) -> Predicted {
        let ranking =
            (0..8).map(|i| (format!("class {i} with a name of some length"), probability / 2f32.powi(i)));
        let image = RgbImage::from_pixel(8, 4, Rgb([255, 0, 0]));
        Predicted {
            image,
            name: "a/rather/long/path/of/an/image/in/a/folder.jpg".into(),
            ranking: ranking.collect(),
        }
    }

    #[test]
    fn one_image_is_large_and_its_first_bar_as_long_as_its_probability() {
        let picture = decode(&predictions("What it shows", "lenet", &[predicted(0.5)]).unwrap());
        assert_eq!(picture.dimensions(), (1600, 860));
        assert_eq!(count(&picture, Rgb([255, 0, 0])), 760 * 380);
        assert_eq!(count(&picture, BLUE), 325 * 22);
    }

    #[test]
    fn several_images_are_a_sheet() {
        let picture = decode(&predictions("What they show", "lenet", &vec![predicted(1.0); 3]).unwrap());
        assert_eq!(picture.dimensions(), (1600, 770));
        assert_eq!(count(&picture, Rgb([255, 0, 0])), 3 * 260 * 130);
        assert_eq!(count(&picture, BLUE), 3 * 430 * 9);
        assert_eq!(decode(&predictions("", "", &[]).unwrap()).height(), 170);
    }
}
