//! Light of another colour.

use super::Transform;
use super::options::setting;
use crate::statistics::Moments;
use crate::{DataError, Dataset, Normalize};
use cnn_tensor::{Random, symmetric_eigen};
use serde::{Deserialize, Serialize};
use std::array::from_fn;

/// Adds to all pixels of an image the same colour, `sum over i of a_i lambda_i p_i` with `a_i` normal of mean 0 and deviation
/// `std`: along the directions in which the colours of the data set vary, in proportion to how much they do. For RGB
/// images, after normalisation.
///
/// `lambda_i` are eigenvalues and `p_i` eigenvectors of the covariance matrix of the colours of a pixel, where white is 1.
/// The default ones are those in use for ImageNet since the `Lighting` of Facebook's fb.resnet.torch;
/// [`PcaLighting::of`] computes those of any set.
///
/// ```
/// use cnn_data::transform::{PcaLighting, Transform};
/// use cnn_data::Normalize;
/// let lighting = PcaLighting::default();
/// let mut x = vec![0.0; 3 * 2];
/// let normalize = Normalize::new(&[0.5; 3], &[0.5; 3])?;
/// lighting.finish(&mut x, [3, 1, 2], &normalize, &mut cnn_tensor::Random::new(0, &[]))?;
/// assert!(x[0] != 0.0 && x[0] == x[1]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// Source: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012,
/// section 4.1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PcaLighting {
    /// The standard deviation of the factors of the eigenvalues, 0.1 in the paper.
    #[serde(alias = "deviation")]
    pub std: f32,
    /// `lambda_i`, the largest first.
    pub eigenvalues: [f32; 3],
    /// Row `c` has the channel `c` of each `p_i`: an eigenvector is a column.
    pub eigenvectors: [[f32; 3]; 3],
}

impl Default for PcaLighting {
    /// The paper's deviation, and colours of ImageNet.
    fn default() -> Self {
        Self {
            std: 0.1,
            eigenvalues: [0.2175, 0.0188, 0.0045],
            eigenvectors: [
                [-0.5675, 0.7192, 0.4009],
                [-0.5808, -0.0045, -0.8140],
                [-0.5836, -0.6948, 0.4203],
            ],
        }
    }
}

impl PcaLighting {
    /// With the eigenvalues and eigenvectors of the colours of `examples`, or of at most `limit` of them, which are spread
    /// evenly over the set. Gray images count as RGB. The same for any number of threads.
    ///
    /// ```
    /// use cnn_data::transform::PcaLighting;
    /// use cnn_data::InMemoryDataset;
    /// // One black pixel, and one whose red is at its half.
    /// let set = InMemoryDataset::new([2, 3, 1, 1], vec![0, 0, 0, 128, 0, 0], vec![0, 0], vec!["a".into()])?;
    /// let lighting = PcaLighting::of(&set, usize::MAX)?;
    /// assert!((lighting.eigenvalues[0] - 0.25f32.powi(2)).abs() < 1e-3);
    /// assert_eq!(lighting.eigenvectors.map(|row| row[0].abs()), [1.0, 0.0, 0.0]);
    /// # Ok::<(), cnn_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// An image cannot be read, there is none, or one is neither gray nor RGB.
    pub fn of(examples: &dyn Dataset, limit: usize) -> Result<Self, DataError> {
        let moments = Moments::of(examples, limit)?;
        let covariance = moments.covariance().ok_or_else(|| {
            setting("the examples of a PCA lighting", "images of 3 channels", moments.channels())
        })?;
        let (values, vectors) = symmetric_eigen(covariance.as_flattened(), 3);
        Ok(Self {
            std: 0.1,
            eigenvalues: from_fn(|i| values[i] as f32),
            eigenvectors: from_fn(|c| from_fn(|i| vectors[3 * i + c] as f32)),
        })
    }
}

impl Transform for PcaLighting {
    fn validate(&self) -> Result<(), DataError> {
        if !(self.std >= 0.0 && self.std.is_finite()) {
            return Err(setting("the std of a PCA lighting", "a number of at least 0", self.std));
        }
        let numbers = self.eigenvectors.iter().flatten().chain(&self.eigenvalues);
        match numbers.into_iter().find(|v| !v.is_finite()) {
            None => Ok(()),
            Some(v) => Err(setting("eigenvalues and eigenvectors of a PCA lighting", "finite numbers", v)),
        }
    }

    fn finishes(&self) -> bool {
        true
    }

    fn finish(
        &self,
        x: &mut [f32],
        [c, h, w]: [usize; 3],
        normalize: &Normalize,
        random: &mut Random,
    ) -> Result<(), DataError> {
        if c != 3 {
            return Err(setting("an image for a PCA lighting", "one of 3 channels", c));
        }
        let weights = self.eigenvalues.map(|lambda| random.normal() * self.std * lambda);
        for (channel, plane) in x.chunks_exact_mut(h * w).enumerate() {
            let row = self.eigenvectors[channel];
            let light: f32 = row.iter().zip(weights).map(|(p, weight)| p * weight).sum();
            let light = light / normalize.std(channel);
            plane.iter_mut().for_each(|x| *x += light);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InMemoryDataset;

    /// Colours along one line have one eigenvalue, their variance.
    #[test]
    fn the_first_direction_is_that_of_the_colours() {
        let pixels = [[10, 20, 30], [30, 60, 90], [20, 40, 60], [80, 160, 240]];
        let data: Vec<u8> = pixels.iter().flatten().copied().collect();
        let set = InMemoryDataset::new([4, 3, 1, 1], data, vec![0; 4], vec!["a".into()]).unwrap();
        let lighting = PcaLighting::of(&set, usize::MAX).unwrap();
        let unit = 14f32.sqrt();
        let [first, ..] = [0, 1, 2].map(|i| lighting.eigenvectors.map(|row| row[i]));
        let sign = first[0].signum();
        for (got, want) in first.into_iter().zip([1.0, 2.0, 3.0]) {
            assert!((got * sign - want / unit).abs() < 1e-5, "{first:?}");
        }
        // 14 times the variance of 10, 30, 20 and 80, which is 725.
        let want = 14.0 * 725.0 / (255.0 * 255.0);
        assert!((lighting.eigenvalues[0] - want).abs() < 1e-5, "{:?} is not {want}", lighting.eigenvalues);
        assert!(lighting.eigenvalues[1].abs() < 1e-6 && lighting.eigenvalues[2].abs() < 1e-6);
        let two = InMemoryDataset::new([1, 2, 1, 1], vec![0, 0], vec![0], vec!["a".into()]).unwrap();
        let error = PcaLighting::of(&two, 1).unwrap_err().to_string();
        assert_eq!(error, "the examples of a PCA lighting must be images of 3 channels, got 2");
    }

    /// The covariance of the change is `P diag((std lambda)^2) P^T`, in units of each channel's deviation.
    #[test]
    fn light_is_normal_along_the_eigenvectors() {
        let lighting = PcaLighting { std: 0.5, ..PcaLighting::default() };
        let stds = [0.2f32, 0.5, 0.25];
        let normalize = Normalize::new(&[0.5; 3], &stds).unwrap();
        let mut random = Random::new(0, &[]);
        let mut covariance = [[0.0f64; 3]; 3];
        let count = 20_000;
        for _ in 0..count {
            let mut x = vec![1.0f32; 6];
            lighting.finish(&mut x, [3, 2, 1], &normalize, &mut random).unwrap();
            assert!(x[0] == x[1] && x[2] == x[3] && x[4] == x[5], "the same colour everywhere");
            let added = [0, 1, 2].map(|c| f64::from((x[2 * c] - 1.0) * stds[c]));
            (0..9).for_each(|i| covariance[i / 3][i % 3] += added[i / 3] * added[i % 3] / f64::from(count));
        }
        for (i, j) in (0..9).map(|i| (i / 3, i % 3)) {
            let term = |k: usize| {
                let weight = f64::from(0.5 * lighting.eigenvalues[k]).powi(2);
                weight * f64::from(lighting.eigenvectors[i][k] * lighting.eigenvectors[j][k])
            };
            let want: f64 = (0..3).map(term).sum();
            assert!((covariance[i][j] - want).abs() < 2e-4, "{i} {j}: {} is not {want}", covariance[i][j]);
        }
    }
}
