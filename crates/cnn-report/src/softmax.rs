//! From the scores of a classifier to probabilities and a loss.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, Rect, TITLE};
use crate::color::{BLUE, FADED, GRID, VERMILION};

/// The steps from scores to the loss.
#[derive(Clone, Debug)]
pub struct SoftmaxSteps {
    /// The classes, with their numbers.
    pub classes: Vec<SoftmaxStep>,
    /// The number of the right class.
    pub target: usize,
    /// The sum of the exponentials.
    pub sum: f64,
    /// `-ln` of the right class's probability.
    pub loss: f64,
}

/// The numbers of a class.
#[derive(Clone, Debug)]
pub struct SoftmaxStep {
    /// The name of the class.
    pub class: String,
    /// The score.
    pub score: f64,
    /// The exponential of the score.
    pub exponential: f64,
    /// Its share of the sum.
    pub probability: f64,
}

/// A table of the steps, a row for each class, with the probabilities as bars, and the loss below. The right class has a colour
/// of its own.
///
/// A PNG 1600 pixels wide: 530 pixels high for three classes.
///
/// # Errors
/// The right class is not one of the classes, or the encoder fails.
pub fn softmax(title: &str, steps: &SoftmaxSteps) -> Result<Vec<u8>, PictureError> {
    const ROW: u32 = 72;
    /// The right ends of the columns of numbers, and the left end of the bars.
    const COLUMNS: [f32; 3] = [480.0, 760.0, 1040.0];
    const BARS: u32 = 1070;

    let SoftmaxSteps { classes, target, sum, loss } = steps;
    let Some(right) = classes.get(*target) else {
        return Err(PictureError::Data {
            picture: "softmax",
            expected: format!("the right class, below {}", classes.len()),
            got: target.to_string(),
        });
    };
    let bottom = 210 + classes.len() as u32 * ROW;
    let mut canvas = Canvas::new(1600, bottom + 104);
    canvas.text(60.0, 60.0, TITLE.fit(title, 1480.0), title);
    let heading = HEADING.sized(28.0).colored(FADED);
    canvas.text(60.0, 140.0, heading, "class");
    for (x, name) in COLUMNS.into_iter().zip(["score s", "exp(s)", "probability"]) {
        canvas.text(x, 140.0, heading.right(), name);
    }
    for (i, step) in (0..).zip(classes) {
        let y = 176 + i * ROW;
        canvas.fill(Rect { x: 60, y, w: 1480, h: 2 }, GRID);
        let middle = (y + ROW / 2) as f32;
        let color = if i as usize == *target { VERMILION } else { BLUE };
        let style = HEADING.colored(color);
        canvas.text(60.0, middle, style.fit(&step.class, 250.0), &step.class);
        let texts = [written(step.score), written(step.exponential), format!("{:.2}", step.probability)];
        for (x, text) in COLUMNS.into_iter().zip(texts) {
            canvas.text(x, middle, HEADING.right().fit(&text, 230.0), &text);
        }
        let length = (step.probability.clamp(0.0, 1.0) * 470.0).round() as u32;
        canvas.fill(Rect { x: BARS, y: y + 20, w: length.max(2), h: ROW - 38 }, color);
    }
    canvas.fill(Rect { x: 60, y: bottom - 34, w: 1480, h: 2 }, GRID);
    let total = format!("sum {}", written(*sum));
    canvas.text(COLUMNS[1], bottom as f32, LABEL.colored(FADED).right().fit(&total, 250.0), &total);
    let line = format!(
        "right class: {}     loss = \u{2212}ln {:.2} = {loss:.2}     (by base 10: {:.2})",
        right.class,
        right.probability,
        loss / std::f64::consts::LN_10
    );
    let style = HEADING.colored(VERMILION).fit(&line, 1480.0);
    canvas.text(60.0, bottom as f32 + 56.0, style, &line);
    canvas.png()
}

/// A number to one place, or to two below 10, or by powers of ten where it is large.
fn written(number: f64) -> String {
    let text = match number.abs() {
        size if size >= 1e7 => format!("{number:.1e}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    };
    text.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{count, decode};

    fn steps(probabilities: &[f64]) -> SoftmaxSteps {
        let step = |&probability: &f64| SoftmaxStep {
            class: "a class".into(),
            score: -1.7,
            exponential: 24.53,
            probability,
        };
        SoftmaxSteps { classes: probabilities.iter().map(step).collect(), target: 1, sum: 188.7, loss: 2.04 }
    }

    #[test]
    fn bars_are_in_proportion() {
        let picture = decode(&softmax("Softmax", &steps(&[0.25, 0.5, 0.25])).unwrap());
        assert_eq!(picture.dimensions(), (1600, 530));
        let bars = image::imageops::crop_imm(&picture, 1070, 150, 530, 260).to_image();
        let expected = [BLUE, VERMILION].map(|color| count(&bars, color));
        assert_eq!(expected, [2 * (470.0f64 / 4.0).round() as usize * 34, 235 * 34]);
    }

    #[test]
    fn odd_numbers_have_a_picture_and_the_right_class_must_be_there() {
        let odd = SoftmaxSteps { loss: f64::INFINITY, sum: f64::NAN, ..steps(&[f64::NAN, 1e9]) };
        assert!(softmax("", &odd).is_ok());
        assert_eq!(
            softmax("", &steps(&[1.0])).unwrap_err().to_string(),
            "softmax: expected the right class, below 1, got 1"
        );
        assert_eq!([written(164.02), written(-1.7), written(3e9)], ["164.0", "\u{2212}1.70", "3.0e9"]);
    }
}
