//! Channels of a row of tiles into the lanes, and back to an image.

use super::tiles::Tiles;
use super::transforms::Window;
use super::{IMAGES, INPUT};
use crate::conv2d::Extents;
use cnn_tensor::simd::Simd;

/// Planes of pixels, of which a tile sees some rows and columns.
#[derive(Clone, Copy)]
pub(super) struct Planes<'a> {
    pixels: &'a [f32],
    h: usize,
    w: usize,
    /// Zeros `[above, left]`.
    padding: [usize; 2],
    /// Rows and columns that a tile sees.
    seen: usize,
    /// Rows and columns from one tile to the next.
    step: usize,
}

impl<'a> Planes<'a> {
    /// The channels of an image of `x`.
    pub fn of_x<W: Window>(e: &Extents, x: &'a [f32], image: usize) -> Self {
        let pixels = &x[image * e.x_image()..][..e.x_image()];
        Self {
            pixels,
            h: e.h,
            w: e.w,
            padding: [e.padding[0][0], e.padding[1][0]],
            seen: INPUT,
            step: W::OUTPUT,
        }
    }

    /// The channels of an image of `dy`.
    pub fn of_dy<W: Window>(e: &Extents, dy: &'a [f32], image: usize) -> Self {
        let pixels = &dy[image * e.y_image()..][..e.y_image()];
        Self { pixels, h: e.oh, w: e.ow, padding: [0, 0], seen: W::OUTPUT, step: W::OUTPUT }
    }
}

/// Brings what a row of tiles sees of 16 channels into the lanes, with zeros outside the planes.
#[inline(always)]
pub(super) fn enter<S: Simd>(s: S, planes: &Planes<'_>, channel: usize, tile_row: usize, rows: &mut [f32]) {
    let Planes { pixels, h, w, padding: [above, left], seen, step } = *planes;
    let width = rows.len() / seen;
    for (row, out) in rows.chunks_exact_mut(width).enumerate() {
        let Some(row) = (tile_row * step + row).checked_sub(above).filter(|&row| row < h) else {
            clear(s, out);
            continue;
        };
        // No tile sees the columns beyond the last one.
        let count = w.min(width / IMAGES - left);
        clear(s, &mut out[..left * IMAGES]);
        clear(s, &mut out[(left + count) * IMAGES..]);
        s.images_to_lanes(&pixels[(channel * h + row) * w..], h * w, count, &mut out[left * IMAGES..]);
    }
}

/// Makes zeros of whole vectors: mostly so few that a call would cost more.
#[inline(always)]
fn clear<S: Simd>(s: S, vectors: &mut [f32]) {
    for vector in vectors.chunks_exact_mut(S::LANES) {
        s.store(s.splat(0.0), vector);
    }
}

/// Writes a row of tiles of 16 channels to an image, but for the part beyond its plane.
#[inline(always)]
pub(super) fn leave<S: Simd, W: Window>(
    s: S,
    e: &Extents,
    rows: &[f32],
    channel: usize,
    tile_row: usize,
    y: &mut [f32],
) {
    let width = Tiles::new(e).cols * W::OUTPUT * IMAGES;
    for (row, rows) in rows.chunks_exact(width).take(W::OUTPUT).enumerate() {
        let oh = tile_row * W::OUTPUT + row;
        if oh < e.oh {
            let y = &mut y[channel * e.y_plane() + oh * e.ow..];
            s.lanes_to_images(rows, e.ow, y, e.y_plane());
        }
    }
}
