//! Whole networks against PyTorch: outputs, loss, every parameter's gradient, and the course of training.
//!
//! PyTorch's numbers are in `fixtures/pytorch.safetensors`, written by `xtask/peers/parity.py`, which describes the file.
#![forbid(unsafe_code)]

use cnn_data::{Dataset, InMemoryDataset, Loader, MnistFamily, Split};
use cnn_nn::spec::NamedSpec;
use cnn_nn::{
    At, Batches, Classify, Fresh, Graph, Input, Layer, NnError, OptimizerSpec, ParameterSource, Path, Plan,
    Request, Trace, TrainSettings, Trainer, checkpoint,
};
use cnn_ops::{CrossEntropy, Loss};
use cnn_tensor::Tensor;
use cnn_tensor::simd::{Level, with_level};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Images in the only batch: not a multiple of 16, so that blocks of lanes are cut short.
const IMAGES: usize = 20;
/// Steps of a course of training.
const STEPS: usize = 20;
/// Of gradients with more elements than this, the fixture holds every [`STRIDE`]th element.
const LARGE: usize = 10_000;
const STRIDE: usize = 11;

/// The networks that every optimizer trains, at one SIMD level.
const THOROUGHLY: [&str; 3] = ["lenet5", "normalized", "resnet"];
/// The optimizers that train every network, at every SIMD level.
const EVERYWHERE: [&str; 3] = ["adam", "momentum", "nesterov"];

/// Error allowed of outputs and gradients, relative to the largest magnitude in the tensor.
const TOLERANCE: f64 = 1e-5;
/// Error allowed of a loss after some steps of training, relative to itself.
const LOSS_TOLERANCE: f64 = 1e-4;

static FIXTURE: LazyLock<checkpoint::Saved> = LazyLock::new(|| {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pytorch.safetensors");
    checkpoint::load(file.as_ref()).unwrap()
});

static PYTORCH: LazyLock<&BTreeMap<String, Tensor>> = LazyLock::new(|| &FIXTURE.tensors);

static RECIPE: LazyLock<Recipe> =
    LazyLock::new(|| serde_json::from_str(FIXTURE.description.as_ref().unwrap()).unwrap());

/// The fixture's metadata.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    #[serde(rename = "made_by")]
    _made_by: String,
    /// The networks that are not in the zoo.
    nets: BTreeMap<String, Vec<NamedSpec>>,
    optimizers: BTreeMap<String, Training>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Training {
    #[serde(alias = "rate")]
    learning_rate: f32,
    optimizer: OptimizerSpec,
}

static DIGITS: LazyLock<InMemoryDataset> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");
    MnistFamily::Mnist.load(folder, Split::Test).unwrap()
});

/// The batch for a network: normalised pixels for networks of the zoo, pixels from 0 to 1 for the others.
fn batches(net: &str) -> Loader {
    let loader = Loader::new(DIGITS.clone(), IMAGES).unwrap().limit(IMAGES);
    match RECIPE.nets.contains_key(net) {
        true => loader,
        false => loader.normalize(MnistFamily::Mnist.normalize()),
    }
}

/// Parameters uniform within `1 / sqrt(fan_in)`, from Knuth's 64-bit linear congruential generator (its upper 24 bits),
/// so that the script computes the same without a file; those of normalisations keep their initial values.
struct Draw(u64);

impl ParameterSource for Draw {
    fn parameter(&mut self, path: Path<'_>, request: Request) -> Result<Tensor, NnError> {
        // A parameter that sums no inputs belongs to a normalisation.
        if request.fan_in == 1 {
            return Fresh { seed: 0 }.parameter(path, request);
        }
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

/// The networks' layers, by the names that the fixture uses too.
fn nets() -> impl Iterator<Item = (String, Vec<NamedSpec>)> {
    let zoo = [cnn_zoo::lenet5, cnn_zoo::lenet5_tanh, cnn_zoo::mlp].map(|spec| {
        let model = spec(Input::gray(28, 28, 0.0, 1.0), DIGITS.classes().to_vec());
        (model.name, model.layers)
    });
    zoo.into_iter().chain(RECIPE.nets.clone())
}

/// A network with the script's parameters.
fn build(layers: &[NamedSpec]) -> Graph {
    Graph::chain(layers.to_vec(), [1, 1, 28, 28].into(), &mut Draw(1)).unwrap()
}

/// Runs `check` at every SIMD level.
fn at_every_level(check: impl Fn(Level)) {
    Level::all().iter().for_each(|&level| with_level(level, || check(level)));
}

/// Asserts that `got` equals the fixture's tensor `name`, within [`TOLERANCE`].
#[track_caller]
fn assert_same(level: Level, name: &str, got: &[f32]) {
    let want = PYTORCH.get(name).unwrap_or_else(|| panic!("the fixture has no {name}")).data();
    assert_eq!(got.len(), want.len(), "elements of {name}");
    let largest = want.iter().fold(0.0f64, |largest, &v| largest.max(f64::from(v).abs()));
    assert!(largest > 0.0, "{name} is all zeros");
    for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(got) - f64::from(want)).abs() / largest;
        // Not `<`: a NaN is an error too.
        assert!(
            error <= TOLERANCE,
            "{name}[{i}] at {}: {got}, PyTorch {want}, error {error:.1e}",
            level.name()
        );
    }
}

/// Asserts that the gradients of the parameters of `net` are PyTorch's, and that PyTorch has no others.
#[track_caller]
fn assert_same_gradients(level: Level, name: &str, net: &Graph, got: &[Tensor]) {
    let mut parameters = 0;
    net.parameters(&mut |path, _| {
        let gradient = got[parameters].data();
        parameters += 1;
        let step = if gradient.len() > LARGE { STRIDE } else { 1 };
        let sample: Vec<f32> = gradient.iter().copied().step_by(step).collect();
        assert_same(level, &format!("{name}.gradient.{path}"), &sample);
        let norm = gradient.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        assert_same(level, &format!("{name}.norm.{path}"), &[norm as f32]);
    });
    assert_eq!(parameters, got.len());
    let gradients = PYTORCH.keys().filter(|key| key.starts_with(&format!("{name}.gradient.")));
    assert_eq!(parameters, gradients.count(), "parameters of {name}");
}

#[test]
fn outputs_loss_and_gradients_of_a_layer_by_layer_pass() {
    at_every_level(|level| {
        for (name, layers) in nets() {
            let batch = batches(&name).epoch(0, 0).next().unwrap().unwrap();
            let mut net = build(&layers);
            let mut parameters = 0;
            net.parameters(&mut |_, _| parameters += 1);
            let plan = Plan::new(&net, &vec![true; parameters], false);
            let (mut trace, mut gradients) = (Trace::default(), plan.gradients(&net));
            let logits = net.forward_with(&plan, batch.inputs.clone(), At::default(), &mut trace).unwrap();
            assert_same(level, &format!("{name}.logits"), logits[0].data());
            let (loss, saved) = CrossEntropy::default().forward(&logits[0], batch.labels()).unwrap();
            assert_same(level, &format!("{name}.loss"), &[(loss / IMAGES as f64) as f32]);
            let dy = saved.backward(1.0 / IMAGES as f32).into();
            net.backward_with(&plan, &mut trace, dy, &mut gradients).unwrap();
            assert_same_gradients(level, &name, &net, &gradients);
            net.settle_with(&plan, &mut trace).unwrap();
            let evaluated = if net.nature().training_differs { "evaluated" } else { "logits" };
            assert_same(level, &format!("{name}.{evaluated}"), net.infer(&batch.inputs[0]).unwrap().data());
        }
    });
}

/// A run in which each epoch is one step on the whole batch.
fn train(
    name: &str,
    layers: &[NamedSpec],
    epochs: usize,
    learning_rate: f32,
    optimizer: OptimizerSpec,
) -> Trainer {
    let settings = TrainSettings { epochs, learning_rate, optimizer, ..TrainSettings::default() };
    let mut trainer = Trainer::new(build(layers), Classify::default(), settings).unwrap();
    trainer.fit(&batches(name), &batches(name), &mut ()).unwrap();
    trainer
}

#[test]
fn gradients_of_a_trainers_step() {
    at_every_level(|level| {
        for (name, layers) in nets() {
            // The optimizer does not change the gradients.
            let trainer = train(&name, &layers, 1, 0.03, OptimizerSpec::default());
            assert_same_gradients(level, &name, trainer.net(), trainer.learner().added());
        }
    });
}

#[test]
fn losses_of_20_steps() {
    at_every_level(|level| {
        for (name, layers) in nets() {
            for (which, &Training { learning_rate, optimizer }) in &RECIPE.optimizers {
                let everywhere = EVERYWHERE.contains(&which.as_str());
                let here = Some(&level) == Level::all().last() && THOROUGHLY.contains(&name.as_str());
                if !everywhere && !here {
                    continue;
                }
                let want = &PYTORCH[&format!("{name}.losses.{which}")];
                let trainer = train(&name, &layers, STEPS, learning_rate, optimizer);
                let history = &trainer.progress().history;
                assert_eq!(history.len() * 2, want.data().len());
                for (report, want) in history.iter().zip(want.data().chunks_exact(2)) {
                    let losses = [report.train("loss"), report.test("loss")];
                    for (got, &want) in losses.into_iter().zip(want) {
                        let (got, want) = (got.unwrap(), f64::from(want));
                        let error = (got - want).abs() / want;
                        let (step, level) = (report.epoch, level.name());
                        assert!(
                            error <= LOSS_TOLERANCE,
                            "{name}, {which}, step {step} at {level}: {got}, PyTorch {want}, error {error:.1e}"
                        );
                    }
                }
            }
        }
    });
    let losses = PYTORCH.keys().filter(|key| key.contains(".losses.")).count();
    let (optimizers, others) = (RECIPE.optimizers.len(), nets().count() - THOROUGHLY.len());
    assert_eq!(losses, THOROUGHLY.len() * optimizers + others * EVERYWHERE.len(), "courses in the fixture");
}
