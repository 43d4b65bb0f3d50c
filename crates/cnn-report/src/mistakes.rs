//! The images that a classifier gets wrong with the highest probability.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, Rect, Style, TITLE};
use crate::color::{FADED, VERMILION};
use crate::raster::photo;
use cnn_tensor::Tensor;

/// An image that was classified wrongly.
#[derive(Clone, Debug)]
pub struct Mistake {
    /// `[1, 1, h, w]` or `[1, 3, h, w]`, under any normalisation.
    pub image: Tensor,
    /// The name of its class.
    pub truth: String,
    /// The name of the predicted class.
    pub predicted: String,
    /// The probability of the predicted class, 0 to 1.
    pub probability: f32,
}

/// The largest number of mistakes on a sheet.
pub const SHEET: usize = 36;

/// A sheet of the first [`SHEET`] mistakes, in the order given, which should be from the worst on. Each image is enlarged,
/// above its true and its predicted class. Without mistakes, the sheet says so.
///
/// A PNG 1600 pixels wide, of nine images a row: 1120 pixels high for a full sheet.
///
/// # Errors
/// An image has another shape, or the encoder fails.
pub fn mistakes(title: &str, mistakes: &[Mistake]) -> Result<Vec<u8>, PictureError> {
    const COLUMNS: u32 = 9;
    const SIDE: u32 = 140;
    const STEP: [u32; 2] = [SIDE + 28, SIDE + 100];

    let worst = &mistakes[..mistakes.len().min(SHEET)];
    let rows = (worst.len() as u32).div_ceil(COLUMNS).max(1);
    let mut canvas = Canvas::new(1600, 160 + rows * STEP[1]);
    canvas.text(60.0, 60.0, TITLE, title);
    if worst.is_empty() {
        let style = HEADING.sized(60.0).centred();
        canvas.text(800.0, 230.0, style, "No mistakes: every image was classified correctly.");
        return canvas.png();
    }
    let shown = match mistakes.len() {
        1 => "the only mistake".into(),
        all @ ..=SHEET => format!("all {all} mistakes, the worst first"),
        all => format!("the {SHEET} worst of {all} mistakes"),
    };
    canvas.text(60.0, 112.0, LABEL.colored(FADED), &shown);
    for (i, mistake) in (0..).zip(worst) {
        let (x, y) = (60 + i % COLUMNS * STEP[0], 150 + i / COLUMNS * STEP[1]);
        canvas.image(Rect { x, y, w: SIDE, h: SIDE }, &photo("mistakes", &mistake.image)?);
        let middle = (x + SIDE / 2) as f32;
        let mut line = |below: u32, style: Style, text: &str| {
            let y = (y + SIDE + below) as f32;
            canvas.text(middle, y, style.centred().fit(text, STEP[0] as f32 - 8.0), text);
        };
        line(22, LABEL.sized(25.0), &format!("true {}", mistake.truth));
        let said = format!("said {} ({:.1} %)", mistake.predicted, 100.0 * mistake.probability);
        line(51, LABEL.sized(25.0).colored(VERMILION), &said);
    }
    canvas.png()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::{NOT_A_NUMBER, PAPER};
    use crate::testing::{count, decode};
    use image::Rgb;

    fn mistake(image: Tensor) -> Mistake {
        Mistake { image, truth: "4".into(), predicted: "9".into(), probability: 0.998 }
    }

    #[test]
    fn images_are_enlarged_and_not_mirrored() {
        let mut image = Tensor::zeros([1, 1, 28, 28]);
        image.data_mut()[27] = 1.0; // top right
        let picture = decode(&mistakes("Mistakes", &[mistake(image)]).unwrap());
        assert_eq!(picture[(60 + 139, 150)], PAPER);
        for other in [(60, 150), (60, 150 + 139), (60 + 139, 150 + 139), (60 + 134, 150)] {
            assert_eq!(picture[other], Rgb([0; 3]));
        }
    }

    #[test]
    fn a_sheet_holds_36_and_grows_with_what_it_shows() {
        let many = vec![mistake(Tensor::zeros([1, 3, 8, 5])); 40];
        let height = |n: usize| decode(&mistakes("Mistakes", &many[..n]).unwrap()).height();
        assert_eq!([height(1), height(9), height(10), height(36), height(40)], [400, 400, 640, 1120, 1120]);
    }

    #[test]
    fn no_mistakes_are_good_news() {
        let picture = decode(&mistakes("Mistakes", &[]).unwrap());
        assert_eq!(picture.dimensions(), (1600, 400));
        assert!(picture.rows().skip(200).flatten().any(|pixel| pixel[0] < 128), "the sheet says so");
    }

    #[test]
    fn odd_numbers_give_a_picture() {
        let odd = Mistake {
            truth: "an unreasonably long class name".into(),
            probability: f32::NAN,
            ..mistake(Tensor::full([1, 1, 28, 28], f32::NAN))
        };
        let picture = decode(&mistakes("Mistakes", &[odd]).unwrap());
        assert_eq!(count(&picture, NOT_A_NUMBER), 140 * 140);
    }

    #[test]
    fn images_must_be_images() {
        let error = mistakes("Mistakes", &[mistake(Tensor::zeros([28, 28]))]).unwrap_err();
        let expected = "mistakes: expected an image of shape [1, 1, h, w] or [1, 3, h, w], got [28, 28]";
        assert_eq!(error.to_string(), expected);
    }
}
