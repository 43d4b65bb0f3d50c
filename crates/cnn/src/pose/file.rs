//! The file of a cascade: all stages in one safetensors file.

use super::{Look, PoseModel, PoseStage};
use crate::Error;
use cnn_data::pose::Skeleton;
use cnn_nn::{Model, ModelSpec, NnError, checkpoint};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

const FORMAT: &str = "cnn-pose";
const VERSION: u32 = 1;

/// The description in the file's metadata. The tensors of stage 1 have the prefix `stage1.`, and so on.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    version: u32,
    /// The name of the skeleton.
    skeleton: String,
    stages: Vec<Stage>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stage {
    look: Look,
    model: ModelSpec,
}

impl PoseModel {
    /// Writes all stages to one safetensors file. An existing file at `path` stays intact until the new one is complete.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let stage = |stage: &PoseStage| Stage { look: stage.look, model: stage.model.spec.clone() };
        let header = Header {
            format: FORMAT.into(),
            version: VERSION,
            skeleton: self.skeleton.name.into(),
            stages: self.stages.iter().map(stage).collect(),
        };
        let description = serde_json::to_string(&header).map_err(|e| fault(path, e.to_string()))?;
        let mut tensors = Vec::new();
        for (i, stage) in self.stages.iter().enumerate() {
            let named = |(name, tensor)| (format!("stage{}.{name}", i + 1), tensor);
            tensors.extend(stage.model.net.tensors().into_iter().map(named));
        }
        Ok(checkpoint::save(path, &description, &tensors)?)
    }

    /// Loads a cascade for the joints of `skeleton` from a file that [`PoseModel::save`] wrote.
    ///
    /// # Errors
    /// The file cannot be read, is not that of a cascade, is of another skeleton, or has a tensor too few or too many.
    pub fn load(path: impl AsRef<Path>, skeleton: &'static Skeleton) -> Result<Self, Error> {
        let path = path.as_ref();
        let saved = checkpoint::load(path)?.whole(path)?;
        let expected = "expected the cascade of networks that train-pose writes";
        let Some(description) = saved.description else {
            return Err(fault(path, format!("{expected}, got weights without a description")).into());
        };
        let unreadable = |e: serde_json::Error| fault(path, format!("{expected}: {e}"));
        let found: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(&description).map_err(unreadable)?;
        let is = |key: &str, value: serde_json::Value| found.get(key) == Some(&value);
        if !(is("format", FORMAT.into()) && is("version", VERSION.into())) {
            let kind = |key: &str| found.get(key).map_or("none".into(), ToString::to_string);
            let got = format!("format {} version {}", kind("format"), kind("version"));
            return Err(fault(path, format!("{expected}, got {got}")).into());
        }
        let header: Header = serde_json::from_str(&description).map_err(unreadable)?;
        if header.skeleton != skeleton.name {
            let fault =
                fault(path, format!("expected the joints of {}, got {}", skeleton.name, header.skeleton));
            return Err(fault.into());
        }
        let mut tensors = saved.tensors;
        let mut stages = Vec::with_capacity(header.stages.len());
        for (i, Stage { look, model }) in header.stages.into_iter().enumerate() {
            let prefix = format!("stage{}.", i + 1);
            let (mut own, mut others) = (BTreeMap::new(), BTreeMap::new());
            for (name, tensor) in tensors {
                match name.strip_prefix(&prefix) {
                    Some(name) => own.insert(name.to_string(), tensor),
                    None => others.insert(name, tensor),
                };
            }
            tensors = others;
            let model = Model::from_tensors(model, own).map_err(|fault| fault.in_file(path))?;
            stages.push(PoseStage { model, look });
        }
        if let Some(name) = tensors.keys().next() {
            return Err(
                fault(path, format!("parameter {name}: the cascade expects none of that name")).into()
            );
        }
        Self::new(stages, skeleton)
    }
}

fn fault(path: &Path, fault: String) -> NnError {
    NnError::File { path: path.into(), fault }
}
