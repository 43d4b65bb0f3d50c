//! The gradient of the weight, by the transposes of the transforms of the forward pass:
//!
//! ```text
//! dw = G^T [ sum over tiles of (A dy A^T) * (B^T x B) ] G
//! ```
//!
//! For each of the 36 elements the sum over tiles is a matrix product: (c_out, tiles) x (tiles, c_in). The transforms write
//! its right factor in the order in which the tiles of the product read it; the left one is read where it lies.

use super::pixels::{Planes, enter};
use super::tiles::Tiles;
use super::transforms::{Bt, Five, Three, Window, both_sides};
use super::{ELEMENTS, Extents, INPUT, PAD};
use crate::shared::work::at_a_time;
use cnn_tensor::packed::{multiply_add_transposed, panel};
use cnn_tensor::simd::{IMAGES, Level, Simd};
use cnn_tensor::{Buffer, MatMut, parallel};
use std::ops::Range;

/// The most numbers of transformed tiles that are there at a time: 32 MiB, or one block of tiles.
const AT_A_TIME: usize = at_a_time(1 << 23);

/// Tiles of a block: terms that are summed before the sums are added to those of the block before.
const TILES: usize = if cfg!(test) { 11 } else { 64 };

/// The fewest blocks at a time, if there are as many.
const FEWEST_BLOCKS: usize = 4;

/// `dweight += ` the gradient.
pub(in crate::conv2d) fn weight_gradient(e: &Extents, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
    if e.is_constant() {
        return;
    }
    let (level, tiles) = (Level::current(), Tiles::new(e));
    let rows_per_block = (TILES / tiles.cols).max(1);
    let block = rows_per_block * tiles.cols;
    let (x_block, dy_block) = (ELEMENTS * (block * e.c_in + PAD), ELEMENTS * (block * e.c_out + PAD));
    let all = e.n * tiles.rows;
    // As many tiles as make their numbers twice the sums that they are added to, since both then go through the caches about
    // as often; but blocks for a few threads. More would have to be fetched from further away.
    let enough = (2 * e.c_in * e.c_out / (e.c_in + e.c_out)).div_ceil(block).max(FEWEST_BLOCKS);
    let blocks = enough.min(AT_A_TIME / (x_block + dy_block)).clamp(1, all.div_ceil(rows_per_block));
    let (mut of_x, mut of_dy) = (Buffer::scratch(blocks * x_block), Buffer::scratch(blocks * dy_block));
    let mut sums = Buffer::zeroed(ELEMENTS * e.c_out * e.c_in);
    for first in (0..all).step_by(blocks * rows_per_block) {
        let rows = first..all.min(first + blocks * rows_per_block);
        let count = rows.len().div_ceil(rows_per_block);
        parallel::for_each_chunk_pair(
            (&mut of_x.as_mut_slice()[..count * x_block], x_block),
            (&mut of_dy.as_mut_slice()[..count * dy_block], dy_block),
            |i, of_x, of_dy| {
                let start = rows.start + i * rows_per_block;
                let rows = start..rows.end.min(start + rows_per_block);
                transform(level, e, x, dy, &rows, of_x, of_dy);
            },
        );
        let (of_x, of_dy) = (of_x.as_slice(), of_dy.as_slice());
        parallel::for_each_chunk(sums.as_mut_slice(), e.c_out * e.c_in, |element, sum| {
            for (i, start) in rows.clone().step_by(rows_per_block).enumerate() {
                let count = rows_per_block.min(rows.end - start) * tiles.cols;
                let x = &of_x[i * x_block + element * (block * e.c_in + PAD)..][..count * e.c_in];
                let dy = &of_dy[i * dy_block + element * (block * e.c_out + PAD)..][..count * e.c_out];
                add_product(level, dy, x, count, sum, e.c_in); // (c_out, tiles) x (tiles, c_in)
            }
        });
    }
    let sums = sums.as_slice();
    parallel::for_each_chunk(dweight, IMAGES * e.taps(), |i, dweight| {
        add_weight_gradient(level, e, sums, i * IMAGES * e.c_in, dweight);
    });
}

cnn_tensor::kernel! {
    /// `sum += dy^T x` of one element.
    fn add_product<S>(s, dy: &[f32], x: &[f32], tiles: usize, sum: &mut [f32], c_in: usize) {
        let c_out = sum.len() / c_in;
        multiply_add_transposed(s, dy, x, tiles, MatMut::new(sum, c_out, c_in));
    }
}

cnn_tensor::kernel! {
    /// Transforms some rows of tiles, counted over the batch: of `x` to `[element]`, and in each a packed right factor
    /// `(tiles, c_in)`, of `dy` to `[element][tile][c_out]`.
    fn transform<S>(
        s, e: &Extents, x: &[f32], dy: &[f32], rows: &Range<usize>, of_x: &mut [f32], of_dy: &mut [f32],
    ) {
        by_window!(e, transform_by::<S>(s, e, x, dy, rows, of_x, of_dy))
    }
}

#[inline(always)]
fn transform_by<S: Simd, W: Window>(
    s: S,
    e: &Extents,
    x: &[f32],
    dy: &[f32],
    rows: &Range<usize>,
    of_x: &mut [f32],
    of_dy: &mut [f32],
) {
    let tiles = Tiles::new(e);
    let mut x_lanes = tiles.room_for_rows();
    let mut dy_lanes = Buffer::scratch(W::OUTPUT * W::OUTPUT * tiles.cols * IMAGES);
    let all = rows.len() * tiles.cols;
    for (i, row) in rows.clone().enumerate() {
        let (image, tile_row, first) = (row / tiles.rows, row % tiles.rows, i * tiles.cols);
        let (x, x_width) = (Planes::of_x::<W>(e, x, image), x_lanes.len() / INPUT);
        for channel in (0..e.c_in).step_by(IMAGES) {
            enter(s, &x, channel, tile_row, x_lanes.as_mut_slice());
            for (tile, lane) in places::<S>(tiles) {
                let pixels = &x_lanes.as_slice()[tile * W::OUTPUT * IMAGES + lane..];
                let (panel_start, inside) =
                    ((channel + lane) / panel::<S>() * panel::<S>(), (channel + lane) % panel::<S>());
                let width = panel::<S>().min(e.c_in - panel_start);
                let to = panel_start * all + (first + tile) * width + inside;
                let element = of_x.len() / ELEMENTS;
                let pixel = |i: usize, j: usize| s.load(&pixels[i * x_width + j * IMAGES..]);
                both_sides::<S, Bt>(s, pixel, |i, j, v| {
                    s.store(v, &mut of_x[(i * INPUT + j) * element + to..])
                });
            }
        }
        let (dy, dy_width) = (Planes::of_dy::<W>(e, dy, image), dy_lanes.len() / W::OUTPUT);
        for channel in (0..e.c_out).step_by(IMAGES) {
            enter(s, &dy, channel, tile_row, dy_lanes.as_mut_slice());
            for (tile, lane) in places::<S>(tiles) {
                let numbers = &dy_lanes.as_slice()[tile * W::OUTPUT * IMAGES + lane..];
                let to = (first + tile) * e.c_out + channel + lane;
                let element = of_dy.len() / ELEMENTS;
                let number = |i: usize, j: usize| s.load(&numbers[i * dy_width + j * IMAGES..]);
                both_sides::<S, W::A>(s, number, |i, j, v| {
                    s.store(v, &mut of_dy[(i * INPUT + j) * element + to..])
                });
            }
        }
    }
}

/// Every tile of a row, with the first lane of each vector of 16 channels.
#[inline(always)]
fn places<S: Simd>(tiles: Tiles) -> impl Iterator<Item = (usize, usize)> {
    (0..tiles.cols).flat_map(|tile| (0..IMAGES).step_by(S::LANES).map(move |lane| (tile, lane)))
}

cnn_tensor::kernel! {
    /// Transforms the sums of products of some output channels, from `first` on in each element, and adds them.
    fn add_weight_gradient<S>(s, e: &Extents, sums: &[f32], first: usize, dweight: &mut [f32]) {
        by_window!(e, add_weight_gradient_by::<S>(s, sums, first, dweight))
    }
}

#[inline(always)]
fn add_weight_gradient_by<S: Simd, W: Window>(s: S, sums: &[f32], first: usize, dweight: &mut [f32]) {
    let (each, window) = (sums.len() / ELEMENTS, W::SIZE * W::SIZE);
    let mut lanes = [0.0; INPUT * INPUT * IMAGES];
    for (i, windows) in dweight.chunks_exact_mut(window * S::LANES).enumerate() {
        let sums = &sums[first + i * S::LANES..];
        let sum = |i: usize, j: usize| s.load(&sums[(i * INPUT + j) * each..]);
        both_sides::<S, W::Gt>(s, sum, |i, j, v| s.store(v, &mut lanes[(i * W::SIZE + j) * S::LANES..]));
        for (lane, window) in windows.chunks_exact_mut(window).enumerate() {
            for (i, slot) in window.iter_mut().enumerate() {
                *slot += lanes[i * S::LANES + lane];
            }
        }
    }
}
