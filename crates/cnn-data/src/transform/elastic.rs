//! Images as if printed on rubber.

use super::affine::unit_scale;
use super::options::{about_0, setting, shear};
use super::warp::{map_row, warp};
use super::{Interpolation, RandomAffine, Transform};
use crate::{DataError, Picture};
use cnn_tensor::simd::Level;
use cnn_tensor::{Random, kernel};
use serde::{Deserialize, Serialize};

/// Moves every pixel a little, its neighbours about alike: elastic distortions, what the best convolutional networks for MNIST
/// were trained with.
///
/// The shifts along x and along y are each a field of numbers uniform in (-1, 1), one for each pixel, smoothed by a Gaussian
/// of standard deviation `sigma` pixels (cut off at 4 `sigma`, and reflected at the image's edges), times `alpha` pixels. Far
/// from the edges their standard deviation is `0.163 alpha / sigma` pixels: 1.4 with the defaults, which are the paper's for
/// MNIST. A smaller `sigma` gives ragged lines, a larger one shifts the whole image.
///
/// An affine map may be composed with it, as if [`RandomAffine`] with these options came before; the image is read once, so that it
/// is blurred once.
///
/// In torchvision's `ElasticTransform`, `alpha` counts half pixels: its 50 is 25 here.
///
/// ```
/// use cnn_data::transform::{ElasticTransform, Transform};
/// use cnn_data::Picture;
/// let elastic: ElasticTransform = serde_json::from_str(r#"{"degrees": 10, "scale": [0.9, 1.1]}"#).unwrap();
/// assert_eq!((elastic.alpha, elastic.sigma), (34.0, 4.0));
/// let mut stripes = Picture::filled([1, 28, 28], 0);
/// stripes.data_mut().chunks_exact_mut(4).for_each(|pixels| pixels[0] = 255);
/// let distorted = elastic.apply(stripes.clone(), &mut cnn_tensor::Random::new(0, &[]))?;
/// assert_ne!(distorted, stripes);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// Source: P. Simard, D. Steinkraus, J. Platt, "Best Practices for Convolutional Neural Networks Applied to Visual Document
/// Analysis", ICDAR 2003, section 2.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ElasticTransform {
    /// How far pixels move: the factor of the smoothed field, in pixels.
    pub alpha: f32,
    /// How far the smoothing reaches, in pixels; at most 256.
    pub sigma: f32,
    /// As in [`RandomAffine`]; none by default.
    #[serde(deserialize_with = "about_0")]
    pub degrees: [f32; 2],
    /// As in [`RandomAffine`]; none by default.
    pub translate: [f32; 2],
    /// As in [`RandomAffine`]; none by default.
    pub scale: [f32; 2],
    /// As in [`RandomAffine`]; none by default.
    #[serde(deserialize_with = "shear")]
    pub shear: [f32; 4],
    /// How pixels are read, bilinear by default.
    pub interpolation: Interpolation,
    /// The shade outside of the image, black by default.
    pub fill: u8,
}

impl Default for ElasticTransform {
    /// The paper's for MNIST, without an affine map.
    fn default() -> Self {
        Self {
            alpha: 34.0,
            sigma: 4.0,
            degrees: [0.0; 2],
            translate: [0.0; 2],
            scale: unit_scale(),
            shear: [0.0; 4],
            interpolation: Interpolation::Bilinear,
            fill: 0,
        }
    }
}

const MAX_ALPHA: f32 = 1e6;
const MAX_SIGMA: f32 = 256.0;

impl ElasticTransform {
    fn affine(&self) -> RandomAffine {
        let Self { alpha: _, sigma: _, degrees, translate, scale, shear, interpolation, fill } = *self;
        RandomAffine { degrees, translate, scale, shear, interpolation, fill }
    }
}

impl Transform for ElasticTransform {
    fn validate(&self) -> Result<(), DataError> {
        if !(0.0..=MAX_ALPHA).contains(&self.alpha) {
            return Err(setting(
                "alpha of an elastic transform",
                format!("from 0 to {MAX_ALPHA}"),
                self.alpha,
            ));
        }
        if !(0.0..=MAX_SIGMA).contains(&self.sigma) {
            return Err(setting(
                "sigma of an elastic transform",
                format!("from 0 to {MAX_SIGMA}"),
                self.sigma,
            ));
        }
        self.affine().validate()
    }

    fn apply<'a>(&self, picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        let [_, h, w] = picture.shape();
        let matrix = self.affine().draw([h, w], random).inverse();
        let [a, b, _, c, d, _] = matrix.map(|v| v as f32);
        let shifts = shifts(self.alpha, self.sigma, [h, w], random);
        Ok(warp(&picture, self.interpolation, self.fill, [h, w], |y, row| {
            map_row(&matrix, [h, w], y, row);
            let (dx, dy) = shifts[y * 2 * w..(y + 1) * 2 * w].split_at(w);
            for ((x, y), (dx, dy)) in row.x.iter_mut().zip(&mut row.y).zip(dx.iter().zip(dy)) {
                *x += a * dx + b * dy;
                *y += c * dx + d * dy;
            }
        }))
    }
}

/// The shifts in pixels, `[h, 2, w]`: those along x of a row, then those along y.
fn shifts(alpha: f32, sigma: f32, [h, w]: [usize; 2], random: &mut Random) -> Vec<f32> {
    let level = Level::current();
    // Smoothed along x while x is the outermost axis, then turned, then along y.
    let by_columns = noise(2 * h * w, random);
    let mut smooth = vec![0.0; 2 * h * w];
    blend_rows(level, &Gaussian::new(sigma, w, alpha), &by_columns, 2 * h, &mut smooth);
    let mut by_rows = by_columns;
    for (y, row) in by_rows.chunks_exact_mut(2 * w).enumerate() {
        let (dx, dy) = row.split_at_mut(w);
        for ((dx, dy), column) in dx.iter_mut().zip(dy).zip(smooth.chunks_exact(2 * h)) {
            (*dx, *dy) = (column[y], column[h + y]);
        }
    }
    blend_rows(level, &Gaussian::new(sigma, h, 1.0), &by_rows, 2 * w, &mut smooth);
    smooth
}

/// Numbers uniform in (-1, 1), in steps of 2^-15.
fn noise(count: usize, random: &mut Random) -> Vec<f32> {
    let mut bits = vec![0; count.div_ceil(4)];
    random.fill_bits(0.5, &mut bits);
    let quarters = bits.iter().flat_map(|&word: &u64| [0, 16, 32, 48].map(|shift| (word >> shift) as u16));
    quarters.take(count).map(|v| (f32::from(v) + 0.5) * (1.0 / 32768.0) - 1.0).collect()
}

/// Smoothing of a line of pixels: each becomes a weighted sum of the line.
struct Gaussian {
    /// For each pixel: the first pixel that counts, and where its weights begin.
    from: Vec<(usize, usize)>,
    /// The weights of all pixels, one after the other.
    weights: Vec<f32>,
}

impl Gaussian {
    /// For a line of `n` pixels, reflected at both ends as often as needed; the weights of each pixel add up to `sum`.
    fn new(sigma: f32, n: usize, sum: f32) -> Self {
        let radius = (4.0 * sigma).round() as usize;
        let bell: Vec<f32> = (0..=radius)
            .map(|d| if d == 0 { 1.0 } else { (-0.5 * (d as f32 / sigma).powi(2)).exp() })
            .collect();
        let factor = sum / (2.0 * bell.iter().sum::<f32>() - 1.0);
        let (mut from, mut weights) = (Vec::with_capacity(n), Vec::new());
        for i in 0..n {
            let (start, end) = (i.saturating_sub(radius), (i + radius + 1).min(n));
            let base = weights.len();
            from.push((start, base));
            weights.resize(base + end - start, 0.0);
            for (d, bell) in bell.iter().enumerate() {
                let mut add = |at: usize| weights[base + at - start] += bell * factor;
                add(reflect(i as isize + d as isize, n));
                if d > 0 {
                    add(reflect(i as isize - d as isize, n));
                }
            }
        }
        Self { from, weights }
    }
}

/// The pixel of a line of `n` that is seen at `i` when the line is mirrored about its ends.
fn reflect(i: isize, n: usize) -> usize {
    if (0..n as isize).contains(&i) {
        return i as usize;
    }
    let period = (2 * (n - 1)).max(1);
    let i = i.rem_euclid(period as isize) as usize;
    i.min(period - i)
}

kernel! {
    /// Row `i` of `out` is the sum of the rows of `field`, which are `width` long, with the weights of pixel `i`. Products are
    /// rounded before they are added, in the order of the rows, so that every level gives the same bits.
    fn blend_rows<S>(_s, gaussian: &Gaussian, field: &[f32], width: usize, out: &mut [f32]) {
        let ends = gaussian.from.iter().skip(1).map(|&(_, base)| base).chain([gaussian.weights.len()]);
        for ((&(start, base), end), out) in gaussian.from.iter().zip(ends).zip(out.chunks_exact_mut(width)) {
            let (weights, field) = (&gaussian.weights[base..end], &field[start * width..]);
            let (blocks, rest) = out.as_chunks_mut::<32>();
            let done = blocks.len() * 32;
            for (i, block) in blocks.iter_mut().enumerate() {
                blend(weights, field, width, i * 32, block);
            }
            let (blocks, rest) = rest.as_chunks_mut::<8>();
            for (i, block) in blocks.iter_mut().enumerate() {
                blend(weights, field, width, done + i * 8, block);
            }
            let done = done + blocks.len() * 8;
            for (i, v) in rest.iter_mut().enumerate() {
                blend(weights, field, width, done + i, std::array::from_mut(v));
            }
        }
    }
}

/// `N` neighbouring sums, which stay in registers.
#[inline(always)]
fn blend<const N: usize>(weights: &[f32], field: &[f32], width: usize, column: usize, out: &mut [f32; N]) {
    let mut sums = [0.0; N];
    for (&weight, row) in weights.iter().zip(field.chunks(width)) {
        let Some(values) = row.get(column..column + N) else { return };
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += weight * value;
        }
    }
    *out = sums;
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_tensor::simd::with_level;
    use proptest::prelude::*;

    proptest! {
        /// Against the definition in f64: every place of the line, mirrored as often as needed, weighed by the bell.
        #[test]
        fn smoothing_is_a_gaussian_over_a_mirrored_line(
            (n, width, sigma, seed) in (1..40usize, 1..80usize, 0.0..9.0f32, any::<u64>()),
        ) {
            let field = noise(n * width, &mut Random::new(seed, &[]));
            let mut out = vec![0.0; n * width];
            blend_rows(Level::current(), &Gaussian::new(sigma, n, 3.0), &field, width, &mut out);
            let radius = (4.0 * sigma).round() as isize;
            let bell = |d: isize| {
                if d == 0 { 1.0 } else { (-0.5 * (d as f64 / f64::from(sigma)).powi(2)).exp() }
            };
            let sum: f64 = (-radius..=radius).map(bell).sum();
            let mirrored = |mut at: isize| {
                let last = n as isize - 1;
                while !(0..=last).contains(&at) {
                    at = if last == 0 { 0 } else if at < 0 { -at } else { 2 * last - at };
                }
                at as usize
            };
            for i in 0..n {
                for column in [0, width / 2, width - 1] {
                    let term = |d: isize| bell(d) * f64::from(field[mirrored(i as isize + d) * width + column]);
                    let want = 3.0 * (-radius..=radius).map(term).sum::<f64>() / sum;
                    let got = f64::from(out[i * width + column]);
                    prop_assert!((got - want).abs() < 1e-5, "{got} is not {want}");
                }
            }
        }
    }

    #[test]
    fn noise_is_uniform() {
        let values = noise(100_001, &mut Random::new(0, &[]));
        assert_eq!(values.len(), 100_001);
        assert!(values.iter().all(|v| v.abs() < 1.0));
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.01 && (variance - 1.0 / 3.0).abs() < 0.01, "{mean} {variance}");
        let neighbours = values.windows(2).map(|pair| pair[0] * pair[1]).sum::<f32>() / values.len() as f32;
        assert!(neighbours.abs() < 0.01, "{neighbours}");
    }

    /// The documentation's standard deviation, along x and along y, and no relation between the two.
    #[test]
    fn shifts_are_as_large_as_the_documentation_says() {
        let (h, w, mut random) = (60, 90, Random::new(0, &[]));
        let (mut squares, mut products) = ([0.0f64; 2], 0.0);
        for _ in 0..30 {
            let shifts = shifts(34.0, 4.0, [h, w], &mut random);
            for row in shifts.chunks(2 * w).skip(16).take(h - 32) {
                for x in 16..w - 16 {
                    let [dx, dy] = [row[x], row[w + x]].map(f64::from);
                    (squares[0], squares[1], products) =
                        (squares[0] + dx * dx, squares[1] + dy * dy, products + dx * dy);
                }
            }
        }
        let count = (30 * (h - 32) * (w - 32)) as f64;
        for square in squares {
            let std = (square / count).sqrt();
            assert!((std - 0.163 * 34.0 / 4.0).abs() < 0.1, "{std}");
        }
        assert!((products / count).abs() < 0.2, "{}", products / count);
    }

    #[test]
    fn every_level_gives_the_same_bytes() {
        let mut picture = Picture::filled([2, 19, 45], 0);
        picture.data_mut().iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * 37) as u8);
        for interpolation in [Interpolation::Bilinear, Interpolation::Nearest] {
            let elastic =
                ElasticTransform { degrees: [-20.0, 20.0], interpolation, ..ElasticTransform::default() };
            let at = |level| {
                with_level(level, || elastic.apply(picture.clone(), &mut Random::new(5, &[])).unwrap())
            };
            let scalar = at(Level::all()[0]);
            assert_ne!(scalar, picture);
            Level::all().iter().for_each(|&level| assert_eq!(at(level), scalar, "{}", level.name()));
        }
    }

    /// Without shifts, the affine map is left; without that, the image.
    #[test]
    fn no_distortion_is_the_affine_map_alone() {
        let picture = Picture::new([1, 5, 7], (0..35).map(|i| i * 7).collect::<Vec<u8>>()).unwrap();
        let still = ElasticTransform { alpha: 0.0, ..ElasticTransform::default() };
        assert_eq!(still.apply(picture.clone(), &mut Random::new(0, &[])).unwrap(), picture);
        let turned = ElasticTransform { degrees: [20.0, 30.0], translate: [0.2; 2], ..still };
        let affine = RandomAffine {
            translate: [0.2; 2],
            degrees: [20.0, 30.0],
            interpolation: Interpolation::Bilinear,
            ..RandomAffine::new(0.0)
        };
        let random = || Random::new(3, &[]);
        assert_eq!(
            turned.apply(picture.clone(), &mut random()).unwrap(),
            affine.apply(picture, &mut random()).unwrap()
        );
    }

    /// Shifts come before the affine map on the way from the result to the source: a ramp shows where its pixels came from.
    #[test]
    fn the_image_is_read_where_map_and_shifts_lead() {
        let (h, w) = (32, 32);
        let ramp: Vec<u8> = (0..h).flat_map(|_| (0..w).map(|x| 60 + 4 * x as u8)).collect();
        let elastic = ElasticTransform { degrees: [90.0; 2], alpha: 20.0, ..ElasticTransform::default() };
        let got = elastic.apply(Picture::new([1, h, w], ramp).unwrap(), &mut Random::new(1, &[])).unwrap();
        let mut random = Random::new(1, &[]);
        elastic.affine().draw([h, w], &mut random);
        let shifts = shifts(20.0, 4.0, [h, w], &mut random);
        for (y, x) in (6..26).flat_map(|y| (6..26).map(move |x| (y, x))) {
            // Clockwise by 90 degrees: column x of the source is row x of the result.
            let source_x = y as f32 + shifts[y * 2 * w + w + x];
            let want = 60.0 + 4.0 * source_x;
            let got = f32::from(got.data()[y * w + x]);
            assert!((got - want).abs() < 0.51, "({x}, {y}): {got} is not {want}");
        }
    }
}
