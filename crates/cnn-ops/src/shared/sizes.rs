//! Arguments that are a number or a pair: kernels, strides, sizes, margins.

/// `[height, width]`, or one number for both.
///
/// ```
/// use cnn_ops::{Conv2d, Pair};
/// assert_eq!(Conv2d::new(3).stride([2, 1]), Conv2d::new([3, 3]).stride([2, 1]));
/// ```
pub trait Pair<T = usize> {
    /// As `[height, width]`.
    fn pair(self) -> [T; 2];
}

impl<T: Copy> Pair<T> for T {
    fn pair(self) -> [T; 2] {
        [self, self]
    }
}

impl<T> Pair<T> for [T; 2] {
    fn pair(self) -> [T; 2] {
        self
    }
}

/// `[[top, bottom], [left, right]]`, or `[rows, columns]` for both sides, or one number for all four.
///
/// ```
/// use cnn_ops::Crop2d;
/// assert_eq!(Crop2d::new(1).margins, [[1, 1], [1, 1]]);
/// assert_eq!(Crop2d::new([1, 2]).margins, [[1, 1], [2, 2]]);
/// assert_eq!(Crop2d::new([[1, 2], [3, 4]]).margins, [[1, 2], [3, 4]]);
/// ```
pub trait Margins {
    /// As `[[top, bottom], [left, right]]`.
    fn margins(self) -> [[usize; 2]; 2];
}

impl Margins for usize {
    fn margins(self) -> [[usize; 2]; 2] {
        [[self; 2]; 2]
    }
}

impl Margins for [usize; 2] {
    fn margins(self) -> [[usize; 2]; 2] {
        self.map(|both| [both; 2])
    }
}

impl Margins for [[usize; 2]; 2] {
    fn margins(self) -> [[usize; 2]; 2] {
        self
    }
}
