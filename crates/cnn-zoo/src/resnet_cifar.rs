//! The ResNets for CIFAR-10: 20, 32, 44, 56 and 110 layers of few channels, for images of 32 x 32.
//!
//! K. He, X. Zhang, S. Ren, J. Sun: "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2 and table 6.
//!
//! ResNet-20, for 3 x 32 x 32:
//!
//! | layer | output | parameters | multiply-accumulates |
//! |---|---|---|---|
//! | conv1, bn1 | 16 x 32 x 32 | 464 | 442,368 |
//! | layer1 | 16 x 32 x 32 | 14,016 | 14,155,776 |
//! | layer2 | 32 x 16 x 16 | 51,072 | 12,976,128 |
//! | layer3 | 64 x 8 x 8 | 203,520 | 12,976,128 |
//! | avgpool, flatten | 64 | | |
//! | linear | 10 | 650 | 640 |
//! | total | | 269,722 | 40,551,040 |
//!
//! A network of `6 n + 2` layers has `n` blocks of two convolutions in each of its three stages: 3, 5, 7, 9 and 18 for the
//! networks here. Table 6 rounds their parameters to 0.27, 0.46, 0.66, 0.85 and 1.7 million.
//!
//! Where a block changes shape, its shortcut takes each second row and column, and adds planes of zeros before and behind (the
//! paper's option A), which needs no parameters. Names and shapes are those of the weights that Y. Idelbayev published
//! ("Proper ResNet implementation for CIFAR10/CIFAR100 in PyTorch", 2018), such as `layer2.0.conv1.weight`; they were trained on
//! images normalised by ImageNet's means and deviations.

use cnn_nn::spec::{
    Conv2dSpec, adaptive_avg_pool2d, batch_norm2d, conv2d, flatten, linear, max_pool2d, pad2d, relu,
    residual, sequential, transpose,
};
use cnn_nn::{Init, Input, LayerSpec, ModelSpec, layers};

/// Images of 3 x 32 x 32 in red, green and blue, normalised as the published weights expect them.
pub(crate) fn input() -> Input {
    let [mean, std] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
    Input::new([3, 32, 32], &mean, &std)
}

/// ResNet-20: 91.73 % of CIFAR-10's test images with the published weights.
///
/// ```
/// use cnn_nn::{Input, Model};
/// let classes = (0..10).map(|class| class.to_string()).collect();
/// let input = Input::new([3, 32, 32], &[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]);
/// let model = Model::build(cnn_zoo::resnet20(input, classes), 0)?;
/// assert_eq!(model.net.parameter_count(), 269_722);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn resnet20(input: Input, classes: Vec<String>) -> ModelSpec {
    resnet("resnet20", 3, input, classes)
}

/// ResNet-32: five blocks in each stage.
pub fn resnet32(input: Input, classes: Vec<String>) -> ModelSpec {
    resnet("resnet32", 5, input, classes)
}

/// ResNet-44: seven blocks in each stage.
pub fn resnet44(input: Input, classes: Vec<String>) -> ModelSpec {
    resnet("resnet44", 7, input, classes)
}

/// ResNet-56: nine blocks in each stage.
pub fn resnet56(input: Input, classes: Vec<String>) -> ModelSpec {
    resnet("resnet56", 9, input, classes)
}

/// ResNet-110: eighteen blocks in each stage.
pub fn resnet110(input: Input, classes: Vec<String>) -> ModelSpec {
    resnet("resnet110", 18, input, classes)
}

fn resnet(name: &str, blocks: usize, input: Input, classes: Vec<String>) -> ModelSpec {
    let stage = |from: usize, channels: usize| {
        let widen = std::iter::repeat_n(channels, blocks - 1);
        sequential(std::iter::once(from).chain(widen).map(|from| block(from, channels)))
    };
    let layers = vec![
        convolution(16).named("conv1"),
        batch_norm2d().named("bn1"),
        relu().named("relu"),
        // Each stage has twice the channels of the one before, on half the rows and columns.
        stage(16, 16).named("layer1"),
        stage(16, 32).named("layer2"),
        stage(32, 64).named("layer3"),
        adaptive_avg_pool2d(1).named("avgpool"),
        flatten().named("flatten"),
        linear(classes.len()).named("linear"),
    ];
    ModelSpec { name: name.into(), input, classes, layers }
}

/// Two convolutions from `from` channels to `channels`, added to the input, or to part of it where they change its shape.
fn block(from: usize, channels: usize) -> LayerSpec {
    let first = if from == channels { convolution(channels) } else { convolution(channels).stride(2) };
    let body = residual([
        first.named("conv1"),
        batch_norm2d().named("bn1"),
        relu().named("relu"),
        convolution(channels).named("conv2"),
        batch_norm2d().named("bn2"),
    ])
    .after([relu().named("relu2")]);
    if from == channels {
        return body.into();
    }
    body.shortcut(zeros_around(from, channels).named("shortcut")).into()
}

/// Each second row and column, with planes of zeros before and behind: channels become rows, which can be padded, and channels
/// again.
fn zeros_around(from: usize, channels: usize) -> LayerSpec {
    let zeros = (channels - from) / 2;
    sequential(layers![
        max_pool2d(1).stride(2),
        transpose(1, 2),
        pad2d([[zeros, zeros], [0, 0]]),
        transpose(1, 2)
    ])
}

/// A convolution before a batch normalisation, which makes a bias useless.
fn convolution(channels: usize) -> Conv2dSpec {
    conv2d(channels, 3).padding(1).bias(false).init(Init::KaimingNormalFanOut).bias_init(Init::Zeros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_table_of, summary};

    fn of(net: fn(Input, Vec<String>) -> ModelSpec) -> ModelSpec {
        net(input(), (0..10).map(|class| class.to_string()).collect())
    }

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        assert_table_of(include_str!("resnet_cifar.rs"), "ResNet-20, for", &summary(&of(resnet20)));
    }

    #[test]
    fn parameters_are_those_of_the_papers_table() {
        let nets: [fn(Input, Vec<String>) -> ModelSpec; 5] =
            [resnet20, resnet32, resnet44, resnet56, resnet110];
        let counts = nets.map(|net| summary(&of(net)).rows.iter().map(|row| row.parameters).sum::<u64>());
        assert_eq!(counts, [269_722, 464_154, 658_586, 853_018, 1_727_962]);
    }

    #[test]
    fn the_shortcut_takes_each_second_pixel_and_adds_planes_of_zeros() {
        use cnn_nn::Graph;
        use cnn_tensor::Tensor;
        let net = Graph::build([zeros_around(2, 4)], [2, 3, 4], 0).unwrap();
        let x = Tensor::from_fn([1, 2, 3, 4], |at| (at[1] * 100 + at[2] * 10 + at[3]) as f32);
        let y = net.infer(&x).unwrap();
        assert_eq!(y.shape().dims(), [1, 4, 2, 2]);
        let planes: Vec<&[f32]> = y.data().chunks(4).collect();
        assert_eq!(planes[0], [0.0; 4]);
        assert_eq!(planes[1], [0.0, 2.0, 20.0, 22.0]);
        assert_eq!(planes[2], [100.0, 102.0, 120.0, 122.0]);
        assert_eq!(planes[3], [0.0; 4]);
    }
}
