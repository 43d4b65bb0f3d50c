//! Convolution of a few images with the pixels of a plane in the lanes, read where they lie.
//!
//! With its padding made explicit and its rows one after the other, a plane is one run of numbers, and at stride 1 the
//! input that a tap multiplies is the same run, a fixed number of places further on:
//!
//! ```text
//! y[co][i] = bias[co] + sum over taps (ci, kh, kw) of weight[co, ci, kh, kw] * x[ci][i + kh*dh*width + kw*dw]
//! ```
//!
//! This computes a few superfluous columns in each row, where the window reaches into the next row, but copies nothing for
//! the taps. It pays where unrolling the windows (`im2col`) does not: where few output channels share the unrolled windows.

use super::Extents;
use super::algorithm::Separate;
use super::im2col;
use crate::shared::work::worth_a_thread;
use cnn_tensor::simd::{Level, Simd};
use cnn_tensor::{Buffer, parallel};

/// Multiply-adds that make some images worth a thread.
const WORTH_A_THREAD: usize = worth_a_thread(1 << 20);

/// The algorithm of this file; the gradients are left to `im2col`.
#[derive(Debug)]
pub(super) struct Rows;

impl Separate for Rows {
    fn is_possible(&self, e: &Extents) -> bool {
        e.options.stride == [1, 1] && e.options.groups == 1
    }

    fn suits(&self, e: &Extents) -> bool {
        /// More of them pay for unrolling.
        const MOST_CHANNELS: usize = 32;
        /// A padded image should stay in the second-level cache.
        const LARGEST_IMAGE: usize = (1 << 19) / size_of::<f32>();
        let few = e.c_out <= MOST_CHANNELS && padded_image(e) <= LARGEST_IMAGE;
        self.is_possible(e) && few && 2 * e.padded_width() <= 3 * e.ow
    }

    fn forward(&self, e: &Extents, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        forward(e, x, weight, bias, y);
    }

    fn weight_gradient(&self, e: &Extents, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
        im2col::weight_gradient(e, x, dy, dweight);
    }

    fn input_gradient(&self, e: &Extents, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        im2col::input_gradient(e, weight, dy, None, dx);
    }
}

/// Elements of an image with its padding.
fn padded_image(e: &Extents) -> usize {
    e.c_in.saturating_mul(e.padded_height()).saturating_mul(e.padded_width())
}

impl Extents {
    /// At stride 1, the rows that windows see.
    fn padded_height(&self) -> usize {
        self.oh.saturating_add(self.reach()[0])
    }

    /// At stride 1, the columns that windows see.
    fn padded_width(&self) -> usize {
        self.ow.saturating_add(self.reach()[1])
    }
}

/// `y = conv(x) + bias`.
fn forward(e: &Extents, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    if e.is_constant() {
        return crate::shared::bias::fill(bias, e.y_plane(), y);
    }
    let level = Level::current();
    let images = WORTH_A_THREAD.div_ceil(e.y_image().saturating_mul(e.taps()).max(1));
    parallel::for_each_chunk(y, images.saturating_mul(e.y_image()), |piece, y| {
        let x = &x[piece * images * e.x_image()..];
        // Vectors also read numbers beyond the last row; their products go into columns that are left out.
        let mut padded = Buffer::zeroed(padded_image(e) + e.padded_width() + MOST_VECTORS * MOST_LANES);
        let positions = e.oh * e.padded_width();
        let mut wide = Buffer::scratch(TALLEST * (positions + MOST_VECTORS * MOST_LANES));
        for (x, y) in x.chunks_exact(e.x_image()).zip(y.chunks_exact_mut(e.y_image())) {
            pad(e, x, padded.as_mut_slice());
            convolve(level, e, padded.as_slice(), weight, bias, wide.as_mut_slice(), y);
        }
    });
}

/// Copies an image to the middle of its padding, which is there already.
fn pad(e: &Extents, x: &[f32], padded: &mut [f32]) {
    let ([[above, _], [left, _]], width) = (e.padding, e.padded_width());
    let (rows, cols) =
        (e.h.min(e.padded_height().saturating_sub(above)), e.w.min(width.saturating_sub(left)));
    if cols == 0 {
        return;
    }
    for (x, padded) in x.chunks_exact(e.x_plane()).zip(padded.chunks_exact_mut(e.padded_height() * width)) {
        for (x, padded) in x.chunks_exact(e.w).zip(padded.chunks_exact_mut(width).skip(above)).take(rows) {
            padded[left..left + cols].copy_from_slice(&x[..cols]);
        }
    }
}

/// Rows of the tallest register tile, and vectors of the widest.
const TALLEST: usize = 8;
const MOST_VECTORS: usize = 4;
/// Numbers of the widest vector of all levels.
const MOST_LANES: usize = cnn_tensor::simd::IMAGES;

cnn_tensor::kernel! {
    /// One image; `wide` has room for the rows of a tile, and the columns computed too many.
    fn convolve<S>(
        s, e: &Extents, padded: &[f32], weight: &[f32], bias: Option<&[f32]>, wide: &mut [f32], y: &mut [f32],
    ) {
        let positions = e.oh * e.padded_width();
        let each = positions + MOST_VECTORS * MOST_LANES;
        let mut first = 0;
        while first < e.c_out {
            let rest = Tile { weight: &weight[first * e.taps()..], bias: bias.map(|bias| &bias[first..]), positions };
            let height = match e.c_out - first {
                8.. if S::REGISTERS >= 32 => rest.rows::<S, 8, 3>(s, e, padded, wide, each),
                6.. if S::REGISTERS >= 32 => rest.rows::<S, 6, 4>(s, e, padded, wide, each),
                4.. if S::REGISTERS >= 32 => rest.rows::<S, 4, 4>(s, e, padded, wide, each),
                4.. => rest.rows::<S, 4, 2>(s, e, padded, wide, each),
                2.. => rest.rows::<S, 2, 4>(s, e, padded, wide, each),
                _ => rest.rows::<S, 1, 4>(s, e, padded, wide, each),
            };
            let planes = y[first * e.y_plane()..].chunks_exact_mut(e.y_plane());
            for (wide, plane) in wide.chunks_exact(each).take(height).zip(planes) {
                leave(s, wide, e.padded_width(), e.ow, plane);
            }
            first += height;
        }
    }
}

/// The output channels from one on.
struct Tile<'a> {
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    positions: usize,
}

impl Tile<'_> {
    /// The first `R` of them, `V` vectors at a time; returns `R`.
    #[inline(always)]
    fn rows<S: Simd, const R: usize, const V: usize>(
        &self,
        s: S,
        e: &Extents,
        padded: &[f32],
        wide: &mut [f32],
        each: usize,
    ) -> usize {
        let ([kh, kw], [dh, dw], width) = (e.options.kernel, e.options.dilation, e.padded_width());
        let (taps, plane) = (e.taps(), e.padded_height() * width);
        for at in (0..self.positions).step_by(V * S::LANES) {
            let mut sums = [[s.splat(0.0); V]; R];
            if let Some(bias) = self.bias {
                for (sums, &bias) in sums.iter_mut().zip(bias) {
                    *sums = [s.splat(bias); V];
                }
            }
            let mut tap = 0;
            for ci in 0..e.c_in {
                for i in 0..kh {
                    let row = &padded[ci * plane + i * dh * width + at..];
                    for j in 0..kw {
                        let x = &row[j * dw..][..V * S::LANES];
                        let mut vectors = [s.splat(0.0); V];
                        for (v, vector) in vectors.iter_mut().enumerate() {
                            *vector = s.load(&x[v * S::LANES..]);
                        }
                        for (r, sums) in sums.iter_mut().enumerate() {
                            let w = s.splat(self.weight[r * taps + tap]);
                            for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                                *sum = s.mul_add(w, vector, *sum);
                            }
                        }
                        tap += 1;
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                let wide = &mut wide[r * each + at..][..V * S::LANES];
                for (v, &sum) in sums.iter().enumerate() {
                    s.store(sum, &mut wide[v * S::LANES..]);
                }
            }
        }
        R
    }
}

/// Rows of `width` numbers to rows of the first `cols` of them.
#[inline(always)]
pub(super) fn leave<S: Simd>(s: S, wide: &[f32], width: usize, cols: usize, plane: &mut [f32]) {
    for (wide, row) in wide.chunks(width).zip(plane.chunks_exact_mut(cols)) {
        for (wide, row) in wide[..cols].chunks(S::LANES).zip(row.chunks_mut(S::LANES)) {
            if row.len() == S::LANES {
                s.store(s.load(wide), row);
            } else {
                s.store_partial(s.load_partial(wide), row);
            }
        }
    }
}
