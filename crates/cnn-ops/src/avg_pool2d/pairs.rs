//! Windows of 2 x 2 elements side by side, a vector of them at a time.
//!
//! Vectors run over the end of a row into the next, whose numbers are not used, or written later. Only at the end of a
//! piece of work do they need care.

use crate::shared::pairs::{load_what_is_there, store_pairs, store_what_fits};
use crate::shared::pooling::Windows;
use cnn_tensor::kernel;

kernel! {
    /// Pools the planes of `y`, the first of which belongs to the first of `x`.
    pub(super) fn forward<S>(s, divisor: f32, windows: &Windows, x: &[f32], y: &mut [f32]) {
        let (w, ow, oh) = (windows.cols.extent, windows.cols.positions, windows.rows.positions);
        let divisor = s.splat(divisor);
        for plane in 0..y.len() / windows.y_plane() {
            for row in 0..oh {
                let (start, out) = (plane * windows.x_plane() + 2 * row * w, plane * windows.y_plane() + row * ow);
                for col in (0..ow).step_by(S::LANES) {
                    let x = &x[start + 2 * col..];
                    let [[a, b], [c, d]] = if x.len() >= w + 2 * S::LANES {
                        [0, w].map(|from| [s.load(&x[from..]), s.load(&x[from + S::LANES..])])
                    } else {
                        [0, w].map(|from| load_what_is_there(s, &x[from..]))
                    };
                    let ((above_left, above_right), (left, right)) = (s.unzip(a, b), s.unzip(c, d));
                    // Row by row, as the sums of other windows.
                    let sum = s.add(s.add(s.add(above_left, above_right), left), right);
                    store_what_fits(s, s.div(sum, divisor), &mut y[out + col..]);
                }
            }
        }
    }
}

kernel! {
    /// Writes the planes of `dx`, the first of which belongs to the first of `dy`.
    pub(super) fn backward<S>(s, divisor: f32, windows: &Windows, dy: &[f32], dx: &mut [f32]) {
        let (w, ow, oh) = (windows.cols.extent, windows.cols.positions, windows.rows.positions);
        let divisor = s.splat(divisor);
        for plane in 0..dx.len() / windows.x_plane() {
            let start = plane * windows.x_plane();
            for row in 0..2 * oh {
                let (from, to) = (plane * windows.y_plane() + row / 2 * ow, start + row * w);
                for col in (0..ow).step_by(S::LANES) {
                    let dy = &dy[from + col..];
                    let dy = if dy.len() >= S::LANES { s.load(dy) } else { s.load_partial(dy) };
                    let share = s.div(dy, divisor);
                    store_pairs(s, share, share, &mut dx[to + 2 * col..]);
                }
                // A column under no window.
                dx[to + 2 * ow..to + w].fill(0.0);
            }
            // A row under no window.
            dx[start + 2 * oh * w..start + windows.x_plane()].fill(0.0);
        }
    }
}
