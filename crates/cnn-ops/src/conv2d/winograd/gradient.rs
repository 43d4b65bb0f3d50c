//! The gradient of the weight, by the transposes of the transforms of the forward pass:
//!
//! ```text
//! dw = G^T [ sum over tiles of (A dy A^T) * (B^T x B) ] G
//! ```
//!
//! For each of the 36 elements the sum over tiles is a matrix product: (c_out, tiles) x (tiles, c_in).

use super::transforms::{Bt, Five, Three, Window, both_sides};
use super::{ELEMENTS, Extents, INPUT, Planes, Tiles, enter};
use crate::work::at_a_time;
use cnn_tensor::simd::{IMAGES, Level, Simd};
use cnn_tensor::{Buffer, Factor, MatMut, Onto, Rows, parallel, product};
use std::ops::Range;

/// The most numbers of transformed tiles that are there at a time: 32 MiB, or one block of tiles.
const AT_A_TIME: usize = at_a_time(1 << 23);

/// Blocks that are there at a time, if there are so many.
const FEWEST_BLOCKS: usize = 4;

/// `dweight += ` the gradient.
pub(in crate::conv2d) fn weight_gradient(e: &Extents, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
    if e.is_constant() {
        return;
    }
    let (level, tiles) = (Level::current(), Tiles::new(e));
    let rows_per_block = tiles.rows_per_block();
    let block = rows_per_block * tiles.cols;
    let (x_block, dy_block) = (ELEMENTS * block * e.c_in, ELEMENTS * block * e.c_out);
    let all = e.n * tiles.rows;
    // As many tiles as make their numbers twice the sums that they are added to, since both then go through the caches about
    // as often; but blocks for a few threads.
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
        let matrix = |data, element, channels| Transformed {
            data,
            element,
            channels,
            block,
            tiles: rows.len() * tiles.cols,
        };
        let (of_x, of_dy) = (of_x.as_slice(), of_dy.as_slice());
        parallel::for_each_chunk(sums.as_mut_slice(), e.c_out * e.c_in, |element, sum| {
            let (x, dy) = (matrix(of_x, element, e.c_in), matrix(of_dy, element, e.c_out));
            let sum = MatMut::new(sum, e.c_out, e.c_in);
            product(Factor::new(&dy).t(), Factor::new(&x), Onto::Scaled(1.0), sum); // (c_out, tiles) x (tiles, c_in)
        });
    }
    let sums = sums.as_slice();
    parallel::for_each_chunk(dweight, IMAGES * e.taps(), |i, dweight| {
        add_weight_gradient(level, e, sums, i * IMAGES * e.c_in, dweight);
    });
}

/// One element of all tiles: `(tiles, channels)`. Blocks of tiles follow each other, each `[element][tile][channel]`.
struct Transformed<'a> {
    data: &'a [f32],
    element: usize,
    channels: usize,
    /// Tiles to a block.
    block: usize,
    tiles: usize,
}

impl Rows for Transformed<'_> {
    fn extents(&self) -> [usize; 2] {
        [self.tiles, self.channels]
    }

    fn row<'a>(&'a self, tile: usize, channels: Range<usize>, _: &'a mut [f32]) -> &'a [f32] {
        let in_block = (tile / self.block * ELEMENTS + self.element) * self.block + tile % self.block;
        &self.data[in_block * self.channels..][channels]
    }
}

cnn_tensor::kernel! {
    /// Transforms some rows of tiles, counted over the batch, of `x` and of `dy`.
    fn transform<S>(
        s, e: &Extents, x: &[f32], dy: &[f32], rows: &Range<usize>, of_x: &mut [f32], of_dy: &mut [f32],
    ) {
        match e.options.kernel {
            [3, 3] => transform_by::<S, Three>(s, e, x, dy, rows, of_x, of_dy),
            _ => transform_by::<S, Five>(s, e, x, dy, rows, of_x, of_dy),
        }
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
    let mut x_lanes = Buffer::scratch(INPUT * (W::OUTPUT * tiles.cols + W::SIZE - 1) * IMAGES);
    let mut dy_lanes = Buffer::scratch(W::OUTPUT * W::OUTPUT * tiles.cols * IMAGES);
    for (i, row) in rows.clone().enumerate() {
        let (image, tile_row, first) = (row / tiles.rows, row % tiles.rows, i * tiles.cols);
        let (x, x_width) = (Planes::of_x::<W>(e, x, image), x_lanes.len() / INPUT);
        for channel in (0..e.c_in).step_by(IMAGES) {
            enter(s, &x, channel, tile_row, x_lanes.as_mut_slice());
            for (tile, lane) in places::<S>(tiles) {
                let pixels = &x_lanes.as_slice()[tile * W::OUTPUT * IMAGES + lane..];
                let to = (first + tile) * e.c_in + channel + lane;
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
        match e.options.kernel {
            [3, 3] => add_weight_gradient_by::<S, Three>(s, sums, first, dweight),
            _ => add_weight_gradient_by::<S, Five>(s, sums, first, dweight),
        }
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
