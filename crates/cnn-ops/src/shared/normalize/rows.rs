//! Statistics of rows: consecutive numbers that are normalised together, as in layer and group normalisation.

use super::{Center, Moments};
use crate::shared::work::worth_a_thread;
use cnn_tensor::simd::Level;
use cnn_tensor::{Recycled, Shape, Tensor, parallel};
use std::ops::Range;

/// Elements that make a piece of work worth a thread.
pub(crate) const WORTH_A_THREAD: usize = worth_a_thread(1 << 15);

/// Read by the backward pass of a normalisation by rows: the input, and the statistics of its rows.
#[derive(Clone, Debug)]
pub struct Saved {
    pub(crate) x: Tensor,
    pub(crate) centers: Recycled<Center>,
}

/// One row: its place among the rows, its statistics, and its place among the elements.
pub(crate) struct Row {
    pub index: usize,
    pub center: Center,
    pub elements: Range<usize>,
}

/// Normalises the rows of `row` numbers: `apply(level, row, x, y)` writes one when its statistics are known.
pub(crate) fn forward(
    x: &Tensor,
    row: usize,
    eps: f64,
    apply: impl Fn(Level, &Row, &[f32], &mut [f32]) + Sync + Send,
) -> (Tensor, Saved) {
    let mut y = Tensor::scratch(x.shape());
    let mut centers = Recycled::filled(Moments::default().center(eps), rows(x.shape(), row));
    let (each, level) = (rows_worth_a_thread(row), Level::current());
    let (out, chunk) = (y.data_mut(), each.saturating_mul(row));
    parallel::for_each_chunk_pair((out, chunk), (&mut centers, each), |i, y, centers| {
        for (at, (y, center)) in y.chunks_exact_mut(row).zip(centers).enumerate() {
            let index = i * each + at;
            let elements = index * row..(index + 1) * row;
            let x = &x.data()[elements.clone()];
            *center = Moments::of(level, x).center(eps);
            apply(level, &Row { index, center: *center, elements }, x, y);
        }
    });
    (y, Saved { x: x.clone(), centers })
}

/// `dx`, of which `apply(level, row, dx)` writes the part of each row.
pub(crate) fn backward(
    saved: &Saved,
    row: usize,
    apply: impl Fn(Level, &Row, &mut [f32]) + Sync + Send,
) -> Tensor {
    let mut dx = Tensor::scratch(saved.x.shape());
    let (each, level) = (rows_worth_a_thread(row), Level::current());
    parallel::for_each_chunk(dx.data_mut(), each.saturating_mul(row), |i, dx| {
        for (at, dx) in dx.chunks_exact_mut(row).enumerate() {
            let index = i * each + at;
            let elements = index * row..(index + 1) * row;
            apply(level, &Row { index, center: saved.centers[index], elements }, dx);
        }
    });
    dx
}

fn rows(x: Shape, row: usize) -> usize {
    x.numel().checked_div(row).unwrap_or(0)
}

fn rows_worth_a_thread(row: usize) -> usize {
    WORTH_A_THREAD.div_ceil(row.max(1))
}
