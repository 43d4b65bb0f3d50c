//! Network in Network: convolutions of small perceptrons, and a map for each class in place of linear layers, for CIFAR-10.
//!
//! M. Lin, Q. Chen, S. Yan: "Network In Network", ICLR 2014, figure 2.
//!
//! Network in Network, for 3 x 32 x 32:
//!
//! | layer | output | parameters | multiply-accumulates |
//! |---|---|---|---|
//! | conv1 | 192 x 32 x 32 | 14,592 | 14,745,600 |
//! | cccp1 | 160 x 32 x 32 | 30,880 | 31,457,280 |
//! | cccp2 | 96 x 32 x 32 | 15,456 | 15,728,640 |
//! | pool1 | 96 x 16 x 16 | | |
//! | conv2 | 192 x 16 x 16 | 460,992 | 117,964,800 |
//! | cccp3 | 192 x 16 x 16 | 37,056 | 9,437,184 |
//! | cccp4 | 192 x 16 x 16 | 37,056 | 9,437,184 |
//! | pool2 | 192 x 8 x 8 | | |
//! | conv3 | 192 x 8 x 8 | 331,968 | 21,233,664 |
//! | cccp5 | 192 x 8 x 8 | 37,056 | 2,359,296 |
//! | cccp6 | 10 x 8 x 8 | 1,930 | 122,880 |
//! | pool3, flatten | 10 | | |
//! | total | | 966,986 | 222,486,528 |
//!
//! The perceptron that moves over the image is a convolution and two of 1 x 1 after it, "cascaded cross channel parametric pooling".
//! Sizes and names, which the paper leaves open, are those of the network that its authors published for Caffe: the first pooling
//! takes maxima, the second means, and the last windows of both extend over the edge. A rectifier follows each convolution, the last
//! one too.

use crate::recipe::{Images, Recipe};
use cnn_nn::spec::{NamedSpec, adaptive_avg_pool2d, avg_pool2d, conv2d, dropout, flatten, max_pool2d, relu};
use cnn_nn::{Init, Input, ModelSpec, Plateau, Schedule};

/// Network in Network: 966,986 parameters for 10 classes.
///
/// ```
/// use cnn_nn::{Input, Model};
/// let input = Input::new([3, 32, 32], &[0.5; 3], &[0.25; 3]);
/// let classes = (0..10).map(|class| class.to_string()).collect();
/// let model = Model::build(cnn_zoo::nin(input, classes), 0)?;
/// assert_eq!(model.net.parameter_count(), 966_986);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn nin(input: Input, classes: Vec<String>) -> ModelSpec {
    let parts = [
        perceptron("conv1", 5, 192, [("cccp1", 160), ("cccp2", 96)]),
        vec![max_pool2d(3).stride(2).ceil_mode(true).named("pool1"), dropout(0.5).named("drop1")],
        perceptron("conv2", 5, 192, [("cccp3", 192), ("cccp4", 192)]),
        vec![avg_pool2d(3).stride(2).ceil_mode(true).named("pool2"), dropout(0.5).named("drop2")],
        perceptron("conv3", 3, 192, [("cccp5", 192), ("cccp6", classes.len())]),
        vec![adaptive_avg_pool2d(1).named("pool3"), flatten().named("flatten")],
    ];
    ModelSpec { name: "nin".into(), input, classes, layers: parts.into_iter().flatten().collect() }
}

/// A convolution padded by half its kernel, two of 1 x 1, and a rectifier after each.
fn perceptron(name: &str, kernel: usize, channels: usize, hidden: [(&str, usize); 2]) -> Vec<NamedSpec> {
    let [first, second] = hidden;
    let layer = |(name, channels): (&str, usize), kernel: usize| {
        let convolution = conv2d(channels, kernel).padding(kernel / 2);
        let convolution = convolution.init(Init::Normal(0.05)).bias_init(Init::Zeros);
        [convolution.named(name), relu().named(&format!("relu_{name}"))]
    };
    [layer((name, channels), kernel), layer(first, 1), layer(second, 1)].into_iter().flatten().collect()
}

/// Section 4.1: batches of 128, and a rate that falls to a tenth when the accuracy stops rising, twice. The paper leaves the first
/// rate and the number of epochs open.
pub(crate) fn recipe(_: Images) -> Recipe {
    let plateau = Plateau { factor: 0.1, patience: 10, ..Plateau::default() };
    Recipe {
        epochs: 200,
        batch_size: 128,
        learning_rate: 0.01,
        schedule: Schedule::ReduceOnPlateau(plateau),
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
        let summary = summary(&nin(resnet_cifar::input(), classes));
        assert_table_of(include_str!("nin.rs"), "Network in Network, for", &summary);
    }
}
