//! From the value that was pickled to tensors by name.

use crate::pickle::{Heap, Node, Pickled, TensorRef, Value};
use crate::{Contents, Element, PthError, Tensor};
use std::collections::BTreeMap;

/// The elements of each storage, by its key.
pub(crate) type Storages = BTreeMap<String, Vec<u8>>;

/// The keys under which checkpoints have the weights of a model, the more specific ones first.
const KEYS: [&str; 12] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "model_ema",
    "ema",
    "params_ema",
    "params",
    "weights",
];

/// A checkpoint has its weights at most so deep.
const DEPTH: usize = 4;

/// What tensors may take, in lengths of the file: those that share elements get a copy each.
const SHARED: usize = 8;

/// The tensors by name in what a file of `length` bytes pickled.
pub(crate) fn find(pickled: &Pickled<'_>, storages: &Storages, length: usize) -> Result<Contents, PthError> {
    let heap = &pickled.heap;
    let mut path = Vec::new();
    let Some(entries) = state_dict(heap, pickled.value, DEPTH, &mut path) else {
        return Err(PthError::NoTensors(in_words(heap, pickled.value)));
    };
    let mut contents = Contents { path, ..Contents::default() };
    let mut left = length.saturating_mul(SHARED);
    for &(key, value) in entries {
        let Value::Text(name) = key else { continue };
        // A name that is written once can be used often.
        left = left.checked_sub(name.len()).ok_or_else(|| {
            PthError::NoTensors(format!("names {SHARED} times as long as the file, all together"))
        })?;
        let fault = |fault: String| PthError::Tensor { name: name.into(), fault };
        let Value::Tensor(place) = value else {
            contents.others.push(name.into());
            continue;
        };
        let tensor = &heap.tensors[place];
        let storage = heap.storages[tensor.storage];
        let Some(element) = tensor.element.or(storage.element) else {
            return Err(fault("expected a type of elements, got none".into()));
        };
        let Some(elements) = storages.get(storage.key) else {
            return Err(fault(format!(
                "expected its elements in storage {}, which is not there",
                storage.key
            )));
        };
        let tensor = gather(tensor, element, elements, &mut left).map_err(fault)?;
        if contents.tensors.insert(name.into(), tensor).is_some() {
            return Err(fault("expected one of that name, got two".into()));
        }
    }
    Ok(contents)
}

/// The entries of the dict of tensors, and the keys that lead to it.
fn state_dict<'h, 'a>(
    heap: &'h Heap<'a>,
    value: Value<'a>,
    depth: usize,
    path: &mut Vec<String>,
) -> Option<&'h [(Value<'a>, Value<'a>)]> {
    let entries = dict(heap, value)?;
    if entries.iter().any(|entry| matches!(entry, (Value::Text(_), Value::Tensor(_)))) {
        return Some(entries);
    }
    for key in KEYS.into_iter().filter(|_| depth > 0) {
        if let Some(&(_, value)) = entries.iter().find(|(name, _)| *name == Value::Text(key)) {
            path.push(key.into());
            if let Some(found) = state_dict(heap, value, depth - 1, path) {
                return Some(found);
            }
            path.pop();
        }
    }
    None
}

fn dict<'h, 'a>(heap: &'h Heap<'a>, value: Value<'a>) -> Option<&'h [(Value<'a>, Value<'a>)]> {
    match value {
        Value::Node(place) => match &heap.nodes[place] {
            Node::Dict(entries) => Some(entries),
            Node::List(_) | Node::Tuple(_) => None,
        },
        _ => None,
    }
}

/// A value without tensors by name.
fn in_words(heap: &Heap<'_>, value: Value<'_>) -> String {
    if let Some(entries) = dict(heap, value) {
        let keys = entries.iter().filter_map(|(key, _)| match key {
            Value::Text(name) => Some(name.chars().take(32).collect::<String>()),
            _ => None,
        });
        return format!(
            "a dict of {} entries ({})",
            entries.len(),
            keys.take(8).collect::<Vec<_>>().join(", ")
        );
    }
    let words = match value {
        Value::Tensor(_) => "one tensor without a name",
        Value::Node(_) => "a list",
        Value::Int(_) | Value::Number | Value::Bool(_) => "a number",
        Value::Text(_) | Value::Bytes => "a text",
        Value::None => "None",
        Value::Global(_) | Value::Storage(_) => "something else",
    };
    words.into()
}

/// The elements of a tensor in row-major order.
fn gather(tensor: &TensorRef, element: Element, storage: &[u8], left: &mut usize) -> Result<Tensor, String> {
    let size = element.bytes();
    let TensorRef { offset, shape, strides, .. } = tensor;
    let count = shape.iter().try_fold(1u64, |product, &extent| product.checked_mul(extent));
    let bytes = count.and_then(|count| usize::try_from(count).ok()).and_then(|count| count.checked_mul(size));
    let Some(bytes) = bytes.filter(|bytes| *bytes <= storage.len()) else {
        return Err(format!(
            "expected at most the {} bytes of its storage, got extents {shape:?}",
            storage.len()
        ));
    };
    *left = left
        .checked_sub(bytes)
        .ok_or("expected tensors of a few times the file's length, got more that share elements")?;
    let shape_of = || shape.iter().map(|&extent| extent as usize).collect();
    if bytes == 0 {
        return Ok(Tensor { element, shape: shape_of(), bytes: Vec::new() });
    }
    // The place after the last element. No extent is 0 here.
    let end = shape.iter().zip(strides).try_fold(*offset, |end, (&extent, stride)| {
        stride.checked_mul(extent - 1).and_then(|step| end.checked_add(step))
    });
    let held = (storage.len() / size) as u64;
    if end.is_none_or(|last| last >= held) {
        return Err(format!(
            "expected a part of the {held} elements of its storage, got extents {shape:?} and strides {strides:?} from {offset} on"
        ));
    }
    // Along an axis of one element the stride is never taken, and may be any number.
    let strides: Vec<u64> =
        shape.iter().zip(strides).map(|(&extent, &stride)| if extent == 1 { 0 } else { stride }).collect();
    let mut gathered = Vec::with_capacity(bytes);
    let mut index = vec![0u64; shape.len()];
    let mut at = *offset;
    // Along the last axes, as far as elements are neighbours, they are copied at once.
    let (axes, run) = neighbours(shape, &strides);
    loop {
        let start = at as usize * size;
        gathered.extend_from_slice(&storage[start..start + run as usize * size]);
        let mut axis = axes;
        loop {
            if axis == 0 {
                return Ok(Tensor { element, shape: shape_of(), bytes: gathered });
            }
            axis -= 1;
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
}

/// The number of first axes that have to be walked, and the number of elements that lie side by side for each of their places.
fn neighbours(shape: &[u64], strides: &[u64]) -> (usize, u64) {
    let (mut axes, mut run) = (shape.len(), 1);
    while axes > 0 && (strides[axes - 1] == run || shape[axes - 1] == 1) {
        run *= shape[axes - 1];
        axes -= 1;
    }
    (axes, run)
}
