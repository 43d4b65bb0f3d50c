//! What the pooling operations share: the rule of shapes, and which input elements lie under which window.

use crate::work::worth_a_thread;
use crate::{OpError, check};
use cnn_tensor::Shape;
use std::ops::Range;

/// The windows of a valid pooling, and the shape of its output.
pub(crate) struct Windows {
    pub y: Shape,
    pub rows: Axis,
    pub cols: Axis,
}

/// The windows along one axis. Each covers at least one input element.
pub(crate) struct Axis {
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    /// Input elements.
    pub extent: usize,
    /// Output elements.
    pub positions: usize,
}

/// One of the `kernel` offsets within a window, in all windows where it falls on the input and not on padding.
pub(crate) struct Tap {
    /// Those windows.
    pub windows: Range<usize>,
    /// The input element under the tap in the first of them; one `stride` on in each of the others.
    pub start: usize,
}

impl Windows {
    /// Validates the options and `x`.
    pub fn new(
        op: &'static str,
        x: Shape,
        [kernel, stride, padding]: [[usize; 2]; 3],
    ) -> Result<Self, OpError> {
        let [n, c, h, w] = check::nchw(op, "x", x)?;
        check::at_least_1(op, "kernel", kernel)?;
        check::at_least_1(op, "stride", stride)?;
        if padding[0] > kernel[0] / 2 || padding[1] > kernel[1] / 2 {
            let rule = "at most half the kernel";
            return Err(OpError::Option { op, option: "padding", rule, got: format!("{padding:?}") });
        }
        let axis = |i: usize, extent| Axis::new(op, extent, [kernel[i], stride[i], padding[i]]);
        let (rows, cols) = (axis(0, h)?, axis(1, w)?);
        let y = check::output(op, [n, c, rows.positions, cols.positions])?;
        Ok(Self { y, rows, cols })
    }

    /// Elements of an input plane.
    pub fn x_plane(&self) -> usize {
        self.rows.extent * self.cols.extent
    }

    /// Elements of an output plane.
    pub fn y_plane(&self) -> usize {
        self.rows.positions * self.cols.positions
    }

    /// Planes that make a piece of work worth a thread.
    pub fn planes_per_chunk(&self) -> usize {
        const WORTH_A_THREAD: usize = worth_a_thread(1 << 17);
        (WORTH_A_THREAD / self.x_plane()).max(1)
    }
}

impl Axis {
    fn new(op: &'static str, extent: usize, [kernel, stride, padding]: [usize; 3]) -> Result<Self, OpError> {
        if extent == 0 {
            // Otherwise a window could lie on padding alone.
            return Err(OpError::Window { op, window: kernel, padding: 2 * padding, extent });
        }
        let positions = check::positions(op, extent, [kernel, stride, padding, 1])?;
        Ok(Self { kernel, stride, padding, extent, positions })
    }

    /// The input elements under window `at`.
    pub fn window(&self, at: usize) -> Range<usize> {
        let start = at * self.stride;
        start.saturating_sub(self.padding)..(start + (self.kernel - self.padding)).min(self.extent)
    }

    /// The windows that lie on the input whole; those before and after them hang over an edge.
    pub fn complete(&self) -> Range<usize> {
        let start = self.padding.div_ceil(self.stride).min(self.positions);
        let room = (self.extent + self.padding).checked_sub(self.kernel);
        let end = room.map_or(0, |room| room / self.stride + 1);
        start..end.clamp(start, self.positions)
    }

    /// Every tap that falls on the input in any window, in order.
    pub fn taps(&self) -> Vec<Tap> {
        let Self { kernel, stride, padding, extent, positions } = *self;
        let nearest = padding.saturating_sub((positions - 1) * stride);
        let taps = (nearest..kernel.min(extent + padding)).map(|tap| {
            let first = padding.saturating_sub(tap).div_ceil(stride);
            let end = ((extent + padding - tap - 1) / stride + 1).min(positions);
            (tap, first..end)
        });
        let on_input = taps.filter(|(_, windows)| !windows.is_empty());
        on_input
            .map(|(tap, windows)| Tap { start: windows.start * stride + tap - padding, windows })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::testing::any_number_of_rejects())]

        #[test]
        fn windows_and_taps_are_two_views_of_the_same_pairs(extent in 1..9usize, kernel in 1..7usize,
                                                            stride in 1..7usize, padding in 0..4usize) {
            prop_assume!(padding <= kernel / 2);
            let Ok(axis) = Axis::new("pool", extent, [kernel, stride, padding]) else { return Ok(()) };
            let mut by_window = vec![];
            for at in 0..axis.positions {
                prop_assert!(!axis.window(at).is_empty());
                by_window.extend(axis.window(at).map(|element| (at, element)));
            }
            let mut by_tap = vec![];
            for tap in axis.taps() {
                by_tap.extend(tap.windows.enumerate().map(|(i, at)| (at, tap.start + i * stride)));
            }
            by_tap.sort();
            for at in 0..axis.positions {
                prop_assert_eq!(axis.complete().contains(&at), axis.window(at).len() == kernel);
            }
            prop_assert_eq!(by_tap, by_window);
        }
    }

    #[test]
    fn a_window_far_larger_than_its_input_costs_nothing() {
        let axis = Axis::new("pool", 3, [usize::MAX / 2, 1, usize::MAX / 4]).unwrap();
        assert_eq!(axis.window(0), 0..3);
        assert!(axis.taps().len() <= 6);
    }
}
