//! Where this algorithm is possible, and where it is the faster one.

use super::tiles::{PIECES, Tiles};
use super::{ELEMENTS, IMAGES};
use crate::conv2d::Extents;
use std::sync::OnceLock;

/// Whether this algorithm is the faster one, and wanted.
pub(in crate::conv2d) fn suits(e: &Extents) -> bool {
    /// Below it, transforms cost more than they save.
    const FEWEST_CHANNELS: usize = 32;
    /// Of one image: below it, transforming the weight costs more.
    const FEWEST_TILES: usize = 16;
    static OFF: OnceLock<bool> = OnceLock::new();
    let off = *OFF.get_or_init(|| std::env::var("CNN_WINOGRAD").is_ok_and(|value| value == "off"));
    if off || !is_possible(e) || e.c_in.min(e.c_out) < FEWEST_CHANNELS {
        return false;
    }
    saves_a_third(e, e.taps()) && (e.n >= PIECES || Tiles::new(e).per_image() >= FEWEST_TILES)
}

/// Whether a third of the multiplications of a sum over `taps` is saved. Tiles that reach beyond the plane are computed in
/// vain.
pub(in crate::conv2d) fn saves_a_third(e: &Extents, taps: usize) -> bool {
    let tiles = 3 * ELEMENTS * Tiles::new(e).per_image();
    taps.saturating_mul(2 * e.y_plane()) >= tiles.saturating_mul(e.c_in)
}

/// Whether this algorithm can compute both the output and the gradient of the input.
pub(in crate::conv2d) fn is_possible(e: &Extents) -> bool {
    let o = e.options;
    let whole_lanes = e.c_in.is_multiple_of(IMAGES) && e.c_out.is_multiple_of(IMAGES);
    let plain = o.stride == [1, 1] && o.dilation == [1, 1] && o.groups == 1;
    let padded = e.padding.as_flattened().iter().all(|&side| side < o.kernel[0]);
    matches!(o.kernel, [3, 3] | [5, 5]) && plain && whole_lanes && padded
}
