//! `cnn predict`: the class of an image.

use crate::fault::{Fault, note, print};
use crate::weights;
use cnn::ModelExt;
use cnn_tensor::text::one_line;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Say what each image shows, with probabilities.
///
/// Images are JPEG, PNG, WebP or BMP of any size. For a network of MNIST's gray 28 x 28 images they show one digit or
/// garment each, dark on light or light on dark, and are brought into MNIST's form first: ink bright on black, 20 pixels
/// high or wide, centred. For others they are scaled until the shorter side is a little more than the network takes, and
/// the middle is cut out. An image that cannot be read is named on stderr; the others are answered all the same, and the
/// command ends with status 1.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn predict --weights runs/lenet-mnist/model.safetensors seven.png
  cnn predict --model squeezenet1_0 --weights squeezenet_v1.0.safetensors photo.jpg")]
pub struct Args {
    #[command(flatten)]
    weights: weights::Args,
    /// The images.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// How many of the likeliest classes to print, with bars [default: 5, or 3 of a dozen].
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Print one JSON array, an object for each image.
    #[arg(long)]
    json: bool,
}

/// The network's answer for one image.
#[derive(Serialize)]
struct Prediction {
    image: String,
    class: String,
    probability: f32,
    /// Every class with its probability, the likeliest first.
    ranking: Vec<(String, f32)>,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let model = weights::load(&args.weights)?;
    let top = args.top.unwrap_or(if model.spec.classes.len() > 12 { 5 } else { 3 });
    let mut predictions = Vec::with_capacity(args.images.len());
    let mut faults = Vec::new();
    for image in &args.images {
        let answer = match model.predict(image) {
            Ok(answer) => answer,
            Err(fault) => {
                // A single image's fault is the command's.
                if args.images.len() > 1 {
                    note(format!("passed over: {fault}"));
                }
                faults.push(Fault::from(fault));
                continue;
            }
        };
        let (class, probability) = (answer.class().into(), answer.probability());
        let image = shown(image);
        let prediction = Prediction { image, class, probability, ranking: answer.ranking().to_vec() };
        if !args.json {
            print_bars(&prediction, top);
        }
        predictions.push(prediction);
    }
    if args.json {
        print(serde_json::to_string(&predictions)?);
    }
    match (faults.len(), args.images.len()) {
        (0, _) => Ok(()),
        (1, 1) => Err(faults.remove(0)),
        (bad, all) => Err(Fault {
            status: 1,
            message: format!("{bad} of {all} images could not be answered, named above"),
        }),
    }
}

/// The path of an image, in which bytes that are not UTF-8 are replaced.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The likeliest classes, with bars.
fn print_bars(prediction: &Prediction, top: usize) {
    const WIDTH: f32 = 30.0;
    print(format!("{}: {}", one_line(&prediction.image), one_line(&prediction.class)));
    let shown = &prediction.ranking[..prediction.ranking.len().min(top)];
    let longest = shown.iter().map(|(class, _)| class.chars().count()).max().unwrap_or(0);
    for (class, probability) in shown {
        let bar = "#".repeat((probability * WIDTH).round() as usize);
        print(format!("  {class:longest$}  {:5.1} %  {bar}", 100.0 * probability).trim_end());
    }
}
