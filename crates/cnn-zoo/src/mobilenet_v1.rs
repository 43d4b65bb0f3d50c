//! MobileNetV1: depthwise and pointwise convolutions in turn, for images of ImageNet's size.
//!
//! A. G. Howard, M. Zhu, B. Chen, D. Kalenichenko, W. Wang, T. Weyand, M. Andreetto, H. Adam: "MobileNets: Efficient Convolutional
//! Neural Networks for Mobile Vision Applications", arXiv:1704.04861, 2017, table 1 and figure 3.
//!
//! MobileNetV1, for 3 x 224 x 224:
//!
//! | layer | paper | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | features.0 | Conv / s2 | 32 x 112 x 112 | 928 | 10,838,016 |
//! | features.1 | Conv dw / s1, Conv / s1 | 64 x 112 x 112 | 2,528 | 29,302,784 |
//! | features.2, features.3 | Conv dw / s2 and s1 | 128 x 56 x 56 | 27,200 | 82,489,344 |
//! | features.4, features.5 | Conv dw / s2 and s1 | 256 x 28 x 28 | 103,552 | 79,779,840 |
//! | features.6, features.7, features.8, features.9, features.10, features.11 | Conv dw / s2, 5 x s1 | 512 x 14 x 14 | 1,478,912 | 287,558,656 |
//! | features.12, features.13 | Conv dw / s2 and s1 | 1024 x 7 x 7 | 1,593,856 | 77,747,712 |
//! | avgpool, flatten | Avg Pool / s1 | 1024 | | |
//! | classifier.1 | FC / s1 | 1000 | 1,025,000 | 1,024,000 |
//! | total | | | 4,231,976 | 568,740,352 |
//!
//! The stride of the last depthwise convolution is 1, with which the shapes in table 1 agree; the table says 2. Batch normalisation
//! and ReLU follow each convolution. The paper counts 4.2 million parameters and 569 million multiply-adds.
//!
//! torchvision lacks this network. Names are in the style of its MobileNetV2: in `features.3`, `0.0.weight` is the depthwise
//! convolution's, `1.0.weight` the pointwise one's. So is the initialisation: see [`mobilenet_v2`](crate::mobilenet_v2).

use crate::blocks::{convolution, normalized};
use cnn_nn::spec::{
    Conv2dSpec, adaptive_avg_pool2d, batch_norm2d, dropout, flatten, linear, relu, sequential,
};
use cnn_nn::{Init, Input, LayerSpec, ModelSpec, layers};

/// Output channels and stride of each pair of convolutions: table 1.
const PAIRS: [[usize; 2]; 13] = [
    [64, 1],
    [128, 2],
    [128, 1],
    [256, 2],
    [256, 1],
    [512, 2],
    [512, 1],
    [512, 1],
    [512, 1],
    [512, 1],
    [512, 1],
    [1024, 2],
    [1024, 1],
];

/// MobileNetV1 of width 1: 4,231,976 parameters.
pub fn mobilenet_v1(input: Input, classes: Vec<String>) -> ModelSpec {
    let mut features = vec![active(convolution(32, 3).stride(2))];
    let mut channels = 32;
    for [out, stride] in PAIRS {
        let depthwise = convolution(channels, 3).stride(stride).groups(channels);
        features.push(sequential([active(depthwise), active(convolution(out, 1))]));
        channels = out;
    }
    let output = linear(classes.len()).init(Init::Normal(0.01)).bias_init(Init::Zeros);
    let layers = vec![
        sequential(features).named("features"),
        adaptive_avg_pool2d(1).named("avgpool"),
        flatten().named("flatten"),
        sequential(layers![dropout(0.001), output]).named("classifier"),
    ];
    ModelSpec { name: "mobilenet_v1".into(), input, classes, layers }
}

/// A convolution, its normalisation, and ReLU.
fn active(convolution: Conv2dSpec) -> LayerSpec {
    normalized(convolution, batch_norm2d(), relu())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        assert_table(include_str!("mobilenet_v1.rs"), "MobileNetV1, for", mobilenet_v1);
    }
}
