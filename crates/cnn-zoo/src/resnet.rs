//! ResNet-18 and ResNet-34: networks of residual blocks, which learn a difference to add to their input, for images of
//! ImageNet's size.
//!
//! K. He, X. Zhang, S. Ren, J. Sun: "Deep Residual Learning for Image Recognition", CVPR 2016, table 1 and figure 3.
//!
//! ResNet-18, for 3 x 224 x 224:
//!
//! | layer | paper | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | conv1, bn1 | conv1 | 64 x 112 x 112 | 9,536 | 118,013,952 |
//! | maxpool | conv2_x | 64 x 56 x 56 | | |
//! | layer1 | conv2_x | 64 x 56 x 56 | 147,968 | 462,422,016 |
//! | layer2 | conv3_x | 128 x 28 x 28 | 525,568 | 411,041,792 |
//! | layer3 | conv4_x | 256 x 14 x 14 | 2,099,712 | 411,041,792 |
//! | layer4 | conv5_x | 512 x 7 x 7 | 8,393,728 | 411,041,792 |
//! | avgpool, flatten | | 512 | | |
//! | fc | | 1000 | 513,000 | 512,000 |
//! | total | | | 11,689,512 | 1,814,073,344 |
//!
//! ResNet-34 has 3, 4, 6 and 3 blocks where ResNet-18 has 2 each: 21,797,672 parameters, 3,663,761,408
//! multiply-accumulates.
//!
//! Where a block changes shape, its shortcut is a 1 x 1 convolution (the paper's option B), as in the published weights.
//! Names and shapes are torchvision's, such as `layer2.0.downsample.0.weight`. Weights are initialised normal by the fan out:
//! K. He, X. Zhang, S. Ren and J. Sun, "Delving Deep into Rectifiers", ICCV 2015, equation 14.

use cnn_nn::spec::{
    Conv2dSpec, NamedSpec, adaptive_avg_pool2d, batch_norm2d, conv2d, flatten, linear, max_pool2d, relu,
    residual, sequential,
};
use cnn_nn::{Init, Input, LayerSpec, ModelSpec, layers};

/// ResNet-18: a convolution, eight residual blocks of two convolutions each, and a linear layer.
///
/// ```
/// use cnn_nn::Model;
/// let classes = (0..1000).map(|class| class.to_string()).collect();
/// let model = Model::build(cnn_zoo::resnet18(cnn_zoo::imagenet_input(), classes), 0)?;
/// assert_eq!(model.net.parameter_count(), 11_689_512);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn resnet18(input: Input, classes: Vec<String>) -> ModelSpec {
    let layers = layers([2, 2, 2, 2], classes.len());
    ModelSpec { name: "resnet18".into(), input, classes, layers }
}

/// ResNet-34: [`resnet18`] with 3, 4, 6 and 3 blocks in its four stages.
pub fn resnet34(input: Input, classes: Vec<String>) -> ModelSpec {
    let layers = layers([3, 4, 6, 3], classes.len());
    ModelSpec { name: "resnet34".into(), input, classes, layers }
}

/// All layers, with the given number of blocks in each of the four stages.
fn layers(blocks: [usize; 4], classes: usize) -> Vec<NamedSpec> {
    let stage = |i: usize, channels: usize, stride: usize| {
        let strides = std::iter::once(stride).chain(std::iter::repeat_n(1, blocks[i] - 1));
        sequential(strides.map(|stride| block(channels, stride)))
    };
    vec![
        convolution(64, 7).stride(2).padding(3).named("conv1"),
        batch_norm2d().named("bn1"),
        relu().named("relu"),
        max_pool2d(3).stride(2).padding(1).named("maxpool"),
        // Each stage has twice the channels of the one before, on half the rows and columns.
        stage(0, 64, 1).named("layer1"),
        stage(1, 128, 2).named("layer2"),
        stage(2, 256, 2).named("layer3"),
        stage(3, 512, 2).named("layer4"),
        adaptive_avg_pool2d(1).named("avgpool"),
        flatten().named("flatten"),
        linear(classes).named("fc"),
    ]
}

/// Two convolutions, added to the input, or to a convolution of it where they change its shape.
fn block(channels: usize, stride: usize) -> LayerSpec {
    let body = residual([
        convolution(channels, 3).stride(stride).padding(1).named("conv1"),
        batch_norm2d().named("bn1"),
        relu().named("relu"),
        convolution(channels, 3).padding(1).named("conv2"),
        batch_norm2d().named("bn2"),
    ])
    .after([relu().named("relu2")]);
    if stride == 1 {
        return body.into();
    }
    let downsample = sequential(layers![convolution(channels, 1).stride(stride), batch_norm2d()]);
    body.shortcut(downsample.named("downsample")).into()
}

/// A convolution before a batch normalisation, which makes a bias useless.
fn convolution(channels: usize, kernel: usize) -> Conv2dSpec {
    conv2d(channels, kernel).bias(false).init(Init::KaimingNormalFanOut).bias_init(Init::Zeros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        assert_table(include_str!("resnet.rs"), "ResNet-18, for", resnet18);
    }
}
