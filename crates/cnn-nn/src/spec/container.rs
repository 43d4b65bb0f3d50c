//! Containers: layers made of layers.

use super::{LayerSpec, NamedSpec, described};
use serde::{Deserialize, Serialize};

/// Layers one after the other, as one.
pub fn sequential(layers: impl IntoIterator<Item = NamedSpec>) -> LayerSpec {
    LayerSpec::Sequential { layers: layers.into_iter().collect() }
}

/// Several layers of one input, their outputs side by side as channels.
pub fn concat(branches: impl IntoIterator<Item = NamedSpec>) -> LayerSpec {
    LayerSpec::Concat { branches: branches.into_iter().collect() }
}

/// What layers make of their input, plus the input itself. In JSON, `{"type": "residual", "layers": [...]}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualSpec {
    /// The layers of the body, one after the other.
    pub layers: Vec<NamedSpec>,
    /// What the input passes through before it is added; without it, it is added as it is.
    #[serde(default)]
    pub shortcut: Option<Box<NamedSpec>>,
    /// Layers that the sum passes through.
    #[serde(default)]
    pub after: Vec<NamedSpec>,
}

described!(ResidualSpec => Residual);

/// What `layers`, one after the other, make of their input, plus the input.
pub fn residual(layers: impl IntoIterator<Item = NamedSpec>) -> ResidualSpec {
    ResidualSpec { layers: layers.into_iter().collect(), shortcut: None, after: Vec::new() }
}

impl ResidualSpec {
    /// The same with the input passing through a layer before it is added.
    #[must_use]
    pub fn shortcut(self, layer: NamedSpec) -> Self {
        Self { shortcut: Some(Box::new(layer)), ..self }
    }

    /// The same with layers that the sum passes through.
    #[must_use]
    pub fn after(self, layers: impl IntoIterator<Item = NamedSpec>) -> Self {
        Self { after: layers.into_iter().collect(), ..self }
    }
}
