//! cuda-convnet's quick net: the classic small network for CIFAR-10.
//!
//! A. Krizhevsky: cuda-convnet, "Layers - 80 sec", 2012, published with the code; as in Caffe's example `cifar10_quick`
//! (Y. Jia et al., "Caffe: Convolutional Architecture for Fast Feature Embedding", 2014), which has the same sizes and
//! standard deviations of the weights.
//!
//! cuda-convnet's quick net, for 3 x 32 x 32:
//!
//! | layer | output | parameters | multiply-accumulates |
//! |---|---|---|---|
//! | conv1 | 32 x 32 x 32 | 2,432 | 2,457,600 |
//! | pool1 | 32 x 16 x 16 | | |
//! | conv2 | 32 x 16 x 16 | 25,632 | 6,553,600 |
//! | pool2 | 32 x 8 x 8 | | |
//! | conv3 | 64 x 8 x 8 | 51,264 | 3,276,800 |
//! | pool3 | 64 x 4 x 4 | | |
//! | ip1 | 64 | 65,600 | 65,536 |
//! | ip2 | 10 | 650 | 640 |
//! | total | | 145,578 | 12,354,176 |
//!
//! Pooling windows of 3 overlap at stride 2, and the last of them extends over the edge. The first pooling takes maxima, the
//! others means. There is no activation between the two linear layers.

use crate::recipe::{Images, Recipe};
use cnn_nn::spec::{avg_pool2d, conv2d, flatten, linear, max_pool2d, relu};
use cnn_nn::{Init, Input, ModelSpec};

/// The quick net, for images of any size from 8 x 8 on.
///
/// ```
/// use cnn_nn::{Input, Model};
/// let input = Input::new([3, 32, 32], &[0.5; 3], &[0.25; 3]);
/// let classes = (0..10).map(|class| class.to_string()).collect();
/// let model = Model::build(cnn_zoo::cuda_convnet_quick(input, classes), 0)?;
/// assert_eq!(model.net.parameter_count(), 145_578);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn cuda_convnet_quick(input: Input, classes: Vec<String>) -> ModelSpec {
    let convolution =
        |channels, std| conv2d(channels, 5).padding(2).init(Init::Normal(std)).bias_init(Init::Zeros);
    let layers = vec![
        convolution(32, 1e-4).named("conv1"),
        max_pool2d(3).stride(2).ceil_mode(true).named("pool1"),
        relu().named("relu1"),
        convolution(32, 0.01).named("conv2"),
        relu().named("relu2"),
        avg_pool2d(3).stride(2).ceil_mode(true).named("pool2"),
        convolution(64, 0.01).named("conv3"),
        relu().named("relu3"),
        avg_pool2d(3).stride(2).ceil_mode(true).named("pool3"),
        flatten().named("flatten"),
        linear(64).init(Init::Normal(0.1)).bias_init(Init::Zeros).named("ip1"),
        linear(classes.len()).init(Init::Normal(0.1)).bias_init(Init::Zeros).named("ip2"),
    ];
    ModelSpec { name: "cuda_convnet_quick".into(), input, classes, layers }
}

pub(crate) fn recipe(_: Images) -> Recipe {
    let usual = Recipe::usual(Images::Digits);
    Recipe { batch_size: 100, learning_rate: 0.01, weight_decay: 4e-3, augment: "flip", ..usual }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_table_of, summary};

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        let input = Input::new([3, 32, 32], &[0.5; 3], &[0.25; 3]);
        let classes = (0..10).map(|class| class.to_string()).collect();
        let summary = summary(&cuda_convnet_quick(input, classes));
        assert_table_of(include_str!("cuda_convnet.rs"), "quick net, for", &summary);
    }
}
