//! ResNeXt-50 (32 x 4d): ResNet-50 with wider 3 x 3 convolutions in 32 groups, for images of ImageNet's size.
//!
//! S. Xie, R. Girshick, P. Dollár, Z. Tu, K. He: "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017, table 1
//! and figure 3c.
//!
//! ResNeXt-50, for 3 x 224 x 224:
//!
//! | layer | output | parameters | multiply-accumulates |
//! |---|---|---|---|
//! | conv1, bn1 | 64 x 112 x 112 | 9,536 | 118,013,952 |
//! | maxpool | 64 x 56 x 56 | | |
//! | layer1 | 256 x 56 x 56 | 205,824 | 634,224,640 |
//! | layer2 | 512 x 28 x 28 | 1,197,056 | 1,085,407,232 |
//! | layer3 | 1024 x 14 x 14 | 7,022,592 | 1,525,350,400 |
//! | layer4 | 2048 x 7 x 7 | 14,544,896 | 865,435,648 |
//! | avgpool, flatten | 2048 | | |
//! | fc | 1000 | 2,049,000 | 2,048,000 |
//! | total | | 25,028,904 | 4,230,479,872 |
//!
//! The 3 x 3 convolution of a bottleneck has 32 groups of 4 channels in the first stage, and of twice as many in each next one.
//! Everything else is [`resnet50`](crate::resnet50)'s, names and initialisation included, and so are torchvision's names and shapes.

use crate::resnet::Bottlenecks;
use cnn_nn::{Input, ModelSpec};

/// ResNeXt-50 of 32 groups of 4 channels: 25,028,904 parameters.
pub fn resnext50_32x4d(input: Input, classes: Vec<String>) -> ModelSpec {
    let blocks = Bottlenecks { groups: 32, width: 4, ..Bottlenecks::default() };
    blocks.network("resnext50_32x4d", [3, 4, 6, 3], input, classes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        assert_table(include_str!("resnext.rs"), "ResNeXt-50, for", resnext50_32x4d);
    }
}
