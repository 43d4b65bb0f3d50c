//! A pooling of small numbers, window by window.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, TITLE};
use crate::color::{FADED, GRID, INK, PAPER};
use crate::grid::{Cell, Grid, number};
use cnn_tensor::Tensor;
use image::Rgb;

/// A max pooling of one plane, without padding.
#[derive(Clone, Debug)]
pub struct Pooled {
    /// The input, `[1, 1, h, w]`.
    pub image: Tensor,
    /// Height and width of a window.
    pub kernel: [usize; 2],
    /// Rows and columns from one window to the next.
    pub stride: [usize; 2],
    /// The output, `[1, 1, oh, ow]`.
    pub output: Tensor,
    /// For each number of the output, the position of the maximum in the input, `row * w + column`.
    pub winners: Vec<u32>,
}

/// The input and the output of a max pooling. Windows that do not overlap have colours, their numbers in the output the same;
/// the largest number of each window is framed.
///
/// A PNG 1600 pixels wide.
///
/// # Errors
/// The shapes do not fit each other, or the encoder fails.
pub fn pooling(title: &str, pooled: &Pooled) -> Result<Vec<u8>, PictureError> {
    let Pooled { image, kernel, stride, output, winners } = pooled;
    let plane = |tensor: &Tensor| tensor.shape().nchw().filter(|[n, c, h, w]| n * c == 1 && h * w > 0);
    let fits = winners.len() == output.data().len() && !kernel.contains(&0) && !stride.contains(&0);
    let (Some([_, _, h, w]), Some([_, _, oh, ow])) = (plane(image), plane(output).filter(|_| fits)) else {
        return Err(PictureError::Data {
            picture: "pooling",
            expected: "an input and an output of shape [1, 1, h, w], with a winner for each number".into(),
            got: format!("{}, {} and {} winners", image.shape(), output.shape(), winners.len()),
        });
    };
    let side = (1300 / (w + ow) as u32).clamp(12, 96);
    let mut canvas = Canvas::new(1600, 270 + h.max(oh) as u32 * side);
    let size = |[rows, columns]: [usize; 2]| format!("{rows} x {columns}");
    let note = format!(
        "input {}, windows {}, stride {}: output {}",
        size([h, w]),
        size(*kernel),
        if stride[0] == stride[1] { stride[0].to_string() } else { size(*stride) },
        size([oh, ow])
    );
    canvas.text(60.0, 60.0, TITLE.fit(title, 1480.0), title);
    canvas.text(60.0, 112.0, LABEL.colored(FADED), &note);
    let apart = (0..2).all(|i| stride[i] >= kernel[i]);
    let color = |row: usize, column: usize| if apart { WINDOWS[(row + 2 * column) % 5] } else { PAPER };

    let input = Grid { at: [60, 220], columns: w, cell: [side; 2] };
    canvas.text(60.0, 188.0, HEADING.sized(28.0), "input");
    let cells = image.data().iter().enumerate().map(|(i, &value)| {
        let [row, column] = [i / w, i % w];
        let (window, tap) = ([row / stride[0], column / stride[1]], [row % stride[0], column % stride[1]]);
        let seen = window[0] < oh && window[1] < ow && tap[0] < kernel[0] && tap[1] < kernel[1];
        Cell::new(if seen { color(window[0], window[1]) } else { PAPER }, number(value))
    });
    input.draw(&mut canvas, cells);
    input.frame(&mut canvas, 0..h, 0..w, GRID, 1);
    for &winner in winners.iter().filter(|&&winner| (winner as usize) < h * w) {
        let [row, column] = [winner as usize / w, winner as usize % w];
        input.frame(&mut canvas, row..row + 1, column..column + 1, INK, 3);
    }

    let x = 60 + w as u32 * side + 120;
    let result = Grid { at: [x, 220], columns: ow, cell: [side; 2] };
    canvas.text(x as f32, 188.0, HEADING.sized(28.0), "largest of each window");
    let cells = output.data().iter().enumerate();
    result.draw(&mut canvas, cells.map(|(i, &value)| Cell::new(color(i / ow, i % ow), number(value))));
    result.frame(&mut canvas, 0..oh, 0..ow, GRID, 1);
    canvas.png()
}

/// Colours of windows side by side: pale ones of Okabe and Ito.
const WINDOWS: [Rgb<u8>; 5] = [
    Rgb([250, 205, 180]),
    Rgb([178, 216, 240]),
    Rgb([252, 236, 170]),
    Rgb([178, 226, 208]),
    Rgb([232, 206, 226]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{count, decode};

    fn example() -> Pooled {
        Pooled {
            image: Tensor::from_slice([1, 1, 2, 4], &[1.0, 5.0, 2.0, 0.0, 3.0, 4.0, 8.0, 6.0]).unwrap(),
            kernel: [2, 2],
            stride: [2, 2],
            output: Tensor::from_slice([1, 1, 1, 2], &[5.0, 8.0]).unwrap(),
            winners: vec![1, 6],
        }
    }

    #[test]
    fn a_window_and_its_maximum_have_one_colour() {
        let picture = decode(&pooling("Pooling", &example()).unwrap());
        let side = 96;
        let at = |x: u32, row: u32, column: u32| picture[(x + column * side + 12, 220 + row * side + 12)];
        let output = 60 + 4 * side + 120;
        assert_eq!([at(60, 0, 0), at(60, 1, 1), at(output, 0, 0)], [WINDOWS[0]; 3]);
        assert_eq!([at(60, 0, 2), at(60, 1, 3), at(output, 0, 1)], [WINDOWS[2]; 3]);
    }

    #[test]
    fn windows_that_overlap_are_white_and_misfits_are_errors() {
        let overlapping = Pooled { stride: [1, 1], ..example() };
        let picture = decode(&pooling("", &overlapping).unwrap());
        assert_eq!(WINDOWS.map(|color| count(&picture, color)), [0; 5]);
        let nothing = Pooled { winners: vec![u32::MAX; 2], ..example() };
        assert!(pooling("", &nothing).is_ok(), "a window without a maximum");
        for wrong in [
            Pooled { winners: vec![], ..example() },
            Pooled { image: Tensor::zeros([2, 4]), ..example() },
            Pooled { stride: [0, 2], ..example() },
        ] {
            assert!(pooling("", &wrong).unwrap_err().to_string().starts_with("pooling: expected"));
        }
    }
}
