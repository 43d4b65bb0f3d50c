//! How output planes are cut: into tiles, rows of tiles, and blocks of rows.

use super::{ELEMENTS, IMAGES, INPUT, PAD};
use crate::conv2d::Extents;
use cnn_tensor::Buffer;
use std::ops::Range;

/// Tiles of a block: their numbers stay in the caches between one step and the next.
const TILES: usize = if cfg!(test) { 11 } else { 48 };

/// Pieces of work that are enough for a few threads.
pub(super) const PIECES: usize = 4;

/// How output planes are cut.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pub rows: usize,
    pub cols: usize,
    /// Rows and columns of the output that a tile makes.
    pub output: usize,
}

impl Tiles {
    pub fn new(e: &Extents) -> Self {
        let output = INPUT + 1 - e.options.kernel[0];
        Self { rows: e.oh.div_ceil(output), cols: e.ow.div_ceil(output), output }
    }

    pub fn per_image(self) -> usize {
        self.rows * self.cols
    }

    /// Whole rows of tiles that make a block.
    pub fn rows_per_block(self) -> usize {
        (TILES / self.cols).max(1)
    }

    /// The blocks that `rows` rows of tiles are cut into.
    pub fn blocks(self, rows: usize) -> impl Iterator<Item = Range<usize>> {
        let step = self.rows_per_block();
        (0..rows).step_by(step).map(move |first| first..rows.min(first + step))
    }

    /// Numbers that a transform makes of the largest block.
    pub fn inputs_per_block(self, c_in: usize) -> usize {
        ELEMENTS * (self.rows_per_block() * self.cols * c_in + PAD)
    }

    /// Room for what a row of tiles sees, or writes, of 16 channels.
    pub fn room_for_rows(self) -> Buffer<f32> {
        Buffer::scratch(INPUT * (self.output * (self.cols - 1) + INPUT) * IMAGES)
    }

    /// Images that a thread takes at a time: enough for a block, but few enough to leave work for every thread.
    pub fn images_per_piece(self, e: &Extents) -> usize {
        TILES.div_ceil(self.per_image()).min(e.n / PIECES).max(1)
    }
}
