//! The three products of a small batch, with no matrix copied into another order but the batch itself.
//!
//! A GEMM packs its operands before it multiplies, which pays where each packed number is used many times. With a
//! few dozen images the weight is used too rarely for that. Here all three products have one form,
//!
//! ```text
//! C[r, :] += sum over terms t of A(r, t) * B[t, :]
//!
//!                A          B                                    C
//! forward        weight     x, 16 images in the lanes            y in the lanes
//! dx             weight^T   dy, 16 images in the lanes           dx in the lanes
//! dweight        dy^T       x as it is                           dweight
//! ```
//!
//! in which rows of B are loaded as vectors, and A is read where it lies, number by number, and broadcast.

use cnn_tensor::simd::{IMAGES, Level, Simd};
use cnn_tensor::{Buffer, parallel};

/// Whether this algorithm is the faster one: few images, and a weight that stays in the second-level cache.
pub(super) fn suits(n: usize, inputs: usize, outputs: usize) -> bool {
    const IMAGES_SUITED: std::ops::RangeInclusive<usize> = 1..=12800;
    const MOST_WEIGHTS: usize = 1 << 28;
    IMAGES_SUITED.contains(&n) && inputs.saturating_mul(outputs) <= MOST_WEIGHTS
}

/// Multiply-adds below which a piece of a product is not worth a thread of its own.
const WORTH_A_THREAD: usize = 1 << 20;

/// `y = x weight^T + bias`.
pub(super) fn forward(
    x: &[f32],
    inputs: usize,
    weight: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
    outputs: usize,
) {
    let level = Level::current();
    let blocks = WORTH_A_THREAD.div_ceil(IMAGES * weight.len().max(1));
    parallel::for_each_chunk(y, blocks * IMAGES * outputs, |piece, y| {
        for (block, y) in y.chunks_mut(IMAGES * outputs).enumerate() {
            let first = (piece * blocks + block) * IMAGES;
            let x = &x[first * inputs..][..y.len() / outputs * inputs];
            forward_block(level, x, inputs, weight, bias, y, outputs);
        }
    });
}

/// [`forward`] for at most 16 images.
fn forward_block(
    level: Level,
    x: &[f32],
    inputs: usize,
    weight: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
    outputs: usize,
) {
    let mut x_lanes = Buffer::scratch(inputs * IMAGES);
    if x.len() == IMAGES * inputs {
        enter(level, x, inputs, x_lanes.as_mut_slice());
    } else {
        let mut whole = Buffer::zeroed(IMAGES * inputs);
        whole.as_mut_slice()[..x.len()].copy_from_slice(x);
        enter(level, whole.as_slice(), inputs, x_lanes.as_mut_slice());
    }
    let mut y_lanes = Buffer::zeroed(outputs * IMAGES);
    if let Some(bias) = bias {
        let rows = y_lanes.as_mut_slice().chunks_exact_mut(IMAGES);
        rows.zip(bias).for_each(|(row, &bias)| row.fill(bias));
    }
    let weight = Factor { data: weight, row: inputs, term: 1 };
    multiply_add_rows(weight, x_lanes.as_slice(), y_lanes.as_mut_slice(), IMAGES);
    if y.len() == IMAGES * outputs {
        leave(level, y_lanes.as_slice(), outputs, y);
    } else {
        let mut whole = Buffer::scratch(IMAGES * outputs);
        leave(level, y_lanes.as_slice(), outputs, whole.as_mut_slice());
        y.copy_from_slice(&whole.as_slice()[..y.len()]);
    }
}

/// `dx = dy weight`.
pub(super) fn backward_input(dy: &[f32], outputs: usize, weight: &[f32], dx: &mut [f32], inputs: usize) {
    dx.fill(0.0);
    multiply_add_rows(Factor { data: dy, row: outputs, term: 1 }, weight, dx, inputs);
}

/// `dweight += dy^T x`.
pub(super) fn backward_weight(x: &[f32], inputs: usize, dy: &[f32], outputs: usize, dweight: &mut [f32]) {
    multiply_add_rows(Factor { data: dy, row: 1, term: outputs }, x, dweight, inputs);
}

/// [`multiply_add`], on all threads where that pays.
fn multiply_add_rows(a: Factor<'_>, b: &[f32], c: &mut [f32], columns: usize) {
    let level = Level::current();
    let rows = WORTH_A_THREAD.div_ceil(b.len().max(1)).next_multiple_of(TILE_ROWS);
    parallel::for_each_chunk(c, rows.saturating_mul(columns), |piece, c| {
        multiply_add(level, a.skip(piece * rows, 0), b, c, columns);
    });
}

cnn_tensor::kernel! {
    /// Brings 16 images of `image` numbers into the lanes.
    fn enter<S>(s, images: &[f32], image: usize, lanes: &mut [f32]) {
        s.images_to_lanes(images, image, image, lanes);
    }
}

cnn_tensor::kernel! {
    /// Brings 16 images of `image` numbers back from the lanes.
    fn leave<S>(s, lanes: &[f32], image: usize, images: &mut [f32]) {
        s.lanes_to_images(lanes, image, images, image);
    }
}

/// A matrix that is read number by number: element `(r, t)` is `data[r * row + t * term]`.
#[derive(Clone, Copy, Debug)]
struct Factor<'a> {
    data: &'a [f32],
    row: usize,
    term: usize,
}

impl Factor<'_> {
    /// Without the first `rows` rows and `terms` terms.
    #[inline(always)]
    fn skip(self, rows: usize, terms: usize) -> Self {
        let first = rows * self.row + terms * self.term;
        Self { data: &self.data[first.min(self.data.len())..], ..self }
    }
}

/// Rows in the largest register tile.
const TILE_ROWS: usize = 8;

/// Terms summed at a time, so that what a register tile reads of B stays in the first-level cache for the next one.
const TERMS: usize = 128;

cnn_tensor::kernel! {
    /// `c[r, :] += sum over t of a(r, t) * b[t, :]`, where rows of `b` and `c` are `columns` long.
    fn multiply_add<S>(s, a: Factor<'_>, b: &[f32], c: &mut [f32], columns: usize) {
        for (block, b) in b.chunks(TERMS * columns.max(1)).enumerate() {
            let a = a.skip(0, block * TERMS);
            let mut column = 0;
            while column < columns {
                let (b, c, left) = (&b[column..], &mut c[column..], columns - column);
                column += match left / S::LANES {
                    3.. => column_tile::<S, 3>(s, a, b, c, columns, 3 * S::LANES),
                    2 => column_tile::<S, 2>(s, a, b, c, columns, 2 * S::LANES),
                    _ => column_tile::<S, 1>(s, a, b, c, columns, left.min(S::LANES)),
                };
            }
        }
    }
}

/// `V` vectors of every row, as many rows at a time as registers allow; returns `width`, the numbers in these vectors.
#[inline(always)]
fn column_tile<S: Simd, const V: usize>(
    s: S,
    a: Factor<'_>,
    b: &[f32],
    c: &mut [f32],
    columns: usize,
    width: usize,
) -> usize {
    let rows = c.len().div_ceil(columns);
    let mut row = 0;
    while row < rows {
        let (a, c) = (a.skip(row, 0), &mut c[row * columns..]);
        row += match rows - row {
            TILE_ROWS.. if S::REGISTERS >= 32 => register_tile::<S, TILE_ROWS, V>(s, a, b, c, columns, width),
            4.. => register_tile::<S, 4, V>(s, a, b, c, columns, width),
            2.. => register_tile::<S, 2, V>(s, a, b, c, columns, width),
            _ => register_tile::<S, 1, V>(s, a, b, c, columns, width),
        };
    }
    width
}

/// `R` rows times `V` vectors, which hold `width` numbers (a lone one may be partial), summed over the terms in
/// registers; returns `R`.
#[inline(always)]
fn register_tile<S: Simd, const R: usize, const V: usize>(
    s: S,
    a: Factor<'_>,
    b: &[f32],
    c: &mut [f32],
    columns: usize,
    width: usize,
) -> usize {
    let mut sums = [[s.splat(0.0); V]; R];
    for (t, b) in b.chunks(columns).enumerate() {
        let (a_t, b) = (&a.data[t * a.term..], &b[..width]);
        let mut vectors = [s.splat(0.0); V];
        for (v, vector) in vectors.iter_mut().enumerate() {
            *vector = if V == 1 { s.load_partial(b) } else { s.load(&b[v * S::LANES..]) };
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            let a = s.splat(a_t[r * a.row]);
            for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                *sum = s.mul_add(a, vector, *sum);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let c = &mut c[r * columns..][..width];
        for (v, &sum) in sums.iter().enumerate() {
            if V == 1 {
                s.store_partial(s.add(s.load_partial(c), sum), c);
            } else {
                let c = &mut c[v * S::LANES..];
                s.store(s.add(s.load(c), sum), c);
            }
        }
    }
    R
}
