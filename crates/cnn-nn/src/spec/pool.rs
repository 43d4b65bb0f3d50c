//! Pooling.

use super::{LayerSpec, Listed, NamedSpec, Pair, by_position, described};
use crate::Init;
use cnn_ops::{AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d, Subsample};
use serde::{Deserialize, Serialize};

/// A max pooling whose options are being set: `max_pool2d(3).stride(2).ceil_mode(true)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool2dSpec(pub MaxPool2d);

/// An average pooling whose options are being set: `avg_pool2d(3).stride(1).padding(1)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPool2dSpec(pub AvgPool2d);

/// LeNet-5's trainable subsampling: the parameters of a [`cnn_ops::Subsample`] begin as plain averaging.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubsampleSpec {
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Rows and columns from one window to the next; the kernel's, if left out.
    #[serde(default)]
    pub stride: Option<[usize; 2]>,
    /// How coefficients begin; one over the window's elements, if left out.
    #[serde(default)]
    pub init: Option<Init>,
}

/// A max pooling, layers that keep its output's shape, and the way back: `y = unpool(layers(pool(x)))`, of the shape of `x`. Each
/// number of the layers' output goes where the pooling found its maximum, and everything else is 0.
///
/// Encoders and decoders nest: the layers between may hold another such pair. The way back is a
/// [`max_unpool2d`](super::max_unpool2d) under the path of the container, the way there a
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

/// A max pooling, `layers` that keep its output's shape, and the way back; see [`MaxPoolUnpool2dSpec`].
pub fn max_pool_unpool2d(
    pool: MaxPool2dSpec,
    layers: impl IntoIterator<Item = impl Into<Listed>>,
) -> MaxPoolUnpool2dSpec {
    MaxPoolUnpool2dSpec { pool: pool.0, layers: by_position(layers) }
}

impl MaxPool2dSpec {
    /// The same with another stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self(self.0.stride(stride))
    }

    /// The same with another padding.
    #[must_use]
    pub fn padding(self, padding: impl Pair) -> Self {
        Self(self.0.padding(padding))
    }

    /// The same with another dilation.
    #[must_use]
    pub fn dilation(self, dilation: impl Pair) -> Self {
        Self(self.0.dilation(dilation))
    }

    /// The same with the number of windows rounded up or down.
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Self(self.0.ceil_mode(ceil_mode))
    }
}

impl AvgPool2dSpec {
    /// The same with another stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self(self.0.stride(stride))
    }

    /// The same with another padding.
    #[must_use]
    pub fn padding(self, padding: impl Pair) -> Self {
        Self(self.0.padding(padding))
    }

    /// The same with the number of windows rounded up or down.
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Self(self.0.ceil_mode(ceil_mode))
    }

    /// The same with padding counted in the mean or not.
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        Self(self.0.count_include_pad(count_include_pad))
    }

    /// The same with sums divided by `divisor`.
    #[must_use]
    pub fn divisor_override(self, divisor: usize) -> Self {
        Self(self.0.divisor_override(divisor))
    }
}

impl SubsampleSpec {
    /// The same with another stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self { stride: Some(stride.pair()), ..self }
    }

    /// The same with other initial coefficients.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Self { init: Some(init), ..self }
    }

    /// The options of the operation.
    pub fn options(&self) -> Subsample {
        Subsample { kernel: self.kernel, stride: self.stride.unwrap_or(self.kernel) }
    }
}
