//! Convolution by 3 x 3 and 5 x 5 kernels with fewer multiplications: Winograd's F(4 x 4, 3 x 3) and F(2 x 2, 5 x 5).
//!
//! The output is cut into tiles of 4 x 4, or 2 x 2, each of which sees 6 x 6 pixels. With fixed matrices `A`, `B` and `G`,
//! which are those of polynomials interpolated at 0, 1, -1, 2, -2 and infinity,
//!
//! ```text
//! y = A^T [ sum over ci of (G w G^T) * (B^T x B) ] A        * is by elements
//! ```
//!
//! takes 36 multiplications for an input channel instead of 144, or 100. For each of the 36 elements the sum over
//! channels is a matrix product: (tiles, c_in) x (c_in, c_out). Where there are many channels, these products outweigh the
//! transforms. The gradient of the input is the same with every window of the weight turned round.
//!
//! Vectors hold channels: 16 of them come into the lanes by a transpose, all transforms are plain sums of vectors, and
//! they write in the order in which the products read. A block of tiles goes through all of it before the next one does.
//!
//! **Error.** The transforms add numbers up to a hundred times as large as the result, so rounding errors are larger than
//! those of the other algorithms, by one decimal digit or one and a half (docs/numerics.md has them). `CNN_WINOGRAD=off` in
//! the environment of a process turns it off.
//!
//! | file         | concern                                                  |
//! |--------------|----------------------------------------------------------|
//! | `choice`     | where the algorithm is possible, and where it is chosen  |
//! | `tiles`      | how output planes are cut into tiles and blocks of tiles |
//! | `transforms` | the matrices                                             |
//! | `pixels`     | channels into the lanes, and back                        |
//! | `weight`     | the weight, transformed                                  |
//! | `block`      | a block of tiles: transforms, products, and back         |
//! | `gradient`   | the gradient of the weight                               |
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

mod block;
mod choice;
mod gradient;
mod pixels;
mod tiles;
mod transforms;
mod weight;

pub use choice::check_environment;
pub(super) use choice::{is_possible, saves_a_third, suits};

use super::Extents;
use super::algorithm::Separate;
use super::im2col::flipped;
use crate::shared::bias;
use block::{convolve, convolve_channels, transform};
use cnn_tensor::simd::{IMAGES, Level};
use cnn_tensor::{Buffer, Recycled, parallel};
pub(super) use gradient::weight_gradient;
use std::ops::Range;
use tiles::{PIECES, Tiles};
use transforms::INPUT;
use weight::pack_weight;

/// Elements of a transformed tile.
const ELEMENTS: usize = INPUT * INPUT;

/// Numbers between one element's tiles and the next one's, so that the 36 that a tile is written to do not all fall into the
/// same set of a cache.
const PAD: usize = 80;

/// Output channels that are multiplied at a time, whole panels at every level.
const CHANNELS: usize = 48;

/// The algorithm of this file.
#[derive(Debug)]
pub(super) struct Winograd;

impl Separate for Winograd {
    fn is_possible(&self, e: &Extents) -> bool {
        is_possible(e)
    }

    fn suits(&self, e: &Extents) -> bool {
        suits(e)
    }

    fn forward(&self, e: &Extents, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        forward(e, x, weight, bias, y);
    }

    fn weight_gradient(&self, e: &Extents, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
        weight_gradient(e, x, dy, dweight);
    }

    fn input_gradient(&self, e: &Extents, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        input_gradient(e, weight, dy, dx);
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

/// [`forward`] of one image, whose output channels the threads share: the transformed weight of some channels stays in the
/// caches until it is multiplied, once.
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
