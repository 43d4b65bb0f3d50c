//! Charts of lines, on axes that are even or logarithmic.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, OVERSAMPLING, Rect};
use crate::color::{FADED, GRID};
use image::Rgb;
use plotters::prelude::{ChartBuilder, Circle, Color, LineSeries, PathElement, RGBColor};

/// One line of a chart.
pub struct Series {
    pub name: String,
    pub color: Rgb<u8>,
    /// Finite values only, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// The course of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    Linear,
    /// Base 10, for positive values.
    Logarithmic,
}

impl Scale {
    /// Logarithmic for values that fall to a tenth or less.
    pub fn for_loss(series: &[Series]) -> Self {
        let (min, max) = extent(series.iter().flat_map(|series| &series.points).map(|point| point.1));
        // A loss below 1e-9 is as good as zero, which a logarithmic scale cannot show.
        if min > 1e-9 && min * 10.0 <= max { Self::Logarithmic } else { Self::Linear }
    }

    /// The words below the heading of a chart whose axis is not the usual one.
    pub fn note(self) -> &'static str {
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

/// At most nine whole, round numbers.
fn whole_ticks(first: usize, last: usize) -> Vec<usize> {
    let step = round_step((last - first) as f64 / 8.0).max(1.0) as usize;
    (first.next_multiple_of(step)..=last).step_by(step).collect()
}

/// The smallest of 1, 2, 5, 10, 20, ... and 0.5, 0.2, ... that is at least `span`.
fn round_step(span: f64) -> f64 {
    let decade = 10f64.powf(span.log10().floor());
    decade * [1.0, 2.0, 5.0].into_iter().find(|digit| digit * decade >= span).unwrap_or(10.0)
}

fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| (min.min(value), max.max(value)))
}

/// A chart, within 80 pixels to the left of its plot, 82 above and 80 below.
pub struct Panel {
    pub heading: String,
    pub series: Vec<Series>,
    /// The axis to the right. An even one is of whole numbers.
    pub x: Scale,
    pub x_label: &'static str,
    pub y: Scale,
    /// The ends of the upward axis, if they are not to follow from the values.
    pub y_range: Option<(f64, f64)>,
    /// Writes out the last value of each line at its end; without, the lines have no names in the chart.
    pub last: Option<fn(f64) -> String>,
}

/// Points from which on a line is drawn without dots.
const CROWDED: usize = 25;

impl Panel {
    pub fn draw(&self, canvas: &mut Canvas, plot: Rect) -> Result<(), PictureError> {
        let (left, top) = (plot.x as f32, plot.y as f32);
        canvas.text(left - 80.0, top - 82.0, HEADING, &self.heading);
        let points = || self.series.iter().flat_map(|series| &series.points);
        if points().next().is_none() {
            canvas.text(left - 80.0, top - 40.0, LABEL.colored(FADED), "no values to draw");
            return Ok(());
        }
        canvas.text(left - 80.0, top - 42.0, LABEL.colored(FADED), self.y.note());

        let (min, max) = self.y_range.unwrap_or_else(|| extent(points().map(|point| point.1)));
        let y_ticks = self.y.ticks(min, max);
        let (bottom_y, top_y) = (self.y.place(y_ticks[0].0), self.y.place(y_ticks[y_ticks.len() - 1].0));
        let (first, last) = extent(points().map(|point| point.0));
        let (from, to) = (self.x.place(first), self.x.place(last));
        let margin = 0.03 * (to - from) + if self.x == Scale::Linear { 0.3 } else { 0.03 };
        let (left_x, right_x) = (from - margin, to + margin);
        // From places on the axes to pixels of the picture.
        let at_x = |place: f64| left + ((place - left_x) / (right_x - left_x)) as f32 * plot.w as f32;
        let at_y = |place: f64| top + ((top_y - place) / (top_y - bottom_y)) as f32 * plot.h as f32;

        let area = canvas.chart_area();
        let area = area.shrink(
            ((plot.x * OVERSAMPLING) as i32, (plot.y * OVERSAMPLING) as i32),
            (plot.w * OVERSAMPLING, plot.h * OVERSAMPLING),
        );
        let mut chart = ChartBuilder::on(&area).build_cartesian_2d(left_x..right_x, bottom_y..top_y)?;
        chart.draw_series(y_ticks.iter().map(|(tick, _)| {
            let y = self.y.place(*tick);
            PathElement::new([(left_x, y), (right_x, y)], rgb(GRID).stroke_width(OVERSAMPLING))
        }))?;
        for Series { color, points, .. } in &self.series {
            let places = || points.iter().map(|&(x, y)| (self.x.place(x), self.y.place(y)));
            chart.draw_series(LineSeries::new(places(), rgb(*color).stroke_width(3 * OVERSAMPLING)))?;
            if points.len() < CROWDED {
                chart.draw_series(
                    places().map(|point| Circle::new(point, 5 * OVERSAMPLING, rgb(*color).filled())),
                )?;
            }
        }
        drop((chart, area));

        for (tick, label) in &y_ticks {
            canvas.text(left - 14.0, at_y(self.y.place(*tick)), LABEL.colored(FADED).right(), label);
        }
        for (tick, label) in self.x_ticks(first, last) {
            let style = LABEL.colored(FADED).centred();
            canvas.text(at_x(self.x.place(tick)), top + plot.h as f32 + 28.0, style, &label);
        }
        let below = top + plot.h as f32 + 66.0;
        canvas.text(left + plot.w as f32 / 2.0, below, LABEL.colored(FADED).centred(), self.x_label);
        if let Some(write) = self.last {
            self.label_last_values(canvas, at_x(right_x) + 10.0, at_y, write);
        }
        Ok(())
    }

    /// Numbers below the plot, with their labels.
    fn x_ticks(&self, first: f64, last: f64) -> Vec<(f64, String)> {
        match self.x {
            Scale::Linear => {
                let ticks = whole_ticks(first as usize, last as usize);
                ticks.into_iter().map(|tick| (tick as f64, tick.to_string())).collect()
            }
            Scale::Logarithmic => {
                let mut ticks = logarithmic_ticks(first, last);
                // The ends of the axis are the line's, not round numbers.
                ticks.retain(|(tick, _)| (0.999 * first..=1.001 * last).contains(tick));
                ticks
            }
        }
    }

    /// Names each line at its right end, the labels moved apart where the lines end close together.
    fn label_last_values(
        &self,
        canvas: &mut Canvas,
        x: f32,
        at_y: impl Fn(f64) -> f32,
        write: fn(f64) -> String,
    ) {
        let mut ends: Vec<(f32, &Series, f64)> = self
            .series
            .iter()
            .filter_map(|series| {
                series.points.last().map(|last| (at_y(self.y.place(last.1)), series, last.1))
            })
            .collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut places: Vec<f32> = ends.iter().map(|end| end.0).collect();
        move_apart(&mut places);
        for (y, (_, series, value)) in places.into_iter().zip(ends) {
            let text = format!("{} {}", series.name, write(value));
            canvas.text(x, y, LABEL.colored(series.color), &text);
        }
    }
}

/// Moves places, from the highest down, until a line of text has room at each: every group of crowded ones around its middle.
fn move_apart(places: &mut [f32]) {
    const LINE: f32 = 32.0;
    // Groups of labels that touch: their number, and the middle of the places they asked for.
    let mut groups: Vec<(usize, f32)> = Vec::new();
    for &place in places.iter() {
        groups.push((1, place));
        while let [.., (upper, above), (lower, below)] = groups[..]
            && below - above < (upper + lower) as f32 / 2.0 * LINE
        {
            let count = upper + lower;
            let middle = (upper as f32 * above + lower as f32 * below) / count as f32;
            groups.truncate(groups.len() - 2);
            groups.push((count, middle));
        }
    }
    let spread = groups.into_iter().flat_map(|(count, middle)| {
        (0..count).map(move |i| middle + (i as f32 - (count as f32 - 1.0) / 2.0) * LINE)
    });
    places.iter_mut().zip(spread).for_each(|(place, apart)| *place = apart);
}

pub fn rgb(Rgb([r, g, b]): Rgb<u8>) -> RGBColor {
    RGBColor(r, g, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose_the_values() {
        let labels = |ticks: Vec<(f64, String)>| ticks.into_iter().map(|tick| tick.1).collect::<Vec<_>>();
        assert_eq!(labels(linear_ticks(96.3, 99.2)), ["96", "97", "98", "99", "100"]);
        assert_eq!(labels(linear_ticks(0.31, 0.69)), ["0.3", "0.4", "0.5", "0.6", "0.7"]);
        assert_eq!(linear_ticks(100.0, 100.0).last().unwrap().1, "100");
        assert_eq!(labels(logarithmic_ticks(0.03, 0.4)), ["0.02", "0.05", "0.1", "0.2", "0.5"]);
        assert_eq!(whole_ticks(1, 12), [2, 4, 6, 8, 10, 12]);
        assert_eq!(whole_ticks(1, 1), [1]);
    }

    #[test]
    fn crowded_labels_are_moved_apart_and_others_stay() {
        let apart = |mut places: Vec<f32>| {
            move_apart(&mut places);
            places
        };
        assert_eq!(apart(vec![10.0, 100.0]), [10.0, 100.0]);
        assert_eq!(apart(vec![100.0, 100.0]), [84.0, 116.0]);
        assert_eq!(apart(vec![0.0, 100.0, 100.0, 130.0, 300.0]), [0.0, 78.0, 110.0, 142.0, 300.0]);
        assert!(apart(vec![]).is_empty());
    }
}
