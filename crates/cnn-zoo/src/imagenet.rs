//! What networks for ImageNet take, and which there are.

use cnn_nn::{Input, ModelSpec};

/// Images of 3 x 224 x 224 in red, green and blue, normalised by the means and deviations of ImageNet's training images:
/// what torchvision's published weights expect.
///
/// ```
/// assert_eq!(cnn_zoo::imagenet_input().shape, [3, 224, 224]);
/// ```
///
/// Source: O. Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", 2015; the numbers are torchvision's.
pub fn imagenet_input() -> Input {
    Input { shape: [3, 224, 224], mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] }
}

/// A network of the zoo that is built for ImageNet.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Its name: torchvision's, where torchvision has it.
    pub name: &'static str,
    /// The description, for an input and the names of the classes.
    pub spec: fn(Input, Vec<String>) -> ModelSpec,
    /// The input that it was published with.
    pub input: fn() -> Input,
}

impl Network {
    const fn new(name: &'static str, spec: fn(Input, Vec<String>) -> ModelSpec) -> Self {
        Self { name, spec, input: imagenet_input }
    }

    /// The network of that name, in which case and `-` for `_` do not matter.
    ///
    /// ```
    /// use cnn_zoo::Network;
    /// assert_eq!(Network::find("MobileNet-v2").map(|network| network.name), Some("mobilenet_v2"));
    /// assert!(Network::find("lenet5").is_none(), "not for ImageNet");
    /// ```
    pub fn find(name: &str) -> Option<Self> {
        let name = name.to_lowercase().replace('-', "_");
        IMAGENET.into_iter().find(|network| network.name == name)
    }

    /// The description for the input that it was published with.
    pub fn published(&self, classes: Vec<String>) -> ModelSpec {
        (self.spec)((self.input)(), classes)
    }
}

/// All networks for ImageNet, by name.
pub const IMAGENET: [Network; 10] = [
    Network::new("alexnet", crate::alexnet),
    Network { input: crate::alexnet::input_2012, ..Network::new("alexnet_2012", crate::alexnet_2012) },
    Network::new("googlenet", crate::googlenet),
    Network::new("mobilenet_v2", crate::mobilenet_v2),
    Network::new("resnet18", crate::resnet18),
    Network::new("resnet34", crate::resnet34),
    Network::new("squeezenet1_0", crate::squeezenet1_0),
    Network::new("squeezenet1_1", crate::squeezenet1_1),
    Network::new("vgg11", crate::vgg11),
    Network::new("vgg11_bn", crate::vgg11_bn),
];
