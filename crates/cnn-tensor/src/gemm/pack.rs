//! Packing: copies of the factors in the order in which tiles read them.

use super::extents::{TERMS, VECTORS, strips, tile_extents};
use super::matrix::Factor;
use crate::Buffer;
use crate::simd::{Level, Simd};
use std::ops::Range;

/// Packs some terms of some rows of the left factor, the first of which begins a strip. The packed factor is strip after strip
/// ([`strips`]), each of layout `[terms / 16][row][16 terms]`, so that rows are copied 16 terms at a time. The padding of the
/// last 16 terms is not written.
pub(super) fn pack_left(
    level: Level,
    a: &Factor<'_>,
    terms: Range<usize>,
    rows: Range<usize>,
    packed: &mut [f32],
) {
    let (stored, transposed) = a.stored();
    let length = terms.len().next_multiple_of(TERMS);
    let mut scratch = Buffer::scratch(if transposed { rows.len() } else { terms.len() });
    let [tallest, _] = tile_extents(level);
    if transposed {
        for (term, at) in terms.zip(0..) {
            let row = stored.row(term, rows.clone(), scratch.as_mut_slice());
            for (first, height) in strips(rows.len(), tallest) {
                let group = &mut packed[first * length + at / TERMS * height * TERMS..][..height * TERMS];
                for (slot, &a) in group[at % TERMS..].iter_mut().step_by(TERMS).zip(&row[first..]) {
                    *slot = a;
                }
            }
        }
        return;
    }
    for (first, height) in strips(rows.len(), tallest) {
        let strip = &mut packed[first * length..][..height * length];
        for i in 0..height {
            let row = stored.row(rows.start + first + i, terms.clone(), scratch.as_mut_slice());
            let (whole, rest) = row.as_chunks::<TERMS>();
            let mut groups =
                strip.chunks_exact_mut(height * TERMS).map(|group| &mut group[i * TERMS..][..TERMS]);
            for (a, group) in whole.iter().zip(&mut groups) {
                group.copy_from_slice(a);
            }
            if let Some(group) = groups.next() {
                group[..rest.len()].copy_from_slice(rest);
            }
        }
    }
}

/// Packs some terms of some columns of the right factor. The packed factor is panel after panel, each of [`VECTORS`] vectors of
/// columns and of layout `[term][column]`. The last panel is as narrow as whole vectors allow, with zeros for missing columns.
#[inline(always)]
pub(super) fn pack_right<S: Simd>(
    s: S,
    b: &Factor<'_>,
    terms: Range<usize>,
    cols: Range<usize>,
    packed: &mut [f32],
) {
    let (rows, transposed) = b.stored();
    let panel = VECTORS * S::LANES;
    let wide = |columns: usize| columns.min(panel).next_multiple_of(S::LANES);
    if transposed {
        let mut scratch = Buffer::scratch(S::LANES * terms.len());
        let starts = cols.clone().step_by(panel);
        let panels = packed.chunks_mut((panel * terms.len()).max(1));
        for (start, packed) in starts.zip(panels) {
            let width = wide(cols.end - start);
            for vector in (0..width).step_by(S::LANES) {
                let first = start + vector;
                let mut sources: [&[f32]; 16] = [&[]; 16];
                let count = S::LANES.min(cols.end - first);
                let scratches = scratch.as_mut_slice().chunks_mut(terms.len().max(1));
                for (i, (source, scratch)) in sources[..count].iter_mut().zip(scratches).enumerate() {
                    *source = rows.row(first + i, terms.clone(), scratch);
                }
                s.transpose(&sources[..count], &mut packed[vector.min(terms.len() * vector)..], width);
            }
        }
        return;
    }
    let mut scratch = Buffer::scratch(cols.len());
    let whole = cols.len() / panel;
    for (term, at) in terms.clone().zip(0..) {
        let row = rows.row(term, cols.clone(), scratch.as_mut_slice());
        let (first, rest) = row.split_at(whole * panel);
        for (i, b) in first.chunks_exact(panel).enumerate() {
            let slot = &mut packed[(i * terms.len() + at) * panel..][..panel];
            for (b, slot) in b.chunks_exact(S::LANES).zip(slot.chunks_exact_mut(S::LANES)) {
                s.store(s.load(b), slot);
            }
        }
        let slot = &mut packed[whole * panel * terms.len() + at * wide(rest.len())..];
        for (b, slot) in rest.chunks(S::LANES).zip(slot.chunks_exact_mut(S::LANES)) {
            s.store(s.load_partial(b), slot);
        }
    }
}
