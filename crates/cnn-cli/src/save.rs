//! How a command writes a file that it was asked for.

use crate::fault::Fault;
use cnn_tensor::files::write_atomically;
use std::path::Path;

/// Writes a file, whole or not at all, into a folder that is made if it is not there.
pub fn save(file: &Path, content: &[u8]) -> Result<(), Fault> {
    make_folder_of(file)?;
    Ok(write_atomically(file, content)?)
}

/// Makes the folder that `file` is to lie in.
pub fn make_folder_of(file: &Path) -> Result<(), Fault> {
    let Some(folder) = file.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|e| Fault {
        status: 1,
        message: format!("{}: expected a folder that can be written to: {e}", folder.display()),
    })
}
