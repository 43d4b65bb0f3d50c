//! Models as data: every layer has a small description that serde can write and read.
//!
//! Input extents are never stated; they are inferred when the model is built. The functions here read like a table
//! of the network:
//!
//! ```
//! use cnn_nn::spec::{conv2d, flatten, linear, max_pool2d, relu};
//! let layers = [
//!     conv2d(6, 5).padding(2).named("conv1"),
//!     relu().named("relu1"),
//!     max_pool2d(2).named("pool1"),
//!     flatten().named("flatten"),
//!     linear(10).named("fc"),
//! ];
//! let net = cnn_nn::Sequential::build(layers, [1, 28, 28], 0)?;
//! assert_eq!(net.parameter_count(), 6 * 25 + 6 + 10 * 6 * 14 * 14 + 10);
//! # Ok::<(), cnn_nn::NnError>(())
//! ```

use crate::{Init, Layer, NnError, ParameterSource, Path, Sequential, layers};
use cnn_ops::{Activation, AvgPool2d, MaxPool2d};
use cnn_tensor::Shape;
use serde::de::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The description of one layer. In JSON, `{"type": "conv2d", "out_channels": 6, "kernel": [5, 5], ...}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LayerSpec {
    /// Convolution.
    Conv2d(Conv2dSpec),
    /// Fully connected layer.
    Linear(LinearSpec),
    /// Max pooling.
    MaxPool2d(MaxPool2d),
    /// Average pooling.
    AvgPool2d(AvgPool2d),
    /// `max(x, 0)`.
    Relu,
    /// `tanh(x)`.
    Tanh,
    /// LeCun's `1.7159 tanh(2x/3)`.
    ScaledTanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `[n, c, h, w]` to `[n, c*h*w]`.
    Flatten,
    /// Layers one after the other.
    Sequential {
        /// The layers.
        layers: Vec<NamedSpec>,
    },
}

/// A layer's description with the name by which its parameters are found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct NamedSpec {
    /// The name: not empty, without a dot, unlike its neighbours'.
    pub name: String,
    /// The layer.
    #[serde(flatten)]
    pub layer: LayerSpec,
}

impl TryFrom<Map<String, Value>> for NamedSpec {
    type Error = serde_json::Error;

    /// Serde ignores unknown keys beside a flattened field; here each must be one that the layer would write itself, so
    /// that a misspelt option is an error.
    fn try_from(mut keys: Map<String, Value>) -> Result<Self, serde_json::Error> {
        let name = keys.remove("name").ok_or_else(|| Error::custom("missing field `name` of a layer"))?;
        let name: String = serde_json::from_value(name)?;
        let layer: LayerSpec = serde_json::from_value(Value::Object(keys.clone()))
            .map_err(|e| Error::custom(format!("layer {name}: {e}")))?;
        let known = serde_json::to_value(&layer)?;
        match keys.keys().find(|key| known.get(key.as_str()).is_none()) {
            Some(key) => Err(Error::custom(format!("layer {name}: unknown field `{key}`"))),
            None => Ok(Self { name, layer }),
        }
    }
}

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
    /// Zeros added on each side.
    #[serde(default)]
    pub padding: [usize; 2],
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

/// A fully connected layer: PyTorch's `nn.Linear` without the number of input features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearSpec {
    /// Features of the output.
    pub out_features: usize,
    /// Whether each output has a bias.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How weights begin.
    #[serde(default)]
    pub init: Init,
    /// How biases begin.
    #[serde(default)]
    pub bias_init: Init,
}

fn one() -> usize {
    1
}
fn ones() -> [usize; 2] {
    [1, 1]
}
fn yes() -> bool {
    true
}

/// A convolution of stride 1 with bias; `kernel` is one number for a square, or `[height, width]`.
pub fn conv2d(out_channels: usize, kernel: impl Pair) -> Conv2dSpec {
    Conv2dSpec {
        out_channels,
        kernel: kernel.pair(),
        stride: ones(),
        padding: [0, 0],
        dilation: ones(),
        groups: 1,
        bias: true,
        init: Init::default(),
        bias_init: Init::default(),
    }
}

/// A fully connected layer with bias.
pub fn linear(out_features: usize) -> LinearSpec {
    LinearSpec { out_features, bias: true, init: Init::default(), bias_init: Init::default() }
}

/// Max pooling over windows that do not overlap.
pub fn max_pool2d(kernel: impl Pair) -> LayerSpec {
    LayerSpec::MaxPool2d(MaxPool2d::new(kernel.pair()))
}

/// Average pooling over windows that do not overlap.
pub fn avg_pool2d(kernel: impl Pair) -> LayerSpec {
    LayerSpec::AvgPool2d(AvgPool2d::new(kernel.pair()))
}

/// `max(x, 0)`.
pub fn relu() -> LayerSpec {
    LayerSpec::Relu
}

/// `tanh(x)`.
pub fn tanh() -> LayerSpec {
    LayerSpec::Tanh
}

/// LeCun's `1.7159 tanh(2x/3)`.
pub fn scaled_tanh() -> LayerSpec {
    LayerSpec::ScaledTanh
}

/// `1 / (1 + e^-x)`.
pub fn sigmoid() -> LayerSpec {
    LayerSpec::Sigmoid
}

/// `[n, c, h, w]` to `[n, c*h*w]`.
pub fn flatten() -> LayerSpec {
    LayerSpec::Flatten
}

/// Layers one after the other, as one.
pub fn sequential(layers: impl IntoIterator<Item = NamedSpec>) -> LayerSpec {
    LayerSpec::Sequential { layers: layers.into_iter().collect() }
}

/// `[height, width]`, or one number for both.
pub trait Pair {
    /// As `[height, width]`.
    fn pair(self) -> [usize; 2];
}

impl Pair for usize {
    fn pair(self) -> [usize; 2] {
        [self, self]
    }
}

impl Pair for [usize; 2] {
    fn pair(self) -> [usize; 2] {
        self
    }
}

impl Conv2dSpec {
    /// The same with another stride.
    #[must_use]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self { stride: stride.pair(), ..self }
    }

    /// The same with another padding.
    #[must_use]
    pub fn padding(self, padding: impl Pair) -> Self {
        Self { padding: padding.pair(), ..self }
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

    /// This layer under a name.
    pub fn named(self, name: &str) -> NamedSpec {
        LayerSpec::from(self).named(name)
    }
}

impl LinearSpec {
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

    /// This layer under a name.
    pub fn named(self, name: &str) -> NamedSpec {
        LayerSpec::from(self).named(name)
    }
}

impl From<Conv2dSpec> for LayerSpec {
    fn from(spec: Conv2dSpec) -> Self {
        Self::Conv2d(spec)
    }
}

impl From<LinearSpec> for LayerSpec {
    fn from(spec: LinearSpec) -> Self {
        Self::Linear(spec)
    }
}

impl LayerSpec {
    /// This layer under a name.
    pub fn named(self, name: &str) -> NamedSpec {
        NamedSpec { name: name.into(), layer: self }
    }

    /// The layer, for inputs of shape `x`, with parameters from `source`.
    ///
    /// # Errors
    /// The layer cannot take that shape, or the source lacks a parameter.
    pub fn build(
        &self,
        x: Shape,
        path: Path<'_>,
        source: &mut dyn ParameterSource,
    ) -> Result<Box<dyn Layer>, NnError> {
        Ok(match self {
            Self::Conv2d(spec) => Box::new(layers::Conv2d::build(spec, x, path, source)?),
            Self::Linear(spec) => Box::new(layers::Linear::build(spec, x, path, source)?),
            Self::MaxPool2d(options) => Box::new(layers::MaxPool2d::new(*options)),
            Self::AvgPool2d(options) => Box::new(layers::AvgPool2d::new(*options)),
            Self::Relu => Box::new(layers::Activate::new(Activation::Relu)),
            Self::Tanh => Box::new(layers::Activate::new(Activation::Tanh)),
            Self::ScaledTanh => Box::new(layers::Activate::new(Activation::ScaledTanh)),
            Self::Sigmoid => Box::new(layers::Activate::new(Activation::Sigmoid)),
            Self::Flatten => Box::new(layers::Flatten::default()),
            Self::Sequential { layers } => Box::new(Sequential::build_from(layers, x, path, source)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_short_and_comes_back() {
        let spec = sequential([
            conv2d(6, 5).padding(2).named("conv"),
            relu().named("relu"),
            max_pool2d(2).named("pool"),
        ]);
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<LayerSpec>(&json).unwrap(), spec);
        let short = r#"{"type":"conv2d","out_channels":6,"kernel":[5,5],"padding":[2,2]}"#;
        assert_eq!(serde_json::from_str::<LayerSpec>(short).unwrap(), conv2d(6, 5).padding(2).into());
    }

    #[test]
    fn a_misspelt_option_is_an_error() {
        let fault = |json| serde_json::from_str::<NamedSpec>(json).unwrap_err().to_string();
        let json = r#"{"name":"c1","type":"conv2d","out_channels":6,"kernel":[5,5],"pading":[2,2]}"#;
        assert!(fault(json).starts_with("layer c1: unknown field `pading`"), "{}", fault(json));
        assert_eq!(fault(r#"{"name":"a","type":"relu","slope":0.1}"#), "layer a: unknown field `slope`");
        let json = r#"{"name":"s","type":"sequential","layers":[{"name":"a","type":"tanh","x":1}]}"#;
        assert_eq!(fault(json), "layer s: layer a: unknown field `x`");
        assert_eq!(fault(r#"{"type":"relu"}"#), "missing field `name` of a layer");
    }
}
