//! MobileNetV3, large and small: inverted residuals with squeeze and excitation and hard swish, for images of ImageNet's size.
//!
//! A. Howard, M. Sandler, G. Chu, L.-C. Chen, B. Chen, M. Tan, W. Wang, Y. Zhu, R. Pang, V. Vasudevan, Q. V. Le, H. Adam: "Searching
//! for MobileNetV3", ICCV 2019, tables 1 and 2 and figures 4 and 5.
//!
//! MobileNetV3 large, for 3 x 224 x 224; the second column has the kernel and the expanded channels, SE where there is squeeze and
//! excitation, HS or RE for hard swish or ReLU, and the stride:
//!
//! | layer | table 1 | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | features.0 | 3, HS, 2 | 16 x 112 x 112 | 464 | 5,419,008 |
//! | features.1 | 3, 16, RE, 1 | 16 x 112 x 112 | 464 | 5,017,600 |
//! | features.2 | 3, 64, RE, 2 | 24 x 56 x 56 | 3,440 | 19,468,288 |
//! | features.3 | 3, 72, RE, 1 | 24 x 56 x 56 | 4,440 | 12,870,144 |
//! | features.4 | 5, 72, SE, RE, 2 | 40 x 28 x 28 | 10,328 | 9,091,584 |
//! | features.5 | 5, 120, SE, RE, 1 | 40 x 28 x 28 | 20,992 | 9,886,080 |
//! | features.6 | 5, 120, SE, RE, 1 | 40 x 28 x 28 | 20,992 | 9,886,080 |
//! | features.7 | 3, 240, HS, 2 | 80 x 14 x 14 | 32,080 | 11,712,960 |
//! | features.8 | 3, 200, HS, 1 | 80 x 14 x 14 | 34,760 | 6,624,800 |
//! | features.9 | 3, 184, HS, 1 | 80 x 14 x 14 | 31,992 | 6,094,816 |
//! | features.10 | 3, 184, HS, 1 | 80 x 14 x 14 | 31,992 | 6,094,816 |
//! | features.11 | 3, 480, SE, HS, 1 | 112 x 14 x 14 | 214,424 | 19,025,280 |
//! | features.12 | 3, 672, SE, HS, 1 | 112 x 14 x 14 | 386,120 | 30,914,688 |
//! | features.13 | 5, 672, SE, HS, 2 | 160 x 7 x 7 | 429,224 | 21,069,216 |
//! | features.14 | 5, 960, SE, HS, 1 | 160 x 7 x 7 | 797,360 | 16,689,600 |
//! | features.15 | 5, 960, SE, HS, 1 | 160 x 7 x 7 | 797,360 | 16,689,600 |
//! | features.16 | 1, HS, 1 | 960 x 7 x 7 | 155,520 | 7,526,400 |
//! | avgpool, flatten | pool | 960 | | |
//! | classifier.0 | 1, HS, 1 | 1280 | 1,230,080 | 1,228,800 |
//! | classifier.3 | 1, 1 | 1000 | 1,281,000 | 1,280,000 |
//! | total | | | 5,483,032 | 216,589,760 |
//!
//! MobileNetV3 small, for 3 x 224 x 224:
//!
//! | layer | table 2 | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | features.0 | 3, HS, 2 | 16 x 112 x 112 | 464 | 5,419,008 |
//! | features.1 | 3, 16, SE, RE, 2 | 16 x 56 x 56 | 744 | 1,254,656 |
//! | features.2 | 3, 72, RE, 2 | 24 x 28 x 28 | 3,864 | 5,475,456 |
//! | features.3 | 3, 88, RE, 1 | 24 x 28 x 28 | 5,416 | 3,932,544 |
//! | features.4 | 5, 96, SE, HS, 2 | 40 x 14 x 14 | 13,736 | 3,033,984 |
//! | features.5 | 5, 240, SE, HS, 1 | 40 x 14 x 14 | 57,264 | 4,969,920 |
//! | features.6 | 5, 240, SE, HS, 1 | 40 x 14 x 14 | 57,264 | 4,969,920 |
//! | features.7 | 5, 120, SE, HS, 1 | 48 x 14 x 14 | 21,968 | 2,665,440 |
//! | features.8 | 5, 144, SE, HS, 1 | 48 x 14 x 14 | 29,800 | 3,426,624 |
//! | features.9 | 5, 288, SE, HS, 2 | 96 x 7 x 7 | 91,848 | 4,458,528 |
//! | features.10 | 5, 576, SE, HS, 1 | 96 x 7 x 7 | 294,096 | 6,290,496 |
//! | features.11 | 5, 576, SE, HS, 1 | 96 x 7 x 7 | 294,096 | 6,290,496 |
//! | features.12 | 1, HS, 1 | 576 x 7 x 7 | 56,448 | 2,709,504 |
//! | avgpool, flatten | pool | 576 | | |
//! | classifier.0 | 1, HS, 1 | 1024 | 590,848 | 589,824 |
//! | classifier.3 | 1, 1 | 1000 | 1,025,000 | 1,024,000 |
//! | total | | | 2,542,856 | 56,510,400 |
//!
//! Squeezing leaves a quarter of the expanded channels, rounded up to a multiple of 8; the numbers that weight them are a hard
//! sigmoid's. Table 2 has squeeze and excitation after the last convolution of the small network, too; torchvision does not.
//!
//! Names and shapes are torchvision's, such as `features.4.block.2.fc1.weight`; so are eps (0.001) and momentum (0.01) of the
//! normalisations, and the initialisation, but for what [`mobilenet_v2`](crate::mobilenet_v2) says of depthwise convolutions.

use crate::blocks::{InvertedResidual, convolution, normalized, squeeze_excitation};
use cnn_nn::spec::{
    BatchNorm2dSpec, LinearSpec, adaptive_avg_pool2d, batch_norm2d, dropout, flatten, hard_sigmoid,
    hard_swish, linear, relu, sequential,
};
use cnn_nn::{Init, Input, LayerSpec, ModelSpec, layers};

/// A row of table 1 or 2.
struct Row {
    kernel: usize,
    expanded: usize,
    out: usize,
    squeeze: bool,
    activation: fn() -> LayerSpec,
    stride: usize,
}

const fn row(
    kernel: usize,
    expanded: usize,
    out: usize,
    activation: fn() -> LayerSpec,
    stride: usize,
) -> Row {
    Row { kernel, expanded, out, squeeze: false, activation, stride }
}

/// A row with squeeze and excitation.
const fn squeezed(
    kernel: usize,
    expanded: usize,
    out: usize,
    activation: fn() -> LayerSpec,
    stride: usize,
) -> Row {
    Row { squeeze: true, ..row(kernel, expanded, out, activation, stride) }
}

const LARGE: [Row; 15] = [
    row(3, 16, 16, relu, 1),
    row(3, 64, 24, relu, 2),
    row(3, 72, 24, relu, 1),
    squeezed(5, 72, 40, relu, 2),
    squeezed(5, 120, 40, relu, 1),
    squeezed(5, 120, 40, relu, 1),
    row(3, 240, 80, hard_swish, 2),
    row(3, 200, 80, hard_swish, 1),
    row(3, 184, 80, hard_swish, 1),
    row(3, 184, 80, hard_swish, 1),
    squeezed(3, 480, 112, hard_swish, 1),
    squeezed(3, 672, 112, hard_swish, 1),
    squeezed(5, 672, 160, hard_swish, 2),
    squeezed(5, 960, 160, hard_swish, 1),
    squeezed(5, 960, 160, hard_swish, 1),
];

const SMALL: [Row; 11] = [
    squeezed(3, 16, 16, relu, 2),
    row(3, 72, 24, relu, 2),
    row(3, 88, 24, relu, 1),
    squeezed(5, 96, 40, hard_swish, 2),
    squeezed(5, 240, 40, hard_swish, 1),
    squeezed(5, 240, 40, hard_swish, 1),
    squeezed(5, 120, 48, hard_swish, 1),
    squeezed(5, 144, 48, hard_swish, 1),
    squeezed(5, 288, 96, hard_swish, 2),
    squeezed(5, 576, 96, hard_swish, 1),
    squeezed(5, 576, 96, hard_swish, 1),
];

/// MobileNetV3 large: 5,483,032 parameters.
pub fn mobilenet_v3_large(input: Input, classes: Vec<String>) -> ModelSpec {
    network("mobilenet_v3_large", &LARGE, 1280, input, classes)
}

/// MobileNetV3 small: 2,542,856 parameters.
pub fn mobilenet_v3_small(input: Input, classes: Vec<String>) -> ModelSpec {
    network("mobilenet_v3_small", &SMALL, 1024, input, classes)
}

/// The network of these rows, with `hidden` units before the classes.
fn network(name: &str, rows: &[Row], hidden: usize, input: Input, classes: Vec<String>) -> ModelSpec {
    let mut features = vec![normalized(convolution(16, 3).stride(2), norm(), hard_swish())];
    let mut channels = 16;
    for &Row { kernel, expanded, out, squeeze, activation, stride } in rows {
        let reduced = (expanded / 4).next_multiple_of(8);
        let squeeze = squeeze.then(|| squeeze_excitation(expanded, reduced, relu(), hard_sigmoid()));
        let (from, norm, activation) = (channels, norm(), activation());
        let block = InvertedResidual { from, expanded, out, kernel, stride, squeeze, norm, activation };
        features.push(block.layer());
        channels = out;
    }
    features.push(normalized(convolution(6 * channels, 1), norm(), hard_swish()));
    let classifier = layers![dense(hidden), hard_swish(), dropout(0.2), dense(classes.len())];
    let layers = vec![
        sequential(features).named("features"),
        adaptive_avg_pool2d(1).named("avgpool"),
        flatten().named("flatten"),
        sequential(classifier).named("classifier"),
    ];
    ModelSpec { name: name.into(), input, classes, layers }
}

fn norm() -> BatchNorm2dSpec {
    batch_norm2d().eps(1e-3).momentum(0.01)
}

fn dense(features: usize) -> LinearSpec {
    linear(features).init(Init::Normal(0.01)).bias_init(Init::Zeros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_tables() {
        assert_table(include_str!("mobilenet_v3.rs"), "MobileNetV3 large, for", mobilenet_v3_large);
        assert_table(include_str!("mobilenet_v3.rs"), "MobileNetV3 small, for", mobilenet_v3_small);
    }
}
