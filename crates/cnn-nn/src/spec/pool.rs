//! Pooling.

use super::{LayerSpec, Listed, NamedSpec, Pair, by_position, described};
use crate::Init;
use cnn_ops::{AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d, Padding, Subsample};
use serde::{Deserialize, Serialize};

/// A max pooling with its options: `max_pool2d(3).stride(2).ceil_mode(true)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool2dSpec(pub MaxPool2d);

/// An average pooling with its options: `avg_pool2d(3).stride(1).padding(1)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPool2dSpec(pub AvgPool2d);

/// LeNet-5's trainable subsampling; see [`cnn_ops::Subsample`]. The initial parameters make it a plain average.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubsampleSpec {
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Rows and columns from one window to the next; by default the kernel's.
    #[serde(default)]
    pub stride: Option<[usize; 2]>,
    /// The initialisation of the coefficients; by default one over the number of elements of a window.
    #[serde(default)]
    pub init: Option<Init>,
}

/// A max pooling, layers that keep its output's shape, and the matching unpooling: `y = unpool(layers(pool(x)))`, of the shape of
/// `x`. Each number of the layers' output is placed where the pooling found its maximum. All other elements are 0.
///
/// Encoders and decoders nest: the layers may contain another such pair. In the graph, the unpooling is a
/// [`max_unpool2d`](super::max_unpool2d) under the path of the container, and the pooling a
/// [`max_pool2d_with_indices`](super::max_pool2d_with_indices) beside the layers. See [`cnn_ops::max_unpool2d`].
///
/// ```
/// use cnn_nn::Graph;
/// use cnn_nn::spec::{conv2d, max_pool2d, max_pool_unpool2d};
/// let inner = conv2d(3, 3).padding([1, 1]).named("conv");
/// let net = Graph::build([max_pool_unpool2d(max_pool2d(2), [inner]).named("hourglass")], [3, 8, 8], 0)?;
/// assert_eq!(net.output_shape()?.dims(), [1, 3, 8, 8]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
///
/// Source: V. Badrinarayanan, A. Kendall and R. Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture for
/// Image Segmentation", IEEE Transactions on Pattern Analysis and Machine Intelligence 39 (2017), section 3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPoolUnpool2dSpec {
    /// The pooling.
    pub pool: MaxPool2d,
    /// The layers between pooling and unpooling.
    pub layers: Vec<NamedSpec>,
}

described!(MaxPool2dSpec => MaxPool2d, 0);
described!(AvgPool2dSpec => AvgPool2d, 0);
described!(SubsampleSpec => Subsample);
described!(MaxPoolUnpool2dSpec => MaxPoolUnpool2d);

/// Max pooling over windows that do not overlap.
pub fn max_pool2d(kernel: impl Pair) -> MaxPool2dSpec {
    MaxPool2dSpec(MaxPool2d::new(kernel))
}

/// Average pooling over windows that do not overlap.
pub fn avg_pool2d(kernel: impl Pair) -> AvgPool2dSpec {
    AvgPool2dSpec(AvgPool2d::new(kernel))
}

/// Average pooling to the given height and width.
pub fn adaptive_avg_pool2d(output: impl Pair) -> LayerSpec {
    LayerSpec::AdaptiveAvgPool2d(AdaptiveAvgPool2d::new(output))
}

/// Max pooling to the given height and width.
pub fn adaptive_max_pool2d(output: impl Pair) -> LayerSpec {
    LayerSpec::AdaptiveMaxPool2d(AdaptiveMaxPool2d::new(output))
}

/// The mean of each channel: `[n, c, h, w]` to `[n, c, 1, 1]`.
pub fn global_avg_pool2d() -> LayerSpec {
    LayerSpec::GlobalAvgPool2d
}

/// The maximum of each channel: `[n, c, h, w]` to `[n, c, 1, 1]`.
pub fn global_max_pool2d() -> LayerSpec {
    LayerSpec::GlobalMaxPool2d
}

/// LeNet-5's trainable subsampling over windows that do not overlap.
pub fn subsample(kernel: impl Pair) -> SubsampleSpec {
    SubsampleSpec { kernel: kernel.pair(), stride: None, init: None }
}

/// A max pooling, `layers` that keep its output's shape, and the matching unpooling; see [`MaxPoolUnpool2dSpec`].
pub fn max_pool_unpool2d(
    pool: MaxPool2dSpec,
    layers: impl IntoIterator<Item = impl Into<Listed>>,
) -> MaxPoolUnpool2dSpec {
    MaxPoolUnpool2dSpec { pool: pool.0, layers: by_position(layers) }
}

impl MaxPool2dSpec {
    /// Sets the stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self(self.0.stride(stride))
    }

    /// Sets the padding: a number for all sides, `[height, width]`, `[[top, bottom], [left, right]]`, or a [`Padding`].
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        Self(self.0.padding(padding))
    }

    /// Sets the dilation.
    #[must_use]
    pub fn dilation(self, dilation: impl Pair) -> Self {
        Self(self.0.dilation(dilation))
    }

    /// Sets whether the number of windows is rounded up.
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Self(self.0.ceil_mode(ceil_mode))
    }
}

impl AvgPool2dSpec {
    /// Sets the stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self(self.0.stride(stride))
    }

    /// Sets the padding, as [`MaxPool2dSpec::padding`].
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        Self(self.0.padding(padding))
    }

    /// Sets the dilation.
    #[must_use]
    pub fn dilation(self, dilation: impl Pair) -> Self {
        Self(self.0.dilation(dilation))
    }

    /// Sets whether the number of windows is rounded up.
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Self(self.0.ceil_mode(ceil_mode))
    }

    /// Sets whether padding counts in the mean.
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        Self(self.0.count_include_pad(count_include_pad))
    }

    /// Divides the sums by `divisor` instead of the number of elements.
    #[must_use]
    pub fn divisor_override(self, divisor: usize) -> Self {
        Self(self.0.divisor_override(divisor))
    }
}

impl SubsampleSpec {
    /// Sets the stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self { stride: Some(stride.pair()), ..self }
    }

    /// Sets the initialisation of the coefficients.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Self { init: Some(init), ..self }
    }

    /// The options of the operation.
    pub fn options(&self) -> Subsample {
        Subsample { kernel: self.kernel, stride: self.stride.unwrap_or(self.kernel) }
    }
}
