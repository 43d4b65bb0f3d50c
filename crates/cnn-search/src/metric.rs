//! Distances between two vectors.

use crate::SearchError;
use std::fmt::{self, Display};
use std::str::FromStr;

/// How the distance of two vectors is measured.
///
/// ```
/// use cnn_search::Metric;
/// let (a, b) = ([3.0, 0.0], [0.0, 4.0]);
/// assert_eq!(Metric::Euclidean.distance(&a, &b), 5.0);
/// assert_eq!(Metric::Cosine.distance(&a, &b), 1.0);
/// assert_eq!(Metric::Cosine.distance(&a, &[6.0, 0.0]), 0.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Metric {
    /// 1 minus the cosine of the angle between the vectors: 0 for the same direction, 1 for a right angle, 2 for opposite
    /// directions. A vector of zeros has no direction: its distance is 1.
    #[default]
    Cosine,
    /// The length of the difference.
    Euclidean,
}

/// The number of partial sums. They make the sums fast, and their order is the same on every machine.
const SUMS: usize = 8;

impl Metric {
    /// All metrics.
    pub const ALL: [Self; 2] = [Self::Cosine, Self::Euclidean];

    /// The name: `cosine` or `euclidean`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Euclidean => "euclidean",
        }
    }

    /// The distance, computed in f64 in one order of summation. Of two equal vectors other than zeros it is exactly 0.
    ///
    /// # Panics
    /// The vectors have different lengths.
    pub fn distance(self, a: &[f32], b: &[f32]) -> f64 {
        self.distance_with((a, square(a)), (b, square(b)))
    }

    /// [`Metric::distance`] of vectors with their [`square`]s.
    pub(crate) fn distance_with(self, (a, aa): (&[f32], f64), (b, bb): (&[f32], f64)) -> f64 {
        assert_eq!(a.len(), b.len(), "distance: vectors of one length");
        match self {
            Self::Euclidean => sum_of(a, b, |a, b| (a - b) * (a - b)).sqrt(),
            Self::Cosine if aa == 0.0 || bb == 0.0 => 1.0,
            // The root of a rounded square is exact, so that equal vectors are at 0.
            Self::Cosine => (1.0 - sum_of(a, b, |a, b| a * b) / (aa * bb).sqrt()).clamp(0.0, 2.0),
        }
    }
}

/// The sum of the squares, by the same order of summation.
pub(crate) fn square(a: &[f32]) -> f64 {
    sum_of(a, a, |a, b| a * b)
}

#[inline(always)]
fn sum_of(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut sums = [0.0; SUMS];
    let (a_groups, a_rest) = a.as_chunks::<SUMS>();
    let (b_groups, b_rest) = b.as_chunks::<SUMS>();
    for (a, b) in a_groups.iter().zip(b_groups) {
        for i in 0..SUMS {
            sums[i] += term(a[i].into(), b[i].into());
        }
    }
    for (i, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[i] += term(a.into(), b.into());
    }
    sums.iter().sum()
}

impl Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Metric {
    type Err = SearchError;

    fn from_str(name: &str) -> Result<Self, SearchError> {
        let found = Self::ALL.into_iter().find(|metric| metric.name() == name);
        found.ok_or_else(|| SearchError::setting("the metric", "cosine or euclidean", name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_have_no_direction_and_equal_vectors_no_distance() {
        let zeros = [0.0; 11];
        let a: Vec<f32> = (0..11).map(|i| (i as f32 * 0.37).sin() * 1e-20).collect();
        let large: Vec<f32> = a.iter().map(|x| x * 1e38).collect();
        for metric in Metric::ALL {
            assert_eq!((metric.distance(&a, &a), metric.distance(&large, &large)), (0.0, 0.0));
        }
        assert_eq!([Metric::Cosine.distance(&a, &zeros), Metric::Cosine.distance(&zeros, &zeros)], [1.0; 2]);
        assert_eq!(Metric::Euclidean.distance(&zeros, &zeros), 0.0);
        assert!(Metric::Cosine.distance(&a, &large) < 1e-6);
    }

    #[test]
    fn names_are_read_back() {
        for metric in Metric::ALL {
            assert_eq!(metric.to_string().parse::<Metric>().unwrap(), metric);
        }
        let message = "manhattan".parse::<Metric>().unwrap_err().to_string();
        assert_eq!(message, "the metric must be cosine or euclidean, got manhattan");
    }
}
