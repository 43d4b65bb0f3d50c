//! Cubic interpolation: four elements along each axis.

use super::{Line, Upsample2d, WORTH_A_THREAD};
use cnn_tensor::{Recycled, Shape};

/// Keys's `a`, which PyTorch and ONNX set to -0.75.
const A: f64 = -0.75;

/// Where an element of `y` comes from: elements of `x`, at the edges the same one more than once, and their weights.
#[derive(Clone, Copy)]
struct Taps {
    at: [usize; 4],
    weight: [f32; 4],
}

impl Taps {
    /// Those with a weight, in order.
    fn iter(&self) -> impl Iterator<Item = (usize, f32)> {
        self.at.into_iter().zip(self.weight).filter(|(_, weight)| *weight != 0.0)
    }
}

/// The taps of every position along an axis of `extent` elements.
fn taps(line: Line, extent: usize, positions: usize) -> Recycled<Taps> {
    let last = extent as i64 - 1;
    let of = |position: usize| {
        let source = line.source(position);
        let (first, t) = (source.floor() as i64, source - source.floor());
        // The outer two are from 1 to 2 away, the inner two up to 1.
        let outer = |d: f64| ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A;
        let inner = |d: f64| ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0;
        Taps {
            at: [-1, 0, 1, 2].map(|by| first.saturating_add(by).clamp(0, last) as usize),
            weight: [outer(t + 1.0), inner(t), inner(1.0 - t), outer(2.0 - t)].map(|weight| weight as f32),
        }
    };
    (0..positions).map(of).collect()
}

/// How one plane of `x` and one of `y` correspond. There are planes, and they are not empty.
pub(super) struct Planes {
    rows: Recycled<Taps>,
    cols: Recycled<Taps>,
    /// Rows and columns of `x`.
    extent: [usize; 2],
}

impl Planes {
    pub fn new(op: &Upsample2d, x: Shape, y: Shape) -> Self {
        let extent = [x.dims()[2], x.dims()[3]];
        let along = |i: usize| taps(op.line(i, extent[i], y.dims()[2 + i]), extent[i], y.dims()[2 + i]);
        Self { rows: along(0), cols: along(1), extent }
    }

    /// Planes that make a piece of work worth a thread, and the elements of one of `x` and one of `y`.
    pub fn per_chunk(&self) -> (usize, usize, usize) {
        let [x, y] = [self.extent[0] * self.extent[1], self.rows.len() * self.cols.len()];
        ((WORTH_A_THREAD / x.max(y)).max(1), x, y)
    }

    /// Makes planes of `y`, the first of which belongs to the first of `x`.
    pub fn forward(&self, x: &[f32], y: &mut [f32]) {
        let (_, x_plane, y_plane) = self.per_chunk();
        let w = self.extent[1];
        let mut blend = Recycled::filled(0.0, w);
        for (x, y) in x.chunks_exact(x_plane).zip(y.chunks_exact_mut(y_plane)) {
            for (taps, y) in self.rows.iter().zip(y.chunks_exact_mut(self.cols.len())) {
                blend.fill(0.0);
                for (row, weight) in taps.iter() {
                    blend.iter_mut().zip(&x[row * w..]).for_each(|(blend, x)| *blend += weight * x);
                }
                for (taps, y) in self.cols.iter().zip(y) {
                    *y = taps.iter().fold(0.0, |sum, (col, weight)| sum + weight * blend[col]);
                }
            }
        }
    }

    /// Adds what planes of `dy` give to those of `dx`.
    pub fn backward(&self, dy: &[f32], dx: &mut [f32]) {
        let (_, x_plane, y_plane) = self.per_chunk();
        let w = self.extent[1];
        let mut row = Recycled::filled(0.0, w);
        for (dx, dy) in dx.chunks_exact_mut(x_plane).zip(dy.chunks_exact(y_plane)) {
            for (taps, dy) in self.rows.iter().zip(dy.chunks_exact(self.cols.len())) {
                row.fill(0.0);
                for (taps, dy) in self.cols.iter().zip(dy) {
                    taps.iter().for_each(|(col, weight)| row[col] += weight * dy);
                }
                for (at, weight) in taps.iter() {
                    dx[at * w..][..w].iter_mut().zip(&row).for_each(|(dx, row)| *dx += weight * row);
                }
            }
        }
    }
}
