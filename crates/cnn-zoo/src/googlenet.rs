//! GoogLeNet: nine inception modules, each of four branches side by side, for images of ImageNet's size.
//!
//! C. Szegedy, W. Liu, Y. Jia, P. Sermanet, S. Reed, D. Anguelov, D. Erhan, V. Vanhoucke, A. Rabinovich: "Going Deeper with
//! Convolutions", CVPR 2015, table 1 and figure 2b.
//!
//! GoogLeNet, for 3 x 224 x 224:
//!
//! | layer | paper | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | conv1 | convolution | 64 x 112 x 112 | 9,536 | 118,013,952 |
//! | maxpool1 | max pool | 64 x 56 x 56 | | |
//! | conv2, conv3 | convolution | 192 x 56 x 56 | 115,200 | 359,661,568 |
//! | maxpool2 | max pool | 192 x 28 x 28 | | |
//! | inception3a | inception (3a) | 256 x 28 x 28 | 155,872 | 121,626,624 |
//! | inception3b | inception (3b) | 480 x 28 x 28 | 340,224 | 265,732,096 |
//! | maxpool3 | max pool | 480 x 14 x 14 | | |
//! | inception4a | inception (4a) | 512 x 14 x 14 | 364,512 | 71,199,744 |
//! | inception4b | inception (4b) | 512 x 14 x 14 | 425,232 | 83,091,456 |
//! | inception4c | inception (4c) | 512 x 14 x 14 | 486,192 | 95,033,344 |
//! | inception4d | inception (4d) | 528 x 14 x 14 | 573,312 | 112,093,184 |
//! | inception4e | inception (4e) | 832 x 14 x 14 | 803,840 | 157,151,232 |
//! | maxpool4 | max pool | 832 x 7 x 7 | | |
//! | inception5a | inception (5a) | 832 x 7 x 7 | 978,944 | 47,867,904 |
//! | inception5b | inception (5b) | 1024 x 7 x 7 | 1,347,040 | 65,881,088 |
//! | avgpool, flatten, dropout | avg pool, dropout | 1024 | | |
//! | fc | linear | 1000 | 1,025,000 | 1,024,000 |
//! | total | | | 6,624,904 | 1,498,376,192 |
//!
//! This is the network of torchvision's published weights, with their names and shapes, such as
//! `inception3a.branch2.1.conv.weight`. Like the network in which those weights were first trained, it differs from the
//! paper's:
//!
//! - batch normalisation (eps 0.001) follows each convolution, which has no bias; there is no local response normalisation;
//! - the third branch has 3 x 3 kernels where the paper has 5 x 5;
//! - the last pooling window may extend over the edge, and dropout zeroes 20 % rather than 40 %;
//! - the two auxiliary classifiers, which only help training, are left out, as torchvision leaves them out in prediction:
//!   [`googlenet_with_aux`] has them.
//!
//! Weights are initialised as torchvision's: normal with standard deviation 0.01.

use crate::blocks::basic_conv2d;
use cnn_nn::spec::{
    LinearSpec, NamedSpec, adaptive_avg_pool2d, concat, conv2d, dropout, flatten, linear, max_pool2d, relu,
    sequential,
};
use cnn_nn::{GraphSpec, Init, Input, LayerSpec, ModelSpec, layers};

/// GoogLeNet with batch normalisation, without auxiliary classifiers.
///
/// ```
/// use cnn_nn::Model;
/// let classes = (0..1000).map(|class| class.to_string()).collect();
/// let model = Model::build(cnn_zoo::googlenet(cnn_zoo::imagenet_input(), classes), 0)?;
/// assert_eq!(model.net.parameter_count(), 6_624_904);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn googlenet(input: Input, classes: Vec<String>) -> ModelSpec {
    let layers = trunk(classes.len());
    ModelSpec { name: "googlenet".into(), input, classes, layers }
}

/// The same network with its two auxiliary classifiers, for training: a graph whose outputs are the logits of [`googlenet`] (the
/// node `fc`), and those of `aux1` and `aux2`, which read inception (4a) and (4d).
///
/// Each averages its maps to 4 x 4, reduces them to 128 channels by a 1 x 1 convolution, and has a linear layer of 1024 units
/// before that of the classes, with dropout of 70 % between them. In training, their losses are added with weight 0.3 (paper,
/// section 5). Without their parameters, `aux1.*` and `aux2.*`, the rest is [`googlenet`]. Names and shapes are torchvision's,
/// which averages to 4 x 4 for an image of any size; the paper has windows of 5 x 5 at stride 3, which give 4 x 4 for
/// 224 x 224.
///
/// ```
/// use cnn_nn::Graph;
/// let net = Graph::of(&cnn_zoo::googlenet_with_aux(1000), [[3, 224, 224]], 0)?;
/// assert_eq!(net.parameter_count(), 13_004_888);
/// assert!(net.outputs().iter().all(|logits| logits.dims() == [1, 1000]));
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn googlenet_with_aux(classes: usize) -> GraphSpec {
    GraphSpec::chain(trunk(classes))
        .node("aux1", auxiliary(classes), ["inception4a"])
        .node("aux2", auxiliary(classes), ["inception4d"])
        .outputs(["fc", "aux1", "aux2"])
}

/// From the image to the logits.
fn trunk(classes: usize) -> Vec<NamedSpec> {
    vec![
        convolution(64, 7, 2).named("conv1"),
        max_pool2d(3).stride(2).ceil_mode(true).named("maxpool1"),
        convolution(64, 1, 1).named("conv2"),
        convolution(192, 3, 1).named("conv3"),
        max_pool2d(3).stride(2).ceil_mode(true).named("maxpool2"),
        inception(64, [96, 128], [16, 32], 32).named("inception3a"),
        inception(128, [128, 192], [32, 96], 64).named("inception3b"),
        max_pool2d(3).stride(2).ceil_mode(true).named("maxpool3"),
        inception(192, [96, 208], [16, 48], 64).named("inception4a"),
        inception(160, [112, 224], [24, 64], 64).named("inception4b"),
        inception(128, [128, 256], [24, 64], 64).named("inception4c"),
        inception(112, [144, 288], [32, 64], 64).named("inception4d"),
        inception(256, [160, 320], [32, 128], 128).named("inception4e"),
        max_pool2d(2).ceil_mode(true).named("maxpool4"),
        inception(256, [160, 320], [32, 128], 128).named("inception5a"),
        inception(384, [192, 384], [48, 128], 128).named("inception5b"),
        adaptive_avg_pool2d(1).named("avgpool"),
        flatten().named("flatten"),
        dropout(0.2).named("dropout"),
        dense(classes).named("fc"),
    ]
}

/// An auxiliary classifier.
fn auxiliary(classes: usize) -> LayerSpec {
    sequential([
        adaptive_avg_pool2d(4).named("avgpool"),
        convolution(128, 1, 1).named("conv"),
        flatten().named("flatten"),
        dense(1024).named("fc1"),
        relu().named("relu"),
        dropout(0.7).named("dropout"),
        dense(classes).named("fc2"),
    ])
}

fn dense(features: usize) -> LinearSpec {
    linear(features).init(Init::Normal(0.01))
}

/// An inception module: the output channels of its branches, in the order of the paper's table 1, those of a reduction
/// before those of the convolution after it.
fn inception(b1: usize, b2: [usize; 2], b3: [usize; 2], b4: usize) -> LayerSpec {
    let reduced =
        |[reduced, out]: [usize; 2]| sequential([convolution(reduced, 1, 1), convolution(out, 3, 1)]);
    let pooled = layers![max_pool2d(3).stride(1).padding(1).ceil_mode(true), convolution(b4, 1, 1)];
    concat([
        convolution(b1, 1, 1).named("branch1"),
        reduced(b2).named("branch2"),
        reduced(b3).named("branch3"),
        sequential(pooled).named("branch4"),
    ])
}

/// A convolution padded by half its kernel, its normalisation, and ReLU.
fn convolution(channels: usize, kernel: usize, stride: usize) -> LayerSpec {
    let convolution = conv2d(channels, kernel).stride(stride).padding(kernel / 2).bias(false);
    basic_conv2d(convolution.init(Init::Normal(0.01)).bias_init(Init::Zeros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        assert_table(include_str!("googlenet.rs"), "GoogLeNet, for", googlenet);
    }
}
