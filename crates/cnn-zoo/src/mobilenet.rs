//! MobileNetV2: depthwise convolutions between narrow layers with residual connections, for images of ImageNet's size.
//!
//! M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen: "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
//! CVPR 2018, tables 1 and 2.
//!
//! MobileNetV2, for 3 x 224 x 224; `t`, `c`, `n` and `s` are the paper's expansion factor, channels, repetitions and
//! first stride:
//!
//! | layer | t, c, n, s | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | features.0 | | 32 x 112 x 112 | 928 | 10,838,016 |
//! | features.1 | 1, 16, 1, 1 | 16 x 112 x 112 | 896 | 10,035,200 |
//! | features.2, features.3 | 6, 24, 2, 2 | 24 x 56 x 56 | 13,968 | 54,942,720 |
//! | features.4, features.5, features.6 | 6, 32, 3, 2 | 32 x 28 x 28 | 39,696 | 37,443,840 |
//! | features.7, features.8, features.9, features.10 | 6, 64, 4, 2 | 64 x 14 x 14 | 183,872 | 38,497,536 |
//! | features.11, features.12, features.13 | 6, 96, 3, 1 | 96 x 14 x 14 | 303,168 | 58,103,808 |
//! | features.14, features.15, features.16 | 6, 160, 3, 2 | 160 x 7 x 7 | 795,264 | 46,560,192 |
//! | features.17 | 6, 320, 1, 1 | 320 x 7 x 7 | 473,920 | 23,002,560 |
//! | features.18 | | 1280 x 7 x 7 | 412,160 | 20,070,400 |
//! | avgpool, flatten | | 1280 | | |
//! | classifier.1 | | 1000 | 1,281,000 | 1,280,000 |
//! | total | | | 3,504,872 | 300,774,272 |
//!
//! An inverted residual expands its input to `t` times the channels, filters each channel separately, and projects to few
//! channels again, without an activation there. Where the shapes are equal, the input is added. Activations are ReLU6,
//! `min(max(x, 0), 6)`.
//!
//! Names and shapes are torchvision's, such as `features.2.conv.1.0.weight`. So is the initialisation: normal by the fan out
//! in convolutions, normal with standard deviation 0.01 in the linear layer, whose bias is 0. There is one difference: the
//! fan out of a depthwise convolution is that of one channel here, and that of all channels in torchvision, whose first
//! weights are smaller. Batch normalisation nearly removes this difference.

use crate::blocks::{convolution, normalized};
use cnn_nn::spec::{
    Conv2dSpec, adaptive_avg_pool2d, batch_norm2d, dropout, flatten, linear, relu6, residual, sequential,
};
use cnn_nn::{Init, Input, LayerSpec, ModelSpec, layers};

/// MobileNetV2 of width 1.
///
/// ```
/// use cnn_nn::Model;
/// let classes = (0..1000).map(|class| class.to_string()).collect();
/// let model = Model::build(cnn_zoo::mobilenet_v2(cnn_zoo::imagenet_input(), classes), 0)?;
/// assert_eq!(model.net.parameter_count(), 3_504_872);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn mobilenet_v2(input: Input, classes: Vec<String>) -> ModelSpec {
    let output = linear(classes.len()).init(Init::Normal(0.01)).bias_init(Init::Zeros);
    let layers = vec![
        sequential(features()).named("features"),
        adaptive_avg_pool2d(1).named("avgpool"),
        flatten().named("flatten"),
        sequential(layers![dropout(0.2), output]).named("classifier"),
    ];
    ModelSpec { name: "mobilenet_v2".into(), input, classes, layers }
}

/// Everything before the classifier; the last layer is the convolution to 1280 maps.
pub(crate) fn features() -> Vec<LayerSpec> {
    let mut features = vec![active(convolution(32, 3).stride(2))];
    let mut channels = 32;
    for [expansion, out, repetitions, first_stride] in STAGES {
        for i in 0..repetitions {
            let stride = if i == 0 { first_stride } else { 1 };
            features.push(inverted_residual(channels, expansion, out, stride));
            channels = out;
        }
    }
    features.push(active(convolution(1280, 1)));
    features
}

/// Expansion factor, channels, repetitions and first stride: table 2.
const STAGES: [[usize; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];

/// From `channels` to `out` channels by way of `expansion` times as many.
fn inverted_residual(channels: usize, expansion: usize, out: usize, stride: usize) -> LayerSpec {
    let expanded = expansion * channels;
    let expand = (expansion > 1).then(|| active(convolution(expanded, 1)));
    let body = expand.into_iter().chain([
        active(convolution(expanded, 3).stride(stride).groups(expanded)),
        convolution(out, 1).into(),
        batch_norm2d().into(),
    ]);
    let body = [sequential(body).named("conv")];
    if stride == 1 && channels == out { residual(body).into() } else { sequential(body) }
}

/// A convolution, its normalisation, and ReLU6.
fn active(convolution: Conv2dSpec) -> LayerSpec {
    normalized(convolution, batch_norm2d(), relu6())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        assert_table(include_str!("mobilenet.rs"), "MobileNetV2, for", mobilenet_v2);
    }
}
