//! All-CNN: nothing but convolutions, with a stride in place of pooling, for CIFAR-10.
//!
//! J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller: "Striving for Simplicity: The All Convolutional Net", ICLR 2015
//! (workshop), tables 1 and 2, the network All-CNN-C.
//!
//! All-CNN, for 3 x 32 x 32:
//!
//! | layer | paper | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | conv1 | 3 x 3 conv. 96 | 96 x 32 x 32 | 2,688 | 2,654,208 |
//! | conv2 | 3 x 3 conv. 96 | 96 x 32 x 32 | 83,040 | 84,934,656 |
//! | conv3 | 3 x 3 conv. 96, stride 2 | 96 x 16 x 16 | 83,040 | 21,233,664 |
//! | conv4 | 3 x 3 conv. 192 | 192 x 16 x 16 | 166,080 | 42,467,328 |
//! | conv5 | 3 x 3 conv. 192 | 192 x 16 x 16 | 331,968 | 84,934,656 |
//! | conv6 | 3 x 3 conv. 192, stride 2 | 192 x 8 x 8 | 331,968 | 21,233,664 |
//! | conv7 | 3 x 3 conv. 192 | 192 x 6 x 6 | 331,968 | 11,943,936 |
//! | conv8 | 1 x 1 conv. 192 | 192 x 6 x 6 | 37,056 | 1,327,104 |
//! | conv9 | 1 x 1 conv. 10 | 10 x 6 x 6 | 1,930 | 69,120 |
//! | avgpool, flatten | global averaging over 6 x 6 | 10 | | |
//! | total | | | 1,369,738 | 270,798,336 |
//!
//! A rectifier follows each convolution, the last one too. Windows of conv7 lie inside the image, which makes its maps 6 x 6. Dropout
//! zeroes 20 % of the image, and half of the outputs of the two convolutions with a stride. The paper rounds to 1.4 million
//! parameters.

use crate::recipe::{Images, Recipe};
use cnn_nn::spec::{Conv2dSpec, NamedSpec, adaptive_avg_pool2d, conv2d, dropout, flatten, relu};
use cnn_nn::{Init, Input, ModelSpec, Schedule};

/// All-CNN-C: 1,369,738 parameters for 10 classes.
///
/// ```
/// use cnn_nn::{Input, Model};
/// let input = Input::new([3, 32, 32], &[0.5; 3], &[0.25; 3]);
/// let classes = (0..10).map(|class| class.to_string()).collect();
/// let model = Model::build(cnn_zoo::all_cnn(input, classes), 0)?;
/// assert_eq!(model.net.parameter_count(), 1_369_738);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn all_cnn(input: Input, classes: Vec<String>) -> ModelSpec {
    let padded = |channels| conv2d(channels, 3).padding(1);
    let parts = [
        vec![dropout(0.2).named("drop")],
        active("1", padded(96)),
        active("2", padded(96)),
        active("3", padded(96).stride(2)),
        vec![dropout(0.5).named("drop3")],
        active("4", padded(192)),
        active("5", padded(192)),
        active("6", padded(192).stride(2)),
        vec![dropout(0.5).named("drop6")],
        active("7", conv2d(192, 3)),
        active("8", conv2d(192, 1)),
        active("9", conv2d(classes.len(), 1)),
        vec![adaptive_avg_pool2d(1).named("avgpool"), flatten().named("flatten")],
    ];
    ModelSpec { name: "all_cnn".into(), input, classes, layers: parts.into_iter().flatten().collect() }
}

/// A convolution and its rectifier.
fn active(number: &str, convolution: Conv2dSpec) -> Vec<NamedSpec> {
    let convolution = convolution.init(Init::KaimingNormal).bias_init(Init::Zeros);
    vec![convolution.named(&format!("conv{number}")), relu().named(&format!("relu{number}"))]
}

/// The paper's section 3.1: 350 epochs, weight decay 0.001, and a tenth of the rate from epochs 200, 250 and 300 on; the first rate is
/// one of those that it tries.
pub(crate) fn recipe(_: Images) -> Recipe {
    Recipe {
        epochs: 350,
        learning_rate: 0.05,
        weight_decay: 1e-3,
        schedule: Schedule::MultiStep { milestones: vec![200, 250, 300], gamma: 0.1 },
        ..Recipe::usual(Images::Small)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resnet_cifar;
    use crate::testing::{assert_table_of, summary};

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        let classes = (0..10).map(|class| class.to_string()).collect();
        let summary = summary(&all_cnn(resnet_cifar::input(), classes));
        assert_table_of(include_str!("all_cnn.rs"), "All-CNN, for", &summary);
    }
}
