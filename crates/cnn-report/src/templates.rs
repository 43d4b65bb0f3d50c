//! The weights of a linear classifier, drawn as images.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, Rect, TITLE};
use crate::color::FADED;
use crate::raster::{Signed, plane};
use cnn_tensor::Tensor;

/// The weights W of f(x, W) = Wx + b, one image for each class. Where a bright pixel raises the score of the class the
/// image is red, where it lowers it blue. All images share one scale.
///
/// `weight` has the shape `[classes, h*w]`, and `size` is `[h, w]`.
///
/// A PNG 1600 pixels wide, of five images a row: 950 pixels high for ten classes.
///
/// # Errors
/// `weight` has another shape or no elements, or the encoder fails.
pub fn templates(
    title: &str,
    classes: &[impl AsRef<str>],
    weight: &Tensor,
    size: [usize; 2],
) -> Result<Vec<u8>, PictureError> {
    const COLUMNS: u32 = 5;
    const SIDE: u32 = 280;
    const STEP: [u32; 2] = [SIDE + 20, SIDE + 80];

    if weight.shape().dims() != [classes.len(), size[0] * size[1]] || weight.data().is_empty() {
        return Err(PictureError::Data {
            picture: "templates",
            expected: format!("weights of shape [{}, {}*{}], not empty", classes.len(), size[0], size[1]),
            got: weight.shape().to_string(),
        });
    }
    let rows = (classes.len() as u32).div_ceil(COLUMNS);
    let mut canvas = Canvas::new(1600, 230 + rows * STEP[1]);
    canvas.text(60.0, 60.0, TITLE, title);
    let scale = Signed::of(weight.data());
    let templates = weight.data().chunks(size[0] * size[1]);
    for (i, (template, class)) in (0..).zip(templates.zip(classes)) {
        let (x, y) = (60 + i % COLUMNS * STEP[0], 120 + i / COLUMNS * STEP[1]);
        canvas.image(Rect { x, y, w: SIDE, h: SIDE }, &plane(template, size, |weight| scale.color(weight)));
        let name = class.as_ref();
        let style = HEADING.centred().fit(name, SIDE as f32);
        canvas.text((x + SIDE / 2) as f32, (y + SIDE) as f32 + 34.0, style, name);
    }
    let y = 130 + rows * STEP[1];
    canvas.text(
        60.0,
        y as f32 + 12.0,
        LABEL.colored(FADED),
        "weight: blue lowers the score of the class, red raises it",
    );
    scale.legend(&mut canvas, Rect { x: 1040, y, w: 500, h: 24 });
    canvas.png()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::{NOT_A_NUMBER, diverging};
    use crate::testing::{count, decode};

    #[test]
    fn positive_weights_are_red_negative_blue_and_nothing_is_mirrored() {
        // One class, 2 x 2: positive at the top right, negative at the bottom left.
        let weight = Tensor::from_vec([1, 4], vec![0.0, 0.5, -0.5, 0.0]).unwrap();
        let picture = decode(&templates("Templates", &["one"], &weight, [2, 2]).unwrap());
        assert_eq!(picture[(60 + 210, 120 + 70)], diverging(1.0));
        assert_eq!(picture[(60 + 70, 120 + 210)], diverging(-1.0));
        assert_eq!(picture[(60 + 70, 120 + 70)], diverging(0.0));
    }

    #[test]
    fn classes_fill_rows_of_five() {
        let mut weight = Tensor::zeros([10, 4]);
        weight.data_mut()[7 * 4..8 * 4].fill(1.0); // second row, third column
        let classes: Vec<String> = (0..10).map(|class| class.to_string()).collect();
        let picture = decode(&templates("Templates", &classes, &weight, [2, 2]).unwrap());
        assert_eq!(picture.dimensions(), (1600, 950));
        assert_eq!(picture[(60 + 2 * 300 + 100, 120 + 360 + 100)], diverging(1.0));
    }

    #[test]
    fn odd_weights_give_a_picture() {
        let zeros = templates("Zeros", &["a", "b"], &Tensor::zeros([2, 6]), [2, 3]).unwrap();
        assert_eq!(decode(&zeros).dimensions(), (1600, 590));
        let nan = templates("NaN", &["a"], &Tensor::full([1, 4], f32::NAN), [2, 2]).unwrap();
        assert_eq!(count(&decode(&nan), NOT_A_NUMBER), 280 * 280);
    }

    #[test]
    fn weights_must_have_the_classes_and_the_size() {
        let error = templates("Templates", &["a"], &Tensor::zeros([1, 5]), [2, 2]).unwrap_err();
        assert_eq!(error.to_string(), "templates: expected weights of shape [1, 2*2], not empty, got [1, 5]");
        assert!(templates("Templates", &[] as &[&str], &Tensor::zeros([0, 4]), [2, 2]).is_err());
    }
}
