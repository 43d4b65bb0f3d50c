//! 6. A trained network goes into a file, comes back, and reads digits it has never seen.
//!
//! `cargo run --release -p cnn-zoo --example 06_save_and_load [FILE]`
#![allow(clippy::print_stdout)]

mod failure;

use cnn_data::{Dataset, InMemoryDataset, Loader, MnistFamily, Normalize, Split};
use cnn_nn::{Adam, Classify, Input, Model, OptimizerSpec, Schedule, TrainSettings, Trainer};
use cnn_ops::softmax::softmax;
use failure::Failure;
use std::error::Error;
use std::path::{Path, PathBuf};

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");

fn main() -> Result<(), Failure> {
    let file =
        std::env::args_os().nth(1).map_or(std::env::temp_dir().join("lenet5.safetensors"), PathBuf::from);
    let test = MnistFamily::Mnist.load(MNIST, Split::Test)?;
    train_and_save(&test, &file)?;
    println!("{}: {} bytes", file.display(), file.metadata()?.len());

    // The file is enough to build the network: it holds the layers, the normalisation and the class names beside the weights.
    // Python reads it too, with `safetensors.torch.load_file`.
    let model = Model::load(&file)?;
    println!(
        "{} with {} parameters, classes {:?}",
        model.spec.name,
        model.net.parameter_count(),
        model.spec.classes
    );

    // Predicting borrows the network without changing it, so any number of threads may predict at once.
    let normalize = Normalize::new(&model.spec.input.mean, &model.spec.input.std)?;
    let [_, c, h, w] = test.shape();
    for i in [0, 18, 1242] {
        let image = test.image(i);
        let logits = model.net.infer(&normalize.tensor([1, c, h, w], image)?)?;
        let probabilities = softmax(&logits)?;
        println!("\nTest image {i}, a {}", model.spec.classes[test.label(i) as usize]);
        let bars = probabilities.data().iter().zip(&model.spec.classes).map(|(&p, class)| {
            format!("{class} {:5.1} % {}", 100.0 * p, "#".repeat((30.0 * p).round() as usize))
        });
        // Every other row of pixels: a character is twice as high as wide. The bars stand beside the digit.
        let mut bars = std::iter::repeat_n(String::new(), 2).chain(bars);
        for row in image.chunks(w).step_by(2) {
            let picture: String = row.iter().map(|&v| [' ', '.', '+', '@'][usize::from(v / 64)]).collect();
            println!("{picture}  {}", bars.next().unwrap_or_default());
        }
    }
    Ok(())
}

/// LeNet-5 after one epoch, which takes a few seconds.
fn train_and_save(test: &InMemoryDataset, file: &Path) -> Result<(), Box<dyn Error>> {
    let digits = MnistFamily::Mnist;
    let train = digits.load(MNIST, Split::Train)?;
    let input = Input::gray(28, 28, digits.mean(), digits.std());
    let mut model = Model::build(cnn_zoo::lenet5(input, train.classes().to_vec()), 0)?;

    let train = Loader::new(train, 64)?.shuffle(0).normalize(digits.normalize());
    let test = Loader::new(test.clone(), 1000)?.normalize(digits.normalize());
    let optimizer = OptimizerSpec::Adam(Adam::default());
    let settings = TrainSettings {
        epochs: 1,
        learning_rate: 3e-3,
        schedule: Schedule::Cosine,
        optimizer,
        ..TrainSettings::default()
    };
    let mut trainer = Trainer::new(model.net, Classify::default(), settings)?;
    trainer.fit(&train, &test, &mut ())?;
    let accuracy = trainer.progress().history[0].test("accuracy").unwrap_or(0.0);
    println!("test accuracy {:.2} %", 100.0 * accuracy);

    // Written beside the file and then renamed: if the program stops in between, the old file is still complete.
    model.net = trainer.into_net();
    Ok(model.save(file)?)
}
