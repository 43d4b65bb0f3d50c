//! LeNet-5, for 28 x 28 gray images of ten classes.
//!
//! Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: "Gradient-based learning applied to document recognition",
//! Proceedings of the IEEE 86(11), 1998, section II.B and figure 2.
//!
//! | layer | paper | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | conv1 | C1 | 6 x 28 x 28 | 156 | 117,600 |
//! | pool1 | S2 | 6 x 14 x 14 | | |
//! | conv2 | C3 | 16 x 10 x 10 | 2,416 | 240,000 |
//! | pool2 | S4 | 16 x 5 x 5 | | |
//! | fc1 | C5 | 120 | 48,120 | 48,000 |
//! | fc2 | F6 | 84 | 10,164 | 10,080 |
//! | fc3 | output | 10 | 850 | 840 |
//! | total | | | 61,706 | 416,520 |
//!
//! The paper sets the 28 x 28 digits into 32 x 32 images; here the first convolution pads by 2, which is equivalent. In the
//! paper, C3 connects only some channels, the subsampling is trained, and the output is a distance to drawn codes. As usual
//! today, these networks connect all channels, pool without parameters, and end in ten linear outputs under a softmax.
//!
//! The paper's own is [`lenet5_1998`]:
//!
//! | layer | output | parameters | multiply-accumulates | connections |
//! |---|---|---|---|---|
//! | pad | 1 x 32 x 32 | | | |
//! | c1 | 6 x 28 x 28 | 156 | 117,600 | 122,304 |
//! | s2 | 6 x 14 x 14 | 12 | | 5,880 |
//! | c3 | 16 x 10 x 10 | 1,516 | 150,000 | 151,600 |
//! | s4 | 16 x 5 x 5 | 32 | | 2,000 |
//! | c5 | 120 x 1 x 1 | 48,120 | 48,000 | 48,120 |
//! | f6 | 84 | 10,164 | 10,080 | 10,164 |
//! | output | 10 | | 840 | 840 |
//! | total | | 60,000 | 326,520 | 340,908 |
//!
//! The paper counts the connections, biases among them; a window of S2 and S4 has five.

use crate::recipe::{Images, Recipe};
use cnn_nn::spec::{
    Codes, NamedSpec, avg_pool2d, conv2d, conv2d_table, flatten, linear, max_pool2d, pad2d, rbf, relu,
    scaled_tanh, subsample,
};
use cnn_nn::{Init, Input, LayerSpec, ModelSpec};
use cnn_ops::conv2d_table::LENET5_C3;
use cnn_ops::pad2d::PadMode;

/// The number of parameters of [`lenet5`] and [`lenet5_tanh`] with ten classes.
pub const PARAMETERS: usize = 61_706;

/// LeNet-5 as it is built today, with max pooling and ReLU (Nair and Hinton 2010; Kaiming-uniform weights, zero biases). The
/// command `train-lenet` trains it.
///
/// ```
/// use cnn_nn::{Input, Model};
/// let classes = (0..10).map(|digit| digit.to_string()).collect();
/// let model = Model::build(cnn_zoo::lenet5(Input::gray(28, 28, 0.1307, 0.3081), classes), 0)?;
/// assert_eq!(model.net.parameter_count(), cnn_zoo::lenet::PARAMETERS);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn lenet5(input: Input, classes: Vec<String>) -> ModelSpec {
    let layers = layers(classes.len(), relu(), max_pool2d(2).into(), (Init::KaimingUniform, Init::Zeros));
    ModelSpec { name: "lenet5".into(), input, classes, layers }
}

/// LeNet-5 closer to the paper: average pooling and the scaled tanh, with the initialisation that goes with it (LeCun,
/// Bottou, Orr, Müller 1998, "Efficient BackProp", section 4.6).
pub fn lenet5_tanh(input: Input, classes: Vec<String>) -> ModelSpec {
    let layers =
        layers(classes.len(), scaled_tanh(), avg_pool2d(2).into(), (Init::LecunUniform, Init::Zeros));
    ModelSpec { name: "lenet5_tanh".into(), input, classes, layers }
}

/// LeNet-5 as in the paper: 60,000 parameters and 340,908 connections.
///
/// 28 x 28 digits are set into 32 x 32 images of their background. C3 joins the maps by the paper's table I, S2 and S4 are
/// [`subsample`], and every layer up to F6 ends in the scaled tanh. The outputs are the negated distances of F6 to a 7 x 12
/// drawing of each digit, so that the largest is the prediction, as for other networks. Their cross-entropy is the paper's
/// equation 9 without its constant `j`, since the drawings are fixed.
///
/// ```
/// use cnn_nn::Model;
/// let classes = (0..10).map(|digit| digit.to_string()).collect();
/// let model = Model::build(cnn_zoo::lenet5_1998(cnn_zoo::lenet::input_1998(), classes), 0)?;
/// assert_eq!(model.net.parameter_count(), 60_000);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn lenet5_1998(input: Input, classes: Vec<String>) -> ModelSpec {
    // The normalised value of black, which is 0 before the normalisation.
    let black = |(mean, std): (&f32, &f32)| -mean / std;
    let background = input.mean.iter().zip(&input.std).next().map_or(0.0, black);
    let init = (Init::LecunUniform, Init::Zeros);
    let layers = vec![
        pad2d(2).mode(PadMode::Constant(background)).named("pad"),
        conv2d(6, 5).init(init.0).bias_init(init.1).named("c1"),
        scaled_tanh().named("act1"),
        subsample(2).named("s2"),
        scaled_tanh().named("act2"),
        conv2d_table(LENET5_C3, 5).init(init.0).bias_init(init.1).named("c3"),
        scaled_tanh().named("act3"),
        subsample(2).named("s4"),
        scaled_tanh().named("act4"),
        conv2d(120, 5).init(init.0).bias_init(init.1).named("c5"),
        scaled_tanh().named("act5"),
        flatten().named("flatten"),
        linear(84).init(Init::Normal(0.02)).bias_init(init.1).named("f6"),
        scaled_tanh().named("act6"),
        rbf(classes.len()).codes(Codes::Digits).negate(true).named("output"),
    ];
    ModelSpec { name: "lenet5_1998".into(), input, classes, layers }
}

/// The input of [`lenet5_1998`]: black is -0.1 and white is 1.175, which makes "the mean input roughly 0, and the variance
/// roughly 1" (section II.B).
pub fn input_1998() -> Input {
    let (black, white) = (-0.1, 1.175);
    let std = 1.0 / (white - black);
    Input::gray(28, 28, -black * std, std)
}

fn layers(
    classes: usize,
    activation: LayerSpec,
    pool: LayerSpec,
    (weight, bias): (Init, Init),
) -> Vec<NamedSpec> {
    vec![
        conv2d(6, 5).padding(2).init(weight).bias_init(bias).named("conv1"),
        activation.clone().named("act1"),
        pool.clone().named("pool1"),
        conv2d(16, 5).init(weight).bias_init(bias).named("conv2"),
        activation.clone().named("act2"),
        pool.named("pool2"),
        flatten().named("flatten"),
        linear(120).init(weight).bias_init(bias).named("fc1"),
        activation.clone().named("act3"),
        linear(84).init(weight).bias_init(bias).named("fc2"),
        activation.named("act4"),
        // No activation follows, so none needs making up for.
        linear(classes).init(Init::LecunUniform).bias_init(bias).named("fc3"),
    ]
}

/// The usual recipe at a lower learning rate.
pub(crate) fn recipe_tanh(_: Images) -> Recipe {
    Recipe { learning_rate: 0.02, ..Recipe::usual(Images::Digits) }
}

/// Squared distances from 84-number codes are large, and so are their gradients.
pub(crate) fn recipe_1998(_: Images) -> Recipe {
    Recipe { learning_rate: 0.003, weight_decay: 0.0, ..Recipe::usual(Images::Digits) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_table_of, summary};

    fn digits() -> Vec<String> {
        (0..10).map(|digit| digit.to_string()).collect()
    }

    #[test]
    fn parameters_and_macs_are_those_of_the_tables() {
        let input = || Input::gray(28, 28, 0.0, 1.0);
        for spec in [lenet5(input(), digits()), lenet5_tanh(input(), digits())] {
            assert_table_of(include_str!("lenet.rs"), "//! LeNet-5, for", &summary(&spec));
        }
        let summary = summary(&lenet5_1998(input_1998(), digits()));
        assert_table_of(include_str!("lenet.rs"), "The paper's own is", &summary);
        assert_eq!(PARAMETERS, 61_706);
    }

    #[test]
    fn the_papers_net_has_the_connections_that_the_paper_counts() {
        let summary = summary(&lenet5_1998(input_1998(), digits()));
        let connections = ["c1", "s2", "c3", "s4", "c5", "f6", "output"].map(|path| {
            let row = summary.rows.iter().find(|row| row.path == path).unwrap();
            match row.kind {
                "subsample" => (2 * 2 + 1) * row.output.numel() as u64,
                "rbf" => row.macs,
                // Each parameter serves once at each place.
                _ => row.parameters * row.output.dims()[2..].iter().product::<usize>() as u64,
            }
        });
        assert_eq!(connections, [122_304, 5_880, 151_600, 2_000, 48_120, 10_164, 840]);
        assert_eq!(connections.iter().sum::<u64>(), 340_908);
    }

    #[test]
    fn the_papers_input_has_its_black_and_white_and_its_frame_is_black() {
        let input = input_1998();
        let normalized = |v: f32| (v - input.mean[0]) / input.std[0];
        assert!((normalized(0.0) + 0.1).abs() < 1e-6 && (normalized(1.0) - 1.175).abs() < 1e-6);
        let spec = lenet5_1998(input_1998(), digits());
        let LayerSpec::Pad2d(pad) = &spec.layers[0].layer else { panic!("{:?}", spec.layers[0]) };
        assert_eq!((pad.padding, pad.mode), ([[2; 2]; 2], PadMode::Constant(normalized(0.0))));
    }
}
