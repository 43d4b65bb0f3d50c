//! How far long work is: a bar on a terminal, and else a line now and then.

use crate::fault::note;
use crate::train::clock;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Between two lines where stderr is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A bar of `total` steps, hidden where stderr is no terminal; `template` is indicatif's, with `remaining` for the time left as
/// lines say it.
pub fn bar(total: Option<u64>, template: &str) -> ProgressBar {
    let terminal = std::io::stderr().is_terminal();
    let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(total, target);
    let remaining = |state: &ProgressState, out: &mut dyn fmt::Write| {
        let _ = write!(out, "{}", clock(state.eta().as_secs()));
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.with_key("remaining", remaining).progress_chars("=> "));
    }
    bar
}

/// The lines that take the place of a hidden bar.
pub struct Lines {
    last: Instant,
}

impl Lines {
    /// The first line is due ten seconds from now.
    pub fn new() -> Self {
        Self { last: Instant::now() }
    }

    /// Prints a line, if `bar` is hidden and one is due.
    pub fn note(&mut self, bar: &ProgressBar, text: impl FnOnce() -> String) {
        if bar.is_hidden() && self.last.elapsed() > LINE_EVERY {
            note(text());
            self.last = Instant::now();
        }
    }
}
