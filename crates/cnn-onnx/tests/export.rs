//! Networks that are written and read again.

use cnn_nn::{Graph, Input, Model};
use cnn_onnx::{Export, Onnx, export};
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

#[test]
fn networks_of_the_zoo_come_back_with_the_same_bits() {
    let small = ["lenet", "lenet-tanh", "mlp", "linear", "cuda-convnet-quick", "dqn-2013", "resnet20"];
    for network in NETWORKS.iter().filter(|network| small.contains(&network.name)) {
        let input = match network.takes {
            Takes::Any => Input::gray(28, 28, 0.5, 0.5),
            Takes::Digits(input) | Takes::ImageNet(input) | Takes::Cifar(input) | Takes::Frames(input) => {
                input()
            }
        };
        let classes = (0..10).map(|i| i.to_string()).collect();
        let net = Model::build((network.spec)(input, classes), 1).unwrap().net;
        let x = noise(net.inputs()[0].with_batch(3));
        assert_eq!(again(&net).infer(&x).unwrap(), net.infer(&x).unwrap(), "{}", network.name);
    }
}
