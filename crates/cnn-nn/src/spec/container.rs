//! Containers: layers that consist of layers. A [`Graph`](crate::Graph) takes them apart into its nodes.

use super::{LayerSpec, Listed, NamedSpec, by_position, described};
use serde::{Deserialize, Serialize};

/// Layers in sequence, as one layer. Those without a name are named by their position, as in PyTorch's `nn.Sequential`.
pub fn sequential(layers: impl IntoIterator<Item = impl Into<Listed>>) -> LayerSpec {
    LayerSpec::Sequential { layers: by_position(layers) }
}

/// Several branches that read the same input, with their outputs concatenated along the channels: the inception module of
/// GoogLeNet, the fire module of SqueezeNet.
///
/// In the graph, the container becomes a [`cat`](super::cat) along axis 1, whose node has the container's path and reads the
/// last node of each branch.
///
/// ```
/// use cnn_nn::Graph;
/// use cnn_nn::spec::{concat, conv2d};
/// let expand = concat([conv2d(8, 1).named("expand1x1"), conv2d(4, 3).padding([1, 1]).named("expand3x3")]);
/// let net = Graph::build([expand.named("expand")], [3, 6, 6], 0)?;
/// assert_eq!(net.output_shape()?.dims(), [1, 12, 6, 6]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
///
/// Source: C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, figure 2.
pub fn concat(branches: impl IntoIterator<Item = impl Into<Listed>>) -> LayerSpec {
    LayerSpec::Concat { branches: by_position(branches) }
}

/// A residual block: the output of layers, plus their input, `y = after(body(x) + shortcut(x))`. In JSON,
/// `{"type": "residual", "layers": [...]}`.
///
/// Where the body changes the shape, a shortcut must change it alike, usually by a 1 x 1 convolution. Without a shortcut, the
/// input is added unchanged. The layers after the sum, usually a rectifier, belong to the block, so that parameters have the
/// names of published files: those of the body are directly under the block's path, as `layer1.0.conv1`. The sum is an
/// [`add`](super::add) under the path of the block.
///
/// ```
/// use cnn_nn::Graph;
/// use cnn_nn::spec::{conv2d, relu, residual};
/// let conv = |name| conv2d(8, 3).padding([1, 1]).named(name);
/// let block = residual([conv("conv1"), relu().named("relu"), conv("conv2")])
///     .shortcut(conv2d(8, 1).named("downsample"))
///     .after([relu().named("act")]);
/// let net = Graph::build([block.named("block")], [3, 6, 6], 0)?;
/// assert_eq!(net.output_shape()?.dims(), [1, 8, 6, 6]);
/// assert_eq!(net.tensors()[0].0, "block.conv1.weight");
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
///
/// Source: K. He, X. Zhang, S. Ren and J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, eq. 1 and 2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualSpec {
    /// The layers of the body, in sequence.
    pub layers: Vec<NamedSpec>,
    /// The layer on the way of the input to the sum; without one, the input is added unchanged.
    #[serde(default)]
    pub shortcut: Option<Box<NamedSpec>>,
    /// The layers after the sum.
    #[serde(default)]
    pub after: Vec<NamedSpec>,
}

described!(ResidualSpec => Residual);

/// A residual block with the body `layers`; see [`ResidualSpec`].
pub fn residual(layers: impl IntoIterator<Item = impl Into<Listed>>) -> ResidualSpec {
    ResidualSpec { layers: by_position(layers), shortcut: None, after: Vec::new() }
}

impl ResidualSpec {
    /// Sets the layer on the way of the input to the sum.
    #[must_use]
    pub fn shortcut(self, layer: NamedSpec) -> Self {
        Self { shortcut: Some(Box::new(layer)), ..self }
    }

    /// Sets the layers after the sum.
    #[must_use]
    pub fn after(self, layers: impl IntoIterator<Item = impl Into<Listed>>) -> Self {
        Self { after: by_position(layers), ..self }
    }
}
