//! Many passes with dropout: their mean as an answer, their spread as its uncertainty.

use crate::demo::study::{Steps, Study, say};
use crate::fault::Fault;
use cnn_data::Loader;
use cnn_nn::{At, Batch, Batches, Graph, Kept, NnError};
use cnn_ops::softmax::softmax;
use cnn_report::{self as pictures, Chart, Histogram, HistogramRow, Line, X, Y};
use cnn_tensor::Tensor;
use serde::Serialize;

/// The answers of one pass without dropout, and of the mean of many with it.
#[derive(Serialize)]
pub struct Ensemble {
    passes: usize,
    single: Quality,
    /// Of the mean of the first passes: one of them, two, and so on.
    means: Vec<Quality>,
    /// Right, wrong, and alien images.
    groups: Vec<Group>,
}

/// How good answers are, on the test images.
#[derive(Clone, Copy, Serialize)]
struct Quality {
    /// 0 to 1.
    accuracy: f64,
    /// The mean of the losses, in nats.
    loss: f64,
}

/// Images that should be alike in how sure the network is.
#[derive(Serialize)]
pub struct Group {
    name: String,
    images: usize,
    /// The mean over the images of the probability that one pass without dropout gives to its class.
    single_probability: f64,
    /// The same of the mean of all passes.
    mean_probability: f64,
    /// The mean over the images of the spread: the standard deviation, over the passes, of the probability of the class that the
    /// mean of the passes finds likeliest.
    spread: f64,
    /// How well the spread tells these images from those that are classified right: the probability that one of these has a larger
    /// one (the area under the ROC curve); 0.5 is chance. `null` for the right ones themselves.
    told_apart_by_spread: Option<f64>,
    /// The same by how low the probability of one pass without dropout is.
    told_apart_by_probability: Option<f64>,
    /// The number of images in equal parts of the range of spreads.
    counts: Vec<u64>,
}

/// Bars of a histogram of spreads, which are 0.5 at most.
const BARS: usize = 50;
const RANGE: [f64; 2] = [0.0, 0.5];

/// Judges the ensemble on test images, and looks at its spread on these and on aliens.
pub fn judge(
    net: &Graph,
    study: &Study,
    test: &Loader,
    aliens: &[(String, Loader)],
    passes: usize,
    steps: &mut Steps,
) -> Result<Ensemble, Fault> {
    let mut tested = Answers::new(net, test)?;
    let single = tested.quality(&tested.single);
    let mut means = Vec::with_capacity(passes);
    for pass in 0..passes {
        tested.pass(net, study.seed, pass)?;
        means.push(tested.quality(&tested.mean()));
        steps.advance();
    }
    let all = tested.images();
    let (right, wrong): (Vec<Image>, Vec<Image>) = all.into_iter().partition(|image| image.right);
    let mut named = vec![("wrong".to_string(), wrong)];
    for (name, images) in aliens {
        let mut answers = Answers::new(net, images)?;
        for pass in 0..passes {
            answers.pass(net, study.seed, pass)?;
            steps.advance();
        }
        named.push((format!("alien, {name}"), answers.images()));
    }
    let mut groups = vec![Group::of("right".into(), &right, None)];
    groups.extend(named.into_iter().map(|(name, images)| Group::of(name, &images, Some(&right))));
    Ok(Ensemble { passes, single, means, groups })
}

/// The answers for some images.
struct Answers {
    batches: Vec<Batch>,
    labels: Vec<u32>,
    classes: usize,
    /// The probabilities of one pass without dropout, `[images, classes]`.
    single: Vec<f64>,
    passes: usize,
    /// The sums over the passes of the probabilities and of their squares.
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl Answers {
    fn new(net: &Graph, images: &Loader) -> Result<Self, NnError> {
        let batches = images.epoch(0, 0).collect::<Result<Vec<_>, _>>()?;
        let labels = batches.iter().flat_map(|batch| batch.labels().iter().copied()).collect();
        let mut single = Vec::new();
        for batch in &batches {
            single.extend(probabilities(&net.infer(&batch.inputs[0])?)?);
        }
        let classes = net.output_shape()?.dims()[1];
        let zeros = vec![0.0; single.len()];
        Ok(Self { batches, labels, classes, single, passes: 0, sums: zeros.clone(), squares: zeros })
    }

    /// One more pass with dropout. Every pass drops other units, and the same for the same seed.
    fn pass(&mut self, net: &Graph, seed: u64, pass: usize) -> Result<(), NnError> {
        let mut at = 0;
        for batch in &self.batches {
            let where_ = At { seed, step: pass as u64, first_image: batch.first as u64, ..At::default() };
            let scores = net.forward_one(batch.inputs[0].clone(), where_, &mut Kept::default())?;
            for probability in probabilities(&scores)? {
                self.sums[at] += probability;
                self.squares[at] += probability * probability;
                at += 1;
            }
        }
        self.passes += 1;
        Ok(())
    }

    /// The mean probabilities of the passes.
    fn mean(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.passes.max(1) as f64).collect()
    }

    fn quality(&self, probabilities: &[f64]) -> Quality {
        let (mut right, mut loss) = (0, 0.0);
        for (probabilities, &label) in probabilities.chunks(self.classes).zip(&self.labels) {
            right += usize::from(likeliest(probabilities) == label as usize);
            // A probability of 0 in 64 bits would make the mean infinite.
            loss -= probabilities[label as usize].max(1e-45).ln();
        }
        let count = self.labels.len().max(1) as f64;
        Quality { accuracy: right as f64 / count, loss: loss / count }
    }

    fn images(&self) -> Vec<Image> {
        let (mean, passes) = (self.mean(), self.passes.max(1) as f64);
        let image = |(i, &label): (usize, &u32)| {
            let of_image = i * self.classes..(i + 1) * self.classes;
            let class = likeliest(&mean[of_image.clone()]);
            let at = of_image.start + class;
            let variance = self.squares[at] / passes - mean[at] * mean[at];
            let single = &self.single[of_image];
            Image {
                right: class == label as usize,
                spread: variance.max(0.0).sqrt(),
                mean: mean[at],
                single: single[likeliest(single)],
            }
        };
        self.labels.iter().enumerate().map(image).collect()
    }
}

/// The probabilities of scores, row by row.
fn probabilities(scores: &Tensor) -> Result<Vec<f64>, NnError> {
    Ok(softmax(scores)?.data().iter().map(|&probability| f64::from(probability)).collect())
}

/// The number of the largest; of several, the first.
fn likeliest(probabilities: &[f64]) -> usize {
    let better =
        |best: usize, class: usize| if probabilities[class] > probabilities[best] { class } else { best };
    (0..probabilities.len()).fold(0, better)
}

/// How sure the network is of an image.
#[derive(Clone, Copy, Debug)]
struct Image {
    right: bool,
    spread: f64,
    mean: f64,
    single: f64,
}

impl Group {
    fn of(name: String, images: &[Image], right: Option<&[Image]>) -> Self {
        let average =
            |value: fn(&Image) -> f64| images.iter().map(value).sum::<f64>() / images.len().max(1) as f64;
        let apart = |doubt: fn(&Image) -> f64| {
            let of = |images: &[Image]| images.iter().map(doubt).collect::<Vec<_>>();
            right.and_then(|right| told_apart(&of(right), &of(images)))
        };
        let mut counts = vec![0; BARS];
        for image in images {
            counts[((image.spread / RANGE[1] * BARS as f64) as usize).min(BARS - 1)] += 1;
        }
        Self {
            name,
            images: images.len(),
            single_probability: average(|image| image.single),
            mean_probability: average(|image| image.mean),
            spread: average(|image| image.spread),
            told_apart_by_spread: apart(|image| image.spread),
            told_apart_by_probability: apart(|image| 1.0 - image.single),
            counts,
        }
    }
}

/// The probability that a number of `high` is above one of `low`, equal ones counted by half; `None` if a list is empty.
fn told_apart(low: &[f64], high: &[f64]) -> Option<f64> {
    let pairs = (low.len() * high.len()) as f64;
    let mut won = 0.0;
    for high in high {
        for low in low {
            won += if high > low {
                1.0
            } else if high == low {
                0.5
            } else {
                0.0
            };
        }
    }
    (pairs > 0.0).then_some(won / pairs)
}

impl Ensemble {
    /// Prints the numbers.
    pub fn say(&self, json: bool) {
        let line = |name: &str, Quality { accuracy, loss }: Quality| {
            say(json, format!("{name:24}  test {:5.2} % (loss {loss:.3})", 100.0 * accuracy));
        };
        line("one pass without dropout", self.single);
        if let (Some(first), Some(last)) = (self.means.first(), self.means.last()) {
            line("one random pass", *first);
            line(&format!("mean of {} passes", self.passes), *last);
        }
        say(
            json,
            format!(
                "{:28}  images  one pass    mean  spread  told from right ones: by spread, by one pass",
                "sure of"
            ),
        );
        for group in &self.groups {
            let part = |part: Option<f64>| part.map_or(String::new(), |part| format!("{part:.3}"));
            let line = format!(
                "  {:28} {:5}  {:6.1} %  {:4.1} %  {:6.3}  {:>32}  {:>11}",
                group.name,
                group.images,
                100.0 * group.single_probability,
                100.0 * group.mean_probability,
                group.spread,
                part(group.told_apart_by_spread),
                part(group.told_apart_by_probability),
            );
            say(json, line.trim_end());
        }
    }

    /// Accuracy and loss by the number of passes.
    pub fn draw_passes(&self) -> Result<Vec<u8>, Fault> {
        let chart = |heading: &str, y: Y, of: fn(&Quality) -> f64, factor: f64| {
            let ends = [1.0, self.passes.max(2) as f64];
            let mean =
                (1u32..).zip(&self.means).map(|(pass, quality)| (f64::from(pass), factor * of(quality)));
            let line = |name: &str, color: usize, points: Vec<(f64, f64)>| Line {
                name: name.into(),
                color,
                pale: false,
                points,
            };
            let single = ends.map(|x| (x, factor * of(&self.single))).to_vec();
            Chart {
                heading: heading.into(),
                x: X::Passes,
                y,
                lines: vec![line("mean", 0, mean.collect()), line("without", 1, single)],
            }
        };
        let charts = [
            chart("Test loss", Y::Loss, |quality| quality.loss, 1.0),
            chart("Test accuracy, %", Y::Percent, |quality| quality.accuracy, 100.0),
        ];
        let note = "blue: the mean of so many passes, each with other units dropped; vermilion: one pass without dropout";
        Ok(pictures::lines("Dropout as an ensemble", note, &charts)?)
    }

    /// The spreads of right, wrong and alien images.
    pub fn draw_spread(&self) -> Result<Vec<u8>, Fault> {
        let row = |group: &Group| HistogramRow {
            heading: format!("{}: {} images", group.name, group.images),
            histograms: vec![Histogram {
                counts: group.counts.clone(),
                caption: format!(
                    "mean spread {:.3}; sure to {:.0} % by one pass without dropout, to {:.0} % by the mean",
                    group.spread,
                    100.0 * group.single_probability,
                    100.0 * group.mean_probability
                ),
            }],
        };
        let rows: Vec<HistogramRow> = self.groups.iter().map(row).collect();
        let note = format!(
            "standard deviation, over {} passes with dropout, of the probability of the likeliest class",
            self.passes
        );
        Ok(pictures::histograms("How far the passes of an ensemble lie apart", &note, RANGE, &rows)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_told_apart_by_their_order() {
        assert_eq!(told_apart(&[0.1, 0.2], &[0.3, 0.4]), Some(1.0));
        assert_eq!(told_apart(&[0.3], &[0.1, 0.3, 0.5, 0.5]), Some(0.625));
        assert_eq!(told_apart(&[], &[0.1]), None);
    }

    #[test]
    fn the_spread_is_that_of_the_likeliest_class_of_the_mean() {
        let answers = Answers {
            batches: vec![],
            labels: vec![1],
            classes: 2,
            single: vec![0.6, 0.4],
            passes: 2,
            sums: vec![0.2 + 0.4, 0.8 + 0.6],
            squares: vec![0.04 + 0.16, 0.64 + 0.36],
        };
        let [image] = answers.images()[..] else { panic!() };
        assert!(image.right && (image.spread - 0.1).abs() < 1e-9, "{image:?}");
        assert!((image.mean - 0.7).abs() < 1e-9 && image.single == 0.6, "{image:?}");
        let Quality { accuracy, loss } = answers.quality(&answers.single);
        assert_eq!((accuracy, loss), (0.0, -(0.4f64.ln())));
    }
}
