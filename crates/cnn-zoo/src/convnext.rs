//! ConvNeXt-Tiny: a residual network redesigned step by step after vision transformers, for images of ImageNet's size.
//!
//! Z. Liu, H. Mao, C.-Y. Wu, C. Feichtenhofer, T. Darrell, S. Xie: "A ConvNet for the 2020s", CVPR 2022, figure 4 and table 9.
//!
//! ConvNeXt-Tiny, for 3 x 224 x 224:
//!
//! | layer | table 9 | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | features.0 | stem | 96 x 56 x 56 | 4,896 | 14,450,688 |
//! | features.1 | res2, 3 blocks | 96 x 56 x 56 | 237,888 | 737,888,256 |
//! | features.2, features.3 | res3, 3 blocks | 192 x 28 x 28 | 992,256 | 773,563,392 |
//! | features.4, features.5 | res4, 9 blocks | 384 x 14 x 14 | 11,112,960 | 2,171,893,248 |
//! | features.6, features.7 | res5, 3 blocks | 768 x 7 x 7 | 15,470,592 | 756,967,680 |
//! | mean, classifier.flatten, classifier.0 | global average pooling | 768 | 1,536 | |
//! | classifier.2 | linear | 1000 | 769,000 | 768,000 |
//! | total | | | 28,589,128 | 4,455,531,264 |
//!
//! A block filters each channel separately by 7 x 7, normalises the channels of each pixel, expands them to four times as many and
//! reduces them again by linear layers, and scales each by a number of its own, which begins at 0.000001, before the input is added.
//!
//! Names and shapes are torchvision's, such as `features.1.0.block.3.weight`, but for that scale: its `features.1.0.layer_scale` is
//! `features.1.0.layer_scale.weight` here; [`crate::load_weights`] takes both. Weights are initialised as torchvision's, normal with
//! standard deviation 0.02 (there without the tails beyond 2), and biases are 0. Stochastic depth, by which training leaves out
//! residual blocks at random, is not part of the description. The description contains rows and columns, so it is for one size of
//! images: those of its input.

use cnn_nn::spec::{
    Conv2dSpec, LayerNormSpec, LinearSpec, NamedSpec, adaptive_avg_pool2d, arithmetic_by, conv2d, flatten,
    gelu, layer_norm, linear, permute, reshape, residual, sequential, transpose,
};
use cnn_nn::{Init, Input, LayerSpec, ModelSpec, Preprocess};
use cnn_ops::Arithmetic;
use cnn_tensor::Tensor;
use std::collections::BTreeMap;

/// Blocks and channels of each stage.
const STAGES: [[usize; 2]; 4] = [[3, 96], [3, 192], [9, 384], [3, 768]];

/// ConvNeXt-Tiny: 28,589,128 parameters.
pub fn convnext_tiny(input: Input, classes: Vec<String>) -> ModelSpec {
    let [_, h, w] = input.shape;
    // Windows that do not overlap; a rest of rows and columns is cut off.
    let mut extents = [h / 4, w / 4];
    let mut features = Vec::new();
    for (i, [blocks, channels]) in STAGES.into_iter().enumerate() {
        if i == 0 {
            let stem = [convolution(channels, 4).stride(4).named("0")];
            features.push(sequential(stem.into_iter().chain(norm_of_maps("1"))));
        } else {
            extents = extents.map(|extent| extent / 2);
            let reduce = convolution(channels, 2).stride(2).named("1");
            features.push(sequential(norm_of_maps("0").into_iter().chain([reduce])));
        }
        features.push(sequential((0..blocks).map(|_| block(channels, extents))));
    }
    let classifier = [flatten().named("flatten"), norm().named("0"), dense(classes.len()).named("2")];
    let layers = vec![
        sequential(features).named("features"),
        adaptive_avg_pool2d(1).named("mean"),
        sequential(classifier).named("classifier"),
    ];
    ModelSpec { name: "convnext_tiny".into(), input, classes, layers }
}

/// Images of ImageNet's size, scaled to 236 rows or columns before the middle is cut out, as the published weights expect them.
///
/// ```
/// use cnn_nn::Preprocess;
/// let input = cnn_zoo::convnext::convnext_input();
/// assert_eq!((input.shape, input.preprocess), ([3, 224, 224], Preprocess::ResizeCrop { resize: 236 }));
/// ```
pub fn convnext_input() -> Input {
    Input { preprocess: Preprocess::ResizeCrop { resize: 236 }, ..crate::imagenet_input() }
}

/// A block for images of `channels` channels and these rows and columns.
fn block(channels: usize, [h, w]: [usize; 2]) -> LayerSpec {
    let body = sequential([
        convolution(channels, 7).padding(3).groups(channels).named("0"),
        // Pixels become rows of channels, as linear layers take them.
        reshape([channels, h * w]).named("pixels"),
        transpose(1, 2).named("1"),
        norm().axes(1).named("2"),
        dense(4 * channels).steps(true).named("3"),
        gelu().named("4"),
        dense(channels).steps(true).named("5"),
        transpose(1, 2).named("6"),
        reshape([channels, h, w]).named("maps"),
    ]);
    let scale = arithmetic_by(Arithmetic::Mul, [channels, 1, 1]).init(Init::Constant(1e-6));
    residual([body.named("block"), scale.named("layer_scale")]).into()
}

/// The channels of each pixel normalised: torchvision's `LayerNorm2d`, under the given name.
fn norm_of_maps(name: &str) -> [NamedSpec; 3] {
    [
        permute([0, 2, 3, 1]).named("channels_last"),
        norm().axes(1).named(name),
        permute([0, 3, 1, 2]).named("channels_first"),
    ]
}

fn norm() -> LayerNormSpec {
    layer_norm().eps(1e-6)
}

fn convolution(channels: usize, kernel: usize) -> Conv2dSpec {
    conv2d(channels, kernel).init(Init::Normal(0.02)).bias_init(Init::Zeros)
}

fn dense(features: usize) -> LinearSpec {
    linear(features).init(Init::Normal(0.02)).bias_init(Init::Zeros)
}

/// The tensors with torchvision's `features.1.0.layer_scale` under the model's name, `features.1.0.layer_scale.weight`, and so on.
pub(crate) fn rename_torchvision(tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let rename = |name: String| if name.ends_with(".layer_scale") { name + ".weight" } else { name };
    tensors.into_iter().map(|(name, tensor)| (rename(name), tensor)).collect()
}

/// torchvision's name for the parameter `name`.
pub(crate) fn torchvision_name(name: &str) -> &str {
    if name.ends_with(".layer_scale.weight") { name.trim_end_matches(".weight") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        assert_table(include_str!("convnext.rs"), "ConvNeXt-Tiny, for", convnext_tiny);
    }
}
