//! Convolution as matrix products: the windows of a batch unrolled to the columns of a matrix.
//!
//! `columns[(ci, kh, kw), (n, oh, ow)]` is the input element under tap `(ci, kh, kw)` of window `(n, oh, ow)`, or 0 outside
//! the image. Then, for each group:
//!
//! ```text
//! y       = weight  * columns       (c_out, taps) x (taps, n*oh*ow)
//! dweight = dy      * columns^T     (c_out, n*oh*ow) x (n*oh*ow, taps)
//! dx      = flipped * columns of dy (c_in, c_out*kh*kw) x (c_out*kh*kw, n*h*w)      at stride 1
//! columns'= weight^T * dy           (taps, c_out) x (c_out, oh*ow)                  else
//! ```
//!
//! The columns are nowhere as a whole: [`Windows`] makes runs of a row when the product packs them. Only where `dx` is not a
//! convolution are there columns in memory, those of one image, to be added back under the windows. Windows overlap, and
//! padding can be larger than the image, so they may be far more than input and output together. Where they are too many,
//! the output plane is taken in bands of rows, or of parts of a row, one after the other.

mod windows;

use super::Extents;
use super::algorithm::Separate;
use crate::shared::bias;
use crate::shared::work::{at_a_time, worth_a_thread};
use cnn_tensor::{Buffer, Factor, MatMut, MatRef, Onto, gemm, parallel, product};
use std::ops::Range;
use windows::{Planes, Windows};

/// Elements of the columns of a band: 16 MiB. Less than one of VGG's large layers needs, so that the bands of a few
/// threads do not fill the memory, and enough to keep a product as fast as a whole one.
const COLUMNS: usize = at_a_time(1 << 22);

/// Multiply-adds of a group from which its product is shared by the threads; smaller groups are shared out themselves.
const LARGE_GROUP: u64 = worth_a_thread(1 << 23) as u64;

/// The algorithm of this file, which takes every convolution.
#[derive(Debug)]
pub(super) struct Im2col;

impl Separate for Im2col {
    fn is_possible(&self, _: &Extents) -> bool {
        true
    }

    fn suits(&self, _: &Extents) -> bool {
        true
    }

    fn forward(&self, e: &Extents, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        forward(e, x, weight, bias, y);
    }

    fn weight_gradient(&self, e: &Extents, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
        weight_gradient(e, x, dy, dweight);
    }

    fn input_gradient(&self, e: &Extents, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        input_gradient(e, weight, dy, None, dx);
    }
}

/// `y = conv(x) + bias`.
pub(crate) fn forward(e: &Extents, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let (taps, plane) = (e.taps(), e.y_plane());
    if e.is_constant() {
        return bias::fill(bias, plane, y);
    }
    for_each_piece(e, y, e.y_image(), |e, first, y| {
        let x = &x[first * e.x_image()..][..e.n * e.x_image()];
        for g in 0..e.options.groups {
            let weight = MatRef::new(weight_of(e, weight, g), e.c_out, taps);
            let channels = g * e.c_out..(g + 1) * e.c_out;
            let onto = bias.map_or(Onto::Scaled(0.0), |bias| Onto::Rows(&bias[channels.clone()]));
            let y = MatMut::side_by_side(y, e.n, [e.options.groups * e.c_out, plane], channels);
            with_columns(e, x, g, |columns| product(Factor::from(&weight), columns, onto, y));
        }
    });
}

/// `dweight += dy * columns^T`.
pub(crate) fn weight_gradient(e: &Extents, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
    if e.is_constant() {
        return;
    }
    let taps = e.taps();
    parallel::for_each_chunk(dweight, e.c_out * taps, |g, dweight| {
        let dy = Planes::new(dy, e.y_shape(), g * e.c_out..(g + 1) * e.c_out);
        let dweight = MatMut::new(dweight, e.c_out, taps);
        with_columns(e, x, g, |columns| product(Factor::new(&dy), columns.t(), Onto::Scaled(1.0), dweight));
    });
}

/// The gradient of `x` given `dy`, plus `bias` for each of its channels: a transposed convolution of `dy`.
pub(crate) fn input_gradient(e: &Extents, weight: &[f32], dy: &[f32], bias: Option<&[f32]>, dx: &mut [f32]) {
    if e.is_constant() {
        return bias::fill(bias, e.x_plane(), dx);
    }
    match e.reversed() {
        Some(reversed) => forward(&reversed, dy, flipped(e, weight).as_slice(), bias, dx),
        None => roll_up_batch(e, weight, dy, bias, dx),
    }
}

/// The weight of the reversed convolution: `[c_in, c_out, kh, kw]` in each group, every window turned round.
pub(super) fn flipped(e: &Extents, weight: &[f32]) -> Buffer<f32> {
    let window = e.taps() / e.c_in;
    let mut flipped = Buffer::scratch(weight.len());
    let mut slots = flipped.as_mut_slice().chunks_exact_mut(window);
    for g in 0..e.options.groups {
        let weight = weight_of(e, weight, g);
        for ci in 0..e.c_in {
            for (co, slot) in (0..e.c_out).zip(slots.by_ref()) {
                let window = weight[(co * e.c_in + ci) * window..][..window].iter().rev();
                slot.iter_mut().zip(window).for_each(|(slot, &w)| *slot = w);
            }
        }
    }
    flipped
}

/// Calls `f(extents, first image, y)` for pieces of the batch: all of it at once where groups are large enough for all
/// threads to share each, else image by image.
fn for_each_piece(
    e: &Extents,
    y: &mut [f32],
    image: usize,
    f: impl Fn(&Extents, usize, &mut [f32]) + Sync + Send,
) {
    let groups = e.options.groups;
    if groups == 1 || e.macs() / groups as u64 >= LARGE_GROUP {
        return f(e, 0, y);
    }
    parallel::for_each_chunk(y, image, |n, y| f(&Extents { n: 1, ..*e }, n, y));
}

/// Calls `f` with the columns of group `g`.
fn with_columns(e: &Extents, x: &[f32], g: usize, f: impl FnOnce(Factor<'_>)) {
    let channels = g * e.c_in..(g + 1) * e.c_in;
    if e.is_pointwise() {
        f(Factor::new(&Planes::new(x, e.x_shape(), channels)));
    } else {
        f(Factor::new(&Windows::new(e, x, channels)));
    }
}

/// [`input_gradient`] by columns in memory.
fn roll_up_batch(e: &Extents, weight: &[f32], dy: &[f32], bias: Option<&[f32]>, dx: &mut [f32]) {
    let (taps, plane) = (e.taps(), e.y_plane());
    parallel::for_each_chunk(dx, e.x_image(), |n, dx| {
        bias::fill(bias, e.x_plane(), dx);
        let mut columns = Columns::new(e);
        for (g, dx) in dx.chunks_exact_mut(e.c_in * e.x_plane()).enumerate() {
            let weight = MatRef::new(weight_of(e, weight, g), e.c_out, taps).t();
            let dy = MatRef::new(dy_of(e, dy, n, g), e.c_out, plane);
            for band in bands(e) {
                let columns = columns.of(e, &band);
                let dy = dy.columns(band.positions(e));
                gemm(1.0, weight, dy, 0.0, MatMut::new(columns, taps, band.len())); // (taps, c_out) x (c_out, oh*ow)
                roll_up(e, &band, columns, dx);
            }
        }
    });
}

/// The channels of `dy` that group `g` of image `n` made.
fn dy_of<'a>(e: &Extents, dy: &'a [f32], n: usize, g: usize) -> &'a [f32] {
    let group = e.c_out * e.y_plane();
    &dy[n * e.y_image() + g * group..][..group]
}

/// The weights of group `g`.
fn weight_of<'a>(e: &Extents, weight: &'a [f32], g: usize) -> &'a [f32] {
    let group = e.c_out * e.taps();
    &weight[g * group..][..group]
}

/// Windows whose columns are made at a time: whole rows of the output plane, or part of one row.
struct Band {
    rows: Range<usize>,
    cols: Range<usize>,
}

impl Band {
    /// The number of windows.
    fn len(&self) -> usize {
        self.rows.len() * self.cols.len()
    }

    /// Where they stand in the output plane.
    fn positions(&self, e: &Extents) -> Range<usize> {
        let first = self.rows.start * e.ow + self.cols.start;
        first..first + self.len()
    }
}

/// The bands of the output plane, in order: as few as keep the columns of each within [`COLUMNS`] or one window, and
/// about equal.
fn bands(e: &Extents) -> impl Iterator<Item = Band> + use<> {
    let (oh, ow) = (e.oh, e.ow);
    let [rows, cols] = band_extents([oh, ow], e.taps(), COLUMNS);
    let starts = (0..oh).step_by(rows).flat_map(move |row| (0..ow).step_by(cols).map(move |col| [row, col]));
    starts.map(move |[row, col]| Band { rows: row..oh.min(row + rows), cols: col..ow.min(col + cols) })
}

/// Rows and columns of the largest band of a plane of `oh` x `ow` windows with `taps` elements each.
fn band_extents([oh, ow]: [usize; 2], taps: usize, columns: usize) -> [usize; 2] {
    let windows = (columns / taps).max(1);
    let even = |extent: usize, at_most: usize| extent.div_ceil(extent.div_ceil(at_most));
    if windows >= ow { [even(oh, windows / ow), ow] } else { [1, even(ow, windows)] }
}

/// Memory for the columns of any one band.
struct Columns(Buffer<f32>);

impl Columns {
    fn new(e: &Extents) -> Self {
        let [rows, cols] = band_extents([e.oh, e.ow], e.taps(), COLUMNS);
        Self(Buffer::scratch(e.taps() * rows * cols))
    }

    /// As much of it as `band` takes.
    fn of(&mut self, e: &Extents, band: &Band) -> &mut [f32] {
        &mut self.0.as_mut_slice()[..e.taps() * band.len()]
    }
}

/// Adds every column's elements where they would have come from: the transpose of making [`Windows`].
fn roll_up(e: &Extents, band: &Band, columns: &[f32], dx: &mut [f32]) {
    let (width, stride) = (band.cols.len(), e.options.stride[1]);
    for_each_row(e, band, |row, input| {
        let Some(Run { outputs, first }) = input else { return };
        let row = &columns[row..row + width][outputs];
        if stride == 1 {
            dx[first..].iter_mut().zip(row).for_each(|(dx, column)| *dx += column);
        } else {
            dx[first..].iter_mut().step_by(stride).zip(row).for_each(|(dx, column)| *dx += column);
        }
    });
}

/// The outputs of a band's row whose tap lies inside the image, counted from the band's first column, and the input
/// element under the first of them.
struct Run {
    outputs: Range<usize>,
    first: usize,
}

/// Calls `f(start, run)` for every run of the columns that belongs to one tap and one row of the band, where `start` is
/// its first element.
fn for_each_row(e: &Extents, band: &Band, mut f: impl FnMut(usize, Option<Run>)) {
    let [kh_count, kw_count] = e.options.kernel;
    let (mut start, [sh, sw]) = (0, e.options.stride);
    let [[above, _], [left, _]] = e.padding;
    let Range { start: band_start, end: band_end } = band.cols;
    for ci in 0..e.c_in {
        for kh in 0..kh_count {
            for kw in 0..kw_count {
                // Column ow looks at input column ow*sw + shift - left: inside for first_ow <= ow < end_ow.
                let shift = kw * e.options.dilation[1];
                let first_ow = left.saturating_sub(shift).div_ceil(sw).clamp(band_start, band_end);
                let end_ow = (e.w + left).saturating_sub(shift).div_ceil(sw).clamp(first_ow, band_end);
                for oh in band.rows.clone() {
                    let ih = (oh * sh + kh * e.options.dilation[0]).checked_sub(above);
                    let run = ih.filter(|&ih| ih < e.h && first_ow < end_ow).map(|ih| Run {
                        outputs: first_ow - band_start..end_ow - band_start,
                        first: (ci * e.h + ih) * e.w + first_ow * sw + shift - left,
                    });
                    f(start, run);
                    start += band_end - band_start;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bands_are_few_and_bounded(oh in 1..50usize, ow in 1..50usize, taps in 1..50usize, limit in 1..3000usize) {
            let [rows, cols] = band_extents([oh, ow], taps, limit);
            prop_assert!((1..=oh).contains(&rows) && (1..=ow).contains(&cols) && (rows == 1 || cols == ow));
            prop_assert!(rows * cols * taps <= limit.max(taps));
            if cols == ow && rows < oh {
                // No fewer bands of whole rows would do.
                let fewer = oh.div_ceil(rows) - 1;
                prop_assert!(oh.div_ceil(fewer) * ow * taps > limit);
            }
        }
    }

    #[test]
    fn ordinary_layers_have_one_band_and_absurd_ones_a_bounded_one() {
        let in_a_library = |plane, taps| band_extents(plane, taps, 1 << 22);
        assert_eq!(in_a_library([55, 55], 363), [55, 55], "AlexNet's first");
        assert_eq!(in_a_library([27, 27], 1200), [27, 27], "AlexNet's second");
        assert_eq!(in_a_library([224, 224], 27), [224, 224], "VGG's first");
        assert_eq!(in_a_library([224, 224], 576), [32, 224], "VGG's second, in seven");
        assert_eq!(in_a_library([9002, 9002], 1_000_000), [1, 4], "a kernel of 1000 x 1000 on padding");
        assert_eq!(in_a_library([3, 3], 1 << 30), [1, 1]);
    }
}
