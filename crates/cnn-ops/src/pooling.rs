//! What the pooling operations share: the rule of shapes, and which input elements lie under which window.

use crate::work::worth_a_thread;
use crate::{OpError, check};
use cnn_tensor::Shape;
use std::ops::Range;

/// The options from which windows follow; pairs are `[height, width]`.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
    pub ceil_mode: bool,
}

/// The windows of a valid pooling, and the shape of its output.
pub(crate) struct Windows {
    pub y: Shape,
    pub rows: Axis,
    pub cols: Axis,
}

/// The windows along one axis. Each covers at least one input element.
#[derive(Clone)]
pub(crate) struct Axis {
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    /// From one element of a window to the next.
    pub dilation: usize,
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
    pub fn new(op: &'static str, x: Shape, options: Options) -> Result<Self, OpError> {
        let Options { kernel, stride, padding, dilation, ceil_mode } = options;
        let [n, c, h, w] = check::nchw(op, "x", x)?;
        check::at_least_1(op, "kernel", kernel)?;
        check::at_least_1(op, "stride", stride)?;
        check::at_least_1(op, "dilation", dilation)?;
        if padding[0] > kernel[0] / 2 || padding[1] > kernel[1] / 2 {
            let rule = "at most half the kernel";
            return Err(OpError::Option { op, option: "padding", rule, got: format!("{padding:?}") });
        }
        let axis = |i: usize, extent: usize| {
            let axis = Axis::new(op, extent, [kernel[i], stride[i], padding[i], dilation[i]], ceil_mode)?;
            axis.ok_or_else(|| {
                let rule = "such that no window lies on padding alone";
                OpError::Option { op, option: "dilation", rule, got: format!("{dilation:?}") }
            })
        };
        let (rows, cols) = (axis(0, h)?, axis(1, w)?);
        let y = check::output(op, [n, c, rows.positions, cols.positions])?;
        Ok(Self { y, rows, cols })
    }

    /// Elements of an input plane.
    pub fn x_plane(&self) -> usize {
        self.rows.extent.saturating_mul(self.cols.extent)
    }

    /// Elements of an output plane.
    pub fn y_plane(&self) -> usize {
        self.rows.positions.saturating_mul(self.cols.positions)
    }

    /// How planes are cut into pieces of work.
    pub fn pieces(&self) -> Pieces {
        Pieces::new(self.x_plane(), self.y_plane())
    }
}

/// Planes in pieces worth a thread: how many elements of `x` and of `y` a piece has. At least 1, whatever the planes.
#[derive(Clone, Copy)]
pub(crate) struct Pieces {
    pub x: usize,
    pub y: usize,
}

impl Pieces {
    /// For planes of that many elements of `x` and of `y`.
    pub fn new(x_plane: usize, y_plane: usize) -> Self {
        const WORTH_A_THREAD: usize = worth_a_thread(1 << 17);
        let planes = (WORTH_A_THREAD / x_plane.max(y_plane).max(1)).max(1);
        Self { x: planes.saturating_mul(x_plane).max(1), y: planes.saturating_mul(y_plane).max(1) }
    }
}

impl Axis {
    /// `None` where a window would lie on padding alone.
    fn new(
        op: &'static str,
        extent: usize,
        [kernel, stride, padding, dilation]: [usize; 4],
        ceil_mode: bool,
    ) -> Result<Option<Self>, OpError> {
        if extent == 0 {
            // Otherwise a window could lie on padding alone.
            return Err(OpError::Window { op, window: kernel, padding: 2 * padding, extent });
        }
        let positions = if ceil_mode {
            positions_up(op, extent, [kernel, stride, padding, dilation])?
        } else {
            check::positions(op, extent, [kernel, stride, padding, dilation])?
        };
        // Beyond this, the second element of the first window lies past the input, and it makes no difference how far.
        let dilation = dilation.min(extent.saturating_add(padding));
        let axis = Self { kernel, stride, padding, dilation, extent, positions };
        // Only the first window can leap over the input: for that `dilation` must exceed `extent`, and then there is no
        // room for another, since `padding` is at most half of `kernel`.
        Ok(Some(axis).filter(|axis| !axis.window(0).is_empty()))
    }

    /// From the first element of window `at` on the input to past the last; they are `dilation` apart.
    pub fn window(&self, at: usize) -> Range<usize> {
        let Self { kernel, stride, padding, dilation, extent, .. } = *self;
        let start = at * stride;
        let first = match padding.checked_sub(start) {
            None => start - padding,
            Some(_) if dilation == 1 => 0,
            Some(before) => match before % dilation {
                0 => 0,
                past => dilation - past,
            },
        };
        let reach = (kernel - 1).saturating_mul(dilation).saturating_add(1);
        first..start.saturating_add(reach - padding).min(extent)
    }

    /// The windows that lie on the input whole; those before and after them hang over an edge.
    pub fn complete(&self) -> Range<usize> {
        let start = self.padding.div_ceil(self.stride).min(self.positions);
        let reach = (self.kernel - 1).saturating_mul(self.dilation).saturating_add(1);
        let room = self.extent.saturating_add(self.padding).checked_sub(reach);
        let end = room.map_or(0, |room| room / self.stride + 1);
        start..end.clamp(start, self.positions)
    }

    /// The elements of window `at` that lie on the input or on padding; less than `kernel` where it hangs over both.
    pub fn within_padding(&self, at: usize) -> usize {
        self.kernel.min(self.extent.saturating_add(2 * self.padding) - at * self.stride)
    }

    /// Every tap that falls on the input in any window, in order, for a dilation of 1.
    pub fn taps(&self) -> Vec<Tap> {
        let Self { kernel, stride, padding, extent, positions, .. } = *self;
        let mut tap = padding.saturating_sub((positions - 1) * stride);
        let mut taps = Vec::new();
        while tap < kernel.min(extent.saturating_add(padding)) {
            let before = padding.saturating_sub(tap);
            let first = before.div_ceil(stride);
            let start = first * stride - before + tap.saturating_sub(padding);
            if start < extent {
                let end = ((extent + padding - tap - 1) / stride + 1).min(positions);
                taps.push(Tap { windows: first..end, start });
                tap += 1;
            } else {
                // The windows are so far apart that no element is under this tap, nor under any before this one.
                tap = padding - (first - 1) * stride;
            }
        }
        taps
    }
}

/// [`check::positions`] rounded up, as long as the last window begins on the input or on the padding before it: then
/// windows may hang over the end, even one larger than the padded input.
fn positions_up(
    op: &'static str,
    extent: usize,
    [kernel, stride, padding, dilation]: [usize; 4],
) -> Result<usize, OpError> {
    let window = (kernel - 1).saturating_mul(dilation).saturating_add(1);
    let padded = extent.saturating_add(2 * padding);
    match padded.checked_sub(window) {
        Some(free) => {
            let last = free.div_ceil(stride);
            let begins_inside =
                last.checked_mul(stride).is_some_and(|start| start < extent.saturating_add(padding));
            Ok(if begins_inside { last + 1 } else { last })
        }
        None if window < usize::MAX && window - padded < stride => Ok(1),
        None => Err(OpError::Window { op, window, padding: 2 * padding, extent }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn axis(extent: usize, options: [usize; 4], ceil_mode: bool) -> Option<Axis> {
        Axis::new("pool", extent, options, ceil_mode).ok().flatten()
    }

    /// The input elements under each window, by the definition, and the number of windows by PyTorch's formula.
    fn definition(
        extent: usize,
        [kernel, stride, padding, dilation]: [usize; 4],
        ceil_mode: bool,
    ) -> Vec<Vec<usize>> {
        let free = extent as i64 + 2 * padding as i64 - (dilation * (kernel - 1)) as i64 - 1;
        let up = if ceil_mode { stride as i64 - 1 } else { 0 };
        let mut positions = (free + up).div_euclid(stride as i64) + 1;
        if ceil_mode && (positions - 1) * stride as i64 >= (extent + padding) as i64 {
            positions -= 1;
        }
        let element = |at: usize, tap: usize| (at * stride + tap * dilation).checked_sub(padding);
        let window = |at| (0..kernel).filter_map(|tap| element(at, tap)).filter(|&e| e < extent).collect();
        (0..positions.max(0) as usize).map(window).collect()
    }

    proptest! {
        #![proptest_config(crate::testing::any_number_of_rejects())]

        #[test]
        fn windows_are_those_of_the_definition(extent in 1..9usize, kernel in 1..7usize, stride in 1..9usize,
                                               padding in 0..4usize, dilation in 1..10usize, ceil_mode: bool) {
            prop_assume!(padding <= kernel / 2);
            let options = [kernel, stride, padding, dilation];
            let want = definition(extent, options, ceil_mode);
            let Some(axis) = axis(extent, options, ceil_mode) else {
                prop_assert!(want.is_empty() || want.iter().any(|window| window.is_empty()));
                return Ok(());
            };
            let windows = (0..axis.positions).map(|at| axis.window(at).step_by(axis.dilation).collect());
            prop_assert_eq!(&windows.collect::<Vec<Vec<_>>>(), &want);
            for (at, window) in want.iter().enumerate() {
                prop_assert!(!window.is_empty());
                prop_assert_eq!(axis.complete().contains(&at), window.len() == kernel);
            }
        }

        #[test]
        fn taps_are_another_view_of_the_windows(extent in 1..9usize, kernel in 1..7usize, stride in 1..9usize,
                                                padding in 0..4usize, ceil_mode: bool) {
            prop_assume!(padding <= kernel / 2);
            let Some(axis) = axis(extent, [kernel, stride, padding, 1], ceil_mode) else { return Ok(()) };
            let window = |at| axis.window(at).map(move |element| (at, element));
            let by_window: Vec<_> = (0..axis.positions).flat_map(window).collect();
            let mut by_tap = vec![];
            for tap in axis.taps() {
                by_tap.extend(tap.windows.enumerate().map(|(i, at)| (at, tap.start + i * stride)));
            }
            by_tap.sort();
            prop_assert_eq!(by_tap, by_window);
        }
    }

    #[test]
    fn a_window_far_larger_than_its_input_costs_nothing() {
        let same = axis(3, [usize::MAX / 2, 1, usize::MAX / 4, 1], false).unwrap();
        assert_eq!(same.window(0), 0..3);
        assert!(same.taps().len() <= 6);
        // Two windows, as far from each other as they are large.
        let apart = axis(3, [1 << 62, 1 << 61, 1 << 61, 1], true).unwrap();
        assert_eq!((apart.window(0), apart.window(1)), (0..3, 0..3));
        assert_eq!(apart.taps().len(), 6);
    }

    #[test]
    fn a_window_larger_than_the_input_is_one_position_rounded_up_if_the_stride_is_large_enough() {
        let positions = |stride| axis(2, [4, stride, 0, 1], true).map(|axis| axis.positions);
        assert_eq!([1, 2, 3].map(positions), [None, None, Some(1)]);
    }
}
