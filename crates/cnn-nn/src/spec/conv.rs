//! Convolutions.

use super::{Pair, described, one, ones, yes};
use crate::Init;
use cnn_ops::Padding;
use serde::{Deserialize, Serialize};

/// A convolution: PyTorch's `nn.Conv2d` without the number of input channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2dSpec {
    /// Channels of the output.
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Rows and columns from one window to the next.
    #[serde(default = "ones")]
    pub stride: [usize; 2],
    /// Zeros around the image: `"same"`, `"valid"`, `[height, width]` or `[[top, bottom], [left, right]]`.
    #[serde(default)]
    pub padding: Padding,
    /// Rows and columns from one tap to the next.
    #[serde(default = "ones")]
    pub dilation: [usize; 2],
    /// Runs of channels that do not see each other.
    #[serde(default = "one")]
    pub groups: usize,
    /// Whether each output channel has a bias.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How weights begin.
    #[serde(default)]
    pub init: Init,
    /// How biases begin.
    #[serde(default)]
    pub bias_init: Init,
}

described!(Conv2dSpec => Conv2d);

/// A convolution of stride 1 with bias; `kernel` is one number for a square, or `[height, width]`.
pub fn conv2d(out_channels: usize, kernel: impl Pair) -> Conv2dSpec {
    Conv2dSpec {
        out_channels,
        kernel: kernel.pair(),
        stride: ones(),
        padding: Padding::default(),
        dilation: ones(),
        groups: 1,
        bias: true,
        init: Init::default(),
        bias_init: Init::default(),
    }
}

impl Conv2dSpec {
    /// The same with another stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self { stride: stride.pair(), ..self }
    }

    /// The same with another padding: a number for all sides, `[height, width]`, `[[top, bottom], [left, right]]`, or a
    /// [`Padding`].
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// The same with [`Padding::Same`]: at stride 1, an output as large as the input.
    #[must_use]
    pub fn same(self) -> Self {
        self.padding(Padding::Same)
    }

    /// The same with another dilation.
    #[must_use]
    pub fn dilation(self, dilation: impl Pair) -> Self {
        Self { dilation: dilation.pair(), ..self }
    }

    /// The same with another number of groups.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// The same without biases.
    #[must_use]
    pub fn no_bias(self) -> Self {
        Self { bias: false, ..self }
    }

    /// The same with other initial weights and biases.
    #[must_use]
    pub fn init(self, init: Init, bias_init: Init) -> Self {
        Self { init, bias_init, ..self }
    }

    /// The options of the operation.
    pub fn options(&self) -> cnn_ops::Conv2d {
        let Self { kernel, stride, padding, dilation, groups, .. } = *self;
        cnn_ops::Conv2d { kernel, stride, padding, dilation, groups }
    }
}
