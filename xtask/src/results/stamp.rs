//! The date and the commit of a measurement, and the check whether kernels changed since.

use crate::root;
use cnn_cli::fault::Fault;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;

/// The folders whose changes can change speed and the last bits of results.
const KERNELS: [&str; 2] = ["crates/cnn-tensor/src", "crates/cnn-ops/src"];

/// The documents whose rows have stamps.
const DOCUMENTS: [&str; 2] = ["docs/results.md", "docs/performance.md"];

/// The date and the commit that a row was measured at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// The day in UTC, as `2026-11-28`.
    pub date: String,
    /// The short hash. `+` after it says that the sources had changes that were not committed; without git it is
    /// `unknown`.
    pub commit: String,
}

impl Stamp {
    /// The stamp of a measurement that is made now.
    pub fn now() -> Self {
        let date = time::OffsetDateTime::now_utc().date().to_string();
        let Ok(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
            return Self { date, commit: "unknown".into() };
        };
        let changes = git(&["status", "--porcelain", "--untracked-files=no", "--", "crates", "Cargo.lock"]);
        let mark = if changes.is_ok_and(|changes| changes.is_empty()) { "" } else { "+" };
        Self { date, commit: format!("{commit}{mark}") }
    }

    /// The first `DATE COMMIT` among the words of a line.
    fn find(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.windows(2).find_map(|pair| {
            let date = pair[0].len() == 10
                && pair[0].bytes().enumerate().all(|(i, byte)| match i {
                    4 | 7 => byte == b'-',
                    _ => byte.is_ascii_digit(),
                });
            let hash = pair[1].trim_end_matches('+');
            let commit = hash == "unknown"
                || ((7..=40).contains(&hash.len()) && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
            (date && commit).then(|| Self { date: pair[0].into(), commit: pair[1].into() })
        })
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.date, self.commit)
    }
}

/// A line for each document and stamp: how many rows have it, and whether a kernel changed since.
///
/// # Errors
/// A document cannot be read.
pub fn report() -> Result<String, Fault> {
    let mut lines = Vec::new();
    for document in DOCUMENTS {
        let path = root().join(document);
        let text = std::fs::read_to_string(&path)
            .map_err(|e| Fault { status: 1, message: format!("{}: {e}", path.display()) })?;
        let mut rows = BTreeMap::<Stamp, usize>::new();
        for stamp in text.lines().filter_map(Stamp::find) {
            *rows.entry(stamp).or_default() += 1;
        }
        for (stamp, count) in rows {
            lines.push(format!("{document}: {count} rows of {stamp}: {}", age(&stamp)));
        }
    }
    Ok(lines.join("\n"))
}

/// Whether a kernel changed after the commit of a stamp.
fn age(stamp: &Stamp) -> String {
    let commit = stamp.commit.trim_end_matches('+');
    let range = format!("{commit}..HEAD");
    let mut arguments = vec!["log", "--date=short", "--format=%h of %ad (%s)", &range, "--"];
    arguments.extend(KERNELS);
    match git(&arguments) {
        Ok(log) => match log.lines().next() {
            Some(last) => format!("older than the last change of a kernel, {last}"),
            None => "up to date".into(),
        },
        Err(_) => "its commit is not in this clone".into(),
    }
}

/// The output of git, without the end of the line; an error if git is missing or fails.
fn git(arguments: &[&str]) -> Result<String, ()> {
    let output = Command::new("git").args(arguments).current_dir(root()).output().map_err(drop)?;
    if !output.status.success() {
        return Err(());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(date: &str, commit: &str) -> Stamp {
        Stamp { date: date.into(), commit: commit.into() }
    }

    #[test]
    fn a_stamp_is_found_in_rows_of_both_forms() {
        let find = Stamp::find;
        assert_eq!(find("| LeNet-5 | 2026-11-25 98388e9 | `x` |"), Some(stamp("2026-11-25", "98388e9")));
        assert_eq!(find("gemm  1  2.75 ms  2026-11-28 ca246c4+"), Some(stamp("2026-11-28", "ca246c4+")));
        assert_eq!(find("2026-11-28, AMD EPYC"), None);
        assert_eq!(find("2026-11-28 by hand"), None);
    }

    #[test]
    fn every_row_of_a_measurement_has_a_stamp() {
        for document in DOCUMENTS {
            let text = std::fs::read_to_string(root().join(document)).unwrap();
            let rows = measured_rows(&text);
            assert!(rows.len() >= 12, "{document}");
            for row in rows {
                assert!(Stamp::find(row).is_some(), "{document}: no date and commit in: {row}");
            }
        }
    }

    /// The rows of tables that have a column `measured`, and those that `cargo xtask bench` printed.
    fn measured_rows(text: &str) -> Vec<&str> {
        let (mut rows, mut in_table) = (Vec::new(), false);
        for line in text.lines() {
            let header = line.contains("| measured |") || line.starts_with("work  ");
            if header || line.is_empty() || line.starts_with("```") {
                in_table = header;
            } else if in_table && !line.starts_with("|--") {
                rows.push(line);
            }
        }
        rows
    }

    #[test]
    fn a_commit_that_is_missing_is_said_to_be() {
        assert_eq!(age(&stamp("2026-11-28", "0000000")), "its commit is not in this clone");
    }
}
