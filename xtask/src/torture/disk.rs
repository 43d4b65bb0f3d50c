//! Runs that run out of disk: files that may not grow, and a device that is full.

use super::run::wait_or_signal;
use super::{Tally, Torture, ended};
use cnn_cli::fault::Fault;
use cnn_tensor::Random;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

/// Resumes runs whose files may not exceed a random size, below that of a checkpoint: no file that was there may change for
/// worse, and the run must go on afterwards.
pub fn limited_files(torture: &Torture) -> Result<Tally, Fault> {
    let mut tally = Tally::default();
    let bytes = std::fs::metadata(torture.unbroken.checkpoint())?.len();
    for round in 0..torture.rounds {
        let name = format!("limit-{round}");
        let mut random = Random::new(torture.seed, &["torture", &name]);
        let run = torture.run(&name);
        tally.runs += 1;
        // A first part, mostly with a checkpoint.
        let delay = torture.duration.mul_f32(random.uniform(0.3, 0.8));
        wait_or_signal(&mut run.command(1, &[]).spawn()?, delay, "-INT")?;
        let before = run.files()?;

        let (threads, blocks) = (1 + random.below(8), random.below((bytes / 512) as usize) as u64);
        let by_signal = random.chance(0.5);
        let status = run.limited(threads, blocks, by_signal).status()?;
        match status.code() {
            Some(1) if !by_signal => tally.refused_writes += 1,
            None if by_signal => tally.refused_writes += 1,
            // Nothing was left to write that is as large.
            Some(0) => {}
            _ => tally.fault(format!("{name}: {blocks} blocks: ended with {}", ended(status))),
        }
        let after = run.files()?;
        for (file, content) in before.iter().filter(|(file, _)| !file.starts_with('.')) {
            // Smaller files may have been replaced as a whole.
            let small = content.len() as u64 <= 512 * blocks;
            if !small && after.get(file) != Some(content) {
                tally.files_lost += 1;
                tally.fault(format!("{name}: {file} is not what it was"));
            }
        }
        if let Err(fault) = run.finish(1 + random.below(8)) {
            tally.fault(fault.message);
        }
        tally.compare(&run, &torture.unbroken, &name)?;
    }
    Ok(tally)
}

/// Writes the output of commands to a full device: the status must be 1.
pub fn full_device(torture: &Torture) -> Result<Tally, Fault> {
    let mut tally = Tally::default();
    let training = torture.run("full-device").command(1, &["--json"]);
    let mut model = Command::new(&torture.program);
    model.args(["summary", "lenet"]);
    let mut json = Command::new(&torture.program);
    json.args(["summary", "lenet", "--json"]);
    for (name, mut command) in [("train --json", training), ("summary", model), ("summary --json", json)] {
        tally.runs += 1;
        let full = File::options().write(true).open(Path::new("/dev/full"))?;
        let status = command.stdin(Stdio::null()).stdout(full).stderr(Stdio::null()).status()?;
        match status.code() {
            Some(1) => tally.refused_writes += 1,
            _ => tally.fault(format!("{name} into a full device: ended with {}", ended(status))),
        }
    }
    // The files do not depend on stdout.
    tally.compare(&torture.run("full-device"), &torture.unbroken, "train --json into a full device")?;
    Ok(tally)
}
