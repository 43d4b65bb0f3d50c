//! The scores of a linear classifier as a product that one can follow.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, TITLE};
use crate::color::{FADED, GRID, PAPER, gray};
use crate::grid::{Cell, Grid, number};
use crate::raster::Signed;
use cnn_tensor::Tensor;

/// A linear classifier of a tiny image: `scores = weight pixels + bias`.
#[derive(Clone, Debug)]
pub struct LinearScores {
    /// The image, `[h, w]`, from 0 to 255.
    pub image: Tensor,
    /// `[classes, h * w]`.
    pub weight: Tensor,
    /// `[classes]`.
    pub bias: Tensor,
    /// `[classes]`.
    pub scores: Tensor,
    /// The names of the classes.
    pub classes: Vec<String>,
}

/// The image, its pixels in a column, the matrix, the bias and the scores, as an equation.
///
/// A PNG 1600 pixels wide: 560 pixels high for four pixels.
///
/// # Errors
/// The shapes do not fit each other, the image has more than six pixels, or the encoder fails.
pub fn linear_scores(title: &str, linear: &LinearScores) -> Result<Vec<u8>, PictureError> {
    const CELL: [u32; 2] = [92, 64];
    const TOP: u32 = 232;

    let LinearScores { image, weight, bias, scores, classes } = linear;
    let (pixels, k) = (image.data().len(), classes.len());
    let size = match image.shape().dims() {
        &[h, w] if (1..=6).contains(&pixels) => Some([h, w]),
        _ => None,
    };
    let fits = weight.shape().dims() == [k, pixels] && [bias, scores].map(|v| v.data().len()) == [k; 2];
    let Some([h, w]) = size.filter(|_| fits && k > 0) else {
        return Err(PictureError::Data {
            picture: "linear_scores",
            expected: format!(
                "an image of 1 to 6 pixels, and weights, biases and scores for it and {k} classes"
            ),
            got: [image, weight, bias, scores].map(|tensor| tensor.shape().to_string()).join(", "),
        });
    };
    let mut canvas = Canvas::new(1600, TOP + pixels.max(k).max(h) as u32 * CELL[1] + 72);
    canvas.text(60.0, 60.0, TITLE.fit(title, 1480.0), title);
    let note = "each row of W is the template of a class: its numbers times the pixels, added up, plus the class's bias";
    canvas.text(60.0, 112.0, LABEL.colored(FADED).fit(note, 1480.0), note);

    let tallest = pixels.max(k).max(h) as u32 * CELL[1];
    let middle = (TOP + tallest / 2) as f32;
    let mut part = |x: u32, name: &str, [rows, columns]: [usize; 2], cells: Vec<Cell>| {
        let grid = Grid { at: [x, TOP + (tallest - rows as u32 * CELL[1]) / 2], columns, cell: CELL };
        canvas.text(x as f32, TOP as f32 - 38.0, HEADING.sized(28.0), name);
        grid.draw(&mut canvas, cells);
        grid.frame(&mut canvas, 0..rows, 0..columns, GRID, 1);
        x + columns as u32 * CELL[0]
    };
    let pixel = |&value: &f32| Cell::new(gray(value / 255.0), number(value));
    let signed = |numbers: &[f32]| {
        let scale = Signed::of(numbers);
        numbers.iter().map(|&value| Cell::new(scale.color(value), number(value))).collect::<Vec<_>>()
    };
    let plain =
        |numbers: &[f32]| numbers.iter().map(|&value| Cell::new(PAPER, number(value))).collect::<Vec<_>>();
    const GAP: u32 = 62;
    let after_image = part(60, "image", [h, w], image.data().iter().map(pixel).collect());
    let after_w = part(after_image + GAP + 20, "W", [k, pixels], signed(weight.data()));
    let after_x = part(after_w + GAP, "x", [pixels, 1], image.data().iter().map(pixel).collect());
    let after_b = part(after_x + GAP, "b", [k, 1], plain(bias.data()));
    let end = part(after_b + GAP, "scores", [k, 1], signed(scores.data()));
    for (x, sign) in [(after_w, "\u{d7}"), (after_x, "+"), (after_b, "=")] {
        canvas.text((x + GAP / 2) as f32 - 2.0, middle, TITLE.centred(), sign);
    }
    let first = TOP + (tallest - k as u32 * CELL[1]) / 2;
    for (i, class) in (0..).zip(classes) {
        let y = (first + i * CELL[1] + CELL[1] / 2) as f32;
        let room = 1580.0 - end as f32 - 24.0;
        canvas.text((end + 20) as f32, y, HEADING.fit(class, room.max(40.0)), class);
    }
    canvas.png()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::diverging;
    use crate::testing::{count, decode};

    fn example() -> LinearScores {
        LinearScores {
            image: Tensor::from_slice([2, 2], &[0.0, 255.0, 0.0, 0.0]).unwrap(),
            weight: Tensor::from_slice([2, 4], &[0.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0]).unwrap(),
            bias: Tensor::from_slice([2], &[0.5, -0.5]).unwrap(),
            scores: Tensor::from_slice([2], &[255.5, -255.5]).unwrap(),
            classes: vec!["one".into(), "another with a long name".into()],
        }
    }

    #[test]
    fn weights_and_scores_have_the_colours_of_their_signs() {
        let picture = decode(&linear_scores("Scores", &example()).unwrap());
        assert_eq!(picture.dimensions(), (1600, 560));
        // A weight and a score of each sign; their numbers are written on them.
        for extreme in [diverging(1.0), diverging(-1.0)] {
            let pixels = count(&picture, extreme);
            let squares = 2 * 89 * 61;
            assert!((squares * 3 / 4..squares).contains(&pixels), "{pixels}");
        }
    }

    #[test]
    fn shapes_must_agree() {
        for wrong in [
            LinearScores { classes: vec![], ..example() },
            LinearScores { weight: Tensor::zeros([2, 3]), ..example() },
            LinearScores { image: Tensor::zeros([4, 4]), ..example() },
            LinearScores { scores: Tensor::zeros([3]), ..example() },
        ] {
            let error = linear_scores("", &wrong).unwrap_err().to_string();
            assert!(error.starts_with("linear_scores: expected an image of 1 to 6 pixels"), "{error}");
        }
    }
}
