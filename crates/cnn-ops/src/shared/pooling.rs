//! Shared by the pooling operations: the rule of shapes, and which input elements lie under which window.

use crate::shared::check;
use crate::shared::work::worth_a_thread;
use crate::{OpError, Padding};
use cnn_tensor::{Recycled, Shape};
use std::ops::Range;

/// The windows of a valid pooling, and the shape of its output.
pub(crate) struct Windows {
    pub y: Shape,
    pub rows: Axis,
    pub cols: Axis,
}

/// The windows along one axis.
///
/// One may cover no input element: where there is more padding than kernel, and where a dilated kernel steps over an input
/// that is smaller than its dilation.
pub(crate) struct Axis {
    pub kernel: usize,
    pub stride: usize,
    /// Padding before the input.
    pub before: usize,
    /// Padding after the input.
    pub after: usize,
    /// From one tap of a window to the next.
    pub dilation: usize,
    /// Input elements.
    pub extent: usize,
    /// Output elements.
    pub positions: usize,
}

/// The options that make windows, of both axes.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub padding: Padding,
    pub dilation: [usize; 2],
    /// Whether the last window may hang over the padding at the end.
    pub ceil_mode: bool,
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
    pub fn new(op: &'static str, x: Shape, options: Options) -> Result<Self, OpError> {
        let Options { kernel, stride, padding, dilation, ceil_mode } = options;
        let [n, c, h, w] = check::nchw(op, "x", x)?;
        check::at_least_1(op, "kernel", kernel)?;
        check::at_least_1(op, "stride", stride)?;
        check::at_least_1(op, "dilation", dilation)?;
        let sides = padding.resolve([h, w], kernel, stride, dilation);
        let axis = |i: usize, extent| {
            Axis::new(op, extent, sides[i], [kernel[i], stride[i], dilation[i]], ceil_mode)
        };
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

    /// Elements of input and output that make a piece of work: whole planes, worth a thread.
    pub fn chunks(&self) -> [usize; 2] {
        let planes = self.planes_per_chunk();
        [planes * self.x_plane(), planes * self.y_plane()]
    }

    fn planes_per_chunk(&self) -> usize {
        const WORTH_A_THREAD: usize = worth_a_thread(1 << 17);
        (WORTH_A_THREAD / self.x_plane()).max(1)
    }
}

impl Axis {
    fn new(
        op: &'static str,
        extent: usize,
        [before, after]: [usize; 2],
        [kernel, stride, dilation]: [usize; 3],
        ceil_mode: bool,
    ) -> Result<Self, OpError> {
        let reach = (kernel - 1).saturating_mul(dilation).saturating_add(1);
        let padding = before.saturating_add(after);
        // Of an input without elements there is nothing to pool; and a window whose extent is beyond counting fits none.
        let padded = extent.checked_add(padding).filter(|_| extent > 0 && reach < usize::MAX);
        let positions = padded.and_then(|padded| match padded.checked_sub(reach) {
            Some(free) => {
                // The window that hangs over has to begin before the padding at the end.
                let rounded_down = free / stride + 1;
                let one_more = ceil_mode
                    && !free.is_multiple_of(stride)
                    && rounded_down.saturating_mul(stride) < extent + before;
                Some(rounded_down + usize::from(one_more))
            }
            // Rounded up, less than a stride too little is one window, as in PyTorch.
            None => (ceil_mode && reach - padded < stride && reach <= Shape::MAX_NUMEL).then_some(1),
        });
        // A single tap has no distance to another, and a step by it must not overflow.
        let dilation = if kernel == 1 { 1 } else { dilation };
        match positions {
            Some(positions) => Ok(Self { kernel, stride, before, after, dilation, extent, positions }),
            None => Err(OpError::Window { op, window: reach, padding, extent }),
        }
    }

    /// Elements from the first tap of a window to its last.
    pub fn reach(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// The input elements under window `at`: every `dilation`-th of the range.
    pub fn window(&self, at: usize) -> Range<usize> {
        let start = at * self.stride;
        let end = start.saturating_add(self.reach()).saturating_sub(self.before).min(self.extent);
        let first = match self.before.checked_sub(start) {
            None => start - self.before,
            Some(_) if self.dilation == 1 => 0,
            Some(before) => before.div_ceil(self.dilation) * self.dilation - before,
        };
        first..end.max(first)
    }

    /// The elements of window `at`, padding included, that end before the padding at the end does.
    pub fn padded_window(&self, at: usize) -> usize {
        let start = at * self.stride;
        self.reach().min(self.extent + self.before + self.after - start)
    }

    /// The windows that lie on the input whole; those before and after them hang over an edge.
    pub fn complete(&self) -> Range<usize> {
        let start = self.before.div_ceil(self.stride).min(self.positions);
        let room = (self.extent + self.before).checked_sub(self.reach());
        let end = room.map_or(0, |room| room / self.stride + 1);
        start..end.clamp(start, self.positions)
    }

    /// Every tap that falls on the input in any window, in order; for windows without dilation.
    pub fn taps(&self) -> Recycled<Tap> {
        let Self { kernel, stride, before: padding, after: _, dilation, extent, positions } = *self;
        debug_assert_eq!(dilation, 1);
        let mut tap = padding.saturating_sub((positions - 1) * stride);
        let mut taps = Recycled::default();
        while tap < kernel.min(extent + padding) {
            let before = padding.saturating_sub(tap);
            let first = before.div_ceil(stride);
            let start = first * stride - before + tap.saturating_sub(padding);
            if start < extent {
                let end = ((extent + padding - tap - 1) / stride + 1).min(positions);
                taps.push(Tap { windows: first..end, start });
                tap += 1;
            } else {
                // Windows so far apart that this tap misses the input in all of them: on to the next that does not.
                tap = padding - (first - 1) * stride;
            }
        }
        taps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::shared::testing::any_number_of_rejects())]

        #[test]
        fn windows_and_taps_are_two_views_of_the_same_pairs(extent in 1..9usize, kernel in 1..7usize,
                                                            stride in 1..7usize, before in 0..9usize, after in 0..9usize,
                                                            ceil_mode: bool) {
            let (sides, options) = ([before, after], [kernel, stride, 1]);
            let Ok(axis) = Axis::new("pool", extent, sides, options, ceil_mode) else { return Ok(()) };
            let mut by_window = vec![];
            for at in 0..axis.positions {
                prop_assert!(axis.padded_window(at) >= axis.window(at).len());
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

        #[test]
        fn a_window_covers_its_taps_that_lie_on_the_input(extent in 1..9usize, kernel in 1..5usize, stride in 1..5usize,
                                                          before in 0..9usize, after in 0..9usize, dilation in 1..5usize,
                                                          ceil_mode: bool) {
            let (sides, options) = ([before, after], [kernel, stride, dilation]);
            let Ok(axis) = Axis::new("pool", extent, sides, options, ceil_mode) else { return Ok(()) };
            for at in 0..axis.positions {
                let taps = (0..kernel).map(|tap| (at * stride + tap * dilation).wrapping_sub(before));
                let on_input: Vec<usize> = taps.filter(|&tap| tap < extent).collect();
                prop_assert_eq!(axis.complete().contains(&at), on_input.len() == kernel);
                prop_assert_eq!(axis.window(at).step_by(dilation).collect::<Vec<_>>(), on_input);
            }
        }
    }

    #[test]
    fn a_window_far_larger_than_its_input_costs_nothing() {
        let axis = Axis::new("pool", 3, [usize::MAX / 4; 2], [usize::MAX / 2, 1, 1], false).unwrap();
        assert_eq!(axis.window(0), 0..3);
        assert!(axis.taps().len() <= 6);
        // The extent of a window can be beyond counting.
        assert!(Axis::new("pool", 1, [usize::MAX / 2; 2], [usize::MAX, 1, 2], false).is_err());
        // Two windows, as far from each other as they are large.
        let axis = Axis::new("pool", 3, [1 << 61; 2], [1 << 62, 1 << 61, 1], true).unwrap();
        assert_eq!((axis.window(0), axis.window(1)), (0..3, 0..3));
        assert_eq!(axis.taps().len(), 6);
    }

    #[test]
    fn a_window_larger_than_the_input_is_one_position_rounded_up_if_the_stride_is_large_enough() {
        let positions =
            |stride| Axis::new("pool", 2, [0, 0], [4, stride, 1], true).map(|axis| axis.positions).ok();
        assert_eq!([1, 2, 3].map(positions), [None, None, Some(1)]);
    }

    /// PyTorch's formula, whose division rounds down for negative numbers too.
    fn pytorchs_positions(
        extent: usize,
        [kernel, stride, padding, dilation]: [usize; 4],
        ceil_mode: bool,
    ) -> i64 {
        let [extent, kernel, stride, padding, dilation] =
            [extent, kernel, stride, padding, dilation].map(|v| v as i64);
        let up = if ceil_mode { stride - 1 } else { 0 };
        let positions = (extent + 2 * padding - dilation * (kernel - 1) - 1 + up).div_euclid(stride) + 1;
        let begins_late = ceil_mode && (positions - 1) * stride >= extent + padding;
        positions - i64::from(begins_late)
    }

    proptest! {
        #![proptest_config(crate::shared::testing::any_number_of_rejects())]

        #[test]
        fn there_are_as_many_windows_as_in_pytorch(extent in 1..9usize, kernel in 1..7usize, stride in 1..9usize,
                                                   padding in 0..4usize, dilation in 1..5usize, ceil_mode: bool) {
            let options = [kernel, stride, padding, dilation];
            prop_assume!(padding <= ((kernel - 1) * dilation).div_ceil(2));
            let axis = Axis::new("pool", extent, [padding; 2], [kernel, stride, dilation], ceil_mode);
            let got = axis.map_or(0, |axis| axis.positions as i64);
            prop_assert_eq!(got, pytorchs_positions(extent, options, ceil_mode).max(0));
        }
    }
}
