//! 8. Transfer learning: a network that has learned from a million photos tells your few photos apart.
//!
//! `cargo run --release -p cnn-zoo --example 08_transfer WEIGHTS PHOTOS`
//!
//! `WEIGHTS` is a safetensors file of AlexNet, such as torchvision's; its convolutions are enough. `PHOTOS` is a folder or a
//! tar archive with the parts `train` and `val`, and in each part a folder for every class.
#![allow(clippy::print_stdout)]

mod failure;

use cnn_data::transform::{CenterCrop, HorizontalFlip, Pipeline, RandomCrop, Resize, Size};
use cnn_data::{Loader, Normalize};
use cnn_nn::{Classify, EpochReport, NnError, Observer, ParameterGroup, Schedule, TrainSettings, Trainer};
use failure::Failure;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Prints a line after each epoch.
struct Console;

impl Observer for Console {
    fn epoch(&mut self, _: &Trainer, report: &EpochReport) -> Result<ControlFlow<()>, NnError> {
        let accuracy = 100.0 * report.test("accuracy").unwrap_or(0.0);
        println!("epoch {}: {accuracy:.2} % of the test photos", report.epoch);
        Ok(ControlFlow::Continue(()))
    }
}

fn main() -> Result<(), Failure> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [weights, photos] = &args[..] else {
        return Err(
            "expected WEIGHTS PHOTOS: a file of AlexNet's weights, and a folder or archive of photos".into(),
        );
    };
    let photos = cnn_data::open(photos)?;
    let test = photos.test.ok_or("expected photos in two parts, train and val")?;
    println!("{}: {} for training, {} for the test", photos.form, photos.train.len(), test.len());

    // AlexNet's convolutions as published, and one untrained linear layer in the place of its classifier.
    let classes = photos.train.classes().to_vec();
    let (model, origin) = cnn_zoo::load_trunk("alexnet", weights, classes, 0)?;
    println!("from the file: {}\nfresh: {}", origin.taken.join(", "), origin.fresh.join(", "));

    // The photos as in the training of the network: 224 x 224, normalised by ImageNet's mean and standard deviation.
    let input = &model.spec.input;
    let normalize = Normalize::new(&input.mean, &input.std)?;
    let scaled = || Resize::new(Size::Short(256)).into();
    let varied =
        Pipeline::new([scaled(), RandomCrop::new([224, 224]).into(), HorizontalFlip::default().into()])?;
    let centred = Pipeline::new([scaled(), CenterCrop { size: [224, 224] }.into()])?;
    let train = Loader::new(photos.train, 32)?
        .shuffle(0)
        .transform(varied, 0)?
        .normalize(normalize.clone())
        .workers(1);
    let test = Loader::new(test, 64)?.transform(centred, 0)?.normalize(normalize);

    // The convolutions are frozen, so no gradients are computed for them.
    let settings = TrainSettings {
        epochs: 10,
        learning_rate: 0.001,
        schedule: Schedule::Cosine,
        groups: vec![ParameterGroup::frozen("features.*")],
        ..TrainSettings::default()
    };
    let mut trainer = Trainer::new(model.net, Classify::default(), settings)?;
    trainer.fit(&train, &test, &mut Console)?;
    Ok(())
}
