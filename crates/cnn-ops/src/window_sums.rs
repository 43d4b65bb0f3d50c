//! Sums over windows, and their gradient: what average pooling and trainable subsampling share.

use crate::pooling::{Tap, Windows};
use cnn_tensor::{Shape, Tensor, parallel};

/// A row of windows: which plane it is in, `n * channels + c`, and which row of the plane it is.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub plane: usize,
    pub at: usize,
}

impl Windows {
    /// The sum of each window of `x`, in row-major order; `finish` may change each row of them while it is in cache.
    pub fn sums(&self, x: &Tensor, finish: impl Fn(Row, &mut [f32]) + Sync + Send) -> Tensor {
        let mut y = Tensor::scratch(self.y);
        let pieces = self.pieces();
        parallel::for_each_chunk(y.data_mut(), pieces.y, |i, y| {
            let first = i * (pieces.y / self.y_plane());
            self.sum_planes(&x.data()[i * pieces.x..], y, |row, y| {
                finish(Row { plane: first + row.plane, ..row }, y);
            });
        });
        y
    }

    fn sum_planes(&self, x: &[f32], y: &mut [f32], finish: impl Fn(Row, &mut [f32])) {
        let Self { rows, cols, .. } = self;
        let taps = cols.taps();
        let planes = x.chunks_exact(self.x_plane()).zip(y.chunks_exact_mut(self.y_plane()));
        for (plane, (x, y)) in planes.enumerate() {
            for (at, y) in y.chunks_exact_mut(cols.positions).enumerate() {
                y.fill(0.0);
                let window = rows.window(at);
                for x in x[window.start * cols.extent..window.end * cols.extent].chunks_exact(cols.extent) {
                    for Tap { windows, start } in &taps {
                        let x = x[*start..].iter().step_by(cols.stride);
                        y[windows.clone()].iter_mut().zip(x).for_each(|(y, x)| *y += x);
                    }
                }
                finish(Row { plane, at }, y);
            }
        }
    }

    /// The gradient of the sums with respect to their input, of shape `x`: each element gets the sum of what the windows
    /// that contain it hand down. `share` makes that from a row of `dy`.
    pub fn spread(
        &self,
        x: Shape,
        dy: &Tensor,
        share: impl Fn(Row, &[f32], &mut [f32]) + Sync + Send,
    ) -> Tensor {
        let mut dx = Tensor::scratch(x);
        let pieces = self.pieces();
        parallel::for_each_chunk(dx.data_mut(), pieces.x, |i, dx| {
            let first = i * (pieces.x / self.x_plane());
            self.spread_planes(dx, &dy.data()[i * pieces.y..], |row, dy, shares| {
                share(Row { plane: first + row.plane, ..row }, dy, shares);
            });
        });
        dx
    }

    fn spread_planes(&self, dx: &mut [f32], dy: &[f32], share: impl Fn(Row, &[f32], &mut [f32])) {
        let Self { rows, cols, .. } = self;
        let taps = cols.taps();
        let mut shares = vec![0.0; cols.positions];
        dx.fill(0.0);
        let planes = dx.chunks_exact_mut(self.x_plane()).zip(dy.chunks_exact(self.y_plane()));
        for (plane, (dx, dy)) in planes.enumerate() {
            for (at, dy) in dy.chunks_exact(cols.positions).enumerate() {
                share(Row { plane, at }, dy, &mut shares);
                for row in rows.window(at) {
                    let dx = &mut dx[row * cols.extent..][..cols.extent];
                    for Tap { windows, start } in &taps {
                        let dx = dx[*start..].iter_mut().step_by(cols.stride);
                        dx.zip(&shares[windows.clone()]).for_each(|(dx, share)| *dx += share);
                    }
                }
            }
        }
    }
}
