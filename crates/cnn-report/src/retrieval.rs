//! Images, each with those of an index that are nearest to it.

use crate::canvas::{Canvas, HEADING, LABEL, Rect, TITLE};
use crate::color::{BLUE, FADED, GRID, VERMILION, mix};
use crate::{PictureError, Sample, color};
use image::RgbImage;

/// A query and its nearest images.
#[derive(Clone, Debug)]
pub struct Retrieval {
    /// The query.
    pub query: Sample,
    /// The images found, the nearest first.
    pub nearest: Vec<Retrieved>,
}

/// An image that was found.
#[derive(Clone, Debug)]
pub struct Retrieved {
    /// Its pixels; an image without pixels is drawn as an empty frame.
    pub image: RgbImage,
    /// Its class or name.
    pub label: String,
    /// Its distance to the query.
    pub distance: f64,
    /// Whether it has the query's class, if both are known.
    pub agrees: Option<bool>,
}

/// Draws each query at the left of a row and its nearest images beside it, eight in a line, with their distances, as figure 4 of
/// Krizhevsky et al. (2012) does. A stroke below an image is blue if it has the query's class, and vermilion if it has another.
///
/// A PNG 1600 pixels wide and as high as its rows need.
///
/// # Errors
/// The encoder fails.
pub fn retrieval(title: &str, facts: &str, rows: &[Retrieval]) -> Result<Vec<u8>, PictureError> {
    const COLUMNS: u32 = 8;
    const SIDE: u32 = 140;
    const STEP: [u32; 2] = [SIDE + 22, SIDE + 84];
    const LEFT: u32 = 60;
    const NEAREST: u32 = 260;
    const TOP: u32 = 230;

    let lines = |row: &Retrieval| (row.nearest.len() as u32).div_ceil(COLUMNS).max(1);
    let mut canvas = Canvas::new(1600, TOP + rows.iter().map(lines).sum::<u32>() * STEP[1] + 20);
    canvas.text(LEFT as f32, 60.0, TITLE.fit(title, 1480.0), title);
    canvas.text(LEFT as f32, 112.0, LABEL.colored(FADED).fit(facts, 1480.0), facts);
    canvas.text((LEFT + SIDE / 2) as f32, TOP as f32 - 34.0, HEADING.centred(), "query");
    canvas.text(NEAREST as f32, TOP as f32 - 34.0, HEADING, "its nearest images");
    if rows.iter().flat_map(|row| &row.nearest).any(|image| image.agrees.is_some()) {
        for (x, color, words) in [(1130, BLUE, "same class"), (1330, VERMILION, "another class")] {
            canvas.fill(Rect { x, y: TOP - 36, w: 30, h: 6 }, color);
            canvas.text((x + 42) as f32, TOP as f32 - 33.0, LABEL.sized(23.0), words);
        }
    }
    let mut y = TOP;
    for row in rows {
        let mut place = |x: u32, y: u32, image: &RgbImage, label: &str| {
            let at = Rect { x, y, w: SIDE, h: SIDE };
            if image.width() == 0 {
                canvas.fill(at, mix(color::PAPER, GRID, 0.5));
            }
            canvas.image(at, image);
            let style = LABEL.sized(23.0).centred().fit(label, STEP[0] as f32 - 8.0);
            canvas.text((x + SIDE / 2) as f32, (y + SIDE + 24) as f32, style, label);
        };
        place(LEFT, y, &row.query.image, &row.query.label);
        for (i, found) in (0..).zip(&row.nearest) {
            let (x, y) = (NEAREST + i % COLUMNS * STEP[0], y + i / COLUMNS * STEP[1]);
            place(x, y, &found.image, &found.label);
        }
        for (i, found) in (0..).zip(&row.nearest) {
            let (x, y) = (NEAREST + i % COLUMNS * STEP[0], y + i / COLUMNS * STEP[1]);
            if let Some(agrees) = found.agrees {
                let color = if agrees { BLUE } else { VERMILION };
                canvas.fill(Rect { x, y: y + SIDE + 3, w: SIDE, h: 6 }, color);
            }
            let style = LABEL.sized(21.0).colored(FADED).centred();
            canvas.text((x + SIDE / 2) as f32, (y + SIDE + 50) as f32, style, &distance(found.distance));
        }
        canvas.fill(Rect { x: NEAREST - 34, y, w: 1, h: lines(row) * STEP[1] - 24 }, GRID);
        y += lines(row) * STEP[1];
    }
    canvas.png()
}

/// Three digits that count.
fn distance(distance: f64) -> String {
    match distance {
        d if d == 0.0 || (0.001..10.0).contains(&d) => format!("{d:.3}"),
        d if (10.0..10_000.0).contains(&d) => format!("{d:.1}"),
        d => format!("{d:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{count, decode};
    use image::Rgb;

    fn row(found: usize) -> Retrieval {
        let image = |color| RgbImage::from_pixel(4, 4, color);
        let found = (0..found).map(|i| Retrieved {
            image: image(Rgb([255, 0, 0])),
            label: "a class with a rather long name".into(),
            distance: i as f64 / 7.0,
            agrees: Some(i % 2 == 0),
        });
        Retrieval {
            query: Sample { image: image(Rgb([0, 255, 0])), label: "7".into() },
            nearest: found.collect(),
        }
    }

    #[test]
    fn every_image_is_there_once_and_agreement_is_marked() {
        let picture = decode(&retrieval("Nearest", "of 100", &[row(5), row(9)]).unwrap());
        assert_eq!((picture.width(), picture.height()), (1600, 250 + 3 * 224));
        assert_eq!(count(&picture, Rgb([255, 0, 0])), 14 * 140 * 140);
        assert_eq!(count(&picture, Rgb([0, 255, 0])), 2 * 140 * 140);
        // Three and five agree; a stroke of the legend is 30 pixels long.
        assert_eq!(count(&picture, BLUE), (8 * 140 + 30) * 6);
        assert_eq!(count(&picture, VERMILION), (6 * 140 + 30) * 6);
    }

    #[test]
    fn missing_images_and_no_queries_have_a_sheet() {
        let mut gone = row(1);
        gone.nearest[0] = Retrieved { image: RgbImage::new(0, 0), agrees: None, ..gone.nearest[0].clone() };
        let picture = decode(&retrieval("Nearest", "of 100", &[gone]).unwrap());
        assert_eq!(count(&picture, BLUE) + count(&picture, VERMILION), 0, "no legend");
        assert_eq!(decode(&retrieval("", "", &[]).unwrap()).height(), 250);
    }

    #[test]
    fn distances_are_short() {
        let texts = [0.0, 0.01234, 2.71234, 123.456, 1e-7, 1e9].map(distance);
        assert_eq!(texts, ["0.000", "0.012", "2.712", "123.5", "1.0e-7", "1.0e9"]);
    }
}
