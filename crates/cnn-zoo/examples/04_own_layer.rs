//! 4. A layer of your own, its gradients checked, in a network that trains.
//!
//! `cargo run --release -p cnn-zoo --example 04_own_layer`
#![allow(clippy::print_stdout)]

use cnn_data::{Loader, MnistFamily, Split};
use cnn_nn::spec::{flatten, linear};
use cnn_nn::{
    Fresh, Layer, LayerSpec, NnError, OptimizerSpec, Parameter, Path, Schedule, Sequential, Sgd,
    TrainSettings, Trainer, gradcheck,
};
use cnn_tensor::{Shape, Tensor};
use std::error::Error;

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");

/// The parametric rectifier, `y = x` where `x > 0`, else `slope * x`, its slope learned: K. He, X. Zhang, S. Ren and
/// J. Sun, "Delving Deep into Rectifiers" (2015), equation 1.
struct PRelu {
    slope: Parameter,
    /// The input, kept by `forward` for `backward`.
    x: Option<Tensor>,
}

impl PRelu {
    fn new(slope: f32) -> Self {
        Self { slope: Parameter::new(Tensor::full([1], slope)), x: None }
    }
}

impl Layer for PRelu {
    fn kind(&self) -> &'static str {
        "prelu"
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(x)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        let slope = self.slope.value.data()[0];
        let y = x.data().iter().map(|&v| if v > 0.0 { v } else { slope * v });
        Ok(Tensor::from_vec(x.shape(), y.collect())?)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let y = self.infer(&x)?;
        self.x = Some(x);
        Ok(y)
    }

    /// The chain rule: `dx = dy * dy/dx`, and for the slope the sum of `dy * dy/dslope`, which is `x` where `x <= 0`.
    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let x = self.x.take().ok_or(NnError::Order { layer: self.kind() })?;
        let slope = self.slope.value.data()[0];
        let pairs = || x.data().iter().zip(dy.data());
        // Make a mistake here, write `x` for `x.min(0.0)`, and the check names it.
        self.slope.gradient.data_mut()[0] += pairs().map(|(x, dy)| dy * x.min(0.0)).sum::<f32>();
        let dx = pairs().map(|(&x, &dy)| if x > 0.0 { dy } else { slope * dy });
        Ok(Tensor::from_vec(x.shape(), dx.collect())?)
    }

    fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
        f(path.join("slope"), &self.slope);
    }

    fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
        f(path.join("slope"), &mut self.slope);
    }

    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self { slope: self.slope.replicate(), x: None })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // Moves every input and parameter a little and compares what becomes of the output with what `backward` says.
    gradcheck::check(&mut PRelu::new(0.25), [2, 3, 4, 5], 0)?;
    println!("The gradients of PReLU are right.");

    // The library's layers are built from their descriptions, each for the input that it will get.
    let library =
        |name: &str, spec: LayerSpec, x: Shape| spec.build(x, Path::ROOT.join(name), &mut Fresh { seed: 0 });
    let net = Sequential::new(vec![
        ("flatten".into(), library("flatten", flatten(), [1, 1, 28, 28].into())?),
        ("fc1".into(), library("fc1", linear(64).into(), [1, 784].into())?),
        ("prelu".into(), Box::new(PRelu::new(0.25))),
        ("fc2".into(), library("fc2", linear(10).into(), [1, 64].into())?),
    ])?;
    println!("\n{}", net.summary([1, 28, 28])?);

    let digits = MnistFamily::Mnist;
    let (train, test) = (digits.load(MNIST, Split::Train)?, digits.load(MNIST, Split::Test)?);
    let train = Loader::new(train, 64)?.shuffle(0).normalize(digits.normalize());
    let test = Loader::new(test, 1000)?.normalize(digits.normalize());
    let optimizer = OptimizerSpec::Sgd(Sgd { momentum: 0.9, ..Sgd::default() });
    let settings = TrainSettings {
        epochs: 2,
        rate: 0.05,
        schedule: Schedule::Cosine,
        optimizer,
        ..TrainSettings::default()
    };
    let mut trainer = Trainer::new(net, settings)?;
    trainer.fit(&train, &test, &mut ())?;
    for epoch in &trainer.progress().history {
        let accuracy = 100.0 * epoch.test_accuracy;
        println!(
            "epoch {}: training loss {:.4}, test accuracy {accuracy:.2} %",
            epoch.epoch, epoch.train_loss
        );
    }
    let tensors = trainer.net().tensors();
    let slope = tensors.iter().find(|(name, _)| name == "prelu.slope").map(|(_, slope)| slope.data()[0]);
    println!("The slope began at 0.25 and was learned to be {:.3}.", slope.ok_or("no slope")?);
    Ok(())
}
