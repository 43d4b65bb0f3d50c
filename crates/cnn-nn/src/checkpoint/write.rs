//! The bytes of a saved file.

use super::digest::Digest;
use super::{DESCRIPTION, DIGEST, PREFIX};
use cnn_tensor::Tensor;
use safetensors::tensor::{Dtype, TensorInfo};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// The header's length, the header, and the elements of the tensors, in the order of their names.
pub(super) fn contents(
    description: Option<&str>,
    tensors: &[(String, Tensor)],
) -> serde_json::Result<Vec<u8>> {
    let mut sorted: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    sorted.sort_by_key(|(name, _)| *name);
    let elements = sorted.iter().map(|(_, tensor)| size_of_val(tensor.data())).sum::<usize>();
    let mut data = Vec::with_capacity(elements);
    let mut digest = Digest::new(description.unwrap_or_default());
    let mut infos = Vec::with_capacity(sorted.len());
    for (name, tensor) in sorted {
        let start = data.len();
        data.extend(tensor.data().iter().flat_map(|v| v.to_le_bytes()));
        let shape = tensor.shape().dims().to_vec();
        digest.tensor(name, &shape, &data[start..]);
        infos.push((name, TensorInfo { dtype: Dtype::F32, shape, data_offsets: (start, data.len()) }));
    }
    let digest = digest.finish();
    let mut header = serde_json::to_vec(&Header { description, digest: &digest, infos: &infos })?;
    // The elements begin at a multiple of 8, so that they can be mapped into memory.
    header.resize(header.len().next_multiple_of(PREFIX), b' ');
    let mut contents = Vec::with_capacity(PREFIX + header.len() + data.len());
    contents.extend((header.len() as u64).to_le_bytes());
    contents.extend(header);
    contents.extend(data);
    Ok(contents)
}

/// The header in JSON. The safetensors package writes metadata in random order, but equal models should be equal files.
struct Header<'a> {
    description: Option<&'a str>,
    digest: &'a str,
    infos: &'a [(&'a str, TensorInfo)],
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + self.infos.len()))?;
        let description = self.description.map(|description| (DESCRIPTION, description));
        let metadata: Vec<_> = description.into_iter().chain([(DIGEST, self.digest)]).collect();
        map.serialize_entry("__metadata__", &Pairs(&metadata))?;
        self.infos.iter().try_for_each(|(name, info)| map.serialize_entry(name, info))?;
        map.end()
    }
}

/// A map with few keys, in this order.
struct Pairs<'a>(&'a [(&'a str, &'a str)]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
