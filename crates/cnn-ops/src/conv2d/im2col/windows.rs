//! The matrices that convolutions multiply, made of images when they are read.

use crate::conv2d::Extents;
use crate::conv2d::every::every;
use cnn_tensor::{Rows, Shape};
use std::ops::Range;

/// A row for each of some channels of a batch, with the pixels of all images side by side.
pub(super) struct Planes<'a> {
    x: &'a [f32],
    images: usize,
    image: usize,
    plane: usize,
    channels: Range<usize>,
}

impl<'a> Planes<'a> {
    /// Some channels of `x`, which has this shape and is not empty.
    pub fn new(x: &'a [f32], shape: Shape, channels: Range<usize>) -> Self {
        let [images, all_channels, h, w] = shape.nchw().expect("images");
        Self { x, images, image: all_channels * h * w, plane: h * w, channels }
    }
}

impl Rows for Planes<'_> {
    fn extents(&self) -> [usize; 2] {
        [self.channels.len(), self.images * self.plane]
    }

    fn row<'a>(&'a self, row: usize, columns: Range<usize>, scratch: &'a mut [f32]) -> &'a [f32] {
        let channel = (self.channels.start + row) * self.plane;
        let (image, pixel) = (columns.start / self.plane, columns.start % self.plane);
        if pixel + columns.len() <= self.plane {
            return &self.x[image * self.image + channel + pixel..][..columns.len()];
        }
        for_each_image(self.plane, columns, scratch, |image, pixels, out| {
            out.copy_from_slice(&self.x[image * self.image + channel..][pixels]);
        });
        scratch
    }
}

/// Calls `f(image, positions, out)` for each image that has some of `columns`, with their positions in its plane and the
/// part of `out` that is theirs.
fn for_each_image(
    plane: usize,
    columns: Range<usize>,
    mut out: &mut [f32],
    mut f: impl FnMut(usize, Range<usize>, &mut [f32]),
) {
    let (mut image, mut position) = (columns.start / plane, columns.start % plane);
    while !out.is_empty() {
        let count = out.len().min(plane - position);
        let (piece, rest) = out.split_at_mut(count);
        f(image, position..position + count, piece);
        (image, position, out) = (image + 1, 0, rest);
    }
}

/// A row for each tap of a window, with the windows of all images side by side: the pixel under the tap, or 0 outside the
/// image.
pub(super) struct Windows<'a> {
    e: &'a Extents,
    x: &'a [f32],
    channels: Range<usize>,
    image: usize,
}

impl<'a> Windows<'a> {
    /// The windows of `e` over some channels of `x`; there are windows, and pixels.
    pub fn new(e: &'a Extents, x: &'a [f32], channels: Range<usize>) -> Self {
        Self { e, x, channels, image: e.x_image() }
    }

    /// Whether the tap of neighbouring windows lies on neighbouring pixels, across the ends of rows as well.
    fn is_shift(&self) -> bool {
        self.e.options.stride == [1, 1] && self.e.ow == self.e.w
    }
}

/// Where the taps of a row of windows lie: `first + i * stride` for the `i`-th, which is outside below 0 and from `extent`
/// on.
#[derive(Clone, Copy)]
struct Taps {
    offset: usize,
    padding: usize,
    stride: usize,
    extent: usize,
}

impl Taps {
    /// The place of the `i`-th, if it is inside.
    fn at(&self, i: usize) -> Option<usize> {
        (i * self.stride + self.offset).checked_sub(self.padding).filter(|&at| at < self.extent)
    }

    /// Those of `count` that are inside.
    fn inside(&self, count: usize) -> Range<usize> {
        let first = self.padding.saturating_sub(self.offset).div_ceil(self.stride).min(count);
        let end = (self.extent + self.padding).saturating_sub(self.offset).div_ceil(self.stride);
        first..end.clamp(first, count)
    }
}

impl Rows for Windows<'_> {
    fn extents(&self) -> [usize; 2] {
        [self.e.taps(), self.e.n * self.e.y_plane()]
    }

    fn row<'a>(&'a self, row: usize, columns: Range<usize>, scratch: &'a mut [f32]) -> &'a [f32] {
        let (e, [kh_count, kw_count]) = (self.e, self.e.options.kernel);
        let taps = |i: usize, tap: usize, extent| Taps {
            offset: tap * e.options.dilation[i],
            padding: e.padding[i][0],
            stride: e.options.stride[i],
            extent,
        };
        let rows = taps(0, row / kw_count % kh_count, e.h);
        let cols = taps(1, row % kw_count, e.w);
        let channel = (self.channels.start + row / kw_count / kh_count) * e.x_plane();
        let inside = [rows.inside(e.oh), cols.inside(e.ow)];
        for_each_image(e.y_plane(), columns, scratch, |image, positions, out| {
            let x = &self.x[image * self.image + channel..][..e.x_plane()];
            if self.is_shift() {
                shift(e, x, [rows, cols], &inside, positions, out);
            } else {
                gather(e, x, [rows, cols], &inside[1], positions, out);
            }
        });
        scratch
    }
}

/// The tap of some windows of a plane, row by row.
fn gather(
    e: &Extents,
    x: &[f32],
    [rows, cols]: [Taps; 2],
    inside: &Range<usize>,
    positions: Range<usize>,
    mut out: &mut [f32],
) {
    let (mut oh, mut ow) = (positions.start / e.ow, positions.start % e.ow);
    while !out.is_empty() {
        let count = out.len().min(e.ow - ow);
        let (piece, rest) = out.split_at_mut(count);
        let (first, end) = (inside.start.clamp(ow, ow + count), inside.end.clamp(ow, ow + count));
        match rows.at(oh) {
            Some(ih) if first < end => {
                piece[..first - ow].fill(0.0);
                piece[end - ow..].fill(0.0);
                let x = &x[ih * e.w + first * cols.stride + cols.offset - cols.padding..];
                every(cols.stride, x, &mut piece[first - ow..end - ow]);
            }
            _ => piece.fill(0.0),
        }
        (oh, ow, out) = (oh + 1, 0, rest);
    }
}

/// The same where it is a run of neighbouring pixels, but for zeros at the ends of rows.
fn shift(
    e: &Extents,
    x: &[f32],
    [rows, cols]: [Taps; 2],
    inside: &[Range<usize>; 2],
    positions: Range<usize>,
    out: &mut [f32],
) {
    let w = e.w;
    if inside.iter().any(Range::is_empty) {
        return out.fill(0.0);
    }
    // Window p looks at pixel p + shift. Some window is inside, so that no difference exceeds the extents.
    let shift = [rows, cols].map(|taps| taps.offset.wrapping_sub(taps.padding) as isize);
    let shift = shift[0] * w as isize + shift[1];
    // The first and last row may begin before the plane and end after it, by numbers that are then overwritten with zeros.
    let in_plane = |position: usize| position.clamp(positions.start, positions.end);
    let start = in_plane((inside[0].start * w).max(shift.min(0).unsigned_abs()));
    let end = in_plane((inside[0].end * w).min(x.len().saturating_add_signed(-shift))).max(start);
    let at = |position: usize| position - positions.start;
    out[..at(start)].fill(0.0);
    out[at(end)..].fill(0.0);
    if start < end {
        let first = start.wrapping_add_signed(shift);
        out[at(start)..at(end)].copy_from_slice(&x[first..first + end - start]);
    }
    for outside in [0..inside[1].start, inside[1].end..w] {
        if outside.is_empty() {
            continue;
        }
        for row in positions.start / w..positions.end.div_ceil(w) {
            let (first, end) = (in_plane(row * w + outside.start), in_plane(row * w + outside.end));
            out[at(first)..at(end)].fill(0.0);
        }
    }
}
