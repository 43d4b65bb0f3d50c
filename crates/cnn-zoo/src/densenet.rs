//! DenseNet-121: each layer reads the outputs of all layers of its block before it, for images of ImageNet's size.
//!
//! G. Huang, Z. Liu, L. van der Maaten, K. Q. Weinberger: "Densely Connected Convolutional Networks", CVPR 2017, table 1 and
//! figures 1 and 2.
//!
//! DenseNet-121, for 3 x 224 x 224:
//!
//! | layer | paper | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | features.conv0, features.norm0 | convolution | 64 x 112 x 112 | 9,536 | 118,013,952 |
//! | features.pool0 | pooling | 64 x 56 x 56 | | |
//! | features.denseblock1 | dense block (1), 6 layers | 256 x 56 x 56 | 335,040 | 1,040,449,536 |
//! | features.transition1 | transition layer (1) | 128 x 28 x 28 | 33,280 | 102,760,448 |
//! | features.denseblock2 | dense block (2), 12 layers | 512 x 28 x 28 | 919,680 | 712,900,608 |
//! | features.transition2 | transition layer (2) | 256 x 14 x 14 | 132,096 | 102,760,448 |
//! | features.denseblock3 | dense block (3), 24 layers | 1024 x 14 x 14 | 2,837,760 | 549,126,144 |
//! | features.transition3 | transition layer (3) | 512 x 7 x 7 | 526,336 | 102,760,448 |
//! | features.denseblock4 | dense block (4), 16 layers | 1024 x 7 x 7 | 2,158,080 | 104,366,080 |
//! | features.norm5 | | 1024 x 7 x 7 | 2,048 | |
//! | avgpool, flatten | classification layer | 1024 | | |
//! | classifier | classification layer | 1000 | 1,025,000 | 1,024,000 |
//! | total | | | 7,978,856 | 2,834,161,664 |
//!
//! This is DenseNet-BC of growth rate 32: each layer adds 32 channels to those that it reads, by way of 128, and a transition halves the
//! channels. Normalisation and rectifier come before each convolution.
//!
//! Names and shapes are torchvision's, such as `features.denseblock1.denselayer1.norm1.weight`. In the file that torchvision publishes
//! that parameter is `features.denseblock1.denselayer1.norm.1.weight`; [`crate::load_weights`] takes both. Weights are initialised as
//! torchvision's: in convolutions normal by the fan in; the classifier's bias is 0.

use cnn_nn::spec::{
    Conv2dSpec, NamedSpec, adaptive_avg_pool2d, avg_pool2d, batch_norm2d, cat, conv2d, flatten, graph,
    linear, max_pool2d, relu, sequential,
};
use cnn_nn::{Init, Input, LayerSpec, ModelSpec};
use cnn_tensor::Tensor;
use std::collections::BTreeMap;

/// The channels that each layer adds.
const GROWTH: usize = 32;

/// DenseNet-121: 7,978,856 parameters.
///
/// ```
/// use cnn_nn::Model;
/// let classes = (0..1000).map(|class| class.to_string()).collect();
/// let model = Model::build(cnn_zoo::densenet121(cnn_zoo::imagenet_input(), classes), 0)?;
/// assert_eq!(model.net.parameter_count(), 7_978_856);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn densenet121(input: Input, classes: Vec<String>) -> ModelSpec {
    let mut features = vec![
        convolution(64, 7).stride(2).padding(3).named("conv0"),
        batch_norm2d().named("norm0"),
        relu().named("relu0"),
        max_pool2d(3).stride(2).padding(1).named("pool0"),
    ];
    let mut channels = 64;
    for (i, layers) in (1..).zip([6, 12, 24, 16]) {
        if i > 1 {
            channels /= 2;
            features.push(transition(channels).named(&format!("transition{}", i - 1)));
        }
        features.push(dense_block(layers).named(&format!("denseblock{i}")));
        channels += layers * GROWTH;
    }
    features.push(batch_norm2d().named("norm5"));
    let layers = vec![
        sequential(features).named("features"),
        relu().named("relu"),
        adaptive_avg_pool2d(1).named("avgpool"),
        flatten().named("flatten"),
        linear(classes.len()).bias_init(Init::Zeros).named("classifier"),
    ];
    ModelSpec { name: "densenet121".into(), input, classes, layers }
}

/// Layers that each pass on what they read, with their own output behind it.
fn dense_block(layers: usize) -> LayerSpec {
    sequential((1..=layers).map(|i| -> NamedSpec { dense_layer().named(&format!("denselayer{i}")) }))
}

fn dense_layer() -> LayerSpec {
    graph(["x"])
        .node("norm1", batch_norm2d(), ["x"])
        .node("relu1", relu(), ["norm1"])
        .node("conv1", convolution(4 * GROWTH, 1), ["relu1"])
        .node("norm2", batch_norm2d(), ["conv1"])
        .node("relu2", relu(), ["norm2"])
        .node("conv2", convolution(GROWTH, 3).padding(1), ["relu2"])
        .node("cat", cat(1), ["x", "conv2"])
        .outputs(["cat"])
        .into()
}

/// Fewer channels, on half the rows and columns.
fn transition(channels: usize) -> LayerSpec {
    sequential([
        batch_norm2d().named("norm"),
        relu().named("relu"),
        convolution(channels, 1).named("conv"),
        avg_pool2d(2).named("pool"),
    ])
}

fn convolution(channels: usize, kernel: usize) -> Conv2dSpec {
    conv2d(channels, kernel).bias(false).init(Init::KaimingNormal)
}

/// The tensors with `denselayer1.norm.1.weight` under the name that newer versions of torchvision have for it,
/// `denselayer1.norm1.weight`, and so on.
pub(crate) fn rename_published(tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let rename = |name: String| match name.split('.').collect::<Vec<_>>()[..] {
        ["features", block, layer, part @ ("norm" | "conv"), number @ ("1" | "2"), parameter] => {
            format!("features.{block}.{layer}.{part}{number}.{parameter}")
        }
        _ => name,
    };
    tensors.into_iter().map(|(name, tensor)| (rename(name), tensor)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        assert_table(include_str!("densenet.rs"), "DenseNet-121, for", densenet121);
    }
}
