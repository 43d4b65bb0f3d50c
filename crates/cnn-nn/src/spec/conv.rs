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
    /// The initialisation of the weights.
    #[serde(default)]
    pub init: Init,
    /// The initialisation of the biases.
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
    /// Sets the stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self { stride: stride.pair(), ..self }
    }

    /// Sets the padding: a number for all sides, `[height, width]`, `[[top, bottom], [left, right]]`, or a
    /// [`Padding`]. With [`Padding::Same`] and stride 1, the output is as large as the input.
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// Sets the dilation.
    #[must_use]
    pub fn dilation(self, dilation: impl Pair) -> Self {
        Self { dilation: dilation.pair(), ..self }
    }

    /// Sets the number of groups.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// Sets whether there are biases.
    #[must_use]
    pub fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// Sets the initialisation of the weights.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }

    /// Sets the initialisation of the biases.
    #[must_use]
    pub fn bias_init(self, bias_init: Init) -> Self {
        Self { bias_init, ..self }
    }

    /// The options of the operation.
    pub fn options(&self) -> cnn_ops::Conv2d {
        let Self { kernel, stride, padding, dilation, groups, .. } = *self;
        cnn_ops::Conv2d { kernel, stride, padding, dilation, groups }
    }
}

/// A transposed convolution: PyTorch's `nn.ConvTranspose2d` without the number of input channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvTranspose2dSpec {
    /// Channels of the output.
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Output rows and columns from one input element to the next.
    #[serde(default = "ones")]
    pub stride: [usize; 2],
    /// Rows and columns that the output lacks on each side.
    #[serde(default)]
    pub padding: Padding,
    /// Rows added below and columns added to the right.
    #[serde(default)]
    pub output_padding: [usize; 2],
    /// Rows and columns from one tap to the next.
    #[serde(default = "ones")]
    pub dilation: [usize; 2],
    /// Runs of channels that do not see each other.
    #[serde(default = "one")]
    pub groups: usize,
    /// Whether each output channel has a bias.
    #[serde(default = "yes")]
    pub bias: bool,
    /// The initialisation of the weights. The fans are PyTorch's, which are those of the convolution from output to input:
    /// `fan_in` is
    /// `out_channels / groups * kh * kw`.
    #[serde(default)]
    pub init: Init,
    /// The initialisation of the biases.
    #[serde(default)]
    pub bias_init: Init,
}

described!(ConvTranspose2dSpec => ConvTranspose2d);

/// A transposed convolution of stride 1 with bias; `kernel` is one number for a square, or `[height, width]`.
pub fn conv_transpose2d(out_channels: usize, kernel: impl Pair) -> ConvTranspose2dSpec {
    ConvTranspose2dSpec {
        out_channels,
        kernel: kernel.pair(),
        stride: ones(),
        padding: Padding::default(),
        output_padding: [0, 0],
        dilation: ones(),
        groups: 1,
        bias: true,
        init: Init::default(),
        bias_init: Init::default(),
    }
}

impl ConvTranspose2dSpec {
    /// Sets the stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self { stride: stride.pair(), ..self }
    }

    /// Sets the padding, as [`Conv2dSpec::padding`].
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// Sets the output padding.
    #[must_use]
    pub fn output_padding(self, output_padding: impl Pair) -> Self {
        Self { output_padding: output_padding.pair(), ..self }
    }

    /// Sets the dilation.
    #[must_use]
    pub fn dilation(self, dilation: impl Pair) -> Self {
        Self { dilation: dilation.pair(), ..self }
    }

    /// Sets the number of groups.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// Sets whether there are biases.
    #[must_use]
    pub fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// Sets the initialisation of the weights.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }

    /// Sets the initialisation of the biases.
    #[must_use]
    pub fn bias_init(self, bias_init: Init) -> Self {
        Self { bias_init, ..self }
    }

    /// The options of the operation.
    pub fn options(&self) -> cnn_ops::ConvTranspose2d {
        let Self { kernel, stride, padding, output_padding, dilation, groups, .. } = *self;
        cnn_ops::ConvTranspose2d { kernel, stride, padding, output_padding, dilation, groups }
    }
}

/// A convolution by a table of connections between channels, as LeNet-5's C3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2dTableSpec {
    /// For each output channel the input channels that it sees: at least one, ascending.
    pub table: Vec<Vec<usize>>,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Rows and columns from one window to the next.
    #[serde(default = "ones")]
    pub stride: [usize; 2],
    /// Zeros around the image: `"same"`, `"valid"`, `[height, width]` or `[[top, bottom], [left, right]]`.
    #[serde(default)]
    pub padding: Padding,
    /// Whether each output channel has a bias.
    #[serde(default = "yes")]
    pub bias: bool,
    /// The initialisation of the weights. All weights and biases have the fans of the channels with the fewest connections.
    #[serde(default)]
    pub init: Init,
    /// The initialisation of the biases.
    #[serde(default)]
    pub bias_init: Init,
}

described!(Conv2dTableSpec => Conv2dTable);

/// A convolution by a table, of stride 1 with bias: for each output channel the input channels that it sees. `kernel` is
/// one number for a square, or `[height, width]`.
///
/// ```
/// use cnn_nn::spec::conv2d_table;
/// let c3 = conv2d_table(cnn_ops::conv2d_table::LENET5_C3, 5).named("c3");
/// let net = cnn_nn::Graph::build([c3], [6, 14, 14], 0)?;
/// assert_eq!(net.parameter_count(), 1516); // as in the paper
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn conv2d_table(
    table: impl IntoIterator<Item = impl Into<Vec<usize>>>,
    kernel: impl Pair,
) -> Conv2dTableSpec {
    Conv2dTableSpec {
        table: table.into_iter().map(Into::into).collect(),
        kernel: kernel.pair(),
        stride: ones(),
        padding: Padding::default(),
        bias: true,
        init: Init::default(),
        bias_init: Init::default(),
    }
}

impl Conv2dTableSpec {
    /// Sets the stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self { stride: stride.pair(), ..self }
    }

    /// Sets the padding, as [`Conv2dSpec::padding`].
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// Sets whether there are biases.
    #[must_use]
    pub fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// Sets the initialisation of the weights.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }

    /// Sets the initialisation of the biases.
    #[must_use]
    pub fn bias_init(self, bias_init: Init) -> Self {
        Self { bias_init, ..self }
    }

    /// The options of the operation.
    pub fn options(&self) -> cnn_ops::Conv2dTable {
        let Self { kernel, stride, padding, .. } = *self;
        cnn_ops::Conv2dTable { table: self.table.clone(), kernel, stride, padding }
    }
}
