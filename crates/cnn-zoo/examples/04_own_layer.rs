//! 4. A layer of your own, its gradients checked, in a network that trains, is saved and comes back.
//!
//! `cargo run --release -p cnn-zoo --example 04_own_layer [FILE]`
#![allow(clippy::print_stdout)]

mod failure;

use cnn_data::{Dataset, Loader, MnistFamily, Split};
use cnn_nn::spec::{flatten, linear, own};
use cnn_nn::{
    At, Classify, Grads, Init, Input, Model, ModelSpec, NnError, OptimizerSpec, Own, Parameters, Role,
    Schedule, Sgd, TrainSettings, Trainer, Unary, evaluate, gradcheck,
};
use cnn_tensor::{Shape, Tensor};
use failure::Failure;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");

/// The parametric rectifier, `y = x` where `x > 0`, else `slope * x`, its slope learned: K. He, X. Zhang, S. Ren and
/// J. Sun, "Delving Deep into Rectifiers" (2015), equation 1.
#[derive(Serialize, Deserialize)]
struct PRelu {
    /// The initial slope of a fresh network.
    begin: f32,
    #[serde(skip)]
    slope: Tensor,
}

impl PRelu {
    fn new(begin: f32) -> Self {
        Self { begin, slope: Tensor::full([1], begin) }
    }
}

impl Own for PRelu {
    const KIND: &'static str = "my_prelu";

    /// The slope comes from a file, or has the initial value of the option.
    fn build(self, _: &[Shape], parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
        let slope = parameters.get("slope", [1], Init::Constant(self.begin))?;
        Ok(Self { slope, ..self })
    }
}

impl Unary for PRelu {
    /// The backward pass reads the input.
    type Saved = Tensor;

    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(x)
    }

    fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Tensor), NnError> {
        let slope = self.slope.data()[0];
        let y = x.data().iter().map(|&v| if v > 0.0 { v } else { slope * v });
        Ok((Tensor::from_vec(x.shape(), y.collect())?, x))
    }

    /// The chain rule: `dx = dy * dy/dx`, and for the slope the sum of `dy * dy/dslope`, which is `x` where `x <= 0`.
    fn backward(&self, x: Tensor, mut dy: Tensor, grads: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        let slope = self.slope.data()[0];
        // Make a mistake here, write `x` for `x.min(0.0)`, and the check names it.
        grads.of(0).data_mut()[0] +=
            x.data().iter().zip(dy.data()).map(|(x, dy)| dy * x.min(0.0)).sum::<f32>();
        let pairs = dy.data_mut().iter_mut().zip(x.data());
        pairs.filter(|(_, x)| **x <= 0.0).for_each(|(dy, _)| *dy *= slope);
        Ok(Some(dy))
    }

    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        f("slope", Role::Parameter, &self.slope);
    }

    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        f("slope", Role::Parameter, &mut self.slope);
    }
}

fn main() -> Result<(), Failure> {
    // Changes every input and parameter a little, and compares the change of the output with the gradients of `backward`.
    gradcheck::check(&mut PRelu::new(0.25), [2, 3, 4, 5], 0)?;
    println!("The gradients of PReLU are right.\n");

    // From here on it is a layer like any other.
    let digits = MnistFamily::Mnist;
    let (train, test) = (digits.load(MNIST, Split::Train)?, digits.load(MNIST, Split::Test)?);
    let spec = ModelSpec {
        name: "own_layer".into(),
        input: Input::gray(28, 28, digits.mean(), digits.std()),
        classes: train.classes().to_vec(),
        layers: vec![
            flatten().named("flatten"),
            linear(64).named("fc1"),
            own(&PRelu::new(0.25)).named("prelu"),
            linear(10).named("fc2"),
        ],
    };
    let mut model = Model::build(spec, 0)?;
    println!("{}", model.summary());

    let train = Loader::new(train, 64)?.shuffle(0).normalize(digits.normalize());
    let test = Loader::new(test, 1000)?.normalize(digits.normalize());
    let optimizer = OptimizerSpec::Sgd(Sgd { momentum: 0.9, ..Sgd::default() });
    let schedule = Schedule::Cosine;
    let settings =
        TrainSettings { epochs: 2, learning_rate: 0.05, schedule, optimizer, ..TrainSettings::default() };
    let mut trainer = Trainer::new(model.net, Classify::default(), settings)?;
    trainer.fit(&train, &test, &mut ())?;
    for report in &trainer.progress().history {
        let (loss, accuracy) = (report.train("loss").unwrap_or(0.0), report.test("accuracy").unwrap_or(0.0));
        println!("epoch {}: training loss {loss:.4}, test accuracy {:.2} %", report.epoch, 100.0 * accuracy);
    }

    // The file describes the layer by its kind and options, and holds its slope among the tensors. A program that only loads
    // the file first calls `cnn_nn::register::<PRelu>()`; here, `own` did.
    let file =
        std::env::args_os().nth(1).map_or(std::env::temp_dir().join("own_layer.safetensors"), PathBuf::from);
    model.net = trainer.into_net();
    model.save(&file)?;
    let model = Model::load(&file)?;
    let tensors = model.net.tensors();
    let slope = tensors.iter().find(|(name, _)| name == "prelu.slope").ok_or("no slope")?.1.data()[0];
    println!("The slope began at 0.25 and was learned to be {slope:.3}.");
    let accuracy = evaluate(&model.net, &Classify::default(), &test)?.get("accuracy").unwrap_or(0.0);
    println!("{}: test accuracy {:.2} %", file.display(), 100.0 * accuracy);
    Ok(())
}
