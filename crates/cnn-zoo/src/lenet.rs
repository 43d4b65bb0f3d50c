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
//! The paper sets the 28 x 28 digits into 32 x 32 images; here the first convolution pads by 2, which is the same. Its
//! C3 joins only some channels, its subsampling is trained, and its output is a distance to drawn codes; like
//! everyone since, these nets join all channels, pool without parameters, and end in ten linear outputs under a
//! softmax.

use cnn_nn::spec::{NamedSpec, avg_pool2d, conv2d, flatten, linear, max_pool2d, relu, scaled_tanh};
use cnn_nn::{Init, Input, LayerSpec, ModelSpec};

/// The number of trained numbers of [`lenet5`] and [`lenet5_tanh`] with ten classes.
pub const PARAMETERS: usize = 61_706;

/// LeNet-5 as it is built today, with max pooling and ReLU (Nair and Hinton 2010; Kaiming-uniform weights, zero
/// biases): what `train-lenet` trains.
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

/// LeNet-5 nearer to the paper: average pooling and the scaled tanh, with the initialisation that goes with it (LeCun,
/// Bottou, Orr, Müller 1998, "Efficient BackProp", section 4.6).
pub fn lenet5_tanh(input: Input, classes: Vec<String>) -> ModelSpec {
    let layers =
        layers(classes.len(), scaled_tanh(), avg_pool2d(2).into(), (Init::LecunUniform, Init::Zeros));
    ModelSpec { name: "lenet5_tanh".into(), input, classes, layers }
}

fn layers(
    classes: usize,
    activation: LayerSpec,
    pool: LayerSpec,
    (weight, bias): (Init, Init),
) -> Vec<NamedSpec> {
    vec![
        conv2d(6, 5).padding(2).init(weight, bias).named("conv1"),
        activation.clone().named("act1"),
        pool.clone().named("pool1"),
        conv2d(16, 5).init(weight, bias).named("conv2"),
        activation.clone().named("act2"),
        pool.named("pool2"),
        flatten().named("flatten"),
        linear(120).init(weight, bias).named("fc1"),
        activation.clone().named("act3"),
        linear(84).init(weight, bias).named("fc2"),
        activation.named("act4"),
        // No activation follows, so none needs making up for.
        linear(classes).init(Init::LecunUniform, bias).named("fc3"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_nn::Model;

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        for spec in [lenet5, lenet5_tanh] {
            let classes = (0..10).map(|digit| digit.to_string()).collect();
            let model = Model::build(spec(Input::gray(28, 28, 0.0, 1.0), classes), 0).unwrap();
            let summary = model.summary().unwrap();
            let row = |path: &str| summary.rows.iter().find(|row| row.path == path).unwrap();
            let table =
                ["conv1", "conv2", "fc1", "fc2", "fc3"].map(|path| (row(path).parameters, row(path).macs));
            assert_eq!(
                table,
                [(156, 117_600), (2_416, 240_000), (48_120, 48_000), (10_164, 10_080), (850, 840)]
            );
            assert_eq!((summary.parameters(), summary.macs()), (PARAMETERS as u64, 416_520));
            assert_eq!(row("pool2").output.dims(), [1, 16, 5, 5]);
        }
    }
}
