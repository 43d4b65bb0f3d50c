//! How a download shows its progress.

use crate::fault::note;
use crate::progress::{self, Lines};
use cnn_fetch::Event;
use indicatif::{DecimalBytes, FormattedDuration, ProgressBar};
use std::time::Duration;

/// Shows the progress: a bar on a terminal, else a line now and then.
pub(super) struct Console {
    pub(super) bar: ProgressBar,
    lines: Lines,
}

impl Console {
    pub(super) fn new() -> Self {
        let template =
            "{msg} [{bar:30}] {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left";
        Self { bar: progress::bar(None, template), lines: Lines::new() }
    }

    /// A line that stays, above the bar.
    fn line(&self, text: String) {
        if self.bar.is_hidden() { note(text) } else { self.bar.println(text) }
    }

    pub(super) fn show(&mut self, event: Event<'_>) {
        match event {
            Event::Present { name } => self.line(format!("{name}: already there, and right")),
            Event::Wrong { path } => {
                self.line(format!("{}: not what was published; it will be replaced", path.display()));
            }
            Event::Start { url, from, bytes } => {
                let resumed = if from > 0 { format!(" from byte {from} on") } else { String::new() };
                self.line(format!("{url}{resumed}"));
                self.bar.set_length(bytes);
                self.bar.set_position(from);
                self.bar.reset_eta();
                self.lines = Lines::new();
            }
            Event::Progress { name, done, bytes, rate } => {
                self.bar.set_message(name.to_string());
                self.bar.set_position(done);
                self.lines.note(&self.bar, || in_a_line(name, done, bytes, rate));
            }
            Event::Fault { url, message, wait } => {
                self.line(format!("{url}: {message}; next try in {:.1} s", wait.as_secs_f64()));
            }
            Event::Done { path } => self.line(format!("{}: complete, and right", path.display())),
            _ => {}
        }
    }
}

/// The progress in one line.
fn in_a_line(name: &str, done: u64, bytes: u64, rate: f64) -> String {
    let left = Duration::from_secs(((bytes - done) as f64 / rate.max(1.0)) as u64);
    format!(
        "{name}: {} of {}  {}/s  {} left",
        DecimalBytes(done),
        DecimalBytes(bytes),
        DecimalBytes(rate as u64),
        FormattedDuration(left)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_reads_well() {
        assert_eq!(
            in_a_line("data.gz", 20_000_000, 170_000_000, 3_000_000.0),
            "data.gz: 20.00 MB of 170.00 MB  3.00 MB/s  00:00:50 left"
        );
    }
}
