//! What can be wrong with a file.

use crate::Report;
use cnn_nn::NnError;
use std::path::PathBuf;

/// A file that cannot be read, or a network that this library cannot compute.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// An error of the operating system.
    #[error("{}: cannot {action}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The attempted action.
        action: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// Contents that are no ONNX model, or a damaged one.
    #[error("{fault}")]
    File {
        /// The place in the file, the expectation, and what is there.
        fault: String,
    },
    /// Nodes that are not supported, all of them.
    #[error("{0}")]
    Unsupported(Box<Report>),
    /// The imported network could not be built.
    #[error(transparent)]
    Nn(#[from] NnError),
}

impl OnnxError {
    pub(crate) fn file(fault: impl Into<String>) -> Self {
        Self::File { fault: fault.into() }
    }
}
