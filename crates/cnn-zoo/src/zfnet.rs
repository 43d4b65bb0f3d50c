//! ZFNet: AlexNet with a smaller first kernel and stride, as its feature maps suggested, for images of ImageNet's size.
//!
//! M. D. Zeiler, R. Fergus: "Visualizing and Understanding Convolutional Networks", ECCV 2014, figure 3 and section 3.
//!
//! ZFNet, for 3 x 224 x 224:
//!
//! | layer | paper | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | conv1 | layer 1 | 96 x 110 x 110 | 14,208 | 170,755,200 |
//! | pool1, norm1 | 3 x 3 max pool, contrast norm. | 96 x 55 x 55 | | |
//! | conv2 | layer 2 | 256 x 26 x 26 | 614,656 | 415,334,400 |
//! | pool2, norm2 | 3 x 3 max pool, contrast norm. | 256 x 13 x 13 | | |
//! | conv3 | layer 3 | 384 x 13 x 13 | 885,120 | 149,520,384 |
//! | conv4 | layer 4 | 384 x 13 x 13 | 1,327,488 | 224,280,576 |
//! | conv5 | layer 5 | 256 x 13 x 13 | 884,992 | 149,520,384 |
//! | pool5, flatten | 3 x 3 max pool | 9216 | | |
//! | fc6 | layer 6 | 4096 | 37,752,832 | 37,748,736 |
//! | fc7 | layer 7 | 4096 | 16,781,312 | 16,777,216 |
//! | fc8 | output | 1000 | 4,097,000 | 4,096,000 |
//! | total | | | 62,357,608 | 1,168,032,896 |
//!
//! Shapes are those of figure 3. The first convolution needs a padding of 1 for them, and the first two poolings a last window that
//! extends over the edge. The contrast normalisation across feature maps, whose options the paper leaves open, is that of
//! [`alexnet_2012`](crate::alexnet_2012). Names are those of Caffe's AlexNet. Weights are initialised as section 3 says, to 0.01
//! (as the standard deviation of a normal distribution), and biases to 0.

use crate::alexnet::{self, normalization};
use crate::recipe::{Images, Recipe};
use cnn_nn::spec::{Conv2dSpec, LinearSpec, conv2d, dropout, flatten, linear, max_pool2d, relu};
use cnn_nn::{Init, Input, LayerSpec, ModelSpec};

/// ZFNet: 62,357,608 parameters.
pub fn zfnet(input: Input, classes: Vec<String>) -> ModelSpec {
    let layers = vec![
        convolution(96, 7).stride(2).padding(1).named("conv1"),
        relu().named("relu1"),
        pool().named("pool1"),
        normalization().named("norm1"),
        convolution(256, 5).stride(2).named("conv2"),
        relu().named("relu2"),
        pool().named("pool2"),
        normalization().named("norm2"),
        convolution(384, 3).padding(1).named("conv3"),
        relu().named("relu3"),
        convolution(384, 3).padding(1).named("conv4"),
        relu().named("relu4"),
        convolution(256, 3).padding(1).named("conv5"),
        relu().named("relu5"),
        pool().named("pool5"),
        flatten().named("flatten"),
        dense(4096).named("fc6"),
        relu().named("relu6"),
        dropout(0.5).named("drop6"),
        dense(4096).named("fc7"),
        relu().named("relu7"),
        dropout(0.5).named("drop7"),
        dense(classes.len()).named("fc8"),
    ];
    ModelSpec { name: "zfnet".into(), input, classes, layers }
}

/// Section 3: AlexNet's settings for 70 epochs. Its bound on the root mean square of first filters is left out.
pub(crate) fn recipe(images: Images) -> Recipe {
    Recipe { epochs: 70, ..alexnet::recipe(images) }
}

/// Pooling whose windows overlap by a row and a column; the last may extend over the edge.
fn pool() -> LayerSpec {
    max_pool2d(3).stride(2).ceil_mode(true).into()
}

fn convolution(channels: usize, kernel: usize) -> Conv2dSpec {
    conv2d(channels, kernel).init(Init::Normal(0.01)).bias_init(Init::Zeros)
}

fn dense(features: usize) -> LinearSpec {
    linear(features).init(Init::Normal(0.01)).bias_init(Init::Zeros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        assert_table(include_str!("zfnet.rs"), "ZFNet, for", zfnet);
    }
}
