//! `cnn demo softmax`: from scores to probabilities and a loss, step by step.

use super::matrix::number;
use crate::fault::{Fault, print};
use crate::home;
use crate::save::save;
use cnn_ops::softmax::softmax;
use cnn_ops::{CrossEntropy, Loss};
use cnn_report::{self as pictures, SoftmaxStep, SoftmaxSteps};
use cnn_tensor::Tensor;
use cnn_tensor::text::one_line;
use serde::Serialize;
use std::path::PathBuf;

/// The way from the scores of a classifier to probabilities and the loss, step by step.
///
/// The probabilities and the loss are those of the library's own softmax and cross-entropy. Slides sometimes take the logarithm
/// by base 10; libraries take the natural one. The ratio is ln 10 = 2.30.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn demo softmax
  cnn demo softmax --scores \"1000 999 0\" --classes \"cat dog ship\" --target 1")]
pub struct Args {
    /// A score for each class.
    #[arg(long, value_name = "NUMBERS", allow_hyphen_values = true, default_value = "3.2 5.1 -1.7")]
    scores: String,
    /// The names of the classes [default: cat, car and frog for three scores, else class 0, class 1, ...].
    #[arg(long, value_name = "NAMES")]
    classes: Option<String>,
    /// The number of the right class, counted from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    target: usize,
    /// The picture to write [default: runs/softmax.png].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// The most classes that the picture has room for.
const MOST: usize = 20;

/// The output of `--json`.
#[derive(Serialize)]
struct Report {
    classes: Vec<String>,
    scores: Vec<f64>,
    /// `null` where one is too large for a number of 64 bits.
    exponentials: Vec<f64>,
    sum: f64,
    probabilities: Vec<f64>,
    target: usize,
    /// In nats.
    loss: f64,
    loss_base_10: f64,
    picture: PathBuf,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let steps = steps(&args)?;
    let picture = args.out.unwrap_or_else(|| home::runs().join("softmax.png"));
    save(&picture, &pictures::softmax("From scores to probabilities and a loss", &steps)?)?;
    let SoftmaxSteps { classes, target, sum, loss } = steps;
    let loss_base_10 = loss / std::f64::consts::LN_10;
    if args.json {
        let of = |part: fn(&SoftmaxStep) -> f64| classes.iter().map(part).collect::<Vec<f64>>();
        let report = Report {
            scores: of(|step| step.score),
            exponentials: of(|step| step.exponential),
            sum,
            probabilities: of(|step| step.probability),
            target,
            loss,
            loss_base_10,
            picture,
            classes: classes.into_iter().map(|step| step.class).collect(),
        };
        print(serde_json::to_string(&report)?);
        return Ok(());
    }
    let width = classes.iter().map(|step| step.class.chars().count()).max().unwrap_or(0);
    print(format!("{:width$}  {:>8}  {:>12}  probability", "class", "score", "exp(score)"));
    for SoftmaxStep { class, score, exponential, probability } in &classes {
        print(format!("{class:width$}  {score:8.2}  {exponential:12.2}  {probability:11.2}"));
    }
    let right = &classes[target];
    print(format!("sum of the exponentials: {sum:.2}"));
    print(format!(
        "loss, if {} is right: -ln {:.2} = {loss:.2} (by base 10: {loss_base_10:.2})",
        right.class, right.probability
    ));
    print(picture.display());
    Ok(())
}

/// The numbers of each step.
fn steps(args: &Args) -> Result<SoftmaxSteps, Fault> {
    let words = args.scores.split([' ', ',', '\t']).filter(|word| !word.is_empty());
    let scores: Vec<f32> =
        words.map(number).collect::<Result<_, _>>().map_err(|e| Fault::usage(format!("--scores: {e}")))?;
    if !(1..=MOST).contains(&scores.len()) {
        return Err(Fault::usage(format!("--scores: expected 1 to {MOST} numbers, got {}", scores.len())));
    }
    if args.target >= scores.len() {
        let (below, got) = (scores.len(), args.target);
        return Err(Fault::usage(format!("--target: expected a class below {below}, got {got}")));
    }
    let names: Vec<String> = match &args.classes {
        Some(names) => names.split([' ', ',']).filter(|name| !name.is_empty()).map(one_line).collect(),
        None if scores.len() == 3 => ["cat", "car", "frog"].map(String::from).to_vec(),
        None => (0..scores.len()).map(|class| format!("class {class}")).collect(),
    };
    if names.len() != scores.len() {
        let (expected, got) = (scores.len(), names.len());
        return Err(Fault::usage(format!(
            "--classes: expected {expected} names, one for each score, got {got}"
        )));
    }
    let logits = Tensor::from_slice([1, scores.len()], &scores)?;
    let probabilities = softmax(&logits)?;
    let (loss, _) = CrossEntropy::default().loss(&logits, &[args.target as u32][..])?;
    let exponential = |score: f32| f64::from(score).exp();
    let step = |((class, &score), &probability): ((String, &f32), &f32)| SoftmaxStep {
        class,
        // The number that was typed, not the nearest of 32 bits in full.
        score: score.to_string().parse().unwrap_or(f64::from(score)),
        exponential: exponential(score),
        probability: f64::from(probability),
    };
    Ok(SoftmaxSteps {
        sum: scores.iter().map(|&score| exponential(score)).sum(),
        classes: names.into_iter().zip(&scores).zip(probabilities.data()).map(step).collect(),
        target: args.target,
        loss,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lectures_numbers_come_out() {
        let steps = steps(&crate::testing::parse(&[]).unwrap()).unwrap();
        let rounded = |number: f64, places: i32| (number * 10f64.powi(places)).round() / 10f64.powi(places);
        let of = |part: fn(&SoftmaxStep) -> f64, places| {
            steps.classes.iter().map(|step| rounded(part(step), places)).collect::<Vec<_>>()
        };
        assert_eq!(of(|step| step.exponential, 2), [24.53, 164.02, 0.18]);
        assert_eq!(of(|step| step.probability, 2), [0.13, 0.87, 0.0]);
        assert_eq!(rounded(steps.loss, 2), 2.04);
        assert_eq!(rounded(steps.loss / std::f64::consts::LN_10, 2), 0.89);
    }

    #[test]
    fn scores_of_any_size_have_probabilities_and_faults_name_the_option() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("softmax.png").display().to_string();
        let make = |line: &[&str]| run(crate::testing::parse(&[line, &["--out", &out]].concat()).unwrap());
        make(&["--scores", "1000 999", "--target", "1", "--json"]).unwrap();
        assert_eq!(image::open(&out).unwrap().width(), 1600);
        for (line, expected) in [
            (&["--scores", ""][..], "--scores: expected 1 to 20 numbers, got 0"),
            (&["--scores", "1 x"], "--scores: expected a finite number or a fraction, got \"x\""),
            (&["--target", "3"], "--target: expected a class below 3, got 3"),
            (&["--classes", "cat"], "--classes: expected 3 names, one for each score, got 1"),
        ] {
            let Fault { status, message } = make(line).unwrap_err();
            assert_eq!((status, message.as_str()), (2, expected));
        }
    }
}
