//! Every network of the zoo at its published size, and a small variant of each that learns.
#![forbid(unsafe_code)]

use cnn_nn::spec::{Compute, NamedSpec};
use cnn_nn::{
    At, Graph, Layer, LayerSpec, Model, ModelSpec, NnError, ParameterSource, Path, Plan, Request, Trace,
};
use cnn_ops::{CrossEntropy, Loss, losses};
use cnn_tensor::{Random, Shape, Tensor};
use cnn_zoo::Network;
use std::collections::{BTreeMap, BTreeSet};

/// The parameters of every network for ImageNet, and its multiply-accumulates in thousands of millions, as torchvision's
/// documentation of the published weights gives them. Without the auxiliary classifier, Inception v3 has 3,326,696 parameters less
/// than there. Of networks that torchvision lacks, the numbers are computed by hand from the papers' tables.
const PUBLISHED: [(&str, usize, f64); 33] = [
    ("alexnet", 61_100_840, 0.714),
    ("alexnet_2012", 60_965_224, 0.724),
    ("convnext_tiny", 28_589_128, 4.456),
    ("densenet121", 7_978_856, 2.834),
    ("efficientnet_b0", 5_288_548, 0.386),
    ("googlenet", 6_624_904, 1.498),
    ("inception_v3", 27_161_264 - 3_326_696, 5.713),
    ("mnasnet1_0", 4_383_312, 0.314),
    ("mobilenet_v1", 4_231_976, 0.569),
    ("mobilenet_v2", 3_504_872, 0.301),
    ("mobilenet_v3_large", 5_483_032, 0.217),
    ("mobilenet_v3_small", 2_542_856, 0.057),
    ("regnet_y_400mf", 4_344_144, 0.402),
    ("resnet18", 11_689_512, 1.814),
    ("resnet34", 21_797_672, 3.664),
    ("resnet50", 25_557_032, 4.089),
    ("resnet101", 44_549_160, 7.801),
    ("resnet152", 60_192_808, 11.514),
    ("resnext50_32x4d", 25_028_904, 4.23),
    ("se_resnet50", 28_088_024, 4.092),
    ("shufflenet_v2_x1_0", 2_278_604, 0.145),
    ("squeezenet1_0", 1_248_424, 0.819),
    ("squeezenet1_1", 1_235_496, 0.349),
    ("vgg11", 132_863_336, 7.609),
    ("vgg11_bn", 132_868_840, 7.609),
    ("vgg13", 133_047_848, 11.308),
    ("vgg13_bn", 133_053_736, 11.308),
    ("vgg16", 138_357_544, 15.47),
    ("vgg16_bn", 138_365_992, 15.47),
    ("vgg19", 143_667_240, 19.632),
    ("vgg19_bn", 143_678_248, 19.632),
    ("wide_resnet50_2", 68_883_240, 11.398),
    ("zfnet", 62_357_608, 1.168),
];

fn classes(n: usize) -> Vec<String> {
    (0..n).map(|class| class.to_string()).collect()
}

/// Zeros that the system gives, in memory that nothing touches until it is read: half a gigabyte for a VGG.
struct Untouched;

impl ParameterSource for Untouched {
    fn parameter(&mut self, _: Path<'_>, request: Request) -> Result<Tensor, NnError> {
        Ok(Tensor::from_vec(request.shape, vec![0.0; request.shape.numel()])?)
    }
}

fn of_zeros(ModelSpec { layers, input, .. }: &ModelSpec) -> Graph {
    let [c, h, w] = input.shape;
    Graph::chain(layers.clone(), [1, c, h, w].into(), &mut Untouched).unwrap()
}

#[test]
fn parameters_macs_and_outputs_are_those_published() {
    assert_eq!(Network::for_imagenet().count(), PUBLISHED.len());
    for (network, (name, parameters, macs)) in Network::for_imagenet().zip(PUBLISHED) {
        let spec = network.published(classes(1000));
        assert_eq!((network.name, spec.name.as_str()), (name, name));
        let net = of_zeros(&spec);
        assert_eq!(net.parameter_count(), parameters, "{}", spec.name);
        let [c, h, w] = spec.input.shape;
        let x = Shape::from([1, c, h, w]);
        assert_eq!((net.macs(&[x]) as f64 / 1e6).round() / 1e3, macs, "{}", spec.name);
        assert_eq!(net.output_shape().unwrap().dims(), [1, 1000], "{}", spec.name);
    }
}

#[test]
fn an_image_of_the_published_size_goes_through() {
    // Those of few multiply-accumulates. `alexnet.rs` tests AlexNet, and `published.rs` has others at a smaller size.
    let cheap = |network: &&Network| {
        !is_alexnet(network) && PUBLISHED.iter().any(|(name, _, macs)| *name == network.name && *macs < 2.0)
    };
    let small = Network::for_imagenet().filter(cheap);
    for network in small {
        let spec = network.published(classes(1000));
        let [c, h, w] = spec.input.shape;
        let y = of_zeros(&spec).infer(&Tensor::zeros([1, c, h, w])).unwrap();
        assert_eq!(y.shape().dims(), [1, 1000], "{}", spec.name);
    }
}

#[test]
fn descriptions_come_back_from_json() {
    for network in Network::for_imagenet() {
        let spec = network.published(classes(1000));
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<ModelSpec>(&json).unwrap(), spec);
    }
}

#[test]
fn a_new_head_takes_the_place_of_every_classifier() {
    for network in Network::with_published_weights() {
        let spec = network.published(classes(10)).with_head(classes(3)).unwrap();
        let names: BTreeSet<&str> = spec.layers.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(names.len(), spec.layers.len(), "{}: {names:?}", network.name);
        assert!(names.contains("head") && names.len() > 2, "{}: {names:?}", network.name);
    }
}

/// The networks that learn here: one of each kind of description.
const LEARN: [&str; 11] = [
    "alexnet",
    "alexnet_2012",
    "densenet121",
    "googlenet",
    "mobilenet_v2",
    "resnet18",
    "resnet34",
    "squeezenet1_0",
    "squeezenet1_1",
    "vgg11",
    "vgg11_bn",
];

fn is_alexnet(network: &Network) -> bool {
    network.name.starts_with("alexnet")
}

/// The network for 67 x 67 images in 10 classes, with a quarter of the channels: a description is data. The AlexNet of 2012
/// takes no smaller images.
fn small(network: &Network) -> Model {
    let input = network.input().unwrap().with_size([67, 67]);
    let mut spec = (network.spec)(input, classes(10));
    spec.layers.iter_mut().for_each(|NamedSpec { layer, .. }| narrow(layer));
    Model::build(spec, 1).unwrap()
}

/// Divides multiples of 4 by 4: all channels and features but the classes.
fn narrow(layer: &mut LayerSpec) {
    let quarter = |n: &mut usize| *n = if n.is_multiple_of(4) { *n / 4 } else { *n };
    match layer {
        LayerSpec::Conv2d(spec) => {
            quarter(&mut spec.out_channels);
            quarter(&mut spec.groups);
        }
        LayerSpec::Linear(spec) => quarter(&mut spec.out_features),
        LayerSpec::Sequential { layers } | LayerSpec::Concat { branches: layers } => {
            layers.iter_mut().for_each(|NamedSpec { layer, .. }| narrow(layer));
        }
        LayerSpec::Residual(spec) => {
            let shortcut = spec.shortcut.as_deref_mut();
            let layers = spec.layers.iter_mut().chain(shortcut).chain(&mut spec.after);
            layers.for_each(|NamedSpec { layer, .. }| narrow(layer));
        }
        LayerSpec::Graph(spec) => {
            for node in &mut spec.nodes {
                if let Compute::Layer(layer) = &mut node.compute {
                    narrow(layer);
                }
            }
        }
        _ => {}
    }
}

/// Two images and their labels.
fn batch() -> (Tensor, [u32; 2]) {
    let mut x = Tensor::zeros([2, 3, 67, 67]);
    Random::new(2, &["images"]).fill_normal(1.0, x.data_mut());
    (x, [3, 8])
}

/// Training of all parameters.
fn plan(net: &Graph) -> Plan {
    let mut parameters = 0;
    net.parameters(&mut |_, _| parameters += 1);
    Plan::new(net, &vec![true; parameters], false)
}

/// The sum of the losses in training, and what the backward pass reads; always with the same dropout.
fn forward(net: &Graph, trace: &mut Trace) -> (f64, losses::Saved) {
    let (x, labels) = batch();
    let logits = net.forward_with(&plan(net), x.into(), At::default(), trace).unwrap();
    assert_eq!(logits[0].shape().dims(), [2, 10]);
    CrossEntropy::default().forward(&logits[0], &labels[..]).unwrap()
}

#[test]
fn gradients_reach_every_parameter_and_are_as_steep_as_they_say() {
    for network in LEARN.map(|name| Network::find(name).unwrap()) {
        let Model { spec, net } = small(network);
        let (plan, mut trace) = (plan(&net), Trace::default());
        let (_, saved) = forward(&net, &mut trace);
        let mut gradients = plan.gradients(&net);
        net.backward_with(&plan, &mut trace, saved.backward(1.0).into(), &mut gradients).unwrap();
        let (mut squares, mut each) = (0.0, gradients.iter());
        net.parameters(&mut |path, _| {
            let sum: f64 = each.next().unwrap().data().iter().map(|&g| f64::from(g).powi(2)).sum();
            assert!(
                sum > 0.0 && sum.is_finite(),
                "{}: {path} has a gradient of norm {}",
                spec.name,
                sum.sqrt()
            );
            squares += sum;
        });
        // A step uphill or downhill: the loss there, and its change as the gradients predict it for the rounded step.
        let step = |rise: f64| {
            let (mut moved, mut foretold, mut gradients) = (net.copy().unwrap(), 0.0, gradients.iter());
            moved.parameters_mut(&mut |_, value| {
                let gradient = gradients.next().unwrap().data();
                for (value, &gradient) in value.data_mut().iter_mut().zip(gradient) {
                    let before = *value;
                    *value += (rise / squares) as f32 * gradient;
                    foretold += f64::from(*value - before) * f64::from(gradient);
                }
            });
            (forward(&moved, &mut Trace::default()).0, foretold)
        };
        let ((below, fall), (above, climb)) = (step(-3e-4), step(3e-4));
        let ratio = (above - below) / (climb - fall);
        assert!((ratio - 1.0).abs() < 0.02, "{}: {ratio} of the rise that was foretold", spec.name);
    }
}

#[test]
fn a_file_brings_the_running_statistics_back() {
    let mut model = small(Network::find("resnet18").unwrap());
    let mut trace = Trace::default();
    forward(&model.net, &mut trace);
    let plan = plan(&model.net);
    model.net.settle_with(&plan, &mut trace).unwrap();
    let mut means = 0;
    model.net.visit(&mut |path, _, buffer| {
        if path.to_string().ends_with("running_mean") {
            means += 1;
            assert!(buffer.data().iter().any(|&mean| mean != 0.0), "{path} has not moved");
        }
    });
    assert_eq!(means, 20);
    let file = tempfile::NamedTempFile::new().unwrap();
    model.save(file.path()).unwrap();
    let again = Model::load(file.path()).unwrap();
    assert_eq!(again.spec, model.spec);
    assert_eq!(again.net.tensors(), model.net.tensors());
    let (x, _) = batch();
    assert_eq!(again.net.infer(&x).unwrap(), model.net.infer(&x).unwrap());
}

#[test]
fn mobilenet_v2_has_the_names_and_shapes_of_the_published_weights() {
    // Of torchvision's mobilenet_v2-b0353104, without the counts of batches.
    let published: BTreeMap<&str, &str> = include_str!("fixtures/mobilenet_v2.tensors.txt")
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    assert_eq!(published.len(), 262);
    let net = of_zeros(&cnn_zoo::mobilenet_v2(cnn_zoo::imagenet_input(), classes(1000)));
    let tensors: BTreeMap<String, String> =
        net.tensors().into_iter().map(|(name, tensor)| (name, tensor.shape().to_string())).collect();
    let ours = tensors.iter().map(|(name, shape)| (name.as_str(), shape.as_str()));
    assert_eq!(
        ours.filter(|(name, _)| !name.ends_with("num_batches_tracked")).collect::<BTreeMap<_, _>>(),
        published
    );
}
