//! `cargo xtask torture`: runs that are killed, stopped, short of disk, or on other threads must end in the same bits.

mod disk;
mod interruptions;
mod run;
mod threads;

use cnn_cli::fault::{Fault, note, print};
use run::Run;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// Kill, stop and starve short training runs, resume them, and compare their files with those of an unbroken run.
///
/// Each round kills a run with SIGKILL at random moments, stops one with SIGINT, and lets one run into a limit of its files'
/// size; each is resumed, on a random number of threads, until it ends. One more campaign writes to /dev/full, another trains
/// on 1, 2, 3 and 8 threads. The status is 1 if a bit of the weights changed or a file was lost. Needs Linux.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask torture                      a minute
  cargo xtask torture --rounds 200         by hand, before a release
  cargo xtask torture --program target/debug/cnn --seed 7")]
pub struct Args {
    /// How often each kind of interruption is tried.
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Fixes the moments, the limits and the numbers of threads; what a moment hits depends on the machine too.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The program `cnn` to try [default: this program, which has the same commands].
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// The outcome of a campaign, a row of the table.
#[derive(Default)]
struct Tally {
    runs: usize,
    kills: usize,
    stops: usize,
    refused_writes: usize,
    bits_changed: u64,
    files_lost: usize,
    /// Other faults.
    other_faults: usize,
}

impl Tally {
    fn is_clean(&self) -> bool {
        self.bits_changed == 0 && self.files_lost == 0 && self.other_faults == 0
    }

    /// Counts and says a fault that is neither a changed bit nor a lost file.
    fn fault(&mut self, message: impl std::fmt::Display) {
        note(format!("fault: {message}"));
        self.other_faults += 1;
    }

    /// Counts how a finished run differs from the unbroken one.
    fn compare(&mut self, run: &Run, unbroken: &Run, title: &str) -> Result<(), Fault> {
        let found = run.compare(unbroken)?;
        self.bits_changed += found.bits_changed;
        self.files_lost += found.lost.len();
        if found.bits_changed > 0 {
            note(format!("fault: {title}: {} bits of the weights changed", found.bits_changed));
        }
        for name in &found.lost {
            note(format!("fault: {title}: {name} is missing or differs"));
        }
        for name in &found.surplus {
            self.fault(format!("{title}: {name} was left behind"));
        }
        Ok(())
    }
}

/// The state that all campaigns share.
struct Torture {
    program: PathBuf,
    folder: tempfile::TempDir,
    rounds: usize,
    seed: u64,
    unbroken: Run,
    /// How long the unbroken run took.
    duration: Duration,
}

impl Torture {
    /// A run into a new folder of this name.
    fn run(&self, name: &str) -> Run {
        Run::new(&self.program, self.folder.path().join(name))
    }
}

pub fn run(args: Args) -> Result<(), Fault> {
    if !cfg!(target_os = "linux") {
        return Err(Fault::usage("torture needs Linux: signals, ulimit and /dev/full"));
    }
    let program = args.program.map_or_else(std::env::current_exe, Ok)?;
    let folder = tempfile::tempdir()?;
    let start = Instant::now();
    let unbroken = Run::new(&program, folder.path().join("unbroken"));
    unbroken.finish(1)?;
    let duration = start.elapsed();
    let torture = Torture { program, folder, rounds: args.rounds, seed: args.seed, unbroken, duration };
    note(format!("an unbroken run takes {:.1} s", duration.as_secs_f64()));

    type Campaign = fn(&Torture) -> Result<Tally, Fault>;
    let campaigns: [(&str, Campaign); 5] = [
        ("killed (SIGKILL)", interruptions::kills),
        ("stopped (SIGINT)", interruptions::stops),
        ("files of limited size", disk::limited_files),
        ("output to a full device", disk::full_device),
        ("1, 2, 3, 8 threads", threads::threads),
    ];
    let mut tallies = Vec::new();
    for (name, campaign) in campaigns {
        note(name);
        tallies.push((name, campaign(&torture)?));
    }
    print(table(&tallies));
    print(format!("{} rounds, seed {}, {:.0} s", args.rounds, args.seed, start.elapsed().as_secs_f64()));
    match tallies.iter().all(|(_, tally)| tally.is_clean()) {
        true => Ok(()),
        false => Err(Fault { status: 1, message: "torture: something was lost or changed".into() }),
    }
}

/// The tallies as a table in Markdown.
fn table(tallies: &[(&str, Tally)]) -> String {
    let mut table = String::from(
        "| campaign | runs | kills | stops | writes refused | bits changed | files lost | other faults |\n\
         |---|---|---|---|---|---|---|---|",
    );
    for (name, t) in tallies {
        table += &format!(
            "\n| {name} | {} | {} | {} | {} | {} | {} | {} |",
            t.runs, t.kills, t.stops, t.refused_writes, t.bits_changed, t.files_lost, t.other_faults
        );
    }
    table
}

/// How a process ended, in words.
fn ended(status: ExitStatus) -> String {
    status.code().map_or_else(|| "a signal".into(), |code| format!("status {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_campaign() {
        let tally = Tally { runs: 3, kills: 5, bits_changed: 1, ..Tally::default() };
        let table = table(&[("killed", tally), ("stopped", Tally::default())]);
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            ["| killed | 3 | 5 | 0 | 0 | 1 | 0 | 0 |", "| stopped | 0 | 0 | 0 | 0 | 0 | 0 | 0 |"]
        );
    }
}
