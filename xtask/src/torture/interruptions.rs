//! Runs that are killed or stopped at random moments, and resumed until they end.

use super::run::{Run, wait_or_signal};
use super::{Tally, Torture, ended};
use cnn_cli::fault::Fault;
use cnn_tensor::Random;
use std::process::ExitStatus;

/// So many interruptions at most, then a run may end.
const MOST: usize = 4;

/// Kills with SIGKILL, which a program cannot notice.
pub fn kills(torture: &Torture) -> Result<Tally, Fault> {
    let mut tally = Tally::default();
    for round in 0..torture.rounds {
        let name = format!("kill-{round}");
        interrupt(torture, &name, "-KILL", &mut tally, |tally, _, status| {
            tally.kills += 1;
            if status.code().is_some() && !status.success() {
                tally.fault(format!("{name}: ended with {} instead of being killed", ended(status)));
            }
        })?;
    }
    Ok(tally)
}

/// Stops with SIGINT, as Ctrl-C does: the program saves and ends with status 130.
pub fn stops(torture: &Torture) -> Result<Tally, Fault> {
    let mut tally = Tally::default();
    for round in 0..torture.rounds {
        let name = format!("stop-{round}");
        interrupt(torture, &name, "-INT", &mut tally, |tally, run, status| {
            tally.stops += 1;
            match status.code() {
                // Training was over, and the report is written to its end; or the program had not begun, and just ends.
                Some(0) | None => {}
                Some(130) if run.checkpoint().exists() => {}
                Some(130) => tally.fault(format!("{name}: stopped without a checkpoint")),
                Some(_) => tally.fault(format!("{name}: ended with {} instead of 130", ended(status))),
            }
        })?;
    }
    Ok(tally)
}

/// Interrupts a run at random moments, finishes it, and compares.
fn interrupt(
    torture: &Torture,
    name: &str,
    signal: &str,
    tally: &mut Tally,
    mut judge: impl FnMut(&mut Tally, &Run, ExitStatus),
) -> Result<(), Fault> {
    let mut random = Random::new(torture.seed, &["torture", name]);
    let run = torture.run(name);
    tally.runs += 1;
    for _ in 0..1 + random.below(MOST) {
        let threads = 1 + random.below(8);
        // Up to a little later than its end, so that writing the report is hit too.
        let delay = torture.duration.mul_f32(random.uniform(0.0, 1.1));
        let (status, sent) = wait_or_signal(&mut run.command(threads, &[]).spawn()?, delay, signal)?;
        if !sent {
            if !status.success() {
                tally.fault(format!("{name}: ended with {} before it was interrupted", ended(status)));
            }
            break;
        }
        judge(tally, &run, status);
    }
    if let Err(fault) = run.finish(1 + random.below(8)) {
        tally.fault(fault.message);
    }
    tally.compare(&run, &torture.unbroken, name)
}
