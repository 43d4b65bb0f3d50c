//! A process that answers requests over pipes, and its failures.

use crate::PlayError;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A process that says a line first, then answers each request by so many bytes. A thread reads its answers, so that waiting for
/// one has an end.
pub struct Process {
    name: String,
    child: Child,
    requests: Option<ChildStdin>,
    answers: Receiver<Vec<u8>>,
    /// The bytes of an answer.
    size: usize,
    /// The bytes read so far of the answer that is not complete.
    got: Arc<AtomicUsize>,
    /// The last line on stderr.
    said: Arc<Mutex<String>>,
}

/// The most bytes of the first line.
const LONGEST_LINE: u64 = 1 << 16;
/// The most characters of a line on stderr that an error repeats.
const LONGEST_WORDS: usize = 300;
/// How long an ended process is waited for, so that an error can tell its status and last words.
const GRACE: Duration = Duration::from_millis(500);

impl Process {
    pub fn start(name: &str, mut command: Command, size: usize) -> Result<Self, PlayError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let unable = |e: &dyn std::fmt::Display| PlayError::Process {
            game: name.into(),
            fault: format!("cannot be started ({program}): {e}"),
            said: None,
        };
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| unable(&e))?;
        let (sender, answers) = sync_channel(1);
        let (got, said) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(String::new())));
        let (requests, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let process =
            Self { name: name.into(), child, requests, answers, size, got: got.clone(), said: said.clone() };
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        // The threads end when the pipes do, which they do at the latest when the process is killed.
        if let (Some(output), Some(errors)) = (output, errors) {
            thread("answers")
                .spawn(move || read_answers(output, size, &sender, &got))
                .map_err(|e| unable(&e))?;
            thread("errors").spawn(move || keep_last_line(errors, &said)).map_err(|e| unable(&e))?;
        }
        Ok(process)
    }

    pub fn send(&mut self, byte: u8) -> Result<(), PlayError> {
        let sent = self
            .requests
            .as_mut()
            .is_some_and(|pipe| pipe.write_all(&[byte]).and_then(|()| pipe.flush()).is_ok());
        if sent { Ok(()) } else { Err(self.ended()) }
    }

    /// The next answer.
    pub fn receive(&mut self, timeout: Duration) -> Result<Vec<u8>, PlayError> {
        match self.answers.recv_timeout(timeout) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
            Err(RecvTimeoutError::Timeout) => {
                let seconds = timeout.as_secs_f64();
                Err(self.fault(match self.got.load(Ordering::Relaxed) {
                    0 => format!("hangs: expected an answer within {seconds} s, got none"),
                    got => format!("hangs: expected {} bytes within {seconds} s, got {got}", self.size),
                }))
            }
        }
    }

    /// The error of a process whose pipe is closed.
    fn ended(&mut self) -> PlayError {
        let since = Instant::now();
        let mut status = None;
        while status.is_none() && since.elapsed() < GRACE {
            status = self.child.try_wait().ok().flatten();
            std::thread::sleep(Duration::from_millis(5));
        }
        let how = status.map_or("closed its output".into(), |status| format!("ended ({status})"));
        let half = match self.got.load(Ordering::Relaxed) {
            0 => String::new(),
            got => format!(" after {got} of {} bytes of an answer", self.size),
        };
        self.fault(how + &half)
    }

    /// An error of this process, which is ended by it.
    pub fn fault(&mut self, fault: String) -> PlayError {
        self.end();
        let said = self.said.lock().map(|said| said.clone()).unwrap_or_default();
        PlayError::Process { game: self.name.clone(), fault, said: (!said.is_empty()).then_some(said) }
    }

    fn end(&mut self) {
        self.requests = None;
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends the first line, then answers of `size` bytes, until the pipe is closed or the receiver is gone.
fn read_answers(output: ChildStdout, size: usize, answers: &SyncSender<Vec<u8>>, got: &AtomicUsize) {
    let mut output = BufReader::new(output);
    let mut answer = Vec::new();
    let line = output.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut answer);
    if !line.is_ok_and(|length| length > 0) {
        return;
    }
    while answers.send(std::mem::replace(&mut answer, vec![0; size])).is_ok() {
        let mut filled = 0;
        got.store(0, Ordering::Relaxed);
        while filled < size {
            match output.read(&mut answer[filled..]) {
                Ok(0) => return,
                Ok(length) => filled += length,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
            got.store(filled % size, Ordering::Relaxed);
        }
    }
}

/// Reads stderr to its end, so that the process is never held up by it, and keeps the last line that says something.
fn keep_last_line(errors: impl Read, said: &Mutex<String>) {
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    while errors.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let words: String = String::from_utf8_lossy(&line).trim().chars().take(LONGEST_WORDS).collect();
        if let (false, Ok(mut said)) = (words.is_empty(), said.lock()) {
            *said = words;
        }
        line.clear();
    }
}
