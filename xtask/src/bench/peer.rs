//! Another library that does the same work, in a process of its own.
//!
//! The process first says who it is and which work it knows, then answers a line of JSON with a line of JSON:
//!
//! ```text
//! < {"version": "PyTorch 2.10.0", "works": ["lenet training", ...]}
//! > {"work": "lenet training", "batch": 64, "threads": 1, "seconds": 0.3}
//! < {"seconds": 0.00466, "mode": "plain"}
//! ```
//!
//! A question about work on files also has `"files"`, the folder that they lie in. Work that the peer could do with something
//! else installed is not among its works; `"lacks": {"jpeg batches": "torchvision"}` says what is missing.
//!
//! `seconds` is asked for a round, and answered for one repetition. The first question about a piece of work lets the peer
//! warm up, choose its fastest mode and settle how many repetitions make a round. Whatever goes wrong is
//! `{"error": "..."}`.

use super::timing::{Contestant, ROUND_SECONDS};
use super::works::Case;
use crate::datasets::root;
use crate::fault::Fault;
use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A peer that has a program in `xtask/peers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PeerName {
    /// PyTorch on the CPU, eager; the fastest of plain or channels_last layout, with plain or fused SGD.
    Pytorch,
}

impl PeerName {
    fn script(self) -> &'static str {
        match self {
            Self::Pytorch => "xtask/peers/pytorch.py",
        }
    }
}

const HOW_TO_INSTALL: &str = "to get it: python3 -m venv .venv && .venv/bin/pip install torch torchvision, \
                              then bench with --python .venv/bin/python";

/// A peer's running process.
#[derive(Debug)]
pub struct Peer {
    /// Its name and version.
    pub version: String,
    works: Vec<String>,
    lacks: BTreeMap<String, String>,
    line: Line<BufReader<ChildStdout>, ChildStdin>,
    process: Child,
}

/// What a peer says first.
#[derive(Debug, Deserialize)]
struct Hello {
    version: String,
    works: Vec<String>,
    /// For work that it does not know, what is missing.
    #[serde(default)]
    lacks: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize)]
struct Question {
    work: &'static str,
    batch: Option<usize>,
    threads: usize,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<PathBuf>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Answer {
    seconds: f64,
    mode: String,
}

impl Peer {
    /// Starts the peer's program and waits until it is ready.
    pub fn start(name: PeerName, python: &Path) -> Result<Self, Fault> {
        let missing = |reason: &dyn std::fmt::Display| {
            Fault::usage(format!("--python {}: {reason}; {HOW_TO_INSTALL}", python.display()))
        };
        let mut process = Command::new(python)
            .arg(root().join(name.script()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| missing(&e))?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            unreachable!("both are piped");
        };
        let mut line = Line { from: BufReader::new(stdout), to: stdin };
        let hello: Result<Hello, Fault> = line.answer();
        match hello {
            Ok(Hello { version, works, lacks }) => Ok(Self { version, works, lacks, line, process }),
            Err(fault) => {
                end(&mut process);
                Err(missing(&fault.message))
            }
        }
    }

    pub fn knows(&self, case: &Case) -> bool {
        self.works.iter().any(|name| name == case.work.name)
    }

    /// What is missing for work that it does not know, if it says so.
    pub fn lacks(&self, case: &Case) -> Option<String> {
        self.lacks.get(case.work.name).cloned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// Ends a process; one that has ended is no failure.
fn end(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}

/// A peer at one piece of work.
pub struct Theirs<'a> {
    peer: &'a mut Peer,
    question: Question,
    /// The mode that was fastest; known after the warm-up.
    pub mode: String,
}

impl<'a> Theirs<'a> {
    pub fn new(peer: &'a mut Peer, case: &Case, threads: usize, files: Option<PathBuf>) -> Self {
        let (work, batch, seconds) = (case.work.name, case.batch, ROUND_SECONDS);
        let question = Question { work, batch, threads, seconds, files };
        Self { peer, question, mode: String::new() }
    }
}

impl Contestant for Theirs<'_> {
    fn warm_up(&mut self) -> Result<(), Fault> {
        self.mode = self.peer.line.ask(&self.question)?.mode;
        Ok(())
    }

    fn round(&mut self) -> Result<f64, Fault> {
        Ok(self.peer.line.ask(&self.question)?.seconds)
    }
}

/// The line to a peer.
#[derive(Debug)]
struct Line<R, W> {
    from: R,
    to: W,
}

impl<R: BufRead, W: Write> Line<R, W> {
    fn ask(&mut self, question: &Question) -> Result<Answer, Fault> {
        let asked = serde_json::to_string(question)? + "\n";
        // A peer that has ended shows when its answer is read.
        let _ = self.to.write_all(asked.as_bytes()).and_then(|()| self.to.flush());
        let answer: Answer = self.answer()?;
        if !(answer.seconds.is_finite() && answer.seconds > 0.0) {
            return Err(fault(format!("expected a time above 0 seconds, got {}", answer.seconds)));
        }
        Ok(answer)
    }

    fn answer<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
        }
        let mut text = String::new();
        self.from.read_line(&mut text).map_err(|e| fault(format!("expected a line of JSON: {e}")))?;
        if text.is_empty() {
            return Err(fault("expected an answer, but its process ended"));
        }
        if let Ok(Refusal { error }) = serde_json::from_str(&text) {
            return Err(fault(error.lines().next().unwrap_or_default()));
        }
        serde_json::from_str(&text).map_err(|_| {
            let start: String = text.trim_end().chars().take(80).collect();
            fault(format!("expected a line of JSON with an answer, got {start:?}"))
        })
    }
}

fn fault(message: impl std::fmt::Display) -> Fault {
    Fault { status: 1, message: format!("the peer: {message}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: Question =
        Question { work: "lenet training", batch: Some(64), threads: 2, seconds: 0.3, files: None };

    fn ask(reply: &[u8]) -> Result<Answer, String> {
        Line { from: reply, to: Vec::new() }.ask(&QUESTION).map_err(|fault| fault.message)
    }

    #[test]
    fn questions_and_answers_are_lines_of_json() {
        let mut line = Line { from: &b"{\"seconds\": 0.25, \"mode\": \"plain\"}\n{}\n"[..], to: Vec::new() };
        assert_eq!(line.ask(&QUESTION).unwrap(), Answer { seconds: 0.25, mode: "plain".into() });
        let asked = r#"{"work":"lenet training","batch":64,"threads":2,"seconds":0.3}"#;
        assert_eq!(String::from_utf8(line.to).unwrap(), format!("{asked}\n"));
        assert_eq!(line.from, b"{}\n", "one question, one answer");
        let on_files = Question { files: Some("a b".into()), ..QUESTION };
        let asked = serde_json::to_string(&on_files).unwrap();
        assert!(asked.ends_with(r#","seconds":0.3,"files":"a b"}"#), "{asked}");
    }

    #[test]
    fn answers_that_are_none_say_what_was_expected() {
        for (reply, message) in [
            (&b""[..], "the peer: expected an answer, but its process ended"),
            (
                b"Segmentation fault\n",
                "the peer: expected a line of JSON with an answer, got \"Segmentation fault\"",
            ),
            (
                b"{\"seconds\": 1.0}",
                "the peer: expected a line of JSON with an answer, got \"{\\\"seconds\\\": 1.0}\"",
            ),
            (b"{\"error\": \"out of memory\\nand more\"}\n", "the peer: out of memory"),
            (
                b"{\"seconds\": 0.0, \"mode\": \"plain\"}\n",
                "the peer: expected a time above 0 seconds, got 0",
            ),
            (
                b"{\"seconds\": -1, \"mode\": \"plain\"}\n",
                "the peer: expected a time above 0 seconds, got -1",
            ),
        ] {
            assert_eq!(ask(reply).unwrap_err(), message);
        }
        assert!(ask(b"\xff\xfe\n").unwrap_err().starts_with("the peer: expected a line of JSON: "));
        assert!(ask("ä".repeat(5000).as_bytes()).unwrap_err().len() < 300, "a long line is cut");
    }

    #[test]
    fn a_program_that_is_no_peer_is_refused_with_advice() {
        // This test's own program takes the script for the name of a test, and writes an empty line first.
        let program = std::env::current_exe().unwrap();
        let Fault { status, message } = Peer::start(PeerName::Pytorch, &program).unwrap_err();
        assert_eq!(status, 2);
        let end = "the peer: expected a line of JSON with an answer, got \"\"; to get it: python3 -m venv .venv && ";
        assert!(message.starts_with("--python ") && message.contains(end), "{message}");
    }
}
