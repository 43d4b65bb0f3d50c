//! VGG-11, 13, 16 and 19, without and with batch normalisation: 3 x 3 convolutions, for images of ImageNet's size.
//!
//! K. Simonyan, A. Zisserman: "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, table 1,
//! columns A, B, D and E.
//!
//! VGG-11, for 3 x 224 x 224:
//!
//! | layer | paper | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | features.0, features.2 | conv3-64, maxpool | 64 x 112 x 112 | 1,792 | 86,704,128 |
//! | features.3, features.5 | conv3-128, maxpool | 128 x 56 x 56 | 73,856 | 924,844,032 |
//! | features.6, features.8, features.10 | 2 x conv3-256, maxpool | 256 x 28 x 28 | 885,248 | 2,774,532,096 |
//! | features.11, features.13, features.15 | 2 x conv3-512, maxpool | 512 x 14 x 14 | 3,539,968 | 2,774,532,096 |
//! | features.16, features.18, features.20 | 2 x conv3-512, maxpool | 512 x 7 x 7 | 4,719,616 | 924,844,032 |
//! | avgpool, flatten | | 25088 | | |
//! | classifier.0 | FC-4096 | 4096 | 102,764,544 | 102,760,448 |
//! | classifier.3 | FC-4096 | 4096 | 16,781,312 | 16,777,216 |
//! | classifier.6 | FC-1000 | 1000 | 4,097,000 | 4,096,000 |
//! | total | | | 132,863,336 | 7,609,090,048 |
//!
//! VGG-16, for 3 x 224 x 224:
//!
//! | layer | paper | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | features.0, features.2, features.4 | 2 x conv3-64, maxpool | 64 x 112 x 112 | 38,720 | 1,936,392,192 |
//! | features.5, features.7, features.9 | 2 x conv3-128, maxpool | 128 x 56 x 56 | 221,440 | 2,774,532,096 |
//! | features.10, features.12, features.14, features.16 | 3 x conv3-256, maxpool | 256 x 28 x 28 | 1,475,328 | 4,624,220,160 |
//! | features.17, features.19, features.21, features.23 | 3 x conv3-512, maxpool | 512 x 14 x 14 | 5,899,776 | 4,624,220,160 |
//! | features.24, features.26, features.28, features.30 | 3 x conv3-512, maxpool | 512 x 7 x 7 | 7,079,424 | 1,387,266,048 |
//! | avgpool, flatten | | 25088 | | |
//! | classifier.0 | FC-4096 | 4096 | 102,764,544 | 102,760,448 |
//! | classifier.3 | FC-4096 | 4096 | 16,781,312 | 16,777,216 |
//! | classifier.6 | FC-1000 | 1000 | 4,097,000 | 4,096,000 |
//! | total | | | 138,357,544 | 15,470,264,320 |
//!
//! VGG-13 has two convolutions in each of the five stages, 133,047,848 parameters in all; VGG-19 has 2, 2, 4, 4 and 4, and 143,667,240.
//! With batch normalisation after each convolution (S. Ioffe and C. Szegedy, "Batch Normalization", ICML 2015) the four have 5,504,
//! 5,888, 8,448 and 11,008 parameters more: 132,868,840, 133,053,736, 138,365,992 and 143,678,248.
//!
//! Names and shapes are torchvision's. The average pooling to 7 x 7 before the classifier does nothing for images of the
//! paper's 224 x 224, and makes other sizes possible. Weights are initialised as torchvision's: in convolutions normal by the
//! fan out, in linear layers normal with standard deviation 0.01; biases are 0.

use crate::alexnet;
use crate::recipe::{Images, Recipe};
use cnn_nn::spec::{
    LinearSpec, NamedSpec, adaptive_avg_pool2d, batch_norm2d, conv2d, dropout, flatten, linear, max_pool2d,
    relu, sequential,
};
use cnn_nn::{Init, Input, LayerSpec, ModelSpec, layers};

/// VGG-11: eight convolutions and three linear layers, which hold nearly all of its 132,863,336 parameters.
///
/// ```
/// use cnn_nn::{Init, LayerSpec};
/// let classes = (0..1000).map(|class| class.to_string()).collect();
/// let vgg = cnn_zoo::vgg11(cnn_zoo::imagenet_input(), classes);
/// let parts: Vec<&str> = vgg.layers.iter().map(|layer| layer.name.as_str()).collect();
/// assert_eq!(parts, ["features", "avgpool", "flatten", "classifier"]);
/// ```
pub fn vgg11(input: Input, classes: Vec<String>) -> ModelSpec {
    vgg("vgg11", [1, 1, 2, 2, 2], false, input, classes)
}

/// [`vgg11`] with batch normalisation after each convolution: 132,868,840 parameters.
pub fn vgg11_bn(input: Input, classes: Vec<String>) -> ModelSpec {
    vgg("vgg11_bn", [1, 1, 2, 2, 2], true, input, classes)
}

/// VGG-13: ten convolutions, 133,047,848 parameters.
pub fn vgg13(input: Input, classes: Vec<String>) -> ModelSpec {
    vgg("vgg13", [2; 5], false, input, classes)
}

/// [`vgg13`] with batch normalisation after each convolution: 133,053,736 parameters.
pub fn vgg13_bn(input: Input, classes: Vec<String>) -> ModelSpec {
    vgg("vgg13_bn", [2; 5], true, input, classes)
}

/// VGG-16: thirteen convolutions, 138,357,544 parameters.
pub fn vgg16(input: Input, classes: Vec<String>) -> ModelSpec {
    vgg("vgg16", [2, 2, 3, 3, 3], false, input, classes)
}

/// [`vgg16`] with batch normalisation after each convolution: 138,365,992 parameters.
pub fn vgg16_bn(input: Input, classes: Vec<String>) -> ModelSpec {
    vgg("vgg16_bn", [2, 2, 3, 3, 3], true, input, classes)
}

/// VGG-19: sixteen convolutions, 143,667,240 parameters.
pub fn vgg19(input: Input, classes: Vec<String>) -> ModelSpec {
    vgg("vgg19", [2, 2, 4, 4, 4], false, input, classes)
}

/// [`vgg19`] with batch normalisation after each convolution: 143,678,248 parameters.
pub fn vgg19_bn(input: Input, classes: Vec<String>) -> ModelSpec {
    vgg("vgg19_bn", [2, 2, 4, 4, 4], true, input, classes)
}

/// The paper's section 3.1, for the networks without batch normalisation.
pub(crate) fn recipe(_: Images) -> Recipe {
    Recipe { epochs: 74, batch_size: 256, ..alexnet::recipe(Images::Photos) }
}

/// The network with that many convolutions between one pooling and the next.
fn vgg(
    name: &str,
    convolutions: [usize; 5],
    normalized: bool,
    input: Input,
    classes: Vec<String>,
) -> ModelSpec {
    let layers = layers(convolutions, normalized, classes.len());
    ModelSpec { name: name.into(), input, classes, layers }
}

fn layers(convolutions: [usize; 5], normalized: bool, classes: usize) -> Vec<NamedSpec> {
    let stages = convolutions.into_iter().zip([64, 128, 256, 512, 512]);
    let stage = |(convolutions, channels): (usize, usize)| {
        let convolutions = (0..convolutions).flat_map(|_| convolution(channels, normalized));
        convolutions.chain([max_pool2d(2).into()]).collect::<Vec<_>>()
    };
    let classifier = layers![
        fully_connected(4096),
        relu(),
        dropout(0.5),
        fully_connected(4096),
        relu(),
        dropout(0.5),
        fully_connected(classes),
    ];
    vec![
        sequential(stages.flat_map(stage)).named("features"),
        adaptive_avg_pool2d(7).named("avgpool"),
        flatten().named("flatten"),
        sequential(classifier).named("classifier"),
    ]
}

fn convolution(channels: usize, normalized: bool) -> Vec<LayerSpec> {
    let convolution = conv2d(channels, 3).padding(1).init(Init::KaimingNormalFanOut).bias_init(Init::Zeros);
    let normalization = normalized.then(|| batch_norm2d().into());
    [convolution.into()].into_iter().chain(normalization).chain([relu()]).collect()
}

fn fully_connected(features: usize) -> LinearSpec {
    linear(features).init(Init::Normal(0.01)).bias_init(Init::Zeros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_tables() {
        assert_table(include_str!("vgg.rs"), "VGG-11, for", vgg11);
        assert_table(include_str!("vgg.rs"), "VGG-16, for", vgg16);
    }
}
