//! Custom layers.

use super::LayerSpec;
use crate::Own;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A custom layer: its kind, and its options as its type reads them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnSpec {
    /// The kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// The options.
    #[serde(flatten)]
    pub options: Map<String, Value>,
    /// The reason why the options could not be written.
    #[serde(skip)]
    pub(crate) fault: Option<String>,
}

/// A custom layer, described by its options; see [`Own`]. [Registers](crate::register) its type.
pub fn own<L: Own>(layer: &L) -> LayerSpec {
    let (options, fault) = match crate::own::options(layer) {
        Ok(options) => (options, None),
        Err(fault) => (Map::new(), Some(fault)),
    };
    LayerSpec::Own(OwnSpec { kind: L::KIND.into(), options, fault })
}
