//! The networks of the zoo by name: one table, one line for each.

use crate::recipe::{Images, Recipe};
use crate::{
    airbench, alexnet, all_cnn, convnext, cuda_convnet, dense, dqn_input, imagenet_input, inception, lenet,
    nin, resnet_cifar, squeezenet, vgg, zfnet,
};
use cnn_nn::{Input, ModelSpec};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug, Display};
use std::ops::Deref;
use std::str::FromStr;

/// The images that a network takes.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// Those of the data set, of any size.
    Any,
    /// Images of MNIST, always in this form.
    Digits(fn() -> Input),
    /// Images of ImageNet, in the form with which the network was published; other images may work too.
    ImageNet(fn() -> Input),
    /// Images of any data set; the form is that of CIFAR-10, for which the network was published.
    Cifar(fn() -> Input),
    /// The last frames of a game, as one image with a channel for each.
    Frames(fn() -> Input),
}

/// A network of the zoo.
#[derive(Clone, Copy)]
pub struct Network {
    /// Its name: torchvision's, where torchvision has it.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// Its name in titles.
    pub title: &'static str,
    /// The images that it takes.
    pub takes: Takes,
    /// The description, for an input and the names of the classes.
    pub spec: fn(Input, Vec<String>) -> ModelSpec,
    /// How it is trained on such images, unless the user says otherwise.
    pub recipe: fn(Images) -> Recipe,
}

/// All networks of the zoo.
pub const NETWORKS: &[Network] = &[
    network("lenet", "LeNet-5", crate::lenet5).aliases(&["lenet5"]),
    network("lenet-tanh", "LeNet-5 (tanh)", crate::lenet5_tanh)
        .aliases(&["lenet5-tanh"])
        .recipe(lenet::recipe_tanh),
    network("lenet-1998", "LeNet-5 (1998)", crate::lenet5_1998)
        .aliases(&["lenet5-1998"])
        .takes(Takes::Digits(lenet::input_1998))
        .recipe(lenet::recipe_1998),
    network("mlp", "Dense 200-10", crate::mlp).recipe(dense::recipe_mlp),
    network("linear", "Linear classifier", crate::linear).recipe(dense::recipe_linear),
    network("cuda-convnet-quick", "cuda-convnet quick", crate::cuda_convnet_quick)
        .recipe(cuda_convnet::recipe),
    network("airbench-small", "airbench, small", crate::airbench_small).recipe(airbench::recipe_small),
    network("airbench94", "airbench94", crate::airbench94).recipe(airbench::recipe),
    network("alexnet", "AlexNet", crate::alexnet)
        .takes(Takes::ImageNet(imagenet_input))
        .recipe(alexnet::recipe),
    network("alexnet_2012", "AlexNet (2012)", crate::alexnet_2012)
        .takes(Takes::ImageNet(alexnet::input_2012))
        .recipe(alexnet::recipe),
    network("dqn-2013", "DQN (2013)", crate::dqn_2013).takes(Takes::Frames(dqn_input)),
    network("dqn-2015", "DQN (2015)", crate::dqn_2015).takes(Takes::Frames(dqn_input)),
    network("convnext_tiny", "ConvNeXt-Tiny", crate::convnext_tiny)
        .takes(Takes::ImageNet(convnext::convnext_input)),
    network("densenet121", "DenseNet-121", crate::densenet121).takes(Takes::ImageNet(imagenet_input)),
    network("efficientnet_b0", "EfficientNet-B0", crate::efficientnet_b0)
        .takes(Takes::ImageNet(imagenet_input)),
    network("googlenet", "GoogLeNet", crate::googlenet).takes(Takes::ImageNet(imagenet_input)),
    network("inception_v3", "Inception v3", crate::inception_v3)
        .takes(Takes::ImageNet(inception::inception_input)),
    network("mnasnet1_0", "MNASNet 1.0", crate::mnasnet1_0).takes(Takes::ImageNet(imagenet_input)),
    network("mobilenet_v1", "MobileNetV1", crate::mobilenet_v1).takes(Takes::ImageNet(imagenet_input)),
    network("mobilenet_v2", "MobileNetV2", crate::mobilenet_v2).takes(Takes::ImageNet(imagenet_input)),
    network("mobilenet_v3_large", "MobileNetV3 large", crate::mobilenet_v3_large)
        .takes(Takes::ImageNet(imagenet_input)),
    network("mobilenet_v3_small", "MobileNetV3 small", crate::mobilenet_v3_small)
        .takes(Takes::ImageNet(imagenet_input)),
    network("regnet_y_400mf", "RegNetY-400MF", crate::regnet_y_400mf).takes(Takes::ImageNet(imagenet_input)),
    network("resnet18", "ResNet-18", crate::resnet18).takes(Takes::ImageNet(imagenet_input)),
    network("resnet34", "ResNet-34", crate::resnet34).takes(Takes::ImageNet(imagenet_input)),
    network("resnet50", "ResNet-50", crate::resnet50).takes(Takes::ImageNet(imagenet_input)),
    network("resnet101", "ResNet-101", crate::resnet101).takes(Takes::ImageNet(imagenet_input)),
    network("resnet152", "ResNet-152", crate::resnet152).takes(Takes::ImageNet(imagenet_input)),
    network("resnext50_32x4d", "ResNeXt-50 32x4d", crate::resnext50_32x4d)
        .takes(Takes::ImageNet(imagenet_input)),
    network("se_resnet50", "SE-ResNet-50", crate::se_resnet50).takes(Takes::ImageNet(imagenet_input)),
    network("shufflenet_v2_x1_0", "ShuffleNetV2 x1.0", crate::shufflenet_v2_x1_0)
        .takes(Takes::ImageNet(imagenet_input)),
    network("squeezenet1_0", "SqueezeNet 1.0", crate::squeezenet1_0).takes(Takes::ImageNet(imagenet_input)),
    network("squeezenet1_1", "SqueezeNet 1.1", crate::squeezenet1_1).takes(Takes::ImageNet(imagenet_input)),
    network("vgg11", "VGG-11", crate::vgg11).takes(Takes::ImageNet(imagenet_input)).recipe(vgg::recipe),
    network("vgg11_bn", "VGG-11 (BN)", crate::vgg11_bn).takes(Takes::ImageNet(imagenet_input)),
    network("vgg13", "VGG-13", crate::vgg13).takes(Takes::ImageNet(imagenet_input)).recipe(vgg::recipe),
    network("vgg13_bn", "VGG-13 (BN)", crate::vgg13_bn).takes(Takes::ImageNet(imagenet_input)),
    network("vgg16", "VGG-16", crate::vgg16).takes(Takes::ImageNet(imagenet_input)).recipe(vgg::recipe),
    network("vgg16_bn", "VGG-16 (BN)", crate::vgg16_bn).takes(Takes::ImageNet(imagenet_input)),
    network("vgg19", "VGG-19", crate::vgg19).takes(Takes::ImageNet(imagenet_input)).recipe(vgg::recipe),
    network("vgg19_bn", "VGG-19 (BN)", crate::vgg19_bn).takes(Takes::ImageNet(imagenet_input)),
    network("wide_resnet50_2", "Wide ResNet-50-2", crate::wide_resnet50_2)
        .takes(Takes::ImageNet(imagenet_input)),
    network("zfnet", "ZFNet", crate::zfnet).takes(Takes::ImageNet(imagenet_input)).recipe(zfnet::recipe),
    network("all_cnn", "All-CNN", crate::all_cnn)
        .takes(Takes::Cifar(resnet_cifar::input))
        .recipe(all_cnn::recipe),
    network("nin", "Network in Network", crate::nin)
        .aliases(&["network-in-network"])
        .takes(Takes::Cifar(resnet_cifar::input))
        .recipe(nin::recipe),
    network("resnet20", "ResNet-20", crate::resnet20).takes(Takes::Cifar(resnet_cifar::input)),
    network("resnet32", "ResNet-32", crate::resnet32).takes(Takes::Cifar(resnet_cifar::input)),
    network("resnet44", "ResNet-44", crate::resnet44).takes(Takes::Cifar(resnet_cifar::input)),
    network("resnet56", "ResNet-56", crate::resnet56).takes(Takes::Cifar(resnet_cifar::input)),
    network("resnet110", "ResNet-110", crate::resnet110).takes(Takes::Cifar(resnet_cifar::input)),
];

/// A network for images of any size, trained by the usual recipe.
pub(crate) const fn network(
    name: &'static str,
    title: &'static str,
    spec: fn(Input, Vec<String>) -> ModelSpec,
) -> Network {
    Network { name, aliases: &[], title, takes: Takes::Any, spec, recipe: Recipe::usual }
}

impl Network {
    const fn aliases(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    pub(crate) const fn takes(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    const fn recipe(self, recipe: fn(Images) -> Recipe) -> Self {
        Self { recipe, ..self }
    }

    /// The network of that name or alias. Capitals and the choice between `-` and `_` do not matter.
    ///
    /// ```
    /// use cnn_zoo::Network;
    /// assert_eq!(Network::find("MobileNet-v2").map(|network| network.title), Some("MobileNetV2"));
    /// assert_eq!(Network::find("lenet5").map(|network| network.name), Some("lenet"));
    /// assert!(Network::find("lenet6").is_none());
    /// ```
    pub fn find(name: &str) -> Option<&'static Self> {
        let plain = |name: &str| name.to_lowercase().replace('_', "-");
        let is_called = |network: &&Self| {
            [network.name].iter().chain(network.aliases).any(|known| plain(known) == plain(name))
        };
        NETWORKS.iter().find(is_called)
    }

    /// The networks for ImageNet, which take weights from other libraries' files.
    ///
    /// ```
    /// assert_eq!(cnn_zoo::Network::for_imagenet().next().map(|network| network.name), Some("alexnet"));
    /// ```
    pub fn for_imagenet() -> impl Iterator<Item = &'static Self> {
        NETWORKS.iter().filter(|network| matches!(network.takes, Takes::ImageNet(_)))
    }

    /// The networks that take weights from other libraries' files: those for ImageNet and for CIFAR-10.
    pub fn with_published_weights() -> impl Iterator<Item = &'static Self> {
        NETWORKS.iter().filter(|network| matches!(network.takes, Takes::ImageNet(_) | Takes::Cifar(_)))
    }

    /// All names, separated by commas: for messages and help.
    pub fn names() -> String {
        NETWORKS.iter().map(|network| network.name).collect::<Vec<_>>().join(", ")
    }

    /// The description for the input with which the network was published, or else for ImageNet's.
    pub fn published(&self, classes: Vec<String>) -> ModelSpec {
        (self.spec)(self.input().unwrap_or_else(imagenet_input), classes)
    }

    /// The name that torchvision's files have for the parameter or buffer `name` of this network. Only SqueezeNet and ConvNeXt have
    /// other names here.
    ///
    /// ```
    /// use cnn_zoo::Network;
    /// let squeezenet = Network::find("squeezenet1_0").ok_or("a network")?;
    /// assert_eq!(squeezenet.torchvision_name("features.3.expand.expand3x3.weight"), "features.3.expand3x3.weight");
    /// let convnext = Network::find("convnext_tiny").ok_or("a network")?;
    /// assert_eq!(convnext.torchvision_name("features.1.0.layer_scale.weight"), "features.1.0.layer_scale");
    /// # Ok::<(), &str>(())
    /// ```
    pub fn torchvision_name(&self, name: &str) -> String {
        match self.name {
            "squeezenet1_0" | "squeezenet1_1" => squeezenet::torchvision_name(name),
            "convnext_tiny" => convnext::torchvision_name(name).into(),
            _ => name.into(),
        }
    }

    /// The input with which the network was published; `None` if it takes images of any data set.
    pub fn input(&self) -> Option<Input> {
        match self.takes {
            Takes::Any => None,
            Takes::Digits(input) | Takes::ImageNet(input) | Takes::Cifar(input) | Takes::Frames(input) => {
                Some(input())
            }
        }
    }
}

impl Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Network").field(&self.name).finish()
    }
}

/// A network by its name, for command lines and configurations.
///
/// ```
/// use cnn_zoo::NetworkName;
/// let lenet: NetworkName = "LeNet5".parse()?;
/// assert_eq!((lenet.to_string().as_str(), lenet.title), ("lenet", "LeNet-5"));
/// let error = "resnet".parse::<NetworkName>().unwrap_err();
/// assert!(error.starts_with("expected one of lenet, lenet-tanh, "));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NetworkName(&'static Network);

impl PartialEq for NetworkName {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Deref for NetworkName {
    type Target = Network;

    fn deref(&self) -> &Network {
        self.0
    }
}

impl From<&'static Network> for NetworkName {
    fn from(network: &'static Network) -> Self {
        Self(network)
    }
}

impl Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl From<NetworkName> for String {
    fn from(name: NetworkName) -> Self {
        name.name.into()
    }
}

impl TryFrom<String> for NetworkName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl FromStr for NetworkName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let network = Network::find(name);
        network.map(Self).ok_or_else(|| format!("expected one of {}, got {name}", Network::names()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_its_own_networks_and_no_other() {
        for network in NETWORKS {
            for name in [network.name].iter().chain(network.aliases) {
                assert_eq!(name.parse::<NetworkName>().unwrap().name, network.name);
            }
        }
        assert_eq!("lenet5_1998".parse::<NetworkName>().unwrap().name, "lenet-1998");
    }
}
