//! The data sets of commands: where the files of a named one lie, and which recipe suits it.

use crate::fault::{Fault, note};
use crate::home;
use crate::nearest;
use cnn_data::{ClassesFrom, Data, Dataset, DatasetKind, DatasetName, Matched, imagenet, match_classes};
use cnn_tensor::text::one_line;
use cnn_zoo::Images;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The choice of the folders that are classes, for commands that open data sets.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct ClassesArg {
    /// Which folders are the classes: `form`, as their names and content tell; or `folders`, those directly in DIR, even if
    /// they are called train or test [default: form].
    #[arg(long, value_name = "form|folders", hide_possible_values = true)]
    classes_from: Option<ClassesWord>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ClassesWord {
    Form,
    Folders,
}

impl ClassesArg {
    /// The choice; `None` if the user made none.
    pub fn choice(self) -> Option<ClassesFrom> {
        Some(match self.classes_from? {
            ClassesWord::Form => ClassesFrom::Form,
            ClassesWord::Folders => ClassesFrom::Folders,
        })
    }
}

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

/// Opens a data set whose files are in `data_dir`, or else in its own [`folder`]; says how the path of images was understood,
/// and what was passed over.
pub fn open(dataset: &DatasetName, data_dir: Option<&Path>, classes: ClassesFrom) -> Result<Data, Fault> {
    if data_dir.is_none() {
        nearest::check_dataset(dataset)?;
    }
    let data = match data_dir {
        Some(data_dir) => dataset.open_with(data_dir, classes)?,
        None => dataset.open_with(folder(dataset), classes)?,
    };
    if let Some(form) = &data.form {
        note(format!("{}: {}", one_line(dataset), one_line(form)));
    }
    if !data.passed_over.is_empty() {
        note(format!("{}: passed over {}", one_line(dataset), data.passed_over));
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

/// The classes as pictures show them: of ImageNet's, which have several names each, the first where it stays distinct;
/// others as they are.
pub fn short_names(classes: &[String]) -> Vec<String> {
    let first = |class: &String| match imagenet::classes().contains(&class.as_str()) {
        true => class.split(", ").next().unwrap_or(class).to_string(),
        false => class.clone(),
    };
    let names: Vec<String> = classes.iter().map(first).collect();
    let mut uses: HashMap<&str, usize> = HashMap::new();
    names.iter().for_each(|name| *uses.entry(name).or_default() += 1);
    names
        .iter()
        .zip(classes)
        .map(|(name, class)| if uses[name.as_str()] == 1 { name } else { class }.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_imagenets_classes_are_shortened_and_only_to_names_that_stay_distinct() {
        let short =
            |classes: &[&str]| short_names(&classes.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(short(&["Smith, Anna", "Smith, John"]), ["Smith, Anna", "Smith, John"]);
        assert_eq!(short(&["tench, Tinca tinca", "tench"]), ["tench, Tinca tinca", "tench"]);
        assert_eq!(short(&["tench, Tinca tinca", "goldfish, Carassius auratus"]), ["tench", "goldfish"]);
        let all: Vec<String> = imagenet::classes().iter().map(ToString::to_string).collect();
        let names = short_names(&all);
        let same = names.iter().filter(|name| names.iter().filter(|other| other == name).count() > 1);
        // A bird and a machine have no other name.
        assert_eq!(same.collect::<Vec<_>>(), ["crane", "crane"]);
    }
}
