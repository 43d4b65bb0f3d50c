//! How a command fails: one line on stderr and an exit status.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// A command's failure.
#[derive(Debug)]
pub struct Fault {
    /// 1: something went wrong; 2: the command line cannot be followed; 130: interrupted.
    pub status: u8,
    /// One line that says what, where, and what was expected.
    pub message: String,
}

impl Fault {
    /// The command line cannot be followed.
    pub fn usage(message: impl Display) -> Self {
        Self { status: 2, message: message.to_string() }
    }

    /// The run was interrupted and can be resumed.
    pub fn interrupted(message: impl Display) -> Self {
        Self { status: 130, message: message.to_string() }
    }
}

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self { status: 1, message: error.to_string() }
    }
}

/// Prints a line to stdout; a closed pipe (`| head`) is no failure.
pub fn print(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a line to stderr, where progress goes; nobody reading it is no failure either.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The exit status of a command; says on stderr why it failed.
pub fn exit(result: Result<(), Fault>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Fault { status, message }) => {
            note(format!("error: {message}"));
            ExitCode::from(status)
        }
    }
}
