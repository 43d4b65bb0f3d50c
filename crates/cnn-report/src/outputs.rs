//! Images of several labels, with the probability of each label.

use crate::PictureError;
use crate::canvas::{Canvas, LABEL, Rect, TITLE};
use crate::color::{BLUE, FADED, GRID, INK, VERMILION};
use image::RgbImage;

/// An image, its labels and the outputs for it.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// Its pixels.
    pub image: RgbImage,
    /// The probability of each label, 0 to 1.
    pub probabilities: Vec<f32>,
    /// Whether the image has each label.
    pub truth: Vec<bool>,
}

/// Draws each image above a bar for each label, as high as its probability: blue for labels that the image has, vermilion for
/// others. A line marks one half, above which a label counts as found.
///
/// A PNG 1600 pixels wide, with three images in a row, 330 high.
///
/// # Errors
/// An image does not have a probability and a truth for each label, there are no labels, or the encoder fails.
pub fn outputs(
    title: &str,
    facts: &str,
    labels: &[impl AsRef<str>],
    images: &[Outputs],
) -> Result<Vec<u8>, PictureError> {
    const COLUMNS: u32 = 3;
    const CELL: [u32; 2] = [450, 330];
    const BARS: u32 = 110;
    let k = labels.len();
    if let Some(odd) = images.iter().find(|i| k == 0 || i.probabilities.len() != k || i.truth.len() != k) {
        let got = format!("{} probabilities, {} truths", odd.probabilities.len(), odd.truth.len());
        let expected = format!("a probability and a truth for each of {k} labels, at least one");
        return Err(PictureError::Data { picture: "outputs", expected, got });
    }
    let rows = (images.len() as u32).div_ceil(COLUMNS);
    let mut canvas = Canvas::new(1600, 230 + rows * CELL[1]);
    canvas.text(60.0, 60.0, TITLE.fit(title, 1480.0), title);
    canvas.text(60.0, 112.0, LABEL.colored(FADED).fit(facts, 1480.0), facts);
    for (x, color, words) in [(60, BLUE, "in the image"), (270, VERMILION, "not in the image")] {
        canvas.fill(Rect { x, y: 156, w: 20, h: 20 }, color);
        canvas.text((x + 32) as f32, 167.0, LABEL.sized(24.0), words);
    }
    let step = CELL[0] / k.max(1) as u32;
    for (i, image) in (0..).zip(images) {
        let (x, y) = (60 + i % COLUMNS * 515, 220 + i / COLUMNS * CELL[1]);
        canvas.image(Rect { x, y, w: CELL[0], h: 120 }, &image.image);
        let bottom = y + 135 + BARS;
        canvas.fill(Rect { x, y: bottom - BARS / 2, w: CELL[0], h: 1 }, GRID);
        for (j, label) in (0..).zip(labels) {
            let (has, probability) = (image.truth[j as usize], image.probabilities[j as usize]);
            let high = (probability.clamp(0.0, 1.0) * BARS as f32).round() as u32;
            let at = Rect { x: x + j * step + step / 6, y: bottom - high, w: (step * 2 / 3).max(1), h: high };
            canvas.fill(at, if has { BLUE } else { VERMILION });
            let style = LABEL.sized(24.0).centred().colored(if has { INK } else { FADED });
            let middle = (x + j * step) as f32 + step as f32 / 2.0;
            canvas.text(middle, (bottom + 20) as f32, style.fit(label.as_ref(), step as f32), label.as_ref());
        }
        canvas.fill(Rect { x, y: bottom, w: CELL[0], h: 1 }, FADED);
    }
    canvas.png()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{count, decode};
    use image::Rgb;

    #[test]
    fn bars_are_as_high_as_their_probabilities() {
        let image = RgbImage::from_pixel(4, 2, Rgb([255, 0, 0]));
        let one = Outputs { image, probabilities: vec![1.0, 0.5], truth: vec![true, false] };
        let picture = decode(&outputs("Pairs", "", &["0", "1"], &[one.clone(), one.clone()]).unwrap());
        assert_eq!(picture.dimensions(), (1600, 560));
        assert_eq!(count(&picture, Rgb([255, 0, 0])), 2 * 240 * 120);
        assert_eq!(count(&picture, BLUE), 2 * 150 * 110 + 20 * 20);
        assert_eq!(count(&picture, VERMILION), 2 * 150 * 55 + 20 * 20);
        let message = outputs("", "", &["0"], &[one]).unwrap_err().to_string();
        let expected = "outputs: expected a probability and a truth for each of 1 labels, at least one, got 2 probabilities, 2 truths";
        assert_eq!(message, expected);
    }
}
