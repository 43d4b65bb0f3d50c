//! SqueezeNet 1.0 and 1.1: AlexNet's accuracy with a fiftieth of its parameters, for images of ImageNet's size.
//!
//! F. N. Iandola, S. Han, M. W. Moskewicz, K. Ashraf, W. J. Dally, K. Keutzer: "SqueezeNet: AlexNet-level accuracy with
//! 50x fewer parameters and <0.5MB model size", arXiv:1602.07360, 2016, table 1 and figures 1 and 2. Version 1.1 is the
//! authors' own, published with their weights.
//!
//! SqueezeNet 1.0, for 3 x 224 x 224:
//!
//! | layer | paper | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | features.0 | conv1 | 96 x 109 x 109 | 14,208 | 167,664,672 |
//! | features.2 | maxpool1 | 96 x 54 x 54 | | |
//! | features.3 | fire2 | 128 x 54 x 54 | 11,920 | 34,338,816 |
//! | features.4 | fire3 | 128 x 54 x 54 | 12,432 | 35,831,808 |
//! | features.5 | fire4 | 256 x 54 x 54 | 45,344 | 131,383,296 |
//! | features.6 | maxpool4 | 256 x 27 x 27 | | |
//! | features.7 | fire5 | 256 x 27 x 27 | 49,440 | 35,831,808 |
//! | features.8 | fire6 | 384 x 27 x 27 | 104,880 | 76,142,592 |
//! | features.9 | fire7 | 384 x 27 x 27 | 111,024 | 80,621,568 |
//! | features.10 | fire8 | 512 x 27 x 27 | 188,992 | 137,355,264 |
//! | features.11 | maxpool8 | 512 x 13 x 13 | | |
//! | features.12 | fire9 | 512 x 13 x 13 | 197,184 | 33,226,752 |
//! | classifier.1 | conv10 | 1000 x 13 x 13 | 513,000 | 86,528,000 |
//! | classifier.3, flatten | avgpool10 | 1000 | | |
//! | total | | | 1,248,424 | 818,924,576 |
//!
//! SqueezeNet 1.1:
//!
//! | layer | output | parameters | multiply-accumulates |
//! |---|---|---|---|
//! | features.0 | 64 x 111 x 111 | 1,792 | 21,290,688 |
//! | features.2 | 64 x 55 x 55 | | |
//! | features.3 | 128 x 55 x 55 | 11,408 | 34,073,600 |
//! | features.4 | 128 x 55 x 55 | 12,432 | 37,171,200 |
//! | features.5 | 128 x 27 x 27 | | |
//! | features.6 | 256 x 27 x 27 | 45,344 | 32,845,824 |
//! | features.7 | 256 x 27 x 27 | 49,440 | 35,831,808 |
//! | features.8 | 256 x 13 x 13 | | |
//! | features.9 | 384 x 13 x 13 | 104,880 | 17,651,712 |
//! | features.10 | 384 x 13 x 13 | 111,024 | 18,690,048 |
//! | features.11 | 512 x 13 x 13 | 188,992 | 31,842,304 |
//! | features.12 | 512 x 13 x 13 | 197,184 | 33,226,752 |
//! | classifier.1 | 1000 x 13 x 13 | 513,000 | 86,528,000 |
//! | classifier.3, flatten | 1000 | | |
//! | total | | 1,235,496 | 349,151,936 |
//!
//! A fire module squeezes its input to few channels by 1 x 1 convolutions, and expands them again by 1 x 1 and 3 x 3
//! convolutions side by side. There is no linear layer: the last convolution makes a map for each class, and its mean is
//! the class's output.
//!
//! Names are torchvision's, with one more level where a fire module branches: `features.3.expand.expand3x3.weight` is
//! torchvision's `features.3.expand3x3.weight`; [`crate::load_weights`] takes both. The authors' own network, which has
//! Caffe's names and differs in its last convolution, is [`caffe`]. Weights are initialised as torchvision's:
//! Kaiming-uniform, in the last convolution normal with standard deviation 0.01; biases are 0.

use cnn_nn::spec::{
    Conv2dSpec, NamedSpec, adaptive_avg_pool2d, concat, conv2d, dropout, flatten, max_pool2d, relu,
    sequential,
};
use cnn_nn::{Init, Input, LayerSpec, Model, ModelSpec, NnError, layers};
use cnn_tensor::Tensor;
use std::collections::BTreeMap;

/// SqueezeNet 1.0, as in the paper.
///
/// ```
/// use cnn_nn::Model;
/// let classes = (0..1000).map(|class| class.to_string()).collect();
/// let model = Model::build(cnn_zoo::squeezenet1_0(cnn_zoo::imagenet_input(), classes), 0)?;
/// assert_eq!(model.net.parameter_count(), 1_248_424);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn squeezenet1_0(input: Input, classes: Vec<String>) -> ModelSpec {
    let features = [
        convolution(96, 7).stride(2).into(),
        relu(),
        pool(),
        fire(16, 64),
        fire(16, 64),
        fire(32, 128),
        pool(),
        fire(32, 128),
        fire(48, 192),
        fire(48, 192),
        fire(64, 256),
        pool(),
        fire(64, 256),
    ];
    let layers = layers(features, classes.len());
    ModelSpec { name: "squeezenet1_0".into(), input, classes, layers }
}

/// SqueezeNet 1.1: [`squeezenet1_0`] with a smaller first convolution and earlier pooling, at less than half the cost.
pub fn squeezenet1_1(input: Input, classes: Vec<String>) -> ModelSpec {
    let features = [
        convolution(64, 3).stride(2).into(),
        relu(),
        pool(),
        fire(16, 64),
        fire(16, 64),
        pool(),
        fire(32, 128),
        fire(32, 128),
        pool(),
        fire(48, 192),
        fire(48, 192),
        fire(64, 256),
        fire(64, 256),
    ];
    let layers = layers(features, classes.len());
    ModelSpec { name: "squeezenet1_1".into(), input, classes, layers }
}

/// [`squeezenet1_0`] as its authors published it for Caffe: images are 3 x 227 x 227, from 0 to 255 less a mean of 123, 117
/// and 104, and a row and column of zeros around the last convolution make its maps 15 x 15.
///
/// The mean of a map includes that margin, where the convolution's output is its bias.
///
/// ```
/// use cnn_nn::Model;
/// let classes = (0..1000).map(|class| class.to_string()).collect();
/// let model = Model::build(cnn_zoo::squeezenet::caffe(classes), 0)?;
/// let summary = model.summary();
/// let last = summary.rows.iter().find(|row| row.path == "classifier.1").expect("the last convolution");
/// assert_eq!(last.output.dims(), [1, 1000, 15, 15]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn caffe(classes: Vec<String>) -> ModelSpec {
    let mean = [123.0, 117.0, 104.0].map(|mean| mean / 255.0);
    let input = Input::new([3, 227, 227], &mean, &[1.0 / 255.0; 3]);
    let mut spec = squeezenet1_0(input, classes);
    if let [_, NamedSpec { layer, .. }, _] = &mut spec.layers[..] {
        *layer = classifier(spec.classes.len(), 1);
    }
    spec
}

/// [`caffe`] with the tensors of the authors' file. They have Caffe's names (`conv1.weight`, `fire2/conv1x1_1.weight`,
/// `conv_final.bias` and so on), and the first convolution takes blue, green and red, in this order.
///
/// The model takes red, green and blue, as all other models of this crate.
///
/// # Errors
/// A tensor is missing, surplus or of another shape. The error has the model's name for it.
pub fn from_caffe(tensors: BTreeMap<String, Tensor>, classes: Vec<String>) -> Result<Model, NnError> {
    Model::from_tensors(caffe(classes), rename_caffe(tensors))
}

/// Whether a name is one of Caffe's.
pub(crate) fn is_of_caffe(tensors: &BTreeMap<String, Tensor>) -> bool {
    tensors.keys().any(|name| from_caffe_name(name).is_some())
}

/// The tensors by the names of [`squeezenet1_0`], for red, green and blue. Other names stay as they are.
pub(crate) fn rename_caffe(tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let rename = |(name, tensor): (String, Tensor)| {
        let tensor = if name == "conv1.weight" { reverse_channels(tensor) } else { tensor };
        (from_caffe_name(&name).unwrap_or(name), tensor)
    };
    tensors.into_iter().map(rename).collect()
}

/// The model's name for the parameter that Caffe's file calls `name`.
fn from_caffe_name(name: &str) -> Option<String> {
    let (layer, parameter) = name.split_once('.')?;
    let layer = match layer.split_once('/') {
        None => match layer {
            "conv1" => "features.0".to_string(),
            "conv_final" => "classifier.1".to_string(),
            _ => return None,
        },
        Some((fire, convolution)) => {
            // Poolings come before fire2, fire5 and fire9.
            let index = match fire.strip_prefix("fire")?.parse().ok()? {
                fire @ 2..=4 => fire + 1,
                fire @ 5..=8 => fire + 2,
                9 => 12,
                _ => return None,
            };
            let convolution = match convolution {
                "conv1x1_1" => "squeeze",
                "conv1x1_2" => "expand.expand1x1",
                "conv3x3_2" => "expand.expand3x3",
                _ => return None,
            };
            format!("features.{index}.{convolution}")
        }
    };
    Some(format!("{layer}.{parameter}"))
}

/// The weight of a convolution with its input channels in reverse; a tensor of another rank stays as it is.
fn reverse_channels(mut weight: Tensor) -> Tensor {
    let shape = weight.shape();
    let &[_, channels, height, width] = shape.dims() else { return weight };
    let (filter, plane) = (channels * height * width, height * width);
    if filter > 0 {
        for filter in weight.data_mut().chunks_exact_mut(filter) {
            let planes: Vec<f32> = filter.chunks_exact(plane).rev().flatten().copied().collect();
            filter.copy_from_slice(&planes);
        }
    }
    weight
}

/// The tensors with `features.3.expand1x1.weight` under the model's name, `features.3.expand.expand1x1.weight`, and so on.
pub(crate) fn rename_torchvision(tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let rename = |name: String| match name.split('.').collect::<Vec<_>>()[..] {
        ["features", fire, expand @ ("expand1x1" | "expand3x3"), parameter] => {
            format!("features.{fire}.expand.{expand}.{parameter}")
        }
        _ => name,
    };
    tensors.into_iter().map(|(name, tensor)| (rename(name), tensor)).collect()
}

/// torchvision's name for the parameter `name`: the level of the branches is left out.
pub(crate) fn torchvision_name(name: &str) -> String {
    name.replace(".expand.", ".")
}

fn layers(features: [LayerSpec; 13], classes: usize) -> Vec<NamedSpec> {
    vec![
        sequential(features).named("features"),
        classifier(classes, 0).named("classifier"),
        flatten().named("flatten"),
    ]
}

/// A map for each class, and its mean.
fn classifier(classes: usize, padding: usize) -> LayerSpec {
    sequential(layers![
        dropout(0.5),
        conv2d(classes, 1).padding(padding).init(Init::Normal(0.01)).bias_init(Init::Zeros),
        relu(),
        adaptive_avg_pool2d(1),
    ])
}

/// A fire module that squeezes to `squeeze` channels, and expands to `expand` by each of its branches.
fn fire(squeeze: usize, expand: usize) -> LayerSpec {
    let branches =
        [convolution(expand, 1).named("expand1x1"), convolution(expand, 3).padding(1).named("expand3x3")];
    sequential([
        convolution(squeeze, 1).named("squeeze"),
        relu().named("squeeze_activation"),
        concat(branches).named("expand"),
        relu().named("expand_activation"),
    ])
}

fn convolution(channels: usize, kernel: usize) -> Conv2dSpec {
    conv2d(channels, kernel).init(Init::KaimingUniform).bias_init(Init::Zeros)
}

/// Pooling whose windows overlap by a row and a column; the last may extend over the edge.
fn pool() -> LayerSpec {
    max_pool2d(3).stride(2).ceil_mode(true).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_table;

    #[test]
    fn parameters_and_macs_are_those_of_the_tables() {
        assert_table(include_str!("squeezenet.rs"), "SqueezeNet 1.0", squeezenet1_0);
        assert_table(include_str!("squeezenet.rs"), "SqueezeNet 1.1", squeezenet1_1);
    }
}
