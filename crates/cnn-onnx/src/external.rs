//! Elements in files beside the model, which torch's exporter writes: `model.onnx.data`.

use crate::proto::Entry;
use cnn_tensor::text::one_line;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// The folder of a model. No file outside it is opened.
pub struct Folder {
    path: Option<PathBuf>,
    /// The bytes read so far from each file.
    read: RefCell<HashMap<PathBuf, u64>>,
}

/// How often the bytes of a file may be read, by tensors that share them. A small model could otherwise read a large file without
/// end.
const SHARED: u64 = 4;

impl Folder {
    /// The folder in which `model` lies.
    pub fn of(model: &Path) -> Self {
        let folder =
            model.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        Self { path: folder.and_then(|folder| folder.canonicalize().ok()), read: RefCell::default() }
    }

    /// No folder: a model in memory.
    pub fn none() -> Self {
        Self { path: None, read: RefCell::default() }
    }

    /// The bytes of `numel` elements, where the entries say.
    pub fn read(&self, entries: &[Entry], numel: usize, bytes: usize) -> Result<Vec<u8>, String> {
        let Some(folder) = &self.path else {
            return Err("the elements lie in another file, but the model in memory".into());
        };
        let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
        let number = |key: &str| match get(key) {
            None => Ok(None),
            Some(text) => text
                .parse::<u64>()
                .map(Some)
                .map_err(|_| format!("external data: expected a number for {key}, got {}", one_line(text))),
        };
        let location = get("location").ok_or("external data: the file's name is missing")?;
        let fault = |fault: &dyn std::fmt::Display| format!("external data {}: {fault}", one_line(location));
        let relative = Path::new(location);
        if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(fault(&"expected a file inside the model's folder"));
        }
        let path = folder.join(relative).canonicalize().map_err(|e| fault(&e))?;
        if !path.starts_with(folder) {
            return Err(fault(&"expected a file inside the model's folder, got a link that leads out of it"));
        }
        let mut file = File::open(&path).map_err(|e| fault(&e))?;
        let metadata = file.metadata().map_err(|e| fault(&e))?;
        if !metadata.is_file() {
            return Err(fault(&"expected a file"));
        }
        let (offset, available) = (number("offset")?.unwrap_or(0), metadata.len());
        let expected = (numel as u64).checked_mul(bytes as u64);
        let length = number("length")?.or(expected);
        let end = expected.and_then(|length| offset.checked_add(length));
        let (Some(expected), true) =
            (expected, length == expected && end.is_some_and(|end| end <= available))
        else {
            let got = length.map_or("more than any file".into(), |length| length.to_string());
            return Err(fault(&format_args!(
                "expected {numel} elements of {bytes} bytes from byte {offset} on, got {got} bytes in a file of {available}"
            )));
        };
        let mut read = self.read.borrow_mut();
        let total = read.entry(path).or_default();
        *total = total.saturating_add(expected);
        if *total > SHARED.saturating_mul(available) {
            return Err(fault(&format_args!("its bytes are read more than {SHARED} times")));
        }
        file.seek(SeekFrom::Start(offset)).map_err(|e| fault(&e))?;
        let mut contents = Vec::new();
        file.take(expected).read_to_end(&mut contents).map_err(|e| fault(&e))?;
        Ok(contents)
    }
}
