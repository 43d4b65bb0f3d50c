//! ResNet-18, 34, 50, 101 and 152: networks of residual blocks, which learn a difference to add to their input, for images of
//! ImageNet's size.
//!
//! K. He, X. Zhang, S. Ren, J. Sun: "Deep Residual Learning for Image Recognition", CVPR 2016, table 1 and figures 3 and 5.
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
//! ResNet-50, for 3 x 224 x 224, has as many blocks as ResNet-34, each a bottleneck of three convolutions:
//!
//! | layer | paper | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | conv1, bn1 | conv1 | 64 x 112 x 112 | 9,536 | 118,013,952 |
//! | maxpool | conv2_x | 64 x 56 x 56 | | |
//! | layer1 | conv2_x | 256 x 56 x 56 | 215,808 | 667,942,912 |
//! | layer2 | conv3_x | 512 x 28 x 28 | 1,219,584 | 1,027,604,480 |
//! | layer3 | conv4_x | 1024 x 14 x 14 | 7,098,368 | 1,464,336,384 |
//! | layer4 | conv5_x | 2048 x 7 x 7 | 14,964,736 | 809,238,528 |
//! | avgpool, flatten | | 2048 | | |
//! | fc | | 1000 | 2,049,000 | 2,048,000 |
//! | total | | | 25,557,032 | 4,089,184,256 |
//!
//! ResNet-101 has 23 blocks in conv4_x: 44,549,160 parameters. ResNet-152 has 8 in conv3_x and 36 in conv4_x: 60,192,808.
//!
//! In a bottleneck that halves rows and columns, the 3 x 3 convolution has the stride, as in the published weights; in the paper
//! the 1 x 1 convolution before it has.
//!
//! Where a block changes shape, its shortcut is a 1 x 1 convolution (the paper's option B), as in the published weights.
//! Names and shapes are torchvision's, such as `layer2.0.downsample.0.weight`. Weights are initialised normal by the fan out:
//! K. He, X. Zhang, S. Ren and J. Sun, "Delving Deep into Rectifiers", ICCV 2015, equation 14.

use crate::blocks::{convolution, squeeze_excitation};
use cnn_nn::spec::{
    NamedSpec, adaptive_avg_pool2d, batch_norm2d, flatten, linear, max_pool2d, relu, residual, sequential,
    sigmoid,
};
use cnn_nn::{Input, LayerSpec, ModelSpec, layers};

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
    let layers = layers([2, 2, 2, 2], classes.len(), basic_block);
    ModelSpec { name: "resnet18".into(), input, classes, layers }
}

/// ResNet-34: [`resnet18`] with 3, 4, 6 and 3 blocks in its four stages.
pub fn resnet34(input: Input, classes: Vec<String>) -> ModelSpec {
    let layers = layers([3, 4, 6, 3], classes.len(), basic_block);
    ModelSpec { name: "resnet34".into(), input, classes, layers }
}

/// ResNet-50: 16 bottlenecks of three convolutions each.
pub fn resnet50(input: Input, classes: Vec<String>) -> ModelSpec {
    Bottlenecks::default().network("resnet50", [3, 4, 6, 3], input, classes)
}

/// ResNet-101: [`resnet50`] with 23 blocks in its third stage.
pub fn resnet101(input: Input, classes: Vec<String>) -> ModelSpec {
    Bottlenecks::default().network("resnet101", [3, 4, 23, 3], input, classes)
}

/// ResNet-152: [`resnet50`] with 8 and 36 blocks in its second and third stage.
pub fn resnet152(input: Input, classes: Vec<String>) -> ModelSpec {
    Bottlenecks::default().network("resnet152", [3, 8, 36, 3], input, classes)
}

/// All layers, with the given number of blocks in each of the four stages; `block` makes one from the channels of its stage, its
/// stride, and whether it is the first of the stage.
fn layers(
    blocks: [usize; 4],
    classes: usize,
    block: impl Fn(usize, usize, bool) -> LayerSpec,
) -> Vec<NamedSpec> {
    let stage = |i: usize, channels: usize, stride: usize| {
        sequential((0..blocks[i]).map(|i| block(channels, if i == 0 { stride } else { 1 }, i == 0)))
    };
    vec![
        convolution(64, 7).stride(2).named("conv1"),
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

/// Two convolutions, added to the input.
fn basic_block(channels: usize, stride: usize, _first: bool) -> LayerSpec {
    let body = residual([
        convolution(channels, 3).stride(stride).named("conv1"),
        batch_norm2d().named("bn1"),
        relu().named("relu"),
        convolution(channels, 3).named("conv2"),
        batch_norm2d().named("bn2"),
    ])
    .after([relu().named("relu2")]);
    if stride == 1 { body.into() } else { body.shortcut(downsample(channels, stride)).into() }
}

/// A convolution of a block's input, which has another shape than its output.
fn downsample(channels: usize, stride: usize) -> NamedSpec {
    sequential(layers![convolution(channels, 1).stride(stride), batch_norm2d()]).named("downsample")
}

/// The bottlenecks of a network: each reduces its input to few channels, convolves them, and widens them again, to four times the
/// channels that [`basic_block`] has.
pub(crate) struct Bottlenecks {
    /// Runs of channels that do not see each other in the 3 x 3 convolution.
    pub groups: usize,
    /// Channels of a run in the first stage.
    pub width: usize,
    /// The channels for each one after squeezing, where there is squeeze and excitation.
    pub squeeze: Option<usize>,
}

impl Default for Bottlenecks {
    /// Those of the paper.
    fn default() -> Self {
        Self { groups: 1, width: 64, squeeze: None }
    }
}

impl Bottlenecks {
    /// The network with that many of these blocks in each of its four stages.
    pub(crate) fn network(
        &self,
        name: &str,
        blocks: [usize; 4],
        input: Input,
        classes: Vec<String>,
    ) -> ModelSpec {
        let block = |channels, stride, first| self.block(channels, stride, first);
        let layers = layers(blocks, classes.len(), block);
        ModelSpec { name: name.into(), input, classes, layers }
    }

    fn block(&self, channels: usize, stride: usize, first: bool) -> LayerSpec {
        let (width, out) = (channels / 64 * self.width * self.groups, 4 * channels);
        let squeeze = |reduction: usize| squeeze_excitation(out, out / reduction, relu(), sigmoid());
        let layers = [
            convolution(width, 1).named("conv1"),
            batch_norm2d().named("bn1"),
            relu().named("relu"),
            convolution(width, 3).stride(stride).groups(self.groups).named("conv2"),
            batch_norm2d().named("bn2"),
            relu().named("relu2"),
            convolution(out, 1).named("conv3"),
            batch_norm2d().named("bn3"),
        ];
        let body = residual(layers.into_iter().chain(self.squeeze.map(|r| squeeze(r).named("se"))))
            .after([relu().named("relu3")]);
        if first { body.shortcut(downsample(out, stride)).into() } else { body.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_tables() {
        assert_table(include_str!("resnet.rs"), "ResNet-18, for", resnet18);
        assert_table(include_str!("resnet.rs"), "ResNet-50, for", resnet50);
    }
}
