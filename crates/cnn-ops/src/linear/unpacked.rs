//! The three products without packing: nothing is copied into another order but the batch of the forward pass.
//!
//! A GEMM packs its operands before it multiplies, which pays where each packed number is used often. A fully
//! connected layer uses its weight once per image, too seldom for that. Here all three products have one form,
//!
//! ```text
//! C[r, :] += sum over terms t of A(r, t) * B[t, :]
//!
//!              A           B                           C
//! forward      weight      x, 16 images in the lanes   y, 16 images in the lanes
//! dx           dy          weight                      dx
//! dweight      dy^T        x                           dweight
//! ```
//!
//! in which rows of B and C are vectors, and A is read where it lies, number by number, and broadcast.

use crate::lanes;
use crate::work::worth_a_thread;
use cnn_tensor::simd::{IMAGES, Level, Simd};
use cnn_tensor::{Buffer, parallel};

/// Whether the gradients are faster so than by GEMM: where the weight, or its gradient, stays in the second-level
/// cache. (The forward pass is faster so at any size.)
pub(super) fn suits_gradients(inputs: usize, outputs: usize) -> bool {
    const MOST_WEIGHTS: usize = 1 << 18;
    inputs.saturating_mul(outputs) <= MOST_WEIGHTS
}

/// Multiply-adds below which a piece of a product is not worth a thread of its own.
const WORTH_A_THREAD: usize = worth_a_thread(1 << 20);

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
    lanes::enter(level, x, inputs, x_lanes.as_mut_slice());
    let mut y_lanes = Buffer::zeroed(outputs * IMAGES);
    if let Some(bias) = bias {
        let rows = y_lanes.as_mut_slice().chunks_exact_mut(IMAGES);
        rows.zip(bias).for_each(|(row, &bias)| row.fill(bias));
    }
    let weight = Factor { data: weight, row: inputs, term: 1 };
    multiply_add_rows(weight, x_lanes.as_slice(), y_lanes.as_mut_slice(), IMAGES);
    lanes::leave(level, y_lanes.as_slice(), outputs, y);
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
        multiply_add(level, a.skip_rows(piece * rows), b, c, columns);
    });
}

/// A matrix to read number by number: element `(r, t)` is `data[r * row + t * term]`.
#[derive(Clone, Copy, Debug)]
struct Factor<'a> {
    data: &'a [f32],
    row: usize,
    term: usize,
}

impl Factor<'_> {
    /// Without the first `rows` rows.
    #[inline(always)]
    fn skip_rows(self, rows: usize) -> Self {
        Self { data: &self.data[(rows * self.row).min(self.data.len())..], ..self }
    }
}

/// Rows in the largest register tile, which needs 32 registers; with 16, tiles have half as many.
const TILE_ROWS: usize = 8;

cnn_tensor::kernel! {
    /// `c[r, :] += sum over t of a(r, t) * b[t, :]`, where rows of `b` and `c` are `columns` long.
    fn multiply_add<S>(s, a: Factor<'_>, b: &[f32], c: &mut [f32], columns: usize) {
        let rows = c.len() / columns.max(1);
        let mut row = 0;
        while row < rows {
            let a = a.skip_rows(row);
            let c = &mut c[row * columns..];
            row += match rows - row {
                TILE_ROWS.. if S::REGISTERS >= 32 => row_tile::<S, TILE_ROWS>(s, a, b, c, columns),
                4.. => row_tile::<S, 4>(s, a, b, c, columns),
                2.. => row_tile::<S, 2>(s, a, b, c, columns),
                _ => row_tile::<S, 1>(s, a, b, c, columns),
            };
        }
    }
}

/// `R` rows, up to three vectors at a time; returns `R`.
#[inline(always)]
fn row_tile<S: Simd, const R: usize>(s: S, a: Factor<'_>, b: &[f32], c: &mut [f32], columns: usize) -> usize {
    let mut column = 0;
    while column < columns {
        let (b, c, left) = (&b[column.min(b.len())..], &mut c[column..], columns - column);
        column += if left >= 3 * S::LANES {
            register_tile::<S, R, 3>(s, a, b, c, columns, 3 * S::LANES)
        } else if left >= 2 * S::LANES {
            register_tile::<S, R, 2>(s, a, b, c, columns, 2 * S::LANES)
        } else {
            register_tile::<S, R, 1>(s, a, b, c, columns, left.min(S::LANES))
        };
    }
    R
}

/// `R` rows times `V` vectors, summed over all terms in registers. The vectors hold `width` numbers: all their lanes,
/// or fewer where there is one vector. Returns `width`.
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
    width
}
