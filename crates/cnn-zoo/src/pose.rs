//! Networks that answer with the places of joints: DeepPose, and smaller ones on published trunks.
//!
//! A. Toshev, C. Szegedy: "DeepPose: Human Pose Estimation via Deep Neural Networks", CVPR 2014, section 3 and figure 2.
//!
//! DeepPose, for 3 x 220 x 220 and 14 joints:
//!
//! | layer | output | parameters | multiply-accumulates |
//! |---|---|---|---|
//! | conv1, relu1, norm1 | 96 x 55 x 55 | 34,944 | 105,415,200 |
//! | pool1 | 96 x 27 x 27 | | |
//! | conv2, relu2, norm2 | 256 x 27 x 27 | 614,656 | 447,897,600 |
//! | pool2 | 256 x 13 x 13 | | |
//! | conv3, relu3 | 384 x 13 x 13 | 885,120 | 149,520,384 |
//! | conv4, relu4 | 384 x 13 x 13 | 1,327,488 | 224,280,576 |
//! | conv5, relu5 | 256 x 13 x 13 | 884,992 | 149,520,384 |
//! | pool5, flatten | 9216 | | |
//! | fc6, relu6, drop6 | 4096 | 37,752,832 | 37,748,736 |
//! | fc7, relu7, drop7 | 4096 | 16,781,312 | 16,777,216 |
//! | fc8 | 28 | 114,716 | 114,688 |
//! | total | | 58,396,060 | 1,131,274,784 |
//!
//! The outputs are x and y of each joint, from -1/2 to 1/2 in the person's square. The paper gives the filters' sizes and the numbers
//! of maps, and "about 40 million" parameters, which its sizes exceed; this network takes the sizes at their word. Images are
//! padded by 4 pixels, so that 220 make the paper's 55 x 55 outputs.
//!
//! The others are trunks with published weights, and a head that keeps maps to the end: transposed convolutions up to an eighth of the
//! image (Xiao et al. 2018, "Simple Baselines for Human Pose Estimation and Tracking"), a map for each joint, and its expected
//! position (Sun et al. 2018, "Integral Human Pose Regression"). A small set of pictures then suffices: a linear layer on
//! flattened maps must learn each place of a joint by itself.

use crate::mobilenet;
use crate::network::{Network, Takes, network};
use crate::{alexnet, imagenet_input};
use cnn_nn::spec::{
    LayerSpec, conv_transpose2d, conv2d, dropout, flatten, group_norm, linear, max_pool2d, relu, sequential,
    soft_argmax2d,
};
use cnn_nn::{Init, Input, ModelSpec};

/// The networks for poses by name. Their outputs are x and y of each joint, so they take an even number of classes, whose names are
/// those of the outputs.
///
/// ```
/// let names: Vec<&str> = cnn_zoo::POSE_NETWORKS.iter().map(|network| network.name).collect();
/// assert_eq!(names, ["deep-pose", "pose-mobilenet-v2", "pose-alexnet"]);
/// ```
pub const POSE_NETWORKS: &[Network] = &[
    network("deep-pose", "DeepPose", deep_pose).takes(Takes::ImageNet(deep_pose_input)),
    network("pose-mobilenet-v2", "MobileNetV2 for poses", pose_mobilenet_v2)
        .takes(Takes::ImageNet(pose_input)),
    network("pose-alexnet", "AlexNet for poses", pose_alexnet).takes(Takes::ImageNet(pose_input)),
];

/// The input of [`deep_pose`]: 3 x 220 x 220.
pub fn deep_pose_input() -> Input {
    imagenet_input().with_size([220; 2])
}

/// The usual input of the other networks: 3 x 160 x 160, normalised as their trunks' weights expect it.
pub fn pose_input() -> Input {
    imagenet_input().with_size([160; 2])
}

/// The network of the paper, for any number of joints; `outputs` are the names of x and y of each.
///
/// ```
/// let outputs = ["head_x", "head_y"].map(String::from).to_vec();
/// let net = cnn_zoo::deep_pose(cnn_zoo::pose::deep_pose_input(), outputs);
/// assert_eq!(net.layers.last().map(|layer| layer.name.as_str()), Some("fc8"));
/// ```
pub fn deep_pose(input: Input, outputs: Vec<String>) -> ModelSpec {
    let pool = || max_pool2d(3).stride(2);
    let conv = |channels, kernel: usize, padding: usize| conv2d(channels, kernel).padding(padding);
    let layers = vec![
        conv(96, 11, 4).stride(4).named("conv1"),
        relu().named("relu1"),
        alexnet::normalization().named("norm1"),
        pool().named("pool1"),
        conv(256, 5, 2).named("conv2"),
        relu().named("relu2"),
        alexnet::normalization().named("norm2"),
        pool().named("pool2"),
        conv(384, 3, 1).named("conv3"),
        relu().named("relu3"),
        conv(384, 3, 1).named("conv4"),
        relu().named("relu4"),
        conv(256, 3, 1).named("conv5"),
        relu().named("relu5"),
        pool().named("pool5"),
        flatten().named("flatten"),
        linear(4096).named("fc6"),
        relu().named("relu6"),
        dropout(0.6).named("drop6"),
        linear(4096).named("fc7"),
        relu().named("relu7"),
        dropout(0.6).named("drop7"),
        linear(outputs.len()).named("fc8"),
    ];
    ModelSpec { name: "deep_pose".into(), input, classes: outputs, layers }
}

/// MobileNetV2 up to its last block, and a head for joints; `outputs` are the names of x and y of each. The trunk has torchvision's
/// names, so it can begin with published weights: see [`Weights::begin_trunk`](crate::Weights::begin_trunk).
///
/// ```
/// use cnn_nn::Model;
/// let outputs = ["head_x", "head_y", "neck_x", "neck_y"].map(String::from).to_vec();
/// let model = Model::build(cnn_zoo::pose_mobilenet_v2(cnn_zoo::pose::pose_input(), outputs), 0)?;
/// assert_eq!(model.net.output_shape()?.dims(), [1, 4]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn pose_mobilenet_v2(input: Input, outputs: Vec<String>) -> ModelSpec {
    let mut features = mobilenet::features();
    // The last convolution widens the maps for the classifier of ImageNet.
    features.pop();
    let layers = vec![
        sequential(features).named("features"),
        head(2, outputs.len() / 2).named("head"),
        soft_argmax2d().named("position"),
    ];
    ModelSpec { name: "pose_mobilenet_v2".into(), input, classes: outputs, layers }
}

/// AlexNet's convolutions, and a head for joints; as [`pose_mobilenet_v2`] otherwise.
pub fn pose_alexnet(input: Input, outputs: Vec<String>) -> ModelSpec {
    let mut features = alexnet::features();
    // The maps before the last pooling are twice as fine.
    features.pop();
    let layers = vec![
        sequential(features).named("features"),
        head(1, outputs.len() / 2).named("head"),
        soft_argmax2d().named("position"),
    ];
    ModelSpec { name: "pose_alexnet".into(), input, classes: outputs, layers }
}

/// Maps of twice the height and width for each of `doublings`, and at the end a map for each joint. Groups of channels are
/// normalised, not batches, as the statistics of the trunk's batch normalisation are held in training.
fn head(doublings: usize, joints: usize) -> LayerSpec {
    const CHANNELS: usize = 128;
    let mut layers: Vec<LayerSpec> = Vec::new();
    for _ in 0..doublings {
        layers.push(conv_transpose2d(CHANNELS, 4).stride(2).padding(1).bias(false).into());
        layers.push(group_norm(16).into());
        layers.push(relu());
    }
    // Flat maps first: every joint in the middle.
    layers.push(conv2d(joints, 1).init(Init::Normal(0.01)).bias_init(Init::Zeros).into());
    sequential(layers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_table_of, summary};

    fn outputs(joints: usize) -> Vec<String> {
        (0..2 * joints).map(|i| i.to_string()).collect()
    }

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        let net = deep_pose(deep_pose_input(), outputs(14));
        assert_table_of(include_str!("pose.rs"), "DeepPose, for", &summary(&net));
    }

    #[test]
    fn heads_have_maps_of_an_eighth_of_the_image() {
        let nets = [(pose_mobilenet_v2 as fn(_, _) -> _, 20, 2_731_534), (pose_alexnet, 18, 2_996_046)];
        for (net, side, parameters) in nets {
            let summary = summary(&net(pose_input(), outputs(14)));
            assert_eq!(summary.parameters(), parameters);
            let [.., maps, position] = &summary.rows[..] else { panic!("{summary}") };
            assert_eq!(maps.output.dims(), [1, 14, side, side]);
            assert_eq!(position.output.dims(), [1, 28]);
        }
    }
}
