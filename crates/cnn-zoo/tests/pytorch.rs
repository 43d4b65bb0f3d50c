//! Whole networks against PyTorch: outputs, loss, every parameter's gradient, and the course of training.
//!
//! What PyTorch gives is in `fixtures/pytorch.safetensors`; `xtask/peers/parity.py` wrote it and says what it holds.
#![forbid(unsafe_code)]

use cnn_data::{Dataset, Loader, MnistFamily, Split};
use cnn_nn::{
    Adam, Batches, Input, Layer, ModelSpec, NnError, OptimizerSpec, ParameterSource, Path, Request,
    Sequential, Sgd, TrainSettings, Trainer, checkpoint,
};
use cnn_ops::cross_entropy;
use cnn_tensor::Tensor;
use cnn_tensor::simd::{Level, with_level};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Images in the only batch: not a multiple of 16, so that blocks of lanes are cut short.
const IMAGES: usize = 20;
/// Steps of a course of training.
const STEPS: usize = 20;
/// Of gradients with more elements than this, the fixture holds every [`STRIDE`]th.
const LARGE: usize = 10_000;
const STRIDE: usize = 11;

/// Error allowed of outputs and gradients, relative to the largest magnitude in the tensor.
const TOLERANCE: f64 = 1e-5;
/// Error allowed of a loss after some steps of training, relative to itself.
const LOSS_TOLERANCE: f64 = 1e-4;

static PYTORCH: LazyLock<BTreeMap<String, Tensor>> = LazyLock::new(|| {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pytorch.safetensors");
    checkpoint::load(file.as_ref()).unwrap().tensors
});

static DIGITS: LazyLock<Dataset> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");
    MnistFamily::Mnist.load(folder, Split::Test).unwrap()
});

fn batches() -> Loader<'static> {
    let normalize = MnistFamily::Mnist.normalize();
    Loader::new(&DIGITS, IMAGES).unwrap().normalize(normalize).unwrap().limit(IMAGES)
}

/// Parameters uniform within `1 / sqrt(fan_in)`, from Knuth's 64-bit linear congruential generator (its upper 24 bits),
/// so that the script has the same without a file.
struct Draw(u64);

impl ParameterSource for Draw {
    fn parameter(&mut self, _: Path<'_>, request: Request) -> Result<Tensor, NnError> {
        let bound = 1.0 / (request.fan_in as f32).sqrt();
        let mut tensor = Tensor::zeros(request.shape);
        for v in tensor.data_mut() {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let whole = (self.0 >> 40) as i32 - (1 << 23);
            *v = whole as f32 / (1 << 23) as f32 * bound;
        }
        Ok(tensor)
    }
}

/// The networks, by the names that they and the fixture have for them, with the script's parameters.
fn nets() -> [(String, Sequential); 3] {
    [cnn_zoo::lenet5, cnn_zoo::lenet5_tanh, cnn_zoo::mlp].map(|spec| {
        let ModelSpec { name, layers, .. } = spec(Input::gray(28, 28, 0.0, 1.0), DIGITS.classes().to_vec());
        let net = Sequential::build_from(&layers, [1, 1, 28, 28].into(), Path::ROOT, &mut Draw(1)).unwrap();
        (name, net)
    })
}

/// Runs `check` at every SIMD level.
fn at_every_level(check: impl Fn(Level)) {
    Level::all().iter().for_each(|&level| with_level(level, || check(level)));
}

/// Asserts that `got` is what the fixture has under `name`, within [`TOLERANCE`].
#[track_caller]
fn assert_same(level: Level, name: &str, got: &[f32]) {
    let want = PYTORCH.get(name).unwrap_or_else(|| panic!("the fixture has no {name}")).data();
    assert_eq!(got.len(), want.len(), "elements of {name}");
    let largest = want.iter().fold(0.0f64, |largest, &v| largest.max(f64::from(v).abs()));
    assert!(largest > 0.0, "{name} is all zeros");
    for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(got) - f64::from(want)).abs() / largest;
        // Not `<`: a NaN is wrong too.
        assert!(
            error <= TOLERANCE,
            "{name}[{i}] at {}: {got}, PyTorch {want}, error {error:.1e}",
            level.name()
        );
    }
}

/// Asserts that the gradients in `net` are PyTorch's, and that PyTorch has no others.
#[track_caller]
fn assert_same_gradients(level: Level, name: &str, net: &Sequential) {
    let mut parameters = 0;
    net.visit(Path::ROOT, &mut |path, parameter| {
        parameters += 1;
        let gradient = parameter.gradient.data();
        let step = if gradient.len() > LARGE { STRIDE } else { 1 };
        let sample: Vec<f32> = gradient.iter().copied().step_by(step).collect();
        assert_same(level, &format!("{name}.gradient.{path}"), &sample);
        let norm = gradient.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        assert_same(level, &format!("{name}.norm.{path}"), &[norm as f32]);
    });
    let gradients = PYTORCH.keys().filter(|key| key.starts_with(&format!("{name}.gradient.")));
    assert_eq!(parameters, gradients.count(), "parameters of {name}");
}

#[test]
fn outputs_loss_and_gradients_of_a_layer_by_layer_pass() {
    let batch = batches().epoch(0, 0).next().unwrap().unwrap();
    at_every_level(|level| {
        for (name, mut net) in nets() {
            let logits = net.forward(batch.x.clone()).unwrap();
            assert_same(level, &format!("{name}.logits"), logits.data());
            assert_same(level, &format!("{name}.logits"), net.infer(&batch.x).unwrap().data());
            let (loss, saved) = cross_entropy::forward(&logits, &batch.labels).unwrap();
            assert_same(level, &format!("{name}.loss"), &[(loss / IMAGES as f64) as f32]);
            net.backward(cross_entropy::backward(&saved, 1.0 / IMAGES as f32)).unwrap();
            assert_same_gradients(level, &name, &net);
        }
    });
}

/// A run whose every epoch is one step on the whole batch.
fn train(net: Sequential, epochs: usize, rate: f32, optimizer: OptimizerSpec) -> Trainer {
    let settings = TrainSettings { epochs, rate, optimizer, ..TrainSettings::default() };
    let mut trainer = Trainer::new(net, settings).unwrap();
    trainer.fit(&batches(), &batches(), &mut ()).unwrap();
    trainer
}

#[test]
fn gradients_of_a_trainers_step() {
    at_every_level(|level| {
        for (name, net) in nets() {
            // The optimizer leaves the gradients in the network.
            assert_same_gradients(level, &name, &train(net, 1, 0.03, OptimizerSpec::default()).into_net());
        }
    });
}

#[test]
fn losses_of_20_steps() {
    let sgd = Sgd { momentum: 0.9, ..Sgd::default() };
    let nesterov = Sgd { nesterov: true, weight_decay: 5e-4, ..sgd };
    let optimizers = [
        ("momentum", 0.03, OptimizerSpec::Sgd(sgd)),
        ("nesterov", 0.03, OptimizerSpec::Sgd(nesterov)),
        ("adam", 1e-3, OptimizerSpec::Adam(Adam::default())),
    ];
    at_every_level(|level| {
        for (which, rate, optimizer) in optimizers {
            for (name, net) in nets() {
                let trainer = train(net, STEPS, rate, optimizer);
                let want = PYTORCH[&format!("{name}.losses.{which}")].data();
                let history = &trainer.progress().history;
                assert_eq!(history.len(), want.len());
                for (report, &want) in history.iter().zip(want) {
                    let (got, want) = (report.train_loss, f64::from(want));
                    let error = (got - want).abs() / want;
                    let (step, level) = (report.epoch, level.name());
                    assert!(
                        error <= LOSS_TOLERANCE,
                        "{name}, {which}, step {step} at {level}: {got}, PyTorch {want}, error {error:.1e}"
                    );
                }
            }
        }
    });
}
