//! Files that are either old or new, never half-written, and folders that one process at a time uses.

mod lock;

pub use lock::{FolderLock, try_lock};

use crate::text::one_line;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The fault of a file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot write: {source}", one_line(.path.display()))]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// The system's message.
    pub source: io::Error,
}

/// Replaces the file at `path` by `contents`, so that the file is at every moment, even after a power failure, either
/// the old one or the new one as a whole.
///
/// The contents go to a temporary file `.unfinished-*` in the same directory, are forced to disk, and get their name
/// by renaming. A process killed in between leaves the temporary file behind: see [`remove_unfinished`].
///
/// ```
/// use cnn_tensor::files::write_atomically;
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// write_atomically(&folder.join("metrics.csv"), b"epoch,loss\n")?;
/// assert_eq!(std::fs::read(folder.join("metrics.csv"))?, b"epoch,loss\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The directory or the file cannot be written. The temporary file is then removed and the old file is as it was,
/// unless only the last step failed, forcing the new name to disk.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), WriteError> {
    replace(path, contents).map_err(|source| WriteError { path: path.into(), source })
}

/// How the name of a file begins that is being written.
const UNFINISHED: &str = ".unfinished-";

/// Removes the temporary files `.unfinished-*` in a directory, which processes killed within [`write_atomically`] left
/// behind. Only the process that alone writes to the directory may do so: another's would be among them.
///
/// # Errors
/// The directory cannot be read, or a file not removed.
pub fn remove_unfinished(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes())
            && entry.file_type()?.is_file()
        {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut options = tempfile::Builder::new();
    options.prefix(UNFINISHED);
    #[cfg(unix)]
    {
        // As for any new file, the umask decides what others may do; the default is the owner alone.
        use std::os::unix::fs::PermissionsExt;
        options.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = options.tempfile_in(directory)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    force_to_disk(directory)
}

/// Forces the names in a directory to disk, on Unix; elsewhere a directory cannot be forced there.
///
/// # Errors
/// The system refuses.
pub fn force_to_disk(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    /// The names in a directory, sorted.
    fn names(folder: &Path) -> Vec<String> {
        let entries =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    }

    #[test]
    fn a_write_replaces_the_old_file_and_leaves_nothing_else() {
        let folder = folder();
        let path = folder.path().join("file");
        write_atomically(&path, b"a longer old one").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_run_killed_while_writing_does_not_disturb_the_next() {
        let folder = folder();
        let path = folder.path().join("file");
        write_atomically(&path, b"old").unwrap();
        fs::write(folder.path().join(".unfinished-abc123"), b"half of a fi").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), [".unfinished-abc123", "file"]);
        fs::create_dir(folder.path().join(".unfinished-folder")).unwrap();
        remove_unfinished(folder.path()).unwrap();
        assert_eq!(names(folder.path()), [".unfinished-folder", "file"]);
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let folder = folder();
        // A directory in the file's place lets everything succeed but the renaming, the last step.
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("old"), b"old").unwrap();
        let message = write_atomically(&path, b"new").unwrap_err().to_string();
        assert!(message.starts_with(&format!("{}: cannot write: ", path.display())), "{message}");
        assert_eq!(fs::read(path.join("old")).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["taken"]);
    }

    #[test]
    fn a_directory_that_is_missing_or_a_file_is_an_error() {
        let folder = folder();
        fs::write(folder.path().join("file"), b"").unwrap();
        for path in ["missing/model", "file/model"].map(|path| folder.path().join(path)) {
            let message = write_atomically(&path, b"new").unwrap_err().to_string();
            assert!(message.starts_with(&format!("{}: cannot write: ", path.display())), "{message}");
        }
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_read_only_directory_is_an_error_and_keeps_the_old_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder();
        let path = folder.path().join("model");
        write_atomically(&path, b"old").unwrap();
        let permit = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        permit(0o555);
        // The superuser may write everywhere.
        if fs::write(folder.path().join("probe"), b"").is_err() {
            let message = write_atomically(&path, b"new").unwrap_err().to_string();
            assert!(message.starts_with(&format!("{}: cannot write: ", path.display())), "{message}");
            assert_eq!(fs::read(&path).unwrap(), b"old");
        }
        permit(0o755);
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_has_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder();
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        fs::write(folder.path().join("plain"), b"").unwrap();
        write_atomically(&folder.path().join("atomic"), b"").unwrap();
        assert_eq!(mode("atomic"), mode("plain"));
    }
}
