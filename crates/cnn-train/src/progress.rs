//! How far long work is: a bar on a terminal, and else a line now and then.

use crate::fault::note;
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
    #[allow(clippy::new_without_default)] // A clock starts; it has no default.
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

/// Seconds as `m:ss`, or `h:mm:ss`.
pub fn clock(seconds: u64) -> String {
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn clocks_read_as_people_write_them() {
        assert_eq!([5, 65, 3605].map(super::clock), ["0:05", "1:05", "1:00:05"]);
    }
}
