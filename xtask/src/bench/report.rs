//! The measurements, as a table and as JSON.

use super::machine::Machine;
use super::peer::PeerName;
use super::timing::{ROUND_SECONDS, Spread};
use serde::Serialize;
use std::fmt;

/// All rows, with the machine, the peers and the method.
#[derive(Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub machine: Machine,
    pub peers: Vec<Version>,
    pub rounds: usize,
    pub round_seconds: f64,
    pub rows: Vec<Row>,
}

/// A peer that took part.
#[derive(Debug, Serialize)]
pub struct Version {
    pub peer: PeerName,
    /// Its name and version.
    pub version: String,
}

/// One piece of work.
#[derive(Debug, Serialize)]
pub struct Row {
    pub work: String,
    pub batch: Option<usize>,
    pub threads: usize,
    /// The time of one repetition.
    pub seconds: Spread,
    pub images_per_second: Option<f64>,
    /// Of work that arithmetic or memory limits.
    pub rate: Option<Rate>,
    /// By those peers that know the work.
    pub peers: Vec<Comparison>,
    /// The packages that peers lack for this work.
    pub lacks: Vec<Lack>,
}

/// Work per second, and the most that the same threads can do, measured in turns with it: multiply-adds on registers alone,
/// or a pass over more memory than caches hold.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rate {
    pub unit: &'static str,
    pub achieved: f64,
    pub limit: f64,
}

/// The same work by a peer.
#[derive(Debug, Serialize)]
pub struct Comparison {
    pub peer: PeerName,
    pub mode: String,
    pub seconds: Spread,
    /// How many times as fast this library is: the peer's median time over ours.
    pub ratio: f64,
}

/// Something that a peer lacks.
#[derive(Debug, Serialize)]
pub struct Lack {
    pub peer: PeerName,
    pub what: String,
}

impl Report {
    /// A report without rows.
    pub fn new(machine: Machine, peers: Vec<Version>, rounds: usize) -> Self {
        Self { machine, peers, rounds, round_seconds: ROUND_SECONDS, rows: Vec::new() }
    }

    fn header(&self) -> Vec<String> {
        let ours = ["work", "batch", "threads", "time", "quartiles", "images/s", "rate", "limit", "share"];
        let mut header: Vec<String> = ours.map(String::from).into();
        match &self.peers[..] {
            [] => {}
            [_] => header.extend(["peer's time", "quartiles", "mode", "ratio"].map(String::from)),
            peers => {
                header.extend(peers.iter().flat_map(|of| [of.peer.to_string(), "ratio".into()]));
                header.extend(["best peer", "ratio"].map(String::from));
            }
        }
        header.push("measured".into());
        header
    }

    fn cells(&self, row: &Row) -> Vec<String> {
        let mut cells = row.cells();
        match &self.peers[..] {
            [] => {}
            [of] => match row.compared(of.peer) {
                Some(Comparison { mode, seconds, ratio, .. }) => {
                    cells.extend(times(seconds));
                    cells.extend([mode.clone(), times_as_fast(*ratio)]);
                }
                None => cells.extend(["-".into(), "-".into(), row.lack(of.peer), "-".into()]),
            },
            peers => {
                for of in peers {
                    cells.extend(match row.compared(of.peer) {
                        Some(Comparison { seconds, ratio, .. }) => {
                            let [time, _] = times(seconds);
                            [time, times_as_fast(*ratio)]
                        }
                        None => [row.lack(of.peer), "-".into()],
                    });
                }
                cells.extend(match row.best() {
                    Some(Comparison { peer, mode, ratio, .. }) => {
                        [format!("{peer}: {mode}"), times_as_fast(*ratio)]
                    }
                    None => ["-".into(), "-".into()],
                });
            }
        }
        cells.push(self.machine.measured.to_string());
        cells
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { measured, cpu, cores, simd } = &self.machine;
        write!(f, "{}, {cpu}, {cores} cores, {simd}", measured.date)?;
        for (i, Version { version, .. }) in self.peers.iter().enumerate() {
            write!(f, "{}{version}", if i == 0 { ", against " } else { "; " })?;
        }
        writeln!(f, "\nmedian and quartiles of {} rounds of {} s", self.rounds, self.round_seconds)?;
        let mut lines = vec![self.header()];
        lines.extend(self.rows.iter().map(|row| self.cells(row)));
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
    fn compared(&self, peer: PeerName) -> Option<&Comparison> {
        self.peers.iter().find(|comparison| comparison.peer == peer)
    }

    /// The fastest peer.
    fn best(&self) -> Option<&Comparison> {
        self.peers.iter().min_by(|a, b| a.ratio.total_cmp(&b.ratio))
    }

    /// The text in the place of a missing time.
    fn lack(&self, peer: PeerName) -> String {
        let lack = self.lacks.iter().find(|lack| lack.peer == peer);
        lack.map_or("-".into(), |lack| format!("no {}", lack.what))
    }

    fn cells(&self) -> Vec<String> {
        let or_dash = |cell: Option<String>| cell.unwrap_or_else(|| "-".into());
        let [time, quartiles] = times(&self.seconds);
        vec![
            self.work.clone(),
            or_dash(self.batch.map(|batch| batch.to_string())),
            self.threads.to_string(),
            time,
            quartiles,
            or_dash(self.images_per_second.map(|rate| format!("{rate:.0}"))),
            or_dash(self.rate.map(|rate| format!("{:.1} {}", rate.achieved, rate.unit))),
            or_dash(self.rate.map(|rate| format!("{:.0}", rate.limit))),
            or_dash(self.rate.map(|rate| format!("{:.0} %", 100.0 * rate.achieved / rate.limit))),
        ]
    }
}

fn times_as_fast(ratio: f64) -> String {
    format!("{ratio:.2}x")
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
    use crate::results::stamp::Stamp;

    fn spread(median: f64) -> Spread {
        Spread { lower_quartile: 0.9 * median, median, upper_quartile: 1.1 * median }
    }

    fn comparison(peer: PeerName, mode: &str, seconds: f64, ours: f64) -> Comparison {
        Comparison { peer, mode: mode.into(), seconds: spread(seconds), ratio: seconds / ours }
    }

    fn report(peers: &[PeerName]) -> Report {
        let measured = Stamp { date: "2026-01-31".into(), commit: "0123abc".into() };
        let machine = Machine { measured, cpu: "Example CPU".into(), cores: 2, simd: "avx2" };
        let versions =
            peers.iter().map(|&peer| Version { peer, version: format!("{peer} 2.10.0") }).collect();
        let mut report = Report::new(machine, versions, 11);
        let row = |work: &str, batch: Option<usize>, seconds: f64| Row {
            work: work.into(),
            batch,
            threads: 1,
            seconds: spread(seconds),
            images_per_second: batch.map(|batch| batch as f64 / seconds),
            rate: Some(Rate { unit: "GFLOP/s", achieved: 61.7, limit: 123.4 }),
            peers: Vec::new(),
            lacks: Vec::new(),
        };
        let compared = [
            comparison(PeerName::Pytorch, "plain", 4.5e-3, 2e-3),
            comparison(PeerName::Tensorflow, "XLA", 3e-3, 2e-3),
        ];
        let compared = compared.into_iter().filter(|of| peers.contains(&of.peer)).collect();
        report.rows = vec![
            Row { peers: compared, ..row("lenet training", Some(64), 2e-3) },
            row("gemm", None, 123.4e-6),
            Row {
                rate: Some(Rate { unit: "GB/s", achieved: 5.0, limit: 20.0 }),
                ..row("relu", Some(64), 16e-6)
            },
            Row { rate: None, ..row("mnist batches", Some(64), 16e-6) },
        ];
        report
    }

    #[test]
    fn the_table_is_aligned() {
        assert_eq!(
            report(&[]).to_string(),
            "2026-01-31, Example CPU, 2 cores, avx2\n\
             median and quartiles of 11 rounds of 0.3 s\n\
             \n\
             work            batch  threads     time   quartiles  images/s          rate  limit  share            measured\n\
             lenet training     64        1  2.00 ms  1.80..2.20     32000  61.7 GFLOP/s    123   50 %  2026-01-31 0123abc\n\
             gemm                -        1   123 us    111..136         -  61.7 GFLOP/s    123   50 %  2026-01-31 0123abc\n\
             relu               64        1  16.0 us  14.4..17.6   4000000      5.0 GB/s     20   25 %  2026-01-31 0123abc\n\
             mnist batches      64        1  16.0 us  14.4..17.6   4000000             -      -      -  2026-01-31 0123abc"
        );
    }

    #[test]
    fn a_peer_adds_columns_and_a_dash_where_it_does_not_know_the_work() {
        let mut report = report(&[PeerName::Pytorch]);
        report.rows[3].lacks = vec![Lack { peer: PeerName::Pytorch, what: "PIL".into() }];
        let table = report.to_string();
        assert!(table.starts_with("2026-01-31, Example CPU, 2 cores, avx2, against pytorch 2.10.0\n"));
        let ends: Vec<&str> =
            table.lines().skip(3).map(|line| &line[line.len() - 59..line.len() - 20]).collect();
        assert_eq!(
            ends,
            [
                " peer's time   quartiles    mode  ratio",
                "     4.50 ms  4.05..4.95   plain  2.25x",
                "           -           -       -      -",
                "           -           -       -      -",
                "           -           -  no PIL      -",
            ]
        );
    }

    #[test]
    fn several_peers_have_a_column_each_and_the_best_is_named() {
        let report = report(&[PeerName::Pytorch, PeerName::Tensorflow]);
        let table = report.to_string();
        assert!(table.contains(", against pytorch 2.10.0; tensorflow 2.10.0\n"), "{table}");
        let ends: Vec<&str> =
            table.lines().skip(3).take(3).map(|line| &line[line.len() - 77..line.len() - 20]).collect();
        assert_eq!(
            ends,
            [
                "pytorch  ratio  tensorflow  ratio        best peer  ratio",
                "4.50 ms  2.25x     3.00 ms  1.50x  tensorflow: XLA  1.50x",
                "      -      -           -      -                -      -",
            ]
        );
    }

    #[test]
    fn json_holds_every_number() {
        let json = serde_json::to_value(report(&[PeerName::Pytorch])).unwrap();
        assert_eq!(json["simd"], "avx2");
        assert_eq!(json["peers"][0]["peer"], "pytorch");
        assert_eq!(json["rows"][0]["rate"]["limit"], 123.4);
        assert_eq!(json["rows"][2]["rate"]["unit"], "GB/s");
        assert_eq!(json["rows"][0]["seconds"]["median"], 2e-3);
        assert_eq!(json["rows"][0]["peers"][0]["ratio"], 2.25);
        assert!(json["rows"][1]["batch"].is_null() && json["rows"][1]["peers"][0].is_null());
    }
}
