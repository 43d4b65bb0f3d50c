//! Whether other programs use the processor while something is to be timed.

use std::time::Duration;

/// Says on stderr if the cores are in use by others, for a command that is about to measure times.
pub fn warn() {
    if let Some(line) = measure().and_then(in_words) {
        crate::fault::note(line);
    }
}

/// Cores in use, and all there are; only where the system tells (Linux).
fn measure() -> Option<(f64, usize)> {
    let before = Ticks::now()?;
    std::thread::sleep(Duration::from_millis(250));
    let (after, cores) = (Ticks::now()?, std::thread::available_parallelism().ok()?.get());
    let all = after.all.checked_sub(before.all).filter(|all| *all > 0)?;
    let idle = after.idle.saturating_sub(before.idle);
    // The system counts all cores, of which this program may be allowed some.
    let counted = Ticks::cores()?;
    Some(((1.0 - idle as f64 / all as f64) * counted as f64, cores.max(counted)))
}

/// A warning, unless next to nothing is in use.
fn in_words((used, cores): (f64, usize)) -> Option<String> {
    const LITTLE: f64 = 0.2;
    (used > LITTLE).then(|| {
        format!("the machine is busy: other programs use {used:.1} of {cores} cores, so times will be longer than on an idle one")
    })
}

/// Time in units of the system's clock, summed over all cores since the system started.
#[derive(Debug, PartialEq)]
struct Ticks {
    idle: u64,
    all: u64,
}

impl Ticks {
    fn now() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line of `/proc/stat`: user, nice, system, idle, waiting for disks, interrupts, ...; guests' time is part of
    /// user's.
    fn parse(stat: &str) -> Option<Self> {
        let numbers = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
        let ticks: Vec<u64> = numbers.map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { idle: ticks.get(3)? + ticks.get(4)?, all: ticks.iter().sum() })
    }

    fn cores() -> Option<usize> {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        Some(stat.lines().skip(1).take_while(|line| line.starts_with("cpu")).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_counts_are_read() {
        let stat = "cpu  100 5 20 800 60 7 8 0 50 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(Ticks::parse(stat), Some(Ticks { idle: 860, all: 1000 }));
        assert_eq!(Ticks::parse("intr 5"), None);
    }

    #[test]
    fn a_busy_machine_is_said_and_an_idle_one_is_not() {
        assert_eq!(in_words((0.1, 8)), None);
        let line = in_words((1.44, 2)).unwrap();
        assert!(line.starts_with("the machine is busy: other programs use 1.4 of 2 cores"), "{line}");
    }
}
