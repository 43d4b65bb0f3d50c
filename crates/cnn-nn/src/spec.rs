//! Networks as plain data: every layer has a small description that serde can write and read.
//!
//! Input shapes are never stated: they are inferred when the model is built. A list of builder calls reads like a table
//!
//! ```
//! use cnn_nn::spec::{conv2d, flatten, linear, max_pool2d, relu};
//! use cnn_nn::{Graph, layers};
//! let layers = layers![
//!     conv2d(6, 5).padding(2),
//!     relu(),
//!     max_pool2d(2),
//!     flatten(),
//!     linear(10).named("fc"),
//! ];
//! let net = Graph::build(layers, [1, 28, 28], 0)?;
//! assert_eq!(net.parameter_count(), 6 * 25 + 6 + 10 * 6 * 14 * 14 + 10);
//! # Ok::<(), cnn_nn::NnError>(())
//! ```
//!
//! A function takes the options that have no default, and a method of the option's name sets each of the others. Options have
//! PyTorch's names, and those of the operations in [`cnn_ops`]. A size is one number or a [`Pair`]. Nothing is checked before the
//! model is built. A layer without a [name](LayerSpec::named) is named by its [position](crate::layers!).

mod activation;
mod arithmetic_by;
mod container;
mod conv;
mod dropout;
mod graph;
mod join;
mod linear;
mod list;
mod norm;
mod own;
mod pool;
mod rbf;
mod reduce;
mod sequence;
mod shape;

pub use activation::*;
pub use arithmetic_by::*;
pub use cnn_ops::{Margins, Pair};
pub use container::*;
pub use conv::*;
pub use dropout::*;
pub use graph::*;
pub use join::*;
pub use linear::*;
pub use list::{Listed, by_position};
pub use norm::*;
pub use own::*;
pub use pool::*;
pub use rbf::*;
pub use reduce::*;
pub use sequence::*;
pub use shape::*;

use crate::kinds::KINDS;
use crate::own::REGISTRY;
use cnn_ops::reduce::Over;
use cnn_ops::{
    Activation, AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, Concat, Crop2d, LocalResponseNorm,
    LogSoftmax, MatMul, MaxPool2d, Pad2d, Permute, PixelShuffle, PixelUnshuffle, Reshape, Slice, Softmax,
    Split, Stack, Upsample2d,
};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The description of one layer. In JSON, `{"type": "conv2d", "out_channels": 6, "kernel": [5, 5], ...}`.
///
/// A type that the library does not have must have been [registered](crate::register) by the program. Otherwise it is an error,
/// which names the nearest type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LayerSpec {
    /// Convolution.
    Conv2d(Conv2dSpec),
    /// Convolution by a table of connections.
    Conv2dTable(Conv2dTableSpec),
    /// Transposed convolution.
    ConvTranspose2d(ConvTranspose2dSpec),
    /// Fully connected layer.
    Linear(LinearSpec),
    /// Max pooling.
    MaxPool2d(MaxPool2d),
    /// Max pooling with a second output, the positions of the maxima.
    #[serde(rename = "max_pool2d_with_indices")]
    MaxPool2dWithIndices(MaxPool2d),
    /// Values placed where a pooling found its maxima. Reads the values, the positions, and a tensor of the wanted shape.
    #[serde(rename = "max_unpool2d")]
    MaxUnpool2d,
    /// Average pooling.
    AvgPool2d(AvgPool2d),
    /// Average pooling to a given height and width.
    AdaptiveAvgPool2d(AdaptiveAvgPool2d),
    /// Max pooling to a given height and width.
    AdaptiveMaxPool2d(AdaptiveMaxPool2d),
    /// The mean of each channel.
    GlobalAvgPool2d,
    /// The maximum of each channel.
    GlobalMaxPool2d,
    /// LeNet-5's trainable subsampling.
    Subsample(SubsampleSpec),
    /// A max pooling, layers, and the matching unpooling.
    MaxPoolUnpool2d(MaxPoolUnpool2dSpec),
    /// Batch normalisation of `[n, c]` or `[n, c, l]`.
    BatchNorm1d(BatchNormSpec),
    /// Batch normalisation of `[n, c, h, w]`.
    BatchNorm2d(BatchNormSpec),
    /// Local response normalisation.
    LocalResponseNorm(LocalResponseNorm),
    /// Layer normalisation.
    LayerNorm(LayerNormSpec),
    /// Group normalisation.
    GroupNorm(GroupNormSpec),
    /// Dropout of elements, in training.
    Dropout {
        /// The probability of dropping an element.
        #[serde(default = "dropout::half")]
        p: f64,
    },
    /// Dropout of whole channels, in training.
    #[serde(rename = "dropout2d")]
    Dropout2d {
        /// The probability of dropping a channel.
        #[serde(default = "dropout::half")]
        p: f64,
    },
    /// A function of each element; in JSON under its own name: `{"type": "relu"}`.
    #[serde(skip)]
    Activation(Activation),
    /// `x` where `x > 0`, else a learned slope times `x`.
    Prelu(PreluSpec),
    /// Probabilities of the classes, axis 1 unless told otherwise.
    Softmax(Softmax),
    /// The logarithms of the probabilities of the classes, likewise.
    LogSoftmax(LogSoftmax),
    /// The expected position of each map: `[n, c, h, w]` to `[n, 2 c]`.
    #[serde(rename = "soft_argmax2d")]
    SoftArgmax2d,
    /// Squared distances from codes, the output layer of LeNet-5.
    Rbf(RbfSpec),
    /// `[n, c, h, w]` to `[n, c*h*w]`.
    Flatten,
    /// `[n, ...]` to `[n, shape...]`.
    Reshape(Reshape),
    /// Rows and columns added.
    Pad2d(Pad2d),
    /// Rows and columns removed.
    Crop2d(Crop2d),
    /// Channels to pixels.
    PixelShuffle(PixelShuffle),
    /// Pixels to channels.
    PixelUnshuffle(PixelUnshuffle),
    /// Resampling to another height and width, nearest, bilinear or bicubic.
    Upsample2d(Upsample2d),
    /// A row of a table for each index.
    Embedding(EmbeddingSpec),
    /// A long short-term memory.
    Lstm(LstmSpec),
    /// A gated recurrent unit.
    Gru(GruSpec),
    /// The matrix product of two tensors.
    Matmul(MatMul),
    /// Softmax over the last axis, restricted by a mask.
    MaskedSoftmax,
    /// The mean over axes.
    Mean(Over),
    /// The sum over axes.
    Sum(Over),
    /// The maximum over axes.
    Amax(Over),
    /// The minimum over axes.
    Amin(Over),
    /// A norm over axes.
    Norm(NormSpec),
    /// The axes in another order.
    Permute(Permute),
    /// Two axes swapped.
    Transpose {
        /// The axes, counted with the batch.
        dims: [usize; 2],
    },
    /// A range of positions of an axis.
    Slice(Slice),
    /// The sum of two tensors.
    Add,
    /// The difference of two tensors.
    Sub,
    /// The product of two tensors, element by element.
    Mul,
    /// The quotient of two tensors, element by element.
    Div,
    /// The larger of two tensors, element by element.
    Maximum,
    /// The smaller of two tensors, element by element.
    Minimum,
    /// Arithmetic with a tensor of the layer's own.
    ArithmeticBy(ArithmeticBySpec),
    /// Several tensors concatenated along an axis.
    Cat(Concat),
    /// One tensor split into several along an axis.
    Split(Split),
    /// Several tensors stacked along a new axis.
    Stack(Stack),
    /// A graph of nodes that read each other's outputs.
    Graph(GraphSpec),
    /// A custom layer.
    #[serde(skip)]
    Own(OwnSpec),
    /// Layers in sequence.
    Sequential {
        /// The layers.
        layers: Vec<NamedSpec>,
    },
    /// The output of layers, plus their input.
    Residual(ResidualSpec),
    /// Several branches that read the same input, with their outputs concatenated.
    Concat {
        /// The branches.
        branches: Vec<NamedSpec>,
    },
}

impl Serialize for LayerSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Own(spec) => spec.serialize(serializer),
            Self::Activation(activation) => activation.serialize(serializer),
            spec => Self::serialize(spec, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for LayerSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = Map::<String, Value>::deserialize(deserializer)?;
        let kind = keys.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind.is_empty() || KINDS.contains(&kind) {
            return Self::deserialize(Value::Object(keys)).map_err(D::Error::custom);
        }
        if Activation::NAMES.contains(&kind) {
            let activation = serde_json::from_value(Value::Object(keys)).map_err(D::Error::custom)?;
            return Ok(Self::Activation(activation));
        }
        if REGISTRY.get(kind).is_some() {
            return Ok(Self::Own(serde_json::from_value(Value::Object(keys)).map_err(D::Error::custom)?));
        }
        Err(D::Error::custom(REGISTRY.unknown("layer kind", kind)))
    }
}

/// A layer's description with its name, which is part of its parameters' names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct NamedSpec {
    /// The name: not empty, without a dot, and unique among its neighbours.
    pub name: String,
    /// The layer.
    #[serde(flatten)]
    pub layer: LayerSpec,
}

impl TryFrom<Map<String, Value>> for NamedSpec {
    type Error = serde_json::Error;

    /// Serde ignores unknown keys beside a flattened field. Here each key must be one that the layer itself would write, so
    /// that a misspelt option is an error.
    fn try_from(mut keys: Map<String, Value>) -> Result<Self, serde_json::Error> {
        let name = keys.remove("name").ok_or_else(|| Error::custom("missing field `name` of a layer"))?;
        let name: String = serde_json::from_value(name)?;
        let layer: LayerSpec = serde_json::from_value(Value::Object(keys.clone()))
            .map_err(|e| Error::custom(format!("layer {name}: {e}")))?;
        let known = serde_json::to_value(&layer)?;
        for (key, given) in &keys {
            let fault = match known.get(key.as_str()) {
                None => format!("unknown field `{key}`"),
                Some(read) if too_large(given, read) => format!("a number of field `{key}` is too large"),
                Some(_) => continue,
            };
            return Err(Error::custom(format!("layer {name}: {fault}")));
        }
        Ok(Self { name, layer })
    }
}

/// Whether a given number became infinite when it was read as `f32`, so that it could not be written again.
fn too_large(given: &Value, read: &Value) -> bool {
    match (given, read) {
        (Value::Number(_), Value::Null) => true,
        (Value::Array(given), Value::Array(read)) => {
            given.iter().zip(read).any(|(given, read)| too_large(given, read))
        }
        (Value::Object(given), Value::Object(read)) => {
            given.iter().any(|(key, given)| read.get(key).is_some_and(|read| too_large(given, read)))
        }
        _ => false,
    }
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

/// Adds `.into()` and `.named("...")`, which `LayerSpec` has, to a description with its own builder methods.
///
/// `described!(Builder => Variant, 0)` is for a builder that wraps the options of an operation, which the variant holds.
macro_rules! described {
    ($spec:ident => $variant:ident $(, $options:tt)?) => {
        impl From<$spec> for crate::LayerSpec {
            fn from(spec: $spec) -> Self {
                Self::$variant(spec $(.$options)?)
            }
        }

        impl $spec {
            /// This layer with a name.
            pub fn named(self, name: &str) -> crate::spec::NamedSpec {
                crate::LayerSpec::from(self).named(name)
            }
        }
    };
}
use described;

impl LayerSpec {
    /// This layer with a name.
    pub fn named(self, name: &str) -> NamedSpec {
        NamedSpec { name: name.into(), layer: self }
    }

    /// The kind of layer, as descriptions name it.
    pub fn kind(&self) -> String {
        let json = serde_json::to_value(self).unwrap_or_default();
        json.get("type").and_then(Value::as_str).unwrap_or("a layer").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Init;
    use crate::layers::testing::layer;
    use cnn_ops::pad2d::PadMode;
    use cnn_ops::pixel_shuffle::Order;
    use cnn_ops::upsample2d::{Coordinates, Interpolation, Rounding};
    use cnn_ops::{Arithmetic, Padding};

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
        let words = [
            (
                r#"{"type":"conv2d","out_channels":6,"kernel":[5,5],"padding":"same"}"#,
                conv2d(6, 5).padding(Padding::Same).into(),
            ),
            (
                r#"{"type":"conv2d","out_channels":6,"kernel":[5,5],"padding":[[0,1],[2,3]]}"#,
                conv2d(6, 5).padding([[0, 1], [2, 3]]).into(),
            ),
            (
                r#"{"type":"conv_transpose2d","out_channels":6,"kernel":[2,2],"padding":[[0,1],[0,0]]}"#,
                conv_transpose2d(6, 2).padding([[0, 1], [0, 0]]).into(),
            ),
            (r#"{"type":"max_pool2d","kernel":[2,2],"padding":[1,0]}"#, max_pool2d(2).padding([1, 0]).into()),
            (
                r#"{"type":"avg_pool2d","kernel":[2,2],"padding":"same_lower","dilation":[2,1]}"#,
                avg_pool2d(2).padding(Padding::SameLower).dilation([2, 1]).into(),
            ),
            (
                r#"{"type":"conv_transpose2d","out_channels":6,"kernel":[2,2],"stride":[2,2]}"#,
                conv_transpose2d(6, 2).stride(2).into(),
            ),
            (
                r#"{"type":"conv2d_table","table":[[0],[0,1]],"kernel":[5,5]}"#,
                conv2d_table([vec![0], vec![0, 1]], 5).into(),
            ),
        ];
        for (json, spec) in words {
            let spec: LayerSpec = spec;
            assert_eq!(serde_json::from_str::<LayerSpec>(json).unwrap(), spec);
        }
    }

    #[test]
    fn layers_of_shapes_are_written_like_this() {
        let read = |json: &str| serde_json::from_str::<NamedSpec>(json);
        let same = |json: &str, spec: LayerSpec| {
            let named = read(json).unwrap();
            assert_eq!(named.layer, spec);
            assert_eq!(read(&serde_json::to_string(&named).unwrap()).unwrap(), named);
        };
        let open = Reshape { shape: vec![Some(16), None] };
        same(r#"{"name":"a","type":"reshape","shape":[16,null]}"#, LayerSpec::Reshape(open));
        same(r#"{"name":"a","type":"pad2d","padding":[[1,1],[1,1]]}"#, pad2d(1).into());
        let json = r#"{"name":"a","type":"pad2d","padding":[[1,2],[3,4]],"mode":"reflect"}"#;
        same(json, pad2d([[1, 2], [3, 4]]).mode(PadMode::Reflect).into());
        let json = r#"{"name":"a","type":"pad2d","padding":[[1,1],[2,2]],"mode":{"constant":0.5}}"#;
        same(json, pad2d([1, 2]).mode(PadMode::Constant(0.5)).into());
        let json = r#"{"name":"a","type":"pad2d","padding":[[1,1],[2,2]],"mode":"circular"}"#;
        same(json, pad2d([1, 2]).mode(PadMode::Circular).into());
        same(r#"{"name":"a","type":"crop2d","margins":[[1,1],[2,2]]}"#, crop2d([1, 2]));
        same(r#"{"name":"a","type":"upsample2d","scale":[2,2]}"#, upsample2d(2.0).into());
        let json = r#"{"name":"a","type":"upsample2d","size":[7,9],"mode":"bilinear","align_corners":true}"#;
        let spec = upsample2d_to_size([7, 9]).mode(Interpolation::Bilinear).align_corners(true);
        same(json, spec.into());
        let json = r#"{"name":"a","type":"upsample2d","size":[7,9],"coordinates":"half_pixel","rounding":"round_prefer_ceil"}"#;
        let exact = upsample2d_to_size([7, 9]).coordinates(Coordinates::HalfPixel);
        same(json, exact.rounding(Rounding::RoundPreferCeil).into());
        let fault = |json| read(json).unwrap_err().to_string();
        let both = r#"{"name":"a","type":"upsample2d","size":[7,9],"scale":[2,2]}"#;
        assert_eq!(fault(both), "layer a: upsample2d: expected one of size and scale");
        assert_eq!(fault(r#"{"name":"a","type":"upsample2d"}"#), fault(both));
        same(r#"{"name":"a","type":"pixel_shuffle","factor":2}"#, pixel_shuffle(2).into());
        let json = r#"{"name":"a","type":"pixel_unshuffle","factor":3,"order":"blocks_first"}"#;
        same(json, pixel_unshuffle(3).order(Order::BlocksFirst).into());
        let unknown = r#"{"name":"a","type":"crop2d","margins":[[1,1],[2,2]],"mode":"zeros"}"#;
        assert!(fault(unknown).starts_with("layer a: unknown field `mode`"), "{}", fault(unknown));
    }

    #[test]
    fn activations_are_written_like_this() {
        let read = |json: &str| serde_json::from_str::<LayerSpec>(json).unwrap();
        let same = |json: &str, spec: LayerSpec| {
            assert_eq!(read(json), spec);
            assert_eq!(read(&serde_json::to_string(&spec).unwrap()), spec);
        };
        same(r#"{"type":"relu6"}"#, relu6());
        same(r#"{"type":"leaky_relu"}"#, leaky_relu(0.01));
        same(r#"{"type":"leaky_relu","slope":0.5}"#, leaky_relu(0.5));
        same(r#"{"type":"prelu"}"#, prelu().into());
        same(r#"{"type":"prelu","per_channel":true,"init":0.5}"#, prelu().per_channel(true).init(0.5).into());
        same(r#"{"type":"elu"}"#, elu(1.0));
        same(r#"{"type":"softplus"}"#, softplus());
        same(r#"{"type":"softplus","beta":2.0}"#, Activation::Softplus { beta: 2.0, threshold: 20.0 }.into());
        same(r#"{"type":"gelu"}"#, gelu());
        same(r#"{"type":"gelu","approximate":"none"}"#, gelu());
        same(r#"{"type":"gelu","approximate":"tanh"}"#, gelu_tanh());
        same(r#"{"type":"silu"}"#, silu());
        same(r#"{"type":"hard_sigmoid"}"#, hard_sigmoid());
        same(r#"{"type":"hard_swish"}"#, hard_swish());
        let onnx = Activation::HardSigmoid { alpha: 0.2, beta: 0.5 };
        same(r#"{"type":"hard_sigmoid","alpha":0.2}"#, onnx.into());
        same(r#"{"type":"hardtanh"}"#, hardtanh(-1.0, 1.0));
        same(r#"{"type":"hardtanh","min_val":0.0,"max_val":3.4028235e38}"#, hardtanh(0.0, f32::MAX));
        same(r#"{"type":"threshold","threshold":0.5,"value":2.0}"#, threshold(0.5, 2.0));
        same(r#"{"type":"celu","alpha":2.0}"#, celu(2.0));
        same(r#"{"type":"power","exponent":3.0}"#, power(3.0));
        same(r#"{"type":"softmax"}"#, softmax());
        same(r#"{"type":"log_softmax"}"#, log_softmax());
        same(r#"{"type":"softmax","dim":2}"#, softmax_over(2));
        same(r#"{"type":"log_softmax","dim":3}"#, log_softmax_over(3));
        same(r#"{"type":"rbf","out_features":3}"#, rbf(3).into());
        same(r#"{"type":"rbf","out_features":3,"trainable":true}"#, rbf(3).trainable(true).into());
        same(r#"{"type":"rbf","out_features":10,"codes":"digits"}"#, rbf(10).codes(Codes::Digits).into());
    }

    /// The operation's own descriptions have the same names and defaults.
    #[test]
    fn an_activation_is_described_alike_in_both_crates() {
        for name in Activation::NAMES.iter().copied() {
            let json = format!(r#"{{"type":"{name}"}}"#);
            let function = serde_json::from_str::<Activation>(&json).unwrap();
            assert_eq!(function.name(), name);
            let described = layer(serde_json::from_str::<LayerSpec>(&json).unwrap(), [2, 50]);
            let mut x = cnn_tensor::testing::distinct([2, 50], 1);
            // Not below 0, where some functions are NaN, which equals nothing.
            let positive = ["log", "sqrt"].contains(&name);
            x.data_mut().iter_mut().for_each(|x| *x = if positive { x.abs() } else { 30.0 * *x });
            let y = described.infer(x.clone().into()).unwrap();
            assert_eq!((described.kind(), &y[0]), (name, &function.infer(x)));
        }
    }

    #[test]
    fn joins_are_written_like_this() {
        let same = |json: &str, spec: LayerSpec| {
            let read: LayerSpec = serde_json::from_str(json).unwrap();
            assert_eq!(read, spec);
            assert_eq!(
                serde_json::from_str::<LayerSpec>(&serde_json::to_string(&spec).unwrap()).unwrap(),
                spec
            );
        };
        same(r#"{"type":"add"}"#, add());
        same(r#"{"type":"sub"}"#, sub());
        same(r#"{"type":"mul"}"#, mul());
        same(r#"{"type":"div"}"#, div());
        same(r#"{"type":"maximum"}"#, maximum());
        same(r#"{"type":"minimum"}"#, minimum());
        let scale = arithmetic_by(Arithmetic::Mul, [768, 1, 1]);
        same(r#"{"type":"arithmetic_by","op":"mul","shape":[768,1,1]}"#, scale.into());
        let json = r#"{"type":"arithmetic_by","op":"sub","shape":[],"reversed":true,"trained":false,"init":{"constant":1.0}}"#;
        let from_1 =
            arithmetic_by(Arithmetic::Sub, []).reversed(true).trained(false).init(Init::Constant(1.0));
        same(json, from_1.into());
        same(r#"{"type":"cat","dim":1}"#, cat(1));
        same(r#"{"type":"split","dim":1,"sizes":[2,3]}"#, split(1, [2, 3]));
        same(r#"{"type":"stack","dim":2}"#, stack(2));
        same(r#"{"type":"slice","dim":1,"start":1,"end":-2}"#, slice(1, 1, -2).into());
        same(r#"{"type":"slice","dim":1}"#, slice(1, 0, None).into());
        same(r#"{"type":"slice","dim":1,"step":2}"#, slice(1, 0, None).step(2).into());
        same(r#"{"type":"permute","dims":[0,2,1]}"#, permute([0, 2, 1]));
        same(r#"{"type":"mean","dims":[2,3]}"#, mean([2, 3]).into());
        same(r#"{"type":"sum","dims":[1],"keepdim":true}"#, sum([1]).keepdim(true).into());
        same(r#"{"type":"amax","dims":[1]}"#, amax([1]).into());
        same(r#"{"type":"amin","dims":[1]}"#, amin([1]).into());
        same(r#"{"type":"norm","dims":[1]}"#, norm([1]).into());
        same(r#"{"type":"norm","p":1,"dims":[1],"keepdim":true}"#, norm([1]).p(1).keepdim(true).into());
        let json = r#"{"type":"max_pool2d_with_indices","kernel":[2,2]}"#;
        same(json, max_pool2d_with_indices(max_pool2d(2)));
        same(r#"{"type":"max_unpool2d"}"#, max_unpool2d());
    }

    /// The same options set by the same words, on the operation and on its description.
    #[test]
    fn builders_have_the_words_of_the_operations() {
        let conv =
            cnn_ops::Conv2d::new([3, 5]).stride(2).padding([[1, 0], [2, 3]]).dilation([1, 2]).groups(2);
        let spec = conv2d(6, [3, 5]).stride(2).padding([[1, 0], [2, 3]]).dilation([1, 2]).groups(2);
        assert_eq!(spec.options(), conv);
        let transposed = cnn_ops::ConvTranspose2d::new(3).stride([2, 3]).padding(1).output_padding([1, 2]);
        let spec = conv_transpose2d(6, 3).stride([2, 3]).padding(1).output_padding([1, 2]);
        assert_eq!(spec.dilation(2).groups(3).options(), transposed.dilation(2).groups(3));
        let table = cnn_ops::Conv2dTable::new([[0], [1]], 5).stride(2).padding(Padding::Same);
        assert_eq!(conv2d_table([[0], [1]], 5).stride(2).padding(Padding::Same).options(), table);
        let max = MaxPool2d::new(3).stride([1, 2]).padding(1).dilation(2).ceil_mode(true);
        assert_eq!(max_pool2d(3).stride([1, 2]).padding(1).dilation(2).ceil_mode(true).0, max);
        let avg = AvgPool2d::new([2, 3]).stride(1).padding([0, 1]).count_include_pad(false);
        let spec = avg_pool2d([2, 3]).stride(1).padding([0, 1]).count_include_pad(false);
        assert_eq!(spec.ceil_mode(true).divisor_override(4).0, avg.ceil_mode(true).divisor_override(4));
        assert_eq!(subsample(2).stride([1, 2]).options(), cnn_ops::Subsample::new(2).stride([1, 2]));
        let adaptive = LayerSpec::AdaptiveMaxPool2d(AdaptiveMaxPool2d::new([2, 3]));
        assert_eq!(adaptive_max_pool2d([2, 3]), adaptive);
        assert_eq!(adaptive_avg_pool2d(2), LayerSpec::AdaptiveAvgPool2d(AdaptiveAvgPool2d::new(2)));
        let norm = cnn_ops::BatchNorm::default().eps(0.5).momentum(None);
        assert_eq!(batch_norm1d().eps(0.5).momentum(None).0.options(), norm);
        assert_eq!(batch_norm2d().momentum(0.5).0.options(), cnn_ops::BatchNorm::default().momentum(0.5));
        assert_eq!(layer_norm().axes(1).eps(0.5).options(), cnn_ops::LayerNorm::default().axes(1).eps(0.5));
        assert_eq!(group_norm(2).eps(0.5).options(), cnn_ops::GroupNorm::new(2).eps(0.5));
        let local = LocalResponseNorm::new(5).alpha(0.1).beta(0.2).k(2.0);
        assert_eq!(local_response_norm(5).alpha(0.1).beta(0.2).k(2.0).0, local);
        let by = cnn_ops::ArithmeticBy::new(Arithmetic::Sub).reversed(true);
        assert_eq!(arithmetic_by(Arithmetic::Sub, [2]).reversed(true).options(), by);
        assert_eq!(slice(1, -4, None).step(2).0, Slice::new(1, -4, None).step(2));
        assert_eq!(pad2d([1, 2]).mode(PadMode::Reflect).0, Pad2d::new([1, 2]).mode(PadMode::Reflect));
        assert_eq!(crop2d(1), LayerSpec::Crop2d(Crop2d::new(1)));
        let bilinear = Upsample2d::by_scale([1.5, 2.0]).mode(Interpolation::Bilinear).align_corners(true);
        let spec = upsample2d([1.5, 2.0]).mode(Interpolation::Bilinear).align_corners(true);
        assert_eq!(spec.0, bilinear);
        assert_eq!(upsample2d_to_size(7).0, Upsample2d::to_size(7));
        let product = MatMul::default().transpose_a(true).transpose_b(true);
        assert_eq!(matmul().transpose_a(true).transpose_b(true).0, product);
        assert_eq!(
            embedding(4, 2).padding_idx(1).padding_idx,
            cnn_ops::Embedding::default().padding_idx(1).padding_idx
        );
        assert_eq!(lstm(3).reverse(true).reverse, cnn_ops::Lstm::default().reverse(true).reverse);
        assert_eq!(gru(3).reverse(true).reverse, cnn_ops::Gru::default().reverse(true).reverse);
    }

    /// Where serde finds no kind, it lists those that it knows by itself: all but the activations.
    #[test]
    fn the_list_of_kinds_is_complete() {
        let fault = serde_json::from_str::<LayerSpec>(r#"{"type":""}"#).unwrap_err().to_string();
        let listed: Vec<&str> = fault.split('`').skip(3).step_by(2).collect();
        assert_eq!(listed, KINDS, "{fault}");
    }

    #[test]
    fn every_layer_knows_its_kind() {
        let own = LayerSpec::Own(OwnSpec { kind: "mine".into(), options: Map::new(), fault: None });
        assert_eq!(
            [relu().kind(), cat(1).kind(), residual(crate::layers![]).named("a").layer.kind(), own.kind()],
            ["relu", "cat", "residual", "mine"]
        );
    }

    #[test]
    fn of_an_unknown_kind_the_nearest_is_named() {
        let fault = |kind: &str| {
            let layer = serde_json::json!({"type": kind, "out_channels": 3});
            serde_json::from_value::<LayerSpec>(layer).unwrap_err().to_string()
        };
        let rule = "expected one of the library's, or one that was registered";
        assert_eq!(fault("conv2"), format!("unknown layer kind \"conv2\": {rule}; is \"conv2d\" meant?"));
        assert_eq!(
            fault("maxpool2d"),
            format!("unknown layer kind \"maxpool2d\": {rule}; is \"max_pool2d\" meant?")
        );
        assert_eq!(fault("x\n"), format!("unknown layer kind \"x\\n\": {rule}"));
        let named = r#"{"name":"a","type":"sequential","layers":[{"name":"b","type":"lineer"}]}"#;
        let fault = serde_json::from_str::<NamedSpec>(named).unwrap_err().to_string();
        assert!(fault.starts_with("layer a: layer b: unknown layer kind \"lineer\": "), "{fault}");
        assert!(fault.ends_with("is \"linear\" meant?"), "{fault}");
        let missing = serde_json::from_str::<LayerSpec>(r#"{"out_channels":3}"#).unwrap_err().to_string();
        assert_eq!(missing, "missing field `type`");
    }

    #[test]
    fn a_number_that_f32_cannot_hold_is_an_error() {
        let fault = |json| serde_json::from_str::<NamedSpec>(json).unwrap_err().to_string();
        let json = r#"{"name":"p","type":"pad2d","padding":[[1,1],[2,2]],"mode":{"constant":1e39}}"#;
        assert_eq!(fault(json), "layer p: a number of field `mode` is too large");
        let json = r#"{"name":"l","type":"linear","out_features":1,"init":{"constant":-1e39}}"#;
        assert_eq!(fault(json), "layer l: a number of field `init` is too large");
    }

    #[test]
    fn a_misspelt_option_is_an_error() {
        let fault = |json| serde_json::from_str::<NamedSpec>(json).unwrap_err().to_string();
        let json = r#"{"name":"c1","type":"conv2d","out_channels":6,"kernel":[5,5],"pading":[2,2]}"#;
        assert!(fault(json).starts_with("layer c1: unknown field `pading`"), "{}", fault(json));
        let relu = fault(r#"{"name":"a","type":"relu","slope":0.1}"#);
        assert_eq!(relu, "layer a: unknown field `slope`, there are no fields");
        let json = r#"{"name":"s","type":"sequential","layers":[{"name":"a","type":"tanh","x":1}]}"#;
        assert_eq!(fault(json), "layer s: layer a: unknown field `x`, there are no fields");
        assert_eq!(fault(r#"{"type":"relu"}"#), "missing field `name` of a layer");
    }
}
