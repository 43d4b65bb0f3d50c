//! Images with holes.

use super::Transform;
use super::options::{MAX_SIDE, check_probability, check_range, setting};
use crate::{DataError, Normalize};
use cnn_tensor::Random;
use serde::{Deserialize, Serialize};

/// The content of the rectangle that is erased.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number or \"random\"")]
pub enum Erased {
    /// A number in all channels; 0 is the mean.
    Value(f32),
    /// A word for random numbers.
    Drawn(Drawn),
}

/// The distribution of each number in a rectangle that is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drawn {
    /// From the normal distribution of mean 0 and deviation 1.
    Random,
}

/// Erases a rectangle of random area, form and place with probability `p`, as torchvision's `RandomErasing`, after
/// normalisation.
///
/// The area is uniform in `scale`, as a share of the image's; the logarithm of the ratio of height to width is uniform in that
/// of `ratio`. Ten draws are tried for one that is smaller than the image in both directions; after them nothing is erased.
///
/// ```
/// use cnn_data::transform::{RandomErasing, Transform};
/// use cnn_data::Normalize;
/// let erasing: RandomErasing = serde_json::from_str(r#"{"p": 1}"#).unwrap();
/// let mut x = vec![1.0; 3 * 32 * 32];
/// let normalize = Normalize::new(&[0.5; 3], &[0.5; 3])?;
/// erasing.finish(&mut x, [3, 32, 32], &normalize, &mut cnn_tensor::Random::new(0, &[]))?;
/// let share = x.iter().filter(|&&x| x == 0.0).count() as f32 / x.len() as f32;
/// assert!(share > 0.01 && share < 0.34, "{share}");
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// Source: Z. Zhong, L. Zheng, G. Kang, S. Li, Y. Yang, "Random Erasing Data Augmentation", 2017, algorithm 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomErasing {
    /// How often, 0 to 1.
    pub p: f32,
    /// Bounds of the area, as a share of the image's.
    pub scale: [f32; 2],
    /// Bounds of height over width.
    pub ratio: [f32; 2],
    /// The content of the rectangle afterwards: a number, or `"random"`.
    pub value: Erased,
}

impl Default for RandomErasing {
    /// 2 to 33 hundredths of every other image become 0.
    fn default() -> Self {
        Self { p: 0.5, scale: [0.02, 0.33], ratio: [0.3, 3.3], value: Erased::Value(0.0) }
    }
}

impl Transform for RandomErasing {
    fn validate(&self) -> Result<(), DataError> {
        check_probability("the probability of random erasing", self.p)?;
        check_range("the scale of random erasing", self.scale, [0.0, 1.0])?;
        check_range("the ratio of random erasing", self.ratio, [1e-3, 1e3])?;
        match self.value {
            Erased::Value(value) if !value.is_finite() => {
                Err(setting("the value of random erasing", "a finite number or \"random\"", value))
            }
            _ => Ok(()),
        }
    }

    fn finishes(&self) -> bool {
        true
    }

    fn finish(
        &self,
        x: &mut [f32],
        [_, h, w]: [usize; 3],
        _: &Normalize,
        random: &mut Random,
    ) -> Result<(), DataError> {
        if !random.chance(self.p) {
            return Ok(());
        }
        let round = |v: f64| v.round_ties_even() as usize;
        let [low, high] = self.ratio.map(f32::ln);
        for _ in 0..10 {
            let area = (h * w) as f64 * f64::from(random.uniform(self.scale[0], self.scale[1]));
            let ratio = f64::from(random.uniform(low, high)).exp();
            let (part_h, part_w) = (round((area * ratio).sqrt()), round((area / ratio).sqrt()));
            if part_h < h && part_w < w {
                let (top, left) = (random.below(h - part_h + 1), random.below(w - part_w + 1));
                each_row(x, [h, w], top..top + part_h, left..left + part_w, |row| match self.value {
                    Erased::Value(value) => row.fill(value),
                    Erased::Drawn(Drawn::Random) => random.fill_normal(1.0, row),
                });
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Sets squares to 0, the mean, after normalisation. The centre of each is any pixel of the image, so that a square may hang
/// over the edge.
///
/// ```
/// use cnn_data::transform::{Cutout, Transform};
/// use cnn_data::Normalize;
/// let cutout: Cutout = serde_json::from_str(r#"{"size": 2}"#).unwrap();
/// let mut x = vec![1.0; 8 * 8];
/// let normalize = Normalize::new(&[0.5], &[0.5])?;
/// cutout.finish(&mut x, [1, 8, 8], &normalize, &mut cnn_tensor::Random::new(0, &[]))?;
/// assert!([1, 2, 4].contains(&x.iter().filter(|&&x| x == 0.0).count()));
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// Source: T. DeVries, G. Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017, section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cutout {
    /// The side of a square in pixels.
    pub size: usize,
    /// How many squares.
    pub holes: usize,
}

impl Default for Cutout {
    /// One square of side 16: the paper's for CIFAR-10.
    fn default() -> Self {
        Self { size: 16, holes: 1 }
    }
}

impl Transform for Cutout {
    fn validate(&self) -> Result<(), DataError> {
        super::options::check_sides("the size of a cutout", &[self.size])?;
        match self.holes {
            1..=MAX_SIDE => Ok(()),
            holes => Err(setting("the holes of a cutout", format!("from 1 to {MAX_SIDE}"), holes)),
        }
    }

    fn finishes(&self) -> bool {
        true
    }

    fn finish(
        &self,
        x: &mut [f32],
        [_, h, w]: [usize; 3],
        _: &Normalize,
        random: &mut Random,
    ) -> Result<(), DataError> {
        for _ in 0..self.holes {
            let [rows, columns] = [h, w].map(|extent| {
                let centre = random.below(extent);
                let end = (centre + self.size.div_ceil(2)).min(extent);
                centre.saturating_sub(self.size / 2)..end
            });
            each_row(x, [h, w], rows, columns, |row| row.fill(0.0));
        }
        Ok(())
    }
}

/// The numbers in those rows and columns, row after row of all channels.
fn each_row(
    x: &mut [f32],
    [h, w]: [usize; 2],
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    mut f: impl FnMut(&mut [f32]),
) {
    for plane in x.chunks_exact_mut(h * w) {
        for row in plane[rows.start * w..rows.end * w].chunks_exact_mut(w) {
            f(&mut row[columns.clone()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part that is 0 afterwards in an image of ones, as `[top, left, bottom, right]` and the number of pixels.
    fn hole(transform: &dyn Transform, [c, h, w]: [usize; 3], seed: u64) -> Option<([usize; 4], usize)> {
        let mut x = vec![1.0; c * h * w];
        transform.finish(&mut x, [c, h, w], &Normalize::unit(c), &mut Random::new(seed, &[])).unwrap();
        let plane = &x[..h * w];
        assert!(x.chunks(h * w).all(|other| other == plane), "the same in all channels");
        let at: Vec<[usize; 2]> = (0..h * w).filter(|&i| plane[i] == 0.0).map(|i| [i / w, i % w]).collect();
        let bound = |axis: usize| (at.iter().map(|p| p[axis]).min(), at.iter().map(|p| p[axis]).max());
        let ((Some(top), Some(bottom)), (Some(left), Some(right))) = (bound(0), bound(1)) else {
            return None;
        };
        Some(([top, left, bottom, right], at.len()))
    }

    #[test]
    fn rectangles_have_area_ratio_and_frequency_of_the_options() {
        let erasing =
            RandomErasing { scale: [0.1, 0.3], ratio: [0.5, 2.0], p: 0.7, ..RandomErasing::default() };
        let holes: Vec<_> = (0..2000).filter_map(|seed| hole(&erasing, [2, 60, 80], seed)).collect();
        assert!((1320..1480).contains(&holes.len()), "{} of 2000", holes.len());
        let mut areas = Vec::new();
        for ([top, left, bottom, right], pixels) in holes {
            let (h, w) = (bottom - top + 1, right - left + 1);
            assert_eq!(h * w, pixels, "a full rectangle");
            let (area, ratio) = (pixels as f64 / 4800.0, h as f64 / w as f64);
            assert!((0.095..0.305).contains(&area) && (0.46..2.15).contains(&ratio), "{area} {ratio}");
            areas.push(area);
        }
        let mean = areas.iter().sum::<f64>() / areas.len() as f64;
        assert!((mean - 0.2).abs() < 0.01, "{mean}");
    }

    #[test]
    fn what_is_erased_is_a_number_or_noise() {
        let all = RandomErasing { p: 1.0, scale: [0.3, 0.3], ratio: [1.0, 1.0], ..RandomErasing::default() };
        let after = |value| {
            let mut x = vec![9.0; 2 * 100 * 100];
            let erasing = RandomErasing { value, ..all };
            erasing.finish(&mut x, [2, 100, 100], &Normalize::unit(2), &mut Random::new(0, &[])).unwrap();
            x.into_iter().filter(|&x| x != 9.0).collect::<Vec<f32>>()
        };
        assert!(after(Erased::Value(-2.5)).iter().all(|&x| x == -2.5));
        let noise = after(Erased::Drawn(Drawn::Random));
        assert_eq!(noise.len(), 2 * 55 * 55);
        let mean = noise.iter().sum::<f32>() / noise.len() as f32;
        let variance = noise.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / noise.len() as f32;
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.06, "{mean} {variance}");
    }

    /// One pixel is never smaller than itself.
    #[test]
    fn an_image_of_one_pixel_is_left_alone() {
        let always = RandomErasing { p: 1.0, scale: [0.5, 1.0], ..RandomErasing::default() };
        assert!((0..100).all(|seed| hole(&always, [1, 1, 1], seed).is_none()));
    }

    #[test]
    fn squares_are_centred_on_any_pixel_and_hang_over() {
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..2000 {
            let ([top, left, bottom, right], pixels) =
                hole(&Cutout { size: 3, holes: 1 }, [3, 4, 5], seed).unwrap();
            assert_eq!((bottom - top + 1) * (right - left + 1), pixels);
            *counts.entry([top, left, bottom, right]).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 20, "a square for each pixel");
        assert!(counts.values().all(|count| (60..150).contains(count)), "{counts:?}");
        assert!(counts.contains_key(&[0, 0, 1, 1]) && counts.contains_key(&[1, 2, 3, 4]));
        // An even side has one pixel more above and to the left of its centre than below.
        let whole = hole(&Cutout { size: 100, holes: 2 }, [1, 4, 5], 0).unwrap();
        assert_eq!(whole, ([0, 0, 3, 4], 20));
    }
}
