//! Normalisations.

use super::{LayerSpec, yes};
use cnn_ops::LocalResponseNorm;
use serde::{Deserialize, Serialize};

/// PyTorch's addition to a variance.
fn eps() -> f64 {
    1e-5
}

/// PyTorch's share of the new batch in running statistics.
fn momentum() -> Option<f64> {
    Some(0.1)
}

/// A batch normalisation: PyTorch's `nn.BatchNorm1d` and `nn.BatchNorm2d` without the number of channels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNormSpec {
    /// Added to the variance; above 0.
    #[serde(default = "eps")]
    pub eps: f64,
    /// The share of the new batch in the running statistics, from 0 to 1; `null` averages all batches alike.
    #[serde(default = "momentum")]
    pub momentum: Option<f64>,
    /// Whether each channel has a weight and a bias.
    #[serde(default = "yes")]
    pub affine: bool,
}

impl Default for BatchNormSpec {
    /// PyTorch's.
    fn default() -> Self {
        Self { eps: eps(), momentum: momentum(), affine: true }
    }
}

impl BatchNormSpec {
    /// The options of the operation.
    pub fn options(&self) -> cnn_ops::BatchNorm {
        let Self { eps, momentum, .. } = *self;
        cnn_ops::BatchNorm { eps, momentum }
    }
}

/// A layer normalisation: PyTorch's `nn.LayerNorm` without the extents.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNormSpec {
    /// How many of the last axes are normalised together; `null`: all but the batch.
    #[serde(default)]
    pub axes: Option<usize>,
    /// Added to the variance; above 0.
    #[serde(default = "eps")]
    pub eps: f64,
    /// Whether each element has a weight and a bias.
    #[serde(default = "yes")]
    pub affine: bool,
}

impl Default for LayerNormSpec {
    /// All axes but the batch, and PyTorch's options.
    fn default() -> Self {
        Self { axes: None, eps: eps(), affine: true }
    }
}

impl LayerNormSpec {
    /// The options of the operation.
    pub fn options(&self) -> cnn_ops::LayerNorm {
        let Self { axes, eps, .. } = *self;
        cnn_ops::LayerNorm { axes, eps }
    }
}

/// A group normalisation: PyTorch's `nn.GroupNorm` without the number of channels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNormSpec {
    /// The number of groups, a divisor of the channels.
    pub groups: usize,
    /// Added to the variance; above 0.
    #[serde(default = "eps")]
    pub eps: f64,
    /// Whether each channel has a weight and a bias.
    #[serde(default = "yes")]
    pub affine: bool,
}

impl GroupNormSpec {
    /// The options of the operation.
    pub fn options(&self) -> cnn_ops::GroupNorm {
        let Self { groups, eps, .. } = *self;
        cnn_ops::GroupNorm { groups, eps }
    }
}

/// Batch normalisation of feature vectors `[n, c]` or sequences `[n, c, l]`, with PyTorch's options.
pub fn batch_norm1d() -> LayerSpec {
    LayerSpec::BatchNorm1d(BatchNormSpec::default())
}

/// Batch normalisation of images `[n, c, h, w]`, with PyTorch's options.
pub fn batch_norm2d() -> LayerSpec {
    LayerSpec::BatchNorm2d(BatchNormSpec::default())
}

/// Local response normalisation over `size` channels, with PyTorch's options.
pub fn local_response_norm(size: usize) -> LayerSpec {
    LayerSpec::LocalResponseNorm(LocalResponseNorm::new(size))
}

/// Layer normalisation over all axes but the batch, with PyTorch's options.
pub fn layer_norm() -> LayerSpec {
    LayerSpec::LayerNorm(LayerNormSpec::default())
}

/// Group normalisation, with PyTorch's options.
pub fn group_norm(groups: usize) -> LayerSpec {
    LayerSpec::GroupNorm(GroupNormSpec { groups, eps: eps(), affine: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{NamedSpec, dropout, dropout2d};

    #[test]
    fn options_that_are_left_out_are_those_of_pytorch() {
        let parse = |json: &str| serde_json::from_str::<LayerSpec>(json).unwrap();
        let cumulative = BatchNormSpec { momentum: None, ..Default::default() };
        for (json, want) in [
            (r#"{"type":"batch_norm1d"}"#, batch_norm1d()),
            (r#"{"type":"batch_norm2d"}"#, batch_norm2d()),
            (r#"{"type":"batch_norm2d","momentum":null}"#, LayerSpec::BatchNorm2d(cumulative)),
            (r#"{"type":"local_response_norm","size":5}"#, local_response_norm(5)),
            (r#"{"type":"layer_norm"}"#, layer_norm()),
            (r#"{"type":"group_norm","groups":3}"#, group_norm(3)),
            (r#"{"type":"dropout"}"#, dropout(0.5)),
            (r#"{"type":"dropout2d"}"#, dropout2d(0.5)),
            (r#"{"type":"dropout2d","p":0.25}"#, dropout2d(0.25)),
        ] {
            assert_eq!(parse(json), want);
            assert_eq!(parse(&serde_json::to_string(&want).unwrap()), want);
        }
        let named = r#"{"name":"bn","type":"batch_norm2d","momentum":null,"eps":0.001,"affine":false}"#;
        let spec: NamedSpec = serde_json::from_str(named).unwrap();
        let want = BatchNormSpec { momentum: None, eps: 1e-3, affine: false };
        assert_eq!(spec.layer, LayerSpec::BatchNorm2d(want));
    }
}
