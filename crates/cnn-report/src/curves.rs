//! Loss and accuracy over the epochs of a training run.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, OVERSAMPLING, Rect, TITLE};
use crate::color::{BLUE, FADED, GRID, VERMILION};
use cnn_nn::EpochReport;
use image::Rgb;
use plotters::prelude::{ChartBuilder, Circle, Color, LineSeries, PathElement, RGBColor};

/// Two charts over the epochs: the loss, and the first other metric, an accuracy in per cent. The values after the last
/// epoch are written at the ends of the lines. `held_out` names the images that are not trained on: `test` or `validation`.
/// A loss that falls to a tenth or less is drawn on a logarithmic axis, which the chart names. Values that are infinite or
/// not a number are left out.
///
/// A PNG of 1600 x 800 pixels.
///
/// # Errors
/// The chart cannot be drawn or encoded.
pub fn curves(title: &str, rows: &[EpochReport], held_out: &str) -> Result<Vec<u8>, PictureError> {
    let mut canvas = Canvas::new(1600, 800);
    canvas.text(60.0, 60.0, TITLE, title);

    let losses = series(rows, "loss", 1.0, held_out);
    let loss = Panel {
        heading: "Loss".into(),
        scale: Scale::for_loss(&losses),
        value: |loss| format!("{loss:.4}"),
        series: losses,
    };
    loss.draw(&mut canvas, Rect { x: 140, y: 220, w: 460, h: 460 })?;
    metric(rows, held_out).draw(&mut canvas, Rect { x: 940, y: 220, w: 460, h: 460 })?;
    canvas.png()
}

/// The chart of the first metric besides the loss.
fn metric(rows: &[EpochReport], held_out: &str) -> Panel {
    let names = rows.first().into_iter().flat_map(|row| row.metrics.names());
    let names = names.filter_map(|name| name.strip_prefix("test_"));
    let name = names.into_iter().find(|name| *name != "loss").unwrap_or("accuracy");
    if name != "accuracy" {
        let (scale, value) = (Scale::Linear, |value: f64| format!("{value:.4}"));
        return Panel { heading: name.into(), scale, value, series: series(rows, name, 1.0, held_out) };
    }
    Panel {
        heading: "Accuracy, %".into(),
        scale: Scale::Linear,
        value: |accuracy| format!("{accuracy:.2}"),
        series: series(rows, name, 100.0, held_out),
    }
}

/// One line of a chart.
struct Series {
    name: String,
    color: Rgb<u8>,
    /// Epoch and value, finite values only.
    points: Vec<(usize, f64)>,
}

/// The metric of training and of test examples, times `scale`.
fn series(rows: &[EpochReport], metric: &str, scale: f64, held_out: &str) -> [Series; 2] {
    let points = |value: &dyn Fn(&EpochReport) -> Option<f64>| {
        let points = rows.iter().filter_map(|row| Some((row.epoch, scale * value(row)?)));
        points.filter(|(_, value)| value.is_finite()).collect()
    };
    [
        Series { name: "training".into(), color: BLUE, points: points(&|row| row.train(metric)) },
        Series { name: held_out.into(), color: VERMILION, points: points(&|row| row.test(metric)) },
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    Linear,
    /// Base 10, for positive values.
    Logarithmic,
}

impl Scale {
    fn for_loss(series: &[Series]) -> Self {
        let (min, max) = extent(series.iter().flat_map(|series| &series.points).map(|point| point.1));
        // A loss below 1e-9 is as good as zero, which a logarithmic scale cannot show.
        if min > 1e-9 && min * 10.0 <= max { Self::Logarithmic } else { Self::Linear }
    }

    /// The words below the heading of a chart whose axis is not the usual one.
    fn note(self) -> &'static str {
        match self {
            Self::Linear => "",
            Self::Logarithmic => "logarithmic axis",
        }
    }

    /// From a value to its place on the axis.
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => value.log10(),
        }
    }

    /// Round values from at most `min` to at least `max`, with their labels: the first and last end the axis.
    fn ticks(self, min: f64, max: f64) -> Vec<(f64, String)> {
        match self {
            Self::Linear => linear_ticks(min, max),
            Self::Logarithmic => logarithmic_ticks(min, max),
        }
    }
}

fn linear_ticks(min: f64, max: f64) -> Vec<(f64, String)> {
    // A flat line gets an axis that it ends: an accuracy of 100 % everywhere must not ask for more.
    let span = if max > min { max - min } else { (0.05 * max.abs()).max(1e-3) };
    let step = round_step(span / 5.0);
    let places = (-step.log10().floor()).max(0.0) as usize;
    let (first, last) = (((max - span).min(min) / step).floor() as i64, (max / step).ceil() as i64);
    (first..=last).map(|i| i as f64 * step).map(|tick| (tick, format!("{tick:.places$}"))).collect()
}

fn logarithmic_ticks(min: f64, max: f64) -> Vec<(f64, String)> {
    let decades = (min.log10().floor() as i32)..=(max.log10().ceil() as i32);
    let digits: &[u32] = if decades.clone().count() > 4 { &[1] } else { &[1, 2, 5] };
    let ticks: Vec<(f64, String)> = decades
        .flat_map(|decade| digits.iter().map(move |&digit| (decade, digit)))
        .map(|(decade, digit)| {
            let (tick, places) = (f64::from(digit) * 10f64.powi(decade), (-decade).max(0) as usize);
            (tick, if places > 4 { format!("{tick:e}") } else { format!("{tick:.places$}") })
        })
        .collect();
    let first = ticks.iter().rposition(|tick| tick.0 <= min).unwrap_or(0);
    let last = ticks.iter().position(|tick| tick.0 >= max).unwrap_or(ticks.len() - 1);
    ticks[first..=last].to_vec()
}

/// The smallest of 1, 2, 5, 10, 20, ... and 0.5, 0.2, ... that is at least `span`.
fn round_step(span: f64) -> f64 {
    let decade = 10f64.powf(span.log10().floor());
    decade * [1.0, 2.0, 5.0].into_iter().find(|digit| digit * decade >= span).unwrap_or(10.0)
}

fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| (min.min(value), max.max(value)))
}

/// A chart.
struct Panel {
    heading: String,
    series: [Series; 2],
    scale: Scale,
    /// Writes out a value.
    value: fn(f64) -> String,
}

impl Panel {
    fn draw(&self, canvas: &mut Canvas, plot: Rect) -> Result<(), PictureError> {
        let (left, top) = (plot.x as f32, plot.y as f32);
        canvas.text(left - 80.0, top - 82.0, HEADING, &self.heading);
        let points = || self.series.iter().flat_map(|series| &series.points);
        if points().next().is_none() {
            canvas.text(left - 80.0, top - 40.0, LABEL.colored(FADED), "no values to draw");
            return Ok(());
        }
        canvas.text(left - 80.0, top - 42.0, LABEL.colored(FADED), self.scale.note());

        let (min, max) = extent(points().map(|point| point.1));
        let y_ticks = self.scale.ticks(min, max);
        let (bottom_y, top_y) =
            (self.scale.place(y_ticks[0].0), self.scale.place(y_ticks[y_ticks.len() - 1].0));
        let (first, last) = extent(points().map(|point| point.0 as f64));
        let margin = 0.03 * (last - first) + 0.3;
        let (left_x, right_x) = (first - margin, last + margin);
        // From an epoch and a place on the axis to pixels of the picture.
        let at_x = |epoch: f64| left + ((epoch - left_x) / (right_x - left_x)) as f32 * plot.w as f32;
        let at_y = |place: f64| top + ((top_y - place) / (top_y - bottom_y)) as f32 * plot.h as f32;

        let area = canvas.chart_area();
        let area = area.shrink(
            ((plot.x * OVERSAMPLING) as i32, (plot.y * OVERSAMPLING) as i32),
            (plot.w * OVERSAMPLING, plot.h * OVERSAMPLING),
        );
        let mut chart = ChartBuilder::on(&area).build_cartesian_2d(left_x..right_x, bottom_y..top_y)?;
        chart.draw_series(y_ticks.iter().map(|(tick, _)| {
            let y = self.scale.place(*tick);
            PathElement::new([(left_x, y), (right_x, y)], rgb(GRID).stroke_width(OVERSAMPLING))
        }))?;
        for Series { color, points, .. } in &self.series {
            let points = || points.iter().map(|&(epoch, value)| (epoch as f64, self.scale.place(value)));
            chart.draw_series(LineSeries::new(points(), rgb(*color).stroke_width(3 * OVERSAMPLING)))?;
            chart.draw_series(
                points().map(|point| Circle::new(point, 5 * OVERSAMPLING, rgb(*color).filled())),
            )?;
        }
        drop((chart, area));

        for (tick, label) in &y_ticks {
            canvas.text(left - 14.0, at_y(self.scale.place(*tick)), LABEL.colored(FADED).right(), label);
        }
        for epoch in epoch_ticks(first as usize, last as usize) {
            let style = LABEL.colored(FADED).centred();
            canvas.text(at_x(epoch as f64), top + plot.h as f32 + 28.0, style, &epoch.to_string());
        }
        let below = top + plot.h as f32 + 66.0;
        canvas.text(left + plot.w as f32 / 2.0, below, LABEL.colored(FADED).centred(), "epoch");
        self.label_last_values(canvas, at_x(right_x) + 10.0, at_y);
        Ok(())
    }

    /// Names each line at its right end, the labels moved apart where the lines end close together.
    fn label_last_values(&self, canvas: &mut Canvas, x: f32, at_y: impl Fn(f64) -> f32) {
        const LINE: f32 = 32.0;
        let mut ends: Vec<(f32, &Series, f64)> = self
            .series
            .iter()
            .filter_map(|series| {
                series.points.last().map(|last| (at_y(self.scale.place(last.1)), series, last.1))
            })
            .collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let [upper, lower] = &mut ends[..] {
            let push = (LINE - (lower.0 - upper.0)).max(0.0) / 2.0;
            (upper.0, lower.0) = (upper.0 - push, lower.0 + push);
        }
        for (y, series, value) in ends {
            let text = format!("{} {}", series.name, (self.value)(value));
            canvas.text(x, y, LABEL.colored(series.color), &text);
        }
    }
}

/// At most nine whole, round epochs.
fn epoch_ticks(first: usize, last: usize) -> Vec<usize> {
    let step = round_step((last - first) as f64 / 8.0).max(1.0) as usize;
    (first.next_multiple_of(step)..=last).step_by(step).collect()
}

fn rgb(Rgb([r, g, b]): Rgb<u8>) -> RGBColor {
    RGBColor(r, g, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{centre, count, decode};

    fn row(epoch: usize, loss: f64, accuracy: f64) -> EpochReport {
        let metrics = [
            ("train_loss", loss),
            ("train_accuracy", accuracy),
            ("test_loss", 1.1 * loss),
            ("test_accuracy", 0.99 * accuracy),
            ("test_top5", 1.0),
        ];
        EpochReport { epoch, metrics: metrics.into_iter().collect() }
    }

    #[test]
    fn any_rows_give_a_picture() {
        let nan = || row(2, f64::NAN, f64::INFINITY);
        let own = || EpochReport {
            epoch: 1,
            metrics: [("train_loss", 1.0), ("test_iou", 0.5)].into_iter().collect(),
        };
        let cases: [&[EpochReport]; 9] = [
            &[own()],
            &[],
            &[row(1, 0.5, 0.8)],
            &[row(1, 0.5, 0.8), nan(), row(3, 0.1, 0.95)],
            &[nan()],
            &[row(1, f64::NAN, f64::NAN)],
            &[row(1, 0.0, 0.0), row(2, 0.0, 0.0)],
            &[row(1, 1e-30, 1.0), row(2, 1e30, 1.0)],
            &[row(1, 2.3, 0.1), row(100_000, 2.3, 0.1)],
        ];
        for rows in cases {
            assert_eq!(
                decode(&curves("Curves", rows, "test").unwrap()).dimensions(),
                (1600, 800),
                "{rows:?}"
            );
        }
    }

    #[test]
    fn a_higher_test_loss_and_a_lower_test_accuracy_are_drawn_so() {
        let rows = [row(1, 0.3, 0.90), row(2, 0.1, 0.97)];
        let picture = decode(&curves("Curves", &rows, "test").unwrap());
        let half = |x| image::imageops::crop_imm(&picture, x, 200, 780, 500).to_image();
        let [training, test] = [BLUE, VERMILION].map(|color| [0, 800].map(|x| centre(&half(x), color)[1]));
        assert!(count(&half(0), BLUE) > 500);
        assert!(test[0] < training[0], "loss");
        assert!(test[1] > training[1], "accuracy");
    }

    #[test]
    fn ticks_are_round_and_enclose_the_values() {
        let labels = |ticks: Vec<(f64, String)>| ticks.into_iter().map(|tick| tick.1).collect::<Vec<_>>();
        assert_eq!(labels(linear_ticks(96.3, 99.2)), ["96", "97", "98", "99", "100"]);
        assert_eq!(labels(linear_ticks(0.31, 0.69)), ["0.3", "0.4", "0.5", "0.6", "0.7"]);
        assert_eq!(linear_ticks(100.0, 100.0).last().unwrap().1, "100");
        assert_eq!(labels(logarithmic_ticks(0.03, 0.4)), ["0.02", "0.05", "0.1", "0.2", "0.5"]);
        assert_eq!(epoch_ticks(1, 12), [2, 4, 6, 8, 10, 12]);
        assert_eq!(epoch_ticks(1, 1), [1]);
    }

    #[test]
    fn a_loss_that_falls_far_is_drawn_on_a_logarithmic_scale() {
        let scale = |rows: &[EpochReport]| Scale::for_loss(&series(rows, "loss", 1.0, "test"));
        assert_eq!(scale(&[row(1, 1.0, 0.5), row(2, 0.05, 0.9)]), Scale::Logarithmic);
        assert_eq!(scale(&[row(1, 1.0, 0.5), row(2, 0.5, 0.9)]), Scale::Linear);
        assert_eq!(scale(&[row(1, 1.0, 0.5), row(2, 0.0, 0.9)]), Scale::Linear);
    }

    #[test]
    fn only_a_logarithmic_axis_is_named() {
        // The line below the heading of the left chart, the loss.
        let named = |last: f64| {
            let rows = [row(1, 1.0, 0.5), row(2, last, 0.9)];
            let picture = decode(&curves("Curves", &rows, "test").unwrap());
            let line = image::imageops::crop_imm(&picture, 0, 160, 800, 40).to_image();
            line.pixels().any(|pixel| pixel[0] < 200)
        };
        assert!(named(0.05));
        assert!(!named(0.5));
    }
}
