//! The three networks of MTCNN, which finds faces and their landmarks in steps: P-Net proposes, R-Net refines, O-Net decides.
//!
//! K. Zhang, Z. Zhang, Z. Li, Y. Qiao: "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks",
//! IEEE Signal Processing Letters 23 (2016), figure 2.
//!
//! | network | name | smallest input | parameters | outputs |
//! |---|---|---|---|---|
//! | [`p_net`] | `mtcnn_pnet` | 3 x 12 x 12 | 6,632 | face, box |
//! | [`r_net`] | `mtcnn_rnet` | 3 x 24 x 24 | 100,178 | face, box |
//! | [`o_net`] | `mtcnn_onet` | 3 x 48 x 48 | 389,040 | face, box, landmarks |
//!
//! The outputs are the probabilities of no face and of a face, the four edges of the face's box relative to the window, and the x
//! and then the y of five landmarks: eyes, nose, corners of the mouth. P-Net is fully convolutional: for a larger image, each of
//! its outputs is a map with a place for each window.
//!
//! Pixels are red, green and blue, `(value - 127.5) / 128`. Names, shapes and the order of the axes before the dense layers are
//! those of the weights in the package facenet-pytorch (T. Esler, 2019). The cascade around the networks, with its pyramid of sizes
//! and its suppression of overlaps, is not here.

use cnn_nn::spec::{
    Conv2dSpec, MaxPool2dSpec, conv2d, flatten, graph, linear, max_pool2d, permute, prelu, softmax,
};
use cnn_nn::{Graph, GraphSpec, NnError, checkpoint};
use std::path::Path;

/// The proposal network: windows of 12 x 12.
///
/// ```
/// use cnn_nn::Graph;
/// // An image of 120 x 160: a map of 55 x 75 windows.
/// let net = Graph::of(&cnn_zoo::mtcnn::p_net(), [[3, 120, 160]], 0)?;
/// assert_eq!(net.outputs()[0].dims(), [1, 2, 55, 75]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn p_net() -> GraphSpec {
    let net = graph(["input"]);
    let net = rectified(net, "conv1", conv2d(10, 3), "prelu1", "input");
    let net = net.node("pool1", pool(2), ["prelu1"]);
    let net = rectified(net, "conv2", conv2d(16, 3), "prelu2", "pool1");
    rectified(net, "conv3", conv2d(32, 3), "prelu3", "prelu2")
        .node("conv4_1", conv2d(2, 1), ["prelu3"])
        .node("softmax4_1", softmax(), ["conv4_1"])
        .node("conv4_2", conv2d(4, 1), ["prelu3"])
        .outputs(["softmax4_1", "conv4_2"])
}

/// The network that refines: images of 24 x 24.
pub fn r_net() -> GraphSpec {
    let net = graph(["input"]);
    let net = rectified(net, "conv1", conv2d(28, 3), "prelu1", "input");
    let net = net.node("pool1", pool(3), ["prelu1"]);
    let net = rectified(net, "conv2", conv2d(48, 3), "prelu2", "pool1");
    let net = net.node("pool2", pool(3), ["prelu2"]);
    let net = rectified(net, "conv3", conv2d(64, 2), "prelu3", "pool2");
    dense(net, "prelu3", ["dense4", "prelu4"], 128)
        .node("dense5_1", linear(2), ["prelu4"])
        .node("softmax5_1", softmax(), ["dense5_1"])
        .node("dense5_2", linear(4), ["prelu4"])
        .outputs(["softmax5_1", "dense5_2"])
}

/// The output network: images of 48 x 48.
pub fn o_net() -> GraphSpec {
    let net = graph(["input"]);
    let net = rectified(net, "conv1", conv2d(32, 3), "prelu1", "input");
    let net = net.node("pool1", pool(3), ["prelu1"]);
    let net = rectified(net, "conv2", conv2d(64, 3), "prelu2", "pool1");
    let net = net.node("pool2", pool(3), ["prelu2"]);
    let net = rectified(net, "conv3", conv2d(64, 3), "prelu3", "pool2");
    let net = net.node("pool3", pool(2), ["prelu3"]);
    let net = rectified(net, "conv4", conv2d(128, 2), "prelu4", "pool3");
    dense(net, "prelu4", ["dense5", "prelu5"], 256)
        .node("dense6_1", linear(2), ["prelu5"])
        .node("softmax6_1", softmax(), ["dense6_1"])
        .node("dense6_2", linear(4), ["prelu5"])
        .node("dense6_3", linear(10), ["prelu5"])
        .outputs(["softmax6_1", "dense6_2", "dense6_3"])
}

/// The network `name`, for images of the extents `input`, with the weights in the safetensors file at `path`.
///
/// # Errors
/// There is no network of that name; the images are too small for it; the file cannot be read, or is another network's: a tensor is
/// missing, surplus or of another shape. It is named, and so is the file.
pub fn load(name: &str, input: [usize; 3], path: impl AsRef<Path>) -> Result<Graph, NnError> {
    let spec = match name {
        "mtcnn_pnet" => p_net(),
        "mtcnn_rnet" => r_net(),
        "mtcnn_onet" => o_net(),
        _ => {
            let (what, rule) = ("the name of a network", "mtcnn_pnet, mtcnn_rnet or mtcnn_onet");
            return Err(NnError::Setting { what, rule, got: name.into() });
        }
    };
    let path = path.as_ref();
    let mut net = Graph::of(&spec, [input], 0)?;
    let saved = checkpoint::load(path)?.whole(path)?;
    net.restore(saved.tensors).map_err(|fault| fault.in_file(path))?;
    Ok(net)
}

/// A convolution and its rectifier, with a learned slope for each channel.
fn rectified(net: GraphSpec, conv: &str, layer: Conv2dSpec, act: &str, from: &str) -> GraphSpec {
    net.node(conv, layer, [from]).node(act, prelu().per_channel(true), [conv])
}

/// A dense layer and its rectifier, on numbers by column, row and channel.
fn dense(net: GraphSpec, from: &str, [layer, act]: [&str; 2], features: usize) -> GraphSpec {
    net.node("by_column", permute([0, 3, 2, 1]), [from])
        .node("flatten", flatten(), ["by_column"])
        .node(layer, linear(features), ["flatten"])
        .node(act, prelu().per_channel(true), [layer])
}

/// A pooling with stride 2, whose last window may reach over the edge.
fn pool(kernel: usize) -> MaxPool2dSpec {
    max_pool2d(kernel).stride(2).ceil_mode(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_those_of_the_published_files() {
        for (spec, side, count) in [(p_net(), 12, 6_632), (r_net(), 24, 100_178), (o_net(), 48, 389_040)] {
            let net = Graph::of(&spec, [[3, side, side]], 0).unwrap();
            assert_eq!(net.parameter_count(), count);
        }
    }

    #[test]
    fn only_known_names_are_loaded() {
        let error = load("mtcnn_qnet", [3, 12, 12], "absent.safetensors").unwrap_err().to_string();
        assert!(error.contains("mtcnn_pnet, mtcnn_rnet or mtcnn_onet"), "{error}");
    }
}
