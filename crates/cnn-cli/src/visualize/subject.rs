//! The image that is explained, and the class.

use super::{Context, class, finding};
use crate::datasets;
use crate::fault::Fault;
use cnn_data::{Dataset, Subset, ToInput};
use cnn_nn::{Batches, Input};
use cnn_ops::softmax::softmax;
use cnn_report::views;
use cnn_tensor::Tensor;
use image::RgbImage;
use std::sync::Arc;

/// The image as the network takes it, and what the network says.
pub struct Subject {
    pub name: String,
    /// `[1, c, h, w]`.
    pub x: Tensor,
    /// The same for people.
    pub photo: RgbImage,
    pub class: finding::Class,
    /// Whether the class is the network's own answer.
    pub is_predicted: bool,
}

impl Subject {
    /// Reads the image and finds the class.
    pub fn read(context: &Context<'_>) -> Result<Self, Fault> {
        let Context { args, model, look, classes } = context;
        let wanted = match &args.class[..] {
            [] => None,
            [one] => Some(class::number(one, &model.spec.classes)?),
            _ => return Err(Fault::usage("--class: expected one, got several; only maximise takes more")),
        };
        let input = &model.spec.input;
        let (name, x) = match (&args.image, args.number) {
            (Some(file), _) => (file.display().to_string(), ToInput::new(input)?.read(file)?),
            (None, Some(number)) => of_dataset(context, number)?,
            (None, None) => {
                return Err(Fault::usage(
                    "expected an image to explain: --image FILE, or --dataset NAME --number N",
                ));
            }
        };
        let scores = look.scores(&x)?;
        if let Some(bad) = scores.data().iter().find(|score| !score.is_finite()) {
            return Err(Fault {
                status: 1,
                message: format!("{name}: expected finite scores, got {bad}: look at the weights"),
            });
        }
        let best = (0..scores.data().len())
            .fold(0, |best, i| if scores.data()[i] > scores.data()[best] { i } else { best });
        let number = wanted.unwrap_or(best);
        let probability = softmax(&scores)?.data()[number];
        let score = scores.data()[number];
        let class =
            finding::Class { class: classes[number].clone(), class_number: number, score, probability };
        let photo = views::image(&plain(input, &x))?;
        Ok(Self { name, x, photo, class, is_predicted: number == best })
    }

    /// The image's name without its folder.
    pub fn short_name(&self) -> &str {
        self.name.rsplit(['/', '\\']).next().unwrap_or(&self.name)
    }
}

/// Test image `number` of the data set, as the network takes it, with its name.
fn of_dataset(context: &Context<'_>, number: usize) -> Result<(String, Tensor), Fault> {
    let set = test_images(context)?;
    if number >= set.len() {
        return Err(Fault::usage(format!(
            "--number: expected one from 0 to {}, got {number}",
            set.len().saturating_sub(1)
        )));
    }
    let name = set.name(number);
    let x = inputs(context, &set, vec![number])?.remove(0);
    Ok((name, x))
}

/// The test images of `--dataset`; all of a set that is not divided.
pub fn test_images(context: &Context<'_>) -> Result<Arc<dyn Dataset>, Fault> {
    let args = context.args;
    let Some(dataset) = &args.dataset else {
        return Err(Fault::usage("expected the images to look for patches in: --dataset NAME|DIR"));
    };
    let data =
        datasets::open(dataset, args.data_dir.as_deref(), args.classes_from.choice().unwrap_or_default())?;
    let set = data.undivided.unwrap_or(data.test);
    match set.is_empty() {
        true => Err(Fault { status: 1, message: format!("{dataset}: expected images, found none") }),
        false => Ok(set),
    }
}

/// Images of a set by number, as the network takes them, each `[1, c, h, w]`.
pub fn inputs(
    context: &Context<'_>,
    set: &Arc<dyn Dataset>,
    numbers: Vec<usize>,
) -> Result<Vec<Tensor>, Fault> {
    let loader = ToInput::new(&context.model.spec.input)?.loader(Subset::new(set.clone(), numbers)?, 1)?;
    loader.epoch(0, 0).map(|batch| Ok(batch?.inputs[0].clone())).collect()
}

/// An image or images `[n, c, h, w]` without the normalisation: 0 is black and 1 white.
pub fn plain(input: &Input, x: &Tensor) -> Tensor {
    let [c, h, w] = input.shape;
    let mut plain = x.clone();
    for (i, plane) in plain.data_mut().chunks_exact_mut((h * w).max(1)).enumerate() {
        let (mean, std) = (input.mean[i % c], input.std[i % c]);
        plane.iter_mut().for_each(|v| *v = *v * std + mean);
    }
    plain
}

/// The numbers of black and of white in each channel.
pub fn bounds(input: &Input) -> Vec<[f32; 2]> {
    input.mean.iter().zip(&input.std).map(|(mean, std)| [-mean / std, (1.0 - mean) / std]).collect()
}
