//! Inception v3: inception modules of factorised convolutions, for images of 3 x 299 x 299.
//!
//! C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna: "Rethinking the Inception Architecture for Computer Vision", CVPR 2016,
//! table 1 and figures 5, 6, 7 and 10.
//!
//! Inception v3, for 3 x 299 x 299:
//!
//! | layer | paper | output | parameters | multiply-accumulates |
//! |---|---|---|---|---|
//! | Conv2d_1a_3x3 | conv | 32 x 149 x 149 | 928 | 19,181,664 |
//! | Conv2d_2a_3x3 | conv | 32 x 147 x 147 | 9,280 | 199,148,544 |
//! | Conv2d_2b_3x3 | conv padded | 64 x 147 x 147 | 18,560 | 398,297,088 |
//! | maxpool1 | pool | 64 x 73 x 73 | | |
//! | Conv2d_3b_1x1 | | 80 x 73 x 73 | 5,280 | 27,284,480 |
//! | Conv2d_4a_3x3 | conv | 192 x 71 x 71 | 138,624 | 696,867,840 |
//! | maxpool2 | | 192 x 35 x 35 | | |
//! | Mixed_5b | figure 5 | 256 x 35 x 35 | 255,904 | 312,345,600 |
//! | Mixed_5c | figure 5 | 288 x 35 x 35 | 277,472 | 338,688,000 |
//! | Mixed_5d | figure 5 | 288 x 35 x 35 | 285,152 | 348,096,000 |
//! | Mixed_6a | figure 10 | 768 x 17 x 17 | 1,153,280 | 401,937,408 |
//! | Mixed_6b | figure 6 | 768 x 17 x 17 | 1,297,408 | 374,063,104 |
//! | Mixed_6c | figure 6 | 768 x 17 x 17 | 1,691,008 | 487,702,528 |
//! | Mixed_6d | figure 6 | 768 x 17 x 17 | 1,691,008 | 487,702,528 |
//! | Mixed_6e | figure 6 | 768 x 17 x 17 | 2,141,952 | 617,914,368 |
//! | Mixed_7a | figure 10 | 1280 x 8 x 8 | 1,698,304 | 291,004,416 |
//! | Mixed_7b | figure 7 | 2048 x 8 x 8 | 5,044,608 | 322,437,120 |
//! | Mixed_7c | figure 7 | 2048 x 8 x 8 | 6,076,800 | 388,497,408 |
//! | avgpool, dropout, flatten | pool | 2048 | | |
//! | fc | linear | 1000 | 2,049,000 | 2,048,000 |
//! | total | | | 23,834,568 | 5,713,216,096 |
//!
//! This is the network of torchvision's published weights, with their names and shapes, such as `Mixed_5b.branch5x5_1.conv.weight`.
//! Batch normalisation (eps 0.001) and a rectifier follow each convolution. The auxiliary classifier, which only helps training, is
//! left out, as torchvision leaves it out in prediction: [`inception_v3_with_aux`] has it, and the 27,161,264 parameters that are
//! published. The tensors of a file that belong to it, `AuxLogits.*`, are not used; [`crate::Weights`] says so in its notes.
//!
//! The published weights take numbers from -1 to 1. torchvision normalises images as ImageNet's and converts them in the network
//! (`transform_input`); [`inception_input`] does the same at once.
//!
//! Weights are initialised as torchvision's: normal with standard deviation 0.1.

use crate::blocks::basic_conv2d;
use cnn_nn::spec::{
    NamedSpec, Pair, adaptive_avg_pool2d, avg_pool2d, cat, conv2d, dropout, flatten, graph, linear,
    max_pool2d, sequential,
};
use cnn_nn::{GraphSpec, Init, Input, LayerSpec, ModelSpec, Preprocess};

/// Inception v3 without its auxiliary classifier: 23,834,568 parameters. Images have at least 75 rows and columns.
pub fn inception_v3(input: Input, classes: Vec<String>) -> ModelSpec {
    let layers = trunk(classes.len());
    ModelSpec { name: "inception_v3".into(), input, classes, layers }
}

/// Images of 3 x 299 x 299 in red, green and blue, from -1 to 1, as the published weights expect them.
///
/// ```
/// use cnn_nn::Preprocess;
/// let input = cnn_zoo::inception::inception_input();
/// assert_eq!((input.shape, input.preprocess), ([3, 299, 299], Preprocess::ResizeCrop { resize: 342 }));
/// ```
pub fn inception_input() -> Input {
    let preprocess = Preprocess::ResizeCrop { resize: 342 };
    Input { preprocess, ..Input::new([3, 299, 299], &[0.5; 3], &[0.5; 3]) }
}

/// The same network with its auxiliary classifier, for training: a graph whose outputs are the logits of [`inception_v3`] (the node
/// `fc`), and those of `AuxLogits`, which reads `Mixed_6e`.
///
/// ```
/// use cnn_nn::{Graph, Zeros};
/// let x = [1, 3, 299, 299].into();
/// let net = Graph::build_from(&cnn_zoo::inception_v3_with_aux(1000), vec![x], &mut Zeros)?;
/// assert_eq!(net.parameter_count(), 27_161_264);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn inception_v3_with_aux(classes: usize) -> GraphSpec {
    GraphSpec::chain(trunk(classes))
        .node("AuxLogits", auxiliary(classes), ["Mixed_6e"])
        .outputs(["fc", "AuxLogits"])
}

/// From the image to the logits.
fn trunk(classes: usize) -> Vec<NamedSpec> {
    vec![
        inner(32, 3, 2).named("Conv2d_1a_3x3"),
        inner(32, 3, 1).named("Conv2d_2a_3x3"),
        padded(64, 3).named("Conv2d_2b_3x3"),
        max_pool2d(3).stride(2).named("maxpool1"),
        inner(80, 1, 1).named("Conv2d_3b_1x1"),
        inner(192, 3, 1).named("Conv2d_4a_3x3"),
        max_pool2d(3).stride(2).named("maxpool2"),
        figure_5(32).named("Mixed_5b"),
        figure_5(64).named("Mixed_5c"),
        figure_5(64).named("Mixed_5d"),
        reduction_to_17().named("Mixed_6a"),
        figure_6(128).named("Mixed_6b"),
        figure_6(160).named("Mixed_6c"),
        figure_6(160).named("Mixed_6d"),
        figure_6(192).named("Mixed_6e"),
        reduction_to_8().named("Mixed_7a"),
        figure_7().named("Mixed_7b"),
        figure_7().named("Mixed_7c"),
        adaptive_avg_pool2d(1).named("avgpool"),
        dropout(0.5).named("dropout"),
        flatten().named("flatten"),
        linear(classes).init(Init::Normal(0.1)).named("fc"),
    ]
}

fn auxiliary(classes: usize) -> LayerSpec {
    sequential([
        avg_pool2d(5).stride(3).named("pool"),
        inner(128, 1, 1).named("conv0"),
        convolution(768, 5, 1, [0, 0], 0.01).named("conv1"),
        adaptive_avg_pool2d(1).named("avgpool"),
        flatten().named("flatten"),
        linear(classes).init(Init::Normal(0.001)).named("fc"),
    ])
}

/// Pairs of 3 x 3 convolutions in place of 5 x 5, which is left in one branch.
fn figure_5(pooled: usize) -> LayerSpec {
    mixed(
        [
            ("branch1x1", "x", padded(64, 1)),
            ("branch5x5_1", "x", padded(48, 1)),
            ("branch5x5_2", "branch5x5_1", padded(64, 5)),
            ("branch3x3dbl_1", "x", padded(64, 1)),
            ("branch3x3dbl_2", "branch3x3dbl_1", padded(96, 3)),
            ("branch3x3dbl_3", "branch3x3dbl_2", padded(96, 3)),
            ("pool", "x", mean()),
            ("branch_pool", "pool", padded(pooled, 1)),
        ],
        ["branch1x1", "branch5x5_2", "branch3x3dbl_3", "branch_pool"],
    )
}

fn reduction_to_17() -> LayerSpec {
    mixed(
        [
            ("branch3x3", "x", inner(384, 3, 2)),
            ("branch3x3dbl_1", "x", padded(64, 1)),
            ("branch3x3dbl_2", "branch3x3dbl_1", padded(96, 3)),
            ("branch3x3dbl_3", "branch3x3dbl_2", inner(96, 3, 2)),
            ("pool", "x", max_pool2d(3).stride(2).into()),
        ],
        ["branch3x3", "branch3x3dbl_3", "pool"],
    )
}

/// 7 x 7 convolutions, each as 1 x 7 and 7 x 1, with that many channels between them.
fn figure_6(channels: usize) -> LayerSpec {
    mixed(
        [
            ("branch1x1", "x", padded(192, 1)),
            ("branch7x7_1", "x", padded(channels, 1)),
            ("branch7x7_2", "branch7x7_1", padded(channels, [1, 7])),
            ("branch7x7_3", "branch7x7_2", padded(192, [7, 1])),
            ("branch7x7dbl_1", "x", padded(channels, 1)),
            ("branch7x7dbl_2", "branch7x7dbl_1", padded(channels, [7, 1])),
            ("branch7x7dbl_3", "branch7x7dbl_2", padded(channels, [1, 7])),
            ("branch7x7dbl_4", "branch7x7dbl_3", padded(channels, [7, 1])),
            ("branch7x7dbl_5", "branch7x7dbl_4", padded(192, [1, 7])),
            ("pool", "x", mean()),
            ("branch_pool", "pool", padded(192, 1)),
        ],
        ["branch1x1", "branch7x7_3", "branch7x7dbl_5", "branch_pool"],
    )
}

fn reduction_to_8() -> LayerSpec {
    mixed(
        [
            ("branch3x3_1", "x", padded(192, 1)),
            ("branch3x3_2", "branch3x3_1", inner(320, 3, 2)),
            ("branch7x7x3_1", "x", padded(192, 1)),
            ("branch7x7x3_2", "branch7x7x3_1", padded(192, [1, 7])),
            ("branch7x7x3_3", "branch7x7x3_2", padded(192, [7, 1])),
            ("branch7x7x3_4", "branch7x7x3_3", inner(192, 3, 2)),
            ("pool", "x", max_pool2d(3).stride(2).into()),
        ],
        ["branch3x3_2", "branch7x7x3_4", "pool"],
    )
}

/// 3 x 3 convolutions as 1 x 3 and 3 x 1 side by side.
fn figure_7() -> LayerSpec {
    mixed(
        [
            ("branch1x1", "x", padded(320, 1)),
            ("branch3x3_1", "x", padded(384, 1)),
            ("branch3x3_2a", "branch3x3_1", padded(384, [1, 3])),
            ("branch3x3_2b", "branch3x3_1", padded(384, [3, 1])),
            ("branch3x3dbl_1", "x", padded(448, 1)),
            ("branch3x3dbl_2", "branch3x3dbl_1", padded(384, 3)),
            ("branch3x3dbl_3a", "branch3x3dbl_2", padded(384, [1, 3])),
            ("branch3x3dbl_3b", "branch3x3dbl_2", padded(384, [3, 1])),
            ("pool", "x", mean()),
            ("branch_pool", "pool", padded(192, 1)),
        ],
        ["branch1x1", "branch3x3_2a", "branch3x3_2b", "branch3x3dbl_3a", "branch3x3dbl_3b", "branch_pool"],
    )
}

/// A module of nodes, each with the node that it reads, and with the outputs of some of them concatenated.
fn mixed<const N: usize, const OUT: usize>(
    nodes: [(&str, &str, LayerSpec); N],
    outputs: [&str; OUT],
) -> LayerSpec {
    let module = graph(["x"]);
    let module =
        nodes.into_iter().fold(module, |module, (name, from, layer)| module.node(name, layer, [from]));
    module.node("cat", cat(1), outputs).outputs(["cat"]).into()
}

/// The mean of 3 x 3 positions, of which those outside the image count as zeros.
fn mean() -> LayerSpec {
    avg_pool2d(3).stride(1).padding(1).into()
}

/// A convolution that keeps rows and columns.
fn padded(channels: usize, kernel: impl Pair) -> LayerSpec {
    let kernel = kernel.pair();
    convolution(channels, kernel, 1, kernel.map(|extent| extent / 2), 0.1)
}

/// A convolution whose windows all lie inside the image.
fn inner(channels: usize, kernel: usize, stride: usize) -> LayerSpec {
    convolution(channels, kernel, stride, [0, 0], 0.1)
}

/// A convolution, its normalisation, and ReLU.
fn convolution(
    channels: usize,
    kernel: impl Pair,
    stride: usize,
    padding: [usize; 2],
    deviation: f32,
) -> LayerSpec {
    let convolution = conv2d(channels, kernel).stride(stride).padding(padding).bias(false);
    basic_conv2d(convolution.init(Init::Normal(deviation)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_table_of, summary};

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        let classes = (0..1000).map(|class| class.to_string()).collect();
        let summary = summary(&inception_v3(inception_input(), classes));
        assert_table_of(include_str!("inception.rs"), "Inception v3, for", &summary);
    }
}
