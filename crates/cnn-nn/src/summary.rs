//! The table of a network: the output shape and the cost of each layer.

use cnn_tensor::Shape;
use cnn_tensor::text::cell;
use serde::Serialize;
use std::fmt;

/// A row: one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SummaryRow {
    /// The dotted path.
    pub path: String,
    /// The kind of layer.
    pub kind: &'static str,
    /// The shape of the output for one input.
    #[serde(serialize_with = "dims")]
    pub output: Shape,
    /// The number of trained numbers.
    pub parameters: u64,
    /// The multiply-accumulates for one input.
    pub macs: u64,
}

pub(crate) fn dims<S: serde::Serializer>(shape: &Shape, serializer: S) -> Result<S::Ok, S::Error> {
    shape.dims().serialize(serializer)
}

/// The rows of a network, in order; `Display` draws the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The rows.
    pub rows: Vec<SummaryRow>,
}

impl Summary {
    /// The total number of trained numbers.
    pub fn parameters(&self) -> u64 {
        self.rows.iter().map(|row| row.parameters).sum()
    }

    /// The total of multiply-accumulates for one input; saturates at the largest `u64`.
    pub fn macs(&self) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.saturating_add(row.macs))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["layer", "kind", "output", "parameters", "MACs"].map(String::from);
        let rows = self.rows.iter().map(|row| {
            let (parameters, macs) = (thousands(row.parameters), thousands(row.macs));
            // The batch is left out: the table is for one input.
            let output = format!("{:?}", row.output.dims().get(1..).unwrap_or_default());
            [cell(&row.path, 100), row.kind.into(), output, parameters, macs]
        });
        let total = [
            "total".into(),
            String::new(),
            String::new(),
            thousands(self.parameters()),
            thousands(self.macs()),
        ];
        let cells: Vec<[String; 5]> = [header].into_iter().chain(rows).chain([total]).collect();
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 5] = std::array::from_fn(width);
        let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * 4);
        for (i, [layer, kind, output, parameters, macs]) in cells.iter().enumerate() {
            if i == 1 || i + 1 == cells.len() {
                writeln!(f, "{rule}")?;
            }
            let [a, b, c, d, e] = widths;
            writeln!(f, "{layer:a$}  {kind:b$}  {output:c$}  {parameters:>d$}  {macs:>e$}")?;
        }
        Ok(())
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned_and_adds_up() {
        let row = |path: &str, parameters, macs| SummaryRow {
            path: path.into(),
            kind: "linear",
            output: [1, 10].into(),
            parameters,
            macs,
        };
        let summary = Summary { rows: vec![row("fc1", 1_234_567, 7), row("a.fc2", 3, 999)] };
        assert_eq!(
            summary.to_string(),
            "layer  kind    output  parameters   MACs\n\
             ----------------------------------------\n\
             fc1    linear  [10]     1,234,567      7\n\
             a.fc2  linear  [10]             3    999\n\
             ----------------------------------------\n\
             total                   1,234,570  1,006\n"
        );
    }
    #[test]
    fn an_output_without_axes_has_none() {
        let row = SummaryRow { path: "sum".into(), kind: "own", output: [].into(), parameters: 0, macs: 0 };
        assert!(Summary { rows: vec![row] }.to_string().contains("sum    own   []"));
    }
}
