//! The printed table of a profile.

use super::{LayerProfile, Profile, rate};
use crate::summary::thousands;
use cnn_tensor::text::cell;
use std::fmt;

/// The length of the longest bar, in characters.
const BAR: f64 = 24.0;

/// The unit of all times of a table.
#[derive(Clone, Copy)]
struct Unit {
    name: &'static str,
    per_second: f64,
    digits: usize,
}

impl Unit {
    /// The unit in which the step has four or five digits.
    fn of(step: f64) -> Self {
        let unit = |name, per_second, digits| Self { name, per_second, digits };
        match step {
            ..1e-3 => unit("us", 1e6, 1),
            ..1e-2 => unit("ms", 1e3, 3),
            ..1e-1 => unit("ms", 1e3, 2),
            ..1e1 => unit("ms", 1e3, 1),
            _ => unit("s", 1.0, 2),
        }
    }

    /// The number without the unit's name; empty for 0.
    fn number(self, seconds: f64) -> String {
        if seconds == 0.0 { String::new() } else { format!("{:.*}", self.digits, seconds * self.per_second) }
    }

    fn time(self, seconds: f64) -> String {
        format!("{:.*} {}", self.digits, seconds * self.per_second, self.name)
    }
}

/// `1234567` as `1.2 MB`; empty for 0.
fn bytes(n: u64) -> String {
    match n {
        0 => String::new(),
        1..1_000 => format!("{n} B"),
        1_000..10_000 => format!("{:.1} kB", n as f64 / 1e3),
        10_000..1_000_000 => format!("{:.0} kB", n as f64 / 1e3),
        1_000_000..10_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.0} MB", n as f64 / 1e6),
    }
}

fn gflops(rate: Option<f64>) -> String {
    rate.map_or(String::new(), |rate| if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") })
}

/// The number of columns before the bar.
const COLUMNS: usize = 11;

impl Profile {
    fn header(&self, unit: Unit) -> [String; COLUMNS] {
        let forward = format!("forward {}", unit.name);
        let backward = if self.training { format!("backward {}", unit.name) } else { String::new() };
        let rate = if self.training { "GFLOP/s" } else { "" };
        let fixed = ["layer", "kind", "output", "parameters"].map(String::from);
        let [layer, kind, output, parameters] = fixed;
        let [forward_rate, backward_rate, size, taken, share] =
            ["GFLOP/s", rate, "size", "taken", "share"].map(String::from);
        [layer, kind, output, parameters, size, taken, forward, forward_rate, backward, backward_rate, share]
    }

    fn layer(layer: &LayerProfile, unit: Unit) -> [String; COLUMNS] {
        let parameters = if layer.parameters == 0 { String::new() } else { thousands(layer.parameters) };
        [
            cell(&layer.path, 100),
            layer.kind.into(),
            // The batch axis is left out: it is the same in all rows.
            format!("{:?}", layer.output.dims().get(1..).unwrap_or_default()),
            parameters,
            bytes(layer.output_bytes),
            bytes(layer.forward_bytes + layer.backward_bytes),
            unit.number(layer.forward),
            gflops(layer.forward_gflops()),
            unit.number(layer.backward),
            gflops(layer.backward_gflops()),
            percent(layer.share),
        ]
    }

    fn total(&self, unit: Unit) -> [String; COLUMNS] {
        let sum = |of: fn(&LayerProfile) -> u64| self.layers.iter().map(of).fold(0, u64::saturating_add);
        let seconds = |of: fn(&LayerProfile) -> f64| self.layers.iter().map(of).sum::<f64>();
        let (forward, backward) = (seconds(|layer| layer.forward), seconds(|layer| layer.backward));
        let share = self.layers.iter().map(|layer| layer.share).sum();
        [
            "layers".into(),
            String::new(),
            String::new(),
            thousands(sum(|layer| layer.parameters)),
            bytes(sum(|layer| layer.output_bytes)),
            bytes(sum(|layer| layer.forward_bytes + layer.backward_bytes)),
            unit.number(forward),
            gflops(rate(sum(|layer| layer.macs), forward)),
            unit.number(backward),
            gflops(rate(sum(|layer| layer.backward_macs), backward)),
            percent(share),
        ]
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = Unit::of(self.step);
        let mut lines = vec![(self.header(unit), None)];
        lines.extend(self.layers.iter().map(|layer| (Self::layer(layer, unit), Some(layer.share))));
        let rule_below = lines.len();
        lines.push((self.total(unit), None));
        for rest in &self.rest {
            let mut cells = [const { String::new() }; COLUMNS];
            cells[0] = rest.name.into();
            cells[COLUMNS - 1] = percent(rest.share);
            // In the column of the pass that has most of it, or of the only pass.
            cells[if self.training { 8 } else { 6 }] = unit.number(rest.seconds);
            lines.push((cells, Some(rest.share)));
        }

        let longest = lines.iter().filter_map(|(_, share)| *share).fold(1e-9, f64::max);
        let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
            lines.iter().map(|(cells, _)| cells[column].len()).max().unwrap_or(0)
        });
        let columns = widths.iter().filter(|&&width| width > 0).count();
        let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * (columns - 1));
        for (i, (cells, share)) in lines.iter().enumerate() {
            if i == 1 || i == rule_below {
                writeln!(f, "{rule}")?;
            }
            let mut line = String::new();
            for (column, (cell, width)) in
                cells.iter().zip(widths).enumerate().filter(|(_, (_, width))| *width > 0)
            {
                // Names are aligned left, numbers right.
                line += &if column < 3 { format!("{cell:width$}  ") } else { format!("{cell:>width$}  ") };
            }
            line += &"#".repeat((share.unwrap_or(0.0).max(0.0) / longest * BAR).round() as usize);
            writeln!(f, "{}", line.trim_end())?;
        }

        let (what, threads) = (
            if self.training { "step" } else { "prediction" },
            if self.threads == 1 { "thread" } else { "threads" },
        );
        writeln!(
            f,
            "\n{what} of {} images on {} {threads}: {}, {:.0} images/s; the parts add up to {}",
            self.images,
            self.threads,
            unit.time(self.step_without_clocks),
            self.images as f64 / self.step_without_clocks,
            unit.time(self.seconds()),
        )?;
        writeln!(
            f,
            "with the clocks running {}: they cost {:.1} % (medians of {})",
            unit.time(self.step),
            100.0 * self.cost_of_clocks(),
            self.rounds,
        )?;
        let beside =
            if self.training { "parameters, gradients, optimizer and batch" } else { "parameters and batch" };
        writeln!(f, "memory in use at most: {} besides {beside}", bytes(self.peak_bytes))
    }
}
