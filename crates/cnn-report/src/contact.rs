//! A data set at a glance: samples, the size of each class, and samples after augmentation.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, Rect, TITLE};
use crate::color::{BLUE, FADED, GRID};
use image::RgbImage;

/// The content of a contact sheet.
#[derive(Clone, Debug)]
pub struct Contact {
    /// The heading.
    pub title: String,
    /// A line below the title: the number and the size of the images.
    pub facts: String,
    /// Images of the data set.
    pub samples: Vec<Sample>,
    /// The number of images of each class, drawn as bars.
    pub counts: Vec<Count>,
    /// The names of the transforms.
    pub augmentation: String,
    /// Images, each beside its augmented forms.
    pub variants: Vec<Variants>,
}

/// An image and its class.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its pixels.
    pub image: RgbImage,
    /// The words below it.
    pub label: String,
}

/// The number of training and of test images of a class.
#[derive(Clone, Debug)]
pub struct Count {
    /// The name of the class.
    pub class: String,
    /// The number of its training images.
    pub train: usize,
    /// The number of its test images.
    pub test: usize,
}

/// An image, and its augmented forms in the first epochs of training.
#[derive(Clone, Debug)]
pub struct Variants {
    /// The image of the data set.
    pub original: Sample,
    /// Its form in each epoch.
    pub epochs: Vec<RgbImage>,
}

/// The largest number of classes whose counts are drawn.
const CLASSES: usize = 40;

/// Draws the sheet, a PNG 1600 pixels wide and as high as its parts need.
///
/// # Errors
/// The encoder fails.
pub fn contact(sheet: &Contact) -> Result<Vec<u8>, PictureError> {
    const COLUMNS: u32 = 10;
    const SIDE: u32 = 132;
    const STEP: [u32; 2] = [SIDE + 18, SIDE + 48];
    const BAR: u32 = 30;
    const LEFT: u32 = 60;

    let rows = |count: usize| (count as u32).div_ceil(COLUMNS);
    let shown = sheet.counts.len().min(CLASSES);
    let bars = (shown as u32).div_ceil(2) * BAR;
    let samples_top = 210;
    let counts_top = samples_top + rows(sheet.samples.len()) * STEP[1] + 90;
    let variants_top = counts_top + bars + 120;
    let mut canvas = Canvas::new(1600, variants_top + sheet.variants.len() as u32 * STEP[1] + 20);
    let width = 1600.0 - 2.0 * LEFT as f32;
    canvas.text(LEFT as f32, 60.0, TITLE.fit(&sheet.title, width), &sheet.title);
    canvas.text(LEFT as f32, 112.0, LABEL.colored(FADED).fit(&sheet.facts, width), &sheet.facts);

    let place = |canvas: &mut Canvas, column: u32, y: u32, image: &RgbImage, label: &str| {
        let x = LEFT + column * STEP[0];
        canvas.image(Rect { x, y, w: SIDE, h: SIDE }, image);
        let style = LABEL.sized(23.0).centred().fit(label, STEP[0] as f32 - 6.0);
        canvas.text((x + SIDE / 2) as f32, (y + SIDE + 20) as f32, style, label);
    };
    canvas.text(LEFT as f32, samples_top as f32 - 34.0, HEADING, "samples");
    for (i, Sample { image, label }) in (0..).zip(&sheet.samples) {
        place(&mut canvas, i % COLUMNS, samples_top + i / COLUMNS * STEP[1], image, label);
    }

    let heading = match sheet.counts.len() {
        all @ ..=CLASSES => format!("{all} classes: training images, test images"),
        all => format!("the first {CLASSES} of {all} classes: training images, test images"),
    };
    canvas.text(LEFT as f32, counts_top as f32 - 34.0, HEADING, &heading);
    let most = sheet.counts.iter().map(|count| count.train.max(count.test)).max().unwrap_or(0).max(1);
    for (i, Count { class, train, test }) in (0..).zip(&sheet.counts[..shown]) {
        let half = i / (shown as u32).div_ceil(2);
        let (x, y) = (LEFT + half * 750, counts_top + i % (shown as u32).div_ceil(2) * BAR);
        let middle = (y + BAR / 2) as f32;
        let style = LABEL.sized(23.0).right().fit(class, 220.0);
        canvas.text((x + 226) as f32, middle, style, class);
        let length = |count: usize| (count as f64 / most as f64 * 300.0).round() as u32;
        canvas.fill(Rect { x: x + 240, y: y + 4, w: length(*train), h: 13 }, BLUE);
        canvas.fill(Rect { x: x + 240, y: y + 18, w: length(*test), h: 6 }, FADED);
        canvas.fill(Rect { x: x + 240, y: y + BAR - 2, w: 300, h: 1 }, GRID);
        canvas.text((x + 556) as f32, middle, LABEL.sized(23.0).colored(FADED), &format!("{train}, {test}"));
    }

    let heading = format!("with augmentation: {}", sheet.augmentation);
    canvas.text(LEFT as f32, variants_top as f32 - 34.0, HEADING.fit(&heading, width), &heading);
    for (row, Variants { original, epochs }) in (0..).zip(&sheet.variants) {
        let y = variants_top + row * STEP[1];
        place(&mut canvas, 0, y, &original.image, &original.label);
        for (column, image) in (1..COLUMNS).zip(epochs) {
            place(&mut canvas, column, y, image, &format!("epoch {column}"));
        }
    }
    canvas.png()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{count, decode};
    use image::Rgb;

    fn sample(color: Rgb<u8>) -> Sample {
        Sample { image: RgbImage::from_pixel(4, 4, color), label: "a class with a rather long name".into() }
    }

    fn sheet(samples: usize, classes: usize) -> Contact {
        let red = Rgb([255, 0, 0]);
        let original = sample(Rgb([0, 255, 0]));
        Contact {
            title: "MNIST".into(),
            facts: "60000 training and 10000 test images of 1 x 28 x 28".into(),
            samples: vec![sample(red); samples],
            counts: (0..classes)
                .map(|i| Count { class: i.to_string(), train: 100 * (i + 1), test: 10 })
                .collect(),
            augmentation: "flip".into(),
            variants: vec![
                Variants {
                    original,
                    epochs: vec![RgbImage::from_pixel(4, 4, Rgb([0, 0, 255])); 9]
                };
                2
            ],
        }
    }

    #[test]
    fn every_image_is_there_once() {
        let picture = decode(&contact(&sheet(23, 10)).unwrap());
        assert_eq!(picture.width(), 1600);
        for (color, images) in [([255, 0, 0], 23), ([0, 255, 0], 2), ([0, 0, 255], 18)] {
            assert_eq!(count(&picture, Rgb(color)), images * 132 * 132, "{color:?}");
        }
        // Bars of 10 classes in proportion to their counts: 55 tenths of 300 pixels, 13 high.
        assert_eq!(count(&picture, BLUE), 55 * 30 * 13);
    }

    #[test]
    fn nothing_and_a_thousand_classes_have_a_sheet() {
        let empty = Contact { samples: vec![], counts: vec![], variants: vec![], ..sheet(0, 0) };
        assert!(decode(&contact(&empty).unwrap()).height() > 300);
        assert!(decode(&contact(&sheet(30, 1000)).unwrap()).height() < 2500);
    }
}
