//! Another library that does the same work, in a process of its own.
//!
//! The process is started for a number of threads, which is its only argument. It first says who it is and which work it
//! knows, then answers a line of JSON with a line of JSON:
//!
//! ```text
//! < {"version": "PyTorch 2.10.0", "works": ["lenet training", ...]}
//! > {"work": "lenet training", "batch": 64, "seconds": 0.3}
//! < {"seconds": 0.00466, "mode": "plain"}
//! ```
//!
//! A question about work on files also has `"files"`, the folder that they lie in. Work that the peer could do with something
//! else installed is not among its works; `"lacks": {"jpeg batches": "torchvision"}` says what is missing.
//!
//! `seconds` is asked for a round, and answered for one repetition. The first question about a piece of work lets the peer
//! warm up, choose its fastest mode and settle how many repetitions make a round. Whatever goes wrong is
//! `{"error": "..."}`.

mod program;

pub use program::{PeerName, Python, Pythons};

use super::timing::{Contestant, ROUND_SECONDS};
use super::works::Case;
use cnn_cli::fault::Fault;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

/// A peer's running process.
#[derive(Debug)]
pub struct Peer {
    pub name: PeerName,
    /// Its name and version.
    pub version: String,
    works: Vec<String>,
    lacks: BTreeMap<String, String>,
    line: Line<BufReader<ChildStdout>, ChildStdin>,
    process: Child,
}

/// The first line of a peer.
#[derive(Debug, Deserialize)]
struct Hello {
    version: String,
    works: Vec<String>,
    /// The missing package, for work that it does not know.
    #[serde(default)]
    lacks: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize)]
struct Question {
    work: String,
    batch: Option<usize>,
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
    /// Starts the peer's program for a number of threads, and waits until it is ready.
    pub fn start(name: PeerName, pythons: &Pythons, threads: usize) -> Result<Self, Fault> {
        let program = name.program(pythons)?;
        let mut process = program
            .command(threads)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| program.missing(&e))?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            unreachable!("both are piped");
        };
        let mut line = Line { name, from: BufReader::new(stdout), to: stdin };
        let hello: Result<Hello, Fault> = line.answer();
        match hello {
            Ok(Hello { version, works, lacks }) => Ok(Self { name, version, works, lacks, line, process }),
            Err(fault) => {
                end(&mut process);
                Err(program.missing(&fault.message))
            }
        }
    }

    pub fn knows(&self, case: &Case) -> bool {
        self.works.contains(&case.work.name)
    }

    /// The missing package for work that it does not know, if it says so.
    pub fn lacks(&self, case: &Case) -> Option<String> {
        self.lacks.get(&case.work.name).cloned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// Ends a process, unless it has ended already.
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
    pub fn new(peer: &'a mut Peer, case: &Case, files: Option<PathBuf>) -> Self {
        let (work, batch, seconds) = (case.work.name.clone(), case.batch, ROUND_SECONDS);
        let question = Question { work, batch, seconds, files };
        Self { peer, question, mode: String::new() }
    }

    pub fn name(&self) -> PeerName {
        self.peer.name
    }
}

impl Theirs<'_> {
    /// Asks once, and lets the peer's threads come to rest: some wait for more work by spinning for a while, which would slow
    /// whoever has the next turn.
    fn ask(&mut self) -> Result<Answer, Fault> {
        let answer = self.peer.line.ask(&self.question)?;
        std::thread::sleep(REST);
        Ok(answer)
    }
}

/// Long beside the time for which threads spin.
const REST: Duration = Duration::from_millis(50);

impl Contestant for Theirs<'_> {
    fn warm_up(&mut self) -> Result<(), Fault> {
        self.mode = self.ask()?.mode;
        Ok(())
    }

    fn round(&mut self) -> Result<f64, Fault> {
        Ok(self.ask()?.seconds)
    }
}

/// The line to a peer.
#[derive(Debug)]
struct Line<R, W> {
    name: PeerName,
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
            return Err(self.fault(format!("expected a time above 0 seconds, got {}", answer.seconds)));
        }
        Ok(answer)
    }

    fn answer<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
        }
        let mut text = String::new();
        self.from.read_line(&mut text).map_err(|e| self.fault(format!("expected a line of JSON: {e}")))?;
        if text.is_empty() {
            return Err(self.fault("expected an answer, but its process ended"));
        }
        if let Ok(Refusal { error }) = serde_json::from_str(&text) {
            return Err(self.fault(error.lines().next().unwrap_or_default()));
        }
        serde_json::from_str(&text).map_err(|_| {
            let start: String = text.trim_end().chars().take(80).collect();
            self.fault(format!("expected a line of JSON with an answer, got {start:?}"))
        })
    }

    fn fault(&self, message: impl std::fmt::Display) -> Fault {
        Fault { status: 1, message: format!("{}: {message}", self.name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question { work: "lenet training".into(), batch: Some(64), seconds: 0.3, files: None }
    }

    fn line(from: &[u8]) -> Line<&[u8], Vec<u8>> {
        Line { name: PeerName::Pytorch, from, to: Vec::new() }
    }

    fn ask(reply: &[u8]) -> Result<Answer, String> {
        line(reply).ask(&question()).map_err(|fault| fault.message)
    }

    #[test]
    fn questions_and_answers_are_lines_of_json() {
        let mut line = line(b"{\"seconds\": 0.25, \"mode\": \"plain\"}\n{}\n");
        assert_eq!(line.ask(&question()).unwrap(), Answer { seconds: 0.25, mode: "plain".into() });
        let asked = r#"{"work":"lenet training","batch":64,"seconds":0.3}"#;
        assert_eq!(String::from_utf8(line.to).unwrap(), format!("{asked}\n"));
        assert_eq!(line.from, b"{}\n", "one question, one answer");
        let on_files = Question { files: Some("a b".into()), ..question() };
        let asked = serde_json::to_string(&on_files).unwrap();
        assert!(asked.ends_with(r#","seconds":0.3,"files":"a b"}"#), "{asked}");
    }

    #[test]
    fn answers_that_are_none_say_what_was_expected() {
        for (reply, message) in [
            (&b""[..], "pytorch: expected an answer, but its process ended"),
            (
                b"Segmentation fault\n",
                "pytorch: expected a line of JSON with an answer, got \"Segmentation fault\"",
            ),
            (
                b"{\"seconds\": 1.0}",
                "pytorch: expected a line of JSON with an answer, got \"{\\\"seconds\\\": 1.0}\"",
            ),
            (b"{\"error\": \"out of memory\\nand more\"}\n", "pytorch: out of memory"),
            (b"{\"seconds\": 0.0, \"mode\": \"plain\"}\n", "pytorch: expected a time above 0 seconds, got 0"),
            (b"{\"seconds\": -1, \"mode\": \"plain\"}\n", "pytorch: expected a time above 0 seconds, got -1"),
        ] {
            assert_eq!(ask(reply).unwrap_err(), message);
        }
        assert!(ask(b"\xff\xfe\n").unwrap_err().starts_with("pytorch: expected a line of JSON: "));
        assert!(ask("ä".repeat(5000).as_bytes()).unwrap_err().len() < 300, "a long line is cut");
    }

    #[test]
    fn a_program_that_is_no_peer_is_refused_with_advice() {
        // This test's own program takes the script for the name of a test, and writes an empty line first.
        let program = std::env::current_exe().unwrap();
        let pythons: Pythons = [program.to_str().unwrap().parse().unwrap()].into_iter().collect();
        for (name, package) in [(PeerName::Pytorch, "torch"), (PeerName::Tensorflow, "tensorflow")] {
            let Fault { status, message } = Peer::start(name, &pythons, 1).unwrap_err();
            assert_eq!((status, message.lines().count()), (2, 1), "{message}");
            let end = format!(
                "{name}: expected a line of JSON with an answer, got \"\"; to get it: \
                 python3 -m venv .venv && .venv/bin/pip install {package}"
            );
            assert!(message.starts_with("--python ") && message.contains(&end), "{message}");
        }
    }
}
