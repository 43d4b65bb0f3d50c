//! The weights that torchvision publishes for networks of the zoo: one table, one line for each file.
//!
//! Names and lengths are those that torchvision 0.29 states (`url` and `_file_size` of its weights). The files themselves were not
//! downloaded to write this table.
//!
//! All are of the version `IMAGENET1K_V1`. It exists for every network here; those of `IMAGENET1K_V2`, where there are any, have
//! other training and another preprocessing: photos are scaled to 232 instead of 256 pixels before 224 are cut out. The inputs of
//! the zoo are those of the first version, as are the accuracies that papers are compared with.

use crate::Network;

/// Weights trained on ImageNet that torchvision publishes for a network.
///
/// ```
/// use cnn_zoo::Network;
/// let resnet18 = Network::find("resnet18").ok_or("a network")?;
/// let weights = resnet18.torchvision_weights().ok_or("published weights")?;
/// assert_eq!(weights.url(), "https://download.pytorch.org/models/resnet18-f37072fd.pth");
/// assert_eq!(weights.sha256(), "f37072fd");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TorchvisionWeights {
    /// The name of the network in [`NETWORKS`](crate::NETWORKS), which is also torchvision's.
    pub network: &'static str,
    /// The name of the file: `NAME-DIGITS.pth`, where DIGITS are the first of its SHA-256.
    pub file: &'static str,
    /// Its length in thousandths of a MiB, rounded.
    thousandths: u64,
}

/// All weights, in the order of the networks.
const TABLE: &[TorchvisionWeights] = &[
    row("alexnet", "alexnet-owt-7be5be79.pth", 233_087),
    row("convnext_tiny", "convnext_tiny-983f1562.pth", 109_119),
    row("densenet121", "densenet121-a639ec97.pth", 30_845),
    row("efficientnet_b0", "efficientnet_b0_rwightman-7f5810bc.pth", 20_451),
    row("googlenet", "googlenet-1378be20.pth", 49_731),
    row("inception_v3", "inception_v3_google-0cc3c7bd.pth", 103_903),
    row("mnasnet1_0", "mnasnet1.0_top1_73.512-f206786ef8.pth", 16_915),
    row("mobilenet_v2", "mobilenet_v2-b0353104.pth", 13_555),
    row("mobilenet_v3_large", "mobilenet_v3_large-8738ca79.pth", 21_114),
    row("mobilenet_v3_small", "mobilenet_v3_small-047dcff4.pth", 9_829),
    row("regnet_y_400mf", "regnet_y_400mf-c65dace8.pth", 16_806),
    row("resnet18", "resnet18-f37072fd.pth", 44_661),
    row("resnet34", "resnet34-b627a593.pth", 83_275),
    row("resnet50", "resnet50-0676ba61.pth", 97_781),
    row("resnet101", "resnet101-63fe2227.pth", 170_511),
    row("resnet152", "resnet152-394f9c45.pth", 230_434),
    row("resnext50_32x4d", "resnext50_32x4d-7cdf4587.pth", 95_789),
    row("shufflenet_v2_x1_0", "shufflenetv2_x1-5666bf0f80.pth", 8_791),
    row("squeezenet1_0", "squeezenet1_0-b66bff10.pth", 4_778),
    row("squeezenet1_1", "squeezenet1_1-b8a52dc0.pth", 4_729),
    row("vgg11", "vgg11-8a719046.pth", 506_840),
    row("vgg11_bn", "vgg11_bn-6002323d.pth", 506_881),
    row("vgg13", "vgg13-19584684.pth", 507_545),
    row("vgg13_bn", "vgg13_bn-abd245e5.pth", 507_590),
    row("vgg16", "vgg16-397923af.pth", 527_796),
    row("vgg16_bn", "vgg16_bn-6c64b313.pth", 527_866),
    row("vgg19", "vgg19-dcbb9e9d.pth", 548_051),
    row("vgg19_bn", "vgg19_bn-c79401a0.pth", 548_143),
    // In 16-bit floats.
    row("wide_resnet50_2", "wide_resnet50_2-95faca4d.pth", 131_820),
];

const fn row(network: &'static str, file: &'static str, thousandths: u64) -> TorchvisionWeights {
    TorchvisionWeights { network, file, thousandths }
}

impl TorchvisionWeights {
    /// The beginning of all URLs, to the last slash.
    pub const MIRROR: &str = "https://download.pytorch.org/models/";

    /// The terms of use, in one line.
    pub const LICENCE: &str = "licence: torchvision's, BSD-3-Clause; trained on ImageNet, whose images are for non-commercial research and \
         education: check whether they permit your use";

    /// By how many bytes the length of a file may differ from [`bytes`](Self::bytes): a thousandth of a MiB.
    pub const TOLERANCE: u64 = 1 << 10;

    /// All weights, in the order of the networks.
    pub fn all() -> &'static [Self] {
        TABLE
    }

    /// The address of the file.
    pub fn url(&self) -> String {
        format!("{}{}", Self::MIRROR, self.file)
    }

    /// The first digits of the file's SHA-256: 8 or 10, in small letters.
    pub fn sha256(&self) -> &'static str {
        let digits = self.file.trim_end_matches(".pth").rsplit('-').next();
        digits.expect("rsplit gives at least one part")
    }

    /// The length of the file in bytes, up to [`TOLERANCE`](Self::TOLERANCE).
    pub fn bytes(&self) -> u64 {
        (self.thousandths << 20) / 1000
    }
}

impl Network {
    /// The weights that torchvision publishes for this network; `None` if it publishes none.
    pub fn torchvision_weights(&self) -> Option<&'static TorchvisionWeights> {
        TABLE.iter().find(|weights| weights.network == self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkName;

    #[test]
    fn every_network_of_torchvision_has_its_row_and_no_other() {
        // Of the networks for ImageNet, torchvision lacks these.
        let missing = ["alexnet_2012", "mobilenet_v1", "se_resnet50", "zfnet"];
        let expected: Vec<&str> = Network::for_imagenet()
            .map(|network| network.name)
            .filter(|name| !missing.contains(name))
            .collect();
        let found: Vec<&str> = TABLE.iter().map(|weights| weights.network).collect();
        assert_eq!(found, expected);
        for name in missing {
            assert_eq!(name.parse::<NetworkName>().unwrap().torchvision_weights(), None, "{name}");
        }
    }

    #[test]
    fn every_file_has_its_own_digits() {
        for weights in TABLE {
            let digits = weights.sha256();
            let is_hex = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
            assert!(matches!(digits.len(), 8 | 10) && is_hex, "{digits}");
            assert!(weights.file.ends_with(&format!("-{digits}.pth")), "{}", weights.file);
            let twins = TABLE.iter().filter(|other| other.sha256() == digits || other.file == weights.file);
            assert_eq!(twins.count(), 1, "{}", weights.file);
        }
    }

    #[test]
    fn lengths_are_those_that_downloads_have_had() {
        for (name, bytes) in
            [("resnet18", 46_830_571), ("convnext_tiny", 114_419_221), ("vgg16", 553_433_881)]
        {
            let weights = Network::find(name).and_then(Network::torchvision_weights).unwrap();
            assert!(weights.bytes().abs_diff(bytes) <= TorchvisionWeights::TOLERANCE, "{name}");
        }
    }
}
