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
//!
//! For a few images most lanes would be empty. There every output is a sum of products of vectors along the inputs, and the
//! speed is that at which the weight comes from memory.

use crate::shared::lanes;
use crate::shared::vectors::load;
use crate::shared::work::worth_a_thread;
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
    if inputs > 0 && !y.is_empty() && y.len() <= FEW_IMAGES * outputs {
        return forward_few(level, x, inputs, weight, bias, y, outputs);
    }
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

/// The most images of which each has the inputs in its lanes, rather than all of them the images.
const FEW_IMAGES: usize = 4;

/// Weights below which a piece of [`forward_few`] is not worth a thread of its own: it reads each once.
const WEIGHTS_WORTH_A_THREAD: usize = worth_a_thread(1 << 17);

/// [`forward`] for at least one image and at most [`FEW_IMAGES`].
fn forward_few(
    level: Level,
    x: &[f32],
    inputs: usize,
    weight: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
    outputs: usize,
) {
    let images = y.len() / outputs;
    let rows = WEIGHTS_WORTH_A_THREAD.div_ceil(inputs).next_multiple_of(TILE_ROWS);
    let all_dots = |sums: &mut [f32]| {
        parallel::for_each_chunk(sums, rows * images, |piece, sums| {
            let weight = &weight[piece * rows * inputs..][..sums.len() / images * inputs];
            dots(level, images, x, weight, sums);
        });
    };
    if images == 1 {
        // The sums of a single image lie as its outputs do.
        all_dots(y);
        y.iter_mut().zip(bias.unwrap_or_default()).for_each(|(y, bias)| *y += bias);
        return;
    }
    let mut sums = Buffer::scratch(outputs * images);
    all_dots(sums.as_mut_slice());
    for (o, sums) in sums.as_slice().chunks_exact(images).enumerate() {
        let bias = bias.map_or(0.0, |bias| bias[o]);
        sums.iter().enumerate().for_each(|(image, sum)| y[image * outputs + o] = sum + bias);
    }
}

cnn_tensor::kernel! {
    /// `sums[o, image] = sum over i of x[image, i] * weight[o, i]`.
    fn dots<S>(s, images: usize, x: &[f32], weight: &[f32], sums: &mut [f32]) {
        // As many sums as hide the time that a multiply-add takes, and registers hold.
        match images {
            1 => dots_of::<S, 1, 8>(s, x, weight, sums),
            2 => dots_of::<S, 2, 4>(s, x, weight, sums),
            3 => dots_of::<S, 3, 4>(s, x, weight, sums),
            _ => dots_of::<S, FEW_IMAGES, 4>(s, x, weight, sums),
        }
    }
}

/// [`dots`] of `N` images, `R` rows of the weight at a time.
#[inline(always)]
fn dots_of<S: Simd, const N: usize, const R: usize>(s: S, x: &[f32], weight: &[f32], sums: &mut [f32]) {
    let inputs = x.len() / N;
    let whole = weight.len() / inputs / R * R;
    let (tiles, rest) = weight.split_at(whole * inputs);
    let (sums, last) = sums.split_at_mut(whole * N);
    for (weight, sums) in tiles.chunks_exact(R * inputs).zip(sums.chunks_exact_mut(R * N)) {
        dot_tile::<S, N, R>(s, x, weight, sums);
    }
    for (weight, sums) in rest.chunks_exact(inputs).zip(last.chunks_exact_mut(N)) {
        dot_tile::<S, N, 1>(s, x, weight, sums);
    }
}

/// `R` rows of the weight times `N` images, vector by vector along the inputs.
#[inline(always)]
fn dot_tile<S: Simd, const N: usize, const R: usize>(s: S, x: &[f32], weight: &[f32], sums: &mut [f32]) {
    let inputs = x.len() / N;
    let mut vectors = [[s.splat(0.0); N]; R];
    let whole = inputs / S::LANES * S::LANES;
    for at in (0..whole).step_by(S::LANES) {
        add_products::<S, N, R, true>(s, at, x, weight, &mut vectors);
    }
    if whole < inputs {
        add_products::<S, N, R, false>(s, whole, x, weight, &mut vectors);
    }
    for (sum, &vector) in sums.iter_mut().zip(vectors.as_flattened()) {
        *sum = s.sum(vector);
    }
}

/// The products of one vector of inputs, from `at` on.
#[inline(always)]
fn add_products<S: Simd, const N: usize, const R: usize, const WHOLE: bool>(
    s: S,
    at: usize,
    x: &[f32],
    weight: &[f32],
    vectors: &mut [[S::V; N]; R],
) {
    let inputs = x.len() / N;
    let mut of_x = [s.splat(0.0); N];
    for (image, of_x) in of_x.iter_mut().enumerate() {
        *of_x = load::<S, WHOLE>(s, &x[image * inputs..][..inputs], at);
    }
    for (r, vectors) in vectors.iter_mut().enumerate() {
        let w = load::<S, WHOLE>(s, &weight[r * inputs..][..inputs], at);
        for (vector, &x) in vectors.iter_mut().zip(&of_x) {
            *vector = s.mul_add(w, x, *vector);
        }
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
