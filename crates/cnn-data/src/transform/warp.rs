//! Images read at places between their pixels.

use super::Interpolation;
use crate::Picture;
use cnn_tensor::kernel;
use cnn_tensor::simd::Level;

/// The place in the source, in pixels from the centre of the first pixel, of each pixel of one row of the result.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub x: Vec<f32>,
    pub y: Vec<f32>,
}

/// A linear map of places and a shift: `x' = a x + b y + c`, `y' = d x + e y + f`, as `[a, b, c, d, e, f]`.
pub(super) type Matrix = [f64; 6];

/// The image of height and width `size` whose pixel `(x, y)` is read at the place that `places(y, row)` writes to `x` and `y` of its
/// row. Outside of the source everything is `fill`, and so it is interpolated.
pub(crate) fn warp(
    picture: &Picture<'_>,
    interpolation: Interpolation,
    fill: u8,
    size: [usize; 2],
    mut places: impl FnMut(usize, &mut Places),
) -> Picture<'static> {
    let [c, h, w] = picture.shape();
    // The planes, each with a margin of `fill` that is one pixel wide at the left and the top, two at the right and the bottom:
    // places outside of the image are moved into the margin, and none needs a branch.
    let (stride, rows) = (w + 3, h + 3);
    let mut framed = vec![fill; c * rows * stride];
    for (channel, plane) in framed.chunks_exact_mut(rows * stride).enumerate() {
        let inner = plane[stride..].chunks_exact_mut(stride);
        for (to, from) in inner.zip(picture.plane(channel).chunks_exact(w)) {
            to[1..=w].copy_from_slice(from);
        }
    }
    let [height, width] = size;
    let mut warped = Picture::filled([c, height, width], 0);
    let mut row = Places { x: vec![0.0; width], y: vec![0.0; width] };
    let (mut first, level) = (vec![0; width], Level::current());
    for y in 0..height {
        places(y, &mut row);
        let nearest = interpolation == Interpolation::Nearest;
        locate(level, nearest, [w, h].map(|v| v as f32), stride as u32, &mut row.x, &mut row.y, &mut first);
        for (channel, plane) in framed.chunks_exact(rows * stride).enumerate() {
            let start = (channel * height + y) * width;
            let out = &mut warped.data_mut()[start..start + width];
            if nearest {
                out.iter_mut().zip(&first).for_each(|(out, &at)| *out = plane[at as usize]);
            } else {
                read(plane, stride, &first, &row, out);
            }
        }
    }
    warped
}

kernel! {
    /// Of each place, which becomes its distances from the pixel to its upper left, that pixel's index in a framed plane. With
    /// `nearest`, places are moved to the pixel that is nearest; half way between two, to the even one.
    fn locate<S>(_s, nearest: bool, size: [f32; 2], stride: u32, x: &mut [f32], y: &mut [f32], first: &mut [u32]) {
        let [w, h] = size;
        if nearest {
            x.iter_mut().for_each(|x| *x = x.round_ties_even());
            y.iter_mut().for_each(|y| *y = y.round_ties_even());
        }
        for ((x, y), first) in x.iter_mut().zip(y).zip(first) {
            // From the first pixel of the margin, never below 0: cutting the fraction off rounds down.
            let (from_left, from_top) = ((*x + 1.0).clamp(0.0, w + 1.0), (*y + 1.0).clamp(0.0, h + 1.0));
            let (column, row) = (from_left as i32, from_top as i32);
            *first = row as u32 * stride + column as u32;
            *x = from_left - column as f32;
            *y = from_top - row as f32;
        }
    }
}

/// One row, bilinearly: places as `locate` leaves them.
fn read(plane: &[u8], stride: usize, first: &[u32], places: &Places, out: &mut [u8]) {
    let below = &plane[stride..];
    for (((out, &first), &x), &y) in out.iter_mut().zip(first).zip(&places.x).zip(&places.y) {
        let first = first as usize;
        let pair = |plane: &[u8]| -> [f32; 2] { [plane[first], plane[first + 1]].map(f32::from) };
        let ([a, b], [c, d]) = (pair(plane), pair(below));
        let (top, bottom) = (a + x * (b - a), c + x * (d - c));
        // At least 0: all weights are.
        *out = (top + y * (bottom - top) + 0.5) as u8;
    }
}

/// The places of row `y` under a map whose origin is the middle of an image of height `h` and width `w`.
pub(super) fn map_row(matrix: &Matrix, [h, w]: [usize; 2], y: usize, row: &mut Places) {
    let [a, b, c, d, e, f] = *matrix;
    let (middle_x, middle_y) = ((w as f64 - 1.0) / 2.0, (h as f64 - 1.0) / 2.0);
    let y = y as f64 - middle_y;
    let (start_x, start_y) = (b * y + c + middle_x, e * y + f + middle_y);
    for (i, (px, py)) in row.x.iter_mut().zip(&mut row.y).enumerate() {
        let x = i as f64 - middle_x;
        *px = (a * x + start_x) as f32;
        *py = (d * x + start_y) as f32;
    }
}
