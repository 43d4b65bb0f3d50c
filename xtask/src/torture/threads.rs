//! Runs on several numbers of threads.

use super::{Tally, Torture};
use cnn_cli::fault::Fault;

/// Trains on 1, 2, 3 and 8 threads.
pub fn threads(torture: &Torture) -> Result<Tally, Fault> {
    let mut tally = Tally::default();
    for threads in [1, 2, 3, 8] {
        let name = format!("threads-{threads}");
        let run = torture.run(&name);
        tally.runs += 1;
        match run.finish(threads) {
            Ok(()) => tally.compare(&run, &torture.unbroken, &name)?,
            Err(fault) => tally.fault(fault.message),
        }
    }
    Ok(tally)
}
