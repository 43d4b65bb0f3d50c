//! How a command fails: one line on stderr and an exit status.

use cnn_tensor::text::one_line;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

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

/// The first failure to print, but for a closed pipe.
static UNPRINTED: OnceLock<io::Error> = OnceLock::new();

/// Prints a line to stdout. A closed pipe (`| head`) is not a failure; another one, such as a full disk, is the command's: see
/// [`exit`].
pub fn print(text: impl Display) {
    let mut stdout = io::stdout().lock();
    if let Err(fault) = writeln!(stdout, "{}", safe(text)).and_then(|()| stdout.flush())
        && fault.kind() != io::ErrorKind::BrokenPipe
    {
        let _ = UNPRINTED.set(fault);
    }
}

/// Prints a line to stderr, where progress goes. A failure to print it is ignored.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{}", safe(text));
}

/// Prints the report of a run: in `words`, or with `--json` its `summary`, with the words on stderr.
pub fn deliver(words: &str, summary: &impl Serialize, json: bool) -> Result<(), Fault> {
    if json {
        note(words);
        print(serde_json::to_string(summary)?);
    } else {
        print(words);
    }
    Ok(())
}

/// A message in one line that a screen has room for: what it quotes can be of any length.
fn shortened(message: &str) -> String {
    const LONGEST: usize = 4000;
    let line = one_line(message);
    let length = line.chars().count();
    if length <= LONGEST {
        return line;
    }
    let part = |from: usize| line.chars().skip(from).take(LONGEST / 2).collect::<String>();
    let (begin, end) = (part(0), part(length - LONGEST / 2));
    format!("{begin} [{} characters left out] {end}", length - LONGEST)
}

/// A text whose lines are the program's own: other control characters are from files, and are shown escaped.
fn safe(text: impl Display) -> String {
    let text = text.to_string();
    match text.chars().any(|c| c.is_control() && c != '\n') {
        true => text.split('\n').map(one_line).collect::<Vec<_>>().join("\n"),
        false => text,
    }
}

/// The exit status of a command; says on stderr why it failed.
pub fn exit(result: Result<(), Fault>) -> ExitCode {
    let printed = || match UNPRINTED.get() {
        None => Ok(()),
        Some(fault) => Err(Fault { status: 1, message: format!("standard output: cannot write: {fault}") }),
    };
    match result.and_then(|()| printed()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Fault { status, message }) => {
            note(format!("error: {}", shortened(&message)));
            ExitCode::from(status)
        }
    }
}
