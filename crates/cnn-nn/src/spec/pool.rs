//! Pooling.

use super::{LayerSpec, NamedSpec, Pair, described};
use cnn_ops::{AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d, Subsample};
use serde::{Deserialize, Serialize};

/// A builder around the options of an operation, with `.into()` and `.named("...")`.
macro_rules! builder {
    ($(#[$doc:meta])* $name:ident($options:ident)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub $options);

        impl From<$name> for LayerSpec {
            fn from(spec: $name) -> Self {
                Self::$options(spec.0)
            }
        }

        impl $name {
            /// This layer under a name.
            pub fn named(self, name: &str) -> NamedSpec {
                LayerSpec::from(self).named(name)
            }

            /// The same with another stride.
            #[must_use]
            pub fn stride(self, stride: impl Pair) -> Self {
                Self(self.0.with_stride(stride.pair()))
            }
        }
    };
}

builder! {
    /// A max pooling to be described: [`cnn_ops::MaxPool2d`].
    MaxPool2dSpec(MaxPool2d)
}

builder! {
    /// An average pooling to be described: [`cnn_ops::AvgPool2d`].
    AvgPool2dSpec(AvgPool2d)
}

builder! {
    /// A trainable subsampling to be described: [`cnn_ops::Subsample`].
    SubsampleSpec(Subsample)
}

/// Max pooling over windows that do not overlap, unless told otherwise:
///
/// ```
/// use cnn_nn::LayerSpec;
/// use cnn_nn::spec::max_pool2d;
/// let spec = LayerSpec::from(max_pool2d(3).stride(2).padding(1).ceil_mode());
/// assert_eq!(spec, serde_json::from_str(
///     r#"{"type": "max_pool2d", "kernel": [3, 3], "stride": [2, 2], "padding": [1, 1], "ceil_mode": true}"#,
/// )?);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn max_pool2d(kernel: impl Pair) -> MaxPool2dSpec {
    MaxPool2dSpec(MaxPool2d::new(kernel.pair()))
}

impl MaxPool2dSpec {
    /// The same with another padding.
    #[must_use]
    pub fn padding(self, padding: impl Pair) -> Self {
        Self(self.0.with_padding(padding.pair()))
    }

    /// The same with another dilation.
    #[must_use]
    pub fn dilation(self, dilation: impl Pair) -> Self {
        Self(self.0.with_dilation(dilation.pair()))
    }

    /// The same with the number of windows rounded up.
    #[must_use]
    pub fn ceil_mode(self) -> Self {
        Self(self.0.with_ceil_mode(true))
    }
}

/// Average pooling over windows that do not overlap, unless told otherwise.
pub fn avg_pool2d(kernel: impl Pair) -> AvgPool2dSpec {
    AvgPool2dSpec(AvgPool2d::new(kernel.pair()))
}

impl AvgPool2dSpec {
    /// The same with another padding.
    #[must_use]
    pub fn padding(self, padding: impl Pair) -> Self {
        Self(self.0.with_padding(padding.pair()))
    }

    /// The same with the number of windows rounded up.
    #[must_use]
    pub fn ceil_mode(self) -> Self {
        Self(self.0.with_ceil_mode(true))
    }

    /// The same with padding counted in the mean or not.
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        Self(self.0.with_count_include_pad(count_include_pad))
    }

    /// The same with every sum divided by `divisor`.
    #[must_use]
    pub fn divisor_override(self, divisor: usize) -> Self {
        Self(self.0.with_divisor_override(divisor))
    }
}

/// LeCun's trainable subsampling over windows that do not overlap, unless told otherwise.
pub fn subsample(kernel: impl Pair) -> SubsampleSpec {
    SubsampleSpec(Subsample::new(kernel.pair()))
}

/// Average pooling to `output` rows and columns.
pub fn adaptive_avg_pool2d(output: impl Pair) -> LayerSpec {
    LayerSpec::AdaptiveAvgPool2d(AdaptiveAvgPool2d { output: output.pair() })
}

/// Max pooling to `output` rows and columns.
pub fn adaptive_max_pool2d(output: impl Pair) -> LayerSpec {
    LayerSpec::AdaptiveMaxPool2d(AdaptiveMaxPool2d { output: output.pair() })
}

/// The mean of each plane, as `[n, c, 1, 1]`.
pub fn global_avg_pool2d() -> LayerSpec {
    LayerSpec::GlobalAvgPool2d
}

/// The maximum of each plane, as `[n, c, 1, 1]`.
pub fn global_max_pool2d() -> LayerSpec {
    LayerSpec::GlobalMaxPool2d
}

/// Layers between a max pooling and its inverse. In JSON,
/// `{"type": "max_pool_unpool2d", "pool": {"kernel": [2, 2]}, "layers": [...]}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPoolUnpool2dSpec {
    /// The pooling.
    pub pool: MaxPool2d,
    /// The layers, one after the other; together they keep the shape.
    pub layers: Vec<NamedSpec>,
}

described!(MaxPoolUnpool2dSpec => MaxPoolUnpool2d);

/// `layers` between a max pooling and its inverse.
pub fn max_pool_unpool2d(
    pool: MaxPool2dSpec,
    layers: impl IntoIterator<Item = NamedSpec>,
) -> MaxPoolUnpool2dSpec {
    MaxPoolUnpool2dSpec { pool: pool.0, layers: layers.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{conv2d, relu};

    /// Both ways, beside a name.
    fn same(options: &str, spec: impl Into<LayerSpec>) {
        let json = format!(r#"{{"name": "a", {options}}}"#);
        let named: NamedSpec = serde_json::from_str(&json).unwrap();
        assert_eq!(named, spec.into().named("a"));
        assert_eq!(
            serde_json::from_str::<NamedSpec>(&serde_json::to_string(&named).unwrap()).unwrap(),
            named
        );
    }

    #[test]
    fn options_that_are_left_out_have_pytorchs_defaults() {
        same(r#""type": "max_pool2d", "kernel": [3, 2]"#, max_pool2d([3, 2]));
        let defaults = max_pool2d([3, 2]).stride([3, 2]).padding(0).dilation(1);
        assert_eq!(max_pool2d([3, 2]), defaults);
        same(r#""type": "max_pool2d", "kernel": [3, 3], "dilation": [2, 1]"#, max_pool2d(3).dilation([2, 1]));
        same(r#""type": "avg_pool2d", "kernel": [3, 2]"#, avg_pool2d([3, 2]).count_include_pad(true));
        let all = r#""type": "avg_pool2d", "kernel": [3, 3], "stride": [2, 2], "padding": [1, 1], "ceil_mode": true,
                     "count_include_pad": false, "divisor_override": 5"#;
        let spec = avg_pool2d(3).stride(2).padding(1).ceil_mode().count_include_pad(false);
        same(all, spec.divisor_override(5));
        same(r#""type": "subsample", "kernel": [2, 2]"#, subsample(2));
        same(r#""type": "subsample", "kernel": [2, 2], "stride": [1, 2]"#, subsample(2).stride([1, 2]));
        same(r#""type": "adaptive_avg_pool2d", "output": [7, 7]"#, adaptive_avg_pool2d(7));
        same(r#""type": "adaptive_max_pool2d", "output": [1, 2]"#, adaptive_max_pool2d([1, 2]));
        same(r#""type": "global_avg_pool2d""#, global_avg_pool2d());
        same(r#""type": "global_max_pool2d""#, global_max_pool2d());
        let json = r#""type": "max_pool_unpool2d", "pool": {"kernel": [2, 2]},
                      "layers": [{"name": "r", "type": "relu"}]"#;
        same(json, max_pool_unpool2d(max_pool2d(2), [relu().named("r")]));
    }

    #[test]
    fn a_misspelt_option_is_an_error() {
        let fault = |json| serde_json::from_str::<NamedSpec>(json).unwrap_err().to_string();
        for json in [
            r#"{"name": "a", "type": "max_pool2d", "kernel": [2, 2], "strides": [1, 1]}"#,
            r#"{"name": "a", "type": "avg_pool2d", "kernel": [2, 2], "strides": [1, 1]}"#,
            r#"{"name": "a", "type": "subsample", "kernel": [2, 2], "strides": [1, 1]}"#,
            r#"{"name": "a", "type": "adaptive_avg_pool2d", "output": [2, 2], "strides": [1, 1]}"#,
            r#"{"name": "a", "type": "adaptive_max_pool2d", "output": [2, 2], "strides": [1, 1]}"#,
            r#"{"name": "a", "type": "global_avg_pool2d", "strides": [1, 1]}"#,
            r#"{"name": "a", "type": "global_max_pool2d", "strides": [1, 1]}"#,
            r#"{"name": "a", "type": "max_pool_unpool2d", "pool": {"kernel": [2, 2], "strides": 1}, "layers": []}"#,
        ] {
            assert!(fault(json).starts_with("layer a: unknown field `strides`"), "{}", fault(json));
        }
    }

    #[test]
    fn the_name_comes_last() {
        let named = max_pool_unpool2d(max_pool2d(2), [conv2d(1, 1).named("c")]).named("level");
        assert_eq!(named.name, "level");
        assert_eq!(max_pool2d(3).stride(2).padding(1).ceil_mode().named("pool").name, "pool");
    }
}
