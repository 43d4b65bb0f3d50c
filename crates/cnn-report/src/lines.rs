//! Charts of lines side by side.

use crate::PictureError;
use crate::canvas::{Canvas, LABEL, Rect, TITLE};
use crate::chart::{Panel, Scale, Series};
use crate::color::{FADED, PAPER, SERIES, mix};

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The words above it.
    pub heading: String,
    /// What the lines have to their right.
    pub x: X,
    /// What the lines are of.
    pub y: Y,
    /// The lines.
    pub lines: Vec<Line>,
}

/// The axis to the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum X {
    /// Epochs, evenly.
    Epochs,
    /// Learning rates, logarithmically.
    LearningRates,
    /// Passes of an ensemble, logarithmically.
    Passes,
    /// Training images of each class, logarithmically.
    ImagesPerClass,
}

/// The axis upwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Y {
    /// Losses: logarithmic where they fall to a tenth or less.
    Loss,
    /// Losses on an even axis.
    EvenLoss,
    /// Per cent.
    Percent,
    /// Per cent, all from 0 to 100.
    WholePercent,
}

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// The number of its colour, from 0 to 3.
    pub color: usize,
    /// Whether its colour is a pale one.
    pub pale: bool,
    /// Points, from left to right; those that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}

/// The most charts of a picture.
const MOST: usize = 3;

/// One to three charts side by side, under a title and a line of notes. Lines are named at their ends, with their last values;
/// those over learning rates, and those of three charts, in a line below the notes.
///
/// A PNG of 1600 x 850 pixels.
///
/// # Errors
/// There are more than three charts, or a chart cannot be drawn or encoded.
pub fn lines(title: &str, note: &str, charts: &[Chart]) -> Result<Vec<u8>, PictureError> {
    if charts.len() > MOST {
        return Err(PictureError::Data {
            picture: "lines",
            expected: format!("at most {MOST} charts"),
            got: charts.len().to_string(),
        });
    }
    let mut canvas = Canvas::new(1600, 850);
    let width = 1480.0;
    canvas.text(60.0, 60.0, TITLE.fit(title, width), title);
    canvas.text(60.0, 112.0, LABEL.colored(FADED).fit(note, width), note);
    let named_in_line = charts.len() == MOST || charts.iter().any(|chart| chart.x == X::LearningRates);
    if let Some(first) = charts.first().filter(|_| named_in_line) {
        let mut x = 60.0;
        for line in &first.lines {
            let style = LABEL.colored(line.rgb());
            canvas.fill(Rect { x: x as u32, y: 154, w: 36, h: 6 }, line.rgb());
            canvas.text(x + 46.0, 157.0, style, &line.name);
            x += style.width(&line.name) + 90.0;
        }
    }
    for (i, chart) in (0..).zip(charts) {
        let plot = match named_in_line {
            true => Rect { x: 130 + i * 510, y: 290, w: 400, h: 440 },
            false if charts.len() == 1 => Rect { x: 130, y: 290, w: 1100, h: 440 },
            false => Rect { x: 130 + i * 740, y: 290, w: 390, h: 440 },
        };
        chart.panel(!named_in_line).draw(&mut canvas, plot)?;
    }
    canvas.png()
}

impl Line {
    fn rgb(&self) -> image::Rgb<u8> {
        let color = SERIES[self.color % SERIES.len()];
        if self.pale { mix(color, PAPER, 0.55) } else { color }
    }
}

impl Chart {
    fn panel(&self, named: bool) -> Panel {
        let finite = |line: &Line| {
            line.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
        };
        let series: Vec<Series> = self
            .lines
            .iter()
            .map(|line| Series { name: line.name.clone(), color: line.rgb(), points: finite(line) })
            .collect();
        let (x, x_label) = match self.x {
            X::Epochs => (Scale::Linear, "epoch"),
            X::LearningRates => (Scale::Logarithmic, "learning rate"),
            X::Passes => (Scale::Logarithmic, "passes"),
            X::ImagesPerClass => (Scale::Logarithmic, "training images of each class"),
        };
        let last: fn(f64) -> String = match self.y {
            Y::Loss | Y::EvenLoss => |loss| format!("{loss:.3}"),
            Y::Percent | Y::WholePercent => |part| format!("{part:.1}"),
        };
        Panel {
            heading: self.heading.clone(),
            x,
            x_label,
            y: if self.y == Y::Loss { Scale::for_loss(&series) } else { Scale::Linear },
            y_range: (self.y == Y::WholePercent).then_some((0.0, 100.0)),
            last: named.then_some(last),
            series,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::{BLUE, VERMILION};
    use crate::testing::{centre, count, decode};

    fn chart(x: X, y: Y, values: [f64; 2]) -> Chart {
        let line = |color: usize, value: f64| Line {
            name: format!("line {color}"),
            color,
            pale: false,
            points: vec![(0.001, value), (f64::NAN, 1.0), (0.1, value), (1.0, f64::INFINITY)],
        };
        Chart { heading: "Accuracy, %".into(), x, y, lines: vec![line(0, values[0]), line(1, values[1])] }
    }

    #[test]
    fn higher_values_are_drawn_higher_and_three_charts_fit() {
        let charts = vec![chart(X::LearningRates, Y::WholePercent, [20.0, 80.0]); 3];
        let picture = decode(&lines("Rates", "of a net", &charts).unwrap());
        assert_eq!(picture.dimensions(), (1600, 850));
        for i in 0..3 {
            let plot = image::imageops::crop_imm(&picture, 130 + i * 510, 290, 400, 440).to_image();
            let [low, high] = [BLUE, VERMILION].map(|color| centre(&plot, color)[1]);
            assert!((low - 0.8 * 440.0).abs() < 3.0 && (high - 0.2 * 440.0).abs() < 3.0, "{low} {high}");
        }
    }

    #[test]
    fn odd_data_give_a_picture_and_too_many_charts_an_error() {
        let empty = Chart { lines: vec![], ..chart(X::Epochs, Y::Loss, [1.0, 2.0]) };
        for charts in [vec![], vec![empty], vec![chart(X::Epochs, Y::Percent, [0.0, f64::NAN]); 2]] {
            assert_eq!(decode(&lines("Odd", "", &charts).unwrap()).height(), 850);
        }
        let many = vec![chart(X::Epochs, Y::Loss, [1.0, 2.0]); 4];
        assert_eq!(lines("", "", &many).unwrap_err().to_string(), "lines: expected at most 3 charts, got 4");
        let pale = Line { pale: true, ..many[0].lines[0].clone() };
        let charts = [Chart { lines: vec![pale], ..many[0].clone() }];
        assert_eq!(count(&decode(&lines("", "", &charts).unwrap()), BLUE), 0);
    }
}
