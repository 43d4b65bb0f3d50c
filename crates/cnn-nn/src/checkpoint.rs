//! Files of tensors, written atomically: a file is either old or new. PyTorch's files are read as well.
//!
//! The format is safetensors: a header in JSON with each tensor's name, element type, shape and position, then the
//! elements, little-endian. The header's metadata holds the model's description under the key `cnn`, and under `crc32` a
//! checksum over description, names, shapes and elements, which [`load`] verifies. The safetensors packages of every language
//! can read these files:
//!
//! ```text
//! >>> safetensors.safe_open("model.safetensors", "pt").metadata()["cnn"]
//! ```
//!
//! ```
//! use cnn_nn::checkpoint::{load, save};
//! use cnn_tensor::Tensor;
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("model.safetensors");
//! let weight = Tensor::full([2, 3], 0.5);
//! save(&path, r#"{"layers": []}"#, &[("fc.weight".into(), weight.clone())])?;
//! let saved = load(&path)?;
//! assert_eq!(saved.description.as_deref(), Some(r#"{"layers": []}"#));
//! assert_eq!(saved.tensors["fc.weight"], weight);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod digest;
mod elements;
mod pytorch;
mod write;

use crate::NnError;
use cnn_tensor::sniff::{FileKind, START};
use cnn_tensor::{Shape, Tensor, files};
use digest::Digest;
use safetensors::tensor::{Metadata, TensorInfo};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// The metadata keys of the description and of the checksum over all.
const DESCRIPTION: &str = "cnn";
const DIGEST: &str = "crc32";
/// The number of bytes before the header, which hold its length.
const PREFIX: usize = size_of::<u64>();

/// A checksum over a description and tensors, whose order counts.
pub(crate) fn checksum(description: &str, tensors: &[(String, Tensor)]) -> u32 {
    let mut digest = Digest::new(description);
    for (name, tensor) in tensors {
        let elements: Vec<u8> = tensor.data().iter().flat_map(|v| v.to_le_bytes()).collect();
        digest.tensor(name, tensor.shape().dims(), &elements);
    }
    digest.value()
}

/// The contents of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// The description, if the file was written with one.
    pub description: Option<String>,
    /// The tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// The tensors that cannot be converted to `f32` of rank 0 to 6, with the reason.
    pub unreadable: BTreeMap<String, String>,
    /// Whether the file has a checksum, which was then verified. Files of other libraries have none.
    pub is_verified: bool,
    /// The type of each tensor's elements in the file, by PyTorch's names, such as `float32`.
    pub types: BTreeMap<String, String>,
    /// What was passed over to find the tensors, for people to check.
    pub notes: Vec<String>,
}

impl Saved {
    /// The contents of a file to be written.
    pub fn new(description: impl Into<String>, tensors: BTreeMap<String, Tensor>) -> Self {
        Self { description: Some(description.into()), tensors, is_verified: true, ..Self::default() }
    }

    /// Checks that every tensor could be read.
    ///
    /// # Errors
    /// A tensor could not be read. The error names it, and `path` as the file.
    pub fn whole(self, path: &Path) -> Result<Self, NnError> {
        match self.unreadable.first_key_value() {
            None => Ok(self),
            Some((name, fault)) => {
                Err(NnError::File { path: path.into(), fault: format!("tensor {name}: {fault}") })
            }
        }
    }
}

/// Writes the description and the tensors to `path`, replacing an existing file. Equal contents make equal files, whatever
/// the order of the tensors.
///
/// # Errors
/// An error of [`write_atomically`](files::write_atomically); or two tensors have the same name, or one has the name
/// `__metadata__`, which the format reserves.
pub fn save(path: &Path, description: &str, tensors: &[(String, Tensor)]) -> Result<(), NnError> {
    write(path, Some(description), tensors)
}

/// As [`save`], without a description: for other programs, which want tensors by name and no more.
///
/// # Errors
/// The errors of [`save`].
pub fn save_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), NnError> {
    write(path, None, tensors)
}

fn write(path: &Path, description: Option<&str>, tensors: &[(String, Tensor)]) -> Result<(), NnError> {
    let mut names = HashSet::from(["__metadata__"]);
    if let Some((name, _)) = tensors.iter().find(|(name, _)| !names.insert(name)) {
        let rule = "used once and not `__metadata__`";
        return Err(NnError::Setting { what: "the name of a saved tensor", rule, got: name.clone() });
    }
    let contents = write::contents(description, tensors)
        .map_err(|error| NnError::File { path: path.into(), fault: error.to_string() })?;
    Ok(files::write_atomically(path, &contents)?)
}

/// Reads a file of tensors: one written by [`save`], by any other safetensors package, or by PyTorch's `torch.save`. Numbers of 16 bits become floats, whole
/// numbers too if a float can hold them, and doubles are rounded to the nearest float. Tensors of other types, or of more than
/// 6 axes, are listed in [`Saved::unreadable`].
///
/// The file is read as a whole. Memory is allocated for what it contains, never for sizes that its header claims.
///
/// # Errors
/// The file cannot be read, is neither a safetensors nor a PyTorch file, pickles more than tensors, or differs from its checksum.
pub fn load(path: &Path) -> Result<Saved, NnError> {
    let unreadable = |source| NnError::Io { path: path.into(), action: "read", source };
    let fault = |fault| NnError::File { path: path.into(), fault };
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(fault("expected a safetensors file, got a directory or device".into()));
    }
    let contents = std::fs::read(path).map_err(unreadable)?;
    match FileKind::of(path, &contents[..contents.len().min(START)]) {
        Some(FileKind::PyTorch) => pytorch::parse(&contents).map_err(fault),
        None | Some(FileKind::Safetensors | FileKind::Empty) => parse(&contents).map_err(fault),
        // A file of tensors can begin like one of another kind, whose first bytes are then the header's length.
        Some(kind) => {
            parse(&contents).map_err(|_| fault(format!("expected a safetensors or PyTorch file, got {kind}")))
        }
    }
}

/// Parses the contents of a file. The error says what was expected and what is there.
fn parse(file: &[u8]) -> Result<Saved, String> {
    let Some((length, rest)) = file.split_first_chunk::<PREFIX>() else {
        return Err(format!("expected a safetensors file, got one of {} bytes", file.len()));
    };
    let length = u64::from_le_bytes(*length);
    let header = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    let Some((header, data)) = header else {
        let follow = rest.len();
        return Err(format!(
            "expected a safetensors header of {length} bytes, got a file in which {follow} follow"
        ));
    };
    // Reading the metadata checks that the tensors lie end to end from 0, each as long as its shape and type say. Whether
    // the file contains them is checked here: the package adds the header's length first, which can overflow.
    let metadata: Metadata = serde_json::from_slice(header)
        .map_err(|error| format!("expected a safetensors header, got {error}"))?;
    if metadata.data_len() != data.len() {
        return Err(format!(
            "expected {} bytes of tensors after the header, got {}",
            metadata.data_len(),
            data.len()
        ));
    }
    let infos: BTreeMap<_, _> = metadata.tensors().into_iter().collect();
    let metadata = metadata.metadata().clone().unwrap_or_default();
    let description = metadata.get(DESCRIPTION).cloned();
    let digest = metadata.get(DIGEST);
    if let Some(digest) = digest {
        let mut seen = Digest::new(description.as_deref().unwrap_or_default());
        for (name, info) in &infos {
            seen.tensor(name, &info.shape, &data[info.data_offsets.0..info.data_offsets.1]);
        }
        let seen = seen.finish();
        if seen != *digest {
            return Err(format!("expected contents of checksum {digest}, got {seen}: the file is damaged"));
        }
    }
    let mut saved = Saved { description, is_verified: digest.is_some(), ..Saved::default() };
    for (name, info) in infos {
        saved.types.insert(name.clone(), elements::name(info.dtype));
        match tensor(info, data) {
            Ok(tensor) => _ = saved.tensors.insert(name, tensor),
            Err(fault) => _ = saved.unreadable.insert(name, fault),
        }
    }
    Ok(saved)
}

/// The tensor that `info`, already checked, describes within `data`.
fn tensor(info: &TensorInfo, data: &[u8]) -> Result<Tensor, String> {
    let shape = Shape::new(&info.shape).map_err(|error| error.to_string())?;
    let mut tensor = Tensor::scratch(shape);
    elements::fill(&mut tensor, info.dtype, &data[info.data_offsets.0..info.data_offsets.1])?;
    Ok(tensor)
}

#[cfg(test)]
mod tests;
