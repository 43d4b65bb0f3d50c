//! Tensors as text.

use super::Tensor;
use std::fmt::{self, Write};

/// More elements than this are summarised.
const THRESHOLD: usize = 1000;

/// Elements shown at each end of an axis that is summarised.
const EDGE: usize = 3;

/// Characters of the longest line.
const WIDTH: usize = 75;

/// Stands for elements that are not shown.
const SUMMARY: &str = "...";

/// As NumPy prints an array: brackets for each axis, columns aligned, `...` for the middle of each axis longer than 6 if there
/// are more than 1000 elements. A number is as short as it can be and still differ from its neighbours, with at most 8 digits
/// after the point, or as many as the precision given (`{:.2}`). Very large or small numbers make all have exponents.
///
/// ```
/// # use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([2, 2], vec![1.0, 2.5, -3.0, 0.125])?;
/// assert_eq!(x.to_string(), "\
/// [[ 1.     2.5  ]
///  [-3.     0.125]]");
/// assert_eq!(Tensor::from_fn([1001], |[i]| i as f32).to_string(), "[   0.    1.    2. ...  998.  999. 1000.]");
/// # Ok::<(), cnn_tensor::TensorError>(())
/// ```
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dims, precision) = (self.shape.dims(), f.precision().unwrap_or(8));
        match (dims, self.data()) {
            ([], [number]) => return write!(f, "{number:?}"),
            (_, []) => return f.write_str("[]"),
            _ => {}
        }
        let summarised = self.shape.numel() > THRESHOLD;
        let mut shown = Vec::new();
        for_each_shown(self.data(), dims, summarised, &mut |number| shown.push(number));
        let mut writer = Writer { out: String::new(), columns: Columns::new(&shown, precision), summarised };
        writer.axis(self.data(), dims, 0);
        f.write_str(&writer.out)
    }
}

/// The shape and the first elements, on one line.
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        write!(f, "Tensor{} ", self.shape)?;
        let shown = &self.data()[..self.data().len().min(SHOWN)];
        f.debug_list().entries(shown).finish()?;
        if self.data().len() > SHOWN { write!(f, " and {} more", self.data().len() - SHOWN) } else { Ok(()) }
    }
}

/// The places on an axis that are shown; `None` stands for those that are not.
fn shown(extent: usize, summarised: bool) -> impl Iterator<Item = Option<usize>> {
    let cut = summarised && extent > 2 * EDGE;
    let [first, last] = if cut { [EDGE, extent - EDGE] } else { [extent, extent] };
    (0..first).map(Some).chain(cut.then_some(None)).chain((last..extent).map(Some))
}

fn for_each_shown(data: &[f32], dims: &[usize], summarised: bool, f: &mut impl FnMut(f32)) {
    let [extent, inner @ ..] = dims else { return f(data[0]) };
    let each = data.len() / extent;
    for place in shown(*extent, summarised).flatten() {
        for_each_shown(&data[place * each..][..each], inner, summarised, f);
    }
}

/// How numbers are written, so that those of a column have one width.
struct Columns {
    exponent: bool,
    /// Digits after the point.
    precision: usize,
    /// Characters before the point, and from the point on.
    widths: [usize; 2],
}

impl Columns {
    /// For these numbers, with at most `precision` digits after the point.
    fn new(numbers: &[f32], precision: usize) -> Self {
        let finite = || numbers.iter().copied().filter(|v| v.is_finite());
        let sizes = finite().map(f32::abs).filter(|&v| v > 0.0);
        let (smallest, largest) =
            sizes.fold((f32::INFINITY, 0.0), |(low, high), v| (v.min(low), v.max(high)));
        let any = largest > 0.0;
        let exponent = any && (largest >= 1e6 || smallest < 1e-4 || largest / smallest > 1000.0);
        let mut columns = Self { exponent, precision, widths: [0, 0] };
        // The most digits that any number needs.
        columns.precision = finite().map(|v| columns.digits(v).1.len()).max().unwrap_or(0);
        for v in finite() {
            let (before, after, exponent) = columns.parts(v);
            columns.widths[0] = columns.widths[0].max(before.len());
            columns.widths[1] = columns.widths[1].max(1 + after.len() + exponent.len());
        }
        // A word such as `nan` reaches to the end of the column.
        let words = numbers.iter().filter(|v| !v.is_finite());
        let longest = words.map(|&v| word(v).len()).max().unwrap_or(0);
        columns.widths[0] = columns.widths[0].max(longest.saturating_sub(columns.widths[1]));
        columns
    }

    /// The digits before and after the point, and the exponent: as few as tell the number from its neighbours, and after the
    /// point no more than the precision.
    fn digits(&self, v: f32) -> (String, String, String) {
        let parts = |text: String| {
            let (number, exponent) = text.split_once('e').unwrap_or((&text, ""));
            let (before, after) = number.split_once('.').unwrap_or((number, ""));
            (before.to_owned(), after.trim_end_matches('0').to_owned(), exponent.to_owned())
        };
        let shortest = parts(if self.exponent { format!("{v:e}") } else { format!("{v}") });
        if shortest.1.len() <= self.precision {
            return shortest;
        }
        parts(if self.exponent {
            format!("{v:.*e}", self.precision)
        } else {
            format!("{v:.*}", self.precision)
        })
    }

    /// The number as it is written: [`digits`](Self::digits), but with an exponent all have the same number of them.
    fn parts(&self, v: f32) -> (String, String, String) {
        if !self.exponent {
            return self.digits(v);
        }
        let text = format!("{v:.*e}", self.precision);
        let (number, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (before, after) = number.split_once('.').unwrap_or((number, ""));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        (before.to_owned(), after.to_owned(), format!("e{sign}{exponent:0>2}"))
    }

    /// The number in its column.
    fn write(&self, v: f32) -> String {
        let [left, right] = self.widths;
        if !v.is_finite() {
            return format!("{:>width$}", word(v), width = left + right);
        }
        let (before, after, exponent) = self.parts(v);
        format!("{before:>left$}{:<right$}", format!(".{after}{exponent}"))
    }
}

/// A number that is not finite.
fn word(v: f32) -> &'static str {
    if v.is_nan() {
        "nan"
    } else if v > 0.0 {
        "inf"
    } else {
        "-inf"
    }
}

struct Writer {
    out: String,
    columns: Columns,
    summarised: bool,
}

impl Writer {
    /// Writes the elements of `dims`, inside `depth` other axes.
    fn axis(&mut self, data: &[f32], dims: &[usize], depth: usize) {
        let [extent, inner @ ..] = dims else { return };
        self.out.push('[');
        if inner.is_empty() {
            self.row(data, depth);
        } else {
            let each = data.len() / extent;
            for (i, place) in shown(*extent, self.summarised).enumerate() {
                if i > 0 {
                    // Matrices are set apart by an empty line, batches of them by two.
                    self.out.extend(std::iter::repeat_n('\n', inner.len()));
                    self.indent(depth);
                }
                match place {
                    Some(place) => self.axis(&data[place * each..][..each], inner, depth + 1),
                    None => self.out.push_str(SUMMARY),
                }
            }
        }
        self.out.push(']');
    }

    /// Writes the last axis, on as many lines as it needs.
    fn row(&mut self, data: &[f32], depth: usize) {
        // Every axis around this one may close behind the last number.
        let widest = WIDTH - depth - 1;
        let mut length = depth + 1;
        for (i, place) in shown(data.len(), self.summarised).enumerate() {
            let word = place.map_or(SUMMARY.to_owned(), |place| self.columns.write(data[place]));
            if i > 0 {
                if length + 1 + word.len() > widest {
                    self.out.truncate(self.out.trim_end().len());
                    self.out.push('\n');
                    self.indent(depth);
                    length = depth + 1;
                } else {
                    self.out.push(' ');
                    length += 1;
                }
            }
            self.out.push_str(&word);
            length += word.len();
        }
    }

    /// Spaces below the brackets that are open.
    fn indent(&mut self, depth: usize) {
        let _ = write!(self.out, "{:width$}", "", width = depth + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;

    fn counted(extents: &[usize]) -> Tensor {
        let shape = Shape::new(extents).unwrap();
        Tensor::from_vec(shape, (0..shape.numel()).map(|i| i as f32).collect()).unwrap()
    }

    #[track_caller]
    fn check(extents: &[usize], numbers: &[f32], want: &str) {
        assert_eq!(Tensor::from_slice(Shape::new(extents).unwrap(), numbers).unwrap().to_string(), want);
    }

    // The expected texts of these tests are those of NumPy 2.

    #[test]
    fn columns_are_aligned() {
        check(
            &[2, 2],
            &[1.0, 2.5, 3.0, -4.0],
            "\
[[ 1.   2.5]
 [ 3.  -4. ]]",
        );
        check(
            &[2, 2, 2],
            &[0.33333334, 0.6666667, 1.0, 1.3333334, 1.6666666, 2.0, 2.3333333, 2.6666667],
            "\
[[[0.33333334 0.6666667 ]
  [1.         1.3333334 ]]

 [[1.6666666  2.        ]
  [2.3333333  2.6666667 ]]]",
        );
        check(&[2], &[-1.0, 10.0], "[-1. 10.]");
        check(&[3], &[0.0, -0.0, 0.0], "[ 0. -0.  0.]");
        check(&[], &[3.0], "3.0");
        check(&[2, 0], &[], "[]");
        check(&[], &[0.1], "0.1");
    }

    #[test]
    fn far_numbers_have_exponents() {
        check(&[3], &[1.0, 15000000000.0, -3e-07], "[ 1.0e+00  1.5e+10 -3.0e-07]");
        check(&[2], &[1.0, 1000.0], "[   1. 1000.]");
        check(&[2], &[1.0, 1001.0], "[1.000e+00 1.001e+03]");
        check(&[1], &[1e-05], "[1.e-05]");
        check(&[2], &[0.00012345678, 0.1], "[0.00012346 0.1       ]");
        check(&[2], &[99999990.0, 100000.0], "[9.999999e+07 1.000000e+05]");
        check(&[2], &[1e-40, 1e+38], "[1.e-40 1.e+38]");
    }

    #[test]
    fn words_keep_the_columns() {
        check(&[4], &[f32::NAN, 1.0, f32::NEG_INFINITY, 0.1], "[ nan  1.  -inf  0.1]");
        check(&[1, 1], &[f32::NAN], "[[nan]]");
        check(&[2], &[f32::INFINITY, 1000000000.0], "[   inf 1.e+09]");
        check(&[2], &[f32::NAN, f32::INFINITY], "[nan inf]");
        check(&[2], &[f32::NEG_INFINITY, f32::NAN], "[-inf  nan]");
        check(&[2], &[f32::NAN, -100.5], "[   nan -100.5]");
    }

    #[test]
    fn long_rows_are_broken() {
        assert_eq!(
            counted(&[30]).to_string(),
            "\
[ 0.  1.  2.  3.  4.  5.  6.  7.  8.  9. 10. 11. 12. 13. 14. 15. 16. 17.
 18. 19. 20. 21. 22. 23. 24. 25. 26. 27. 28. 29.]"
        );
        assert_eq!(
            counted(&[2, 25]).to_string(),
            "\
[[ 0.  1.  2.  3.  4.  5.  6.  7.  8.  9. 10. 11. 12. 13. 14. 15. 16. 17.
  18. 19. 20. 21. 22. 23. 24.]
 [25. 26. 27. 28. 29. 30. 31. 32. 33. 34. 35. 36. 37. 38. 39. 40. 41. 42.
  43. 44. 45. 46. 47. 48. 49.]]"
        );
    }

    #[test]
    fn many_elements_are_summarised() {
        assert!(!counted(&[1000]).to_string().contains(SUMMARY));
        assert_eq!(counted(&[1001]).to_string(), "[   0.    1.    2. ...  998.  999. 1000.]");
        assert_eq!(
            counted(&[1, 3000]).to_string(),
            "[[0.000e+00 1.000e+00 2.000e+00 ... 2.997e+03 2.998e+03 2.999e+03]]"
        );
        assert_eq!(
            counted(&[1000, 2]).to_string(),
            "\
[[0.000e+00 1.000e+00]
 [2.000e+00 3.000e+00]
 [4.000e+00 5.000e+00]
 ...
 [1.994e+03 1.995e+03]
 [1.996e+03 1.997e+03]
 [1.998e+03 1.999e+03]]"
        );
        assert_eq!(
            counted(&[2, 8, 100]).to_string(),
            "\
[[[0.000e+00 1.000e+00 2.000e+00 ... 9.700e+01 9.800e+01 9.900e+01]
  [1.000e+02 1.010e+02 1.020e+02 ... 1.970e+02 1.980e+02 1.990e+02]
  [2.000e+02 2.010e+02 2.020e+02 ... 2.970e+02 2.980e+02 2.990e+02]
  ...
  [5.000e+02 5.010e+02 5.020e+02 ... 5.970e+02 5.980e+02 5.990e+02]
  [6.000e+02 6.010e+02 6.020e+02 ... 6.970e+02 6.980e+02 6.990e+02]
  [7.000e+02 7.010e+02 7.020e+02 ... 7.970e+02 7.980e+02 7.990e+02]]

 [[8.000e+02 8.010e+02 8.020e+02 ... 8.970e+02 8.980e+02 8.990e+02]
  [9.000e+02 9.010e+02 9.020e+02 ... 9.970e+02 9.980e+02 9.990e+02]
  [1.000e+03 1.001e+03 1.002e+03 ... 1.097e+03 1.098e+03 1.099e+03]
  ...
  [1.300e+03 1.301e+03 1.302e+03 ... 1.397e+03 1.398e+03 1.399e+03]
  [1.400e+03 1.401e+03 1.402e+03 ... 1.497e+03 1.498e+03 1.499e+03]
  [1.500e+03 1.501e+03 1.502e+03 ... 1.597e+03 1.598e+03 1.599e+03]]]"
        );
        assert_eq!(
            counted(&[2, 2, 2, 200]).to_string(),
            "\
[[[[0.000e+00 1.000e+00 2.000e+00 ... 1.970e+02 1.980e+02 1.990e+02]
   [2.000e+02 2.010e+02 2.020e+02 ... 3.970e+02 3.980e+02 3.990e+02]]

  [[4.000e+02 4.010e+02 4.020e+02 ... 5.970e+02 5.980e+02 5.990e+02]
   [6.000e+02 6.010e+02 6.020e+02 ... 7.970e+02 7.980e+02 7.990e+02]]]


 [[[8.000e+02 8.010e+02 8.020e+02 ... 9.970e+02 9.980e+02 9.990e+02]
   [1.000e+03 1.001e+03 1.002e+03 ... 1.197e+03 1.198e+03 1.199e+03]]

  [[1.200e+03 1.201e+03 1.202e+03 ... 1.397e+03 1.398e+03 1.399e+03]
   [1.400e+03 1.401e+03 1.402e+03 ... 1.597e+03 1.598e+03 1.599e+03]]]]"
        );
    }

    #[test]
    fn a_precision_cuts_digits() {
        let x = Tensor::from_vec([3], vec![1.0, 2.345, -0.001]).unwrap();
        assert_eq!(format!("{x:.2}"), "[ 1.00e+00  2.35e+00 -1.00e-03]");
        let x = Tensor::from_vec([2], vec![1.0, 0.126]).unwrap();
        assert_eq!((format!("{x:.2}"), format!("{x:.0}")), ("[1.   0.13]".to_owned(), "[1. 0.]".to_owned()));
    }

    #[test]
    fn debug_output_is_short() {
        assert_eq!(format!("{:?}", Tensor::zeros([2])), "Tensor[2] [0.0, 0.0]");
        assert!(format!("{:?}", Tensor::zeros([100])).ends_with("and 92 more"));
    }
}
