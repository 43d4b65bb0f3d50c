//! The weight, transformed.

use super::transforms::{Five, Three, Window, both_sides};
use super::{ELEMENTS, IMAGES, INPUT};
use crate::conv2d::Extents;
use cnn_tensor::Buffer;
use cnn_tensor::packed::panel;
use cnn_tensor::simd::Simd;

cnn_tensor::kernel! {
    /// Transforms the weights of some output channels, from `first` on: `[element]`, and in each a right factor `(c_in,
    /// channels)` of a product, packed.
    pub(super) fn pack_weight<S>(s, e: &Extents, weight: &[f32], first: usize, packed: &mut [f32]) {
        let count = packed.len() / (ELEMENTS * e.c_in);
        let weight = &weight[first * e.taps()..][..count * e.taps()];
        by_window!(e, pack_weight_of::<S>(s, e.c_in, weight, packed))
    }
}

#[inline(always)]
fn pack_weight_of<S: Simd, W: Window>(s: S, c_in: usize, weight: &[f32], packed: &mut [f32]) {
    let window = W::SIZE * W::SIZE;
    let taps = c_in * window;
    let count = weight.len() / taps;
    let mut lanes = Buffer::scratch(taps * S::LANES);
    for first in (0..count).step_by(S::LANES) {
        let mut rows: [&[f32]; IMAGES] = [&[]; IMAGES];
        let rows = &mut rows[..S::LANES];
        rows.iter_mut()
            .zip(weight[first * taps..].chunks_exact(taps))
            .for_each(|(row, weight)| *row = weight);
        s.transpose(rows, lanes.as_mut_slice(), S::LANES);
        let (panel_start, inside) = (first / panel::<S>() * panel::<S>(), first % panel::<S>());
        let width = panel::<S>().min(count - panel_start);
        for (ci, window) in lanes.as_slice().chunks_exact(window * S::LANES).enumerate() {
            let at = panel_start * c_in + ci * width + inside;
            let w = |i: usize, j: usize| s.load(&window[(i * W::SIZE + j) * S::LANES..]);
            both_sides::<S, W::G>(s, w, |i, j, v| {
                s.store(v, &mut packed[(i * INPUT + j) * c_in * count + at..])
            });
        }
    }
}
