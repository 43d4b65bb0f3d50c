//! Both AlexNets at their published size against PyTorch: features, outputs, loss and every parameter's gradient.
//!
//! PyTorch's numbers are in `fixtures/alexnet.safetensors`, written by `xtask/peers/alexnet.py`, which describes the file.
#![forbid(unsafe_code)]

mod numbers;

use cnn_nn::spec::NamedSpec;
use cnn_nn::{
    At, Graph, Input, LayerSpec, ModelSpec, NnError, ParameterSource, Path, Plan, Request, Trace, checkpoint,
};
use cnn_ops::{CrossEntropy, Loss};
use cnn_tensor::Tensor;
use cnn_tensor::simd::{Level, with_level};
use numbers::Numbers;
use std::collections::BTreeMap;

const LABELS: [u32; 2] = [7, 700];

/// Error allowed of features and outputs, relative to the largest magnitude in the tensor.
const TOLERANCE: f64 = 1e-5;
/// Error allowed of gradients, which come back through eight layers of rounding errors.
const GRADIENT_TOLERANCE: f64 = 5e-5;

/// Weights that nearly preserve the size of signals through rectifiers, and smaller biases.
impl ParameterSource for Numbers {
    fn parameter(&mut self, _: Path<'_>, request: Request) -> Result<Tensor, NnError> {
        let scale = if request.shape.dims().len() > 1 { 4.0 } else { 1.0 };
        Ok(self.tensor(request.shape, (scale / request.fan_in as f32).sqrt()))
    }
}

/// Sets the probability of dropout to 0, so that training equals evaluation.
fn prepare(layers: &mut [NamedSpec]) {
    for NamedSpec { layer, .. } in layers {
        match layer {
            LayerSpec::Dropout { p } => *p = 0.0,
            LayerSpec::Sequential { layers } => prepare(layers),
            _ => {}
        }
    }
}

/// Asserts that `got` equals PyTorch's tensor `name`, within `tolerance`.
#[track_caller]
fn assert_same(pytorch: &BTreeMap<String, Tensor>, name: &str, got: &[f32], tolerance: f64) {
    let want = pytorch.get(name).unwrap_or_else(|| panic!("the fixture has no {name}")).data();
    assert_eq!(got.len(), want.len(), "elements of {name}");
    let largest = want.iter().fold(0.0f64, |largest, &v| largest.max(f64::from(v).abs()));
    assert!(largest > 0.0, "{name} is all zeros");
    let error = got.iter().zip(want).map(|(&got, &want)| (f64::from(got) - f64::from(want)).abs() / largest);
    // Not `max`: a NaN is wrong too.
    let worst = error.fold(0.0, |worst, error| if error <= worst { worst } else { error });
    assert!(worst <= tolerance, "{name} at {}: error {worst:.1e}", Level::current().name());
}

fn check(ModelSpec { name, mut layers, input, .. }: ModelSpec, bound: f32) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/alexnet.safetensors");
    let pytorch = checkpoint::load(file.as_ref()).unwrap().tensors;
    let Input { shape: [c, h, w], .. } = input;
    prepare(&mut layers);
    let mut numbers = Numbers(1);
    let x = numbers.tensor([LABELS.len(), c, h, w].into(), bound);
    let net = Graph::chain(layers, x.shape(), &mut numbers).unwrap();

    for &level in Level::all() {
        with_level(level, || {
            let outputs = net.activations(&x).unwrap();
            let features = outputs.iter().find(|(layer, _)| *layer == "flatten").unwrap().1.data();
            let sample: Vec<f32> = features.iter().copied().step_by(41).collect();
            assert_same(&pytorch, &format!("{name}.features"), &sample, TOLERANCE);
            assert_same(&pytorch, &format!("{name}.logits"), outputs.last().unwrap().1.data(), TOLERANCE);
        });
    }
    let (plan, mut trace) = (Plan::new(&net, &[true; 16], false), Trace::default());
    let mut gradients = plan.gradients(&net);
    let logits = net.forward_with(&plan, x.into(), At::default(), &mut trace).unwrap();
    assert_same(&pytorch, &format!("{name}.logits"), logits[0].data(), TOLERANCE);
    let (loss, saved) = CrossEntropy::default().forward(&logits[0], &LABELS[..]).unwrap();
    assert_same(&pytorch, &format!("{name}.loss"), &[(loss / 2.0) as f32], TOLERANCE);
    net.backward_with(&plan, &mut trace, saved.backward(0.5).into(), &mut gradients).unwrap();
    let mut gradients = gradients.iter();
    net.parameters(&mut |path, _| {
        let gradient = gradients.next().unwrap().data();
        let sample: Vec<f32> = gradient.iter().copied().step_by(gradient.len() / 61).take(61).collect();
        assert_same(&pytorch, &format!("{name}.gradient.{path}"), &sample, GRADIENT_TOLERANCE);
        let norm = gradient.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        assert_same(&pytorch, &format!("{name}.norm.{path}"), &[norm as f32], GRADIENT_TOLERANCE);
    });
    assert!(gradients.next().is_none());
}

fn classes() -> Vec<String> {
    (0..1000).map(|class| class.to_string()).collect()
}

#[test]
fn a_single_tower_is_torchvisions() {
    check(cnn_zoo::alexnet(cnn_zoo::imagenet_input(), classes()), 2.0);
}

#[test]
fn groups_and_normalisation_of_2012_are_pytorchs() {
    check(cnn_zoo::alexnet_2012(cnn_zoo::alexnet::input_2012(), classes()), 128.0);
}
