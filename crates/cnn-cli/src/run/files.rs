//! The tensors that a command line names, and those beside a model.

use super::network::Network;
use crate::fault::Fault;
use crate::npy;
use cnn_tensor::Tensor;
use cnn_tensor::text::{hint, one_line};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// `NAME=FILE`, or `FILE`.
#[derive(Clone, Debug)]
pub struct Given {
    name: Option<String>,
    file: PathBuf,
}

impl FromStr for Given {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.split_once('=') {
            Some((name, file)) if !Path::new(text).exists() => {
                Self { name: Some(name.into()), file: file.into() }
            }
            _ => Self { name: None, file: text.into() },
        })
    }
}

/// Tensors for all inputs, and expected ones for some outputs, in the model's order.
pub struct Set {
    /// The folder's name, if it is a folder beside the model.
    pub name: Option<String>,
    inputs: Vec<PathBuf>,
    pub expected: Vec<Option<PathBuf>>,
}

impl Set {
    /// The tensors of the command line.
    pub fn named(network: &Network, inputs: &[Given], expected: &[Given]) -> Result<Self, Fault> {
        let names = network.inputs();
        let found = assign("--input", &names, inputs)?;
        if let Some(missing) = found.iter().position(Option::is_none) {
            let message = format!("--input: expected a file for {} as well", one_line(&names[missing]));
            return Err(Fault::usage(message));
        }
        let expected = assign("--expect", network.outputs(), expected)?;
        Ok(Self { name: None, inputs: found.into_iter().flatten().collect(), expected })
    }

    /// The folders `test_data_set_K` beside the model, in the order of their numbers.
    pub fn beside(network: &Network, model: &Path) -> Result<Vec<Self>, Fault> {
        let folder = model.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let mut numbered: Vec<(usize, String)> = std::fs::read_dir(folder)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| Some((name.strip_prefix("test_data_set_")?.parse().ok()?, name)))
            .collect();
        numbered.sort();
        if numbered.is_empty() {
            return Err(Fault::usage(format!(
                "--input: expected tensors for {}, or a folder test_data_set_0 beside the model",
                listed(&network.inputs())
            )));
        }
        numbered.into_iter().map(|(_, name)| Self::of_folder(network, folder.join(&name), name)).collect()
    }

    fn of_folder(network: &Network, folder: PathBuf, name: String) -> Result<Self, Fault> {
        let (inputs, outputs) = (network.inputs().len(), network.outputs().len());
        let file = |kind: &str, i: usize| folder.join(format!("{kind}_{i}.pb"));
        for (kind, count) in [("input", inputs), ("output", outputs)] {
            if file(kind, count).exists() {
                let message = format!(
                    "{}: expected files for {count} {kind}s, got {kind}_{count}.pb as well",
                    folder.display()
                );
                return Err(Fault { status: 1, message });
            }
        }
        let expected = (0..outputs).map(|i| Some(file("output", i)).filter(|file| file.exists())).collect();
        Ok(Self { name: Some(name), inputs: (0..inputs).map(|i| file("input", i)).collect(), expected })
    }

    /// The tensors for the inputs.
    pub fn inputs(&self) -> Result<Vec<Tensor>, Fault> {
        self.inputs.iter().map(|file| read(file)).collect()
    }
}

/// The files by the place of their names.
fn assign(option: &str, names: &[String], given: &[Given]) -> Result<Vec<Option<PathBuf>>, Fault> {
    let mut files = vec![None; names.len()];
    for Given { name, file } in given {
        let place = match name {
            Some(wanted) => names.iter().position(|name| name == wanted).ok_or_else(|| {
                let near = hint(wanted, names.iter().map(String::as_str));
                let (names, wanted) = (listed(names), one_line(wanted));
                Fault::usage(format!("{option}: expected one of {names}, got {wanted}{near}"))
            })?,
            None if names.len() == 1 => 0,
            None => {
                return Err(Fault::usage(format!(
                    "{option}: expected NAME={} with a name of {}",
                    file.display(),
                    listed(names)
                )));
            }
        };
        if files[place].replace(file.clone()).is_some() {
            let name = one_line(&names[place]);
            return Err(Fault::usage(format!("{option}: expected one file for {name}, got two")));
        }
    }
    Ok(files)
}

fn listed(names: &[String]) -> String {
    names.iter().map(one_line).collect::<Vec<_>>().join(", ")
}

/// The tensor in a .npy or .pb file, which are told apart by content.
pub fn read(file: &Path) -> Result<Tensor, Fault> {
    let fault = |message: String| Fault { status: 1, message: format!("{}: {message}", file.display()) };
    let contents = std::fs::read(file).map_err(|e| fault(format!("cannot read: {e}")))?;
    if contents.starts_with(b"\x93NUMPY") {
        return npy::read(&contents).map_err(fault);
    }
    match file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy")) {
        true => npy::read(&contents).map_err(fault),
        false => cnn_onnx::read_tensor(contents).map(|(_, tensor)| tensor).map_err(|e| fault(e.to_string())),
    }
}
