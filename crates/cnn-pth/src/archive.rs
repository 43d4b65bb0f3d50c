//! The ZIP form: `NAME/data.pkl`, and the elements of each storage in `NAME/data/KEY`.

use crate::{Contents, PthError, pickle, state};
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use zip::ZipArchive;

pub(crate) fn read(file: &[u8]) -> Result<Contents, PthError> {
    let mut archive = ZipArchive::new(Cursor::new(file))
        .map_err(|e| PthError::Archive(format!("expected a whole ZIP archive: {e}")))?;
    let names: Vec<String> = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let pickles: Vec<&String> =
        names.iter().filter(|name| *name == "data.pkl" || name.ends_with("/data.pkl")).collect();
    let [pickle] = pickles[..] else {
        let got = format!("{} of that name among {} files", pickles.len(), names.len());
        return Err(PthError::Archive(format!("expected one file data.pkl in the archive, got {got}")));
    };
    let folder = pickle.strip_suffix("data.pkl").unwrap_or_default();
    if names.iter().any(|name| name.strip_prefix(folder) == Some("constants.pkl")) {
        return Err(PthError::Archive(
            "expected tensors, got a TorchScript program: save its state_dict() instead".into(),
        ));
    }
    // Entries may lie on top of each other; all together are never longer than the file in one that is honest.
    let mut left = file.len();
    let byte_order = format!("{folder}byteorder");
    if names.contains(&byte_order) {
        let order = entry(&mut archive, &byte_order, &mut left)?;
        if order != b"little" {
            let order = String::from_utf8_lossy(&order).into_owned();
            return Err(PthError::Archive(format!(
                "expected numbers in the byte order little, got {order:?}"
            )));
        }
    }
    let data = entry(&mut archive, pickle, &mut left)?;
    let pickled = pickle::run(&data, "data.pkl")?;
    let mut storages = BTreeMap::new();
    for storage in &pickled.heap.storages {
        if !storages.contains_key(storage.key) {
            let bytes = entry(&mut archive, &format!("{folder}data/{}", storage.key), &mut left)?;
            storages.insert(storage.key.to_string(), bytes);
        }
    }
    state::find(&pickled, &storages, file.len())
}

/// The content of the entry `name`, which is not compressed.
fn entry(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str, left: &mut usize) -> Result<Vec<u8>, PthError> {
    let fault = |e: &dyn std::fmt::Display| {
        PthError::Archive(format!("{name}: expected an entry of the archive: {e}"))
    };
    let mut entry = archive.by_name(name).map_err(|e| fault(&e))?;
    let size = usize::try_from(entry.size()).ok().filter(|size| size <= left).ok_or_else(|| {
        fault(&format!("it claims {} bytes, and the file has room for {left}", entry.size()))
    })?;
    *left -= size;
    let mut content = Vec::with_capacity(size);
    entry.by_ref().take(size as u64 + 1).read_to_end(&mut content).map_err(|e| fault(&e))?;
    if content.len() != size {
        return Err(fault(&format!("it claims {size} bytes, and has {}", content.len())));
    }
    Ok(content)
}
