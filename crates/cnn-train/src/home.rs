//! Where data sets, weights and runs lie.
//!
//! A program that belongs to one folder names it by [`set`]. Else the environment variable `CNN_HOME` does. Else runs are
//! written to the working directory, and data sets are looked for there first, then in the user's own folder for data.
//! Published weights are in the user's cache, in a clone of the repository as elsewhere, so that files of hundreds of megabytes
//! are there once; `CNN_HOME` applies to them, too.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// The environment variable that names the folder with `datasets`, `runs` and `weights`.
pub const VARIABLE: &str = "CNN_HOME";

/// Puts data sets and runs into `folder`, for the whole program; the first call counts.
pub fn set(folder: PathBuf) {
    let _ = FOLDER.set(folder);
}

/// The folder of runs.
pub fn runs() -> PathBuf {
    named().unwrap_or_default().join("runs")
}

/// The folder of the data set whose folder is called `name`: one that exists, or else the one to put it into.
pub fn dataset(name: &str) -> PathBuf {
    dataset_of(named(), data_dir(), Path::new(""), name)
}

/// The folder of the weights that other libraries publish.
pub fn weights() -> PathBuf {
    weights_of(nonempty(VARIABLE), cache_dir())
}

fn named() -> Option<PathBuf> {
    FOLDER.get().cloned().or_else(|| nonempty(VARIABLE))
}

fn nonempty(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn dataset_of(home: Option<PathBuf>, data: Option<PathBuf>, here: &Path, name: &str) -> PathBuf {
    if let Some(home) = home {
        return home.join("datasets").join(name);
    }
    let here = here.join("datasets");
    let Some(data) = data else { return here.join(name) };
    let of_user = data.join("cnn/datasets").join(name);
    // New data go where there is a folder for them.
    if here.join(name).exists() || (here.exists() && !of_user.exists()) { here.join(name) } else { of_user }
}

fn weights_of(home: Option<PathBuf>, cache: Option<PathBuf>) -> PathBuf {
    match (home, cache) {
        (Some(home), _) => home.join("weights"),
        (None, Some(cache)) => cache.join("cnn/weights"),
        (None, None) => "weights".into(),
    }
}

/// The user's folder for programs' data, as each system has it; `None` without a home.
fn data_dir() -> Option<PathBuf> {
    user_dir("Library/Application Support", "XDG_DATA_HOME", ".local/share")
}

/// The user's folder for files that can be fetched again; `None` without a home.
fn cache_dir() -> Option<PathBuf> {
    user_dir("Library/Caches", "XDG_CACHE_HOME", ".cache")
}

/// A folder of the user's: on macOS, by a variable, or else below the home.
fn user_dir(mac: &str, variable: &str, unix: &str) -> Option<PathBuf> {
    let home = || std::env::home_dir().filter(|home| home.is_absolute());
    if cfg!(windows) {
        nonempty("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        Some(home()?.join(mac))
    } else {
        nonempty(variable).or_else(|| Some(home()?.join(unix)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_found_where_they_are_and_else_have_one_place_to_go() {
        let (here, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let find = |name| dataset_of(None, Some(data.path().into()), here.path(), name);
        let of_user = data.path().join("cnn/datasets");
        assert_eq!(find("mnist"), of_user.join("mnist"), "nothing is there");
        std::fs::create_dir_all(here.path().join("datasets/kmnist")).unwrap();
        assert_eq!(find("kmnist"), here.path().join("datasets/kmnist"));
        assert_eq!(find("mnist"), here.path().join("datasets/mnist"), "a folder for data sets is here");
        std::fs::create_dir_all(of_user.join("mnist")).unwrap();
        assert_eq!(find("mnist"), of_user.join("mnist"), "it is there and not here");
        assert_eq!(dataset_of(None, None, Path::new("x"), "mnist"), Path::new("x/datasets/mnist"));
        assert_eq!(
            dataset_of(Some("h".into()), None, Path::new("x"), "mnist"),
            Path::new("h/datasets/mnist")
        );
    }

    #[test]
    fn weights_are_in_the_cache_unless_a_folder_is_named() {
        let (home, cache) = (Some("h".into()), Some("c".into()));
        assert_eq!(weights_of(home, cache.clone()), Path::new("h/weights"));
        assert_eq!(weights_of(None, cache), Path::new("c/cnn/weights"));
        assert_eq!(weights_of(None, None), Path::new("weights"));
    }
}
