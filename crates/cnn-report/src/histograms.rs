//! Histograms in rows.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, Rect, TITLE};
use crate::color::{BLUE, FADED, GRID};

/// Histograms side by side, as of the layers of one network.
#[derive(Clone, Debug)]
pub struct HistogramRow {
    /// The words above them.
    pub heading: String,
    /// The histograms, all with the range of the picture.
    pub histograms: Vec<Histogram>,
}

/// How many values lie in each of equal parts of a range.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// The number of values in each part, from the lowest values on.
    pub counts: Vec<u64>,
    /// The words below it.
    pub caption: String,
}

/// Rows of histograms of values from `range[0]` to `range[1]`, under a title and a line of notes. The highest bar of each
/// histogram is as high as that of every other.
///
/// A PNG 1600 pixels wide: 1274 pixels high for five rows.
///
/// # Errors
/// The encoder fails.
pub fn histograms(
    title: &str,
    note: &str,
    range: [f64; 2],
    rows: &[HistogramRow],
) -> Result<Vec<u8>, PictureError> {
    const HEIGHT: u32 = 100;
    const STEP: u32 = HEIGHT + 122;
    const GAP: u32 = 14;

    let mut canvas = Canvas::new(1600, 164 + rows.len() as u32 * STEP);
    canvas.text(60.0, 60.0, TITLE.fit(title, 1480.0), title);
    canvas.text(60.0, 112.0, LABEL.colored(FADED).fit(note, 1480.0), note);
    for (i, row) in (0..).zip(rows) {
        let top = 200 + i * STEP;
        canvas.text(60.0, top as f32 - 26.0, HEADING.sized(29.0).fit(&row.heading, 1480.0), &row.heading);
        let count = row.histograms.len().max(1) as u32;
        let width = (1480 + GAP) / count - GAP;
        for (j, histogram) in (0..).zip(&row.histograms) {
            let plot = Rect { x: 60 + j * (width + GAP), y: top, w: width, h: HEIGHT };
            histogram.draw(&mut canvas, plot, range);
        }
    }
    canvas.png()
}

impl Histogram {
    fn draw(&self, canvas: &mut Canvas, plot: Rect, range: [f64; 2]) {
        let Rect { x, y, w, h } = plot;
        let most = self.counts.iter().copied().max().unwrap_or(0).max(1);
        let edge = |i: usize| x + (i as u64 * u64::from(w) / self.counts.len().max(1) as u64) as u32;
        for (i, &count) in self.counts.iter().enumerate() {
            let height = (count as f64 / most as f64 * f64::from(h)).round() as u32;
            // A few values must be seen beside many.
            let height = if count > 0 { height.max(1) } else { 0 };
            canvas.fill(Rect { x: edge(i), y: y + h - height, w: edge(i + 1) - edge(i), h: height }, BLUE);
        }
        canvas.fill(Rect { x, y: y + h, w, h: 2 }, GRID);
        let [below, lowest] = [(y + h) as f32 + 18.0, (y + h) as f32 + 46.0];
        let small = LABEL.sized(20.0).colored(FADED);
        for (part, value) in [(0.0, range[0]), (0.5, (range[0] + range[1]) / 2.0), (1.0, range[1])] {
            let style = crate::canvas::Style { align: part, ..small };
            canvas.text(x as f32 + part * w as f32, below, style, &crate::grid::number(value as f32));
        }
        let caption = LABEL.sized(22.0).centred().fit(&self.caption, w as f32);
        canvas.text(x as f32 + w as f32 / 2.0, lowest, caption, &self.caption);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{count, decode};

    #[test]
    fn bars_are_in_proportion_and_the_highest_fills_the_height() {
        let histogram = Histogram { counts: vec![0, 30, 60, 0], caption: "layer 1".into() };
        let row = HistogramRow { heading: "one".into(), histograms: vec![histogram; 2] };
        let picture =
            decode(&histograms("Histograms", "of a net", [-1.0, 1.0], &[row.clone(), row]).unwrap());
        assert_eq!(picture.dimensions(), (1600, 164 + 2 * 222));
        let width = (1494 / 2 - 14) as usize;
        let expected = 4 * (width / 4) * (100 + 50);
        assert!(count(&picture, BLUE).abs_diff(expected) < 4 * 2 * 150, "{}", count(&picture, BLUE));
    }

    #[test]
    fn nothing_has_a_picture() {
        let empty = Histogram { counts: vec![], caption: String::new() };
        let zeros = Histogram { counts: vec![0; 5], ..empty.clone() };
        let rows = [vec![], vec![empty], vec![zeros; 40]]
            .map(|histograms| HistogramRow { heading: String::new(), histograms });
        assert_eq!(count(&decode(&histograms("", "", [0.0, 1.0], &rows).unwrap()), BLUE), 0);
        assert_eq!(decode(&histograms("", "", [0.0, 1.0], &[]).unwrap()).height(), 164);
    }
}
