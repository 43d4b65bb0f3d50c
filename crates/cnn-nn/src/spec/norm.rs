//! Normalisations.

use super::{described, yes};
use cnn_ops::LocalResponseNorm;
use serde::{Deserialize, Serialize};

/// PyTorch's default for `eps`.
fn eps() -> f64 {
    1e-5
}

/// PyTorch's default for `momentum`.
fn momentum() -> Option<f64> {
    Some(0.1)
}

/// The options of a batch normalisation: those of PyTorch's `nn.BatchNorm1d` and `nn.BatchNorm2d` without the number of channels.
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
    /// PyTorch's options.
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

/// A batch normalisation of `[n, c]` or `[n, c, l]` with its options: `batch_norm1d().eps(1e-3)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm1dSpec(pub BatchNormSpec);

/// A batch normalisation of `[n, c, h, w]` with its options: `batch_norm2d().eps(1e-3)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm2dSpec(pub BatchNormSpec);

/// A local response normalisation with its options: `local_response_norm(5).k(2.0)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalResponseNormSpec(pub LocalResponseNorm);

described!(BatchNorm1dSpec => BatchNorm1d, 0);
described!(BatchNorm2dSpec => BatchNorm2d, 0);
described!(LocalResponseNormSpec => LocalResponseNorm, 0);
described!(LayerNormSpec => LayerNorm);
described!(GroupNormSpec => GroupNorm);

/// Batch normalisation of feature vectors `[n, c]` or sequences `[n, c, l]`, with PyTorch's options.
pub fn batch_norm1d() -> BatchNorm1dSpec {
    BatchNorm1dSpec(BatchNormSpec::default())
}

/// Batch normalisation of images `[n, c, h, w]`, with PyTorch's options.
pub fn batch_norm2d() -> BatchNorm2dSpec {
    BatchNorm2dSpec(BatchNormSpec::default())
}

/// Local response normalisation over `size` channels, with PyTorch's options.
pub fn local_response_norm(size: usize) -> LocalResponseNormSpec {
    LocalResponseNormSpec(LocalResponseNorm::new(size))
}

/// Layer normalisation over all axes but the batch, with PyTorch's options.
pub fn layer_norm() -> LayerNormSpec {
    LayerNormSpec::default()
}

/// Group normalisation, with PyTorch's options.
pub fn group_norm(groups: usize) -> GroupNormSpec {
    GroupNormSpec { groups, eps: eps(), affine: true }
}

/// The builders of the two batch normalisations.
macro_rules! batch_norm {
    ($spec:ident) => {
        impl $spec {
            /// Sets the number added to the variance.
            #[must_use]
            pub fn eps(self, eps: f64) -> Self {
                Self(BatchNormSpec { eps, ..self.0 })
            }

            /// Sets the share of the new batch in the running statistics; `None` averages all batches alike.
            #[must_use]
            pub fn momentum(self, momentum: impl Into<Option<f64>>) -> Self {
                Self(BatchNormSpec { momentum: momentum.into(), ..self.0 })
            }

            /// Sets whether there are weights and biases.
            #[must_use]
            pub fn affine(self, affine: bool) -> Self {
                Self(BatchNormSpec { affine, ..self.0 })
            }
        }
    };
}
batch_norm!(BatchNorm1dSpec);
batch_norm!(BatchNorm2dSpec);

impl LocalResponseNormSpec {
    /// Sets the weight of the mean square.
    #[must_use]
    pub fn alpha(self, alpha: f64) -> Self {
        Self(self.0.alpha(alpha))
    }

    /// Sets the exponent.
    #[must_use]
    pub fn beta(self, beta: f64) -> Self {
        Self(self.0.beta(beta))
    }

    /// Sets the number added to the squares.
    #[must_use]
    pub fn k(self, k: f64) -> Self {
        Self(self.0.k(k))
    }
}

impl LayerNormSpec {
    /// Sets how many of the last axes are normalised together.
    #[must_use]
    pub fn axes(self, axes: usize) -> Self {
        Self { axes: Some(axes), ..self }
    }

    /// Sets the number added to the variance.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// Sets whether there are weights and biases.
    #[must_use]
    pub fn affine(self, affine: bool) -> Self {
        Self { affine, ..self }
    }
}

impl GroupNormSpec {
    /// Sets the number added to the variance.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// Sets whether there are weights and biases.
    #[must_use]
    pub fn affine(self, affine: bool) -> Self {
        Self { affine, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{LayerSpec, NamedSpec, dropout, dropout2d};

    #[test]
    fn options_that_are_left_out_are_those_of_pytorch() {
        let parse = |json: &str| serde_json::from_str::<LayerSpec>(json).unwrap();
        for (json, want) in [
            (r#"{"type":"batch_norm1d"}"#, batch_norm1d().into()),
            (r#"{"type":"batch_norm2d"}"#, batch_norm2d().into()),
            (r#"{"type":"batch_norm2d","momentum":null}"#, batch_norm2d().momentum(None).into()),
            (r#"{"type":"local_response_norm","size":5}"#, local_response_norm(5).into()),
            (r#"{"type":"layer_norm"}"#, layer_norm().into()),
            (r#"{"type":"group_norm","groups":3}"#, group_norm(3).into()),
            (r#"{"type":"dropout"}"#, dropout(0.5)),
            (r#"{"type":"dropout2d"}"#, dropout2d(0.5)),
            (r#"{"type":"dropout2d","p":0.25}"#, dropout2d(0.25)),
        ] {
            assert_eq!(parse(json), want);
            assert_eq!(parse(&serde_json::to_string(&want).unwrap()), want);
        }
        let named = r#"{"name":"bn","type":"batch_norm2d","momentum":null,"eps":0.001,"affine":false}"#;
        let spec: NamedSpec = serde_json::from_str(named).unwrap();
        assert_eq!(spec, batch_norm2d().momentum(None).eps(1e-3).affine(false).named("bn"));
    }
}
