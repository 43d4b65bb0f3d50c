//! The windows of adaptive pooling, of which the output's size is given and the extents follow.

use crate::pooling::Pieces;
use crate::{OpError, check};
use cnn_tensor::Shape;
use std::ops::Range;

/// The windows of a valid adaptive pooling, and the shape of its output.
pub(crate) struct Grid {
    pub y: Shape,
    pub rows: Bins,
    pub cols: Bins,
}

/// `count` windows that together cover `extent` elements: number `i` from `i * extent / count`, rounded down, to
/// `(i + 1) * extent / count`, rounded up. Neighbours share an element unless `count` divides.
#[derive(Clone, Copy)]
pub(crate) struct Bins {
    pub extent: usize,
    pub count: usize,
}

impl Grid {
    /// Validates `x` and the output's extents.
    pub fn new(op: &'static str, x: Shape, output: [usize; 2]) -> Result<Self, OpError> {
        let [n, c, h, w] = check::nchw(op, "x", x)?;
        check::at_least_1(op, "output", output)?;
        if let Some(&extent) = [h, w].iter().find(|&&extent| extent == 0) {
            return Err(OpError::Window { op, window: 1, padding: 0, extent });
        }
        let [rows, cols] = [(h, output[0]), (w, output[1])].map(|(extent, count)| Bins { extent, count });
        Ok(Self { y: check::output(op, [n, c, output[0], output[1]])?, rows, cols })
    }

    /// Elements of an input plane.
    pub fn x_plane(&self) -> usize {
        self.rows.extent.saturating_mul(self.cols.extent)
    }

    /// Elements of an output plane.
    pub fn y_plane(&self) -> usize {
        self.rows.count.saturating_mul(self.cols.count)
    }

    /// How planes are cut into pieces of work.
    pub fn pieces(&self) -> Pieces {
        Pieces::new(self.x_plane(), self.y_plane())
    }
}

impl Bins {
    /// The windows in order.
    pub fn windows(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.count).map(move |at| self.window(at))
    }

    fn window(self, at: usize) -> Range<usize> {
        let Self { extent, count } = self;
        // `at * extent / count` without the large product.
        let (whole, rest) = (extent / count, extent % count);
        at * whole + at * rest / count..(at + 1) * whole + ((at + 1) * rest).div_ceil(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn windows_are_those_of_the_definition(extent in 1..40usize, count in 1..40usize) {
            let windows: Vec<_> = Bins { extent, count }.windows().collect();
            let start = |i: usize| (i as f64 * extent as f64 / count as f64 + 1e-9).floor() as usize;
            let end = |i: usize| ((i + 1) as f64 * extent as f64 / count as f64 - 1e-9).ceil() as usize;
            prop_assert_eq!(&windows, &(0..count).map(|i| start(i)..end(i)).collect::<Vec<_>>());
            prop_assert!(windows.iter().all(|window| !window.is_empty()));
        }
    }

    #[test]
    fn large_extents_do_not_overflow() {
        let last = |extent| Bins { extent, count: 1 << 28 }.window((1 << 28) - 1);
        assert_eq!(last(1 << 60), (1 << 60) - (1 << 32)..1 << 60);
        assert_eq!(last((1 << 60) + 1), (1 << 60) - (1 << 32)..(1 << 60) + 1);
    }
}
