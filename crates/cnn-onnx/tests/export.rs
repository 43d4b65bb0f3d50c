//! Networks that are written and read again.

use cnn_nn::spec::{
    batch_norm1d, batch_norm2d, conv2d, flatten, linear, pixel_shuffle, pixel_unshuffle, relu,
};
use cnn_nn::{Graph, Input, Model};
use cnn_onnx::{Export, Onnx, export};
use cnn_ops::pixel_shuffle::Order;
use cnn_tensor::{Random, Shape, Tensor};
use cnn_zoo::{NETWORKS, Takes};
use std::collections::BTreeMap;

/// The network in `net`, written and read.
fn again(net: &Graph) -> Graph {
    let contents = export(net, &Export::default()).unwrap();
    let file = Onnx::read(contents).unwrap();
    file.import(&BTreeMap::new()).unwrap().build().unwrap()
}

fn noise(shape: Shape) -> Tensor {
    let mut x = Tensor::zeros(shape);
    Random::new(0, &["noise"]).fill_normal(1.0, x.data_mut());
    x
}

/// A network of the zoo with random weights, for ten classes, and for small images where it takes large ones.
fn network(name: &str) -> Graph {
    let network = NETWORKS.iter().find(|network| network.name == name).unwrap();
    let input = match network.takes {
        Takes::Any => Input::gray(28, 28, 0.5, 0.5),
        Takes::Digits(input) | Takes::Cifar(input) | Takes::Frames(input) => input(),
        Takes::ImageNet(input) => Input { shape: [3, 64, 64], ..input() },
    };
    let classes = (0..10).map(|i| i.to_string()).collect();
    Model::build((network.spec)(input, classes), 1).unwrap().net
}

#[test]
fn networks_of_the_zoo_come_back_with_the_same_bits() {
    let small = ["lenet", "lenet-tanh", "mlp", "linear", "cuda-convnet-quick", "dqn-2013", "resnet20"];
    let modern = ["squeezenet1_1", "shufflenet_v2_x1_0", "mobilenet_v3_small"];
    for name in small.into_iter().chain(modern) {
        let net = network(name);
        let x = noise(net.inputs()[0].with_batch(3));
        assert_eq!(again(&net).infer(&x).unwrap(), net.infer(&x).unwrap(), "{name}");
    }
}

#[test]
fn pixels_become_channels_and_come_back() {
    for order in [Order::ChannelsFirst, Order::BlocksFirst] {
        let layers = cnn_nn::layers![pixel_unshuffle(2).order(order), pixel_shuffle(2).order(order)];
        let net = Graph::build(layers, [3, 4, 6], 0).unwrap();
        let x = noise([2, 3, 4, 6].into());
        assert_eq!(again(&net).infer(&x).unwrap(), x);
        let half = Graph::build(cnn_nn::layers![pixel_unshuffle(2).order(order)], [3, 4, 6], 0).unwrap();
        assert_eq!(again(&half).infer(&x).unwrap(), half.infer(&x).unwrap());
    }
}

/// Its table of connections, subsampling and codes become other layers.
#[test]
fn lenet_of_1998_comes_back_with_the_same_numbers() {
    let net = network("lenet-1998");
    let x = noise(net.inputs()[0].with_batch(3));
    let (got, want) = (again(&net).infer(&x).unwrap(), net.infer(&x).unwrap());
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * b.abs();
    assert!(got.data().iter().zip(want.data()).all(close), "{got}\n{want}");
}

#[test]
fn batch_norm_can_be_folded() {
    let layers = cnn_nn::layers![
        conv2d(4, 3).bias(false).named("conv"),
        batch_norm2d().named("bn"),
        relu(),
        batch_norm2d().named("alone"),
        flatten(),
        linear(3).named("fc"),
        batch_norm1d().named("bn1"),
    ];
    let mut net = Graph::build(layers, [2, 6, 5], 3).unwrap();
    let mut random = Random::new(1, &["statistics"]);
    net.visit_mut(&mut |_, _, tensor| {
        if tensor.shape().rank() == 1 {
            random.fill_normal(0.1, tensor.data_mut());
            tensor.data_mut().iter_mut().for_each(|v| *v += 1.0);
        }
    });
    let contents = export(&net, &Export { fold_batch_norm: true, ..Export::default() }).unwrap();
    let imported = Onnx::read(contents).unwrap().import(&BTreeMap::new()).unwrap();
    let net_again = imported.build().unwrap();
    let kinds: Vec<&str> = net_again.nodes().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, ["conv2d", "relu", "batch_norm2d", "flatten", "linear"]);
    let x = noise([3, 2, 6, 5].into());
    let (got, want) = (net_again.infer(&x).unwrap(), net.infer(&x).unwrap());
    let error = got.data().iter().zip(want.data()).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(error < 1e-4, "{error}");
}
