//! `cnn predict`: the class of an image.

use crate::datasets::short_names;
use crate::fault::{Fault, print};
use crate::images_at::{self, Image};
use crate::save::save;
use crate::{look, weights};
use cnn::{ModelExt, Prediction as Answer};
use cnn_nn::Model;
use cnn_report::Predicted;
use cnn_tensor::text::one_line;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Say what each image shows, with probabilities.
///
/// Images are JPEG, PNG, WebP or BMP of any size. For a network of MNIST's gray 28 x 28 images they show one digit or
/// garment each, dark on light or light on dark, and are brought into MNIST's form first: ink bright on black, 20 pixels
/// high or wide, centred. For others they are scaled until the shorter side is a little more than the network takes, and
/// the middle is cut out. Of a folder, all images in it are answered. An image that cannot be read is named on stderr; the others are answered all the same, and the
/// command ends with status 1.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn predict --weights runs/lenet-mnist/model.safetensors seven.png
  cnn predict --model resnet18 photo.jpg                      (after cnn fetch weights resnet18)
  cnn predict --model model.onnx --preprocess imagenet photo.jpg
  cnn predict --model squeezenet1_0 --weights squeezenet_v1.0.safetensors photo.jpg
  cnn predict --model squeezenet1_0 --weights squeezenet_v1.0.safetensors path/to/photos --picture answers.png")]
pub struct Args {
    #[command(flatten)]
    weights: weights::Args,
    /// The images, or folders of them.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// How many of the likeliest classes to print, with bars [default: 5, or 3 of a dozen].
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Draw each image with its five likeliest classes: one image large, several as a sheet.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
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
    let found = images_at::find(&args.images)?;
    let (mut predictions, mut drawn) = (Vec::new(), Vec::new());
    let answer = |image: &Image<'_>| {
        image.answer(|path| model.predict(path), |picture| model.predict_picture(picture))
    };
    let gone = images_at::go_through(&found, answer, |image, answer, bar| {
        if args.picture.is_some() && drawn.len() < MOST_DRAWN {
            drawn.push(predicted(&model, image.name(), &image.picture()?, &answer));
        }
        let (class, probability) = (answer.class().into(), answer.probability());
        let image = image.name();
        let prediction = Prediction { image, class, probability, ranking: answer.ranking().to_vec() };
        if !args.json {
            bar.suspend(|| print_bars(&prediction, top));
        }
        predictions.push(prediction);
        Ok(())
    })?;
    if args.json {
        print(serde_json::to_string(&predictions)?);
    }
    if let Some(file) = args.picture.as_ref().filter(|_| !drawn.is_empty()) {
        draw(file, &model, &drawn, predictions.len())?;
        if !args.json {
            print(file.display());
        }
    }
    gone.end("answered")
}

/// Images on a sheet.
const MOST_DRAWN: usize = 60;

/// An image with its likeliest classes, as a picture shows them.
fn predicted(model: &Model, name: String, picture: &cnn_data::Picture<'_>, answer: &Answer) -> Predicted {
    let short = short_names(&model.spec.classes);
    let class = |class: &String| {
        let place = model.spec.classes.iter().position(|known| known == class);
        place.map_or_else(|| class.clone(), |place| short[place].clone())
    };
    let ranking = answer.ranking().iter().take(5).map(|(name, probability)| (class(name), *probability));
    let name = name.rsplit(['/', '\\']).next().unwrap_or(&name).to_string();
    Predicted { image: look::rgb(picture), name, ranking: ranking.collect() }
}

fn draw(file: &Path, model: &Model, drawn: &[Predicted], all: usize) -> Result<(), Fault> {
    let facts = match (drawn.len(), all) {
        (1, 1) => {
            format!("by {}, the five likeliest of {} classes", model.spec.name, model.spec.classes.len())
        }
        (some, all) if some < all => format!("by {}, the first {some} of {all} images", model.spec.name),
        (_, all) => format!("by {}, {all} images", model.spec.name),
    };
    save(file, &cnn_report::predictions("Predictions", &facts, drawn)?)
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
