//! The form before PyTorch 1.6: five pickles one after the other, and then the elements.

use crate::pickle::{self, Node, Value};
use crate::{Contents, Element, PthError, state};
use std::collections::{BTreeMap, HashMap};

/// PyTorch's number, as the first pickle has it: protocol 2, a whole number of ten bytes.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const VERSION: i64 = 1001;

pub(crate) fn read(file: &[u8]) -> Result<Contents, PthError> {
    let archive = |fault: String| PthError::Archive(fault);
    let Some(mut rest) = file.strip_prefix(MAGIC) else {
        return Err(archive(
            "expected a file of torch.save, a ZIP archive or PyTorch's number, got another beginning".into(),
        ));
    };
    let version = pickle::run(rest, "the version")?;
    if version.value != Value::Int(VERSION) {
        return Err(archive(format!("expected version {VERSION} of the form, got {:?}", version.value)));
    }
    rest = &rest[version.length..];
    let system = pickle::run(rest, "the description of the system")?;
    let is_little = match system.value {
        Value::Node(place) => match &system.heap.nodes[place] {
            Node::Dict(entries) => entries.contains(&(Value::Text("little_endian"), Value::Bool(true))),
            _ => false,
        },
        _ => false,
    };
    if !is_little {
        return Err(archive("expected numbers in the byte order little, got another one".into()));
    }
    rest = &rest[system.length..];
    let pickled = pickle::run(rest, "the pickle")?;
    rest = &rest[pickled.length..];
    let keys = pickle::run(rest, "the list of storages")?;
    rest = &rest[keys.length..];

    let elements: HashMap<&str, Option<Element>> =
        pickled.heap.storages.iter().map(|storage| (storage.key, storage.element)).collect();
    let keys = match keys.value {
        Value::Node(place) => match &keys.heap.nodes[place] {
            Node::List(keys) => keys.clone(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let mut storages = BTreeMap::new();
    for key in keys {
        let Value::Text(key) = key else {
            return Err(archive(format!("expected the name of a storage, got {key:?}")));
        };
        let Some(element) = elements.get(key) else {
            return Err(archive(format!("expected a storage that a tensor is part of, got {key:?}")));
        };
        let size = element.map_or(1, Element::bytes);
        let short = || {
            archive(format!(
                "storage {key}: expected its elements, got the end of the file after {} bytes",
                rest.len()
            ))
        };
        let (count, after) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let count = u64::from_le_bytes(*count);
        let bytes = usize::try_from(count).ok().and_then(|count| count.checked_mul(size));
        let Some((content, after)) = bytes.and_then(|bytes| after.split_at_checked(bytes)) else {
            let got = after.len();
            return Err(archive(format!(
                "storage {key}: expected {count} elements of {size} bytes, got {got} bytes"
            )));
        };
        storages.insert(key.to_string(), content.to_vec());
        rest = after;
    }
    state::find(&pickled, &storages, file.len())
}
