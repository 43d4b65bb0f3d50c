//! SE-ResNet-50: ResNet-50 whose blocks weight their channels by squeeze and excitation, for images of ImageNet's size.
//!
//! J. Hu, L. Shen, G. Sun: "Squeeze-and-Excitation Networks", CVPR 2018, table 1 and figures 2 and 3.
//!
//! SE-ResNet-50, for 3 x 224 x 224:
//!
//! | layer | output | parameters | multiply-accumulates |
//! |---|---|---|---|
//! | conv1, bn1 | 64 x 112 x 112 | 9,536 | 118,013,952 |
//! | maxpool | 64 x 56 x 56 | | |
//! | layer1 | 256 x 56 x 56 | 241,200 | 667,967,488 |
//! | layer2 | 512 x 28 x 28 | 1,352,832 | 1,027,735,552 |
//! | layer3 | 1024 x 14 x 14 | 7,891,328 | 1,465,122,816 |
//! | layer4 | 2048 x 7 x 7 | 16,544,128 | 810,811,392 |
//! | avgpool, flatten | 2048 | | |
//! | fc | 1000 | 2,049,000 | 2,048,000 |
//! | total | | 28,088,024 | 4,091,699,200 |
//!
//! Before a block's output is added to its input, each of its channels is multiplied by a number from 0 to 1, which two layers compute
//! from the means of all channels; between them are a 16th of the channels. The paper writes the two as linear layers (table 1); they
//! are 1 x 1 convolutions of the means here, which is the same, and have biases.
//!
//! torchvision lacks this network. The names are those of its parts, as in the ResNets that it has, with `se.fc1` and `se.fc2` in each
//! block. The stride of a block is that of its 3 x 3 convolution, as in [`resnet50`](crate::resnet50).

use crate::resnet::Bottlenecks;
use cnn_nn::{Input, ModelSpec};

/// SE-ResNet-50: 28,088,024 parameters.
pub fn se_resnet50(input: Input, classes: Vec<String>) -> ModelSpec {
    let blocks = Bottlenecks { squeeze: Some(16), ..Bottlenecks::default() };
    blocks.network("se_resnet50", [3, 4, 6, 3], input, classes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        assert_table(include_str!("se_resnet.rs"), "SE-ResNet-50, for", se_resnet50);
    }
}
