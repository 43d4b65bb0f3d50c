//! Convolution as matrix products: the windows of an image unrolled to the columns of a matrix.
//!
//! `columns[(ci, kh, kw), (oh, ow)]` is the input element under tap `(ci, kh, kw)` of window `(oh, ow)`, or 0 outside the
//! image. Then, for each image and group:
//!
//! ```text
//! y       = weight   * columns       (c_out, taps) x (taps, oh*ow)
//! dweight = dy       * columns^T     (c_out, oh*ow) x (oh*ow, taps)
//! columns'= weight^T * dy            (taps, c_out) x (c_out, oh*ow), added back under the windows to give dx
//! ```

use super::Extents;
use cnn_tensor::{Buffer, MatMut, MatRef, gemm, parallel, vector};

/// The weight's gradient is summed in this many parts of the batch at most, whatever the number of threads.
const PARTS: usize = 8;

/// `y = conv(x) + bias`.
pub(super) fn forward(e: Extents, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let (taps, plane) = (e.taps(), e.oh * e.ow);
    if e.is_empty() {
        return;
    }
    parallel::for_each_chunk(y, e.y_image(), |n, y| {
        match bias {
            None => y.fill(0.0),
            Some(bias) => y.chunks_exact_mut(plane).zip(bias).for_each(|(plane, &bias)| plane.fill(bias)),
        }
        let mut columns = Buffer::scratch(taps * plane);
        for (g, y) in y.chunks_exact_mut(e.c_out * plane).enumerate() {
            unroll(&e, group_of(&e, x, n, g), columns.as_mut_slice());
            let weight = MatRef::new(&weight[g * e.c_out * taps..][..e.c_out * taps], e.c_out, taps);
            let columns = MatRef::new(columns.as_slice(), taps, plane);
            gemm(1.0, weight, columns, 1.0, MatMut::new(y, e.c_out, plane)); // (c_out, taps) x (taps, oh*ow)
        }
    });
}

/// Adds the weight's gradient into `dweight` and writes the input's to `dx`, if wanted. Neither input nor output is
/// empty.
pub(super) fn backward(
    e: Extents,
    x: &[f32],
    weight: &[f32],
    dy: &[f32],
    dweight: &mut [f32],
    dx: Option<&mut [f32]>,
) {
    let part = e.n.div_ceil(PARTS);
    let mut sums = vec![Buffer::<f32>::scratch(0); e.n.div_ceil(part)];
    let sum_part = |i: usize| {
        let mut sum = Buffer::zeroed(dweight.len());
        (i * part..e.n.min((i + 1) * part))
            .for_each(|n| add_weight_gradient(&e, x, dy, n, sum.as_mut_slice()));
        sum
    };
    match dx {
        None => parallel::for_each(&mut sums, |i, sum| *sum = sum_part(i)),
        Some(dx) => parallel::for_each_chunk_pair((&mut sums, 1), (dx, part * e.x_image()), |i, sum, dx| {
            sum[0] = sum_part(i);
            for (image, dx) in dx.chunks_exact_mut(e.x_image()).enumerate() {
                input_gradient(&e, weight, dy, i * part + image, dx);
            }
        }),
    }
    for sum in &sums {
        vector::axpy(1.0, sum.as_slice(), dweight);
    }
}

/// `dweight += dy * columns^T` of image `n`.
fn add_weight_gradient(e: &Extents, x: &[f32], dy: &[f32], n: usize, dweight: &mut [f32]) {
    let (taps, plane) = (e.taps(), e.oh * e.ow);
    let mut columns = Buffer::scratch(taps * plane);
    for g in 0..e.options.groups {
        unroll(e, group_of(e, x, n, g), columns.as_mut_slice());
        let dy = MatRef::new(dy_of(e, dy, n, g), e.c_out, plane);
        let columns = MatRef::new(columns.as_slice(), taps, plane);
        let dweight = MatMut::new(&mut dweight[g * e.c_out * taps..][..e.c_out * taps], e.c_out, taps);
        gemm(1.0, dy, columns.t(), 1.0, dweight); // (c_out, oh*ow) x (oh*ow, taps)
    }
}

/// `dx` of image `n`.
fn input_gradient(e: &Extents, weight: &[f32], dy: &[f32], n: usize, dx: &mut [f32]) {
    let (taps, plane) = (e.taps(), e.oh * e.ow);
    let mut columns = Buffer::scratch(taps * plane);
    for (g, dx) in dx.chunks_exact_mut(e.c_in * e.h * e.w).enumerate() {
        let weight = MatRef::new(&weight[g * e.c_out * taps..][..e.c_out * taps], e.c_out, taps);
        let dy = MatRef::new(dy_of(e, dy, n, g), e.c_out, plane);
        gemm(1.0, weight.t(), dy, 0.0, MatMut::new(columns.as_mut_slice(), taps, plane)); // (taps, c_out) x (c_out, oh*ow)
        roll_up(e, columns.as_slice(), dx);
    }
}

/// The channels of `x` that group `g` of image `n` sees.
fn group_of<'a>(e: &Extents, x: &'a [f32], n: usize, g: usize) -> &'a [f32] {
    let group = e.c_in * e.h * e.w;
    &x[n * e.x_image() + g * group..][..group]
}

/// The channels of `dy` that group `g` of image `n` made.
fn dy_of<'a>(e: &Extents, dy: &'a [f32], n: usize, g: usize) -> &'a [f32] {
    let group = e.c_out * e.oh * e.ow;
    &dy[n * e.y_image() + g * group..][..group]
}

/// Fills `columns` from the channels of one group.
fn unroll(e: &Extents, x: &[f32], columns: &mut [f32]) {
    for_each_row(e, |row, input| {
        let row = &mut columns[row..row + e.ow];
        row.fill(0.0);
        if let Some(Run { outputs, first }) = input {
            let inputs = x[first..].iter().step_by(e.options.stride[1]);
            row[outputs].iter_mut().zip(inputs).for_each(|(column, &x)| *column = x);
        }
    });
}

/// The transpose of [`unroll`]: adds every column's elements up where they came from.
fn roll_up(e: &Extents, columns: &[f32], dx: &mut [f32]) {
    dx.fill(0.0);
    for_each_row(e, |row, input| {
        if let Some(Run { outputs, first }) = input {
            let inputs = dx[first..].iter_mut().step_by(e.options.stride[1]);
            columns[row..row + e.ow][outputs].iter().zip(inputs).for_each(|(column, dx)| *dx += column);
        }
    });
}

/// The outputs of a row whose tap lies inside the image, and the input element under the first of them.
struct Run {
    outputs: std::ops::Range<usize>,
    first: usize,
}

/// Calls `f(start, run)` for every run of `ow` elements of the columns, where `start` is its first element.
fn for_each_row(e: &Extents, mut f: impl FnMut(usize, Option<Run>)) {
    let [kh_count, kw_count] = e.options.kernel;
    let (mut start, [sh, sw]) = (0, e.options.stride);
    for ci in 0..e.c_in {
        for kh in 0..kh_count {
            for kw in 0..kw_count {
                // Column ow looks at input column ow*sw + shift - pad: inside for first_ow <= ow < end_ow.
                let (shift, pad) = (kw * e.options.dilation[1], e.options.padding[1]);
                let first_ow = pad.saturating_sub(shift).div_ceil(sw).min(e.ow);
                let end_ow = (e.w + pad).saturating_sub(shift).div_ceil(sw).clamp(first_ow, e.ow);
                for oh in 0..e.oh {
                    let ih = (oh * sh + kh * e.options.dilation[0]).checked_sub(e.options.padding[0]);
                    let run = ih.filter(|&ih| ih < e.h && first_ow < end_ow).map(|ih| Run {
                        outputs: first_ow..end_ow,
                        first: (ci * e.h + ih) * e.w + first_ow * sw + shift - pad,
                    });
                    f(start, run);
                    start += e.ow;
                }
            }
        }
    }
}
