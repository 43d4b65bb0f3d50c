//! Convolution by 3 x 3 and 5 x 5 kernels with fewer multiplications: Winograd's F(4 x 4, 3 x 3) and F(2 x 2, 5 x 5).
//!
//! The output is cut into tiles of 4 x 4, or 2 x 2, each of which sees 6 x 6 pixels. With fixed matrices `A`, `B` and `G`, which are
//! those of polynomials interpolated at 0, 1, -1, 2, -2 and infinity,
//!
//! ```text
//! y = A^T [ sum over ci of (G w G^T) * (B^T x B) ] A        * is by elements
//! ```
//!
//! takes 36 multiplications for an input channel instead of 144, or 100. For each of the 36 elements the sum over
//! channels is a matrix product: (tiles, c_in) x (c_in, c_out). Transforming pays where that is large beside it, so where
//! there are many channels. The gradient of the input is the same with every window of the weight turned round.
//!
//! Channels are the vectors: 16 of them come into the lanes by a transpose, all transforms are plain sums of vectors, and
//! what they write is what the products read. A block of tiles goes through all of it before the next one does.
//!
//! **Error.** The transforms add numbers up to a hundred times as large as the result, so rounding errors are larger than
//! those of the other algorithms, by one decimal digit or one and a half (docs/numerics.md has them). `CNN_WINOGRAD=off` in the environment of a
//! process turns it off.
//!
//! Source: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, sections 4.1 and 4.3; S.
//! Winograd, "Arithmetic Complexity of Computations" (1980).

/// Calls a function for the windows of a convolution, 3 x 3 or 5 x 5.
macro_rules! by_window {
    ($e:expr, $f:ident::<$s:ident>($($argument:expr),*)) => {
        match $e.options.kernel {
            [3, 3] => $f::<$s, Three>($($argument),*),
            _ => $f::<$s, Five>($($argument),*),
        }
    };
}

mod gradient;
mod transforms;

pub(super) use gradient::weight_gradient;

use super::Extents;
use super::algorithm::Algorithm;
use super::im2col::flipped;
use crate::bias;
use cnn_tensor::packed::{TERMS, multiply, panel, strips};
use cnn_tensor::simd::{IMAGES, Level, Simd};
use cnn_tensor::{Buffer, MatMut, Recycled, Tensor, parallel};
use std::ops::Range;
use std::sync::OnceLock;
use transforms::{Bt, Five, INPUT, Three, Window, both_sides};

/// Elements of a transformed tile.
const ELEMENTS: usize = INPUT * INPUT;

/// Tiles of a block: what is made of them stays in the caches between one step and the next.
const TILES: usize = if cfg!(test) { 11 } else { 48 };

/// Numbers between one element's tiles and the next one's, so that the 36 that a tile is written to do not all fall into the
/// same set of a cache.
const PAD: usize = 80;

/// Output channels that are multiplied at a time, whole panels at every level.
const CHANNELS: usize = 48;

/// Pieces of work that are enough for a few threads.
const PIECES: usize = 4;

/// The algorithm of this file.
#[derive(Debug)]
pub(super) struct Winograd;

impl Algorithm for Winograd {
    fn is_possible(&self, e: &Extents) -> bool {
        is_possible(e)
    }

    fn suits(&self, e: &Extents) -> bool {
        suits(e)
    }

    fn forward(
        &self,
        e: &Extents,
        x: &Tensor,
        weight: &[f32],
        bias: Option<&[f32]>,
        y: &mut [f32],
    ) -> Tensor {
        forward(e, x.data(), weight, bias, y);
        x.clone()
    }

    fn backward(
        &self,
        e: &Extents,
        x: &Tensor,
        weight: &[f32],
        dy: &[f32],
        dweight: Option<&mut [f32]>,
        dx: Option<&mut [f32]>,
    ) {
        if let Some(dweight) = dweight {
            weight_gradient(e, x.data(), dy, dweight);
        }
        if let Some(dx) = dx {
            input_gradient(e, weight, dy, dx);
        }
    }
}

/// Whether this algorithm is the faster one, and wanted.
pub(super) fn suits(e: &Extents) -> bool {
    /// Below it, transforms cost more than they save.
    const FEWEST_CHANNELS: usize = 32;
    /// Of one image: below it, transforming the weight costs more.
    const FEWEST_TILES: usize = 16;
    static OFF: OnceLock<bool> = OnceLock::new();
    let off = *OFF.get_or_init(|| std::env::var("CNN_WINOGRAD").is_ok_and(|value| value == "off"));
    if off || !is_possible(e) || e.c_in.min(e.c_out) < FEWEST_CHANNELS {
        return false;
    }
    saves_a_third(e, e.taps()) && (e.n >= PIECES || Tiles::new(e).per_image() >= FEWEST_TILES)
}

/// Whether a third of the multiplications of a sum over `taps` is saved. Tiles that reach beyond the plane are computed in
/// vain.
pub(super) fn saves_a_third(e: &Extents, taps: usize) -> bool {
    let tiles = 3 * ELEMENTS * Tiles::new(e).per_image();
    taps.saturating_mul(2 * e.y_plane()) >= tiles.saturating_mul(e.c_in)
}

/// Whether this algorithm can compute both the output and the gradient of the input.
pub(super) fn is_possible(e: &Extents) -> bool {
    let o = e.options;
    let whole_lanes = e.c_in.is_multiple_of(IMAGES) && e.c_out.is_multiple_of(IMAGES);
    let plain = o.stride == [1, 1] && o.dilation == [1, 1] && o.groups == 1;
    let padded = e.padding.as_flattened().iter().all(|&side| side < o.kernel[0]);
    matches!(o.kernel, [3, 3] | [5, 5]) && plain && whole_lanes && padded
}

/// How output planes are cut.
#[derive(Clone, Copy)]
struct Tiles {
    rows: usize,
    cols: usize,
    /// Rows and columns of the output that a tile makes.
    output: usize,
}

impl Tiles {
    fn new(e: &Extents) -> Self {
        let output = INPUT + 1 - e.options.kernel[0];
        Self { rows: e.oh.div_ceil(output), cols: e.ow.div_ceil(output), output }
    }

    fn per_image(self) -> usize {
        self.rows * self.cols
    }

    /// Whole rows of tiles that make a block.
    fn rows_per_block(self) -> usize {
        (TILES / self.cols).max(1)
    }

    /// The blocks that `rows` rows of tiles are cut into.
    fn blocks(self, rows: usize) -> impl Iterator<Item = Range<usize>> {
        let step = self.rows_per_block();
        (0..rows).step_by(step).map(move |first| first..rows.min(first + step))
    }

    /// Numbers that [`transform_block`] makes of the largest block.
    fn inputs_per_block(self, c_in: usize) -> usize {
        ELEMENTS * (self.rows_per_block() * self.cols * c_in + PAD)
    }

    /// Room for what a row of tiles sees, or writes, of 16 channels.
    fn room_for_rows(self) -> Buffer<f32> {
        Buffer::scratch(INPUT * (self.output * (self.cols - 1) + INPUT) * IMAGES)
    }

    /// Images that a thread takes at a time: enough for a block, but not so many that threads go without.
    fn images_per_piece(self, e: &Extents) -> usize {
        TILES.div_ceil(self.per_image()).min(e.n / PIECES).max(1)
    }
}

/// Some images of a batch: as they lie, or made for the purpose.
pub(super) enum Images<'a> {
    Lying(&'a [f32]),
    Made(Buffer<f32>),
}

impl Images<'_> {
    fn pixels(&self) -> &[f32] {
        match self {
            Self::Lying(pixels) => pixels,
            Self::Made(pixels) => pixels.as_slice(),
        }
    }
}

/// `y = conv(x) + bias`.
fn forward(e: &Extents, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let image = e.x_image();
    forward_of(e, |images| Images::Lying(&x[images.start * image..images.end * image]), weight, bias, y);
}

/// [`forward`] of the images that `x` gives.
pub(super) fn forward_of<'a>(
    e: &Extents,
    x: impl Fn(Range<usize>) -> Images<'a> + Sync + Send,
    weight: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    if e.is_constant() {
        return bias::fill(bias, e.y_plane(), y);
    }
    let level = Level::current();
    let zeros = Buffer::zeroed(e.c_out);
    let bias = bias.unwrap_or(zeros.as_slice());
    if e.n < PIECES {
        for (n, y) in y.chunks_exact_mut(e.y_image()).enumerate() {
            forward_one(level, e, x(n..n + 1).pixels(), weight, bias, y);
        }
        return;
    }
    let mut transformed = Buffer::scratch(ELEMENTS * e.c_in * e.c_out);
    parallel::for_each_chunk(transformed.as_mut_slice(), ELEMENTS * e.c_in * CHANNELS, |i, transformed| {
        pack_weight(level, e, weight, i * CHANNELS, transformed);
    });
    let weight = transformed.as_slice();
    let images = Tiles::new(e).images_per_piece(e);
    parallel::for_each_chunk(y, images * e.y_image(), |i, y| {
        let first = i * images;
        let x = x(first..first + y.len() / e.y_image());
        convolve(level, e, x.pixels(), weight, bias, y);
    });
}

/// [`forward`] of one image, whose output channels the threads share: what is made of the weight of some stays in the caches
/// until it is multiplied, once.
fn forward_one(level: Level, e: &Extents, x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
    let tiles = Tiles::new(e);
    let blocks: Recycled<Range<usize>> = tiles.blocks(tiles.rows).collect();
    let each = tiles.inputs_per_block(e.c_in);
    let mut inputs = Buffer::scratch(blocks.len() * each);
    parallel::for_each_chunk(inputs.as_mut_slice(), each, |i, inputs| {
        transform(level, e, x, blocks[i].clone(), inputs);
    });
    // Evenly cut, where that is possible.
    let channels = if e.c_out.is_multiple_of(CHANNELS) { CHANNELS } else { 2 * IMAGES };
    let inputs = inputs.as_slice();
    parallel::for_each_chunk(y, channels * e.y_plane(), |i, y| {
        let count = y.len() / e.y_plane();
        let mut transformed = Buffer::scratch(ELEMENTS * e.c_in * count);
        pack_weight(level, e, weight, i * channels, transformed.as_mut_slice());
        convolve_channels(level, e, inputs, transformed.as_slice(), &bias[i * channels..], y);
    });
}

/// The gradient of `x` given `dy`.
pub(super) fn input_gradient(e: &Extents, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    let reversed = e.reversed().expect("stride 1 and little padding");
    forward(&reversed, dy, flipped(e, weight).as_slice(), None, dx);
}

cnn_tensor::kernel! {
    /// Transforms the weights of some output channels, from `first` on: `[element]`, and in each a right factor `(c_in,
    /// channels)` of a product, packed.
    fn pack_weight<S>(s, e: &Extents, weight: &[f32], first: usize, packed: &mut [f32]) {
        let count = packed.len() / (ELEMENTS * e.c_in);
        let weight = &weight[first * e.taps()..][..count * e.taps()];
        by_window!(e, pack_weight_of::<S>(s, e.c_in, weight, packed))
    }
}

#[inline(always)]
fn pack_weight_of<S: Simd, W: Window>(s: S, c_in: usize, weight: &[f32], packed: &mut [f32]) {
    let window = W::SIZE * W::SIZE;
    let taps = c_in * window;
    let count = weight.len() / taps;
    let mut lanes = Buffer::scratch(taps * S::LANES);
    for first in (0..count).step_by(S::LANES) {
        let mut rows: [&[f32]; IMAGES] = [&[]; IMAGES];
        let rows = &mut rows[..S::LANES];
        rows.iter_mut()
            .zip(weight[first * taps..].chunks_exact(taps))
            .for_each(|(row, weight)| *row = weight);
        s.transpose(rows, lanes.as_mut_slice(), S::LANES);
        let (panel_start, inside) = (first / panel::<S>() * panel::<S>(), first % panel::<S>());
        let width = panel::<S>().min(count - panel_start);
        for (ci, window) in lanes.as_slice().chunks_exact(window * S::LANES).enumerate() {
            let at = panel_start * c_in + ci * width + inside;
            let w = |i: usize, j: usize| s.load(&window[(i * W::SIZE + j) * S::LANES..]);
            both_sides::<S, W::G>(s, w, |i, j, v| {
                s.store(v, &mut packed[(i * INPUT + j) * c_in * count + at..])
            });
        }
    }
}

cnn_tensor::kernel! {
    /// Some images, block of tiles after block of tiles.
    fn convolve<S>(s, e: &Extents, x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
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
    fn transform<S>(s, e: &Extents, x: &[f32], block: Range<usize>, inputs: &mut [f32]) {
        let mut rows = Tiles::new(e).room_for_rows();
        by_window!(e, transform_block::<S>(s, e, x, block, rows.as_mut_slice(), inputs))
    }
}

cnn_tensor::kernel! {
    /// Some output channels of one image, given all its blocks and their weight.
    fn convolve_channels<S>(s, e: &Extents, inputs: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
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

/// What a thread writes between one step and the next.
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

/// Planes of pixels, of which a tile sees some rows and columns.
#[derive(Clone, Copy)]
struct Planes<'a> {
    pixels: &'a [f32],
    h: usize,
    w: usize,
    /// Zeros `[above, left]`.
    padding: [usize; 2],
    /// Rows and columns that a tile sees.
    seen: usize,
    /// Rows and columns from one tile to the next.
    step: usize,
}

impl<'a> Planes<'a> {
    /// The channels of an image of `x`.
    fn of_x<W: Window>(e: &Extents, x: &'a [f32], image: usize) -> Self {
        let pixels = &x[image * e.x_image()..][..e.x_image()];
        Self {
            pixels,
            h: e.h,
            w: e.w,
            padding: [e.padding[0][0], e.padding[1][0]],
            seen: INPUT,
            step: W::OUTPUT,
        }
    }

    /// The channels of an image of `dy`.
    fn of_dy<W: Window>(e: &Extents, dy: &'a [f32], image: usize) -> Self {
        let pixels = &dy[image * e.y_image()..][..e.y_image()];
        Self { pixels, h: e.oh, w: e.ow, padding: [0, 0], seen: W::OUTPUT, step: W::OUTPUT }
    }
}

/// Brings what a row of tiles sees of 16 channels into the lanes, with zeros outside the planes.
#[inline(always)]
fn enter<S: Simd>(s: S, planes: &Planes<'_>, channel: usize, tile_row: usize, rows: &mut [f32]) {
    let Planes { pixels, h, w, padding: [above, left], seen, step } = *planes;
    let width = rows.len() / seen;
    for (row, out) in rows.chunks_exact_mut(width).enumerate() {
        let Some(row) = (tile_row * step + row).checked_sub(above).filter(|&row| row < h) else {
            clear(s, out);
            continue;
        };
        // Beyond the last tile nobody looks.
        let count = w.min(width / IMAGES - left);
        clear(s, &mut out[..left * IMAGES]);
        clear(s, &mut out[(left + count) * IMAGES..]);
        s.images_to_lanes(&pixels[(channel * h + row) * w..], h * w, count, &mut out[left * IMAGES..]);
    }
}

/// Makes zeros of whole vectors: mostly so few that a call would cost more.
#[inline(always)]
fn clear<S: Simd>(s: S, vectors: &mut [f32]) {
    for vector in vectors.chunks_exact_mut(S::LANES) {
        s.store(s.splat(0.0), vector);
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

/// Writes a row of tiles of 16 channels to an image, but for what lies beyond its plane.
#[inline(always)]
fn leave<S: Simd, W: Window>(
    s: S,
    e: &Extents,
    rows: &[f32],
    channel: usize,
    tile_row: usize,
    y: &mut [f32],
) {
    let width = Tiles::new(e).cols * W::OUTPUT * IMAGES;
    for (row, rows) in rows.chunks_exact(width).take(W::OUTPUT).enumerate() {
        let oh = tile_row * W::OUTPUT + row;
        if oh < e.oh {
            let y = &mut y[channel * e.y_plane() + oh * e.ow..];
            s.lanes_to_images(rows, e.ow, y, e.y_plane());
        }
    }
}
