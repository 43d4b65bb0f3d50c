use cnn_tensor::files::WriteError;
use cnn_tensor::text::one_line;
use std::path::{Path, PathBuf};

/// A fault between a file and a batch.
///
/// Each message is one line that names the file, the expectation and the content found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The system refused.
    #[error("{}: cannot {action}: {source}", one_line(.path.display()))]
    Io {
        /// The file.
        path: PathBuf,
        /// The attempt: `open`, `read`.
        action: &'static str,
        /// The system's message.
        source: std::io::Error,
    },
    /// A folder without the files of a data set.
    #[error("{}: expected {}, got none of them: {advice}", one_line(.folder.display()), .names.join(" or "))]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The names looked for; any one of them would have done.
        names: Vec<String>,
        /// Where to get the files.
        advice: &'static str,
    },
    /// A file whose content does not follow its format.
    #[error(
        "{}: at byte {offset} of the content: expected {}, got {}",
        one_line(.path.display()), one_line(.expected), one_line(.got)
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Where in the content, which is the unpacked one if the file is compressed.
        offset: u64,
        /// The expectation.
        expected: String,
        /// The content found.
        got: String,
    },
    /// Two files of different numbers of examples.
    #[error(
        "{}: expected {images} labels, one for each image of {}, got {labels}",
        one_line(.labels_path.display()), one_line(.images_path.display())
    )]
    Count {
        /// The file of images.
        images_path: PathBuf,
        /// How many it holds.
        images: usize,
        /// The file of labels.
        labels_path: PathBuf,
        /// How many it holds.
        labels: usize,
    },
    /// A folder or archive that is not arranged as expected.
    #[error("{}: expected {}, got {}", one_line(.path.display()), one_line(.expected), one_line(.got))]
    Layout {
        /// The folder, archive or file.
        path: PathBuf,
        /// The expectation.
        expected: String,
        /// The content found.
        got: String,
    },
    /// An image that cannot be decoded, or that shows something else than expected.
    #[error("{}: {}", one_line(.image), one_line(.fault))]
    Image {
        /// The file, or another name of the pixels.
        image: String,
        /// The expectation and the content found.
        fault: String,
    },
    /// A file that no mirror gave.
    #[error(
        "{}: cannot be downloaded: {}; by hand: put {} into {}",
        one_line(.path.display()), one_line(.faults.join("; ")), .wanted.join(" and "),
        one_line(.path.parent().unwrap_or(.path).display())
    )]
    Download {
        /// The file.
        path: PathBuf,
        /// The fault of each mirror.
        faults: Vec<String>,
        /// The URLs of this file and of those that are missing, too.
        wanted: Vec<String>,
    },
    /// A setting that cannot be used.
    #[error("{what} must be {rule}, got {}", one_line(.got))]
    Setting {
        /// The setting.
        what: &'static str,
        /// Its rule.
        rule: String,
        /// Its value.
        got: String,
    },
}

impl DataError {
    /// [`DataError::Format`].
    pub(crate) fn format(path: &Path, offset: u64, expected: impl Into<String>, got: impl ToString) -> Self {
        Self::Format { path: path.into(), offset, expected: expected.into(), got: got.to_string() }
    }

    /// [`DataError::Layout`].
    pub(crate) fn layout(path: &Path, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self::Layout { path: path.into(), expected: expected.into(), got: got.into() }
    }
}

impl From<WriteError> for DataError {
    fn from(WriteError { path, source }: WriteError) -> Self {
        Self::Io { path, action: "write", source }
    }
}

#[cfg(feature = "loader")]
impl From<DataError> for cnn_nn::NnError {
    /// A fault of the data, as the training loop reports it.
    fn from(error: DataError) -> Self {
        Self::Data(Box::new(error))
    }
}
