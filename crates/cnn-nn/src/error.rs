use cnn_ops::OpError;
use cnn_tensor::files::WriteError;
use cnn_tensor::text::one_line;
use cnn_tensor::{Shape, TensorError};
use std::path::PathBuf;

/// An error in building, running, training, saving or loading a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NnError {
    /// An error in a layer, with the layer's dotted path: `features.3: conv2d: ...`.
    #[error("{}: {fault}", one_line(.path))]
    At {
        /// The dotted path of the layer.
        path: String,
        /// The error in the layer.
        fault: Box<NnError>,
    },
    /// An operation rejected its options or inputs. Boxed, as other large variants are, because every layer's result has room for
    /// it.
    #[error(transparent)]
    Op(Box<OpError>),
    /// A tensor could not be created.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A wrong number of things.
    #[error("{what} must be {expected}, got {got}")]
    Count {
        /// The things that are counted.
        what: &'static str,
        /// The right number.
        expected: usize,
        /// The actual number.
        got: usize,
    },
    /// An invalid description or setting.
    #[error("{what} must be {rule}, got {}", one_line(.got))]
    Setting {
        /// The setting.
        what: &'static str,
        /// The rule for the setting.
        rule: &'static str,
        /// The actual value.
        got: String,
    },
    /// An unknown name, with those that are known.
    #[error("{what} must be {rule}, got {}", one_line(.got))]
    Name {
        /// The thing that has the name.
        what: &'static str,
        /// The known names.
        rule: String,
        /// The unknown name, and perhaps the one that is meant.
        got: String,
    },
    /// A saved parameter that the model lacks, a parameter that the file lacks, or one of another shape.
    #[error(
        "parameter {}: the model expects {}, the file has {}",
        one_line(.name), describe(.expected), describe(.got)
    )]
    Parameter {
        /// The dotted name.
        name: Box<str>,
        /// The shape in the model.
        expected: Option<Box<Shape>>,
        /// The shape in the file.
        got: Option<Box<Shape>>,
    },
    /// A file with invalid contents.
    #[error("{}: {}", one_line(.path.display()), one_line(.fault))]
    File {
        /// The file.
        path: PathBuf,
        /// What was expected, and what is there.
        fault: String,
    },
    /// An error in the contents of a file.
    #[error("{}: {fault}", one_line(.path.display()))]
    InFile {
        /// The file.
        path: PathBuf,
        /// The error.
        fault: Box<NnError>,
    },
    /// An error of the operating system in reading or writing.
    #[error("{}: cannot {action}: {source}", one_line(.path.display()))]
    Io {
        /// The file.
        path: PathBuf,
        /// The attempted action: `read`, `write`, ...
        action: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// The loss became infinite or not a number.
    #[error(
        "the loss is {loss} at epoch {epoch}, step {step}: lower the learning rate, or look at the input"
    )]
    NotFinite {
        /// The loss.
        loss: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
    },
    /// An error of the source of batches.
    #[error(transparent)]
    Data(Box<dyn std::error::Error + Send + Sync>),
}

fn describe(shape: &Option<Box<Shape>>) -> String {
    shape.as_ref().map_or("none of that name".into(), |shape| format!("shape {shape}"))
}

impl From<OpError> for NnError {
    fn from(fault: OpError) -> Self {
        Self::Op(Box::new(fault))
    }
}

impl From<WriteError> for NnError {
    fn from(WriteError { path, source }: WriteError) -> Self {
        Self::Io { path, action: "write", source }
    }
}

impl NnError {
    /// A saved parameter that does not match the model's.
    pub(crate) fn parameter(name: impl Into<Box<str>>, expected: Option<Shape>, got: Option<Shape>) -> Self {
        Self::Parameter { name: name.into(), expected: expected.map(Box::new), got: got.map(Box::new) }
    }

    /// The same error, as one in the contents of the file at `path`.
    #[must_use]
    pub fn in_file(self, path: &std::path::Path) -> Self {
        Self::InFile { path: path.into(), fault: Box::new(self) }
    }

    /// The same error, as seen from a container that calls the layer `name`.
    #[must_use]
    pub fn within(self, name: &str) -> Self {
        match self {
            Self::At { path, fault } => Self::At { path: format!("{name}.{path}"), fault },
            fault => Self::At { path: name.into(), fault: Box::new(fault) },
        }
    }
}
