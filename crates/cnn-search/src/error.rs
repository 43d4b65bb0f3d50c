use cnn_tensor::files::WriteError;
use cnn_tensor::text::one_line;
use std::path::PathBuf;

/// An error of an index or a search.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// A value that breaks a rule.
    #[error("{what} must be {rule}, got {}", one_line(.got))]
    Setting {
        /// The value.
        what: &'static str,
        /// The rule.
        rule: String,
        /// The actual value.
        got: String,
    },
    /// A vector with a number that is infinite or not a number.
    #[error("{}: expected finite numbers, got {number} at place {place}", one_line(.name))]
    NotFinite {
        /// The image of the vector.
        name: String,
        /// The place in the vector, from 0.
        place: usize,
        /// The number there.
        number: f32,
    },
    /// An index file with invalid contents.
    #[error("{}: at byte {offset}: expected {expected}, got {}", one_line(.path.display()), one_line(.got))]
    File {
        /// The file.
        path: PathBuf,
        /// The place in the file.
        offset: u64,
        /// The rule of the format.
        expected: String,
        /// The contents at that place.
        got: String,
    },
    /// An error of the operating system in reading or writing.
    #[error("{}: cannot {action}: {source}", one_line(.path.display()))]
    Io {
        /// The file.
        path: PathBuf,
        /// The attempted action: `open`, `read`, `write`.
        action: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
}

impl From<WriteError> for SearchError {
    fn from(WriteError { path, source }: WriteError) -> Self {
        Self::Io { path, action: "write", source }
    }
}

impl SearchError {
    pub(crate) fn setting(what: &'static str, rule: impl Into<String>, got: impl ToString) -> Self {
        Self::Setting { what, rule: rule.into(), got: got.to_string() }
    }
}
