//! A convolution as one of stride 1 and of whole vectors of channels, which Winograd's algorithm takes.
//!
//! Windows `s` pixels apart see the pixels of one phase, those that lie `s` apart, always by the same taps. So each channel
//! becomes `s * s` channels, one for each phase, of planes `s` times as low and narrow, and the window falls into as many
//! parts, `s` times as small. Channels of zeros fill the last vector.
//!
//! ```text
//! x'[n, (ci, a, b), i, j] = x[n, ci, i*s + a - top, j*s + b - left]        0 outside the image
//! w'[co, (ci, a, b), i, j] = w[co, ci, i*s + a, j*s + b]                   0 outside the window
//! y[n, co, oh, ow] = sum over (ci, a, b, i, j) of w' * x'[n, (ci, a, b), oh + i, ow + j]
//! ```
//!
//! AlexNet's first layer, 11 x 11 at stride 4, becomes one of 3 x 3 with 48 channels: 19 % more taps, which are 0, but then
//! a quarter of the multiplications. A layer of 24 channels becomes one of 32.

use super::algorithm::Separate;
use super::every::every;
use super::winograd::{self, Images};
use super::{Conv2d, Extents};
use crate::Padding;
use cnn_tensor::simd::IMAGES;
use cnn_tensor::{Buffer, parallel};
use std::ops::Range;

/// The algorithm of this file.
#[derive(Debug)]
pub(super) struct Polyphase;

impl Separate for Polyphase {
    fn is_possible(&self, e: &Extents) -> bool {
        winograd::is_possible(&of(e))
    }

    fn suits(&self, e: &Extents) -> bool {
        if !self.is_possible(e) {
            return false;
        }
        let phases = of(e);
        // With much padding, or strides beyond the window, the phases are much larger than the image.
        let in_proportion = phases.x_image() <= e.x_image().saturating_mul(2);
        // Multiplications by zeros must be saved as well.
        in_proportion && winograd::suits(&phases) && winograd::saves_a_third(&phases, e.taps())
    }

    fn forward(&self, e: &Extents, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        forward(e, x, weight, bias, y);
    }

    fn weight_gradient(&self, e: &Extents, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
        weight_gradient(e, x, dy, dweight);
    }

    fn input_gradient(&self, e: &Extents, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        input_gradient(e, weight, dy, dx);
    }
}

/// The convolution of stride 1 between the phases.
fn of(e: &Extents) -> Extents {
    let Conv2d { kernel, stride: [sh, sw], .. } = e.options;
    let kernel = [kernel[0].div_ceil(sh), kernel[1].div_ceil(sw)];
    let options = Conv2d { kernel, stride: [1, 1], padding: Padding::default(), ..e.options };
    Extents {
        c_in: e
            .c_in
            .saturating_mul(sh)
            .saturating_mul(sw)
            .checked_next_multiple_of(IMAGES)
            .unwrap_or(usize::MAX),
        h: e.oh.saturating_add(kernel[0] - 1),
        w: e.ow.saturating_add(kernel[1] - 1),
        padding: [[0, 0]; 2],
        options,
        ..*e
    }
}

/// `y = conv(x) + bias`.
fn forward(e: &Extents, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    // The phases of a whole batch would go to the memory and back.
    let some = |images: Range<usize>| {
        let mut phases = Buffer::scratch(images.len() * of(e).x_image());
        for (n, phases) in images.zip(phases.as_mut_slice().chunks_exact_mut(of(e).x_image())) {
            of_image(e, &x[n * e.x_image()..][..e.x_image()], phases);
        }
        Images::Made(phases)
    };
    winograd::forward_of(&of(e), some, of_weight(e, weight).as_slice(), bias, y);
}

/// `dweight += ` the gradient.
fn weight_gradient(e: &Extents, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
    let phases = of(e);
    let mut gradient = Buffer::zeroed(e.c_out * phases.taps());
    winograd::weight_gradient(&phases, of_x(e, x).as_slice(), dy, gradient.as_mut_slice());
    for_each_tap(e, |tap, of_phase| dweight[tap] += gradient.as_slice()[of_phase]);
}

/// The gradient of `x` given `dy`.
fn input_gradient(e: &Extents, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    let phases = of(e);
    let mut gradient = Buffer::scratch(e.n * phases.x_image());
    winograd::input_gradient(&phases, of_weight(e, weight).as_slice(), dy, gradient.as_mut_slice());
    let gradient = gradient.as_slice();
    parallel::for_each_chunk(dx, e.x_image(), |n, dx| {
        let gradient = &gradient[n * phases.x_image()..][..phases.x_image()];
        dx.fill(0.0); // pixels that no window sees
        for_each_row(e, |row, of_phase, cells, stride| {
            let row = &mut dx[row..];
            row.iter_mut().step_by(stride).zip(&gradient[of_phase..][..cells]).for_each(|(dx, &v)| *dx = v);
        });
    });
}

/// The phases of every channel of a batch.
fn of_x(e: &Extents, x: &[f32]) -> Buffer<f32> {
    let image = of(e).x_image();
    let mut phases = Buffer::scratch(e.n * image);
    parallel::for_each_chunk(phases.as_mut_slice(), image, |n, phases| {
        of_image(e, &x[n * e.x_image()..][..e.x_image()], phases);
    });
    phases
}

/// The phases of every channel of an image.
fn of_image(e: &Extents, x: &[f32], phases: &mut [f32]) {
    let mut done = 0;
    for_each_row(e, |row, of_phase, cells, stride| {
        phases[done..of_phase].fill(0.0); // outside the image, and up to here
        done = of_phase + cells;
        every(stride, &x[row..], &mut phases[of_phase..done]);
    });
    phases[done..].fill(0.0);
}

/// The parts of every window.
fn of_weight(e: &Extents, weight: &[f32]) -> Buffer<f32> {
    let mut parts = Buffer::zeroed(e.c_out * of(e).taps());
    for_each_tap(e, |tap, of_phase| parts.as_mut_slice()[of_phase] = weight[tap]);
    parts
}

/// Calls `f` with the place of each weight, and its place among the parts.
fn for_each_tap(e: &Extents, mut f: impl FnMut(usize, usize)) {
    let ([kh, kw], [sh, sw], phases) = (e.options.kernel, e.options.stride, of(e));
    let [ph, pw] = phases.options.kernel;
    let mut tap = 0;
    for co in 0..e.c_out {
        for ci in 0..e.c_in {
            for (row, col) in (0..kh).flat_map(|row| (0..kw).map(move |col| (row, col))) {
                let phase = (ci * sh + row % sh) * sw + col % sw;
                f(tap, co * phases.taps() + (phase * ph + row / sh) * pw + col / sw);
                tap += 1;
            }
        }
    }
}

/// Calls `f(first, of_phase, cells, stride)` for each row of each phase that lies in an image: `cells` pixels, the first at
/// `first` of the image and `stride` apart, are those from `of_phase` on.
fn for_each_row(e: &Extents, mut f: impl FnMut(usize, usize, usize, usize)) {
    let ([sh, sw], [[above, _], [left, _]]) = (e.options.stride, e.padding);
    let Extents { h, w, .. } = of(e);
    for channel in 0..e.c_in {
        for (a, b) in (0..sh).flat_map(|a| (0..sw).map(move |b| (a, b))) {
            let plane = ((channel * sh + a) * sw + b) * h * w;
            // The first column that is not padding, and the columns of the image from there on.
            let first = left.saturating_sub(b).div_ceil(sw);
            let col = first * sw + b - left;
            let cells = e.w.saturating_sub(col).div_ceil(sw).min(w.saturating_sub(first));
            for i in 0..h {
                if let Some(row) = (i * sh + a).checked_sub(above).filter(|&row| row < e.h)
                    && cells > 0
                {
                    f((channel * e.h + row) * e.w + col, plane + i * w + first, cells, sw);
                }
            }
        }
    }
}
