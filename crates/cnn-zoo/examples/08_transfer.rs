//! 8. Transfer learning: what a network learned from the digits 0 to 4 helps it to tell 5 to 9 from twenty examples each.
//!
//! `cargo run --release -p cnn-zoo --example 08_transfer`
#![allow(clippy::print_stdout)]

use cnn_data::{Dataset, Examples, Loader, MnistFamily, Split};
use cnn_nn::{Input, Model, NnError, ParameterGroup, TrainSettings, Trainer};
use std::error::Error;

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");

/// At most `limit` images of each of five digits, `first` being class 0.
fn five_digits(set: &Dataset, first: u32, limit: usize) -> Result<Dataset, Box<dyn Error>> {
    let mut counts = [0; 5];
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for (i, &digit) in set.labels().iter().enumerate() {
        if let Some(label) = digit.checked_sub(first).filter(|&label| label < 5)
            && counts[label as usize] < limit
        {
            counts[label as usize] += 1;
            images.extend_from_slice(set.image(i));
            labels.push(label);
        }
    }
    let classes = (first..first + 5).map(|digit| digit.to_string()).collect();
    Ok(Dataset::new([labels.len(), 1, 28, 28], images, labels, classes)?)
}

/// Trains, and gives the model back with its accuracy on the test set in percent.
fn train(model: Model, sets: [&Loader; 2], settings: TrainSettings) -> Result<(Model, f64), NnError> {
    let [train, test] = sets;
    let mut trainer = Trainer::new(model.net, settings)?;
    trainer.fit(train, test, &mut ())?;
    let accuracy = cnn_nn::evaluate(trainer.net(), test)?.accuracy;
    Ok((Model { net: trainer.into_net(), spec: model.spec }, 100.0 * accuracy))
}

fn main() -> Result<(), Box<dyn Error>> {
    let digits = MnistFamily::Mnist;
    let (all, test) = (digits.load(MNIST, Split::Train)?, digits.load(MNIST, Split::Test)?);
    let loader = |set: Dataset, batch_size| -> Result<Loader, Box<dyn Error>> {
        Ok(Loader::new(set, batch_size)?.shuffle(0).normalize(digits.normalize()))
    };

    // A network that has seen 30,000 images of 0, 1, 2, 3, 4, and nothing else.
    let low = five_digits(&all, 0, usize::MAX)?;
    let low_test = loader(five_digits(&test, 0, usize::MAX)?, 1000)?;
    let input = Input::gray(28, 28, digits.mean(), digits.deviation());
    let spec = cnn_zoo::lenet5(input, low.classes().to_vec());
    let settings = TrainSettings { epochs: 2, rate: 0.05, ..TrainSettings::default() };
    let untrained = Model::build(spec, 0)?;
    let (trained, accuracy) = train(untrained, [&loader(low, 64)?, &low_test], settings)?;
    println!("0 to 4, 30,000 examples:                      {accuracy:.2} %");

    // The other digits, of which there are only 100 images.
    let few = five_digits(&all, 5, 20)?;
    let classes = few.classes().to_vec();
    let few = loader(few, 20)?;
    let few_test = loader(five_digits(&test, 5, usize::MAX)?, 1000)?;
    let settings = || TrainSettings { epochs: 40, rate: 0.02, ..TrainSettings::default() };

    // Everything from scratch.
    let scratch = Model::build(trained.spec.with_head(classes.clone())?, 1)?;
    let (_, accuracy) = train(scratch, [&few, &few_test], settings())?;
    println!("5 to 9, 100 examples, from scratch:           {accuracy:.2} %");

    // The same network with a fresh last layer, which alone is trained: `head.*` is its name. What is frozen costs no
    // backward pass.
    let model = trained.with_head(classes, 1)?;
    let groups = vec![ParameterGroup::named("head.*"), ParameterGroup::frozen("*")];
    let (_, accuracy) = train(model, [&few, &few_test], TrainSettings { groups, ..settings() })?;
    println!("5 to 9, 100 examples, on the frozen features: {accuracy:.2} %");
    Ok(())
}
