//! Ctrl-C, by which a run is asked to save and stop.

use std::sync::atomic::{AtomicBool, Ordering};

/// Set by Ctrl-C; a run stops after the step under way.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether the run is to stop.
pub fn flag() -> &'static AtomicBool {
    &INTERRUPTED
}

/// From now on the first Ctrl-C (or SIGTERM) asks the run to stop, and a second one ends the process.
pub fn listen() {
    // If no handler can be set, Ctrl-C ends the process; the last checkpoint then serves as well.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
}
