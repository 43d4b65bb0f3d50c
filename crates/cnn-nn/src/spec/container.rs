//! Containers: layers made of layers. A [`Graph`](crate::Graph) takes them apart into its nodes.

use super::{LayerSpec, Listed, NamedSpec, by_position, described};
use serde::{Deserialize, Serialize};

/// Layers one after the other, as one. Those without a name go by their position, as in PyTorch's `nn.Sequential`.
pub fn sequential(layers: impl IntoIterator<Item = impl Into<Listed>>) -> LayerSpec {
    LayerSpec::Sequential { layers: by_position(layers) }
}

/// Several layers of one input, their outputs side by side as channels: the inception module of GoogLeNet, the fire module of
/// SqueezeNet.
///
/// Under the path of the container it is the node of a [`cat`](super::cat) along axis 1, which reads one node or more for each
/// branch.
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

/// What layers make of their input, plus the input itself: `y = after(body(x) + shortcut(x))`. In JSON,
/// `{"type": "residual", "layers": [...]}`.
///
/// Where the body changes the shape, a shortcut (a 1 x 1 convolution, mostly) changes it alike; without one the input is added as
/// it is. What follows the sum, a rectifier in most networks, belongs to the block so that the names of parameters are those of
/// published files: the body's are directly under the block's path, as `layer1.0.conv1`. The sum is an [`add`](super::add) under
/// the path of the block.
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
    /// The layers of the body, one after the other.
    pub layers: Vec<NamedSpec>,
    /// What the input passes through before it is added; without it, it is added as it is.
    #[serde(default)]
    pub shortcut: Option<Box<NamedSpec>>,
    /// Layers that the sum passes through.
    #[serde(default)]
    pub after: Vec<NamedSpec>,
}

described!(ResidualSpec => Residual);

/// What `layers`, one after the other, make of their input, plus the input; see [`ResidualSpec`].
pub fn residual(layers: impl IntoIterator<Item = impl Into<Listed>>) -> ResidualSpec {
    ResidualSpec { layers: by_position(layers), shortcut: None, after: Vec::new() }
}

impl ResidualSpec {
    /// The same with the input passing through a layer before it is added.
    #[must_use]
    pub fn shortcut(self, layer: NamedSpec) -> Self {
        Self { shortcut: Some(Box::new(layer)), ..self }
    }

    /// The same with layers that the sum passes through.
    #[must_use]
    pub fn after(self, layers: impl IntoIterator<Item = impl Into<Listed>>) -> Self {
        Self { after: by_position(layers), ..self }
    }
}
