//! Files of tensors, written atomically: a file is either old or new.
//!
//! The format is safetensors: a header in JSON with each tensor's name, element type, shape and position, then the
//! elements, little-endian. The header's metadata holds the model's description under the key `cnn`. The safetensors
//! packages of every language can read these files:
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

use crate::NnError;
use cnn_tensor::{Shape, Tensor, files};
use safetensors::tensor::{Dtype, Metadata, TensorInfo, View};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// The metadata key of the description. It is the only key: the safetensors package writes keys in random
/// order, and equal models should be equal files.
const KEY: &str = "cnn";
/// The number of bytes before the header, which hold its length.
const PREFIX: usize = size_of::<u64>();

/// The contents of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// The description, if the file was written with one.
    pub description: Option<String>,
    /// The tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
}

/// Writes the description and the tensors to `path`, replacing an existing file. Equal contents make equal files, whatever
/// the order of the tensors.
///
/// # Errors
/// An error of [`write_atomically`](files::write_atomically); or two tensors have the same name, or one has the name
/// `__metadata__`, which the format reserves.
pub fn save(path: &Path, description: &str, tensors: &[(String, Tensor)]) -> Result<(), NnError> {
    let mut names = HashSet::from(["__metadata__"]);
    if let Some((name, _)) = tensors.iter().find(|(name, _)| !names.insert(name)) {
        let rule = "used once and not `__metadata__`";
        return Err(NnError::Setting { what: "the name of a saved tensor", rule, got: name.clone() });
    }
    let entries = tensors.iter().map(|(name, tensor)| (name, Entry { shape: tensor.shape(), tensor }));
    let metadata = HashMap::from([(KEY.into(), description.into())]);
    let contents = safetensors::serialize(entries, Some(metadata))
        .map_err(|error| NnError::File { path: path.into(), fault: error.to_string() })?;
    Ok(files::write_atomically(path, &contents)?)
}

/// A tensor in the form that the safetensors package takes.
struct Entry<'a> {
    shape: Shape,
    tensor: &'a Tensor,
}

impl View for Entry<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.shape.dims()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.tensor.data().iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.tensor.data())
    }
}

/// Reads a file of `f32` tensors of rank 0 to 6: one written by [`save`] or by any other safetensors package. Whole
/// numbers of type I64, which PyTorch counts batches in, become floats.
///
/// The file is read as a whole. Memory is allocated for what it contains, never for sizes that its header claims.
///
/// # Errors
/// The file cannot be read, is not a safetensors file, or holds a tensor of another element type or a higher rank.
pub fn load(path: &Path) -> Result<Saved, NnError> {
    let unreadable = |source| NnError::Io { path: path.into(), action: "read", source };
    let fault = |fault| NnError::File { path: path.into(), fault };
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(fault("expected a safetensors file, got a directory or device".into()));
    }
    parse(&std::fs::read(path).map_err(unreadable)?).map_err(fault)
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
    let read = |(name, info)| match tensor(info, data) {
        Ok(tensor) => Ok((name, tensor)),
        Err(fault) => Err(format!("tensor {name}: {fault}")),
    };
    let tensors = infos.into_iter().map(read).collect::<Result<_, _>>()?;
    let description = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).cloned();
    Ok(Saved { description, tensors })
}

/// The tensor that `info`, already checked, describes within `data`.
fn tensor(info: &TensorInfo, data: &[u8]) -> Result<Tensor, String> {
    let shape = Shape::new(&info.shape).map_err(|error| error.to_string())?;
    let data = &data[info.data_offsets.0..info.data_offsets.1];
    let mut tensor = Tensor::scratch(shape);
    let elements = tensor.data_mut().iter_mut();
    match info.dtype {
        Dtype::F32 => {
            elements.zip(data.as_chunks().0).for_each(|(v, bytes)| *v = f32::from_le_bytes(*bytes));
        }
        // Counts, such as the `num_batches_tracked` of PyTorch's batch normalisation.
        Dtype::I64 => {
            for (v, bytes) in elements.zip(data.as_chunks().0) {
                let count = i64::from_le_bytes(*bytes);
                *v = count as f32;
                if *v as i64 != count || count == i64::MAX {
                    return Err(format!("expected whole numbers that a float can hold, got {count}"));
                }
            }
        }
        other => return Err(format!("expected elements of type F32 or I64, got {other}")),
    }
    Ok(tensor)
}

#[cfg(test)]
mod tests;
