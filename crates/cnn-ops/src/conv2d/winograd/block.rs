//! A block of tiles: the pixels it sees are transformed, multiplied by the weight, and transformed back.

use super::pixels::{Planes, enter, leave};
use super::tiles::Tiles;
use super::transforms::{Bt, Five, Three, Window, both_sides};
use super::{CHANNELS, ELEMENTS, IMAGES, INPUT, PAD};
use crate::conv2d::Extents;
use cnn_tensor::packed::{TERMS, multiply, strips};
use cnn_tensor::simd::Simd;
use cnn_tensor::{Buffer, MatMut};
use std::ops::Range;

cnn_tensor::kernel! {
    /// Some images, block of tiles after block of tiles.
    pub(super) fn convolve<S>(s, e: &Extents, x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
        by_window!(e, convolve_by::<S>(s, e, x, weight, bias, y))
    }
}

#[inline(always)]
fn convolve_by<S: Simd, W: Window>(
    s: S,
    e: &Extents,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    y: &mut [f32],
) {
    let tiles = Tiles::new(e);
    let mut inputs = Buffer::scratch(tiles.inputs_per_block(e.c_in));
    let mut room = Room::new(e, tiles);
    for block in tiles.blocks(y.len() / e.y_image() * tiles.rows) {
        transform_block::<S, W>(s, e, x, block.clone(), room.rows.as_mut_slice(), inputs.as_mut_slice());
        for first_channel in (0..e.c_out).step_by(CHANNELS) {
            let channels = CHANNELS.min(e.c_out - first_channel);
            let weight = &weight[ELEMENTS * e.c_in * first_channel..][..ELEMENTS * e.c_in * channels];
            let (bias, y) = (&bias[first_channel..][..channels], &mut y[first_channel * e.y_plane()..]);
            multiply_block::<S, W>(s, e, inputs.as_slice(), weight, bias, block.clone(), &mut room, y);
        }
    }
}

cnn_tensor::kernel! {
    /// [`transform_block`].
    pub(super) fn transform<S>(s, e: &Extents, x: &[f32], block: Range<usize>, inputs: &mut [f32]) {
        let mut rows = Tiles::new(e).room_for_rows();
        by_window!(e, transform_block::<S>(s, e, x, block, rows.as_mut_slice(), inputs))
    }
}

cnn_tensor::kernel! {
    /// Some output channels of one image, given all its blocks and their weight.
    pub(super) fn convolve_channels<S>(s, e: &Extents, inputs: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
        by_window!(e, convolve_channels_by::<S>(s, e, inputs, weight, bias, y))
    }
}

#[inline(always)]
fn convolve_channels_by<S: Simd, W: Window>(
    s: S,
    e: &Extents,
    inputs: &[f32],
    weight: &[f32],
    bias: &[f32],
    y: &mut [f32],
) {
    let tiles = Tiles::new(e);
    let bias = &bias[..y.len() / e.y_plane()];
    let mut room = Room::new(e, tiles);
    for (inputs, block) in inputs.chunks_exact(tiles.inputs_per_block(e.c_in)).zip(tiles.blocks(tiles.rows)) {
        multiply_block::<S, W>(s, e, inputs, weight, bias, block, &mut room, y);
    }
}

/// Memory that a thread writes between one step and the next.
struct Room {
    /// [`Tiles::room_for_rows`].
    rows: Buffer<f32>,
    /// `[element]`, and in each `(tiles, channels)`.
    products: Buffer<f32>,
}

impl Room {
    fn new(e: &Extents, tiles: Tiles) -> Self {
        Self {
            rows: tiles.room_for_rows(),
            products: Buffer::scratch(ELEMENTS * tiles.rows_per_block() * tiles.cols * CHANNELS.min(e.c_out)),
        }
    }
}

/// Transforms what a block of tiles sees, rows of them counted over the images `x`: element after element, each the left
/// factor `(tiles, c_in)` of a product.
#[inline(always)]
fn transform_block<S: Simd, W: Window>(
    s: S,
    e: &Extents,
    x: &[f32],
    block: Range<usize>,
    rows: &mut [f32],
    inputs: &mut [f32],
) {
    let tiles = Tiles::new(e);
    let count = block.len() * tiles.cols;
    for (i, row) in block.enumerate() {
        let x = Planes::of_x::<W>(e, x, row / tiles.rows);
        for channel in (0..e.c_in).step_by(IMAGES) {
            enter(s, &x, channel, row % tiles.rows, rows);
            scatter::<S, W>(s, rows, [i * tiles.cols, tiles.cols, count], channel, e.c_in, inputs);
        }
    }
}

/// Multiplies what [`transform_block`] made by the weight of some output channels, and transforms the products back, to
/// those channels of the images `y`.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the operands of a convolution and where it is cut")]
fn multiply_block<S: Simd, W: Window>(
    s: S,
    e: &Extents,
    inputs: &[f32],
    weight: &[f32],
    bias: &[f32],
    block: Range<usize>,
    room: &mut Room,
    y: &mut [f32],
) {
    let (tiles, channels) = (Tiles::new(e), bias.len());
    let count = block.len() * tiles.cols;
    let products = &mut room.products.as_mut_slice()[..ELEMENTS * count * channels];
    let factors = inputs.chunks_exact(count * e.c_in + PAD).zip(weight.chunks_exact(e.c_in * channels));
    for ((left, right), c) in factors.zip(products.chunks_exact_mut(count * channels)) {
        multiply(s, left, right, e.c_in, MatMut::new(c, count, channels)); // (tiles, c_in) x (c_in, c_out)
    }
    let rows = room.rows.as_mut_slice();
    for (i, row) in block.enumerate() {
        let y = &mut y[row / tiles.rows * e.y_image()..];
        for lane in (0..channels).step_by(IMAGES) {
            let places = [i * tiles.cols, tiles.cols];
            collect::<S, W>(s, products, places, [lane, channels], &bias[lane..][..IMAGES], rows);
            leave::<S, W>(s, e, rows, lane, row % tiles.rows, y);
        }
    }
}

/// Transforms a row of tiles of 16 channels, and writes it where the products read it: tiles from `first` on of `all`.
#[inline(always)]
fn scatter<S: Simd, W: Window>(
    s: S,
    rows: &[f32],
    [first, count, all]: [usize; 3],
    channel: usize,
    c_in: usize,
    inputs: &mut [f32],
) {
    let width = rows.len() / INPUT;
    for (strip, height) in strips::<S>(all) {
        for tile in strip.max(first)..(strip + height).min(first + count) {
            let at = strip * c_in + (channel / TERMS * height + tile - strip) * TERMS;
            for lane in (0..IMAGES).step_by(S::LANES) {
                let pixels = &rows[(tile - first) * W::OUTPUT * IMAGES + lane..];
                let pixel = |i: usize, j: usize| s.load(&pixels[i * width + j * IMAGES..]);
                both_sides::<S, Bt>(s, pixel, |i, j, v| {
                    s.store(v, &mut inputs[(i * INPUT + j) * (all * c_in + PAD) + at + lane..]);
                });
            }
        }
    }
}

/// Transforms 16 channels of a row of tiles back, and adds the bias.
#[inline(always)]
fn collect<S: Simd, W: Window>(
    s: S,
    products: &[f32],
    [first, count]: [usize; 2],
    [channel, channels]: [usize; 2],
    bias: &[f32],
    rows: &mut [f32],
) {
    let (each, width) = (products.len() / ELEMENTS, count * W::OUTPUT * IMAGES);
    for tile in 0..count {
        for lane in (0..IMAGES).step_by(S::LANES) {
            let bias = s.load(&bias[lane..]);
            let products = &products[(first + tile) * channels + channel + lane..];
            let rows = &mut rows[tile * W::OUTPUT * IMAGES + lane..];
            let sum = |i: usize, j: usize| s.load(&products[(i * INPUT + j) * each..]);
            both_sides::<S, W::At>(s, sum, |i, j, v| {
                s.store(s.add(v, bias), &mut rows[i * width + j * IMAGES..]);
            });
        }
    }
}
