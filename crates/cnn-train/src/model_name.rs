//! The network that a command works with.

use crate::nearest;
use crate::onnx::{self, Preparation};
use cnn_data::PathText;
use cnn_zoo::{Images, NetworkName, Recipe, Takes};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

/// A network of the zoo by its name, or one in a file. In JSON a string, or an object with the file.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelName {
    Zoo(NetworkName),
    File(ModelFile),
}

/// A model in a file: ONNX, or one that this library wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    file: PathText,
    #[serde(default, skip_serializing_if = "Preparation::is_empty")]
    pub preparation: Preparation,
}

impl ModelFile {
    pub fn path(&self) -> PathBuf {
        self.file.clone().into()
    }
}

/// A network for a command line: a name of the zoo, or else a path that looks like one or exists.
pub fn model(text: &str) -> Result<ModelName, String> {
    let network = nearest::network(text);
    let path = Path::new(text);
    let names_a_file = || {
        let ends_as_a_model = path.extension().is_some_and(|ending| ending == "safetensors");
        onnx::is_onnx(path) || ends_as_a_model || text.contains(['/', '\\']) || path.is_file()
    };
    match network {
        Ok(network) => Ok(ModelName::Zoo(network)),
        Err(_) if names_a_file() => {
            let preparation = Preparation::default();
            Ok(ModelName::File(ModelFile { file: path.to_path_buf().into(), preparation }))
        }
        Err(fault) => Err(format!("{fault}; or a model's file")),
    }
}

impl ModelName {
    /// The same, with images prepared so.
    #[must_use]
    pub fn prepared(self, preparation: &Preparation) -> Self {
        match self {
            Self::File(model) => Self::File(ModelFile { preparation: preparation.clone(), ..model }),
            zoo => zoo,
        }
    }

    /// The network of the zoo.
    pub fn network(&self) -> Option<NetworkName> {
        match self {
            Self::Zoo(network) => Some(*network),
            Self::File(_) => None,
        }
    }

    /// The name in titles.
    pub fn title(&self) -> String {
        match self {
            Self::Zoo(network) => network.title.into(),
            Self::File(_) => self.to_string(),
        }
    }

    pub fn takes(&self) -> Takes {
        self.network().map_or(Takes::Any, |network| network.takes)
    }

    /// How it is trained on such images.
    pub fn recipe(&self, images: Images) -> Recipe {
        self.network().map_or_else(|| Recipe::usual(images), |network| (network.recipe)(images))
    }

    /// The same network where `other` lies, if both are files; paths are no part of what a network is.
    #[must_use]
    pub fn moved_to(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::File(ours), Self::File(other)) => {
                Self::File(ModelFile { file: other.file.clone(), ..ours.clone() })
            }
            _ => self.clone(),
        }
    }

    /// This network as an option of a later command names it: the options of its images count if there are any. `None`: it is
    /// another network.
    pub fn renamed(&self, later: &Self) -> Option<Self> {
        match (self, later) {
            (Self::File(_), Self::File(later)) if later.preparation.is_empty() => {
                Some(self.moved_to(&Self::File(later.clone())))
            }
            (Self::File(_), Self::File(_)) => Some(later.clone()),
            _ => (self == later).then(|| self.clone()),
        }
    }
}

impl From<NetworkName> for ModelName {
    fn from(network: NetworkName) -> Self {
        Self::Zoo(network)
    }
}

/// The name of the network, or that of the file without its ending.
impl Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zoo(network) => network.fmt(f),
            Self::File(model) => match model.path().file_stem() {
                Some(stem) => stem.to_string_lossy().fmt(f),
                None => f.write_str("model"),
            },
        }
    }
}

impl Serialize for ModelName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Zoo(network) => network.serialize(serializer),
            Self::File(model) => model.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ModelName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let value = Value::deserialize(deserializer)?;
        match value {
            Value::Object(_) => serde_json::from_value(value).map(Self::File),
            value => serde_json::from_value(value).map(Self::Zoo),
        }
        .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_before_files_and_both_come_back_from_json() {
        let file = |text: &str| matches!(model(text), Ok(ModelName::File(_)));
        assert!(
            !file("lenet") && file("x.onnx") && file("X.ONNX") && file("a/lenet") && file("m.safetensors")
        );
        let fault = model("lenett").unwrap_err();
        assert!(fault.ends_with("is \"lenet\" meant?; or a model's file"), "{fault}");
        for text in ["lenet", "models/x.onnx"] {
            let name = model(text).unwrap();
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<ModelName>(&json).unwrap(), name);
        }
        let name = model("models/x.onnx").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), r#"{"file":"models/x.onnx"}"#);
        assert_eq!((name.to_string().as_str(), name.title().as_str()), ("x", "x"));
        let fault = serde_json::from_str::<ModelName>("\"resnet\"").unwrap_err().to_string();
        assert!(fault.contains("expected one of lenet"), "{fault}");
    }

    #[test]
    fn a_run_goes_on_with_its_own_preparation_wherever_the_file_lies() {
        let caffe = Preparation { preprocess: Some(onnx::Preset::Caffe), ..Preparation::default() };
        let begun = model("a/x.onnx").unwrap().prepared(&caffe);
        let (moved, other) = (model("b/x.onnx").unwrap(), model("lenet").unwrap());
        assert_eq!(begun.renamed(&moved), Some(model("b/x.onnx").unwrap().prepared(&caffe)));
        assert_eq!(moved.renamed(&begun), Some(begun.clone()));
        assert_eq!(moved.moved_to(&begun), model("a/x.onnx").unwrap());
        assert_eq!((begun.renamed(&other), other.renamed(&begun)), (None, None));
        assert_eq!((other.renamed(&other), other.moved_to(&begun)), (Some(other.clone()), other));
    }
}
