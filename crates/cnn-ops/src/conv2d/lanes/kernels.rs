//! The inner loops: register tiles of channels times vectors, and the way into the lanes and back.

use super::{Planes, Walk};
use cnn_tensor::Recycled;
use cnn_tensor::simd::{IMAGES, Simd};
use std::ops::Range;

/// Channels in a register tile, largest first; the tails of a channel count are tiled by the smaller ones.
const TILE_CHANNELS: [usize; 4] = [6, 4, 2, 1];

/// Bytes of `dy` that the weight's gradient works on at a time. The first-level cache holds most of them, and the sums are
/// loaded and stored seldom.
const BAND_BYTES: usize = 40 << 10;

/// The runs of channels that are computed together: `(first, count)` covering `0..channels`.
pub(super) fn tiles(channels: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let count = TILE_CHANNELS.into_iter().find(|&count| count <= channels - first)?;
        first += count;
        Some((first - count, count))
    })
}

cnn_tensor::kernel! {
    /// Brings 16 images into the lanes, row by row between zeros left and right.
    pub(super) fn pack_rows<S>(s, planes: &Planes, images: &[f32], packed: &mut [f32]) {
        let [left, right] = planes.padding[1].map(|columns| columns * IMAGES);
        for channel in 0..planes.channels {
            for row in 0..planes.h {
                let from = (channel * planes.h + row) * planes.w;
                let to = &mut packed[planes.at(channel, row, 0) - left..][..planes.padded_w() * IMAGES];
                to[..left].fill(0.0);
                s.images_to_lanes(&images[from..], planes.image(), planes.w, &mut to[left..]);
                to[left + planes.w * IMAGES..][..right].fill(0.0);
            }
        }
    }
}

cnn_tensor::kernel! {
    /// `y = conv(x) + bias` for one block in the lanes.
    pub(super) fn convolve_block<S>(
        s, walk: &Walk, offsets: &[usize], weight: &[f32], bias: &[f32], x: &[f32], y: &mut [f32],
    ) {
        let mut weight = weight;
        for group in 0..walk.groups {
            let x = &x[walk.x.at(group * walk.c_in, 0, 0) - walk.x.at(0, 0, 0)..];
            for (first, count) in tiles(walk.c_out) {
                let of_tile = weight.split_off(..count * offsets.len()).unwrap_or_default();
                let co = group * walk.c_out + first;
                let (bias, y) = (&bias[co..co + count], &mut y[walk.y.at(co, 0, 0)..]);
                match count {
                    6 => convolve_tile::<S, 6>(s, walk, offsets, of_tile, bias, x, y),
                    4 => convolve_tile::<S, 4>(s, walk, offsets, of_tile, bias, x, y),
                    2 => convolve_tile::<S, 2>(s, walk, offsets, of_tile, bias, x, y),
                    _ => convolve_tile::<S, 1>(s, walk, offsets, of_tile, bias, x, y),
                }
            }
        }
    }
}

/// `CO` output channels, all pixels, as many vectors at a time as registers allow.
#[inline(always)]
fn convolve_tile<S: Simd, const CO: usize>(
    s: S,
    walk: &Walk,
    offsets: &[usize],
    weight: &[f32],
    bias: &[f32],
    x: &[f32],
    y: &mut [f32],
) {
    let per_pixel = IMAGES / S::LANES;
    let vectors = walk.y.w * per_pixel;
    let y_row = walk.y.w * IMAGES;
    let plane = walk.y.h * y_row;
    let [row_step, step] = [walk.stride[0] * walk.x.padded_w() * IMAGES, walk.stride[1] * IMAGES];
    let mut tiles = Recycled::with_capacity(vectors);
    let mut at = 0;
    while at < vectors {
        let columns = |range: Range<usize>| {
            walk.columns_inside((at + range.start) / per_pixel..(at + range.end).div_ceil(per_pixel))
        };
        // Two narrow tiles rather than a wide one, half of which is mostly padding.
        let half_empty =
            || [0..2, 2..4].into_iter().any(|half| 2 * columns(half).len() <= columns(0..4).len());
        let width = match vectors - at {
            4.. if S::REGISTERS >= 32 && !half_empty() => 4,
            2.. => 2,
            _ => 1,
        };
        tiles.push((at, width, columns(0..width)));
        at += width;
    }
    for row in 0..walk.y.h {
        let rows = walk.rows_inside(row);
        let x = &x[row * row_step..];
        for (at, width, columns) in &tiles {
            let first = at % per_pixel;
            let window =
                Window { offsets, weight, rows: rows.clone(), columns: columns.clone(), first, walk };
            let x = &x[at / per_pixel * step..];
            let y = &mut y[row * y_row + at * S::LANES..];
            match width {
                4 => window.sum::<S, CO, 4>(s, bias, x, y, plane),
                2 => window.sum::<S, CO, 2>(s, bias, x, y, plane),
                _ => window.sum::<S, CO, 1>(s, bias, x, y, plane),
            }
        }
    }
}

/// The taps that some neighbouring pixels of the output see, but for those that are padding for all of them.
struct Window<'a> {
    /// All taps' places, and their weights, `CO` to each.
    offsets: &'a [usize],
    weight: &'a [f32],
    /// Rows and columns of the window that are not padding.
    rows: Range<usize>,
    columns: Range<usize>,
    /// The vector of its pixel at which the sums begin.
    first: usize,
    walk: &'a Walk,
}

impl Window<'_> {
    /// `CO` output channels times `V` consecutive vectors, summed over the taps in registers.
    #[inline(always)]
    fn sum<S: Simd, const CO: usize, const V: usize>(
        self,
        s: S,
        bias: &[f32],
        x: &[f32],
        y: &mut [f32],
        plane: usize,
    ) {
        let mut sums = [[s.splat(0.0); V]; CO];
        for (co, sums) in sums.iter_mut().enumerate() {
            *sums = [s.splat(bias[co]); V];
        }
        // The taps of a row are a run for each channel: all runs of the rows are one if no column is left out.
        let [_, kw] = self.walk.kernel;
        let row_taps = self.walk.c_in * kw;
        let taps = self.rows.start * row_taps..self.rows.end * row_taps;
        let (offsets, weight) = (&self.offsets[taps.clone()], &self.weight[CO * taps.start..CO * taps.end]);
        let all = self.columns.len() == kw;
        let (run, columns) = if all { (offsets.len().max(1), 0..offsets.len()) } else { (kw, self.columns) };
        let runs = offsets.chunks_exact(run).zip(weight.chunks_exact(CO * run));
        // Loops, not closures: where the compiler does not inline these, they lack the instruction set of the kernel.
        let step = self.walk.stride[1] * IMAGES;
        if step == IMAGES {
            let x = &x[self.first * S::LANES..];
            for (offsets, weight) in runs {
                let weight = &weight[CO * columns.start..CO * columns.end];
                add_taps(s, &offsets[columns.clone()], weight, x, &mut sums);
            }
        } else {
            let mut places = [0; V];
            for (v, place) in places.iter_mut().enumerate() {
                let lane = (self.first + v) * S::LANES;
                *place = lane / IMAGES * step + lane % IMAGES;
            }
            for (offsets, weight) in runs {
                let weight = &weight[CO * columns.start..CO * columns.end];
                add_taps_at(s, &offsets[columns.clone()], weight, x, &places, &mut sums);
            }
        }
        for (co, sums) in sums.iter().enumerate() {
            let y = &mut y[co * plane..][..V * S::LANES];
            for (v, &sum) in sums.iter().enumerate() {
                s.store(sum, &mut y[v * S::LANES..]);
            }
        }
    }
}

/// Adds the products of some taps with vectors that follow each other.
#[inline(always)]
fn add_taps<S: Simd, const CO: usize, const V: usize>(
    s: S,
    offsets: &[usize],
    weight: &[f32],
    x: &[f32],
    sums: &mut [[S::V; V]; CO],
) {
    for (&offset, weight) in offsets.iter().zip(weight.as_chunks::<CO>().0) {
        let x = &x[offset..][..V * S::LANES];
        let mut pixels = [s.splat(0.0); V];
        for (v, pixels) in pixels.iter_mut().enumerate() {
            *pixels = s.load(&x[v * S::LANES..]);
        }
        for (sums, &weight) in sums.iter_mut().zip(weight) {
            let weight = s.splat(weight);
            for (sum, &pixels) in sums.iter_mut().zip(&pixels) {
                *sum = s.mul_add(weight, pixels, *sum);
            }
        }
    }
}

/// Adds the products of some taps with vectors at these places.
#[inline(always)]
fn add_taps_at<S: Simd, const CO: usize, const V: usize>(
    s: S,
    offsets: &[usize],
    weight: &[f32],
    x: &[f32],
    places: &[usize; V],
    sums: &mut [[S::V; V]; CO],
) {
    for (&offset, weight) in offsets.iter().zip(weight.as_chunks::<CO>().0) {
        let x = &x[offset..][..places[V - 1] + S::LANES];
        let mut pixels = [s.splat(0.0); V];
        for (pixels, &place) in pixels.iter_mut().zip(places) {
            *pixels = s.load(&x[place..]);
        }
        for (sums, &weight) in sums.iter_mut().zip(weight) {
            let weight = s.splat(weight);
            for (sum, &pixels) in sums.iter_mut().zip(&pixels) {
                *sum = s.mul_add(weight, pixels, *sum);
            }
        }
    }
}

cnn_tensor::kernel! {
    /// Adds up the 16 lanes of each sum.
    pub(super) fn add_lanes<S>(s, sums: &[f32], out: &mut [f32]) {
        for (sums, out) in sums.chunks_exact(IMAGES).zip(out) {
            let mut sum = s.load(sums);
            for more in sums[S::LANES..].chunks_exact(S::LANES) {
                sum = s.add(sum, s.load(more));
            }
            *out = s.sum(sum);
        }
    }
}

cnn_tensor::kernel! {
    /// `sums[co][tap][image] += sum over pixels of dy[co][pixel][image] * x[tap's pixel][image]`.
    pub(super) fn gradient_block<S>(
        s, walk: &Walk, offsets: &[usize], x: &[f32], dy_planes: &Planes, dy: &[f32], sums: &mut [f32],
    ) {
        let row_bytes = TILE_CHANNELS[0] * walk.y.w * IMAGES * size_of::<f32>();
        let band = (BAND_BYTES / row_bytes.max(1)).max(1);
        for group in 0..walk.groups {
            let x = &x[walk.x.at(group * walk.c_in, 0, 0) - walk.x.at(0, 0, 0)..];
            for first_row in (0..walk.y.h).step_by(band) {
                let rows = first_row..walk.y.h.min(first_row + band);
                for (first, count) in tiles(walk.c_out) {
                    let co = group * walk.c_out + first;
                    let sums = &mut sums[co * offsets.len() * IMAGES..];
                    let dy = &dy[dy_planes.at(co, 0, 0)..];
                    match count {
                        6 => gradient_tile::<S, 6>(s, walk, offsets, rows.clone(), x, dy_planes, dy, sums),
                        4 => gradient_tile::<S, 4>(s, walk, offsets, rows.clone(), x, dy_planes, dy, sums),
                        2 => gradient_tile::<S, 2>(s, walk, offsets, rows.clone(), x, dy_planes, dy, sums),
                        _ => gradient_tile::<S, 1>(s, walk, offsets, rows.clone(), x, dy_planes, dy, sums),
                    }
                }
            }
        }
    }
}

/// `CO` output channels, all taps, over the pixels of some rows.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn gradient_tile<S: Simd, const CO: usize>(
    s: S,
    walk: &Walk,
    offsets: &[usize],
    rows: Range<usize>,
    x: &[f32],
    dy_planes: &Planes,
    dy: &[f32],
    sums: &mut [f32],
) {
    let mut tap = 0;
    while tap < offsets.len() {
        let left = offsets.len() - tap;
        let offsets = &offsets[tap..];
        for lane in (0..IMAGES).step_by(S::LANES) {
            let sums = &mut sums[tap * IMAGES + lane..];
            let (x, dy, rows) = (&x[lane..], &dy[lane..], rows.clone());
            if S::REGISTERS >= 32 && left >= 4 {
                gradient_register_tile::<S, CO, 4>(
                    s,
                    walk,
                    offsets,
                    rows,
                    x,
                    dy_planes,
                    dy,
                    sums,
                    left + tap,
                );
            } else if left >= 2 {
                gradient_register_tile::<S, CO, 2>(
                    s,
                    walk,
                    offsets,
                    rows,
                    x,
                    dy_planes,
                    dy,
                    sums,
                    left + tap,
                );
            } else {
                gradient_register_tile::<S, CO, 1>(
                    s,
                    walk,
                    offsets,
                    rows,
                    x,
                    dy_planes,
                    dy,
                    sums,
                    left + tap,
                );
            }
        }
        tap += if S::REGISTERS >= 32 && left >= 4 { 4 } else { left.min(2) };
    }
}

/// `CO` output channels times `T` taps, summed over the pixels of some rows in registers.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn gradient_register_tile<S: Simd, const CO: usize, const T: usize>(
    s: S,
    walk: &Walk,
    offsets: &[usize],
    rows: Range<usize>,
    x: &[f32],
    dy_planes: &Planes,
    dy: &[f32],
    sums: &mut [f32],
    taps: usize,
) {
    let mut registers = [[s.splat(0.0); T]; CO];
    for (co, registers) in registers.iter_mut().enumerate() {
        for (t, register) in registers.iter_mut().enumerate() {
            *register = s.load(&sums[(co * taps + t) * IMAGES..]);
        }
    }
    let dy_row = dy_planes.padded_w() * IMAGES;
    let plane = dy_planes.padded_h() * dy_row;
    let (row_step, step) = (walk.stride[0] * walk.x.padded_w() * IMAGES, walk.stride[1] * IMAGES);
    let columns = walk.y.w;
    for row in rows {
        let x = &x[row * row_step..];
        let dy = &dy[row * dy_row..];
        for column in 0..columns {
            let mut pixels = [s.splat(0.0); T];
            for (pixel, &offset) in pixels.iter_mut().zip(offsets) {
                *pixel = s.load(&x[offset + column * step..]);
            }
            for (co, registers) in registers.iter_mut().enumerate() {
                let dy = s.load(&dy[co * plane + column * IMAGES..]);
                for (register, &pixel) in registers.iter_mut().zip(&pixels) {
                    *register = s.mul_add(dy, pixel, *register);
                }
            }
        }
    }
    for (co, registers) in registers.iter().enumerate() {
        for (t, &register) in registers.iter().enumerate() {
            s.store(register, &mut sums[(co * taps + t) * IMAGES..]);
        }
    }
}
