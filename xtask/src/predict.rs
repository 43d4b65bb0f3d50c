//! `cargo xtask predict`: what an image shows.

use crate::fault::{Fault, print};
use cnn_data::{Digit, Normalize};
use cnn_nn::{Layer, Model};
use cnn_ops::softmax::softmax;
use serde::Serialize;
use std::path::PathBuf;

/// Say which digit or garment each image shows, with probabilities.
///
/// Images are PNG or JPEG of any size, one object each, dark on light or light on dark; they are brought into MNIST's
/// form first: ink bright on black, 20 pixels high or wide, centred in 28 x 28.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask predict --weights runs/lenet-mnist/model.safetensors seven.png"
)]
pub struct Args {
    /// The weights file that train-lenet wrote.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The images.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Print one JSON array, an object for each image.
    #[arg(long)]
    json: bool,
}

/// What the network says of one image.
#[derive(Serialize)]
struct Prediction {
    image: PathBuf,
    class: String,
    probability: f32,
    /// Every class with its probability, the likeliest first.
    ranking: Vec<(String, f32)>,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let model = Model::load(&args.weights)?;
    let [c, h, w] = model.spec.input.shape;
    if [c, h, w] != [1, Digit::SIDE, Digit::SIDE] {
        let message = format!(
            "{}: expected a model of gray 28 x 28 images, got one of {c} x {h} x {w}",
            args.weights.display()
        );
        return Err(Fault { status: 1, message });
    }
    let mut predictions = Vec::with_capacity(args.images.len());
    for image in args.images {
        let prediction = predict(&model, image)?;
        if !args.json {
            print_bars(&prediction);
        }
        predictions.push(prediction);
    }
    if args.json {
        print(serde_json::to_string(&predictions)?);
    }
    Ok(())
}

fn predict(model: &Model, image: PathBuf) -> Result<Prediction, Fault> {
    let digit = Digit::read(&image)?;
    let input = &model.spec.input;
    let x = Normalize::new(&input.mean, &input.deviation)?
        .tensor([1, 1, Digit::SIDE, Digit::SIDE], digit.pixels())?;
    let probabilities = softmax(&model.net.infer(&x)?)?;
    let classes = model.spec.classes.iter().cloned();
    let mut ranking: Vec<(String, f32)> = classes.zip(probabilities.data().iter().copied()).collect();
    ranking.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (class, probability) = ranking[0].clone();
    Ok(Prediction { image, class, probability, ranking })
}

/// The three likeliest classes, with bars.
fn print_bars(prediction: &Prediction) {
    const WIDTH: f32 = 30.0;
    print(format!("{}: {}", prediction.image.display(), prediction.class));
    let longest = prediction.ranking.iter().map(|(class, _)| class.len()).max().unwrap_or(0);
    for (class, probability) in prediction.ranking.iter().take(3) {
        let bar = "#".repeat((probability * WIDTH).round() as usize);
        print(format!("  {class:longest$}  {:5.1} %  {bar}", 100.0 * probability).trim_end());
    }
}
