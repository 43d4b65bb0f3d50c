//! The networks that commands know by name.

use cnn_nn::{Input, ModelSpec};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::str::FromStr;

/// What images a network is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Those of the data set, whatever their size.
    Any,
    /// The 32 x 32 of the paper of 1998, with its normalisation; its first layer makes them from 28 x 28.
    Lenet1998,
    /// Images of ImageNet, of this height and width; others may do.
    ImageNet(usize),
}

/// A network of the zoo.
#[derive(Debug)]
pub struct Network {
    /// As commands write it.
    pub name: &'static str,
    /// Other names for it.
    aliases: &'static [&'static str],
    /// As a title writes it.
    pub title: &'static str,
    pub size: Size,
    build: fn(Input, Vec<String>) -> ModelSpec,
}

/// All of them.
pub const NETWORKS: &[Network] = &[
    network("lenet", &["lenet5"], "LeNet-5", Size::Any, cnn_zoo::lenet5),
    network("lenet-tanh", &["lenet5-tanh"], "LeNet-5 (tanh)", Size::Any, cnn_zoo::lenet5_tanh),
    network("lenet-1998", &["lenet5-1998"], "LeNet-5 (1998)", Size::Lenet1998, cnn_zoo::lenet5_1998),
    network("mlp", &[], "Dense 200-10", Size::Any, cnn_zoo::mlp),
    network("linear", &[], "Linear classifier", Size::Any, cnn_zoo::linear),
    network("cuda-convnet-quick", &[], "cuda-convnet quick", Size::Any, cnn_zoo::cuda_convnet_quick),
    network("airbench-small", &[], "airbench, small", Size::Any, cnn_zoo::airbench_small),
    network("airbench94", &[], "airbench94", Size::Any, cnn_zoo::airbench94),
    network("alexnet", &[], "AlexNet", Size::ImageNet(224), cnn_zoo::alexnet),
    network("alexnet_2012", &[], "AlexNet (2012)", Size::ImageNet(227), cnn_zoo::alexnet_2012),
    network("googlenet", &[], "GoogLeNet", Size::ImageNet(224), cnn_zoo::googlenet),
    network("mobilenet_v2", &[], "MobileNetV2", Size::ImageNet(224), cnn_zoo::mobilenet_v2),
    network("resnet18", &[], "ResNet-18", Size::ImageNet(224), cnn_zoo::resnet18),
    network("resnet34", &[], "ResNet-34", Size::ImageNet(224), cnn_zoo::resnet34),
    network("squeezenet1_0", &[], "SqueezeNet 1.0", Size::ImageNet(224), cnn_zoo::squeezenet1_0),
    network("squeezenet1_1", &[], "SqueezeNet 1.1", Size::ImageNet(224), cnn_zoo::squeezenet1_1),
    network("vgg11", &[], "VGG-11", Size::ImageNet(224), cnn_zoo::vgg11),
    network("vgg11_bn", &[], "VGG-11 (BN)", Size::ImageNet(224), cnn_zoo::vgg11_bn),
];

const fn network(
    name: &'static str,
    aliases: &'static [&'static str],
    title: &'static str,
    size: Size,
    build: fn(Input, Vec<String>) -> ModelSpec,
) -> Network {
    Network { name, aliases, title, size, build }
}

impl Network {
    /// The description for those images and classes.
    pub fn spec(&self, input: Input, classes: Vec<String>) -> ModelSpec {
        (self.build)(input, classes)
    }
}

/// A network, by its name.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName(&'static Network);

impl ModelName {
    /// The network of a name that is in the table.
    ///
    /// # Panics
    /// It is not.
    pub fn known(name: &str) -> Self {
        name.parse().expect("the name of a network of the table")
    }
}

impl PartialEq for ModelName {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl std::ops::Deref for ModelName {
    type Target = Network;

    fn deref(&self) -> &Network {
        self.0
    }
}

impl Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl From<ModelName> for String {
    fn from(model: ModelName) -> Self {
        model.name.into()
    }
}

impl TryFrom<String> for ModelName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl FromStr for ModelName {
    type Err = String;

    /// Neither capitals nor the choice between `-` and `_` matter.
    fn from_str(name: &str) -> Result<Self, String> {
        let plain = |name: &str| name.to_lowercase().replace('_', "-");
        let named = |network: &&Network| {
            [network.name].iter().chain(network.aliases).any(|known| plain(known) == plain(name))
        };
        NETWORKS
            .iter()
            .find(named)
            .map(Self)
            .ok_or_else(|| format!("expected one of {}, got {name}", names()))
    }
}

/// All names, for messages.
pub fn names() -> String {
    NETWORKS.iter().map(|network| network.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_its_own_networks_and_no_other() {
        for network in NETWORKS {
            for name in [network.name].iter().chain(network.aliases) {
                assert_eq!(name.parse::<ModelName>().unwrap().name, network.name);
            }
        }
        assert_eq!("MobileNet-V2".parse::<ModelName>().unwrap().name, "mobilenet_v2");
        assert_eq!("lenet5_1998".parse::<ModelName>().unwrap().name, "lenet-1998");
        assert!("resnet".parse::<ModelName>().unwrap_err().starts_with("expected one of lenet, lenet-tanh"));
    }
}
