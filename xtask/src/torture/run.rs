//! A short training run, and the comparison of two.

use super::ended;
use cnn_cli::fault::Fault;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A training run of a second or so: six epochs, and a checkpoint after each.
const TRAINING: [&str; 9] =
    ["train-lenet", "--epochs", "6", "--limit", "600", "--batch-size", "50", "--seed", "7"];
const CHECKPOINT: &str = "checkpoint.safetensors";
const WEIGHTS: &str = "model.safetensors";

/// A training run in a folder of its own.
pub struct Run {
    program: PathBuf,
    folder: PathBuf,
}

/// How a run's files differ from those of an unbroken run.
#[derive(Debug, Default, PartialEq)]
pub struct Difference {
    /// Of the weights.
    pub bits_changed: u64,
    /// Files that are missing, or whose text differs.
    pub lost: Vec<String>,
    /// Files that an unbroken run does not have.
    pub surplus: Vec<String>,
}

impl Run {
    pub fn new(program: &Path, folder: PathBuf) -> Self {
        Self { program: program.into(), folder }
    }

    /// The command that goes on with the run, or begins it if it has no checkpoint, with these arguments added.
    pub fn command(&self, threads: usize, more: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        self.arguments(&mut command, threads, more);
        command
    }

    /// The same, with its files limited to `blocks` blocks of 512 bytes. If `signal`, the first write beyond ends the program by
    /// SIGXFSZ; otherwise it is an error to the program.
    pub fn limited(&self, threads: usize, blocks: u64, signal: bool) -> Command {
        let trap = if signal { "" } else { "trap '' XFSZ; " };
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{trap}ulimit -f {blocks}; exec \"$0\" \"$@\"")).arg(&self.program);
        self.arguments(&mut command, threads, &[]);
        command
    }

    fn arguments(&self, command: &mut Command, threads: usize, more: &[&str]) {
        // As a user does it. The options may be repeated or left out.
        match self.checkpoint().exists() {
            true => command.args(["train-lenet", "--resume"]),
            false => command.args(TRAINING),
        };
        command.arg("--threads").arg(threads.to_string()).arg("--out").arg(&self.folder).args(more);
        command
            .env("CNN_HOME", crate::root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
    }

    pub fn checkpoint(&self) -> PathBuf {
        self.folder.join(CHECKPOINT)
    }

    /// The names and contents of the files in the folder, but for the lock.
    pub fn files(&self) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
        let mut files = BTreeMap::new();
        for entry in self.folder.read_dir()? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != ".lock" {
                files.insert(name, std::fs::read(entry.path())?);
            }
        }
        Ok(files)
    }

    /// Runs to the end; a run that has ended writes its report again.
    ///
    /// # Errors
    /// The program fails.
    pub fn finish(&self, threads: usize) -> Result<(), Fault> {
        let output = self.command(threads, &[]).stderr(Stdio::piped()).output()?;
        match output.status.success() {
            true => Ok(()),
            false => {
                let status = ended(output.status);
                let said = String::from_utf8_lossy(&output.stderr);
                let last = said.lines().last().unwrap_or_default();
                let message = format!("{}: ended with {status}: {last}", self.folder.display());
                Err(Fault { status: 1, message })
            }
        }
    }

    /// How the files differ from those of an unbroken run.
    pub fn compare(&self, unbroken: &Self) -> Result<Difference, Fault> {
        Ok(difference(&self.files()?, &unbroken.files()?))
    }
}

/// How a run's files differ from those of an unbroken run. Times differ always: those in the metrics are left out, and of the
/// checkpoint and the curves only their presence is compared.
fn difference(files: &BTreeMap<String, Vec<u8>>, unbroken: &BTreeMap<String, Vec<u8>>) -> Difference {
    let mut found = Difference::default();
    for (name, want) in unbroken {
        match files.get(name) {
            None => found.lost.push(name.clone()),
            Some(got) if name == WEIGHTS => found.bits_changed = bits_changed(got, want),
            Some(got) if name == "metrics.csv" && without_times(got) != without_times(want) => {
                found.lost.push(name.clone());
            }
            Some(_) => {}
        }
    }
    found.surplus = files.keys().filter(|name| !unbroken.contains_key(*name)).cloned().collect();
    found
}

/// The bits in which two files differ. Bytes that one of them lacks differ in all bits.
fn bits_changed(a: &[u8], b: &[u8]) -> u64 {
    let changed: u64 = a.iter().zip(b).map(|(a, b)| u64::from((a ^ b).count_ones())).sum();
    changed + 8 * a.len().abs_diff(b.len()) as u64
}

/// The lines of the metrics without their last column, the seconds.
fn without_times(metrics: &[u8]) -> Vec<String> {
    let lines = String::from_utf8_lossy(metrics);
    lines.lines().map(|line| line.rsplit_once(',').map_or(line, |(rest, _)| rest).to_string()).collect()
}

/// Waits for a process, and sends it the signal after `delay`. Returns how it ended, and whether the signal was sent before.
pub fn wait_or_signal(child: &mut Child, delay: Duration, signal: &str) -> Result<(ExitStatus, bool), Fault> {
    let start = Instant::now();
    while start.elapsed() < delay {
        if let Some(status) = child.try_wait()? {
            return Ok((status, false));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    // Until it is waited for, its number belongs to no other process.
    let sent = Command::new("kill").arg(signal).arg(child.id().to_string()).status()?;
    if !sent.success() {
        return Err(Fault { status: 1, message: format!("kill {signal}: ended with {}", ended(sent)) });
    }
    Ok((child.wait()?, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(each: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        each.iter().map(|(name, content)| (name.to_string(), content.as_bytes().to_vec())).collect()
    }

    #[test]
    fn changed_bits_and_lost_files_are_found_and_times_are_not() {
        let unbroken = files(&[
            (WEIGHTS, "abc"),
            (CHECKPOINT, "1 s"),
            ("metrics.csv", "epoch,seconds\n1,0.5\n"),
            ("mistakes.png", ""),
        ]);
        let mut other = unbroken.clone();
        other.insert(CHECKPOINT.into(), b"2 s".into());
        other.insert("metrics.csv".into(), b"epoch,seconds\n1,0.7\n".into());
        assert_eq!(difference(&other, &unbroken), Difference::default());

        other.insert(WEIGHTS.into(), b"abaA".into());
        other.insert("metrics.csv".into(), b"epoch,seconds\n2,0.7\n".into());
        other.insert(".unfinished-1".into(), Vec::new());
        other.remove("mistakes.png");
        let found = difference(&other, &unbroken);
        assert_eq!(found.bits_changed, 1 + 8);
        assert_eq!(found.lost, ["metrics.csv", "mistakes.png"]);
        assert_eq!(found.surplus, [".unfinished-1"]);
    }
}
