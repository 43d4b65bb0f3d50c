//! ONNX files: classifiers of images, their preprocessing from the command line, and errors in one line each.

use crate::fault::{Fault, note};
use cnn_nn::{Input, Model};
use cnn_onnx::{Channels, Described, Onnx, OnnxError, Report};
use cnn_tensor::sniff::FileKind;
use cnn_tensor::text::one_line;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Whether a file is to be read as ONNX: by its name.
pub fn is_onnx(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"))
}

/// Opens a file.
///
/// # Errors
/// It cannot be read, or is not an ONNX model; the error says what it is instead.
pub fn open(path: &Path) -> Result<Onnx, Fault> {
    Onnx::open(path).map_err(|error| match (&error, FileKind::of_file(path)) {
        (OnnxError::File { .. }, Ok(Some(kind))) if kind != FileKind::Onnx => {
            Fault { status: 1, message: format!("{}: expected an ONNX model, got {kind}", path.display()) }
        }
        _ => fault(path, error),
    })
}

/// An error of the file at `path` in one line.
pub fn fault(path: &Path, error: OnnxError) -> Fault {
    let path = path.display();
    let message = match error {
        OnnxError::Io { .. } => error.to_string(),
        OnnxError::Unsupported(report) => format!("{path}: {}; cnn inspect says why", in_short(&report)),
        error => {
            let message = error.to_string();
            let advice = if message.contains("height or width open; state") {
                ": --size N"
            } else if message.contains("state those of an image") || message.contains("state the extents") {
                ": --size N, or --input-shape NAME=C,H,W"
            } else {
                ""
            };
            format!("{path}: {message}{advice}")
        }
    };
    Fault { status: 1, message }
}

/// How many nodes are not supported, and which operators they have.
pub fn in_short(report: &Report) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for node in &report.unsupported {
        *counts.entry(&node.operator).or_default() += 1;
    }
    let each: Vec<String> =
        counts.iter().map(|(operator, count)| format!("{} ({count})", one_line(operator))).collect();
    let (bad, all) = (report.unsupported.len(), report.fine + report.behind + report.unsupported.len());
    format!("{bad} of {all} nodes are not supported: {}", each.join(", "))
}

/// The preprocessing of images, where an ONNX file does not state it itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
#[group(skip)]
pub struct Preparation {
    /// For an ONNX file that does not state it: the range of its inputs.
    #[arg(long, value_enum, value_name = "NAME")]
    pub preprocess: Option<Preset>,
    /// For an ONNX file: the mean of each channel, red first, of pixels from 0 to 1.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', allow_negative_numbers = true)]
    pub mean: Vec<f32>,
    /// For an ONNX file: the standard deviation of each channel, red first, of pixels from 0 to 1.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', allow_negative_numbers = true)]
    pub std: Vec<f32>,
    /// For an ONNX file: the order of the channels that it takes [default: rgb, or that of the preset].
    #[arg(long, value_enum, value_name = "ORDER")]
    pub channels: Option<Order>,
}

/// A usual preprocessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// ImageNet's mean and standard deviation subtracted and divided by, as torchvision does.
    Imagenet,
    /// Blue, green, red from 0 to 255 less 104, 117, 123.
    Caffe,
    /// From -1 to 1, as TensorFlow's MobileNet.
    Tf,
    /// From 0 to 1.
    Unit,
    /// From 0 to 255.
    Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

impl Preset {
    /// Mean and standard deviation of red, green and blue, of pixels from 0 to 1.
    fn numbers(self) -> [[f32; 3]; 2] {
        match self {
            Self::Imagenet => [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]],
            Self::Caffe => [[123.0 / 255.0, 117.0 / 255.0, 104.0 / 255.0], [1.0 / 255.0; 3]],
            Self::Tf => [[0.5; 3]; 2],
            Self::Unit => [[0.0; 3], [1.0; 3]],
            Self::Bytes => [[0.0; 3], [1.0 / 255.0; 3]],
        }
    }
}

impl Preparation {
    /// Whether no option was given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that no option was given, for a file that states its own preprocessing.
    ///
    /// # Errors
    /// One was.
    pub fn refuse(&self, size: Option<usize>, file: &Path) -> Result<(), Fault> {
        match self.is_empty() && size.is_none() {
            true => Ok(()),
            false => Err(Fault::usage(format!(
                "--preprocess, --mean, --std, --channels, --size: expected with an ONNX file; {} has its own preprocessing",
                file.display()
            ))),
        }
    }

    fn order(&self) -> Channels {
        match (self.channels, self.preprocess) {
            (Some(Order::Bgr), _) | (None, Some(Preset::Caffe)) => Channels::Bgr,
            _ => Channels::Rgb,
        }
    }

    /// Mean and standard deviation of `count` channels; `None` if no option states them.
    fn normalisation(&self, count: usize) -> Result<Option<[Vec<f32>; 2]>, Fault> {
        if self.mean.is_empty() && self.std.is_empty() && self.preprocess.is_none() {
            return Ok(None);
        }
        let [mean, std] = self.preprocess.unwrap_or(Preset::Unit).numbers();
        let each = |option: &str, given: &[f32], preset: [f32; 3]| match given {
            [] => Ok((0..count).map(|c| preset[c % 3]).collect()),
            [one] => Ok(vec![*one; count]),
            given if given.len() == count => Ok(given.to_vec()),
            given => Err(Fault::usage(format!("{option}: expected {count} numbers, got {}", given.len()))),
        };
        let (mean, std) = (each("--mean", &self.mean, mean)?, each("--std", &self.std, std)?);
        if let Some(large) = mean.iter().find(|mean| !(-2.0..=2.0).contains(*mean)) {
            return Err(Fault::usage(format!(
                "--mean: expected numbers of pixels from 0 to 1, got {large}; divide those of 0 to 255 by 255, standard \
                 deviations too"
            )));
        }
        Ok(Some([mean, std]))
    }
}

/// The input of the model in an ONNX file, as the file or else the options state it. Where both are silent on the numbers, they are
/// those from 0 to 1 if that `is_enough`, as for a table of layers.
fn described(
    file: &Onnx,
    path: &Path,
    preparation: &Preparation,
    size: Option<usize>,
    is_enough: bool,
) -> Result<Described, Fault> {
    let in_file = |error| fault(path, error);
    let stated = Described::of(file).map_err(in_file)?;
    let stated_size = stated.as_ref().map(|stated| [stated.input.shape[1], stated.input.shape[2]]);
    let shape = file.image_shape(size.map(|size| [size; 2]).or(stated_size)).map_err(in_file)?;
    let numbers = match (preparation.normalisation(shape[0])?, &stated) {
        (Some(numbers), _) => numbers,
        (None, Some(stated)) => [stated.input.mean.clone(), stated.input.std.clone()],
        (None, None) if is_enough => [vec![0.0; shape[0]], vec![1.0; shape[0]]],
        (None, None) => {
            return Err(Fault::usage(format!(
                "{}: the file does not state the range of its inputs: --preprocess imagenet, caffe, tf, unit or bytes, or \
                 --mean and --std",
                path.display()
            )));
        }
    };
    let [mean, std] = numbers;
    let mut input = Input::new(shape, &mean, &std);
    let (mut name, mut classes) = (String::new(), Vec::new());
    if let Some(stated) = stated {
        if stated.input.shape == shape {
            input.preprocess = stated.input.preprocess;
        }
        (name, classes) = (stated.name, stated.classes);
    }
    if name.is_empty() {
        name = path.file_stem().map_or_else(|| "model".into(), |stem| stem.to_string_lossy().into_owned());
    }
    Ok(Described { name, input, classes })
}

/// Channels, height and width of the images that the model in an ONNX file takes.
///
/// # Errors
/// The file cannot be read, or leaves extents open that the options do not state.
pub fn shape(path: &Path, preparation: &Preparation, size: Option<usize>) -> Result<[usize; 3], Fault> {
    Ok(described(&open(path)?, path, preparation, size, true)?.input.shape)
}

/// The classifier in an ONNX file; says what was done to make it one. Names in `classes` take the place of those in the file. Its
/// numbers may be left unstated if only its layers matter.
///
/// # Errors
/// The file cannot be read, has nodes that are not supported, is not a classifier of images, or leaves something open that the
/// options do not state.
pub fn classifier(
    path: &Path,
    preparation: &Preparation,
    size: Option<usize>,
    classes: Option<Vec<String>>,
    layers_only: bool,
) -> Result<Model, Fault> {
    let file = open(path)?;
    let mut described = described(&file, path, preparation, size, layers_only)?;
    if let Some(classes) = classes {
        described.classes = classes;
    }
    let (model, notes) =
        file.classifier(described, preparation.order()).map_err(|error| fault(path, error))?;
    for line in notes {
        note(format!("{}: {line}", path.display()));
    }
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_give_a_mean_and_a_deviation_for_each_channel() {
        let of = |preparation: Preparation, channels| preparation.normalisation(channels);
        let preset = |preset| Preparation { preprocess: Some(preset), ..Preparation::default() };
        let numbers = |mean: &[f32], std: &[f32]| Some([mean.to_vec(), std.to_vec()]);
        assert_eq!(of(Preparation::default(), 3).unwrap(), None);
        assert_eq!(of(preset(Preset::Tf), 1).unwrap(), numbers(&[0.5], &[0.5]));
        let mean = Preparation { mean: vec![0.1], ..preset(Preset::Bytes) };
        assert_eq!(of(mean, 3).unwrap(), numbers(&[0.1; 3], &[1.0 / 255.0; 3]));
        let std = Preparation { std: vec![0.2, 0.3, 0.4], ..Preparation::default() };
        assert_eq!(of(std.clone(), 3).unwrap(), numbers(&[0.0; 3], &[0.2, 0.3, 0.4]));
        assert_eq!(of(std, 1).unwrap_err().message, "--std: expected 1 numbers, got 3");
        let bytes = Preparation { mean: vec![104.0, 117.0, 123.0], ..Preparation::default() };
        assert!(of(bytes, 3).unwrap_err().message.contains("got 104; divide those of 0 to 255 by 255"));
        assert_eq!(preset(Preset::Caffe).order(), Channels::Bgr);
        let rgb = Preparation { channels: Some(Order::Rgb), ..preset(Preset::Caffe) };
        assert_eq!(rgb.order(), Channels::Rgb);
    }
}
