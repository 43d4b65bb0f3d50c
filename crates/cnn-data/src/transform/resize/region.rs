//! A part of a resized image, without the rest of it.
//!
//! The resizer takes a rectangle of the source, but its numbers depend on where that begins. So the weights are computed here
//! as it computes them for the whole image, and the sums in whole numbers: the pixels are the same, bit for bit.
//!
//! Source of the weights: the `fast_image_resize` package, which has them from Pillow.

use crate::Picture;
use crate::transform::Interpolation;
use std::ops::Range;

/// The part of height and width `size` at `corner`, `[y, x]`, of `picture` resized to `target`.
pub(super) fn region(
    picture: &Picture<'_>,
    target: [usize; 2],
    corner: [usize; 2],
    size: [usize; 2],
    interpolation: Interpolation,
) -> Picture<'static> {
    let [c, h, w] = picture.shape();
    let part = |axis: usize| corner[axis]..corner[axis] + size[axis];
    let down = Axis::new(h, target[0], part(0), interpolation);
    let across = Axis::new(w, target[1], part(1), interpolation);
    let (rows, columns) = (down.source(), across.source());
    let mut region = Picture::filled([c, size[0], size[1]], 0);
    for (channel, out) in region.data_mut().chunks_exact_mut(size[0] * size[1]).enumerate() {
        let plane = picture.plane(channel);
        if interpolation == Interpolation::Bicubic {
            let mut between = vec![0; rows.len() * size[1]];
            let needed = &plane[rows.start * w..rows.end * w];
            across.along_rows(needed, w, 0, &mut between);
            down.along_columns(&between, size[1], 0..size[1], rows.start, out);
        } else {
            let mut between = vec![0; size[0] * columns.len()];
            down.along_columns(plane, w, columns.clone(), 0, &mut between);
            across.along_rows(&between, columns.len(), columns.start, out);
        }
    }
    region
}

/// The weights along one axis, in parts of `2^precision`.
struct Axis {
    precision: u32,
    /// For each new pixel of the part, the first pixel that it is made of, and the weights.
    pixels: Vec<(usize, Vec<i16>)>,
}

impl Axis {
    fn new(from: usize, to: usize, part: Range<usize>, interpolation: Interpolation) -> Self {
        if from == to {
            return Self { precision: 1, pixels: part.map(|at| (at, vec![2])).collect() };
        }
        let mut most = 0.0f64;
        let mut weights = Vec::with_capacity(part.len());
        let mut buffer = Vec::new();
        for at in 0..to {
            let start = weigh(from, to, at, interpolation, &mut buffer);
            // One precision serves all pixels, those beside the part as well.
            most = buffer.iter().copied().fold(most, f64::max);
            if part.contains(&at) {
                weights.push((start, buffer.clone()));
            }
        }
        let fits = |precision: u32| (most * f64::from(1 << precision)).round() < 32768.0;
        let precision = (0..21).find(|&precision| !fits(precision + 1)).unwrap_or(21);
        let scale = f64::from(1 << precision);
        let whole =
            |weights: Vec<f64>| weights.iter().map(|&weight| (weight * scale).round() as i16).collect();
        Self {
            precision,
            pixels: weights.into_iter().map(|(start, weights)| (start, whole(weights))).collect(),
        }
    }

    /// The pixels that the part is made of.
    fn source(&self) -> Range<usize> {
        let start = self.pixels.iter().map(|&(start, _)| start).min().unwrap_or(0);
        let end = self.pixels.iter().map(|(start, weights)| start + weights.len()).max().unwrap_or(0);
        start..end.max(start)
    }

    fn rounded(&self, sum: i32) -> u8 {
        (sum >> self.precision).clamp(0, 255) as u8
    }

    /// New rows of the pixels `columns` of rows of `width`, the first of which is row `first` of the image.
    fn along_columns(&self, plane: &[u8], width: usize, columns: Range<usize>, first: usize, out: &mut [u8]) {
        let mut sums = vec![0i32; columns.len()];
        for ((start, weights), out) in self.pixels.iter().zip(out.chunks_exact_mut(columns.len())) {
            sums.fill(1 << (self.precision - 1));
            for (row, &weight) in (start - first..).zip(weights) {
                let row = &plane[row * width..][columns.clone()];
                sums.iter_mut().zip(row).for_each(|(sum, &v)| *sum += i32::from(v) * i32::from(weight));
            }
            out.iter_mut().zip(&sums).for_each(|(to, &sum)| *to = self.rounded(sum));
        }
    }

    /// New pixels of rows of `width`, the first of which is column `first` of the image.
    fn along_rows(&self, plane: &[u8], width: usize, first: usize, out: &mut [u8]) {
        for (row, out) in plane.chunks_exact(width).zip(out.chunks_exact_mut(self.pixels.len())) {
            for ((start, weights), to) in self.pixels.iter().zip(out) {
                let pixels = row[start - first..].iter().zip(weights);
                let sum: i32 = pixels.map(|(&v, &weight)| i32::from(v) * i32::from(weight)).sum();
                *to = self.rounded(sum + (1 << (self.precision - 1)));
            }
        }
    }
}

/// Puts the weights of new pixel `at` into `weights`, without zeros at their ends, and gives the pixel that the first is for.
fn weigh(from: usize, to: usize, at: usize, filter: Interpolation, weights: &mut Vec<f64>) -> usize {
    // Each number is computed in the resizer's own order, so that it is rounded alike.
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = match filter {
        Interpolation::Area => 0.5,
        Interpolation::Bicubic => 2.0,
        _ => 1.0,
    };
    let radius = support * stretch;
    let inverse = 1.0 / stretch;
    let middle = 0.0 + (at as f64 + 0.5) * scale;
    let least = (middle - radius).floor().max(0.0) as usize;
    let beyond = (middle + radius).ceil().min(from as f64) as usize;
    let centre = middle - 0.5;
    weights.clear();
    let mut start = least;
    let mut sum = 0.0;
    for x in least..beyond {
        let weight = bell(filter, (x as f64 - centre) * inverse);
        if x == start && weight == 0.0 {
            start += 1;
        } else {
            weights.push(weight);
            sum += weight;
        }
    }
    while weights.last() == Some(&0.0) {
        weights.pop();
    }
    if sum != 0.0 {
        weights.iter_mut().for_each(|weight| *weight /= sum);
    }
    start
}

fn bell(filter: Interpolation, x: f64) -> f64 {
    let d = x.abs();
    match filter {
        Interpolation::Area => f64::from(u8::from(x > -0.5 && x <= 0.5)),
        Interpolation::Bicubic if d < 1.0 => (1.5 * d - 2.5) * d * d + 1.0,
        Interpolation::Bicubic if d < 2.0 => (((d - 5.0) * d + 8.0) * d - 4.0) * -0.5,
        Interpolation::Bicubic => 0.0,
        _ if d < 1.0 => 1.0 - d,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::resize;
    use super::*;
    use cnn_tensor::Random;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        #[test]
        fn it_is_the_part_of_the_whole_bit_for_bit(
            ([c, h, w], seed) in ([1..5usize, 1..60usize, 1..60usize], any::<u64>()),
            target in prop_oneof![[1..60usize, 1..60usize], [1..9usize, 1..400usize], [1..400usize, 1..9usize]],
            corner in [any::<prop::sample::Index>(), any::<prop::sample::Index>()],
            size in [any::<prop::sample::Index>(), any::<prop::sample::Index>()],
            same in prop_oneof![4 => Just(2usize), 1 => Just(0), 1 => Just(1)],
            filter in prop::sample::select(vec![Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Area]),
        ) {
            let mut target = target;
            if same < 2 {
                target[same] = [h, w][same];
            }
            let mut random = Random::new(seed, &[]);
            let data: Vec<u8> = (0..c * h * w).map(|_| random.below(256) as u8).collect();
            let picture = Picture::new([c, h, w], data).unwrap();
            let corner: [usize; 2] = std::array::from_fn(|axis| corner[axis].index(target[axis]));
            let size: [usize; 2] = std::array::from_fn(|axis| 1 + size[axis].index(target[axis] - corner[axis]));
            let whole = resize(&picture, ([0, 0], [h, w]), target, filter).unwrap();
            let want = crate::transform::window::crop(&whole, corner, size);
            prop_assert_eq!(region(&picture, target, corner, size, filter), want);
        }
    }
}
