//! Small planes of numbers, as they are typed on a command line: `"0 1 0; 1 -4 1; 0 1 0"`.

use crate::fault::Fault;
use cnn_tensor::Tensor;
use std::str::FromStr;

/// Rows of numbers, all of one length.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub numbers: Vec<f32>,
}

impl Matrix {
    /// As a plane, `[1, 1, rows, columns]`.
    pub fn tensor(&self) -> Result<Tensor, Fault> {
        Ok(Tensor::from_slice([1, 1, self.rows, self.columns], &self.numbers)?)
    }

    /// Checks that neither side is longer than `most`.
    pub fn check_size(&self, option: &str, most: usize) -> Result<(), Fault> {
        let Self { rows, columns, .. } = self;
        match (*rows).max(*columns) > most {
            true => Err(Fault::usage(format!(
                "{option}: expected at most {most} rows and columns, got {rows} x {columns}"
            ))),
            false => Ok(()),
        }
    }
}

impl FromStr for Matrix {
    type Err = String;

    /// Rows end with a semicolon or a line; numbers stand apart by spaces or commas, and may be fractions: `1/9`.
    fn from_str(text: &str) -> Result<Self, String> {
        let rows = text.split([';', '\n']).map(str::trim);
        let rows: Vec<Vec<f32>> = rows
            .enumerate()
            .filter(|(_, row)| !row.is_empty())
            .map(|(i, row)| {
                let words = row.split([' ', '\t', ',']).filter(|word| !word.is_empty());
                words.map(|word| number(word).map_err(|fault| format!("row {}: {fault}", i + 1))).collect()
            })
            .collect::<Result<_, String>>()?;
        let columns = rows.first().map_or(0, Vec::len);
        if columns == 0 {
            return Err(format!("expected rows of numbers such as \"0 1; 1 0\", got {text:?}"));
        }
        if let Some((i, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != columns) {
            let row = row.len();
            return Err(format!(
                "expected {columns} numbers in each row, as in the first, got {row} in row {}",
                i + 1
            ));
        }
        Ok(Self { rows: rows.len(), columns, numbers: rows.concat() })
    }
}

/// A finite number, or a fraction of two.
pub fn number(word: &str) -> Result<f32, String> {
    let parse = |word: &str| word.parse::<f32>().ok();
    let value = match word.split_once('/') {
        Some((above, below)) => parse(above).zip(parse(below)).map(|(above, below)| above / below),
        None => parse(word),
    };
    value
        .filter(|value| value.is_finite())
        .ok_or_else(|| format!("expected a finite number or a fraction, got {word:?}"))
}

/// One number for both axes, or two: `2`, `2x1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Both(pub [usize; 2]);

impl FromStr for Both {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let whole = |word: &str| word.trim().parse::<usize>().ok();
        let both = match text.split_once('x') {
            Some((down, across)) => whole(down).zip(whole(across)).map(|(down, across)| [down, across]),
            None => whole(text).map(|both| [both, both]),
        };
        both.map(Self).ok_or_else(|| format!("expected a whole number, or two such as 2x1, got {text:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_fractions_are_read_and_faults_named() {
        let matrix: Matrix = "0 1, 2;\n-1 1/4 .5e1;".parse().unwrap();
        assert_eq!((matrix.rows, matrix.columns), (2, 3));
        assert_eq!(matrix.numbers, [0.0, 1.0, 2.0, -1.0, 0.25, 5.0]);
        let fault = |text: &str| text.parse::<Matrix>().unwrap_err();
        assert_eq!(fault("1 2; 3"), "expected 2 numbers in each row, as in the first, got 1 in row 2");
        assert_eq!(fault("1 2\n3 x"), "row 2: expected a finite number or a fraction, got \"x\"");
        for word in ["inf", "NaN", "1e99", "1/0", "0/0", "1/2/3", "/"] {
            assert_eq!(fault(word), format!("row 1: expected a finite number or a fraction, got {word:?}"));
        }
        for empty in ["", " ; ;", ","] {
            assert!(fault(empty).starts_with("expected rows of numbers"), "{empty}");
        }
        let fault = matrix.check_size("--kernel", 2).unwrap_err();
        assert_eq!(fault.message, "--kernel: expected at most 2 rows and columns, got 2 x 3");
    }

    #[test]
    fn one_number_or_two_for_the_axes() {
        let both = |text: &str| text.parse::<Both>();
        assert_eq!((both("3"), both("3x1")), (Ok(Both([3, 3])), Ok(Both([3, 1]))));
        for wrong in ["", "x", "3x", "-1", "1x2x3", "1.5"] {
            assert!(both(wrong).is_err(), "{wrong}");
        }
    }
}
