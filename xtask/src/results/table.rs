//! docs/results.md and docs/results.json.

use super::stamp::Stamp;
use cnn_cli::fault::Fault;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A row of docs/results.json.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub network: String,
    pub data: String,
    pub command: String,
    pub parameters: u64,
    /// How long it was trained, in words.
    pub length: String,
    pub measures: Vec<Measured>,
    pub seconds: Vec<f64>,
    pub threads: usize,
    pub simd: String,
    pub measured: Stamp,
}

/// A measure of all runs of a row.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    pub name: String,
    pub percent: bool,
    /// Of each seed, from 0 on.
    pub values: Vec<f64>,
}

pub fn read(store: &Path) -> Result<Vec<Row>, Fault> {
    let fault = |e: &dyn std::fmt::Display| Fault {
        status: 1,
        message: format!("{}: expected the rows of earlier results: {e}", store.display()),
    };
    if !store.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(store).map_err(|e| fault(&e))?;
    serde_json::from_str(&text).map_err(|e| fault(&e))
}

pub fn document(rows: &[Row]) -> String {
    let (classes, others): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.is_classification());
    let lines = |rows: Vec<&Row>| rows.into_iter().map(line).collect::<Vec<_>>().join("\n");
    let mut text = format!(
        "# Results\n\n\
         Written by `cargo xtask results`. Each number is that of the test set after the last epoch; no epoch is selected.\n\
         Seeds are 0, 1, 2 and so on, and the time is the median of the runs. The same seed gives the same numbers on the\n\
         same SIMD level, for any number of threads. `measured` is the date and the commit of the measurement; `cargo xtask\n\
         results --check` says which rows are older than the last change of a kernel.\n\n\
         | network | data | parameters | epochs | seeds | mean accuracy | lowest to highest | time | measured | command |\n\
         |---|---|---|---|---|---|---|---|---|---|\n{}\n",
        lines(classes)
    );
    if !others.is_empty() {
        text += &format!(
            "\n## Other tasks\n\n\
             Means over the seeds, with the lowest and the highest in brackets. The baselines are in the output of the commands.\n\n\
             | network | data | parameters | length | seeds | result | time | measured | command |\n\
             |---|---|---|---|---|---|---|---|---|\n{}\n",
            lines(others)
        );
    }
    text
}

impl Row {
    fn is_classification(&self) -> bool {
        matches!(&self.measures[..], [measure] if measure.name == super::recipes::ACCURACY.name)
    }
}

impl Measured {
    /// The mean, the lowest and the highest value, with the unit after the last number of each text.
    fn texts(&self) -> [String; 2] {
        let (scale, unit) = if self.percent { (100.0, " %") } else { (1.0, "") };
        let values = || self.values.iter().map(|value| scale * value);
        let mean = values().sum::<f64>() / self.values.len() as f64;
        let lowest = values().fold(f64::INFINITY, f64::min);
        let highest = values().fold(f64::NEG_INFINITY, f64::max);
        [format!("{mean:.2}{unit}"), format!("{lowest:.2} to {highest:.2}{unit}")]
    }

    fn in_words(&self) -> String {
        let [mean, range] = self.texts();
        if self.values.len() == 1 {
            return format!("{} {mean}", self.name);
        }
        format!("{} {mean} ({range})", self.name)
    }
}

fn line(row: &Row) -> String {
    let mut seconds = row.seconds.clone();
    seconds.sort_by(f64::total_cmp);
    let Row { network, data, parameters, length, threads, simd, measured, command, measures, .. } = row;
    let time = match seconds[seconds.len() / 2] {
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds => format!("{:.1} min", seconds / 60.0),
    };
    let (result, length) = if row.is_classification() {
        let [mean, range] = measures[0].texts();
        (format!("{mean} | {range}"), length.trim_end_matches(" epochs"))
    } else {
        (measures.iter().map(Measured::in_words).collect::<Vec<_>>().join(", "), length.as_str())
    };
    format!(
        "| {network} | {data} | {parameters} | {length} | {} | {result} | {time}, {threads} threads, {simd} | {measured} | \
         `cargo xtask {command}` |",
        seconds.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(measures: Vec<Measured>) -> Row {
        Row {
            network: "LeNet-5".into(),
            data: "MNIST".into(),
            command: "train-lenet".into(),
            parameters: 61_706,
            length: "12 epochs".into(),
            measures,
            seconds: vec![150.0, 20.0, 130.0],
            threads: 2,
            simd: "avx512".into(),
            measured: Stamp { date: "2026-01-31".into(), commit: "0123abc".into() },
        }
    }

    #[test]
    fn a_row_says_what_was_reached() {
        let accuracy = Measured { name: "accuracy".into(), percent: true, values: vec![0.99, 0.98, 0.985] };
        assert_eq!(
            line(&row(vec![accuracy])),
            "| LeNet-5 | MNIST | 61706 | 12 | 3 | 98.50 % | 98.00 to 99.00 % | 2.2 min, 2 threads, avx512 | \
             2026-01-31 0123abc | `cargo xtask train-lenet` |"
        );
    }

    #[test]
    fn other_tasks_have_measures_of_their_own() {
        let measures = vec![
            Measured { name: "PCP".into(), percent: true, values: vec![0.25, 0.27, 0.29] },
            Measured { name: "score".into(), percent: false, values: vec![-3.0, -1.0, 1.0] },
        ];
        let text = document(&[row(measures)]);
        let last = text.lines().last().unwrap();
        assert_eq!(
            last,
            "| LeNet-5 | MNIST | 61706 | 12 epochs | 3 | PCP 27.00 % (25.00 to 29.00 %), score -1.00 (-3.00 to 1.00) | \
             2.2 min, 2 threads, avx512 | 2026-01-31 0123abc | `cargo xtask train-lenet` |"
        );
        assert!(text.contains("## Other tasks"));
    }
}
