//! MNASNet 1.0: inverted residuals found by a search that measured time on a phone, for images of ImageNet's size.
//!
//! M. Tan, B. Chen, R. Pang, V. Vasudevan, M. Sandler, A. Howard, Q. V. Le: "MnasNet: Platform-Aware Neural Architecture Search for
//! Mobile", CVPR 2019; the network B1, which is without squeeze and excitation.
//!
//! MNASNet 1.0, for 3 x 224 x 224; an inverted residual expands its channels by the factor after MB:
//!
//! | layer | blocks | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | layers.0, layers.1 | conv 3 x 3 | 32 x 112 x 112 | 928 | 10,838,016 |
//! | layers.3, layers.4, layers.6, layers.7 | SepConv 3 x 3 | 16 x 112 x 112 | 896 | 10,035,200 |
//! | layers.8 | 3 x MB3, 3 x 3 | 24 x 56 x 56 | 11,472 | 40,341,504 |
//! | layers.9 | 3 x MB3, 5 x 5 | 40 x 28 x 28 | 33,096 | 28,844,928 |
//! | layers.10 | 3 x MB6, 5 x 5 | 80 x 14 x 14 | 217,680 | 47,275,200 |
//! | layers.11 | 2 x MB6, 3 x 3 | 96 x 14 x 14 | 209,184 | 40,096,896 |
//! | layers.12 | 4 x MB6, 5 x 5 | 192 x 7 x 7 | 1,611,456 | 86,224,320 |
//! | layers.13 | 1 x MB6, 3 x 3 | 320 x 7 x 7 | 605,440 | 29,409,408 |
//! | layers.14, layers.15 | conv 1 x 1 | 1280 x 7 x 7 | 412,160 | 20,070,400 |
//! | avgpool, flatten | pooling | 1280 | | |
//! | classifier.1 | FC | 1000 | 1,281,000 | 1,280,000 |
//! | total | | | 4,383,312 | 314,415,872 |
//!
//! Names and shapes are torchvision's, such as `layers.8.0.layers.3.weight`; so is the momentum of the normalisations, 0.0003.
//! Convolutions are initialised as there, but for what [`mobilenet_v2`](crate::mobilenet_v2) says of depthwise ones; the linear layer
//! is normal with standard deviation 0.01, and its bias 0.

use crate::blocks::convolution;
use cnn_nn::spec::{
    BatchNorm2dSpec, adaptive_avg_pool2d, batch_norm2d, dropout, flatten, linear, relu, residual, sequential,
};
use cnn_nn::{Init, Input, LayerSpec, ModelSpec, layers};

/// Kernel, first stride, expansion, repetitions and channels of each stack.
const STACKS: [[usize; 5]; 6] = [
    [3, 2, 3, 3, 24],
    [5, 2, 3, 3, 40],
    [5, 2, 6, 3, 80],
    [3, 1, 6, 2, 96],
    [5, 2, 6, 4, 192],
    [3, 1, 6, 1, 320],
];

/// MNASNet of depth multiplier 1: 4,383,312 parameters.
pub fn mnasnet1_0(input: Input, classes: Vec<String>) -> ModelSpec {
    let mut body: Vec<LayerSpec> = vec![
        convolution(32, 3).stride(2).into(),
        norm().into(),
        relu(),
        convolution(32, 3).groups(32).into(),
        norm().into(),
        relu(),
        convolution(16, 1).into(),
        norm().into(),
    ];
    let mut channels = 16;
    for [kernel, first_stride, expansion, repetitions, out] in STACKS {
        let first = inverted_residual(channels, expansion, out, kernel, first_stride);
        let others = (1..repetitions).map(|_| inverted_residual(out, expansion, out, kernel, 1));
        body.push(sequential(std::iter::once(first).chain(others)));
        channels = out;
    }
    body.extend([convolution(1280, 1).into(), norm().into(), relu()]);
    let output = linear(classes.len()).init(Init::Normal(0.01)).bias_init(Init::Zeros);
    let layers = vec![
        sequential(body).named("layers"),
        adaptive_avg_pool2d(1).named("avgpool"),
        flatten().named("flatten"),
        sequential(layers![dropout(0.2), output]).named("classifier"),
    ];
    ModelSpec { name: "mnasnet1_0".into(), input, classes, layers }
}

/// From `channels` to `out` channels by way of `expansion` times as many.
fn inverted_residual(
    channels: usize,
    expansion: usize,
    out: usize,
    kernel: usize,
    stride: usize,
) -> LayerSpec {
    let expanded = expansion * channels;
    let body = sequential(layers![
        convolution(expanded, 1),
        norm(),
        relu(),
        convolution(expanded, kernel).stride(stride).groups(expanded),
        norm(),
        relu(),
        convolution(out, 1),
        norm(),
    ]);
    let body = [body.named("layers")];
    if stride == 1 && channels == out { residual(body).into() } else { sequential(body) }
}

fn norm() -> BatchNorm2dSpec {
    batch_norm2d().momentum(3e-4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        assert_table(include_str!("mnasnet.rs"), "MNASNet 1.0, for", mnasnet1_0);
    }
}
