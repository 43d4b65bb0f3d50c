//! The passes over a batch: sums by channel, and maps with coefficients by channel.
//!
//! All go through memory in the order in which it lies.

use crate::shared::normalize::{self, Affine, Gradient, Moments, pivot};
use crate::shared::work::worth_a_thread;
use cnn_tensor::simd::Level;
use cnn_tensor::{Recycled, Tensor, kernel, parallel};
use std::ops::Range;

/// Elements that make a piece of work worth a thread.
const WORTH_A_THREAD: usize = worth_a_thread(1 << 15);

/// Values of a channel in a row below which rows of all channels are quicker than planes of one.
const NARROW: usize = if cfg!(test) { 5 } else { 16 };

/// `[n, c, values of a channel in one image]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents(pub [usize; 3]);

impl Extents {
    /// The number of values of a channel in the batch.
    pub fn count(&self) -> usize {
        let Self([n, _, plane]) = *self;
        n.saturating_mul(plane)
    }

    /// The channels that there is something to compute for.
    pub fn channels(&self) -> usize {
        if self.count() == 0 { 0 } else { self.0[1] }
    }

    fn narrow(&self) -> bool {
        self.0[2] < NARROW
    }

    /// Mean and variance of each channel; none if there are no values.
    pub fn moments(&self, x: &[f32]) -> Recycled<Moments> {
        let Self([_, _, plane]) = *self;
        let pivots: Recycled<f64> = (0..self.channels()).map(|c| pivot(x[c * plane])).collect();
        let sums = self.sums(&pivots, x, None);
        let moments = pivots.into_iter().zip(sums);
        moments.map(|(pivot, sums)| Moments::from_sums(pivot, sums, self.count())).collect()
    }

    /// For each channel, with `d = x - center`: the sums of `dy` and of `dy d`; without `dy`, of `d` and of `d^2`.
    pub fn sums(&self, centers: &[f64], x: &[f32], dy: Option<&[f32]>) -> Recycled<[f64; 2]> {
        let Self([n, _, plane]) = *self;
        if self.channels() == 0 {
            return Recycled::default();
        }
        if !self.narrow() {
            return self.sums_by_plane(centers, x, dy);
        }
        // Whole channels, and whole cache lines of a row.
        let each = WORTH_A_THREAD.div_ceil(n * plane).max(16usize.div_ceil(plane));
        let level = Level::current();
        let pieces = parallel::map(self.channels().div_ceil(each), |i| {
            let piece = i * each..self.channels().min((i + 1) * each);
            self.sums_by_column(level, piece, centers, x, dy)
        });
        let mut sums = Recycled::with_capacity(self.channels());
        pieces.iter().for_each(|piece| sums.extend_from_slice(piece));
        sums
    }

    /// Sums of each plane, and then of each channel's planes, image after image.
    fn sums_by_plane(&self, centers: &[f64], x: &[f32], dy: Option<&[f32]>) -> Recycled<[f64; 2]> {
        let Self([n, c, plane]) = *self;
        let (each, level) = (WORTH_A_THREAD.div_ceil(plane), Level::current());
        let mut planes = Recycled::filled([0.0; 2], n * c);
        parallel::for_each_chunk(&mut planes, each, |i, sums| {
            for (at, sums) in (i * each..).zip(sums) {
                let (here, center) = (at * plane..(at + 1) * plane, centers[at % c]);
                *sums = match dy {
                    Some(dy) => normalize::products(level, center, &x[here.clone()], &dy[here]),
                    None => normalize::deviations(level, center, &x[here]),
                };
            }
        });
        let mut sums = Recycled::filled([0.0; 2], c);
        for image in planes.chunks_exact(c) {
            for (sums, plane) in sums.iter_mut().zip(image) {
                *sums = [sums[0] + plane[0], sums[1] + plane[1]];
            }
        }
        sums
    }

    /// Sums of each column of the rows `[c * plane]`, and then of each channel's columns.
    fn sums_by_column(
        &self,
        level: Level,
        piece: Range<usize>,
        centers: &[f64],
        x: &[f32],
        dy: Option<&[f32]>,
    ) -> Recycled<[f64; 2]> {
        let Self([n, c, plane]) = *self;
        let centers = self.by_column(piece.clone(), |c| centers[c]);
        let [mut first, mut second] = [(); 2].map(|()| Recycled::filled(0.0, centers.len()));
        for image in 0..n {
            let here = (image * c + piece.start) * plane..(image * c + piece.end) * plane;
            match dy {
                Some(dy) => {
                    column_products(level, &centers, &x[here.clone()], &dy[here], &mut first, &mut second);
                }
                None => column_deviations(level, &centers, &x[here], &mut first, &mut second),
            }
        }
        let columns = first.chunks_exact(plane).zip(second.chunks_exact(plane));
        columns.map(|(first, second)| [first.iter().sum(), second.iter().sum()]).collect()
    }

    /// `of(c)` for each column of a row that belongs to these channels.
    fn by_column<T: Clone + Send + 'static>(
        &self,
        channels: Range<usize>,
        of: impl Fn(usize) -> T,
    ) -> Recycled<T> {
        let mut columns = Recycled::with_capacity(channels.len() * self.0[2]);
        columns.extend(channels.flat_map(|c| std::iter::repeat_n(of(c), self.0[2])));
        columns
    }

    /// `y` from `x`, by the coefficients of each channel.
    pub fn affine(&self, by: impl Fn(usize) -> Affine + Sync + Send, x: &Tensor) -> Tensor {
        let mut y = Tensor::scratch(x.shape());
        let (level, x) = (Level::current(), x.data());
        if self.narrow() {
            let by: Recycled<Affine> = (0..self.channels()).map(by).collect();
            let columns = [|a: Affine| a.high, |a: Affine| a.low, |a: Affine| a.scale, |a: Affine| a.shift]
                .map(|part| self.by_column(0..self.channels(), |c| part(by[c])));
            self.rows(&mut y, |at, y| column_affine(level, columns.each_ref().map(|v| &v[..]), &x[at], y));
        } else {
            self.planes(&mut y, |c, at, y| normalize::affine(level, by(c), &x[at], y));
        }
        y
    }

    /// `dx` from `x` and `dy`, by the coefficients of each channel.
    pub fn gradient(&self, by: impl Fn(usize) -> Gradient + Sync + Send, x: &Tensor, dy: &Tensor) -> Tensor {
        let mut dx = Tensor::scratch(x.shape());
        let (level, x, dy) = (Level::current(), x.data(), dy.data());
        if self.narrow() {
            let by: Recycled<Gradient> = (0..self.channels()).map(by).collect();
            let parts = [
                |g: Gradient| g.high,
                |g: Gradient| g.low,
                |g: Gradient| g.weight,
                |g: Gradient| g.mean,
                |g: Gradient| g.slope,
                |g: Gradient| g.inverse,
            ];
            let columns = parts.map(|part| self.by_column(0..self.channels(), |c| part(by[c])));
            self.rows(&mut dx, |at, dx| {
                let columns = columns.each_ref().map(|v| &v[..]);
                column_gradient(level, columns, &x[at.clone()], &dy[at], dx);
            });
        } else {
            self.planes(&mut dx, |c, at, dx| {
                normalize::gradient(level, by(c), &x[at.clone()], &dy[at], dx);
            });
        }
        dx
    }

    /// Calls `f(elements, row)` for the rows `[c * plane]` of `out`.
    fn rows(&self, out: &mut Tensor, f: impl Fn(Range<usize>, &mut [f32]) + Sync + Send) {
        let row = self.channels() * self.0[2];
        let chunk = WORTH_A_THREAD.div_ceil(row.max(1)) * row;
        parallel::for_each_chunk(out.data_mut(), chunk, |i, out| {
            for (at, out) in out.chunks_exact_mut(row).enumerate() {
                let start = i * chunk + at * row;
                f(start..start + row, out);
            }
        });
    }

    /// Calls `f(channel, elements, plane)` for the planes of `out`.
    fn planes(&self, out: &mut Tensor, f: impl Fn(usize, Range<usize>, &mut [f32]) + Sync + Send) {
        let Self([_, c, plane]) = *self;
        let each = WORTH_A_THREAD.div_ceil(plane);
        parallel::for_each_chunk(out.data_mut(), each * plane, |i, out| {
            for (at, out) in out.chunks_exact_mut(plane).enumerate() {
                let at = i * each + at;
                f(at % c, at * plane..(at + 1) * plane, out);
            }
        });
    }
}

kernel! {
    /// [`normalize::deviations`] of every column, added.
    fn column_deviations<S>(_s, centers: &[f64], x: &[f32], sums: &mut [f64], squares: &mut [f64]) {
        for (((x, center), sum), square) in x.iter().zip(centers).zip(sums).zip(squares) {
            let d = f64::from(*x) - center;
            *sum += d;
            *square += d * d;
        }
    }
}

kernel! {
    /// [`normalize::products`] of every column, added.
    fn column_products<S>(_s, centers: &[f64], x: &[f32], dy: &[f32], sums: &mut [f64], products: &mut [f64]) {
        for ((((x, dy), center), sum), product) in x.iter().zip(dy).zip(centers).zip(sums).zip(products) {
            let dy = f64::from(*dy);
            *sum += dy;
            *product += dy * (f64::from(*x) - center);
        }
    }
}

kernel! {
    /// [`Affine`] with each column's own.
    fn column_affine<S>(_s, by: [&[f32]; 4], x: &[f32], y: &mut [f32]) {
        let n = y.len();
        let ([high, low, scale, shift], x) = (by.map(|by| &by[..n]), &x[..n]);
        for i in 0..n {
            y[i] = ((x[i] - high[i]) - low[i]) * scale[i] + shift[i];
        }
    }
}

kernel! {
    /// [`Gradient`] with each column's own.
    fn column_gradient<S>(_s, by: [&[f32]; 6], x: &[f32], dy: &[f32], dx: &mut [f32]) {
        let n = dx.len();
        let ([high, low, weight, mean, slope, inverse], x, dy) = (by.map(|by| &by[..n]), &x[..n], &dy[..n]);
        for i in 0..n {
            let centered = (x[i] - high[i]) - low[i];
            dx[i] = ((weight[i] * dy[i] - mean[i]) - centered * slope[i]) * inverse[i];
        }
    }
}
