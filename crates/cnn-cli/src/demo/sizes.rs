//! `cnn demo sizes`: how large the output of a convolution is.

use super::matrix::Both;
use crate::fault::{Fault, print};
use cnn_ops::Conv2d;
use cnn_tensor::Shape;
use serde::Serialize;
use std::str::FromStr;

/// Print the size of a convolution's output for each size of image and kernel, stride and padding, by the library's own rule.
///
/// Without options, the lecture's examples. With --input, one example of your own. A side of the output is
/// (input + 2 padding - kernel) / stride + 1, rounded down.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn demo sizes
  cnn demo sizes --input 224x224x3 --kernel 11 --filters 64 --stride 4 --padding 2")]
pub struct Args {
    /// Height, width and channels of the input, such as 32x32x3; without channels, one.
    #[arg(long, value_name = "HxWxC")]
    input: Option<Input>,
    /// Height and width of the kernel: one number, or two such as 3x1.
    #[arg(long, value_name = "N", default_value = "3", requires = "input")]
    kernel: Both,
    /// The number of filters, the channels of the output.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "input")]
    filters: usize,
    /// Rows and columns from one window to the next.
    #[arg(long, value_name = "N", default_value = "1", requires = "input")]
    stride: Both,
    /// Rows and columns of zeros on each side.
    #[arg(long, value_name = "N", default_value = "0", requires = "input")]
    padding: Both,
    /// Print one JSON array, an object for each example.
    #[arg(long)]
    json: bool,
}

/// Height, width and channels.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Input([usize; 3]);

impl FromStr for Input {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let extents: Option<Vec<usize>> = text.split('x').map(|word| word.trim().parse().ok()).collect();
        match extents.as_deref() {
            Some(&[h, w]) => Ok(Self([h, w, 1])),
            Some(&[h, w, c]) => Ok(Self([h, w, c])),
            _ => Err(format!("expected height, width and channels such as 32x32x3, got {text:?}")),
        }
    }
}

/// A convolution by its sizes.
#[derive(Clone, Copy, Debug)]
struct Example {
    input: [usize; 3],
    kernel: [usize; 2],
    filters: usize,
    stride: [usize; 2],
    padding: [usize; 2],
}

/// The lecture's examples.
fn examples() -> Vec<Example> {
    let example =
        |side: usize, channels: usize, filters: usize, kernel: usize, stride: usize, padding: usize| {
            Example {
                input: [side, side, channels],
                kernel: [kernel; 2],
                filters,
                stride: [stride; 2],
                padding: [padding; 2],
            }
        };
    vec![
        example(5, 1, 1, 3, 1, 0),
        example(7, 1, 1, 3, 1, 0),
        example(7, 1, 1, 3, 2, 0),
        example(7, 1, 1, 3, 3, 0),
        example(7, 1, 1, 3, 1, 1),
        example(32, 3, 1, 5, 1, 0),
        example(32, 3, 6, 5, 1, 0),
        example(32, 3, 6, 5, 1, 2),
        example(28, 6, 10, 5, 1, 0),
        example(56, 64, 32, 1, 1, 0),
        example(227, 3, 96, 11, 4, 0),
    ]
}

/// An example with the library's answer; sizes are `[height, width, channels]`.
#[derive(Serialize)]
struct Row {
    input: [usize; 3],
    kernel: [usize; 2],
    filters: usize,
    stride: [usize; 2],
    padding: [usize; 2],
    output: [usize; 3],
    /// Rows and columns at the end that no window covers.
    left_over: [usize; 2],
    /// Numbers that are learned: the weights, and a bias for each filter.
    parameters: usize,
    multiplications: u64,
}

impl Example {
    fn row(self) -> Result<Row, Fault> {
        let Self { input, kernel, filters, stride, padding } = self;
        let [h, w, c] = input;
        let x = Shape::from([1, c, h, w]);
        let conv = Conv2d::new(kernel).stride(stride).padding(padding);
        let weight = conv.weight_shape(x, filters).map_err(Fault::usage)?;
        let y = conv.output_shape(x, weight).map_err(Fault::usage)?;
        let [_, channels, oh, ow] = y.nchw().unwrap_or_default();
        let output = [oh, ow, channels];
        let left_over = [0, 1].map(|i| {
            let end = output[i].saturating_sub(1).saturating_mul(stride[i]).saturating_add(kernel[i]);
            padded(input[i], padding[i]).saturating_sub(end)
        });
        let parameters = weight.numel().saturating_add(filters);
        let multiplications = conv.macs(x, weight).map_err(Fault::usage)?;
        Ok(Row { input, kernel, filters, stride, padding, output, left_over, parameters, multiplications })
    }
}

/// A side of the input with its padding.
fn padded(input: usize, padding: usize) -> usize {
    input.saturating_add(padding.saturating_mul(2))
}

pub fn run(args: Args) -> Result<(), Fault> {
    let examples = match args.input {
        None => examples(),
        Some(Input(input)) => vec![Example {
            input,
            kernel: args.kernel.0,
            filters: args.filters,
            stride: args.stride.0,
            padding: args.padding.0,
        }],
    };
    let rows = examples.into_iter().map(Example::row).collect::<Result<Vec<_>, _>>()?;
    if args.json {
        print(serde_json::to_string(&rows)?);
        return Ok(());
    }
    let head = [
        "input",
        "filters",
        "stride",
        "padding",
        "output",
        "parameters",
        "(input + 2 padding - kernel) / stride + 1",
    ];
    let mut table = vec![head.map(String::from).to_vec()];
    table.extend(rows.iter().map(Row::cells));
    let width = |column: usize| table.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for row in &table {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        print(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    Ok(())
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let both = |[down, across]: [usize; 2]| match down == across {
            true => down.to_string(),
            false => format!("{down}x{across}"),
        };
        let Self { input: [h, w, c], kernel: [kh, kw], filters, .. } = self;
        let [oh, ow, channels] = self.output;
        vec![
            format!("{h}x{w}x{c}"),
            format!("{filters} of {kh}x{kw}x{c}"),
            both(self.stride),
            both(self.padding),
            format!("{oh}x{ow}x{channels}"),
            self.parameters.to_string(),
            self.rule(),
        ]
    }

    /// The rule for the height, and for the width where it differs, in numbers.
    fn rule(&self) -> String {
        let side = |i: usize| {
            let [input, padding, kernel, stride] =
                [self.input[i], self.padding[i], self.kernel[i], self.stride[i]];
            let all = padded(input, padding).saturating_sub(kernel);
            let result = match self.left_over[i] {
                0 => self.output[i].to_string(),
                n => format!(
                    "{:.2}, not whole: it does not fit; {} by rounding down, with {n} {} left over",
                    all as f64 / stride as f64 + 1.0,
                    self.output[i],
                    if n == 1 { "row or column" } else { "rows or columns" }
                ),
            };
            format!("({input} + {} - {kernel}) / {stride} + 1 = {result}", padding.saturating_mul(2))
        };
        let (down, across) = (side(0), side(1));
        if down == across { down } else { format!("{down}; {across}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lectures_tables_come_out() {
        let rows: Vec<Row> = examples().into_iter().map(|example| example.row().unwrap()).collect();
        let of = |input: [usize; 3], filters: usize, stride: usize, padding: usize| {
            let found = rows.iter().find(|row| {
                (row.input, row.filters, row.stride, row.padding)
                    == (input, filters, [stride; 2], [padding; 2])
            });
            found.unwrap()
        };
        assert_eq!(of([7, 7, 1], 1, 1, 0).output, [5, 5, 1]);
        assert_eq!(of([7, 7, 1], 1, 2, 0).output, [3, 3, 1]);
        assert_eq!(of([7, 7, 1], 1, 1, 1).output, [7, 7, 1]);
        assert_eq!(of([32, 32, 3], 6, 1, 0).output, [28, 28, 6]);
        assert_eq!(of([32, 32, 3], 6, 1, 0).parameters, 6 * 5 * 5 * 3 + 6);
        let misfit = of([7, 7, 1], 1, 3, 0);
        assert_eq!((misfit.output, misfit.left_over), ([2, 2, 1], [1, 1]));
        assert_eq!(
            misfit.rule(),
            "(7 + 0 - 3) / 3 + 1 = 2.33, not whole: it does not fit; 2 by rounding down, with 1 row or column left over"
        );
    }

    #[test]
    fn sizes_of_ones_own_are_answered_or_refused() {
        let make = |line: &[&str]| run(crate::testing::parse(line).unwrap());
        let large = (1u64 << 62).to_string();
        make(&["--input", "9x9", "--padding", &large, "--stride", &large]).unwrap();
        make(&["--input", "224x200x3", "--kernel", "11x1", "--filters", "64", "--stride", "4", "--json"])
            .unwrap();
        for (line, expected) in [
            (
                &["--input", "2x2"][..],
                "conv2d: a window of 3 with padding 0 does not fit an input extent of 2",
            ),
            (&["--input", "9x9", "--stride", "0"], "conv2d: stride must be at least 1"),
            (&["--input", "99999999999x99999999999x9"], "conv2d: "),
            (&["--input", "9x9", "--padding", "9223372036854775807"], "conv2d: padding must be"),
        ] {
            let Fault { status, message } = make(line).unwrap_err();
            assert!(status == 2 && message.starts_with(expected), "{message}");
        }
        for wrong in ["", "9", "9x9x9x9", "axb", "9x-9"] {
            assert!(wrong.parse::<Input>().is_err(), "{wrong}");
        }
        assert!(crate::testing::parse::<Args>(&["--kernel", "3"]).is_err(), "a kernel without an input");
    }
}
