//! ShuffleNetV2 x1.0: units that convolve half of the channels and mix the halves by a shuffle, for images of ImageNet's size.
//!
//! N. Ma, X. Zhang, H.-T. Zheng, J. Sun: "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018,
//! table 5 and figure 3.
//!
//! ShuffleNetV2 x1.0, for 3 x 224 x 224:
//!
//! | layer | paper | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | conv1 | Conv1 | 24 x 112 x 112 | 696 | 8,128,512 |
//! | maxpool | MaxPool | 24 x 56 x 56 | | |
//! | stage2 | Stage2, 4 units | 116 x 28 x 28 | 30,192 | 25,724,608 |
//! | stage3 | Stage3, 8 units | 232 x 14 x 14 | 244,180 | 54,589,136 |
//! | stage4 | Stage4, 4 units | 464 x 7 x 7 | 501,352 | 32,160,072 |
//! | conv5 | Conv5 | 1024 x 7 x 7 | 477,184 | 23,281,664 |
//! | avgpool, flatten | GlobalPool | 1024 | | |
//! | fc | FC | 1000 | 1,025,000 | 1,024,000 |
//! | total | | | 2,278,604 | 144,907,992 |
//!
//! The first unit of a stage halves rows and columns in two branches; each of the others passes half of its channels on as they are,
//! and convolves the rest. Then the channels of the halves alternate, so that the next unit mixes them.
//!
//! Names and shapes are torchvision's, such as `stage2.0.branch1.0.weight`, and weights are initialised as there, by PyTorch's
//! defaults. The description contains rows and columns, so it is for one size of images: those of its input.

use cnn_nn::spec::{
    Conv2dSpec, adaptive_avg_pool2d, batch_norm2d, cat, conv2d, flatten, graph, linear, max_pool2d, relu,
    reshape, sequential, split,
};
use cnn_nn::{Input, LayerSpec, ModelSpec, layers};

/// ShuffleNetV2 of width 1: 2,278,604 parameters.
///
/// ```
/// use cnn_nn::Model;
/// let classes = (0..1000).map(|class| class.to_string()).collect();
/// let model = Model::build(cnn_zoo::shufflenet_v2_x1_0(cnn_zoo::imagenet_input(), classes), 0)?;
/// assert_eq!(model.net.parameter_count(), 2_278_604);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn shufflenet_v2_x1_0(input: Input, classes: Vec<String>) -> ModelSpec {
    let mut layers = vec![
        sequential(layers![convolution(24, 3).stride(2), batch_norm2d(), relu()]).named("conv1"),
        max_pool2d(3).stride(2).padding(1).named("maxpool"),
    ];
    let [_, h, w] = input.shape;
    let mut extents = halved(halved([h, w]));
    let mut from = 24;
    for (stage, units, channels) in [(2, 4, 116), (3, 8, 232), (4, 4, 464)] {
        extents = halved(extents);
        let first = reducing_unit(from, channels, extents);
        let others = (1..units).map(|_| unit(channels, extents));
        let units = std::iter::once(first).chain(others);
        layers.push(sequential(units).named(&format!("stage{stage}")));
        from = channels;
    }
    layers.extend([
        sequential(layers![convolution(1024, 1), batch_norm2d(), relu()]).named("conv5"),
        adaptive_avg_pool2d(1).named("avgpool"),
        flatten().named("flatten"),
        linear(classes.len()).named("fc"),
    ]);
    ModelSpec { name: "shufflenet_v2_x1_0".into(), input, classes, layers }
}

/// Rows and columns after a window of 3 with padding 1 and stride 2.
fn halved(extents: [usize; 2]) -> [usize; 2] {
    extents.map(|extent| extent.div_ceil(2))
}

/// A unit that keeps the shape: half of the channels stay as they are.
fn unit(channels: usize, [h, w]: [usize; 2]) -> LayerSpec {
    let half = channels / 2;
    graph(["x"])
        .node("split", split(1, [half, half]), ["x"])
        .node("branch2", branch(half, 1), ["split:1"])
        .node("halves", halves(), ["split", "branch2"])
        .node("shuffle", reshape([channels, h, w]), ["halves"])
        .outputs(["shuffle"])
        .into()
}

/// A unit to `channels` channels, on half of the rows and columns.
fn reducing_unit(from: usize, channels: usize, [h, w]: [usize; 2]) -> LayerSpec {
    let half = channels / 2;
    let short = layers![
        convolution(from, 3).stride(2).groups(from),
        batch_norm2d(),
        convolution(half, 1),
        batch_norm2d(),
        relu(),
    ];
    graph(["x"])
        .node("branch1", sequential(short), ["x"])
        .node("branch2", branch(half, 2), ["x"])
        .node("halves", halves(), ["branch1", "branch2"])
        .node("shuffle", reshape([channels, h, w]), ["halves"])
        .outputs(["shuffle"])
        .into()
}

/// Each channel of the second tensor below that of the first, as one higher image. Cut into images of the old height again, the
/// channels of the two alternate: a shuffle of two groups.
fn halves() -> LayerSpec {
    cat(2)
}

/// A depthwise convolution between two of 1 x 1.
fn branch(channels: usize, stride: usize) -> LayerSpec {
    sequential(layers![
        convolution(channels, 1),
        batch_norm2d(),
        relu(),
        convolution(channels, 3).stride(stride).groups(channels),
        batch_norm2d(),
        convolution(channels, 1),
        batch_norm2d(),
        relu(),
    ])
}

/// A convolution padded by half its kernel, before a batch normalisation.
fn convolution(channels: usize, kernel: usize) -> Conv2dSpec {
    conv2d(channels, kernel).padding(kernel / 2).bias(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        assert_table(include_str!("shufflenet.rs"), "ShuffleNetV2 x1.0, for", shufflenet_v2_x1_0);
    }
}
