//! Depthwise convolution: each channel is a group of its own, with one plane of input for each plane of output, or for a few.
//!
//! There is nothing to share between channels, so unrolling the windows, or putting images into lanes, costs more than it saves.
//! A plane with its padding is laid out as one line in the first-level cache, and pixels lie in the lanes. With strides, pixels that
//! windows see by the same taps lie side by side: one line for each phase, as in `polyphase.rs`. Then each tap is the same line, a
//! fixed number of places further on:
//!
//! ```text
//! y[i]         = bias + sum over taps of weight[tap] * x[phase of the tap][i + shift of the tap]
//! dx[phase][i] = sum over the phase's taps of weight[tap] * dy[i - shift of the tap]
//! dweight[tap] = sum over images, rows and columns of dy * x[phase of the tap][.. + shift of the tap]
//! ```
//!
//! The first two compute a few superfluous columns in each row, where windows reach into the next row. The third goes row by row: a
//! zero in place of such a column's `dy` would make a NaN of an infinity in the next row.

use super::Extents;
use super::algorithm::Separate;
use super::every::every;
use super::rows::leave;
use crate::shared::work::worth_a_thread;
use cnn_tensor::simd::{Level, Simd};
use cnn_tensor::{Buffer, Recycled, parallel};
use std::ops::Range;

/// Multiply-adds that make some planes worth a thread.
const WORTH_A_THREAD: usize = worth_a_thread(1 << 18);
/// Vectors of sums side by side.
const VECTORS: usize = 4;
/// Numbers of the widest vector of all levels.
const MOST_LANES: usize = cnn_tensor::simd::IMAGES;
/// Numbers that vectors read and write beyond the last position.
const BEYOND: usize = VECTORS * MOST_LANES;

/// The algorithm of this file.
#[derive(Debug)]
pub(super) struct Depthwise;

impl Separate for Depthwise {
    /// The lines must be in proportion to the planes.
    fn is_possible(&self, e: &Extents) -> bool {
        const LARGEST_STRIDE: usize = 4;
        let [sh, sw] = e.options.stride;
        let [rows, width] = Lines::extents(e);
        let lines = sh.saturating_mul(sw).saturating_mul(rows).saturating_mul(width);
        let planes = e.x_plane().saturating_add(e.y_plane()).saturating_mul(4);
        e.c_in == 1 && sh.max(sw) <= LARGEST_STRIDE && lines <= planes.saturating_add(4096)
    }

    /// Where many outputs share a plane, unrolling its windows pays.
    fn suits(&self, e: &Extents) -> bool {
        const MOST_OUTPUTS: usize = 4;
        const LARGEST_LINES: usize = (1 << 19) / size_of::<f32>();
        let small = |[rows, width]: [usize; 2]| {
            let [sh, sw] = e.options.stride;
            sh.saturating_mul(sw).saturating_mul(rows).saturating_mul(width) <= LARGEST_LINES
        };
        e.options.groups > 1 && e.c_out <= MOST_OUTPUTS && self.is_possible(e) && small(Lines::extents(e))
    }

    fn forward(&self, e: &Extents, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        if e.is_constant() {
            return crate::shared::bias::fill(bias, e.y_plane(), y);
        }
        let (level, lines) = (Level::current(), Lines::new(e));
        let channels = lines.channels_worth_a_thread(1);
        parallel::for_each_chunk(y, channels.saturating_mul(e.c_out * e.y_plane()), |piece, y| {
            let first = piece * channels;
            let mut padded = Buffer::zeroed(lines.all() + lines.width + BEYOND);
            let mut wide = Buffer::scratch(lines.positions() + BEYOND);
            let x = &x[first * e.x_plane()..];
            convolve(level, &lines, first, x, weight, bias, padded.as_mut_slice(), wide.as_mut_slice(), y);
        });
    }

    fn weight_gradient(&self, e: &Extents, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
        if e.is_constant() {
            return;
        }
        let (level, lines) = (Level::current(), Lines::new(e));
        let channels = lines.channels_worth_a_thread(e.n);
        parallel::for_each_chunk(dweight, channels.saturating_mul(e.c_out * e.taps()), |piece, dweight| {
            let mut padded = Buffer::zeroed(lines.all() + lines.width + BEYOND);
            let mut sums = Buffer::zeroed(e.c_out * e.taps() * MOST_LANES);
            for (i, dweight) in dweight.chunks_exact_mut(e.c_out * e.taps()).enumerate() {
                let channel = piece * channels + i;
                gradient(level, &lines, channel, x, dy, padded.as_mut_slice(), sums.as_mut_slice(), dweight);
            }
        });
    }

    fn input_gradient(&self, e: &Extents, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        if e.is_constant() {
            return dx.fill(0.0);
        }
        let (level, lines) = (Level::current(), Lines::new(e));
        let channels = lines.channels_worth_a_thread(1);
        parallel::for_each_chunk(dx, channels.saturating_mul(e.x_plane()), |piece, dx| {
            let first = piece * channels;
            let mut padded = Buffer::zeroed(e.c_out * lines.reversed());
            let mut wide = Buffer::scratch(lines.plane() + BEYOND);
            let dy = &dy[first * e.c_out * e.y_plane()..];
            spread(level, &lines, first, dy, weight, padded.as_mut_slice(), wide.as_mut_slice(), dx);
        });
    }
}

/// The planes of a channel as lines.
struct Lines<'e> {
    e: &'e Extents,
    /// Rows of a phase, and numbers of a row.
    rows: usize,
    width: usize,
    /// By tap, its place in the lines of `x`.
    places: Recycled<usize>,
    /// The largest shift of a tap: the last one's.
    largest: usize,
    /// Phase after phase, the places of its taps in the lines of `dy` of a channel's outputs, and the places of their weights.
    reversed: Recycled<(usize, usize)>,
    /// Where each phase ends among those.
    ends: Recycled<usize>,
}

impl<'e> Lines<'e> {
    /// Rows of a phase and numbers of a row: as many as windows see.
    fn extents(e: &Extents) -> [usize; 2] {
        let (reach, stride) = (e.reach(), e.options.stride);
        [e.oh.saturating_add(reach[0] / stride[0]), e.ow.saturating_add(reach[1] / stride[1])]
    }

    fn new(e: &'e Extents) -> Self {
        let ([sh, sw], [dh, dw], [_, kw]) = (e.options.stride, e.options.dilation, e.options.kernel);
        let ([rows, width], taps) = (Self::extents(e), e.taps());
        let place = |tap: usize| [tap / kw * dh, tap % kw * dw];
        let phase = |tap| {
            let [row, column] = place(tap);
            row % sh * sw + column % sw
        };
        let shift = |tap| {
            let [row, column] = place(tap);
            row / sh * width + column / sw
        };
        let largest = shift(taps - 1);
        let (plane, reversed) = (rows * width, largest + rows * width + BEYOND);
        let reversed_place = |weight| weight / taps * reversed + largest - shift(weight % taps);
        let mut by_phase: Recycled<(usize, usize)> =
            (0..e.c_out * taps).map(|weight| (reversed_place(weight), weight)).collect();
        by_phase.sort_unstable_by_key(|&(_, weight)| (phase(weight % taps), weight));
        let count_up_to = |last| e.c_out * (0..taps).filter(|&tap| phase(tap) <= last).count();
        Self {
            e,
            rows,
            width,
            places: (0..taps).map(|tap| phase(tap) * plane + shift(tap)).collect(),
            largest,
            reversed: by_phase,
            ends: (0..sh * sw).map(count_up_to).collect(),
        }
    }

    /// Numbers of a phase.
    fn plane(&self) -> usize {
        self.rows * self.width
    }

    /// Numbers of all phases.
    fn all(&self) -> usize {
        self.e.options.stride.iter().product::<usize>() * self.plane()
    }

    /// Numbers of a line of outputs, superfluous columns included.
    fn positions(&self) -> usize {
        self.e.oh * self.width
    }

    /// Numbers of a plane of `dy` with zeros before and behind, for every place that a tap of a phase sees.
    fn reversed(&self) -> usize {
        self.largest + self.plane() + BEYOND
    }

    /// The places of one output's taps in the lines of `x`, and their weights.
    #[inline(always)]
    fn taps(&self, weight: &[f32]) -> impl Iterator<Item = (usize, f32)> + Clone {
        self.places.iter().copied().zip(weight.iter().copied())
    }

    /// The places of a phase's taps in the lines of `dy` of a channel's outputs, and their weights.
    #[inline(always)]
    fn taps_reversed(
        &self,
        phase: usize,
        weight: &[f32],
    ) -> impl ExactSizeIterator<Item = (usize, f32)> + Clone {
        let start = if phase == 0 { 0 } else { self.ends[phase - 1] };
        self.reversed[start..self.ends[phase]].iter().map(|&(place, tap)| (place, weight[tap]))
    }

    /// The channels that together are worth a thread, if `images` images of each are taken at once.
    fn channels_worth_a_thread(&self, images: usize) -> usize {
        let channel = images.saturating_mul(self.e.c_out * self.positions()).saturating_mul(self.e.taps());
        WORTH_A_THREAD.div_ceil(channel.max(1))
    }

    /// For each phase, its first row and column in the padded plane.
    fn starts(&self) -> impl Iterator<Item = (usize, [usize; 2])> {
        let [sh, sw] = self.e.options.stride;
        (0..sh * sw).map(move |phase| (phase, [phase / sw, phase % sw]))
    }

    /// The places of a phase that lie inside the image along an axis, if the phase begins at `start`; and where the first one lies
    /// there.
    fn inside(&self, axis: usize, start: usize) -> (Range<usize>, usize) {
        let (stride, before) = (self.e.options.stride[axis], self.e.padding[axis][0]);
        let (extent, places) = ([self.e.h, self.e.w][axis], [self.rows, self.width][axis]);
        let first = before.saturating_sub(start).div_ceil(stride).min(places);
        let end = (before + extent).saturating_sub(start).div_ceil(stride).clamp(first, places);
        (first..end, (first * stride + start).saturating_sub(before))
    }

    /// Writes a plane of `x` into the lines of its phases, between zeros that are there already.
    fn lay_out(&self, x: &[f32], padded: &mut [f32]) {
        let ([sh, sw], w) = (self.e.options.stride, self.e.w);
        for (phase, [top, left]) in self.starts() {
            let ((rows, row), (columns, column)) = (self.inside(0, top), self.inside(1, left));
            if columns.is_empty() {
                continue;
            }
            let lines = padded[phase * self.plane()..][..self.plane()].chunks_exact_mut(self.width);
            for (i, line) in lines.skip(rows.start).take(rows.len()).enumerate() {
                let x = &x[(row + i * sh) * w..][..w];
                every(sw, &x[column..], &mut line[columns.clone()]);
            }
        }
    }

    /// Writes a phase's line of a plane of `dx` to where it lies in the plane.
    fn put_back(&self, [top, left]: [usize; 2], wide: &[f32], dx: &mut [f32]) {
        let ([sh, sw], w) = (self.e.options.stride, self.e.w);
        let ((rows, row), (columns, column)) = (self.inside(0, top), self.inside(1, left));
        if columns.is_empty() {
            return;
        }
        for (i, line) in wide.chunks_exact(self.width).skip(rows.start).take(rows.len()).enumerate() {
            let (line, dx) = (&line[columns.clone()], &mut dx[(row + i * sh) * w..][..w]);
            match sw {
                1 => dx[column..][..line.len()].copy_from_slice(line),
                _ => dx[column..].iter_mut().step_by(sw).zip(line).for_each(|(dx, &v)| *dx = v),
            }
        }
    }
}

cnn_tensor::kernel! {
    /// The outputs of some channels, from the `first` of all images on.
    fn convolve<S>(
        s, lines: &Lines<'_>, first: usize, x: &[f32], weight: &[f32], bias: Option<&[f32]>, padded: &mut [f32],
        wide: &mut [f32], y: &mut [f32],
    ) {
        let e = lines.e;
        for (i, y) in y.chunks_exact_mut(e.c_out * e.y_plane()).enumerate() {
            lines.lay_out(&x[i * e.x_plane()..][..e.x_plane()], padded);
            for (co, y) in y.chunks_exact_mut(e.y_plane()).enumerate() {
                let channel = (first + i) % e.options.groups * e.c_out + co;
                let weight = &weight[channel * e.taps()..][..e.taps()];
                let bias = bias.map_or(0.0, |bias| bias[channel]);
                line(s, bias, lines.taps(weight), padded, &mut wide[..lines.positions() + BEYOND]);
                leave(s, wide, lines.width, e.ow, y);
            }
        }
    }
}

/// A line of sums, and [`BEYOND`] numbers more: `first`, and for each tap, a place and a weight, the weight times the numbers of
/// `padded` from that place on.
#[inline(always)]
fn line<S: Simd>(
    s: S,
    first: f32,
    taps: impl Iterator<Item = (usize, f32)> + Clone,
    padded: &[f32],
    wide: &mut [f32],
) {
    let positions = wide.len() - BEYOND;
    let mut at = 0;
    while at < positions {
        at += if positions - at > S::LANES {
            vectors::<S, VECTORS>(s, first, taps.clone(), &padded[at..], &mut wide[at..])
        } else {
            vectors::<S, 1>(s, first, taps.clone(), &padded[at..], &mut wide[at..])
        };
    }
}

/// The first `V` vectors of a line; returns their numbers.
#[inline(always)]
fn vectors<S: Simd, const V: usize>(
    s: S,
    first: f32,
    taps: impl Iterator<Item = (usize, f32)>,
    padded: &[f32],
    wide: &mut [f32],
) -> usize {
    let mut sums = [s.splat(first); V];
    for (place, weight) in taps {
        let (x, weight) = (&padded[place..][..V * S::LANES], s.splat(weight));
        for (v, sum) in sums.iter_mut().enumerate() {
            *sum = s.mul_add(weight, s.load(&x[v * S::LANES..]), *sum);
        }
    }
    for (v, &sum) in sums.iter().enumerate() {
        s.store(sum, &mut wide[v * S::LANES..]);
    }
    V * S::LANES
}

cnn_tensor::kernel! {
    /// The inputs' gradients of some channels, from the `first` of all images on.
    fn spread<S>(
        s, lines: &Lines<'_>, first: usize, dy: &[f32], weight: &[f32], padded: &mut [f32], wide: &mut [f32], dx: &mut [f32],
    ) {
        let e = lines.e;
        let channel_weights = e.c_out * e.taps();
        for (i, dx) in dx.chunks_exact_mut(e.x_plane()).enumerate() {
            let dy = &dy[i * e.c_out * e.y_plane()..][..e.c_out * e.y_plane()];
            for (dy, padded) in dy.chunks_exact(e.y_plane()).zip(padded.chunks_exact_mut(lines.reversed())) {
                let rows = padded[lines.largest..].chunks_exact_mut(lines.width);
                for (dy, row) in dy.chunks_exact(e.ow).zip(rows) {
                    row[..e.ow].copy_from_slice(dy);
                }
            }
            dx.fill(0.0);
            let weight = &weight[(first + i) % e.options.groups * channel_weights..][..channel_weights];
            for (phase, start) in lines.starts() {
                let taps = lines.taps_reversed(phase, weight);
                if taps.len() > 0 {
                    line(s, 0.0, taps, padded, &mut wide[..lines.plane() + BEYOND]);
                    lines.put_back(start, wide, dx);
                }
            }
        }
    }
}

cnn_tensor::kernel! {
    /// Adds the gradient of one channel's weights, a sum over all images, into `dweight`. `sums` has a vector for each weight.
    fn gradient<S>(
        s, lines: &Lines<'_>, channel: usize, x: &[f32], dy: &[f32], padded: &mut [f32], sums: &mut [f32], dweight: &mut [f32],
    ) {
        let e = lines.e;
        sums.fill(0.0);
        for image in 0..e.n {
            let plane = image * e.options.groups + channel;
            lines.lay_out(&x[plane * e.x_plane()..][..e.x_plane()], padded);
            for co in 0..e.c_out {
                let dy = &dy[(plane * e.c_out + co) * e.y_plane()..][..e.y_plane()];
                let sums = &mut sums[co * e.taps() * S::LANES..][..e.taps() * S::LANES];
                let mut tap = 0;
                while tap < e.taps() {
                    tap += match e.taps() - tap {
                        9.. => products::<S, 9>(s, lines, tap, dy, padded, sums),
                        3.. => products::<S, 3>(s, lines, tap, dy, padded, sums),
                        _ => products::<S, 1>(s, lines, tap, dy, padded, sums),
                    };
                }
            }
        }
        for (sum, dweight) in sums.chunks_exact(S::LANES).zip(dweight) {
            *dweight += s.sum(s.load(sum));
        }
    }
}

/// Adds the products of a plane of `dy` with `T` taps, from the tap `first` on, into their sums; returns `T`.
#[inline(always)]
fn products<S: Simd, const T: usize>(
    s: S,
    lines: &Lines<'_>,
    first: usize,
    dy: &[f32],
    padded: &[f32],
    sums: &mut [f32],
) -> usize {
    let places = &lines.places[first..first + T];
    let sums = &mut sums[first * S::LANES..][..T * S::LANES];
    let mut totals = [s.splat(0.0); T];
    for (t, total) in totals.iter_mut().enumerate() {
        *total = s.load(&sums[t * S::LANES..]);
    }
    for (row, dy) in dy.chunks_exact(lines.e.ow).enumerate() {
        for (i, dy) in dy.chunks(S::LANES).enumerate() {
            let at = row * lines.width + i * S::LANES;
            if dy.len() == S::LANES {
                let dy = s.load(dy);
                for (total, place) in totals.iter_mut().zip(places) {
                    *total = s.mul_add(dy, s.load(&padded[place + at..]), *total);
                }
            } else {
                let (count, dy) = (dy.len(), s.load_partial(dy));
                for (total, place) in totals.iter_mut().zip(places) {
                    *total = s.mul_add(dy, s.load_partial(&padded[place + at..][..count]), *total);
                }
            }
        }
    }
    for (t, &total) in totals.iter().enumerate() {
        s.store(total, &mut sums[t * S::LANES..]);
    }
    T
}
