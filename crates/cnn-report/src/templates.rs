//! The weights of a linear classifier, drawn as images.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, Rect, TITLE};
use crate::color::{FADED, NOT_A_NUMBER, gray};
use crate::raster::{Signed, plane};
use cnn_tensor::Tensor;
use image::{Rgb, RgbImage};

/// The weights W of f(x, W) = Wx + b, one image for each class; all images share one scale.
///
/// `weight` has the shape `[classes, c*h*w]`, and `shape` is `[c, h, w]` with one channel or three. Of gray images, a pixel of a
/// template is red where a bright pixel raises the score of the class, and blue where it lowers it. Of colour images, a template
/// has the weights of red, green and blue as a colour, zero as mid-gray: the class likes images of the template's colours.
///
/// A PNG 1600 pixels wide, of five images a row: 950 pixels high for ten classes.
///
/// # Errors
/// `weight` has another shape or no elements, there are other than one or three channels, or the encoder fails.
pub fn templates(
    title: &str,
    classes: &[impl AsRef<str>],
    weight: &Tensor,
    shape: [usize; 3],
) -> Result<Vec<u8>, PictureError> {
    const COLUMNS: u32 = 5;
    const SIDE: u32 = 280;
    const STEP: [u32; 2] = [SIDE + 20, SIDE + 80];

    let [c, h, w] = shape;
    let fits = weight.shape().dims() == [classes.len(), c * h * w] && !weight.data().is_empty();
    if !fits || ![1, 3].contains(&c) {
        return Err(PictureError::Data {
            picture: "templates",
            expected: format!(
                "weights of shape [{}, {c}*{h}*{w}], not empty, of 1 or 3 channels",
                classes.len()
            ),
            got: weight.shape().to_string(),
        });
    }
    let rows = (classes.len() as u32).div_ceil(COLUMNS);
    let mut canvas = Canvas::new(1600, 230 + rows * STEP[1]);
    canvas.text(60.0, 60.0, TITLE, title);
    let scale = Signed::of(weight.data());
    let templates = weight.data().chunks(c * h * w);
    for (i, (template, class)) in (0..).zip(templates.zip(classes)) {
        let (x, y) = (60 + i % COLUMNS * STEP[0], 120 + i / COLUMNS * STEP[1]);
        let image = match c {
            1 => plane(template, [h, w], |weight| scale.color(weight)),
            _ => colored(template, [h, w], scale),
        };
        canvas.image(Rect { x, y, w: SIDE, h: SIDE }, &image);
        let name = class.as_ref();
        let style = HEADING.centred().fit(name, SIDE as f32);
        canvas.text((x + SIDE / 2) as f32, (y + SIDE) as f32 + 34.0, style, name);
    }
    let y = 130 + rows * STEP[1];
    let mut note = |text: &str| canvas.text(60.0, y as f32 + 12.0, LABEL.colored(FADED), text);
    if c == 3 {
        note(
            "weights of red, green and blue as colours; mid-gray is 0: colours of the template raise the score of its class",
        );
        return canvas.png();
    }
    note("weight: blue lowers the score of the class, red raises it");
    scale.legend(&mut canvas, Rect { x: 1040, y, w: 500, h: 24 });
    canvas.png()
}

/// Three planes of weights as one image: zero is mid-gray, and the largest weight of any template 0 or 255.
fn colored(template: &[f32], [h, w]: [usize; 2], scale: Signed) -> RgbImage {
    RgbImage::from_fn(w as u32, h as u32, |x, y| {
        let at = |channel: usize| scale.unit(template[(channel * h + y as usize) * w + x as usize]);
        let channels = [0, 1, 2].map(at);
        match channels.iter().any(|unit| unit.is_nan()) {
            true => NOT_A_NUMBER,
            false => Rgb(channels.map(|unit| gray(0.5 + 0.5 * unit)[0])),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::diverging;
    use crate::testing::{count, decode};

    #[test]
    fn positive_weights_are_red_negative_blue_and_nothing_is_mirrored() {
        // One class, 2 x 2: positive at the top right, negative at the bottom left.
        let weight = Tensor::from_vec([1, 4], vec![0.0, 0.5, -0.5, 0.0]).unwrap();
        let picture = decode(&templates("Templates", &["one"], &weight, [1, 2, 2]).unwrap());
        assert_eq!(picture[(60 + 210, 120 + 70)], diverging(1.0));
        assert_eq!(picture[(60 + 70, 120 + 210)], diverging(-1.0));
        assert_eq!(picture[(60 + 70, 120 + 70)], diverging(0.0));
    }

    #[test]
    fn weights_of_three_channels_are_a_colour() {
        // Red raises the score at the left, blue lowers it at the right.
        let weight = Tensor::from_vec([1, 6], vec![0.5, 0.0, 0.0, 0.0, 0.0, -0.5]).unwrap();
        let picture = decode(&templates("Templates", &["one"], &weight, [3, 1, 2]).unwrap());
        assert_eq!(picture[(60 + 70, 120 + 140)], Rgb([255, 128, 128]));
        assert_eq!(picture[(60 + 210, 120 + 140)], Rgb([128, 128, 0]));
        assert!(templates("", &["a"], &Tensor::zeros([1, 8]), [2, 2, 2]).is_err());
    }

    #[test]
    fn classes_fill_rows_of_five() {
        let mut weight = Tensor::zeros([10, 4]);
        weight.data_mut()[7 * 4..8 * 4].fill(1.0); // second row, third column
        let classes: Vec<String> = (0..10).map(|class| class.to_string()).collect();
        let picture = decode(&templates("Templates", &classes, &weight, [1, 2, 2]).unwrap());
        assert_eq!(picture.dimensions(), (1600, 950));
        assert_eq!(picture[(60 + 2 * 300 + 100, 120 + 360 + 100)], diverging(1.0));
    }

    #[test]
    fn odd_weights_give_a_picture() {
        let zeros = templates("Zeros", &["a", "b"], &Tensor::zeros([2, 6]), [1, 2, 3]).unwrap();
        assert_eq!(decode(&zeros).dimensions(), (1600, 590));
        let nan = templates("NaN", &["a"], &Tensor::full([1, 4], f32::NAN), [1, 2, 2]).unwrap();
        assert_eq!(count(&decode(&nan), NOT_A_NUMBER), 280 * 280);
    }

    #[test]
    fn weights_must_have_the_classes_and_the_size() {
        let error = templates("Templates", &["a"], &Tensor::zeros([1, 5]), [1, 2, 2]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "templates: expected weights of shape [1, 1*2*2], not empty, of 1 or 3 channels, got [1, 5]"
        );
        assert!(templates("Templates", &[] as &[&str], &Tensor::zeros([0, 4]), [1, 2, 2]).is_err());
    }
}
