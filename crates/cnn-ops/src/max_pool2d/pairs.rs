//! Windows of 2 x 2 or 3 x 3 elements with a stride of 2, all of them on the input, as in most networks.
//!
//! A vector of windows has its columns in two vectors of the input, which are taken apart into even and odd columns. What is
//! kept is not the position of a maximum but the number of its tap, row by row within the window: one byte for each
//! window instead of four. Backwards, a plane of `dx` is cleared and added to while it is in the first-level cache; where windows
//! do not overlap, each row is put together from the windows above it and written once.
//!
//! Vectors run over the end of a row into the next, whose numbers are not used, or written later. Only at the end of a
//! piece of work do they need care.

use crate::shared::pairs::{load_what_is_there, store_pairs};
use crate::shared::pooling::Windows;
use cnn_tensor::kernel;
use cnn_tensor::simd::{IMAGES, Simd};

/// The extent of the windows, if they are of this kind.
pub(super) fn extent(kernel: [usize; 2], windows: &Windows) -> Option<usize> {
    let fits = [&windows.rows, &windows.cols].iter().all(|axis| {
        (axis.stride, axis.dilation, axis.before) == (2, 1, 0) && axis.complete() == (0..axis.positions)
    });
    match kernel {
        [2, 2] | [3, 3] if fits => Some(kernel[0]),
        _ => None,
    }
}

kernel! {
    /// Pools the planes of `y`, the first of which belongs to the first of `x`; and the number of the tap that won each
    /// window, if `taps` is not empty.
    pub(super) fn forward<S>(s, extent: usize, windows: &Windows, x: &[f32], y: &mut [f32], taps: &mut [u8]) {
        match (extent, taps.is_empty()) {
            (2, false) => forward_planes::<S, 2, true>(s, windows, x, y, taps),
            (2, true) => forward_planes::<S, 2, false>(s, windows, x, y, taps),
            (_, false) => forward_planes::<S, 3, true>(s, windows, x, y, taps),
            (_, true) => forward_planes::<S, 3, false>(s, windows, x, y, taps),
        }
    }
}

#[inline(always)]
fn forward_planes<S: Simd, const K: usize, const TAPS: bool>(
    s: S,
    windows: &Windows,
    x: &[f32],
    y: &mut [f32],
    taps: &mut [u8],
) {
    let (w, ow, oh) = (windows.cols.extent, windows.cols.positions, windows.rows.positions);
    // From the first element of a vector of windows to the end of the last that is read.
    let reach = (K - 1) * w + (K - 2) + 2 * S::LANES;
    for plane in 0..y.len() / windows.y_plane() {
        for row in 0..oh {
            let (start, out) =
                (plane * windows.x_plane() + 2 * row * w, plane * windows.y_plane() + row * ow);
            for col in (0..ow).step_by(S::LANES) {
                let (x, y) = (&x[start + 2 * col..], &mut y[out + col..]);
                let taps = if TAPS { &mut taps[out + col..] } else { &mut [][..] };
                if x.len() >= reach && y.len() >= S::LANES {
                    let (max, tap) = pool::<S, K, TAPS, true>(s, w, x);
                    s.store(max, y);
                    if TAPS {
                        s.store_bytes(tap, taps);
                    }
                } else {
                    let (max, tap) = pool::<S, K, TAPS, false>(s, w, x);
                    let n = (ow - col).min(S::LANES);
                    s.store_partial(max, &mut y[..n]);
                    if TAPS {
                        let mut bytes = [0; IMAGES];
                        s.store_bytes(tap, &mut bytes);
                        taps[..n].copy_from_slice(&bytes[..n]);
                    }
                }
            }
        }
    }
}

/// The maxima of a vector of windows, the first of which begins `x`, and the numbers of their taps. `WHOLE` says that `x`
/// does not end before the last of them.
#[inline(always)]
fn pool<S: Simd, const K: usize, const TAPS: bool, const WHOLE: bool>(
    s: S,
    w: usize,
    x: &[f32],
) -> (S::V, S::V) {
    let mut best = (s.splat(0.0), s.splat(0.0));
    for row in 0..K {
        // Two columns at a time; of three, the last two together, since the one behind them need not exist.
        let (first, second) = columns::<S, WHOLE>(s, x, row * w);
        let in_row = if K == 2 {
            [first, second, second]
        } else {
            let (second, third) = columns::<S, WHOLE>(s, x, row * w + 1);
            [first, second, third]
        };
        for (col, v) in in_row.into_iter().take(K).enumerate() {
            let tap = s.splat((row * K + col) as f32);
            best = if (row, col) == (0, 0) { (v, tap) } else { better::<S, TAPS>(s, best, (v, tap)) };
        }
    }
    best
}

/// Even and odd columns from `from` on.
#[inline(always)]
fn columns<S: Simd, const WHOLE: bool>(s: S, x: &[f32], from: usize) -> (S::V, S::V) {
    let [a, b] = if WHOLE {
        [s.load(&x[from..]), s.load(&x[from + S::LANES..])]
    } else {
        load_what_is_there(s, x.get(from..).unwrap_or(&[]))
    };
    s.unzip(a, b)
}

/// The larger of two numbers in each lane, and its tap: the second if it is larger, or NaN.
#[inline(always)]
fn better<S: Simd, const TAPS: bool>(s: S, (max, at): (S::V, S::V), (v, tap): (S::V, S::V)) -> (S::V, S::V) {
    let larger = s.select_gt(v, max, v, s.select_number(v, max, v));
    let place = if TAPS { s.select_gt(v, max, tap, s.select_number(v, at, tap)) } else { at };
    (larger, place)
}

kernel! {
    /// Writes the planes of `dx`, the first of which belongs to the first of `dy` and of `taps`.
    pub(super) fn backward<S>(s, extent: usize, windows: &Windows, dy: &[f32], taps: &[u8], dx: &mut [f32]) {
        // A vector of which most lanes go to waste is slower than one window after the other, and so are windows that
        // share elements, which take a comparison for each of their nine.
        if extent == 2 && 2 * windows.cols.positions >= S::LANES {
            backward_apart(s, windows, dy, taps, dx);
        } else {
            scatter(extent, windows, dy, taps, dx);
        }
    }
}

/// Adds each `dy` to the element that won.
#[inline(always)]
fn scatter(extent: usize, windows: &Windows, dy: &[f32], taps: &[u8], dx: &mut [f32]) {
    let (w, ow) = (windows.cols.extent, windows.cols.positions);
    // From the first element of a window to that of each tap; a power of two, so that no index needs a check.
    let mut offsets = [0; 16];
    for (tap, offset) in offsets.iter_mut().enumerate().take(extent * extent) {
        *offset = tap / extent * w + tap % extent;
    }
    let planes = dy.chunks_exact(windows.y_plane()).zip(taps.chunks_exact(windows.y_plane()));
    for (dx, (dy, taps)) in dx.chunks_exact_mut(windows.x_plane()).zip(planes) {
        dx.fill(0.0);
        for (row, (dy, taps)) in dy.chunks_exact(ow).zip(taps.chunks_exact(ow)).enumerate() {
            let dx = &mut dx[2 * row * w..];
            for (col, (dy, tap)) in dy.iter().zip(taps).enumerate() {
                dx[2 * col + offsets[usize::from(tap % 16)]] += dy;
            }
        }
    }
}

/// For windows of 2 x 2: no element is under two of them.
#[inline(always)]
fn backward_apart<S: Simd>(s: S, windows: &Windows, dy: &[f32], taps: &[u8], dx: &mut [f32]) {
    let (w, ow, oh) = (windows.cols.extent, windows.cols.positions, windows.rows.positions);
    let zero = s.splat(0.0);
    for plane in 0..dx.len() / windows.x_plane() {
        let start = plane * windows.x_plane();
        for row in 0..oh {
            let (from, to) = (plane * windows.y_plane() + row * ow, start + 2 * row * w);
            for col in (0..ow).step_by(S::LANES) {
                // The last vector overlaps the one before it rather than run over the end of the row above into the one
                // below; a single one may, since that is written next.
                let col = if ow > S::LANES { col.min(ow - S::LANES) } else { col };
                let (dy, taps) = (&dy[from + col..], &taps[from + col..]);
                let (dy, tap) = if dy.len() >= S::LANES {
                    (s.load(dy), s.load_bytes(taps))
                } else {
                    let mut bytes = [u8::MAX; IMAGES];
                    bytes[..dy.len()].copy_from_slice(&taps[..dy.len()]);
                    (s.load_partial(dy), s.load_bytes(&bytes))
                };
                let dx = &mut dx[to + 2 * col..];
                let left = s.select_eq(tap, s.splat(0.0), dy, zero);
                let right = s.select_eq(tap, s.splat(1.0), dy, zero);
                store_pairs(s, left, right, dx);
                let left = s.select_eq(tap, s.splat(2.0), dy, zero);
                let right = s.select_eq(tap, s.splat(3.0), dy, zero);
                store_pairs(s, left, right, &mut dx[w..]);
            }
            if w > 2 * ow {
                // A column under no window.
                dx[to + 2 * ow] = 0.0;
                dx[to + w + 2 * ow] = 0.0;
            }
        }
        dx[start + 2 * oh * w..start + windows.x_plane()].fill(0.0);
    }
}
