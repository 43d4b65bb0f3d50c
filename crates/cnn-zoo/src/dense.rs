//! Classifiers without convolution, as in a first lecture: a linear one, and one with a hidden layer.

use crate::recipe::{Images, Recipe};
use cnn_nn::spec::{flatten, linear as fully_connected, relu};
use cnn_nn::{Init, Input, ModelSpec};

/// The linear classifier `f(x, W) = W x + b` under a softmax: each row of `W` is a template of its class.
///
/// 7,850 parameters for MNIST.
///
/// ```
/// use cnn_nn::{Input, Model};
/// let classes = (0..10).map(|digit| digit.to_string()).collect();
/// let model = Model::build(cnn_zoo::linear(Input::gray(28, 28, 0.1307, 0.3081), classes), 0)?;
/// assert_eq!(model.net.parameter_count(), 7_850);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn linear(input: Input, classes: Vec<String>) -> ModelSpec {
    // From zero, so that a template shows only what was learned; a linear classifier's loss is convex.
    let output = fully_connected(classes.len()).init(Init::Zeros).bias_init(Init::Zeros);
    let layers = vec![flatten().named("flatten"), output.named("fc")];
    ModelSpec { name: "linear".into(), input, classes, layers }
}

/// Two dense layers: 200 units with ReLU, then one output for each class under a softmax.
///
/// 159,010 parameters for MNIST.
///
/// ```
/// use cnn_nn::{Input, Model};
/// let classes = (0..10).map(|digit| digit.to_string()).collect();
/// let model = Model::build(cnn_zoo::mlp(Input::gray(28, 28, 0.1307, 0.3081), classes), 0)?;
/// assert_eq!(model.net.parameter_count(), 159_010);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn mlp(input: Input, classes: Vec<String>) -> ModelSpec {
    let layers = vec![
        flatten().named("flatten"),
        fully_connected(200).init(Init::KaimingUniform).bias_init(Init::Zeros).named("fc1"),
        relu().named("act1"),
        fully_connected(classes.len()).init(Init::LecunUniform).bias_init(Init::Zeros).named("fc2"),
    ];
    ModelSpec { name: "mlp".into(), input, classes, layers }
}

/// Strong decay, so that the templates show strokes rather than noise. Small photos have more inputs, which vary together: they
/// need a lower rate, and an even stronger decay.
pub(crate) fn recipe_linear(images: Images) -> Recipe {
    let (learning_rate, weight_decay) = match images {
        Images::Small => (0.001, 0.5),
        _ => (0.01, 1e-2),
    };
    Recipe { epochs: 10, learning_rate, weight_decay, ..Recipe::usual(Images::Digits) }
}

pub(crate) fn recipe_mlp(_: Images) -> Recipe {
    Recipe { epochs: 10, ..Recipe::usual(Images::Digits) }
}
