//! Blocks that several networks share, with the names of torchvision's modules.

use cnn_nn::spec::{
    BatchNorm2dSpec, Conv2dSpec, batch_norm2d, conv2d, global_avg_pool2d, graph, mul, relu, residual,
    sequential,
};
use cnn_nn::{Init, LayerSpec};

/// A convolution padded by half its kernel, before a batch normalisation, which makes a bias useless.
pub(crate) fn convolution(channels: usize, kernel: usize) -> Conv2dSpec {
    let convolution = conv2d(channels, kernel).padding(kernel / 2).bias(false);
    convolution.init(Init::KaimingNormalFanOut).bias_init(Init::Zeros)
}

/// A convolution, its normalisation, and its activation if it has one: torchvision's `Conv2dNormActivation`.
pub(crate) fn normalized(
    convolution: Conv2dSpec,
    norm: BatchNorm2dSpec,
    activation: impl Into<Option<LayerSpec>>,
) -> LayerSpec {
    sequential([convolution.into(), norm.into()].into_iter().chain(activation.into()))
}

/// A convolution, its normalisation and ReLU, with the names of torchvision's `BasicConv2d`, of which the Inception networks are made.
pub(crate) fn basic_conv2d(convolution: Conv2dSpec) -> LayerSpec {
    sequential([convolution.named("conv"), batch_norm2d().eps(1e-3).named("bn"), relu().named("relu")])
}

/// Squeeze and excitation: each channel is multiplied by a number, which two layers compute from the means of all channels.
/// torchvision's `SqueezeExcitation`, with its names `fc1` and `fc2`.
///
/// J. Hu, L. Shen, G. Sun: "Squeeze-and-Excitation Networks", CVPR 2018, figures 1 and 3.
pub(crate) fn squeeze_excitation(
    channels: usize,
    squeezed: usize,
    activation: LayerSpec,
    gate: LayerSpec,
) -> LayerSpec {
    let dense = |channels| conv2d(channels, 1).init(Init::KaimingNormalFanOut).bias_init(Init::Zeros);
    graph(["x"])
        .node("avgpool", global_avg_pool2d(), ["x"])
        .node("fc1", dense(squeezed), ["avgpool"])
        .node("activation", activation, ["fc1"])
        .node("fc2", dense(channels), ["activation"])
        .node("scale_activation", gate, ["fc2"])
        .node("scale", mul(), ["x", "scale_activation"])
        .outputs(["scale"])
        .into()
}

/// An inverted residual with squeeze and excitation, as MobileNetV3 and EfficientNet have it; its layers lie under `block`.
pub(crate) struct InvertedResidual {
    /// Channels of the input.
    pub from: usize,
    /// Channels of the depthwise convolution.
    pub expanded: usize,
    /// Channels of the output.
    pub out: usize,
    /// Height and width of the depthwise kernel.
    pub kernel: usize,
    /// The stride of the depthwise convolution.
    pub stride: usize,
    /// The squeeze and excitation after the depthwise convolution.
    pub squeeze: Option<LayerSpec>,
    /// The normalisation after each convolution.
    pub norm: BatchNorm2dSpec,
    /// The activation after each convolution but the last.
    pub activation: LayerSpec,
}

impl InvertedResidual {
    /// The input is added where the shapes are equal. Nothing expands it where `expanded` is its number of channels.
    pub fn layer(self) -> LayerSpec {
        let Self { from, expanded, out, kernel, stride, squeeze, norm, activation } = self;
        let expand =
            (expanded != from).then(|| normalized(convolution(expanded, 1), norm, activation.clone()));
        let depthwise = convolution(expanded, kernel).stride(stride).groups(expanded);
        let body = expand
            .into_iter()
            .chain([normalized(depthwise, norm, activation)])
            .chain(squeeze)
            .chain([normalized(convolution(out, 1), norm, None)]);
        let body = [sequential(body).named("block")];
        if stride == 1 && from == out { residual(body).into() } else { sequential(body) }
    }
}
