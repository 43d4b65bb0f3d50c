//! How far an output is from the expected one.

use crate::fault::Fault;
use cnn_tensor::Tensor;
use serde::Serialize;
use std::fmt;

/// The differences that are allowed: `atol + rtol * |expected|`.
#[derive(Clone, Copy)]
pub struct Tolerance {
    rtol: f64,
    atol: f64,
}

/// The comparison of an output with the expected one.
#[derive(Debug, PartialEq, Serialize)]
pub struct Difference {
    pub equal: bool,
    /// The largest absolute difference; infinite, and `null` in JSON, where one of two numbers is NaN. `None` if the shapes differ.
    pub absolute: Option<f64>,
    /// The largest difference relative to an expected value other than 0.
    pub relative: Option<f64>,
    /// Where the largest absolute difference is, and the two numbers there.
    pub at: Vec<usize>,
    pub got: Option<f32>,
    pub expected: Option<f32>,
    /// How many elements differ by more than is allowed.
    pub beyond: usize,
    pub expected_shape: Vec<usize>,
}

impl Tolerance {
    pub fn new(rtol: f64, atol: f64) -> Result<Self, Fault> {
        for (option, value) in [("--rtol", rtol), ("--atol", atol)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Fault::usage(format!("{option}: expected a number of at least 0, got {value}")));
            }
        }
        Ok(Self { rtol, atol })
    }

    pub fn compare(self, got: &Tensor, expected: &Tensor) -> Difference {
        let dims = expected.shape().dims().to_vec();
        let mut found = Difference {
            equal: true,
            absolute: None,
            relative: None,
            at: Vec::new(),
            got: None,
            expected: None,
            beyond: 0,
            expected_shape: dims.clone(),
        };
        if got.shape() != expected.shape() {
            return Difference { equal: false, ..found };
        }
        let (mut largest, mut relative, mut at) = (0.0f64, 0.0f64, 0);
        for (i, (&a, &b)) in got.data().iter().zip(expected.data()).enumerate() {
            let apart = apart(a, b);
            let size = f64::from(b).abs();
            // With an infinite size on one side, the allowed difference would be infinite, too.
            found.beyond += usize::from(apart > self.atol + self.rtol * size || apart.is_infinite());
            if apart > largest {
                (largest, at) = (apart, i);
            }
            if size > 0.0 && apart > 0.0 {
                relative = relative.max(if apart.is_infinite() { apart } else { apart / size });
            }
        }
        found.equal = found.beyond == 0;
        (found.absolute, found.relative) = (Some(largest), Some(relative));
        (found.got, found.expected) = (got.data().get(at).copied(), expected.data().get(at).copied());
        for &dim in dims.iter().rev() {
            found.at.insert(0, at % dim.max(1));
            at /= dim.max(1);
        }
        found
    }
}

/// The distance of two numbers: 0 of two NaN or equal infinities, infinite of a NaN and a number.
fn apart(a: f32, b: f32) -> f64 {
    if a == b || (a.is_nan() && b.is_nan()) {
        return 0.0;
    }
    let apart = (f64::from(a) - f64::from(b)).abs();
    if apart.is_nan() { f64::INFINITY } else { apart }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(absolute), Some(relative)) = (self.absolute, self.relative) else {
            return write!(f, "DIFFERS: expected shape {:?}", self.expected_shape);
        };
        let verdict = if self.equal { "equal" } else { "DIFFERS" };
        write!(f, "{verdict}, largest difference {absolute:.3e}")?;
        if let (true, Some(got), Some(expected)) = (absolute > 0.0, self.got, self.expected) {
            write!(f, " at {:?} (got {got}, expected {expected}), relative {relative:.3e}", self.at)?;
        }
        match self.beyond {
            0 => Ok(()),
            beyond => write!(f, ", {beyond} elements beyond the tolerance"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(got: &[f32], expected: &[f32]) -> Difference {
        let tensor = |values: &[f32]| Tensor::from_vec([1, values.len()], values.to_vec()).unwrap();
        Tolerance::new(1e-3, 1e-5).unwrap().compare(&tensor(got), &tensor(expected))
    }

    #[test]
    fn the_largest_difference_is_found_and_judged() {
        let equal = compare(&[1.0, -2.001, 0.0], &[1.0, -2.0, 0.000_01]);
        assert!(equal.equal && equal.at == [0, 1] && equal.beyond == 0, "{equal:?}");
        assert!((equal.absolute.unwrap() - 1e-3).abs() < 1e-6 && equal.relative == Some(1.0), "{equal:?}");
        let differs = compare(&[1.0, 2.0, 3.0], &[1.0, 2.1, 3.2]);
        assert_eq!((differs.equal, differs.beyond, &differs.at[..]), (false, 2, &[0, 2][..]));
        assert_eq!((differs.got, differs.expected), (Some(3.0), Some(3.2)));
        assert!(!compare(&[1.1e-5], &[0.0]).equal && compare(&[0.9e-5], &[0.0]).equal);
    }

    #[test]
    fn a_nan_equals_a_nan_alone_and_infinities_themselves() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        assert!(compare(&[nan, inf, -inf], &[nan, inf, -inf]).equal);
        for (got, expected) in [(nan, 1.0), (1.0, nan), (nan, inf), (inf, -inf), (1.0, inf), (inf, 1.0)] {
            let found = compare(&[0.0, got], &[0.0, expected]);
            assert!(!found.equal && found.at == [0, 1], "{got} {expected}: {found:?}");
        }
    }

    #[test]
    fn other_shapes_and_no_elements() {
        let (a, b) = (Tensor::zeros([2, 3]), Tensor::zeros([3, 2]));
        let found = Tolerance::new(0.0, 0.0).unwrap().compare(&a, &b);
        assert_eq!((found.equal, found.to_string().as_str()), (false, "DIFFERS: expected shape [3, 2]"));
        assert!(compare(&[], &[]).equal);
        assert!(Tolerance::new(-1.0, 0.0).is_err() && Tolerance::new(0.0, f64::NAN).is_err());
    }
}
