//! Numbers as bars, side by side.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, Rect, TITLE};
use crate::color::{BLUE, FADED, GRID, INK, PAPER, VERMILION, mix};

/// A number with its names.
#[derive(Clone, Debug)]
pub struct Bar {
    /// The name below the bar.
    pub label: String,
    /// The smaller line below the name.
    pub note: String,
    /// The number, at least 0.
    pub value: f64,
    /// Whether the bar has the chart's strong colour.
    pub strong: bool,
}

/// Draws bars of a common scale that begins at 0, with `line` across them, a number with a name, such as a level to compare with.
/// `sources` are written below, a line each.
///
/// A PNG of 1600 x 900 pixels, and 30 more for each source.
///
/// # Errors
/// There are no bars, a number is negative or not finite, or the encoder fails.
pub fn bars(
    title: &str,
    facts: &str,
    bars: &[Bar],
    line: Option<(&str, f64)>,
    sources: &[&str],
) -> Result<Vec<u8>, PictureError> {
    const TOP: u32 = 230;
    const BOTTOM: u32 = 740;
    let values = || bars.iter().map(|bar| bar.value).chain(line.map(|(_, value)| value));
    if bars.is_empty() || values().any(|value| !(value >= 0.0 && value.is_finite())) {
        let expected = "bars with finite numbers, at least 0".into();
        return Err(PictureError::Data {
            picture: "bars",
            expected,
            got: format!("{:?}", values().collect::<Vec<_>>()),
        });
    }
    let most = values().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let height = |value: f64| (value / most * f64::from(BOTTOM - TOP)).round() as u32;
    let mut canvas = Canvas::new(1600, 900 + 30 * sources.len() as u32);
    canvas.text(60.0, 60.0, TITLE.fit(title, 1480.0), title);
    canvas.text(60.0, 112.0, LABEL.colored(FADED).fit(facts, 1480.0), facts);
    let step = 1480 / bars.len() as u32;
    for (i, bar) in (0..).zip(bars) {
        let (x, high) = (60 + i * step, height(bar.value));
        let color = if bar.strong { BLUE } else { mix(PAPER, FADED, 0.6) };
        canvas.fill(Rect { x: x + step / 6, y: BOTTOM - high, w: (step * 2 / 3).max(1), h: high }, color);
        let (middle, room) = ((x + step / 2) as f32, step as f32 - 8.0);
        let number = format!("{}", bar.value);
        canvas.text(middle, (BOTTOM - high) as f32 - 22.0, HEADING.centred().fit(&number, room), &number);
        canvas.text(middle, BOTTOM as f32 + 32.0, HEADING.centred().fit(&bar.label, room), &bar.label);
        let style = LABEL.sized(24.0).colored(FADED).centred().fit(&bar.note, room);
        canvas.text(middle, BOTTOM as f32 + 70.0, style, &bar.note);
    }
    canvas.fill(Rect { x: 60, y: BOTTOM, w: 1480, h: 2 }, GRID);
    if let Some((name, value)) = line {
        let y = BOTTOM - height(value);
        // The line leaves out the numbers that it would cross.
        let crossed = |x: u32| {
            let bar = (x.saturating_sub(60) / step) as usize;
            bars.get(bar).is_some_and(|bar| {
                let number = (BOTTOM - height(bar.value)).saturating_sub(22);
                let middle = 60 + x.saturating_sub(60) / step * step + step / 2;
                let half = HEADING.width(&bar.value.to_string()) as u32 / 2 + 22;
                number.abs_diff(y) < 22 && middle.abs_diff(x) < half
            })
        };
        for x in (60..1540).step_by(24).filter(|&x| !crossed(x)) {
            canvas.fill(Rect { x, y, w: 14, h: 3 }, VERMILION);
        }
        let last = bars.last().map_or(0, |bar| height(bar.value) + 60);
        let above = (height(value) + 26).max(if height(value) + 50 > last { 0 } else { last });
        canvas.text(1540.0, (BOTTOM - above) as f32, LABEL.colored(VERMILION).right(), name);
    }
    for (i, source) in (0..).zip(sources) {
        let style = LABEL.sized(21.0).colored(mix(INK, FADED, 0.7)).fit(source, 1480.0);
        canvas.text(60.0, (870 + 30 * i) as f32, style, source);
    }
    canvas.png()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{count, decode};

    fn bar(value: f64) -> Bar {
        Bar { label: "2012".into(), note: "AlexNet".into(), value, strong: true }
    }

    #[test]
    fn bars_have_one_scale() {
        let picture = decode(&bars("Errors", "", &[bar(20.0), bar(10.0)], None, &["a", "b"]).unwrap());
        assert_eq!(picture.dimensions(), (1600, 960));
        assert_eq!(count(&picture, BLUE), 493 * (510 + 255));
        let line = bars("Errors", "", &[bar(20.0)], Some(("people", 40.0)), &[]).unwrap();
        assert!(count(&decode(&line), VERMILION) > 60 * 14 * 2);
    }

    #[test]
    fn numbers_without_a_bar_are_refused() {
        for values in [&[][..], &[-1.0], &[f64::NAN], &[1.0, f64::INFINITY]] {
            let odd: Vec<Bar> = values.iter().map(|&value| bar(value)).collect();
            let message = bars("", "", &odd, None, &[]).unwrap_err().to_string();
            assert!(
                message.starts_with("bars: expected bars with finite numbers, at least 0, got"),
                "{message}"
            );
        }
        assert!(bars("", "", &[bar(0.0)], None, &[]).is_ok());
    }
}
