//! `cnn demo four-pixels`: a linear classifier that one can compute by hand.

use crate::fault::{Fault, print};
use crate::home;
use crate::save::save;
use cnn_ops::linear;
use cnn_report::{self as pictures, LinearScores};
use cnn_tensor::Tensor;
use serde::Serialize;
use std::path::PathBuf;

/// The linear classifier f(x, W) = W x + b of an image of four pixels and three classes, as the lecture computes it by hand.
///
/// The scores are those of the library's own linear layer.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  cnn demo four-pixels --out four-pixels.png")]
pub struct Args {
    /// The picture to write [default: runs/four-pixels.png].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const CLASSES: [&str; 3] = ["cat", "dog", "ship"];
const PIXELS: [f32; 4] = [56.0, 231.0, 24.0, 2.0];
#[rustfmt::skip]
const WEIGHT: [f32; 12] = [
    0.2, -0.5, 0.1, 2.0,
    1.5, 1.3, 2.1, 0.0,
    0.0, 0.25, 0.2, -0.3,
];
const BIAS: [f32; 3] = [1.1, 3.2, -1.2];

/// The output of `--json`.
#[derive(Serialize)]
struct Report {
    classes: [&'static str; 3],
    scores: Vec<f32>,
    picture: PathBuf,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let scores = scores()?;
    let picture = args.out.unwrap_or_else(|| home::runs().join("four-pixels.png"));
    save(&picture, &pictures::linear_scores("A linear classifier of four pixels", &scores)?)?;
    let numbers = scores.scores.data().to_vec();
    if args.json {
        print(serde_json::to_string(&Report { classes: CLASSES, scores: numbers, picture })?);
        return Ok(());
    }
    for ((class, score), (row, bias)) in CLASSES.iter().zip(numbers).zip(WEIGHT.chunks(4).zip(BIAS)) {
        let products = row.iter().zip(PIXELS).map(|(weight, pixel)| format!("{weight}*{pixel}"));
        let products = products.collect::<Vec<_>>().join(" + ");
        print(format!("{class:4}  {products} + {bias} = {score:.2}"));
    }
    print(picture.display());
    Ok(())
}

/// The classifier with its scores.
fn scores() -> Result<LinearScores, Fault> {
    let (x, weight) = (Tensor::from_slice([1, 4], &PIXELS)?, Tensor::from_slice([3, 4], &WEIGHT)?);
    let bias = Tensor::from_slice([3], &BIAS)?;
    let scores = linear::forward(&x, &weight, Some(&bias))?;
    Ok(LinearScores {
        image: x.reshape([2, 2])?,
        weight,
        bias,
        scores: scores.reshape([3])?,
        classes: CLASSES.map(String::from).to_vec(),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_scores_are_those_of_the_lecture() {
        let scores = super::scores().unwrap().scores;
        for (score, expected) in scores.data().iter().zip([-96.8, 437.9, 60.75]) {
            assert!((score - expected).abs() < 1e-4, "{score} {expected}");
        }
    }
}
