use cnn_nn::NnError;
use cnn_tensor::text::one_line;

/// An error in playing, or in learning to play.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlayError {
    /// An error of the network, of a setting or of a file.
    #[error(transparent)]
    Nn(#[from] NnError),
    /// The process of a game failed: it could not be started, died, did not answer in time, or broke the protocol.
    #[error(
        "{}: the game's process {}{}",
        one_line(.game), one_line(.fault), .said.as_ref().map_or(String::new(), |said| format!("; its last words: {}", one_line(said)))
    )]
    Process {
        /// The game.
        game: String,
        /// The failure, and the expectation.
        fault: String,
        /// The last line that the process wrote to stderr.
        said: Option<String>,
    },
    /// The loss became infinite or not a number.
    #[error("the loss is {loss} in update {update}: lower the learning rate")]
    NotFinite {
        /// The loss.
        loss: f64,
        /// The number of the update, from 1.
        update: u64,
    },
}

impl PlayError {
    /// An invalid setting.
    pub(crate) fn setting(what: &'static str, rule: &'static str, got: impl ToString) -> Self {
        Self::Nn(NnError::Setting { what, rule, got: got.to_string() })
    }

    /// A file with invalid contents.
    pub(crate) fn file(path: &std::path::Path, fault: impl ToString) -> Self {
        Self::Nn(NnError::File { path: path.into(), fault: fault.to_string() })
    }
}
