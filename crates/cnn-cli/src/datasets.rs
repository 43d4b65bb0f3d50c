//! The data sets of commands: where the files of a named one lie, and which recipe suits it.

use crate::fault::{Fault, note};
use crate::home;
use crate::nearest;
use cnn_data::{Data, Dataset, DatasetKind, DatasetName, Matched, match_classes};
use cnn_zoo::Images;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// All names, for messages and help.
pub fn names() -> String {
    DatasetName::names().join(", ")
}

/// Where the files of a data set are looked for if the user names no other place; images lie where they are.
pub fn folder(dataset: &DatasetName) -> PathBuf {
    match dataset {
        DatasetName::Images(path) => path.clone(),
        DatasetName::Named(set) => {
            let folder = home::dataset(set.folder_name());
            // Debian has a package of Fashion-MNIST.
            let debian = Path::new("/usr/share/datasets/fashion-mnist");
            let packaged = set.name() == "fashion-mnist";
            if packaged && !folder.exists() && debian.exists() { debian.into() } else { folder }
        }
    }
}

/// Opens a data set whose files are in `data_dir`, or else in its own [`folder`]; says how the path of images was understood.
pub fn open(dataset: &DatasetName, data_dir: Option<&Path>) -> Result<Data, Fault> {
    if data_dir.is_none() {
        nearest::check_dataset(dataset)?;
    }
    let data = match data_dir {
        Some(data_dir) => dataset.open(data_dir)?,
        None => dataset.open(folder(dataset))?,
    };
    if let Some(form) = &data.form {
        note(format!("{dataset}: {form}"));
    }
    Ok(data)
}

/// The examples of a part of `dataset`, labelled by the classes of a model; says how they were matched.
pub fn matched(
    set: Arc<dyn Dataset>,
    classes: &[String],
    dataset: &DatasetName,
) -> Result<Arc<dyn Dataset>, Fault> {
    let fault = |fault| Fault::usage(format!("{dataset}: {fault}"));
    let Matched { set, note: line } = match_classes(set, classes).map_err(fault)?;
    if let Some(line) = line {
        note(format!("{dataset}: {line}"));
    }
    Ok(set)
}

/// The kind of its images, by which recipes go.
pub fn images(dataset: &DatasetName) -> Images {
    match dataset.kind() {
        Some(DatasetKind::Mnist) => Images::Digits,
        Some(DatasetKind::MnistLike) => Images::LikeDigits,
        Some(_) => Images::Small,
        None => Images::Photos,
    }
}

/// The first of a class's names: ImageNet's classes have several, from a few letters to a line.
pub fn first_name(class: &str) -> &str {
    class.split(", ").next().unwrap_or(class)
}
