//! What was measured, as a table and as JSON.

use super::machine::Machine;
use super::timing::{ROUND_SECONDS, Spread};
use serde::Serialize;
use std::fmt;

/// All rows, and all that one must know to read them.
#[derive(Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub machine: Machine,
    /// The peer's name and version.
    pub peer: Option<String>,
    pub rounds: usize,
    pub round_seconds: f64,
    pub rows: Vec<Row>,
}

/// One piece of work.
#[derive(Debug, Serialize)]
pub struct Row {
    pub work: &'static str,
    pub batch: Option<usize>,
    pub threads: usize,
    /// The time of one repetition.
    pub seconds: Spread,
    pub images_per_second: Option<f64>,
    /// Of work that is arithmetic.
    pub gflops: Option<f64>,
    /// What the same threads reach by multiply-adds on registers alone, measured in turns with the work.
    pub peak_gflops: Option<f64>,
    pub peer: Option<Comparison>,
    /// What the peer lacks to do this work, in a few words.
    pub peer_lacks: Option<String>,
}

/// The same work by the peer.
#[derive(Debug, Serialize)]
pub struct Comparison {
    pub mode: String,
    pub seconds: Spread,
    /// How many times as fast this library is: the peer's median time over ours.
    pub ratio: f64,
}

impl Report {
    /// Without rows yet.
    pub fn new(machine: Machine, peer: Option<String>, rounds: usize) -> Self {
        Self { machine, peer, rounds, round_seconds: ROUND_SECONDS, rows: Vec::new() }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { date, cpu, cores, simd } = &self.machine;
        write!(f, "{date}, {cpu}, {cores} cores, {simd}")?;
        self.peer.iter().try_for_each(|peer| write!(f, ", against {peer}"))?;
        writeln!(f, "\nmedian and quartiles of {} rounds of {} s", self.rounds, self.round_seconds)?;
        let mut header =
            vec!["work", "batch", "threads", "time", "quartiles", "images/s", "GFLOP/s", "peak", "share"];
        if self.peer.is_some() {
            header.extend(["peer's time", "quartiles", "mode", "ratio"]);
        }
        let mut lines = vec![header.into_iter().map(String::from).collect()];
        lines.extend(self.rows.iter().map(|row| row.cells(self.peer.is_some())));
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
        for line in &lines {
            write!(f, "\n{:1$}", line[0], widths[0])?;
            line.iter().zip(&widths).skip(1).try_for_each(|(cell, &width)| write!(f, "  {cell:>width$}"))?;
        }
        Ok(())
    }
}

impl Row {
    /// Of the peak.
    fn share(&self) -> Option<f64> {
        Some(self.gflops? / self.peak_gflops?)
    }

    fn cells(&self, with_peer: bool) -> Vec<String> {
        let or_dash = |cell: Option<String>| cell.unwrap_or_else(|| "-".into());
        let [time, quartiles] = times(&self.seconds);
        let mut cells = vec![
            self.work.into(),
            or_dash(self.batch.map(|batch| batch.to_string())),
            self.threads.to_string(),
            time,
            quartiles,
            or_dash(self.images_per_second.map(|rate| format!("{rate:.0}"))),
            or_dash(self.gflops.map(|rate| format!("{rate:.1}"))),
            or_dash(self.peak_gflops.map(|rate| format!("{rate:.0}"))),
            or_dash(self.share().map(|share| format!("{:.0} %", 100.0 * share))),
        ];
        match &self.peer {
            Some(Comparison { mode, seconds, ratio }) => {
                cells.extend(times(seconds));
                cells.extend([mode.clone(), format!("{ratio:.2}x")]);
            }
            None if with_peer => {
                let mode = or_dash(self.peer_lacks.as_ref().map(|what| format!("no {what}")));
                cells.extend(["-".into(), "-".into(), mode, "-".into()]);
            }
            None => {}
        }
        cells
    }
}

/// The median with its unit, and the quartiles in the same unit.
fn times(seconds: &Spread) -> [String; 2] {
    let (unit, scale) = match seconds.median {
        below if below < 1e-3 => ("us", 1e6),
        below if below < 1.0 => ("ms", 1e3),
        _ => ("s", 1.0),
    };
    let [low, median, high] =
        [seconds.lower_quartile, seconds.median, seconds.upper_quartile].map(|v| v * scale);
    // Three digits at least.
    let digits = if median < 10.0 { 2 } else { usize::from(median < 100.0) };
    [format!("{median:.digits$} {unit}"), format!("{low:.digits$}..{high:.digits$}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(median: f64) -> Spread {
        Spread { lower_quartile: 0.9 * median, median, upper_quartile: 1.1 * median }
    }

    fn report(peer: bool) -> Report {
        let machine =
            Machine { date: "2026-01-31".into(), cpu: "Example CPU".into(), cores: 2, simd: "avx2" };
        let mut report = Report::new(machine, peer.then(|| "PyTorch 2.10.0".into()), 11);
        let row = |work, batch: Option<usize>, seconds: f64, peer| Row {
            work,
            batch,
            threads: 1,
            seconds: spread(seconds),
            images_per_second: batch.map(|batch| batch as f64 / seconds),
            gflops: Some(61.7),
            peak_gflops: Some(123.4),
            peer,
            peer_lacks: None,
        };
        let comparison = Comparison { mode: "plain".into(), seconds: spread(4.5e-3), ratio: 2.25 };
        report.rows = vec![
            row("lenet training", Some(64), 2e-3, peer.then_some(comparison)),
            row("gemm", None, 123.4e-6, None),
            Row { gflops: None, peak_gflops: None, ..row("mnist batches", Some(64), 16e-6, None) },
        ];
        report
    }

    #[test]
    fn the_table_is_aligned() {
        assert_eq!(
            report(false).to_string(),
            "2026-01-31, Example CPU, 2 cores, avx2\n\
             median and quartiles of 11 rounds of 0.3 s\n\
             \n\
             work            batch  threads     time   quartiles  images/s  GFLOP/s  peak  share\n\
             lenet training     64        1  2.00 ms  1.80..2.20     32000     61.7   123   50 %\n\
             gemm                -        1   123 us    111..136         -     61.7   123   50 %\n\
             mnist batches      64        1  16.0 us  14.4..17.6   4000000        -     -      -"
        );
    }

    #[test]
    fn a_peer_adds_columns_and_a_dash_where_it_does_not_know_the_work() {
        let mut report = report(true);
        report.rows[2].peer_lacks = Some("PIL".into());
        let table = report.to_string();
        assert!(table.starts_with("2026-01-31, Example CPU, 2 cores, avx2, against PyTorch 2.10.0\n"));
        let ends: Vec<&str> = table.lines().skip(3).map(|line| &line[line.len() - 39..]).collect();
        assert_eq!(
            ends,
            [
                " peer's time   quartiles    mode  ratio",
                "     4.50 ms  4.05..4.95   plain  2.25x",
                "           -           -       -      -",
                "           -           -  no PIL      -",
            ]
        );
    }

    #[test]
    fn json_holds_every_number() {
        let json = serde_json::to_value(report(true)).unwrap();
        assert_eq!(json["simd"], "avx2");
        assert_eq!(json["rows"][0]["peak_gflops"], 123.4);
        assert_eq!(json["rows"][0]["seconds"]["median"], 2e-3);
        assert_eq!(json["rows"][0]["peer"]["ratio"], 2.25);
        assert!(json["rows"][1]["batch"].is_null() && json["rows"][1]["peer"].is_null());
    }
}
