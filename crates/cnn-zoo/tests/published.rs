//! Small networks with the weights that their authors published, against onnxruntime, and networks of torchvision with weights that
//! both sides compute. `xtask/peers/small_nets.py` and `xtask/peers/torchvision_networks.py` wrote the numbers.
#![forbid(unsafe_code)]

mod numbers;

use cnn_nn::{Graph, Layer, NnError, ParameterSource, Request, Tensors};
use cnn_tensor::{Shape, Tensor};
use cnn_zoo::{Network, load_weights, mtcnn};
use numbers::Numbers;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A file in datasets/weights; `None`, which is said, if it is not there.
fn file(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("datasets/weights").join(format!("{name}.safetensors"));
    if !path.exists() {
        eprintln!("skipped: datasets/weights/{name}.safetensors is absent");
    }
    Some(path).filter(|path| path.exists())
}

/// Noise from 0 to 255, as the script has it.
fn pixels([c, h, w]: [usize; 3]) -> Tensor {
    let byte = |i: u64| (((i * 2_654_435_761) % (1 << 32)) >> 24) as f32;
    Tensor::from_vec([1, c, h, w], (0..(c * h * w) as u64).map(byte).collect()).unwrap()
}

#[track_caller]
fn assert_as_published(name: &str, outputs: &Tensors) {
    let expected: Value = serde_json::from_str(include_str!("fixtures/small_nets.json")).unwrap();
    let expected = expected[name].as_array().unwrap();
    assert_eq!(outputs.len(), expected.len(), "{name}");
    for (y, expected) in outputs.iter().zip(expected) {
        let shape: Vec<usize> = serde_json::from_value(expected["shape"].clone()).unwrap();
        assert_eq!(y.shape(), Shape::new(&shape).unwrap(), "{name}");
        let values: Vec<f32> = serde_json::from_value(expected["values"].clone()).unwrap();
        let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        for (y, expected) in y.data().iter().zip(&values) {
            assert!((y - expected).abs() <= 1e-5 * largest, "{name}: {y} instead of {expected}");
        }
    }
}

#[test]
fn the_resnets_for_cifar_have_the_published_logits() {
    let [mean, std] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
    for (network, name) in
        [("resnet20", "resnet20_cifar10-12fca82f"), ("resnet44", "resnet44_cifar10-014dd654")]
    {
        let Some(path) = file(name) else { continue };
        let classes = (0..10).map(|class| class.to_string()).collect();
        let model = load_weights(network, &path, classes).unwrap();
        assert_eq!(
            (model.spec.input.mean.clone(), model.spec.input.std.clone()),
            (mean.to_vec(), std.to_vec())
        );
        let mut x = pixels([3, 32, 32]);
        for (c, plane) in x.data_mut().chunks_mut(32 * 32).enumerate() {
            plane.iter_mut().for_each(|value| *value = (*value / 255.0 - mean[c]) / std[c]);
        }
        assert_as_published(name, &model.net.infer(&x).unwrap().into());
    }
}

#[test]
fn the_nets_of_mtcnn_have_the_published_outputs() {
    for (name, shape) in
        [("mtcnn_pnet", [3, 21, 26]), ("mtcnn_rnet", [3, 24, 24]), ("mtcnn_onet", [3, 48, 48])]
    {
        let Some(path) = file(name) else { continue };
        let net = mtcnn::load(name, shape, &path).unwrap();
        let x = pixels(shape).map(|value| (value - 127.5) / 128.0);
        assert_as_published(name, &Layer::infer(&net, (&x).into()).unwrap());
    }
    let Some(path) = file("mtcnn_pnet") else { return };
    let error = mtcnn::load("mtcnn_rnet", [3, 24, 24], &path).unwrap_err().to_string();
    assert!(error.contains("mtcnn_pnet.safetensors") && error.contains("conv1"), "{error}");
}

/// Parameters by their names, as the script computes them (`computed`).
struct Computed;

impl ParameterSource for Computed {
    fn parameter(&mut self, path: cnn_nn::Path<'_>, request: Request) -> Result<Tensor, NnError> {
        let name = path.to_string();
        let (middle, bound) = match name.rsplit('.').next() {
            Some("num_batches_tracked") => return Ok(Tensor::zeros(request.shape)),
            Some("running_var") => (1.0, 0.5),
            Some("running_mean" | "bias") => (0.0, 0.25),
            _ if request.shape.rank() > 1 => (0.0, (6.0 / request.fan_in as f32).sqrt()),
            _ => (1.0, 0.25),
        };
        Ok(Numbers(seed(&name)).tensor(request.shape, bound).map(|value| middle + value))
    }
}

/// The 64-bit FNV-1a hash of a name (Fowler, Noll and Vo).
fn seed(name: &str) -> u64 {
    let step = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
    name.bytes().fold(0xCBF2_9CE4_8422_2325, step)
}

#[test]
fn networks_of_torchvision_have_its_logits() {
    let expected: Value = serde_json::from_str(include_str!("fixtures/torchvision.json")).unwrap();
    let networks = expected["networks"].as_object().unwrap();
    assert_eq!(networks.len(), 4);
    for (name, expected) in networks {
        let extent = expected["extent"].as_u64().unwrap() as usize;
        let logits: Vec<f32> = serde_json::from_value(expected["logits"].clone()).unwrap();
        let network = Network::find(name).unwrap();
        let input = network.input().unwrap().with_size([extent; 2]);
        let spec = (network.spec)(input, (0..10).map(|class| class.to_string()).collect());
        let x = Numbers(seed("x")).tensor([2, 3, extent, extent].into(), 1.75);
        let y = Graph::chain(spec.layers, x.shape(), &mut Computed).unwrap().infer(&x).unwrap();
        assert_eq!((y.shape().dims(), logits.len()), (&[2, 10][..], 20), "{name}");
        let largest = logits.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        for (y, expected) in y.data().iter().zip(&logits) {
            let error = (y - expected).abs() / largest;
            // Not `<`: a NaN is an error too.
            assert!(error <= 2e-5, "{name}: {y} instead of {expected}, error {error:.1e}");
        }
    }
}
