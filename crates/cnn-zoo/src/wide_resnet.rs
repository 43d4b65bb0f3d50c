//! Wide ResNet-50-2: ResNet-50 whose bottlenecks have twice the channels within, for images of ImageNet's size.
//!
//! S. Zagoruyko, N. Komodakis: "Wide Residual Networks", BMVC 2016, section 3 and table 8.
//!
//! Wide ResNet-50-2, for 3 x 224 x 224:
//!
//! | layer | output | parameters | multiply-accumulates |
//! |---|---|---|---|
//! | conv1, bn1 | 64 x 112 x 112 | 9,536 | 118,013,952 |
//! | maxpool | 64 x 56 x 56 | | |
//! | layer1 | 256 x 56 x 56 | 634,368 | 1,978,138,624 |
//! | layer2 | 512 x 28 x 28 | 3,482,624 | 2,877,292,544 |
//! | layer3 | 1024 x 14 x 14 | 20,736,000 | 4,213,178,368 |
//! | layer4 | 2048 x 7 x 7 | 41,971,712 | 2,209,349,632 |
//! | avgpool, flatten | 2048 | | |
//! | fc | 1000 | 2,049,000 | 2,048,000 |
//! | total | | 68,883,240 | 11,398,021,120 |
//!
//! The first and second convolution of a bottleneck have twice the channels of [`resnet50`](crate::resnet50); its third, and so the
//! shapes between blocks, are the same. Names and shapes are torchvision's, and the initialisation is that of ResNet-50.

use crate::resnet::Bottlenecks;
use cnn_nn::{Input, ModelSpec};

/// Wide ResNet-50-2: 68,883,240 parameters.
pub fn wide_resnet50_2(input: Input, classes: Vec<String>) -> ModelSpec {
    let blocks = Bottlenecks { width: 128, ..Bottlenecks::default() };
    blocks.network("wide_resnet50_2", [3, 4, 6, 3], input, classes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        assert_table(include_str!("wide_resnet.rs"), "Wide ResNet-50-2, for", wide_resnet50_2);
    }
}
