/// `[height, width]`, or one number for both.
pub trait Pair {
    /// As `[height, width]`.
    fn pair(self) -> [usize; 2];
}

impl Pair for usize {
    fn pair(self) -> [usize; 2] {
        [self, self]
    }
}

impl Pair for [usize; 2] {
    fn pair(self) -> [usize; 2] {
        self
    }
}

/// `[[top, bottom], [left, right]]`, or `[rows, columns]` for both sides, or one number for all four.
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
