//! Loss and accuracy over the epochs of a training run.

use crate::PictureError;
use crate::canvas::{Canvas, Rect, TITLE};
use crate::chart::{Panel, Scale, Series};
use crate::color::{BLUE, VERMILION};
use cnn_nn::EpochReport;

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
    let scale = Scale::for_loss(&losses);
    let loss = over_epochs("Loss", scale, |loss| format!("{loss:.4}"), losses);
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
        let values = series(rows, name, 1.0, held_out);
        return over_epochs(name, Scale::Linear, |value| format!("{value:.4}"), values);
    }
    let values = series(rows, name, 100.0, held_out);
    over_epochs("Accuracy, %", Scale::Linear, |accuracy| format!("{accuracy:.2}"), values)
}

fn over_epochs(heading: &str, y: Scale, last: fn(f64) -> String, series: [Series; 2]) -> Panel {
    let x = Scale::Linear;
    let (heading, series) = (heading.into(), series.into());
    Panel { heading, series, x, x_label: "epoch", y, y_range: None, last: Some(last) }
}

/// The metric of training and of test examples, times `scale`.
fn series(rows: &[EpochReport], metric: &str, scale: f64, held_out: &str) -> [Series; 2] {
    let points = |value: &dyn Fn(&EpochReport) -> Option<f64>| {
        let points = rows.iter().filter_map(|row| Some((row.epoch as f64, scale * value(row)?)));
        points.filter(|(_, value)| value.is_finite()).collect()
    };
    [
        Series { name: "training".into(), color: BLUE, points: points(&|row| row.train(metric)) },
        Series { name: held_out.into(), color: VERMILION, points: points(&|row| row.test(metric)) },
    ]
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
