//! How many threads a command computes on.

use crate::fault::Fault;
use cnn_tensor::parallel::{self, Threads};

/// A pool of as many threads as the user wants, or as the machine has.
pub fn threads(wanted: Option<usize>) -> Result<(usize, Threads), Fault> {
    let count = wanted.unwrap_or_else(parallel::available);
    let pool = Threads::new(count).map_err(|e| Fault::usage(format!("--threads: {e}")))?;
    Ok((count, pool))
}
