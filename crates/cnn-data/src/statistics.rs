//! Mean and deviation of the pixels of a data set.

use crate::{DataError, Dataset, Normalize};
use cnn_tensor::parallel;
use std::collections::BTreeMap;

/// Mean and deviation of each channel of a data set, where white is 1, for [`Normalize`].
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelStatistics {
    /// How many pixels were counted.
    pub pixels: u64,
    /// The mean of each channel.
    pub mean: Vec<f32>,
    /// The standard deviation of each channel, over all pixels of all images.
    pub std: Vec<f32>,
}

impl ChannelStatistics {
    /// The normalisation that gives these examples mean 0 and deviation 1.
    ///
    /// # Errors
    /// A channel has the same shade everywhere.
    pub fn normalize(&self) -> Result<Normalize, DataError> {
        Normalize::new(&self.mean, &self.std)
    }
}

/// Mean and deviation of each channel over the pixels of `examples`, or of at most `limit` of them, which are spread evenly over
/// the set. Where some images are gray and the others RGB, the gray ones count as RGB.
///
/// Sums are whole numbers, so the result is exact but for its last rounding, and the same for any number of threads.
///
/// ```
/// use cnn_data::{InMemoryDataset, channel_statistics};
/// let set = InMemoryDataset::new([2, 1, 1, 2], vec![0, 255, 255, 0], vec![0, 0], vec!["a".into()])?;
/// let statistics = channel_statistics(&set, usize::MAX)?;
/// assert_eq!((statistics.mean, statistics.std), (vec![0.5], vec![0.5]));
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// # Errors
/// An image cannot be read, there is none, or images differ in their channels otherwise.
pub fn channel_statistics(examples: &dyn Dataset, limit: usize) -> Result<ChannelStatistics, DataError> {
    let moments = Moments::of(examples, limit)?;
    let count = moments.pixels as f64;
    let statistics = (0..moments.channels()).map(|c| {
        let mean = moments.sums[c] as f64 / count;
        // n * sum of squares - square of sum, exactly.
        let (n, sum, square) = (u128::from(moments.pixels), moments.sums[c], moments.products[c][c]);
        let variance = (n * square - sum * sum) as f64 / (count * count);
        ((mean / 255.0) as f32, (variance.sqrt() / 255.0) as f32)
    });
    let (mean, std) = statistics.unzip();
    Ok(ChannelStatistics { pixels: moments.pixels, mean, std })
}

/// Sums over the pixels of images, of values and of products of two channels of a pixel.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    pixels: u64,
    /// One for each channel.
    sums: Vec<u128>,
    /// Of two channels; off the diagonal for images of three channels alone.
    products: Vec<Vec<u128>>,
}

/// Images whose sums one task adds up.
const CHUNK: usize = 16;

impl Moments {
    /// Over at most `limit` of the examples, which are spread evenly over the set.
    pub fn of(examples: &dyn Dataset, limit: usize) -> Result<Self, DataError> {
        let count = examples.len().min(limit);
        if count == 0 {
            let rule = "at least one".into();
            return Err(DataError::Setting { what: "the examples of a statistic", rule, got: "none".into() });
        }
        // Sums for each number of channels, with the first example that has it.
        type Parts = BTreeMap<usize, (usize, Moments)>;
        let merge = |parts: &mut Parts, c: usize, i: usize, moments: Moments| {
            parts.entry(c).or_insert_with(|| (i, Moments::zero(c))).1.add(&moments);
        };
        let chunks = parallel::map(count.div_ceil(CHUNK), |chunk| -> Result<Parts, DataError> {
            let mut parts = Parts::new();
            for at in chunk * CHUNK..((chunk + 1) * CHUNK).min(count) {
                let i = (at as u128 * examples.len() as u128 / count as u128) as usize;
                let picture = examples.picture(i)?;
                let [c, h, w] = picture.shape();
                merge(&mut parts, c, i, Self::of_planes(c, h * w, picture.data()));
            }
            Ok(parts)
        });
        let mut parts = Parts::new();
        for chunk in chunks {
            for (c, (i, moments)) in chunk? {
                merge(&mut parts, c, i, moments);
            }
        }
        if parts.len() == 2
            && parts.contains_key(&3)
            && let Some((i, gray)) = parts.remove(&1)
        {
            merge(&mut parts, 3, i, gray.to_rgb());
        }
        let mut parts = parts.into_iter();
        let (c, (first, moments)) = parts.next().expect("at least one example");
        match parts.next() {
            None => Ok(moments),
            Some((other, (i, _))) => Err(DataError::Image {
                image: examples.name(i),
                fault: format!("expected {c} channels like {}, got {other}", examples.name(first)),
            }),
        }
    }

    fn zero(c: usize) -> Self {
        Self { pixels: 0, sums: vec![0; c], products: vec![vec![0; c]; c] }
    }

    /// Of an image of `c` planes.
    fn of_planes(c: usize, plane: usize, data: &[u8]) -> Self {
        let mut moments = Self::zero(c);
        moments.pixels = plane as u64;
        let planes: Vec<&[u8]> = data.chunks_exact(plane).collect();
        for (i, a) in planes.iter().enumerate() {
            moments.sums[i] = a.iter().map(|&v| u64::from(v)).sum::<u64>().into();
            for (j, b) in planes.iter().enumerate().skip(i) {
                if i == j || c == 3 {
                    moments.products[i][j] = dot(a, b).into();
                    moments.products[j][i] = moments.products[i][j];
                }
            }
        }
        moments
    }

    /// The same image three times.
    fn to_rgb(&self) -> Self {
        let products = vec![vec![self.products[0][0]; 3]; 3];
        Self { pixels: self.pixels, sums: vec![self.sums[0]; 3], products }
    }

    fn add(&mut self, other: &Self) {
        self.pixels += other.pixels;
        self.sums.iter_mut().zip(&other.sums).for_each(|(to, from)| *to += from);
        let products = self.products.iter_mut().flatten().zip(other.products.iter().flatten());
        products.for_each(|(to, from)| *to += from);
    }

    pub fn channels(&self) -> usize {
        self.sums.len()
    }

    /// The covariance matrix of the colours of a pixel, where white is 1; `None` without three channels.
    pub fn covariance(&self) -> Option<[[f64; 3]; 3]> {
        let gray = (self.channels() == 1).then(|| self.to_rgb());
        let moments = gray.as_ref().unwrap_or(self);
        let sums: [u128; 3] = moments.sums[..].try_into().ok()?;
        let (n, scale) = (u128::from(moments.pixels), (moments.pixels as f64 * 255.0).powi(2));
        Some(std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                let (product, of_means) = (n * moments.products[i][j], sums[i] * sums[j]);
                // Their difference may be below 0.
                let difference = product.abs_diff(of_means) as f64 / scale;
                if product < of_means { -difference } else { difference }
            })
        }))
    }
}

/// The sum of products, in pieces that 32 bits hold.
fn dot(a: &[u8], b: &[u8]) -> u64 {
    let piece = 1 << 16;
    let sum = |(a, b): (&[u8], &[u8])| -> u64 {
        a.iter().zip(b).map(|(&a, &b)| u32::from(a) * u32::from(b)).sum::<u32>().into()
    };
    a.chunks(piece).zip(b.chunks(piece)).map(sum).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InMemoryDataset, Picture};
    use cnn_tensor::Random;
    use cnn_tensor::parallel::Threads;

    fn noise(n: usize, c: usize) -> InMemoryDataset {
        let mut random = Random::new(0, &[]);
        let bytes = (0..n * c * 12).map(|i| (random.below(200) + i / 12 % c * 20) as u8).collect();
        InMemoryDataset::new([n, c, 3, 4], bytes, vec![0; n], vec!["a".into()]).unwrap()
    }

    #[test]
    fn statistics_are_those_of_the_definition_for_any_number_of_threads() {
        for c in [1, 3, 5] {
            let set = noise(100, c);
            let want = channel_statistics(&set, usize::MAX).unwrap();
            assert_eq!(want.pixels, 1200);
            for channel in 0..c {
                let bytes = (0..100).flat_map(|i| set.image(i)[channel * 12..][..12].to_vec());
                let values: Vec<f64> = bytes.map(|byte| f64::from(byte) / 255.0).collect();
                let mean = values.iter().sum::<f64>() / 1200.0;
                let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1200.0;
                assert!((f64::from(want.mean[channel]) - mean).abs() < 1e-7);
                assert!((f64::from(want.std[channel]) - variance.sqrt()).abs() < 1e-7);
            }
            for threads in [1, 2, 5] {
                let got =
                    Threads::new(threads).unwrap().run(|| channel_statistics(&set, usize::MAX).unwrap());
                assert_eq!(got, want);
            }
            assert_eq!(want.normalize().unwrap().channels(), c);
        }
    }

    #[test]
    fn a_limit_spreads_over_the_set() {
        let set =
            InMemoryDataset::new([4, 1, 1, 1], vec![0, 1, 100, 101], vec![0; 4], vec!["a".into()]).unwrap();
        assert_eq!(channel_statistics(&set, 2).unwrap().mean, [50.0 / 255.0]);
        assert_eq!(channel_statistics(&set, 9).unwrap().pixels, 4);
    }

    /// As many channels as the number of the image says.
    #[derive(Debug)]
    struct Mixed(Vec<usize>);

    impl Dataset for Mixed {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn label(&self, _: usize) -> u32 {
            0
        }
        fn picture(&self, i: usize) -> Result<Picture<'_>, DataError> {
            if self.0[i] == 0 {
                return Err(DataError::Image {
                    image: self.name(i),
                    fault: "expected an image, got dust".into(),
                });
            }
            Ok(Picture::filled([self.0[i], 1, 2], 100 + i as u8))
        }
    }

    #[test]
    fn gray_images_among_coloured_ones_are_coloured() {
        let mixed = channel_statistics(&Mixed(vec![3, 1, 3, 3]), usize::MAX).unwrap();
        assert_eq!(mixed, channel_statistics(&Mixed(vec![3, 3, 3, 3]), usize::MAX).unwrap());
        assert_eq!(mixed.mean.len(), 3);
        let gray = Moments::of(&Mixed(vec![1, 1]), usize::MAX).unwrap().covariance().unwrap();
        assert!(gray.iter().flatten().all(|&v| (v - 0.25 / (255.0 * 255.0)).abs() < 1e-9), "{gray:?}");
    }

    #[test]
    fn what_has_no_statistics_is_refused() {
        let message = |channels: &[usize], limit| {
            channel_statistics(&Mixed(channels.to_vec()), limit).unwrap_err().to_string()
        };
        assert_eq!(message(&[], 9), "the examples of a statistic must be at least one, got none");
        assert_eq!(message(&[1], 0), "the examples of a statistic must be at least one, got none");
        assert_eq!(message(&[2, 2, 3], 9), "image 2: expected 2 channels like image 0, got 3");
        assert_eq!(message(&[3, 1, 4, 3], 9), "image 0: expected 1 channels like image 1, got 3");
        assert_eq!(message(&[3, 3, 0, 3, 0], 9), "image 2: expected an image, got dust");
        let flat = InMemoryDataset::new([2, 1, 1, 1], vec![7, 7], vec![0; 2], vec!["a".into()]).unwrap();
        let error = channel_statistics(&flat, 9).unwrap().normalize().unwrap_err().to_string();
        assert_eq!(error, "std must be as many numbers above 0 as there are means, got [0.0]");
    }

    #[test]
    fn sums_of_products_do_not_overflow() {
        assert_eq!(dot(&vec![255; 1 << 18], &vec![255; 1 << 18]), (255 * 255) << 18);
    }
}
