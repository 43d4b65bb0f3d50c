//! EfficientNet-B0: inverted residuals with squeeze and excitation and swish, the smallest of a family, for images of ImageNet's size.
//!
//! M. Tan, Q. V. Le: "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, table 1.
//!
//! EfficientNet-B0, for 3 x 224 x 224; an inverted residual expands its channels by the factor after MBConv:
//!
//! | layer | table 1 | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | features.0 | Conv 3 x 3 | 32 x 112 x 112 | 928 | 10,838,016 |
//! | features.1 | 1 x MBConv1, 3 x 3 | 16 x 112 x 112 | 1,448 | 10,035,712 |
//! | features.2 | 2 x MBConv6, 3 x 3 | 24 x 56 x 56 | 16,714 | 54,945,216 |
//! | features.3 | 2 x MBConv6, 5 x 5 | 40 x 28 x 28 | 46,640 | 37,939,584 |
//! | features.4 | 3 x MBConv6, 3 x 3 | 80 x 14 x 14 | 242,930 | 43,555,200 |
//! | features.5 | 3 x MBConv6, 5 x 5 | 112 x 14 x 14 | 543,148 | 86,102,400 |
//! | features.6 | 4 x MBConv6, 5 x 5 | 192 x 7 x 7 | 2,026,348 | 91,528,224 |
//! | features.7 | 1 x MBConv6, 3 x 3 | 320 x 7 x 7 | 717,232 | 29,520,000 |
//! | features.8 | Conv 1 x 1 | 1280 x 7 x 7 | 412,160 | 20,070,400 |
//! | avgpool, flatten | Pooling | 1280 | | |
//! | classifier.1 | FC | 1000 | 1,281,000 | 1,280,000 |
//! | total | | | 5,288,548 | 385,814,752 |
//!
//! Squeezing leaves a quarter of the channels before the expansion. Activations are swish, `x sigmoid(x)`.
//!
//! Names and shapes are torchvision's, such as `features.2.0.block.2.fc1.weight`. Convolutions are initialised as there, but for what
//! [`mobilenet_v2`](crate::mobilenet_v2) says of depthwise ones; the linear layer is normal with standard deviation 0.01, and its
//! bias 0. (torchvision scales photos for the published weights by cubic interpolation, [`imagenet_input`](crate::imagenet_input)
//! bilinearly.) Stochastic depth, by which training leaves out residual blocks at random, is not part of the description.

use crate::blocks::{InvertedResidual, convolution, normalized, squeeze_excitation};
use cnn_nn::spec::{adaptive_avg_pool2d, batch_norm2d, dropout, flatten, linear, sequential, sigmoid, silu};
use cnn_nn::{Init, Input, ModelSpec, layers};

/// Expansion, kernel, first stride, channels and repetitions: table 1.
const STAGES: [[usize; 5]; 7] = [
    [1, 3, 1, 16, 1],
    [6, 3, 2, 24, 2],
    [6, 5, 2, 40, 2],
    [6, 3, 2, 80, 3],
    [6, 5, 1, 112, 3],
    [6, 5, 2, 192, 4],
    [6, 3, 1, 320, 1],
];

/// EfficientNet-B0: 5,288,548 parameters.
pub fn efficientnet_b0(input: Input, classes: Vec<String>) -> ModelSpec {
    let norm = batch_norm2d();
    let mut features = vec![normalized(convolution(32, 3).stride(2), norm, silu())];
    let mut from = 32;
    for [expansion, kernel, first_stride, out, repetitions] in STAGES {
        let mut blocks = Vec::new();
        for i in 0..repetitions {
            let (stride, expanded) = (if i == 0 { first_stride } else { 1 }, expansion * from);
            let squeeze = Some(squeeze_excitation(expanded, from / 4, silu(), sigmoid()));
            let activation = silu();
            let block = InvertedResidual { from, expanded, out, kernel, stride, squeeze, norm, activation };
            blocks.push(block.layer());
            from = out;
        }
        features.push(sequential(blocks));
    }
    features.push(normalized(convolution(1280, 1), norm, silu()));
    let output = linear(classes.len()).init(Init::Normal(0.01)).bias_init(Init::Zeros);
    let layers = vec![
        sequential(features).named("features"),
        adaptive_avg_pool2d(1).named("avgpool"),
        flatten().named("flatten"),
        sequential(layers![dropout(0.2), output]).named("classifier"),
    ];
    ModelSpec { name: "efficientnet_b0".into(), input, classes, layers }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        assert_table(include_str!("efficientnet.rs"), "EfficientNet-B0, for", efficientnet_b0);
    }
}
