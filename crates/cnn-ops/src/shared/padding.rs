//! Zeros around an image, as convolutions take them.
//!
//! **Conventions.** `Same` is Keras's and TensorFlow's rule: the output has `ceil(extent / stride)` positions along an
//! axis, for which
//!
//! ```text
//! total = max((positions - 1) * stride + dilation * (kernel - 1) + 1 - extent, 0)
//! ```
//!
//! rows are added, half of them above; the odd one goes below. Columns alike, the odd one to the right. In `SameLower` the odd
//! one goes above and to the left, as in ONNX's `SAME_LOWER`. PyTorch's `padding="same"` exists for stride 1 alone, and there
//! it is `Same`. An input extent of 0 gets no padding, so that a
//! window never fits it.
//!
//! Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016), sections 2.2 and 2.3;
//! TensorFlow's documentation of `tf.nn.convolution` for `SAME` with a stride.

use serde::{Deserialize, Serialize};

/// Rows and columns of zeros around an image.
///
/// In JSON: `"valid"`, `"same"`, `"same_lower"`, `[height, width]` for both sides alike, or `[[top, bottom], [left, right]]`.
///
/// ```
/// use cnn_ops::Padding;
/// let x = [5, 6]; // rows and columns
/// let sides = |padding: Padding| padding.resolve(x, [3, 2], [1, 2], [1, 1]);
/// assert_eq!(sides(Padding::Valid), [[0, 0], [0, 0]]);
/// assert_eq!(sides([1, 0].into()), [[1, 1], [0, 0]]);
/// assert_eq!(sides([[0, 2], [1, 0]].into()), [[0, 2], [1, 0]]);
/// // Five windows of 3 rows at stride 1 reach over 7 rows, three of 2 columns at stride 2 over 6 columns.
/// assert_eq!(sides(Padding::Same), [[1, 1], [0, 0]]);
/// assert_eq!(Padding::SameLower.resolve(x, [4, 1], [1, 1], [1, 1]), [[2, 1], [0, 0]]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Json", into = "Json")]
pub enum Padding {
    /// A number of rows or columns on each side.
    Explicit {
        /// Rows above the image.
        top: usize,
        /// Rows below the image.
        bottom: usize,
        /// Columns to the left of the image.
        left: usize,
        /// Columns to the right of the image.
        right: usize,
    },
    /// None: every window lies on the image whole.
    Valid,
    /// As many as give `ceil(extent / stride)` output rows and columns: at stride 1, the size of the image. An odd
    /// row or column is added below or to the right.
    Same,
    /// As [`Padding::Same`], but an odd row or column is added above or to the left.
    SameLower,
}

impl Padding {
    /// `[height, width]`: the same above and below, and the same left and right, as PyTorch's pairs.
    pub const fn symmetric([height, width]: [usize; 2]) -> Self {
        Self::Explicit { top: height, bottom: height, left: width, right: width }
    }

    /// `[[top, bottom], [left, right]]` for an image of `extent` rows and columns. All arguments are
    /// `[height, width]`.
    pub fn resolve(
        self,
        extent: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
    ) -> [[usize; 2]; 2] {
        match self {
            Self::Explicit { top, bottom, left, right } => [[top, bottom], [left, right]],
            Self::Valid => [[0, 0], [0, 0]],
            Self::Same => [0, 1].map(|i| same(extent[i], kernel[i], stride[i], dilation[i])),
            Self::SameLower => {
                let [rows, columns] = Self::Same.resolve(extent, kernel, stride, dilation);
                [rows, columns].map(|[less, more]| [more, less])
            }
        }
    }
}

/// Zeros before and after an axis that give `ceil(extent / stride)` positions. Nothing overflows. Options outside their range
/// give a result too; their check rejects them.
fn same(extent: usize, kernel: usize, stride: usize, dilation: usize) -> [usize; 2] {
    if extent == 0 {
        return [0, 0];
    }
    let window = kernel.saturating_sub(1).saturating_mul(dilation).saturating_add(1);
    let last = (extent - 1) / stride.max(1) * stride;
    let total = last.saturating_add(window).saturating_sub(extent);
    [total / 2, total - total / 2]
}

/// No zeros, written as a number on each side.
impl Default for Padding {
    fn default() -> Self {
        Self::symmetric([0, 0])
    }
}

/// The same on all four sides.
impl From<usize> for Padding {
    fn from(padding: usize) -> Self {
        Self::symmetric([padding, padding])
    }
}

/// `[height, width]`, each on both sides.
impl From<[usize; 2]> for Padding {
    fn from(padding: [usize; 2]) -> Self {
        Self::symmetric(padding)
    }
}

/// `[[top, bottom], [left, right]]`.
impl From<[[usize; 2]; 2]> for Padding {
    fn from([[top, bottom], [left, right]]: [[usize; 2]; 2]) -> Self {
        Self::Explicit { top, bottom, left, right }
    }
}

/// A padding as descriptions write it.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "padding is \"valid\", \"same\", \"same_lower\", [height, width] or [[top, bottom], [left, right]]"
)]
enum Json {
    Rule(Rule),
    Symmetric([usize; 2]),
    Sides([[usize; 2]; 2]),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Rule {
    Valid,
    Same,
    SameLower,
}

impl From<Json> for Padding {
    fn from(json: Json) -> Self {
        match json {
            Json::Rule(Rule::Valid) => Self::Valid,
            Json::Rule(Rule::Same) => Self::Same,
            Json::Rule(Rule::SameLower) => Self::SameLower,
            Json::Symmetric(padding) => padding.into(),
            Json::Sides(padding) => padding.into(),
        }
    }
}

impl From<Padding> for Json {
    fn from(padding: Padding) -> Self {
        match padding {
            Padding::Valid => Self::Rule(Rule::Valid),
            Padding::Same => Self::Rule(Rule::Same),
            Padding::SameLower => Self::Rule(Rule::SameLower),
            Padding::Explicit { top, bottom, left, right } if [top, left] == [bottom, right] => {
                Self::Symmetric([top, left])
            }
            Padding::Explicit { top, bottom, left, right } => Self::Sides([[top, bottom], [left, right]]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::any_extent;
    use proptest::prelude::*;

    proptest! {
        /// The rule as it is stated: `ceil(extent / stride)` positions, by the least padding that gives as many, the
        /// odd row below.
        #[test]
        fn same_is_the_least_padding_that_gives_its_number_of_positions(
            extent in 1..30usize, kernel in 1..8usize, stride in 1..8usize, dilation in 1..5usize,
        ) {
            let [before, after] = Padding::Same.resolve([extent; 2], [kernel; 2], [stride; 2], [dilation; 2])[0];
            let window = dilation * (kernel - 1) + 1;
            let positions = |padding: usize| (extent + padding).checked_sub(window).map(|free| free / stride + 1);
            prop_assert_eq!(positions(before + after), Some(extent.div_ceil(stride)));
            if let Some(less) = (before + after).checked_sub(1) {
                prop_assert!(positions(less) < Some(extent.div_ceil(stride)));
            }
            prop_assert!(after == before || after == before + 1);
            let lower = Padding::SameLower.resolve([extent; 2], [kernel; 2], [stride; 2], [dilation; 2])[0];
            prop_assert_eq!(lower, [after, before]);
        }

        #[test]
        fn absurd_extents_and_options_resolve_to_something(
            extent in any_extent(), kernel in any_extent(), stride in any_extent(), dilation in any_extent(),
        ) {
            let sides = Padding::Same.resolve([extent; 2], [kernel; 2], [stride; 2], [dilation; 2]);
            prop_assert!(extent > 0 || sides == [[0, 0]; 2]);
        }

        #[test]
        fn json_comes_back(sides: [[usize; 2]; 2], alike: bool) {
            let sides = if alike { sides.map(|[before, _]| [before; 2]) } else { sides };
            let padding = Padding::from(sides);
            let json = serde_json::to_string(&padding).unwrap();
            prop_assert_eq!(serde_json::from_str::<Padding>(&json).unwrap(), padding);
        }
    }

    #[test]
    fn json_is_short() {
        let written = |padding: Padding| serde_json::to_string(&padding).unwrap();
        assert_eq!(written(Padding::Same), r#""same""#);
        assert_eq!(written(Padding::SameLower), r#""same_lower""#);
        assert_eq!(serde_json::from_str::<Padding>(r#""same_lower""#).unwrap(), Padding::SameLower);
        assert_eq!(written(Padding::Valid), r#""valid""#);
        assert_eq!(written(2.into()), "[2,2]");
        assert_eq!(written([1, 2].into()), "[1,2]");
        assert_eq!(written([[1, 1], [0, 1]].into()), "[[1,1],[0,1]]");
        assert_eq!(written(Padding::default()), "[0,0]");
        let error = serde_json::from_str::<Padding>("[1,2,3]").unwrap_err().to_string();
        assert_eq!(
            error,
            r#"padding is "valid", "same", "same_lower", [height, width] or [[top, bottom], [left, right]]"#
        );
    }
}
