//! RegNetY-400MF: residual bottlenecks whose widths follow a line, with squeeze and excitation, for images of ImageNet's size.
//!
//! I. Radosavovic, R. P. Kosaraju, R. Girshick, K. He, P. Dollár: "Designing Network Design Spaces", CVPR 2020, sections 3.3 and 5.
//!
//! RegNetY-400MF, for 3 x 224 x 224:
//!
//! | layer | blocks | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | stem | | 32 x 112 x 112 | 928 | 10,838,016 |
//! | trunk_output.block1 | 1 | 48 x 56 x 56 | 10,040 | 42,148,608 |
//! | trunk_output.block2 | 3 | 104 x 28 x 28 | 102,296 | 79,592,448 |
//! | trunk_output.block3 | 6 | 208 x 14 x 14 | 737,438 | 132,207,296 |
//! | trunk_output.block4 | 6 | 440 x 7 x 7 | 3,052,442 | 136,616,480 |
//! | avgpool, flatten | | 440 | | |
//! | fc | | 1000 | 441,000 | 440,000 |
//! | total | | | 4,344,144 | 401,842,848 |
//!
//! Depths and widths follow from the family's parameters `d = 16`, `w_0 = 48`, `w_a = 27.89` and `w_m = 2.09`; runs of 8 channels do
//! not see each other in the 3 x 3 convolutions. Bottlenecks have as many channels within as without. Squeezing leaves a quarter of
//! the channels of the block's input.
//!
//! Names and shapes are torchvision's, such as `trunk_output.block1.block1-0.f.a.0.weight`. Convolutions are initialised as there,
//! normal by the fan out, and the biases of squeeze and excitation 0; the linear layer is normal with standard deviation 0.01, and
//! its bias 0.

use crate::blocks::{convolution, normalized, squeeze_excitation};
use cnn_nn::spec::{adaptive_avg_pool2d, batch_norm2d, flatten, linear, relu, residual, sequential, sigmoid};
use cnn_nn::{Init, Input, LayerSpec, ModelSpec};

/// Blocks and channels of each stage.
const STAGES: [[usize; 2]; 4] = [[1, 48], [3, 104], [6, 208], [6, 440]];
/// Channels of a run in the 3 x 3 convolutions.
const GROUP: usize = 8;

/// RegNetY-400MF: 4,344,144 parameters.
pub fn regnet_y_400mf(input: Input, classes: Vec<String>) -> ModelSpec {
    let mut from = 32;
    let mut stages = Vec::new();
    for (stage, [blocks, channels]) in (1..).zip(STAGES) {
        let mut layers = Vec::new();
        for i in 0..blocks {
            layers.push(block(from, channels, i == 0).named(&format!("block{stage}-{i}")));
            from = channels;
        }
        stages.push(sequential(layers).named(&format!("block{stage}")));
    }
    let layers = vec![
        normalized(convolution(32, 3).stride(2), batch_norm2d(), relu()).named("stem"),
        sequential(stages).named("trunk_output"),
        adaptive_avg_pool2d(1).named("avgpool"),
        flatten().named("flatten"),
        linear(classes.len()).init(Init::Normal(0.01)).bias_init(Init::Zeros).named("fc"),
    ];
    ModelSpec { name: "regnet_y_400mf".into(), input, classes, layers }
}

/// A bottleneck; the first of a stage halves rows and columns.
fn block(from: usize, channels: usize, first: bool) -> LayerSpec {
    let (norm, stride) = (batch_norm2d(), if first { 2 } else { 1 });
    let body = sequential([
        normalized(convolution(channels, 1), norm, relu()).named("a"),
        normalized(convolution(channels, 3).stride(stride).groups(channels / GROUP), norm, relu()).named("b"),
        squeeze_excitation(channels, from / 4, relu(), sigmoid()).named("se"),
        normalized(convolution(channels, 1), norm, None).named("c"),
    ]);
    let block = residual([body.named("f")]).after([relu().named("activation")]);
    if first {
        let projection = normalized(convolution(channels, 1).stride(stride), norm, None);
        block.shortcut(projection.named("proj")).into()
    } else {
        block.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        assert_table(include_str!("regnet.rs"), "RegNetY-400MF, for", regnet_y_400mf);
    }
}
