//! Confusion matrices.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, Rect, TITLE};
use crate::color::{BLUE, FADED, GRID, PAPER, legible_on, mix};
use image::Rgb;

/// The confusion matrix: `counts[truth * k + predicted]` images, of `k` classes.
///
/// Rows are true classes and columns predicted ones. Each cell is coloured by its share of the images of its row, hits
/// and mistakes on the same logarithmic scale, so that one mistake in a thousand can be seen. The picture names the
/// scale. The accuracy of each class is written at the right of its row.
///
/// A PNG of 1600 x 1500 pixels.
///
/// # Errors
/// `counts` is not a square of the classes, there are no classes, or the encoder fails.
pub fn confusion(title: &str, classes: &[impl AsRef<str>], counts: &[u64]) -> Result<Vec<u8>, PictureError> {
    let k = classes.len();
    if k == 0 || counts.len() != k * k {
        return Err(PictureError::Data {
            picture: "confusion",
            expected: format!("a count for each pair of {k} classes, of at least one class"),
            got: format!("{} counts", counts.len()),
        });
    }
    let mut canvas = Canvas::new(1600, 1500);
    canvas.text(60.0, 60.0, TITLE, title);
    let right: u64 = (0..k).map(|i| counts[i * k + i]).sum();
    let total: u64 = counts.iter().sum();
    let summary = format!("{right} of {total} right: {}", percent(right, total));
    canvas.text(60.0, 112.0, LABEL.colored(FADED), &summary);

    let cell = 1080 / k as u32;
    let (left, top) = (250, 240);
    let (end, bottom) = (left + cell * k as u32, top + cell * k as u32);
    let middle = |i: usize| i as f32 * cell as f32 + cell as f32 / 2.0;
    let gap = (cell / 40).max(1);

    canvas.text(left as f32 - 24.0, top as f32 - 30.0, HEADING.right(), "true");
    canvas.text((left + end) as f32 / 2.0, top as f32 - 76.0, HEADING.centred(), "predicted");
    canvas.text(end as f32 + 24.0, top as f32 - 30.0, HEADING, "accuracy");
    let name = |class: usize| classes[class].as_ref();
    // All columns in the size that the longest name needs.
    let column = (0..k).fold(LABEL.sized(30.0).centred(), |style, i| style.fit(name(i), cell as f32 * 0.96));
    for i in 0..k {
        canvas.text(left as f32 + middle(i), top as f32 - 30.0, column, name(i));
        let row = LABEL.sized(30.0).right().fit(name(i), left as f32 - 60.0);
        canvas.text(left as f32 - 24.0, top as f32 + middle(i), row, name(i));
    }
    for (truth, row) in counts.chunks(k).enumerate() {
        let images: u64 = row.iter().sum();
        for (predicted, &count) in row.iter().enumerate() {
            let color = cell_color(count, images);
            let (x, y) = (left + cell * predicted as u32, top + cell * truth as u32);
            canvas.fill(Rect { x, y, w: cell - gap, h: cell - gap }, color);
            let ink = if count == 0 { mix(GRID, FADED, 0.4) } else { legible_on(color) };
            let text = count.to_string();
            let style = LABEL.sized((cell as f32 * 0.4).min(32.0)).colored(ink).centred();
            let centre = (cell - gap) as f32 / 2.0;
            canvas.text(x as f32 + centre, y as f32 + centre, style.fit(&text, cell as f32 * 0.86), &text);
        }
        let accuracy = percent(row[truth], images);
        canvas.text(end as f32 + 24.0, top as f32 + middle(truth), LABEL.sized(30.0), &accuracy);
    }
    legend(&mut canvas, left, bottom + 40);
    canvas.png()
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "no images".into();
    }
    format!("{:.2} %", 100.0 * part as f64 / whole as f64)
}

/// Smaller shares have the colour of this one.
const FAINTEST: f32 = 1e-4;

fn cell_color(count: u64, images: u64) -> Rgb<u8> {
    if count == 0 { NO_IMAGES } else { share_color(count as f32 / images as f32) }
}

/// The colour of a cell without images: almost the paper's.
const NO_IMAGES: Rgb<u8> = Rgb([245, 246, 248]);

/// The colour of a share, 0 to 1: its logarithm makes it darker.
fn share_color(share: f32) -> Rgb<u8> {
    mix(PAPER, BLUE, 0.12 + 0.88 * (1.0 - share.max(FAINTEST).log10() / FAINTEST.log10()))
}

/// Names the scale of the colours, and draws a box for each of its steps.
fn legend(canvas: &mut Canvas, x: u32, y: u32) {
    const BOX: Rect = Rect { x: 0, y: 0, w: 88, h: 30 };
    const STEPS: [(f32, &str); 5] =
        [(1e-4, "0.01 %"), (1e-3, "0.1 %"), (1e-2, "1 %"), (1e-1, "10 %"), (1.0, "100 %")];
    canvas.text(x as f32, y as f32 + 15.0, LABEL, "share of the row, logarithmic scale");
    let steps = STEPS.map(|(share, label)| (share_color(share), label));
    for (i, (color, label)) in (0..).zip([(NO_IMAGES, "none")].into_iter().chain(steps)) {
        let at = Rect { x: x + 480 + i * (BOX.w + 4), y, ..BOX };
        canvas.fill(at, color);
        let style = LABEL.sized(22.0).colored(legible_on(color)).centred();
        canvas.text(at.x as f32 + BOX.w as f32 / 2.0, y as f32 + 15.0, style, label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::decode;

    /// A pixel in the corner of a cell, clear of its text.
    fn corner(k: u32, truth: u32, predicted: u32) -> (u32, u32) {
        let cell = 1080 / k;
        (250 + cell * predicted + 3, 240 + cell * truth + 3)
    }

    #[test]
    fn rows_are_the_truth_and_columns_the_prediction() {
        // Class 0 is often taken for class 2, and never the other way round.
        let picture =
            decode(&confusion("Confusion", &["a", "b", "c"], &[90, 0, 10, 0, 50, 0, 0, 0, 70]).unwrap());
        assert_eq!(picture.dimensions(), (1600, 1500));
        assert_eq!(picture[corner(3, 0, 2)], share_color(0.1));
        assert_eq!(picture[corner(3, 2, 0)], NO_IMAGES);
        assert_eq!(picture[corner(3, 0, 0)], share_color(0.9));
        assert_eq!(picture[corner(3, 1, 1)], BLUE, "the strongest colour is a class that is always right");
    }

    #[test]
    fn hits_and_mistakes_are_drawn_on_one_scale() {
        // One image in ten of each class is right, and one in ten is taken for the other class.
        let counts = [1, 1, 8, 1, 1, 8, 0, 0, 10];
        let picture = decode(&confusion("Confusion", &["a", "b", "c"], &counts).unwrap());
        let [hit, mistake] = [(1, 1), (1, 0)].map(|(truth, predicted)| picture[corner(3, truth, predicted)]);
        assert_eq!(hit, mistake);
    }

    #[test]
    fn one_mistake_in_ten_thousand_differs_from_none() {
        let difference = |a: Rgb<u8>, b: Rgb<u8>| (0..3).map(|i| a[i].abs_diff(b[i])).max().unwrap();
        assert!(difference(share_color(FAINTEST), NO_IMAGES) > 10);
        assert!(difference(share_color(1e-2), share_color(1e-3)) > 30);
    }

    #[test]
    fn odd_matrices_give_a_picture() {
        let one = confusion("One class", &["only"], &[7]).unwrap();
        let zeros = confusion("Nothing", &["a", "b"], &[0; 4]).unwrap();
        let names: Vec<String> = (0..20).map(|i| format!("class number {i}")).collect();
        let many = confusion("Many", &names, &[u64::MAX / 400; 400]).unwrap();
        for png in [one, zeros, many] {
            assert_eq!(decode(&png).dimensions(), (1600, 1500));
        }
    }

    #[test]
    fn counts_must_fill_the_square() {
        let error = confusion("Confusion", &["a", "b"], &[1, 2, 3]).unwrap_err();
        let expected =
            "confusion: expected a count for each pair of 2 classes, of at least one class, got 3 counts";
        assert_eq!(error.to_string(), expected);
        assert!(confusion("Confusion", &[] as &[&str], &[]).is_err());
    }
}
