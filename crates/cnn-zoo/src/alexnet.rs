//! AlexNet: the network that won the ImageNet challenge of 2012, and the network of a single tower that has its name today.
//!
//! A. Krizhevsky, I. Sutskever, G. E. Hinton: "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012,
//! section 3 and figure 2; section 5 for the first weights. The other: A. Krizhevsky: "One weird trick for parallelizing
//! convolutional neural networks", arXiv:1404.5997, 2014.
//!
//! AlexNet of 2012, for 3 x 227 x 227:
//!
//! | layer | output | parameters | multiply-accumulates |
//! |---|---|---|---|
//! | conv1, relu1, norm1 | 96 x 55 x 55 | 34,944 | 105,415,200 |
//! | pool1 | 96 x 27 x 27 | | |
//! | conv2, relu2, norm2 | 256 x 27 x 27 | 307,456 | 223,948,800 |
//! | pool2 | 256 x 13 x 13 | | |
//! | conv3, relu3 | 384 x 13 x 13 | 885,120 | 149,520,384 |
//! | conv4, relu4 | 384 x 13 x 13 | 663,936 | 112,140,288 |
//! | conv5, relu5 | 256 x 13 x 13 | 442,624 | 74,760,192 |
//! | pool5, flatten | 9216 | | |
//! | fc6, relu6, drop6 | 4096 | 37,752,832 | 37,748,736 |
//! | fc7, relu7, drop7 | 4096 | 16,781,312 | 16,777,216 |
//! | fc8 | 1000 | 4,097,000 | 4,096,000 |
//! | total | | 60,965,224 | 724,406,816 |
//!
//! The authors had two graphics cards of 3 GB, with half the maps on each. The halves see each other in conv3 and from fc6
//! on, so conv2, conv4 and conv5 have two groups. Pooling windows are 3 x 3 at stride 2, and overlap. Differences from the
//! paper:
//!
//! - images are 227 x 227: windows of 11 x 11 at stride 4 do not make 55 x 55 outputs of the paper's 224 x 224;
//! - the normalisation of a map at the border of the two halves includes its neighbours in the other half; the paper does
//!   not specify this;
//! - dropout scales the remaining units in training, rather than all units in evaluation; the expected values are the same.
//!
//! Layers have the names of Caffe's copy of the network.
//!
//! AlexNet of a single tower, for 3 x 224 x 224:
//!
//! | layer | output | parameters | multiply-accumulates |
//! |---|---|---|---|
//! | features.0, features.1 | 64 x 55 x 55 | 23,296 | 70,276,800 |
//! | features.2 | 64 x 27 x 27 | | |
//! | features.3, features.4 | 192 x 27 x 27 | 307,392 | 223,948,800 |
//! | features.5 | 192 x 13 x 13 | | |
//! | features.6, features.7 | 384 x 13 x 13 | 663,936 | 112,140,288 |
//! | features.8, features.9 | 256 x 13 x 13 | 884,992 | 149,520,384 |
//! | features.10, features.11 | 256 x 13 x 13 | 590,080 | 99,680,256 |
//! | features.12 | 256 x 6 x 6 | | |
//! | avgpool, flatten, classifier.0 | 9216 | | |
//! | classifier.1, classifier.2, classifier.3 | 4096 | 37,752,832 | 37,748,736 |
//! | classifier.4, classifier.5 | 4096 | 16,781,312 | 16,777,216 |
//! | classifier.6 | 1000 | 4,097,000 | 4,096,000 |
//! | total | | 61,100,840 | 714,188,480 |
//!
//! This is torchvision's network, whose published weights have these names and shapes. It has neither groups nor
//! normalisation, and fewer maps in some layers. The average pooling to 6 x 6 before the classifier does nothing for images
//! of 224 x 224, and makes other sizes possible, from 63 x 63 on. Weights and biases have PyTorch's default initialisation.

use crate::recipe::{Images, Recipe};
use cnn_nn::spec::{
    Conv2dSpec, LinearSpec, adaptive_avg_pool2d, conv2d, dropout, flatten, linear, local_response_norm,
    max_pool2d, relu, sequential,
};
use cnn_nn::{Init, Input, LayerSpec, ModelSpec, Plateau, Schedule, layers};

/// AlexNet as torchvision has it: one tower, no normalisation, 61,100,840 parameters.
///
/// ```
/// let classes = (0..1000).map(|class| class.to_string()).collect();
/// let alexnet = cnn_zoo::alexnet(cnn_zoo::imagenet_input(), classes);
/// let parts: Vec<&str> = alexnet.layers.iter().map(|layer| layer.name.as_str()).collect();
/// assert_eq!(parts, ["features", "avgpool", "flatten", "classifier"]);
/// ```
pub fn alexnet(input: Input, classes: Vec<String>) -> ModelSpec {
    let classifier = layers![
        dropout(0.5),
        linear(4096),
        relu(),
        dropout(0.5),
        linear(4096),
        relu(),
        linear(classes.len()),
    ];
    let layers = vec![
        sequential(features()).named("features"),
        adaptive_avg_pool2d(6).named("avgpool"),
        flatten().named("flatten"),
        sequential(classifier).named("classifier"),
    ];
    ModelSpec { name: "alexnet".into(), input, classes, layers }
}

/// The convolutions of the single tower, and its poolings.
pub(crate) fn features() -> Vec<LayerSpec> {
    vec![
        conv2d(64, 11).stride(4).padding(2).into(),
        relu(),
        pool(),
        conv2d(192, 5).padding(2).into(),
        relu(),
        pool(),
        conv2d(384, 3).padding(1).into(),
        relu(),
        conv2d(256, 3).padding(1).into(),
        relu(),
        conv2d(256, 3).padding(1).into(),
        relu(),
        pool(),
    ]
}

/// AlexNet as the paper has it: two halves, local response normalisation, 60,965,224 parameters; its input is
/// [`input_2012`].
///
/// ```
/// let classes = (0..1000).map(|class| class.to_string()).collect();
/// let alexnet = cnn_zoo::alexnet_2012(cnn_zoo::alexnet::input_2012(), classes);
/// assert_eq!(alexnet.layers.first().map(|layer| layer.name.as_str()), Some("conv1"));
/// ```
pub fn alexnet_2012(input: Input, classes: Vec<String>) -> ModelSpec {
    let layers = vec![
        conv2d(96, 11).stride(4).biased(0.0).named("conv1"),
        relu().named("relu1"),
        normalization().named("norm1"),
        pool().named("pool1"),
        conv2d(256, 5).padding(2).groups(2).biased(1.0).named("conv2"),
        relu().named("relu2"),
        normalization().named("norm2"),
        pool().named("pool2"),
        conv2d(384, 3).padding(1).biased(0.0).named("conv3"),
        relu().named("relu3"),
        conv2d(384, 3).padding(1).groups(2).biased(1.0).named("conv4"),
        relu().named("relu4"),
        conv2d(256, 3).padding(1).groups(2).biased(1.0).named("conv5"),
        relu().named("relu5"),
        pool().named("pool5"),
        flatten().named("flatten"),
        linear(4096).biased(1.0).named("fc6"),
        relu().named("relu6"),
        dropout(0.5).named("drop6"),
        linear(4096).biased(1.0).named("fc7"),
        relu().named("relu7"),
        dropout(0.5).named("drop7"),
        linear(classes.len()).biased(0.0).named("fc8"),
    ];
    ModelSpec { name: "alexnet_2012".into(), input, classes, layers }
}

/// The input of [`alexnet_2012`]: 3 x 227 x 227, from 0 to 255 less the mean of ImageNet's training images.
///
/// The paper subtracts the mean of each pixel, not only of each channel. It does not divide by a deviation: with smaller
/// numbers, the constants of its normalisation would have no effect.
///
/// ```
/// let input = cnn_zoo::alexnet::input_2012();
/// assert_eq!(input.shape, [3, 227, 227]);
/// let white = (1.0 - input.mean[0]) / input.std[0];
/// assert!((white - 131.3).abs() < 0.1);
/// ```
pub fn input_2012() -> Input {
    Input::new([3, 227, 227], &crate::imagenet_input().mean, &[1.0 / 255.0; 3])
}

/// Pooling whose windows overlap by a row and a column.
fn pool() -> LayerSpec {
    max_pool2d(3).stride(2).into()
}

/// Section 3.3: `k = 2`, `n = 5`, `alpha = 1e-4`, `beta = 0.75`. The paper's sum is not divided by `n`.
pub(crate) fn normalization() -> LayerSpec {
    local_response_norm(5).k(2.0).alpha(5.0 * 1e-4).into()
}

/// The paper's initialisation: weights are normal with standard deviation 0.01. Biases are 1 in conv2, conv4, conv5 and the
/// hidden fully connected layers, so that rectifiers get positive inputs, and 0 elsewhere.
trait Biased {
    fn biased(self, bias: f32) -> Self;
}

impl Biased for Conv2dSpec {
    fn biased(self, bias: f32) -> Self {
        self.init(Init::Normal(0.01)).bias_init(Init::Constant(bias))
    }
}

impl Biased for LinearSpec {
    fn biased(self, bias: f32) -> Self {
        self.init(Init::Normal(0.01)).bias_init(Init::Constant(bias))
    }
}

/// The paper's section 5.
pub(crate) fn recipe(_: Images) -> Recipe {
    Recipe {
        epochs: 90,
        batch_size: 128,
        learning_rate: 0.01,
        schedule: Schedule::ReduceOnPlateau(Plateau { factor: 0.1, patience: 3, ..Plateau::default() }),
        augment: "alexnet",
        ..Recipe::usual(Images::Digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_table, assert_table_of, summary};
    use cnn_nn::{Graph, NnError, ParameterSource, Path, Request};
    use cnn_tensor::Tensor;
    use std::collections::BTreeMap;

    fn classes(n: usize) -> Vec<String> {
        (0..n).map(|class| class.to_string()).collect()
    }

    #[test]
    fn parameters_and_macs_are_those_of_the_tables() {
        let net = alexnet_2012(input_2012(), classes(1000));
        assert_table_of(include_str!("alexnet.rs"), "AlexNet of 2012, for", &summary(&net));
        assert_table(include_str!("alexnet.rs"), "AlexNet of a single tower, for", alexnet);
    }

    #[test]
    fn the_first_weights_are_the_papers() {
        /// Records the initialisation of every parameter.
        #[derive(Default)]
        struct Inits(BTreeMap<String, Init>);
        impl ParameterSource for Inits {
            fn parameter(&mut self, path: Path<'_>, request: Request) -> Result<Tensor, NnError> {
                self.0.insert(path.to_string(), request.init);
                Ok(Tensor::zeros(request.shape))
            }
        }
        let mut inits = Inits::default();
        let net = alexnet_2012(input_2012(), classes(1000));
        Graph::chain(net.layers, [1, 3, 227, 227].into(), &mut inits).unwrap();
        for layer in ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"] {
            assert_eq!(inits.0.remove(&format!("{layer}.weight")), Some(Init::Normal(0.01)), "{layer}");
            let bias = if ["conv1", "conv3", "fc8"].contains(&layer) { 0.0 } else { 1.0 };
            assert_eq!(inits.0.remove(&format!("{layer}.bias")), Some(Init::Constant(bias)), "{layer}");
        }
        assert!(inits.0.is_empty());
    }

    #[test]
    fn a_single_tower_takes_images_from_63_on() {
        let of = |extent: usize| alexnet(crate::imagenet_input().with_size([extent; 2]), classes(10));
        for extent in [63, 64, 300] {
            assert_eq!(summary(&of(extent)).rows.last().unwrap().output.dims(), [1, 10], "{extent}");
        }
        let fault = cnn_nn::Model::build(of(62), 0).unwrap_err().to_string();
        assert_eq!(
            fault,
            "features.12: max_pool2d: a window of 3 with padding 0 does not fit an input extent of 2"
        );
    }
}
